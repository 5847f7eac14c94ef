"""A small graph JEPA on tokens alone and what it reads: what the runs of the ablations share and differ in.

Shape letters: B parts, H histories, T steps, O steps predicted from the state before, M tokens, D width.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from surrogate.model.attention import AttentionBlock, DistanceBias
from surrogate.model.decoder import TokenScalars
from surrogate.model.encoder import POOLED_FEATURES, Geometry
from surrogate.model.jepa import GraphJepa, ModelConfig
from surrogate.training.losses import TokenTruth
from surrogate.training.token_data import (
    GEOMETRY_FEATURES,
    PLASTIC,
    STRESS,
    Anchor,
    Inputs,
    TokenTable,
    accumulated,
    geometry_under,
    under_anchor,
)

Collapse = Literal["none", "vicreg", "sigreg", "ema"]
Rollout = Literal["latent", "decoded", "direct"]


@dataclass(frozen=True)
class TokenRun:
    """One run of the ablations.

    Attributes:
        anchor: what the features know.
        parts: labelled training parts; 0 for all.
        latent: "none" trains by the scalars alone; "labelled" adds latent prediction on the labelled parts; "all" also
            on as many parts drawn from all of training, whose scalars stay unused (their states are solved states).
        collapse: what keeps the latent space from collapsing.
        stop_gradient: no gradient flows into the latent targets.
        inverse: inverse dynamics.
        rollout: "latent" feeds tokens on; "decoded" feeds on the state read from them, encoded again; "direct" predicts
            each step from the virgin part by the accumulated action.
        horizon: train on so many single steps; 0 for whole histories in `stride` steps at once.
        first: what the weights learn before the labels: "masked" geometry, or "dynamics" (latent terms, all parts).
        one_step_only: the latent term leaves the rollout alone.
        weight: of all latent terms together, over that of the settings.
        tokens: M.
        stride: load steps of one action.
        steps: optimiser steps.
        seed: of everything random.
    """

    anchor: Anchor = "reduced"
    parts: int = 0
    latent: Literal["none", "labelled", "all"] = "labelled"
    collapse: Collapse = "vicreg"
    stop_gradient: bool = True
    inverse: bool = True
    rollout: Rollout = "latent"
    horizon: int = 0
    first: Literal["", "masked", "dynamics"] = ""
    one_step_only: bool = False
    weight: float = 1.0
    tokens: int = 24
    stride: int = 4
    steps: int = 150
    seed: int = 0

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class TokenSettings:
    """Sizes that all runs share.

    Attributes:
        width: D.
        batch: parts of an optimiser step, of each two histories.
        one_step_states: O.
        learning_rate: peak; cosine to a hundredth after a warm-up.
        average_decay: of the moving average of the weights, which is judged.
        latent_weight: of latent prediction.
        collapse_weight: of VICReg; SIGReg, which grows with the number of samples, has `sigreg_weight`.
        sigreg_weight: of SIGReg.
        inverse_weight: of inverse dynamics.
        first_steps: optimiser steps before the labels, where there are any.
        target_decay: of the EMA target encoder.
    """

    width: int = 32
    batch: int = 12
    one_step_states: int = 2
    learning_rate: float = 3e-3
    average_decay: float = 0.98
    latent_weight: float = 1.0
    collapse_weight: float = 0.3
    sigreg_weight: float = 0.02
    inverse_weight: float = 0.1
    first_steps: int = 100
    target_decay: float = 0.98


@dataclass(frozen=True)
class TokenBatch:
    """Some histories of some parts.

    Attributes:
        geometry: [B, M, GEOMETRY_FEATURES], standardised.
        distance: [B, M, M].
        actions: [B, H, T, M, F].
        displacement_features: [B, H, T, 3].
        pooled: [B, H, T, M, POOLED_FEATURES].
        truth: [B, H x T, ...].
    """

    geometry: Tensor
    distance: Tensor
    actions: Tensor
    displacement_features: Tensor
    pooled: Tensor
    truth: TokenTruth


@dataclass(frozen=True, eq=False)
class TokenSource:
    """A split as a run sees it: the table, the run's anchor and steps, and the scale of the geometry."""

    table: TokenTable
    run: TokenRun
    mean: Tensor
    spread: Tensor

    def batch(self, rows: Tensor, histories: int, steps: int = 0) -> TokenBatch:
        """A batch of histories [B x H], those of a part one after another; so many single steps, 0 as the run has."""
        table, run = self.table, self.run
        single = steps or run.horizon
        groups = [1] * single if single else [run.stride] * (table.actions.shape[1] // run.stride)
        ends = torch.tensor(groups).cumsum(0) - 1
        part = table.part[rows]
        inputs = Inputs(
            accumulated(table.actions[rows].float(), groups),
            table.displacement_features[rows][:, ends],
            table.pooled[rows][:, ends].float(),
        )
        hardening = table.geometry[part, 0, -3]
        inputs = under_anchor(inputs, hardening, run.anchor)
        parts = part.view(-1, histories)[:, 0]
        geometry = (table.geometry[parts] - self.mean) / self.spread
        shape = (len(parts), histories)

        def grouped(values: Tensor) -> Tensor:
            return values.view(*shape, *values.shape[1:])

        truth = [
            grouped(values[rows][:, ends]).flatten(1, 2)
            for values in (table.plastic, table.von_mises, table.displacement, table.permanent_set)
        ]
        return TokenBatch(
            geometry_under(geometry, run.anchor),
            table.distance[parts],
            grouped(inputs.actions),
            grouped(inputs.displacement_features),
            grouped(inputs.pooled),
            TokenTruth(*truth),
        )


def source(table: TokenTable, training: TokenTable, run: TokenRun) -> TokenSource:
    """A split as a run sees it; the scale of the geometry is that of the training parts."""
    flat = training.geometry.flatten(0, 1)
    return TokenSource(table, run, flat.mean(dim=0), flat.std(dim=0) + 1e-3)


class TokenGeometry(nn.Module):
    """Geometry encoder over pooled features: what `GeometryEncoder` is after its message passing."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(GEOMETRY_FEATURES, width), nn.GELU(), nn.Linear(width, width))
        self.bias = DistanceBias()
        self.blocks = nn.ModuleList([AttentionBlock(width) for _ in range(layers)])
        self.hidden = nn.Parameter(torch.zeros(width))
        self.rebuild = nn.Linear(width, GEOMETRY_FEATURES)

    def forward(self, features: Tensor, distance: Tensor, masked: Tensor | None = None) -> Geometry:
        """Features [B, M, GEOMETRY_FEATURES], distances [B, M, M]; masked tokens [B, M] show only where they are."""
        tokens = self.embed(features)
        if masked is not None:
            tokens = torch.where(masked[..., None], self.hidden, tokens)
        bias, tokens = self.bias(distance), tokens[:, None]
        for block in self.blocks:
            tokens = block(tokens, bias)
        return Geometry(tokens[:, 0], bias, ())


class TokenJepa(nn.Module):
    """The graph JEPA with its geometry encoder read from pooled features; the field decoder stays unused."""

    def __init__(self, width: int) -> None:
        super().__init__()
        config = ModelConfig(
            width=width, cell_width=8, decoder_width=8, predictor_layers=1, geometry_layers=1, dropout=0.0
        )
        self.core = GraphJepa(config)
        self.geometry = TokenGeometry(width, config.geometry_layers)
        self.read_state = nn.Linear(width, POOLED_FEATURES)

    def roll(self, actions: Tensor, geometry: Geometry, rollout: Rollout) -> Tensor:
        """Tokens after each action [B, H, T, M, D]."""
        if rollout == "latent":
            return self.core.roll(actions, geometry)
        b, h, t, m, _ = actions.shape
        virgin = self.core.state.virgin(geometry)
        if rollout == "direct":
            whole = torch.cat([accumulated(actions, (step + 1,)) for step in range(t)], dim=2)
            start = virgin.expand(b, h * t, *virgin.shape[2:])
            return self.core.predictor(start, whole.flatten(1, 2), geometry).view(b, h, t, m, -1)
        tokens, states = virgin.expand(b, h, *virgin.shape[2:]), []
        for step in range(t):
            predicted = self.core.predictor(tokens, actions[:, :, step], geometry)
            states.append(predicted)
            tokens = self.core.state(self.read_state(predicted), geometry)
        return torch.stack(states, dim=2)

    def scalars(self, tokens: Tensor, geometry: Geometry, batch: TokenBatch, anchor: Anchor) -> TokenScalars:
        """Scalars of tokens [B, G, M, D], G histories x steps; a weak anchor is corrected without its own doubt."""
        actions, displacement = batch.actions.flatten(1, 2), batch.displacement_features.flatten(1, 2)
        if anchor == "reduced":
            read: TokenScalars = self.core.heads(tokens, geometry.tokens, actions, displacement)
            return read
        known = geometry.tokens[:, None].expand_as(tokens)
        out = self.core.heads.token(torch.cat([tokens, known, actions], dim=-1))
        more = torch.expm1(softplus(out[..., 1] - 5).clamp(max=8))
        plastic = torch.exp(out[..., 0].clamp(-4, 4)) * torch.expm1(actions[..., PLASTIC]) + more
        pooled = torch.cat([tokens.mean(dim=2), tokens.amax(dim=2), displacement], dim=-1)
        change, ratio = self.core.heads.part(pooled).unbind(-1)
        # Nothing stays where nothing yields, so the head need not learn the many zeros; bounded, never without slope.
        top = plastic.amax(dim=-1)
        permanent = top / (top + 0.05) * 0.05 * torch.exp(4 * torch.tanh(ratio / 4))
        return TokenScalars(plastic, actions[..., STRESS], displacement[..., 0] + change, permanent)


def latents(model: TokenJepa, batch: TokenBatch, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Encoded true states [B, H, T, M, D] and those before each step."""
    b, h, t, m, _ = batch.actions.shape
    encoded = model.core.state(batch.pooled.flatten(1, 2), geometry).view(b, h, t, m, -1)
    virgin = model.core.state.virgin(geometry)[:, None].expand(b, h, 1, m, -1)
    return encoded, torch.cat([virgin, encoded[:, :, :-1]], dim=2)
