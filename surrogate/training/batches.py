"""Draws what one optimiser step sees: parts, histories of each, states of each history.

Shape letters: B parts, H histories, T steps, S states, M tokens, F features.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogate.model.decoder import AnchorState
from surrogate.model.graph import PartGraph
from surrogate.model.invariant_features import INCREMENT_FEATURES
from surrogate.training.losses import TokenTruth
from surrogate.training.sample_store import SampleStore
from surrogate.training.samples import TrainingSample


@dataclass(frozen=True)
class TrainingBatch:
    """Some parts with some histories each; shorter histories stand still at their end.

    Attributes:
        samples: the parts.
        histories: chosen histories of each part [B, H].
        graphs: graphs of the parts.
        actions: [B, H, T, M, F].
        displacement_features: [B, H, T, DISPLACEMENT_FEATURES].
        pooled: features of the true states [B, H, T, M, POOLED_FEATURES].
        truth: true token scalars.
        wanted: states to decode of each part: position among the chosen histories, and among the kept steps [B, S, 2].
    """

    samples: list[TrainingSample]
    histories: Tensor
    graphs: list[PartGraph]
    actions: Tensor
    displacement_features: Tensor
    pooled: Tensor
    truth: TokenTruth
    wanted: Tensor

    def decoded(self, part: int) -> "DecodedStates":
        """The states to decode of one part, with their truth."""
        sample, (position, kept) = self.samples[part], self.wanted[part].unbind(1)
        history = self.histories[part][position]
        step = sample.kept[history, kept]
        strain, equivalent = sample.strain[history, kept].float(), sample.equivalent[history, kept].float()
        anchor = sample.anchor(torch.stack([history, kept], dim=1))
        return DecodedStates(position, step, anchor, strain, equivalent)


@dataclass(frozen=True)
class DecodedStates:
    """States of one part whose fields are decoded.

    Attributes:
        position: of each state's history among the chosen ones [S].
        step: of each state [S].
        anchor: the reduced anchor there.
        strain: true plastic strain [S, A, 4, 6].
        equivalent: true equivalent plastic strain [S, A, 4].
    """

    position: Tensor
    step: Tensor
    anchor: AnchorState
    strain: Tensor
    equivalent: Tensor


def make_batch(samples: list[TrainingSample], histories: Tensor, wanted: Tensor) -> TrainingBatch:
    """Put chosen histories and states of some parts together."""
    longest = max(sample.factors.shape[1] for sample in samples)

    def pick(name: str) -> Tensor:
        arrays = [getattr(s, name)[chosen].float() for s, chosen in zip(samples, histories, strict=True)]
        return torch.stack([_held(array, longest) for array in arrays])

    truth = TokenTruth(*map(pick, ("token_plastic", "token_von_mises", "displacement", "permanent_set")))
    graphs = [sample.graph for sample in samples]
    actions, displacement, pooled = map(pick, ("actions", "displacement_features", "pooled"))
    for action, sample in zip(actions, samples, strict=True):
        action[:, sample.factors.shape[1] :, :, INCREMENT_FEATURES] = 0.0
    return TrainingBatch(samples, histories, graphs, actions, displacement, pooled, truth, wanted)


def _held(array: Tensor, steps: int) -> Tensor:
    """[H, T, ...] with its last step repeated up to so many steps."""
    missing = steps - array.shape[1]
    return array if missing == 0 else torch.cat([array, array[:, -1:].expand(-1, missing, *array.shape[2:])], dim=1)


def draw_batch(
    samples: SampleStore, generator: np.random.Generator, parts: int, histories: int, states: int
) -> TrainingBatch:
    """A random batch; each history gives some of its kept states."""
    positions = generator.choice(len(samples), size=parts, replace=len(samples) < parts)
    chosen = [samples[int(i)] for i in positions]
    picks = np.stack(
        [generator.choice(len(s.factors), size=histories, replace=len(s.factors) < histories) for s in chosen]
    )
    wanted = [
        [
            [h, k]
            for h in range(histories)
            for k in generator.choice(s.kept.shape[1], size=states, replace=s.kept.shape[1] < states)
        ]
        for s in chosen
    ]
    return make_batch(chosen, torch.from_numpy(picks), torch.tensor(wanted))
