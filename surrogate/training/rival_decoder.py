"""What the learned competitors share: reading latents of corner points at the quadrature points as a plastic strain.

Shape letters: S states of one part, N corner points, C cells, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from surrogate.model.invariant_features import deviator, norm
from surrogate.physics.hardening import SQRT_2_3
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC
from surrogate.training.rival_data import RivalPart, field_norm

# Six components of the strain in logarithmic size, accumulated over present strain.
OUTPUTS = 7
# Plastic strain, in yield strains, at which the compressed error turns from linear to logarithmic.
KNEE = 0.05
# The largest size that a network can say: 200 yield strains.
_MOST = 9.0
# Norms of compressed strains below this are judged as if they were so large.
LEAST_NORM = 0.05


@dataclass(frozen=True)
class PlasticRead:
    """A plastic strain at the quadrature points, in yield strains.

    Attributes:
        strain: tensor shear, free of volume change [S, C, 4, 6].
        equivalent: accumulated, never below that of `strain` [S, C, 4].
    """

    strain: Tensor
    equivalent: Tensor


class QuadratureDecoder(nn.Module):
    """Latents of the corner points, interpolated into the cells, with what is known of the quadrature point itself.

    The first layer acts before the interpolation, which commutes with it and meets three times fewer points.
    """

    def __init__(self, width: int, hidden: int, own_features: int = 0) -> None:
        super().__init__()
        self.latent = nn.Linear(width, hidden)
        self.own = nn.Linear(own_features, hidden, bias=False) if own_features else None
        self.out = nn.Sequential(nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, OUTPUTS))
        last = self.out[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            # Begin with little plastic strain everywhere: most points have none.
            last.bias.zero_()
        self.register_buffer("barycentric", torch.tensor(QUADRATURE_BARYCENTRIC, dtype=torch.float32))

    def forward(self, part: RivalPart, latent: Tensor, own: Tensor | None = None) -> PlasticRead:
        """Latents [S, N, D] and the point's own features [S, C, 4, F] to a plastic strain."""
        corners = self.latent(latent)[:, part.cells]  # [S, C, 4, D]
        hidden = torch.einsum("qa,scad->scqd", self.barycentric, corners)
        if self.own is not None:
            assert own is not None
            hidden = hidden + self.own(own)
        return read_strain(self.out(hidden))


def read_strain(raw: Tensor) -> PlasticRead:
    """The seven numbers of a point [..., OUTPUTS] as a plastic strain.

    The first six are its tensor with the logarithmic size in which errors are judged. Nothing is zero there, and no
    slope dies: with a gate and a logarithm of the size apart, networks closed the gate for good in their first steps.
    """
    compressed = deviator(raw[..., :6])
    length = norm(compressed)[..., None]
    strain = compressed / length * (KNEE * torch.sinh(length.clamp(max=_MOST)))
    equivalent = float(SQRT_2_3) * norm(strain) * (1 + nn.functional.softplus(raw[..., 6] - 3))
    return PlasticRead(strain, equivalent)


def compressed_error(part: RivalPart, found: Tensor, true: Tensor, beside: Tensor | float = 0.0) -> Tensor:
    """Squared error of strains [S, C, 4, 6] in their own directions with logarithmic sizes, over their mean square.

    Each state over its own norm, the published loss, makes networks say nothing: where a state has hardly any plastic
    strain the slope towards zero is hundreds of times that of all others towards their strain.

    Args:
        part: whose points these are.
        found: of the network.
        true: of the simulation.
        beside: mean square that counts besides that of the truth.
    """
    missed = field_norm(part, _compressed(found) - _compressed(true)).square().mean()
    return missed / (compressed_square(part, true) + beside + LEAST_NORM**2)


def compressed_square(part: RivalPart, strain: Tensor) -> Tensor:
    """Mean square over states of the norm of strains [S, C, 4, 6] of logarithmic size."""
    return field_norm(part, _compressed(strain)).square().mean()


def _compressed(strain: Tensor) -> Tensor:
    size = norm(strain)[..., None]
    return strain / size * torch.asinh(size / KNEE)
