"""Is the latent space alive? Monitors on a fixed batch of validation parts.

Sources: RankMe, Garrido et al., ICML 2023; participation ratio, Gao et al., bioRxiv 2017.
Shape letters: B parts, H histories, T steps, M tokens, D width.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

RANK_ALARM, DYNAMIC_ALARM, SHUFFLE_ALARM, DRIFT_ALARM = 2.0, 0.15, 1.0, 2.0


@dataclass(frozen=True)
class CollapseReport:
    """The monitors.

    Attributes:
        participation_ratio: effective number of latent dimensions over all states and parts.
        rank_me: RankMe of the same.
        rank_within_part: participation ratio over the states of one part, mean over parts; alarm below 2.
        dynamic_share: norm of the change of the tokens since the virgin state over their spread; alarm below 0.15.
        copy_ratio: |p_1 - z_t| / |z_{t+1} - z_t|; near 0 the predictor copies its input.
        shuffled_ratio: one-step loss with other histories' actions over the loss with the true ones; must exceed 1.
        drift: distance of the last rolled-out from the encoded tokens over the encoded spread; alarm above 2.
    """

    participation_ratio: float
    rank_me: float
    rank_within_part: float
    dynamic_share: float
    copy_ratio: float
    shuffled_ratio: float
    drift: float

    def alarms(self) -> tuple[str, ...]:
        """The monitors that have passed their limit, in words."""
        checks = (
            (self.rank_within_part < RANK_ALARM, f"rank within a part {self.rank_within_part:.2f} below {RANK_ALARM}"),
            (self.dynamic_share < DYNAMIC_ALARM, f"dynamic share {self.dynamic_share:.2f} below {DYNAMIC_ALARM}"),
            (self.shuffled_ratio <= SHUFFLE_ALARM, f"shuffled actions cost {self.shuffled_ratio:.2f} times, not more"),
            (self.drift > DRIFT_ALARM, f"rollout drift {self.drift:.2f} above {DRIFT_ALARM}"),
        )
        return tuple(text for failed, text in checks if failed)

    def as_json(self) -> dict[str, float]:
        """Plain numbers."""
        return asdict(self)


def participation_ratio(samples: Tensor) -> float:
    """(sum of eigenvalues)^2 / sum of their squares, of the covariance of samples [S, D]."""
    centred = samples - samples.mean(dim=0)
    values = torch.linalg.svdvals(centred.double()) ** 2
    return float(values.sum() ** 2 / (values**2).sum().clamp(min=1e-30))


def rank_me(samples: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values of samples [S, D]."""
    values = torch.linalg.svdvals(samples.double())
    shares = values / values.sum().clamp(min=1e-30) + 1e-12
    return float(torch.exp(-(shares * shares.log()).sum()))


def monitor(virgin: Tensor, encoded: Tensor, one_step: Tensor, shuffled: Tensor, rolled: Tensor) -> CollapseReport:
    """The monitors from tokens [B, H, T, M, D] (virgin: [B, 1, 1, M, D]).

    Args:
        virgin: tokens before any load.
        encoded: encoded true states after each step.
        one_step: predicted from the encoded state before, true action.
        shuffled: the same with the actions of another history.
        rolled: the rollout from the virgin state.
    """
    before = torch.cat([virgin.expand_as(encoded[:, :, :1]), encoded[:, :, :-1]], dim=2)
    pooled = encoded.mean(dim=3)
    change = encoded - virgin
    moved = (encoded - before).norm()
    true_loss = (one_step - encoded).pow(2).mean()
    spread = encoded.std(dim=(0, 1, 2, 3)).clamp(min=1e-6)
    flat = pooled.reshape(-1, pooled.shape[-1])
    return CollapseReport(
        participation_ratio=participation_ratio(flat),
        rank_me=rank_me(flat),
        rank_within_part=sum(participation_ratio(part.reshape(-1, part.shape[-1])) for part in pooled) / len(pooled),
        dynamic_share=float(change.norm() / (encoded - encoded.mean(dim=(0, 1, 2, 3))).norm().clamp(min=1e-12)),
        copy_ratio=float((one_step - before).norm() / moved.clamp(min=1e-12)),
        shuffled_ratio=float((shuffled - encoded).pow(2).mean() / true_loss.clamp(min=1e-12)),
        drift=float((((rolled[:, :, -1] - encoded[:, :, -1]) / spread) ** 2).mean().sqrt()),
    )
