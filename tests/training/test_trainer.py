"""Training learns, can be cut at any moment, and draws what its seed, step and process say."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from surrogate.data.splits import SplitRule, split_of
from surrogate.errors import InputError
from surrogate.model.checkpoint import load_checkpoint
from surrogate.model.jepa import GraphJepa
from surrogate.training import distributed, trainer
from surrogate.training.batches import TrainingBatch, draw_batch
from surrogate.training.config import TrainingConfig
from surrogate.training.run_state import RunState
from surrogate.training.samples import TrainingSample
from surrogate.training.trainer import batch_loss, load_samples, train
from tests.model.parts import TINY, fresh_model
from tests.training.wedges import PARTS, STEPS, run_config, training_samples


def fixed_loss(model: GraphJepa, config: TrainingConfig) -> float:
    """The whole objective on a batch that is always the same."""
    torch.manual_seed(5)
    batch = draw_batch(training_samples(), np.random.default_rng(3), 4, 3, 3)
    with torch.no_grad():
        return float(batch_loss(model.eval(), batch, config, STEPS)[0])


def weights(model: GraphJepa) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_bit_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert set(one) == set(other)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.fixture(scope="module")
def uncut(campaign: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A run of eight steps, its folder and its averaged weights."""
    out = tmp_path_factory.mktemp("uncut")
    return out, weights(train(run_config(campaign, out)))


def test_a_few_steps_lower_the_loss(campaign: Path, tmp_path: Path) -> None:
    config = run_config(campaign, tmp_path, steps=6, save_every=6, batch_parts=3, learning_rate=3e-3)
    torch.manual_seed(config.seed)
    before = fixed_loss(GraphJepa(TINY), config)
    assert fixed_loss(train(config), config) < 0.98 * before


def test_a_run_that_was_cut_ends_bit_by_bit_where_the_uncut_one_does(
    campaign: Path, tmp_path: Path, uncut: tuple[Path, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, real, done = run_config(campaign, tmp_path), draw_batch, []

    def until_the_seventh(*arguments: object) -> TrainingBatch:
        done.append(1)
        if len(done) == 7:  # after the checkpoint of step 4, in the middle of step 7
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "draw_batch", until_the_seventh)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    torch.manual_seed(99)  # another process would not know the generator's state either
    torch.rand(7)
    resumed = train(config)
    assert_bit_equal(weights(resumed), uncut[1])
    # A run that is done has nothing left to do.
    assert_bit_equal(weights(train(config)), uncut[1])


def test_the_same_seed_gives_the_same_model_and_another_one_another(
    campaign: Path, tmp_path: Path, uncut: tuple[Path, dict[str, Tensor]]
) -> None:
    assert_bit_equal(weights(train(run_config(campaign, tmp_path / "again"))), uncut[1])
    other = weights(train(run_config(campaign, tmp_path / "other", seed=1, steps=1)))
    assert not torch.equal(other["field.latent.weight"], uncut[1]["field.latent.weight"])


def test_the_saved_model_is_the_averaged_one_with_its_settings_and_no_path(
    uncut: tuple[Path, dict[str, Tensor]], campaign: Path
) -> None:
    out, averaged = uncut
    saved = load_checkpoint(out / "model")
    assert_bit_equal(weights(saved.model), averaged)
    training = saved.description["training"]
    assert isinstance(training, dict)
    assert training["seed"] == 0 and training["model"] == TINY.as_json()
    assert str(campaign.parent) not in json.dumps(saved.description)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [4, 8]
    assert {"plastic_rel_l2_median", "collapse", "alarms"} <= set(log[-1])
    assert json.loads((out / "config.json").read_text())["steps"] == 8


def marks(samples: Iterable[TrainingSample]) -> list[float]:
    """A number of each part that no other part has."""
    return [float(sample.actions.double().sum()) for sample in samples]


def drawn(config: TrainingConfig, monkeypatch: pytest.MonkeyPatch, rank: int = 0) -> list[tuple[object, ...]]:
    """What each step of a run draws."""
    seen, real = [], draw_batch

    def noted(*arguments: object) -> TrainingBatch:
        batch = real(*arguments)  # type: ignore[arg-type]
        seen.append((marks(batch.samples), batch.histories.tolist(), batch.wanted.tolist()))
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "draw_batch", noted)
        patch.setattr(distributed, "rank", lambda: rank)
        train(config)
    return seen


