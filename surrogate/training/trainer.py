"""Trains the graph JEPA, from random weights or from a model's; resumable, the same seed gives the same run.

Shape letters: B parts, H histories, T steps, S states, M tokens, D width.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from surrogate.data.dataset import open_dataset
from surrogate.data.splits import Split, SplitRule
from surrogate.errors import InputError
from surrogate.model.checkpoint import save_checkpoint
from surrogate.model.device import choose_device
from surrogate.model.jepa import GraphJepa
from surrogate.training import distributed
from surrogate.training.batches import DecodedStates, TrainingBatch, draw_batch
from surrogate.training.config import TrainingConfig
from surrogate.training.latents import Latents, encode, states_before
from surrogate.training.losses import (
    TokenTruth,
    grounding,
    latent_prediction,
    relative_field_error,
    token_scalars,
    variance_covariance,
)
from surrogate.training.run_state import RunState
from surrogate.training.sample_store import SampleStore
from surrogate.training.validation import validate

Progress = Callable[[int, int, dict[str, float]], None]
# Share of the decoded parts that must do without the equilibrium defect, since parts on a coarse anchor have none.
_WITHOUT_DEFECT = 0.1
_LOG = "log.jsonl"


def load_samples(config: TrainingConfig, split: Split, campaign: Path | None = None) -> SampleStore:
    """Prepared samples of a split, prepared where they are not yet.

    Args:
        config: the run.
        split: which parts.
        campaign: folder to take them from; None for that of the run.

    Raises:
        InputError: no parts in that split, or nothing in them comes near yield.
    """
    data = campaign or config.data
    dataset = open_dataset(data)
    entries = dataset.split(split, SplitRule(config.left_out_family)).entries
    if not entries:
        raise InputError(
            f"none of the {len(dataset)} parts in {data.name!r} is a {split} part: by their number three quarters "
            "train, a tenth validates, the rest tests; add parts (some 20 of them fill all three)"
        )
    if split == "train" and config.label_share < 1:
        order = np.random.default_rng([config.seed, 7]).permutation(len(entries))
        entries = tuple(entries[i] for i in sorted(order[: max(1, round(config.label_share * len(entries)))]))
    samples = SampleStore([entry.path for entry in entries], data, config.model)
    if not len(samples):
        raise InputError(
            f"nothing comes near yield in the {len(entries)} {split} parts in {data.name!r}, and the elastic answer is "
            "exact without training; add parts or histories that yield"
        )
    return samples


def batch_loss(
    model: GraphJepa, batch: TrainingBatch, config: TrainingConfig, rollout_steps: int
) -> tuple[Tensor, dict[str, float]]:
    """The whole objective of MODEL on a batch and its terms."""
    one = torch.randperm(batch.actions.shape[2])[: config.one_step_states].tolist()
    latents = encode(model, batch, rollout_steps, one)
    rolled, encoded = latents.rolled, latents.encoded
    ground, errors = _grounding(model, batch, latents, rollout_steps)
    heads = token_scalars(
        model.heads(
            rolled.flatten(1, 2),
            latents.geometry.tokens,
            batch.actions[:, :, :rollout_steps].flatten(1, 2),
            batch.displacement_features[:, :, :rollout_steps].flatten(1, 2),
        ),
        _truth(batch, rollout_steps),
    )
    loss = ground + heads
    terms = {"grounding": ground.item(), "heads": heads.item(), "plastic_rel_l2": errors}
    if config.latent_weight > 0:
        latent = latent_prediction(latents.one_step, encoded[:, :, one], rolled, encoded)
        collapse = variance_covariance(encoded)
        inverse = (model.inverse(states_before(latents), encoded) - batch.actions).pow(2).mean()
        loss = (
            loss + config.latent_weight * latent + config.collapse_weight * collapse + config.inverse_weight * inverse
        )
        terms |= {"latent": latent.item(), "collapse": collapse.item(), "inverse": inverse.item()}
    return loss, terms


def _truth(batch: TrainingBatch, steps: int) -> TokenTruth:
    truth = batch.truth
    parts = (truth.plastic, truth.von_mises, truth.displacement, truth.permanent_set)
    return TokenTruth(*(part[:, :, :steps].flatten(1, 2) for part in parts))


def _grounding(model: GraphJepa, batch: TrainingBatch, latents: Latents, rollout_steps: int) -> tuple[Tensor, float]:
    """Decode the rolled-out tokens of the wanted states, and the encoded tokens of one of them, part by part."""
    total, errors = latents.rolled.new_zeros(()), []
    for i, graph in enumerate(batch.graphs):
        states = batch.decoded(i)
        if batch.actions.device != states.strain.device:
            states = _moved_states(states, batch.actions.device)
        # Early in training the rollout is shorter; later states are decoded from the last tokens there are.
        step = states.step.clamp(max=rollout_steps - 1)
        anchor, geometry, cells = states.anchor, latents.geometry.tokens[i], latents.geometry.cells[i]
        if torch.rand(()) < _WITHOUT_DEFECT:
            anchor = replace(anchor, defect=torch.zeros_like(anchor.defect))
        field = model.field(graph, cells, latents.rolled[i][states.position, step], geometry, anchor)
        total = total + grounding(field, states.strain, states.equivalent, graph.volume)
        errors.append(relative_field_error(field, states.strain, states.equivalent, graph.volume)[0].detach().median())
        one = torch.randint(len(step), (1,))
        encoded = latents.encoded[i][states.position[one], states.step[one]]
        field = model.field(graph, cells, encoded, geometry, anchor.select(one))
        total = total + 0.3 * grounding(field, states.strain[one], states.equivalent[one], graph.volume)
    return total / len(batch.samples), float(torch.stack(errors).mean())


def train(config: TrainingConfig, progress: Progress | None = None) -> GraphJepa:
    """Train, or go on with a run that was cut off.

    Args:
        config: the run.
        progress: called with (step, steps, latest terms).

    Returns:
        The averaged model, also saved in `config.out / "model"`.
    """
    device = distributed.start(choose_device(config.device))
    torch.set_num_threads(config.threads)
    run = RunState(config, device)
    config = run.config
    config.out.mkdir(parents=True, exist_ok=True)
    run.resume()
    if distributed.rank() == 0:
        run.save_settings()
    training, validation = load_samples(config, "train"), load_samples(config, "validation")
    replay = None if config.replay is None else load_samples(config, "train", config.replay)
    writer = SummaryWriter(str(config.out))
    started = time.perf_counter()
    if config.start is not None and run.step == 0 and distributed.rank() == 0:
        # What the start is worth on these parts; and parts that judge nothing are told of before the work.
        _validate(run, validation, writer, 0.0)
    while run.step < config.steps:
        terms = _optimise(run, training, replay)
        run.step += 1
        if distributed.rank() > 0:
            continue
        if progress is not None and run.step % 20 == 0:
            progress(run.step, config.steps, terms)
        if run.step % 20 == 0:
            for name, value in terms.items():
                writer.add_scalar(f"train/{name}", value, run.step)
        if run.step % config.save_every == 0 or run.step == config.steps:
            # The model first: a run that is cut between the two makes it again.
            _validate(run, validation, writer, time.perf_counter() - started)
            run.save()
    writer.close()
    return run.average.cpu().eval()


def gain_line(out: Path) -> str:
    """What a run changed on its validation parts, from the first and the last line of its log."""
    lines = [json.loads(line) for line in (out / _LOG).read_text().splitlines()]
    first, last = lines[0], lines[-1]
    name = "plastic_rel_l2_median"
    better = (
        "" if last[name] < first[name] else "; no better: give more parts or fewer steps, or keep the model as it was"
    )
    return (
        f"plastic strain on validation parts, median error: {first[name]:.3f} at step {first['step']}, "
        f"{last[name]:.3f} at step {last['step']} (anchor {last['anchor_rel_l2_median']:.3f}){better}"
    )


def _optimise(run: RunState, training: SampleStore, replay: SampleStore | None) -> dict[str, float]:
    config, done = run.config, run.step / run.config.steps
    warm = min(1.0, run.step / (0.05 * config.steps + 1))
    rate = config.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.model.train()
    # Each step has a generator of its own, so a resumed run draws what the uncut run would have drawn.
    generator = np.random.default_rng([config.seed, run.step, distributed.rank()])
    torch.manual_seed(int(generator.integers(2**31)))
    replayed = replay is not None and generator.random() < config.replay_share
    source = replay if replay is not None and replayed else training
    batch = draw_batch(source, generator, config.batch_parts, config.batch_histories, config.batch_states)
    # A model that knows nothing yet rolls out a third of the way.
    whole = done > 0.04 or config.start is not None
    horizon = batch.actions.shape[2] if whole else max(1, batch.actions.shape[2] // 3)
    frozen = done >= 1 - config.decoder_only_share
    for part in (run.model.geometry, run.model.state, run.model.predictor, run.model.inverse):
        part.requires_grad_(not frozen)
    with torch.autocast(run.device.type, dtype=torch.bfloat16, enabled=run.device.type == "cuda"):
        loss, terms = batch_loss(run.model, _moved(batch, run.device), config, horizon)
    run.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    distributed.average_gradients(run.model)
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    if not bool(torch.isfinite(norm)):
        return {**terms, "skipped": 1.0}
    run.optimizer.step()
    _follow(run.average, run.model, config.average_decay, run.step)
    return {"loss": loss.item(), **terms}


def _moved(batch: TrainingBatch, device: torch.device) -> TrainingBatch:
    """The batch on a device; its samples stay where they are, since a step reads only a few of their states."""
    if batch.actions.device.type == device.type:
        return batch
    names = ("actions", "displacement_features", "pooled")
    actions, displacement, pooled = (getattr(batch, name).to(device) for name in names)
    truth = TokenTruth(*(getattr(batch.truth, f.name).to(device) for f in fields(TokenTruth)))
    graphs = [graph.to(device) for graph in batch.graphs]
    return replace(
        batch, graphs=graphs, actions=actions, displacement_features=displacement, pooled=pooled, truth=truth
    )


def _moved_states(states: DecodedStates, device: torch.device) -> DecodedStates:
    strain, equivalent = states.strain.to(device), states.equivalent.to(device)
    return replace(states, anchor=states.anchor.to(device), strain=strain, equivalent=equivalent)


@torch.no_grad()
def _follow(average: GraphJepa, model: GraphJepa, decay: float, step: int) -> None:
    """Move the averaged weights towards the current ones; faster at the start, when they still mean nothing."""
    rate = 1 - min(decay, (step + 1) / (step + 10))
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, rate)


def _validate(run: RunState, validation: SampleStore, writer: SummaryWriter, seconds: float) -> None:
    # Samples lie on the CPU, and single precision judges.
    numbers, report = validate(copy.deepcopy(run.average).cpu(), validation, run.config.validation_parts)
    line = {"step": run.step, "seconds": seconds, **numbers, "collapse": report.as_json(), "alarms": report.alarms()}
    with (run.config.out / _LOG).open("a") as log:
        log.write(json.dumps(line) + "\n")
    for name, value in {**numbers, **report.as_json()}.items():
        writer.add_scalar(f"validation/{name}", value, run.step)
    description = {
        "training": run.description(), "step": run.step, "validation": numbers, "collapse": report.as_json(),
    }  # fmt: skip
    save_checkpoint(run.config.out / "model", run.average, description)
