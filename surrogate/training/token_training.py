"""Trains a small graph JEPA on tokens alone, for the ablations, and judges it on validation parts.

Shape letters: B parts, H histories, T steps, M tokens, D width, S samples, R histories of all parts.
"""

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from surrogate.model.decoder import TokenScalars
from surrogate.model.encoder import Geometry
from surrogate.training.collapse import CollapseReport, monitor
from surrogate.training.losses import TokenTruth, token_scalars, variance_covariance
from surrogate.training.token_data import PLASTIC, STRESS, TokenTable
from surrogate.training.token_jepa import TokenBatch, TokenJepa, TokenRun, TokenSettings, TokenSource, latents, source

# Largest plastic strain, in yield strains, from which a history counts as plastic.
_PLASTIC = 0.05
# Every second validation history is judged.
_JUDGED = 2
_BLOBS, _BLOB_SHARE = 4, (0.15, 0.20)
# The largest von Mises stress is the anchor's own (see `TokenHeads`), so no arm differs in it.
SCALARS = ("peak plastic strain", "permanent set")


def labelled_parts(count: int, wanted: int, seed: int) -> list[int]:
    """The training parts whose labels a run may use; fewer labels are a subset of more."""
    order = np.random.default_rng([seed, 7]).permutation(count)
    return sorted(int(part) for part in order[: wanted or count])


def draw_rows(table: TokenTable, parts: list[int], generator: np.random.Generator, batch: int) -> Tensor:
    """Two histories each of some of the parts [2 batch]."""
    first = torch.searchsorted(table.part, torch.arange(int(table.part[-1]) + 2))
    chosen = generator.choice(parts, size=batch, replace=len(parts) < batch)
    rows = []
    for part in chosen:
        low, high = int(first[part]), int(first[part + 1])
        rows += [low + int(i) for i in generator.choice(high - low, size=2, replace=high - low < 2)]
    return torch.tensor(rows)


def sketched_isotropy(samples: Tensor, directions: Tensor, knots: int = 17) -> Tensor:
    """SIGReg: how far random projections of the samples are from a standard normal.

    The Epps-Pulley statistic, the weighted square of the distance between the empirical characteristic function and
    exp(-t^2/2), mean over the directions. About 1.05 for a Gaussian, 0.40 S for S equal samples at zero.

    Source: Balestriero, LeCun, LeJEPA, 2025, arXiv:2511.08544; Epps, Pulley, Biometrika 70, 1983.

    Args:
        samples: [S, D].
        directions: [D, P], any length.
        knots: of the trapezoidal rule over |t| <= 3.
    """
    t = torch.linspace(0, 3, knots)
    normal = torch.exp(-(t**2) / 2)
    weights = torch.full((knots,), 2 * 3 / (knots - 1))
    weights[[0, -1]] /= 2
    phase = (samples @ (directions / directions.norm(dim=0)))[..., None] * t  # [S, P, knots]
    apart = (phase.cos().mean(dim=0) - normal) ** 2 + phase.sin().mean(dim=0) ** 2
    return len(samples) * (apart @ (weights * normal)).mean()


def blob_mask(distance: Tensor, generator: torch.Generator) -> Tensor:
    """Contiguous blobs of tokens to hide, each a random token with its nearest [B, M]; distances [B, M, M]."""
    batch, count = distance.shape[:2]
    masked = torch.zeros(batch, count, dtype=torch.bool)
    for _ in range(_BLOBS):
        share = float(torch.empty(()).uniform_(*_BLOB_SHARE, generator=generator))
        seeds = torch.randint(count, (batch,), generator=generator)
        nearest = distance[torch.arange(batch), seeds].argsort(dim=1)[:, : round(share * count)]
        masked.scatter_(1, nearest, True)
    return masked


