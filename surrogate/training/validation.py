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
from surrogate.training.samples import TrainingSample

# Largest plastic strain, in yield strains, from which a state counts as plastic.
_PLASTIC = 0.05
_MONITORED_HISTORIES = 2


@torch.no_grad()
def validate(
    model: GraphJepa, samples: list[TrainingSample], parts: int = 32
) -> tuple[dict[str, float], CollapseReport]:
    """Errors of the plastic strain in the middle and at the end of all histories of some parts, and the monitors.

    Args:
        model: put into evaluation mode.
        samples: validation parts.
        parts: how many of them, at most.

    Raises:
        InputError: nothing yields in them, so there is nothing to judge.
    """
    model.eval()
    found = [_part(model, sample) for sample in samples[:parts]]
    columns = [torch.cat(column) for column in zip(*(errors for errors, _ in found), strict=True)]
    if not all(len(column) for column in columns):
        raise InputError(f"nothing yields in the {len(found)} validation parts; add parts to the campaign")
    names = ("plastic_rel_l2", "local_rel_l2", "peak", "local_peak")
    numbers = {f"{name}_median": float(column.median()) for name, column in zip(names, columns, strict=True)}
    numbers |= {f"{name}_p90": float(column.quantile(0.9)) for name, column in zip(names, columns, strict=True)}
    tokens = [torch.cat(parts) for parts in zip(*(latents for _, latents in found), strict=True)]
    return numbers, monitor(*tokens)


def _part(model: GraphJepa, sample: TrainingSample) -> tuple[list[Tensor], list[Tensor]]:
    """Errors of one part and the tokens that the monitors watch."""
    count, steps = sample.factors.shape[:2]
    wanted = torch.tensor([[h, t] for h in range(count) for t in (steps // 2, steps - 1)])
    batch = make_batch([sample], torch.arange(count)[None], wanted[None])
    latents = encode(model, batch, steps, list(range(steps)))
    local = sample.local(wanted)
    true = sample.strain[wanted[:, 0], wanted[:, 1]].float(), sample.equivalent[wanted[:, 0], wanted[:, 1]].float()
    rolled = latents.rolled[0][wanted[:, 0], wanted[:, 1]]
    field = model.field(sample.graph, latents.geometry.cells[0], rolled, latents.geometry.tokens[0], local)
    keep = true[1].flatten(1).amax(1) > _PLASTIC
    anchor = PlasticField(local.strain, local.equivalent)
    errors = [relative_field_error(f, *true, sample.graph.volume)[0][keep] for f in (field, anchor)]
    return errors + _peak_errors(model, sample, batch, latents), _monitored(model, batch, latents)


def _peak_errors(model: GraphJepa, sample: TrainingSample, batch: TrainingBatch, latents: Latents) -> list[Tensor]:
    """Relative error of the largest plastic strain of each history, read from the tokens and by the local anchor."""
    heads = model.heads(
        latents.rolled.flatten(1, 2), latents.geometry.tokens, batch.actions.flatten(1, 2),
        batch.displacement_features.flatten(1, 2),
    )  # fmt: skip
    count, steps = sample.factors.shape[:2]
    peak = heads.plastic.view(count, steps, -1)[:, -1].amax(-1)
    truth = sample.token_plastic[:, -1].amax(-1)
    anchor = torch.expm1(sample.actions[:, -1, :, 5]).amax(-1)
    plastic = truth > _PLASTIC
    return [(value / truth - 1).abs()[plastic] for value in (peak, anchor)]


def _monitored(model: GraphJepa, batch: TrainingBatch, latents: Latents) -> list[Tensor]:
    before = states_before(latents).flatten(1, 2)
    actions = batch.actions.roll(1, dims=1).flatten(1, 2)
    shuffled = model.predictor(before, actions, latents.geometry).view_as(latents.encoded)
    all_tokens = (latents.encoded, latents.one_step, shuffled, latents.rolled)
    return [latents.virgin, *(tokens[:, :_MONITORED_HISTORIES] for tokens in all_tokens)]
