"""What training minimises; each term returns a scalar.

Shape letters: B parts, H histories, T steps, S states, A active cells, M tokens, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, smooth_l1_loss

from surrogate.model.decoder import PlasticField, TokenScalars
from surrogate.model.invariant_features import dot

# Volume-weighted root mean square of the plastic strain, in yield strains, below which a field counts as elastic.
_FLOOR = 2e-3
# Errors below this are weighed by their square: of logarithms, of stress, of displacement ratios.
_SMALL = 0.02


def relative_field_error(
    field: PlasticField, strain: Tensor, equivalent: Tensor, volume: Tensor
) -> tuple[Tensor, Tensor]:
    """Relative L2 error of the plastic strain tensor and of the equivalent plastic strain, each [S].

    Args:
        field: predicted, S states.
        strain: true plastic strain [S, A, 4, 6], tensor shear.
        equivalent: true [S, A, 4].
        volume: weights [A, 4].
    """
    change = field.strain - strain
    error = torch.sqrt((volume * dot(change, change)).sum((1, 2)) + 1e-12)
    size = torch.sqrt((volume * dot(strain, strain)).sum((1, 2)) + 1e-12)
    error_eq = torch.sqrt((volume * (field.equivalent - equivalent) ** 2).sum((1, 2)) + 1e-12)
    size_eq = torch.sqrt((volume * equivalent**2).sum((1, 2)) + 1e-12)
    return error / (size + _FLOOR), error_eq / (size_eq + _FLOOR)


def grounding(field: PlasticField, strain: Tensor, equivalent: Tensor, volume: Tensor) -> Tensor:
    """How far a decoded field is from the truth: the logarithm keeps one bad state from ruling the gradient."""
    tensor_error, scalar_error = relative_field_error(field, strain, equivalent, volume)
    top = smooth_l1_loss(torch.log1p(field.equivalent.amax((1, 2))), torch.log1p(equivalent.amax((1, 2))), beta=_SMALL)
    return torch.log1p(5 * tensor_error).mean() + 0.5 * torch.log1p(5 * scalar_error).mean() + top


@dataclass(frozen=True)
class TokenTruth:
    """True scalars of the regions and the part.

    Attributes:
        plastic: [B, H, T, M], yield strains.
        von_mises: [B, H, T, M], yield strengths.
        displacement: [B, H, T].
        permanent_set: [B, H, T].
    """

    plastic: Tensor
    von_mises: Tensor
    displacement: Tensor
    permanent_set: Tensor


def token_scalars(predicted: TokenScalars, truth: TokenTruth) -> Tensor:
    """Error of the scalars read from the tokens, with the part's peaks once more."""
    plastic, true = torch.log1p(predicted.plastic), torch.log1p(truth.plastic)
    weight = 1 + 3 * (truth.plastic > 0.05)
    regions = (weight * smooth_l1_loss(plastic, true, reduction="none", beta=_SMALL)).mean()
    peaks = smooth_l1_loss(plastic.amax(-1), true.amax(-1), beta=_SMALL)
    displacement = smooth_l1_loss(predicted.displacement, truth.displacement, beta=_SMALL)
    # A set of a thousandth of the largest displacement matters as little as its logarithm moves here.
    read, held = (torch.log(values + 1e-3) for values in (predicted.permanent_set, truth.permanent_set))
    permanent = smooth_l1_loss(read, held, beta=_SMALL)
    return regions + peaks + displacement + 0.5 * permanent


def latent_prediction(one_step: Tensor, one_target: Tensor, rolled: Tensor, encoded: Tensor) -> Tensor:
    """The JEPA term: one step from the encoded state and the whole rollout, against the encoded states.

    Args:
        one_step: predictions from the encoded state before, of some steps [B, H, O, M, D].
        one_target: encoded states of these steps.
        rolled: the rollout from z_0 [B, H, T', M, D], T' <= T.
        encoded: encoded true states [B, H, T, M, D]; no gradient flows into it.
    """
    rolled_target = encoded[:, :, : rolled.shape[2]].detach()
    return smooth_l1_loss(one_step, one_target.detach()) + 0.5 * smooth_l1_loss(rolled, rolled_target)


def variance_covariance(tokens: Tensor) -> Tensor:
    """VICReg's variance and covariance terms over simulations x steps, never over the tokens of one part.

    Source: Bardes, Ponce, LeCun, VICReg, ICLR 2022, eqs. 1 to 4.

    Args:
        tokens: [B, H, T, M, D].
    """
    pooled = tokens.mean(dim=3).reshape(-1, tokens.shape[-1])
    centred = pooled - pooled.mean(dim=0)
    spread = torch.sqrt(centred.var(dim=0) + 1e-4)
    covariance = centred.T @ centred / (len(pooled) - 1)
    width = tokens.shape[-1]
    off_diagonal = covariance.pow(2).sum() - covariance.diagonal().pow(2).sum()
    return relu(1 - spread).mean() + off_diagonal / (width * (width - 1))
