"""Dimensionless invariants of tensors: all that the network ever sees of a direction.

Rotating or mirroring the part leaves every input unchanged, so the answer, which is put together from tensors that turn
with the part, turns with it exactly. Tensors here are component last [..., 6] with *tensor* shear (strain components
are halved at the border), stress in units of the yield strength, strain in units of yield strength over E.
"""

import torch
from torch import Tensor

FEATURE_COUNT = 19
# Which of them tells how much the last enrichment changed.
TREND_FEATURE = 17
# Those of the change of the elastic stress over the last step; zero while the loads stand still.
INCREMENT_FEATURES = slice(11, 14)
_TINY = 1e-12


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Double contraction a:b of symmetric tensors [..., 6] -> [...]."""
    product = a * b
    return product[..., :3].sum(-1) + 2 * product[..., 3:].sum(-1)


def norm(a: Tensor) -> Tensor:
    """Frobenius norm [..., 6] -> [...]."""
    return torch.sqrt(dot(a, a) + _TINY)


def deviator(a: Tensor) -> Tensor:
    """Deviatoric part [..., 6]."""
    mean = a[..., :3].mean(-1, keepdim=True)
    return torch.cat([a[..., :3] - mean, a[..., 3:]], dim=-1)


def unit(a: Tensor) -> Tensor:
    """a over its norm; zero stays zero."""
    return a / (norm(a)[..., None] + 1e-6)


def square(a: Tensor) -> Tensor:
    """The tensor product a.a of a symmetric tensor [..., 6]."""
    xx, yy, zz, xy, yz, zx = a.unbind(-1)
    return torch.stack(
        [
            xx * xx + xy * xy + zx * zx,
            xy * xy + yy * yy + yz * yz,
            zx * zx + yz * yz + zz * zz,
            xx * xy + xy * yy + zx * yz,
            xy * zx + yy * yz + yz * zz,
            xx * zx + xy * yz + zx * zz,
        ],
        dim=-1,
    )


def dyad(direction: Tensor) -> Tensor:
    """The deviator of n n^T for directions [..., 3] -> [..., 6]."""
    x, y, z = direction.unbind(-1)
    return deviator(torch.stack([x * x, y * y, z * z, x * y, y * z, z * x], dim=-1))


def point_features(
    elastic: Tensor,
    increment: Tensor,
    local_stress: Tensor,
    local_strain: Tensor,
    local_equivalent: Tensor,
    hardening: Tensor,
    coarser: tuple[Tensor, Tensor],
) -> Tensor:
    """Invariants of a material point under the reduced anchor.

    Args:
        elastic: elastic stress [..., 6], in yield strengths.
        increment: its change over the last step [..., 6].
        local_stress: stress of the reduced anchor [..., 6].
        local_strain: plastic strain of the reduced anchor [..., 6], in yield strains.
        local_equivalent: its equivalent plastic strain [...].
        hardening: hardening modulus over E, broadcastable to [...].
        coarser: equivalent plastic strain before the last enrichment and of the local anchor, each [...]; how fast
            the three approach each other tells how far the last one is from the truth.

    Returns:
        [..., FEATURE_COUNT].
    """
    s_el, s_loc, ds = deviator(elastic), deviator(local_stress), deviator(increment)
    n_el, n_loc, n_p = unit(s_el), unit(s_loc), unit(local_strain)
    scale = 1.5**0.5
    vm_el, vm_loc = scale * norm(s_el), scale * norm(s_loc)
    radius = 1 + hardening * local_equivalent
    logs = torch.log1p(local_equivalent)
    return torch.stack(
        [
            torch.log1p(vm_el),
            vm_loc,
            torch.asinh(elastic[..., :3].mean(-1)),
            torch.asinh(local_stress[..., :3].mean(-1)),
            torch.asinh(vm_el - radius),
            logs,
            torch.log1p(norm(local_strain)),
            torch.log(radius),
            dot(n_el, n_loc),
            dot(n_p, n_el),
            dot(n_p, n_loc),
            torch.log1p(scale * norm(ds)),
            torch.asinh(scale * dot(n_loc, ds)),
            torch.asinh(increment[..., :3].mean(-1)),
            dot(square(n_el), n_el),
            dot(square(n_loc), n_loc),
            (local_equivalent > 0).to(logs),
            10 * (logs - torch.log1p(coarser[0])),
            torch.log1p(coarser[0]) - torch.log1p(coarser[1]),
        ],
        dim=-1,
    )
