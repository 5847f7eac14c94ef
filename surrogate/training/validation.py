"""How well a model does on validation parts while it trains, and whether its latent space is alive.

Shape letters: B parts, H histories, T steps, S states, M tokens, D width.
"""

import torch
from torch import Tensor

from surrogate.errors import InputError
from surrogate.model.decoder import PlasticField
from surrogate.model.jepa import GraphJepa
from surrogate.training.batches import TrainingBatch, make_batch
from surrogate.training.collapse import CollapseReport, monitor
from surrogate.training.latents import Latents, encode, states_before
from surrogate.training.losses import relative_field_error
from surrogate.training.sample_store import SampleStore
from surrogate.training.samples import TrainingSample

# Largest plastic strain, in yield strains, from which a state counts as plastic.
_PLASTIC = 0.05
_MONITORED_HISTORIES = 2
_NAMES = (
    "plastic_rel_l2", "anchor_rel_l2", "peak", "anchor_peak", "von_mises", "anchor_von_mises", "set", "anchor_set",
)  # fmt: skip


@torch.no_grad()
def validate(model: GraphJepa, samples: SampleStore, parts: int = 32) -> tuple[dict[str, float], CollapseReport]:
    """Errors of the plastic strain in the kept states of some parts, of what is read from tokens, and the monitors.

    Args:
        model: put into evaluation mode.
        samples: validation parts.
        parts: how many of them, at most.

    Raises:
        InputError: nothing yields in them, so there is nothing to judge.
    """
    model.eval()
    # Samples are sorted by family; a stride keeps all families in.
    chosen = range(0, len(samples), max(1, len(samples) // parts))[:parts]
    found = [_part(model, samples[position]) for position in chosen]
    columns = [torch.cat(column) for column in zip(*(errors for errors, _ in found), strict=True)]
    if not all(len(column) for column in columns):
        raise InputError(f"nothing yields in the {len(found)} validation parts; add parts to the campaign")
    numbers = {f"{name}_median": float(column.median()) for name, column in zip(_NAMES, columns, strict=True)}
    numbers |= {f"{name}_p90": float(column.quantile(0.9)) for name, column in zip(_NAMES, columns, strict=True)}
    tokens = [torch.cat(parts) for parts in zip(*(latents for _, latents in found), strict=True)]
    return numbers, monitor(*tokens)


def _part(model: GraphJepa, sample: TrainingSample) -> tuple[list[Tensor], list[Tensor]]:
    """Errors of one part and the tokens that the monitors watch."""
    count, steps = sample.factors.shape[:2]
    every = [[h, k] for h in range(count) for k in range(sample.kept.shape[1])]
    batch = make_batch([sample], torch.arange(count)[None], torch.tensor([every]))
    latents = encode(model, batch, steps, list(range(steps)))
    states = batch.decoded(0)
    rolled = latents.rolled[0][states.position, states.step]
    field = model.field(sample.graph, latents.geometry.cells[0], rolled, latents.geometry.tokens[0], states.anchor)
    keep = states.equivalent.flatten(1).amax(1) > _PLASTIC
    anchor = PlasticField(states.anchor.strain, states.anchor.equivalent)
    errors = [
        relative_field_error(f, states.strain, states.equivalent, sample.graph.volume)[0][keep] for f in (field, anchor)
    ]
    return errors + _read_errors(model, sample, batch, latents), _monitored(model, batch, latents)


def _read_errors(model: GraphJepa, sample: TrainingSample, batch: TrainingBatch, latents: Latents) -> list[Tensor]:
    """Relative errors of what is read from the tokens, and of the anchor beside, at the end of each plastic history."""
    heads = model.heads(
        latents.rolled.flatten(1, 2), latents.geometry.tokens, batch.actions.flatten(1, 2),
        batch.displacement_features.flatten(1, 2),
    )  # fmt: skip
    count, steps = sample.factors.shape[:2]
    truth = sample.token_plastic[:, -1].amax(-1)
    actions = sample.actions.float()
    stress = sample.token_von_mises.amax((1, 2))
    # Sets below half a per cent of the largest displacement are compared as if they were that large.
    scale = torch.maximum(sample.permanent_set[:, -1], 0.005 * sample.displacement.amax(1))
    pairs = [
        (heads.plastic.view(count, steps, -1)[:, -1].amax(-1), truth, truth),
        (torch.expm1(actions[:, -1, :, 5]).amax(-1), truth, truth),
        (heads.von_mises.view(count, steps, -1).amax((1, 2)), stress, stress),
        (actions[..., 1].amax((1, 2)), stress, stress),
        (heads.permanent_set.view(count, steps)[:, -1], sample.permanent_set[:, -1], scale),
        (sample.displacement_features[:, -1, 2], sample.permanent_set[:, -1], scale),
    ]
    return [((value - true).abs() / size)[truth > _PLASTIC] for value, true, size in pairs]


def _monitored(model: GraphJepa, batch: TrainingBatch, latents: Latents) -> list[Tensor]:
    before = states_before(latents).flatten(1, 2)
    actions = batch.actions.roll(1, dims=1).flatten(1, 2)
    shuffled = model.predictor(before, actions, latents.geometry).view_as(latents.encoded)
    all_tokens = (latents.encoded, latents.one_step, shuffled, latents.rolled)
    return [latents.virgin, *(tokens[:, :_MONITORED_HISTORIES] for tokens in all_tokens)]
