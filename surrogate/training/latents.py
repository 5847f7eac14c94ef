"""Tokens of a batch: encoded from the true states, predicted one step on, and rolled out.

Shape letters: B parts, H histories, T steps, O steps predicted from the state before, M tokens, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from surrogate.model.encoder import Geometry
from surrogate.model.jepa import GraphJepa
from surrogate.training.batches import TrainingBatch


@dataclass(frozen=True)
class Latents:
    """Tokens of a batch.

    Attributes:
        geometry: of the parts.
        virgin: before any load [B, 1, 1, M, D].
        encoded: of the true states [B, H, T, M, D].
        one_step: predicted from the encoded state before [B, H, O, M, D].
        rolled: rolled out from the virgin part [B, H, T', M, D].
    """

    geometry: Geometry
    virgin: Tensor
    encoded: Tensor
    one_step: Tensor
    rolled: Tensor


def encode(model: GraphJepa, batch: TrainingBatch, rollout_steps: int, one: list[int]) -> Latents:
    """Encode the true states, predict those of the steps `one` from the state before, roll out from the virgin part."""
    geometry = model.geometry(batch.graphs)
    virgin = model.state.virgin(geometry)[:, None]  # [B, 1, 1, M, D]
    b, h, t, m, _ = batch.actions.shape
    encoded = model.state(batch.pooled.flatten(1, 2), geometry).view(b, h, t, m, -1)
    before = torch.cat([virgin.expand(b, h, 1, m, -1), encoded[:, :, :-1]], dim=2)
    one_step = model.predictor(before[:, :, one].flatten(1, 2), batch.actions[:, :, one].flatten(1, 2), geometry)
    one_step = one_step.view(b, h, len(one), m, -1)
    rolled = model.roll(batch.actions[:, :, :rollout_steps], geometry)
    return Latents(geometry, virgin, encoded, one_step, rolled)


def states_before(latents: Latents) -> Tensor:
    """The encoded state before each step [B, H, T, M, D]."""
    encoded = latents.encoded
    return torch.cat([latents.virgin.expand_as(encoded[:, :, :1]), encoded[:, :, :-1]], dim=2)
