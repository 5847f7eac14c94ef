"""Draws what one optimiser step sees: parts, histories of each, states of each history.

Shape letters: B parts, H histories, T steps, M tokens.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogate.model.encoder import state_features
from surrogate.model.graph import PartGraph
from surrogate.training.losses import TokenTruth
from surrogate.training.samples import TrainingSample


@dataclass(frozen=True)
class TrainingBatch:
    """Some parts with some histories each.

    Attributes:
        samples: the parts.
        histories: chosen histories of each part [B, H].
        graphs: graphs of the parts.
        actions: [B, H, T, M, F].
        displacement_features: [B, H, T, 2].
        truth: true token scalars.
        wanted: states to decode of each part: position among the chosen histories, and step [B, S, 2].
    """

    samples: list[TrainingSample]
    histories: Tensor
    graphs: list[PartGraph]
    actions: Tensor
    displacement_features: Tensor
    truth: TokenTruth
    wanted: Tensor

    def true_state_features(self) -> list[Tensor]:
        """What the state encoder reads, B tensors [H*T, A, 4, features]."""
        result = []
        for sample, chosen in zip(self.samples, self.histories, strict=True):
            parts = (sample.strain, sample.equivalent, sample.local_strain, sample.local_equivalent)
            result.append(state_features(*(part[chosen].float().flatten(0, 1) for part in parts)))
        return result


def make_batch(samples: list[TrainingSample], histories: Tensor, wanted: Tensor) -> TrainingBatch:
    """Put chosen histories and states of some parts together."""

    def pick(name: str) -> Tensor:
        return torch.stack([getattr(s, name)[chosen] for s, chosen in zip(samples, histories, strict=True)])

    truth = TokenTruth(pick("token_plastic"), pick("token_von_mises"), pick("displacement"))
    graphs = [sample.graph for sample in samples]
    return TrainingBatch(samples, histories, graphs, pick("actions"), pick("displacement_features"), truth, wanted)


def draw_batch(
    samples: list[TrainingSample], generator: np.random.Generator, parts: int, histories: int, states: int
) -> TrainingBatch:
    """A random batch; each history's last step is always among its decoded states."""
    chosen = [samples[i] for i in generator.choice(len(samples), size=parts, replace=len(samples) < parts)]
    picks = np.stack(
        [generator.choice(len(s.factors), size=histories, replace=len(s.factors) < histories) for s in chosen]
    )
    steps = chosen[0].factors.shape[1]
    wanted = []
    for _ in chosen:
        drawn = [
            [h, t]
            for h in range(histories)
            for t in [steps - 1, *generator.choice(steps - 1, size=states - 1, replace=False)]
        ]
        wanted.append(drawn)
    return make_batch(chosen, torch.from_numpy(picks), torch.tensor(wanted))
