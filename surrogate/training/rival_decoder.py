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

# Logarithms of the smallest and largest plastic strain, in yield strains, that a network can say.
_LEAST, _MOST = -8.0, 6.0
# Six components of the direction, gate, logarithm of the size, accumulated over present strain.
OUTPUTS = 9
# Plastic strain, in yield strains, at which the compressed error turns from linear to logarithmic.
_KNEE = 0.05
# Norms of compressed strains below this are judged as if they were so large.
_LEAST_NORM = 0.02


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
            last.bias[6] = -3.0
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
    """The nine numbers of a point [..., OUTPUTS] as a plastic strain.

    Direction, gate and logarithm of the size apart: most points have exactly none, and the others span four decades.
    """
    direction = deviator(raw[..., :6])
    direction = direction / (norm(direction)[..., None] + 0.1)
    size = torch.sigmoid(raw[..., 6]) * torch.exp(raw[..., 7].clamp(_LEAST, _MOST))
    strain = direction * size[..., None]
    equivalent = float(SQRT_2_3) * norm(strain) * (1 + nn.functional.softplus(raw[..., 8] - 3))
    return PlasticRead(strain, equivalent)


def compressed_error(part: RivalPart, found: Tensor, true: Tensor, beside: Tensor | float = 0.0) -> Tensor:
    """Relative error [S] of strains [S, C, 4, 6] in their own directions with logarithmic sizes.

    The plain relative error is one where nothing is said, and hardly less until direction and size are both right at
    the few points of the largest strain: networks that begin small came to rest at saying nothing. Here every point
    that yields has its say.

    Args:
        part: whose points these are.
        found: of the network.
        true: of the simulation.
        beside: compressed norm that counts besides that of the truth [S].
    """
    missed = field_norm(part, _compressed(found) - _compressed(true))
    return missed / (compressed_norm(part, true) + beside + _LEAST_NORM)


def compressed_norm(part: RivalPart, strain: Tensor) -> Tensor:
    """Norm [S] of strains [S, C, 4, 6] of logarithmic size."""
    return field_norm(part, _compressed(strain))


def _compressed(strain: Tensor) -> Tensor:
    size = norm(strain)[..., None]
    return strain / size * torch.asinh(size / _KNEE)