class TokenTraining:
    """The mutable state of one run."""

    def __init__(self, run: TokenRun, settings: TokenSettings, training: TokenTable) -> None:
        torch.manual_seed(run.seed)
        self.run, self.settings = run, settings
        self.model = TokenJepa(settings.width)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.target = copy.deepcopy(self.model).requires_grad_(False) if run.collapse == "ema" else None
        self.learn_from(source(training, training, run))

    def learn_from(self, parts: TokenSource) -> None:
        """Take the parts of all steps that follow from here."""
        self.source, count = parts, len(parts.table.geometry)
        self.labelled, self.every = labelled_parts(count, self.run.parts, self.run.seed), list(range(count))

    def optimise(self, steps: int, phase: int) -> None:
        """Optimiser steps of a phase: 0 with labels, 1 before them."""
        run, settings = self.run, self.settings
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.learning_rate, weight_decay=1e-2, fused=True)
        for step in range(steps):
            warm = min(1.0, (step + 1) / (0.08 * steps + 1))
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * warm * (0.01 + 0.495 * (1 + math.cos(math.pi * step / steps)))
            # Every arm of an ablation draws the same parts and histories at the same step.
            generator = np.random.default_rng([run.seed, step, phase])
            torch.manual_seed(int(generator.integers(2**31)))
            loss = self._before(generator) if phase else self._loss(generator)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            self._follow(self.average, min(settings.average_decay, (step + 1) / (step + 10)))
            if self.target is not None:
                self._follow(self.target, settings.target_decay)

    @torch.no_grad()
    def _follow(self, slow: nn.Module, decay: float) -> None:
        torch._foreach_lerp_(list(slow.parameters()), list(self.model.parameters()), 1 - decay)

    def _before(self, generator: np.random.Generator) -> Tensor:
        table = self.source.table
        batch = self.source.batch(draw_rows(table, self.every, generator, self.settings.batch), 2)
        if self.run.first == "dynamics":
            return self._latent(batch, self.model.geometry(batch.geometry, batch.distance))
        masked = blob_mask(batch.distance, torch.Generator().manual_seed(int(generator.integers(2**31))))
        found = self.model.geometry(batch.geometry, batch.distance, masked)
        return smooth_l1_loss(self.model.geometry.rebuild(found.tokens)[masked], batch.geometry[masked])

    def _loss(self, generator: np.random.Generator) -> Tensor:
        run, size = self.run, self.settings.batch
        batch = self.source.batch(draw_rows(self.source.table, self.labelled, generator, size), 2)
        geometry = self.model.geometry(batch.geometry, batch.distance)
        rolled = self.model.roll(batch.actions, geometry, run.rollout)
        read = self.model.scalars(rolled.flatten(1, 2), geometry, batch, run.anchor)
        loss = token_scalars(read, batch.truth)
        if run.rollout == "decoded":
            loss = loss + smooth_l1_loss(self.model.read_state(rolled), batch.pooled)
        if run.latent == "none":
            return loss
        loss = loss + self._latent(batch, geometry, rolled)
        if run.latent == "all":
            batch = self.source.batch(draw_rows(self.source.table, self.every, generator, size), 2)
            loss = loss + self._latent(batch, self.model.geometry(batch.geometry, batch.distance))
        return loss

    def _latent(self, batch: TokenBatch, geometry: Geometry, rolled: Tensor | None = None) -> Tensor:
        """Latent prediction, collapse control and inverse dynamics on a batch."""
        run, settings, core = self.run, self.settings, self.model.core
        encoded, before = latents(self.model, batch, geometry)
        target = encoded
        if self.target is not None:
            with torch.no_grad():
                still = self.target.geometry(batch.geometry, batch.distance)
                target = latents(self.target, batch, still)[0]
        target = target.detach() if run.stop_gradient else target
        one = torch.randperm(batch.actions.shape[2])[: settings.one_step_states].tolist()
        shape = (before[:, :, one].flatten(1, 2), batch.actions[:, :, one].flatten(1, 2))
        loss = smooth_l1_loss(core.predictor(*shape, geometry), target[:, :, one].flatten(1, 2))
        if not run.one_step_only:
            rolled = self.model.roll(batch.actions, geometry, run.rollout) if rolled is None else rolled
            loss = loss + 0.5 * smooth_l1_loss(rolled, target)
        loss = settings.latent_weight * loss
        if run.inverse:
            inverse = (core.inverse(before, encoded) - batch.actions).pow(2).mean()
            loss = loss + settings.inverse_weight * inverse
        if run.collapse == "vicreg":
            loss = loss + settings.collapse_weight * variance_covariance(encoded)
        if run.collapse == "sigreg":
            pooled = encoded.mean(dim=3).flatten(0, 2)
            statistic = sketched_isotropy(pooled, torch.randn(pooled.shape[1], 64))
            loss = loss + settings.sigreg_weight * statistic
        return run.weight * loss