def test_what_is_drawn_depends_on_seed_step_and_process_alone(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_config(campaign, tmp_path / "a", steps=3, latent_weight=0.0, save_every=9)
    first = drawn(config, monkeypatch)
    assert drawn(replace(config, out=tmp_path / "b", learning_rate=1e-5), monkeypatch) == first
    assert len({json.dumps(step) for step in first}) == 3
    assert drawn(replace(config, out=tmp_path / "c", seed=4), monkeypatch) != first
    second = drawn(replace(config, out=tmp_path / "d"), monkeypatch, rank=1)
    assert second != first
    assert not (tmp_path / "d" / "model").exists()  # only the first process writes


def test_the_last_steps_teach_the_decoders_alone(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, Tensor]] = []
    real = RunState.save

    def keep(run: RunState) -> None:
        real(run)
        states.append(weights(run.model))

    monkeypatch.setattr(RunState, "save", keep)
    train(run_config(campaign, tmp_path, steps=4, save_every=1, decoder_only_share=0.5))
    moved = [
        {name for name in after if not torch.equal(before[name], after[name])} for before, after in pairwise(states)
    ]
    assert any(name.startswith("predictor.") for name in moved[0])
    for names in moved[1:]:
        assert names and all(name.startswith(("field.", "heads.")) for name in names)


def test_supervision_alone_leaves_out_the_latent_terms(campaign: Path, tmp_path: Path) -> None:
    batch = draw_batch(training_samples(), np.random.default_rng(3), 2, 2, 2)
    config = run_config(campaign, tmp_path)
    torch.manual_seed(0)
    _, whole = batch_loss(fresh_model(), batch, config, STEPS)
    torch.manual_seed(0)
    loss, alone = batch_loss(fresh_model(), batch, replace(config, latent_weight=0.0), STEPS)
    assert set(whole) - set(alone) == {"latent", "collapse", "inverse"}
    assert float(loss) == pytest.approx(alone["grounding"] + alone["heads"], rel=1e-5)
    assert alone["grounding"] == pytest.approx(whole["grounding"], rel=1e-5)


def test_a_short_rollout_decodes_only_what_it_has_reached(campaign: Path, tmp_path: Path) -> None:
    batch = draw_batch(training_samples(), np.random.default_rng(3), 2, 2, 2)
    for horizon in (1, 3):
        loss, _ = batch_loss(fresh_model(), batch, run_config(campaign, tmp_path), horizon)
        assert torch.isfinite(loss)


def test_every_part_of_the_network_learns(campaign: Path, tmp_path: Path) -> None:
    model = fresh_model().requires_grad_(True)
    batch = draw_batch(training_samples(), np.random.default_rng(3), 4, 3, 3)
    loss, _ = batch_loss(model, batch, run_config(campaign, tmp_path), STEPS)
    loss.backward()  # type: ignore[no-untyped-call]
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not silent
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_share_of_the_labels_is_a_share_of_the_training_parts(campaign: Path, tmp_path: Path) -> None:
    config = run_config(campaign, tmp_path)
    everything = load_samples(config, "train")
    assert len(everything) == len(PARTS["train"]) == 4
    half = [load_samples(replace(config, label_share=0.5), "train") for _ in range(2)]
    assert len(half[0]) == 2
    assert set(marks(half[0])) == set(marks(half[1])) < set(marks(everything))
    others = [load_samples(replace(config, label_share=0.5, seed=seed), "train") for seed in range(1, 6)]
    assert any(set(marks(other)) != set(marks(half[0])) for other in others)
    assert len(load_samples(replace(config, label_share=1e-9), "train")) == 1
    assert len(load_samples(replace(config, label_share=0.5), "validation")) == len(PARTS["validation"])


def test_a_family_left_out_neither_trains_nor_validates(campaign: Path, tmp_path: Path) -> None:
    config = run_config(campaign, tmp_path, left_out_family="blade")
    kept = [part for part in PARTS["train"] if part[0] != "blade"]
    assert len(load_samples(config, "train")) == len(kept) < len(PARTS["train"])
    assert len(load_samples(config, "validation")) == 1
    assert all(split_of("blade", seed, SplitRule("blade")) == "test" for seed in range(20))


def test_a_campaign_too_small_for_a_split_is_told(campaign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for path in campaign.glob("blade-*.h5"):
        (folder / path.name).symlink_to(path)
    with pytest.raises(InputError, match=r"none of the 2 parts in 'few' is a test part.*add parts"):
        load_samples(run_config(folder, tmp_path), "test")