@dataclass(frozen=True)
class TokenOutcome:
    """What a run reached on validation histories that yield.

    Attributes:
        errors: relative errors by step and scalar, "STEP SCALAR" -> median and 90th percentile.
        anchor: the same of the anchor alone.
        collapse: the monitors.
        histories: how many yield at each step judged.
        seconds: CPU time of training.
    """

    errors: dict[str, tuple[float, float]]
    anchor: dict[str, tuple[float, float]]
    collapse: dict[str, float]
    histories: dict[str, int]
    seconds: float


def train_tokens(run: TokenRun, settings: TokenSettings, training: TokenTable, validation: TokenTable) -> TokenOutcome:
    """Train as the run says and judge on validation parts; the same run gives the same outcome."""
    started = time.process_time()
    state = TokenTraining(run, settings, training)
    if run.first:
        state.optimise(settings.first_steps, 1)
    state.optimise(run.steps, 0)
    seconds = time.process_time() - started
    seen = source(validation, training, run)
    whole = validation.actions.shape[1]
    judged = (run.horizon, whole) if run.horizon else (0,)
    errors: dict[str, tuple[float, float]] = {}
    anchor: dict[str, tuple[float, float]] = {}
    histories: dict[str, int] = {}
    for steps in judged:
        found = judged_errors(state.average, seen, steps)
        name = str(steps or whole)
        histories[name] = len(next(iter(found[0].values())))
        for own, into in zip(found, (errors, anchor), strict=True):
            into.update({f"{name} {key}": quantiles(values) for key, values in own.items()})
    return TokenOutcome(errors, anchor, _monitored(state.average, seen).as_json(), histories, seconds)


def quantiles(values: Tensor) -> tuple[float, float]:
    """Median and 90th percentile of errors [R]."""
    return float(values.median()), float(values.quantile(0.9))


@torch.no_grad()
def judged_errors(model: TokenJepa, seen: TokenSource, steps: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Relative errors of the model and of its anchor at the last step of each validation history that yields."""
    rows = torch.arange(0, len(seen.table.part), _JUDGED)
    mine: dict[str, list[Tensor]] = {name: [] for name in SCALARS}
    bare: dict[str, list[Tensor]] = {name: [] for name in SCALARS}
    for some in torch.split(rows, 64):
        batch = seen.batch(some, 1, steps)
        geometry = model.geometry(batch.geometry, batch.distance)
        rolled = model.roll(batch.actions, geometry, seen.run.rollout)
        read = model.scalars(rolled.flatten(1, 2), geometry, batch, seen.run.anchor)
        actions, truth = batch.actions[:, 0], batch.truth
        alone = TokenScalars(
            torch.expm1(actions[..., PLASTIC]),
            actions[..., STRESS],
            batch.displacement_features[:, 0, :, 0],
            batch.displacement_features[:, 0, :, 2],
        )
        for scalars, into in ((read, mine), (alone, bare)):
            for name, error in zip(SCALARS, _errors(scalars, truth), strict=True):
                into[name].append(error)
    return tuple({name: torch.cat(parts) for name, parts in found.items()} for found in (mine, bare))  # type: ignore[return-value]


def _errors(read: TokenScalars, truth: TokenTruth) -> list[Tensor]:
    plastic = truth.plastic[:, -1].amax(-1)
    # Sets below half a per cent of the largest displacement are compared as if they were that large.
    scale = torch.maximum(truth.permanent_set[:, -1], 0.005 * truth.displacement.amax(1))
    pairs = [
        (read.plastic[:, -1].amax(-1), plastic, plastic),
        (read.permanent_set[:, -1], truth.permanent_set[:, -1], scale),
    ]
    return [((value - true).abs() / size)[plastic > _PLASTIC] for value, true, size in pairs]


@torch.no_grad()
def _monitored(model: TokenJepa, seen: TokenSource, parts: int = 32) -> CollapseReport:
    """The monitors on two histories of some parts, spread over all families."""
    first = torch.searchsorted(seen.table.part, torch.arange(int(seen.table.part[-1]) + 1))
    first = first[:: max(1, len(first) // parts)][:parts]
    batch = seen.batch(torch.stack([first, first + 1], dim=1).flatten(), 2)
    geometry = model.geometry(batch.geometry, batch.distance)
    encoded, before = latents(model, batch, geometry)
    rolled = model.roll(batch.actions, geometry, seen.run.rollout)
    one_step, shuffled = (
        model.core.predictor(before.flatten(1, 2), actions.flatten(1, 2), geometry).view_as(encoded)
        for actions in (batch.actions, batch.actions.roll(1, dims=1))
    )
    return monitor(model.core.state.virgin(geometry)[:, None], encoded, one_step, shuffled, rolled)
