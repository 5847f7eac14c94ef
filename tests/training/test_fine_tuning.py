"""A run that starts from a model keeps what it knows, takes its sizes, and says clearly what it cannot use."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from surrogate.cli import app
from surrogate.data.simulation_file import Simulation, load_simulation, save_simulation
from surrogate.errors import CheckpointError, InputError
from surrogate.model.checkpoint import load_checkpoint
from surrogate.model.jepa import GraphJepa, ModelConfig
from surrogate.physics.reduced import plain_rounds
from surrogate.training import samples, trainer
from surrogate.training.batches import TrainingBatch, draw_batch
from surrogate.training.config import TrainingConfig
from surrogate.training.run_state import RunState, weights_mark
from surrogate.training.sample_store import SampleStore
from surrogate.training.trainer import gain_line, train
from tests.model.parts import TINY, lively_model, save_model
from tests.training.test_trainer import assert_bit_equal, weights
from tests.training.wedges import run_config

WIDER = replace(TINY, width=24)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of other sizes than a new one would have, that is some way off."""
    return Path(save_model(tmp_path_factory.mktemp("start") / "model", lively_model(WIDER, spread=0.02)))


def tuning(campaign: Path, out: Path, start: Path, **changes: object) -> TrainingConfig:
    return run_config(campaign, out, start=start, **changes)


def test_a_run_begins_with_the_weights_and_sizes_of_the_model(campaign: Path, tmp_path: Path, start: Path) -> None:
    config = tuning(campaign, tmp_path, start, learning_rate=0.0, weight_decay=0.0, steps=2, save_every=2)
    trained = train(config)
    assert trained.config == WIDER != config.model
    for name, tensor in weights(trained).items():
        # Following weights that stand still rounds once a step.
        torch.testing.assert_close(tensor, load_checkpoint(start).model.state_dict()[name], rtol=1e-6, atol=1e-7)
    saved = load_checkpoint(tmp_path / "model")
    assert saved.model.config == WIDER
    training = saved.description["training"]
    assert isinstance(training, dict) and training["start"] == weights_mark(start)
    assert str(start.parent) not in json.dumps(saved.description)


def test_the_log_begins_with_what_the_start_is_worth(campaign: Path, tmp_path: Path, start: Path) -> None:
    """A learning rate that teaches something: the last line is better than the first, and the verb says so."""
    train(tuning(campaign, tmp_path, start, steps=6, save_every=6, learning_rate=3e-3))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 6]
    first, last = (line["plastic_rel_l2_median"] for line in log)
    assert last < first
    line = gain_line(tmp_path)
    assert f"{first:.3f} at step 0, {last:.3f} at step 6" in line and "no better" not in line
    log.append({**log[0], "step": 7})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    assert "no better: give more parts" in gain_line(tmp_path)


def test_a_fine_tuning_that_was_cut_ends_where_the_uncut_one_does(
    campaign: Path, tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"steps": 4, "save_every": 2, "replay": campaign, "replay_share": 0.5}
    uncut = weights(train(tuning(campaign, tmp_path / "uncut", start, **changes)))
    real, done = RunState.save, []

    def cut(run: RunState) -> None:
        real(run)
        done.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save", cut)
        with pytest.raises(KeyboardInterrupt):
            train(tuning(campaign, tmp_path / "cut", start, **changes))
    assert done == [1]
    assert_bit_equal(weights(train(tuning(campaign, tmp_path / "cut", start, **changes))), uncut)


def test_a_run_begun_otherwise_is_not_gone_on_with(campaign: Path, tmp_path: Path, start: Path) -> None:
    config = tuning(campaign, tmp_path, start, steps=1, save_every=1)
    train(config)
    with pytest.raises(InputError, match=r"was begun with seed = 0, not 3; give another --out"):
        train(replace(config, seed=3))
    with pytest.raises(InputError, match=r"was begun with left_out_family = None, not blade"):
        train(replace(config, left_out_family="blade"))
    with pytest.raises(InputError, match=r"was begun with"):
        train(replace(config, start=None, model=WIDER))
    before = (tmp_path / "config.json").read_text()
    assert json.loads(before)["seed"] == 0  # a refused run leaves no trace


def test_some_steps_draw_from_the_campaign_that_is_not_to_be_forgotten(
    campaign: Path, tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blades = only(campaign, tmp_path / "own", "blade")
    stores: list[SampleStore] = []

    def noted(samples: SampleStore, *arguments: object) -> TrainingBatch:
        stores.append(samples)
        return draw_batch(samples, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "draw_batch", noted)
    config = tuning(blades, tmp_path / "a", start, steps=8, save_every=8, batch_parts=1, replay=campaign)
    train(config)
    sizes = [len(store) for store in stores]
    assert set(sizes) == {1, 4}  # one blade of its own, four parts of the other campaign
    stores.clear()
    train(replace(config, out=tmp_path / "b", replay=None, steps=2, save_every=2))
    assert [len(store) for store in stores] == [1, 1]


def only(campaign: Path, folder: Path, family: str) -> Path:
    """A directory with the parts of one family alone."""
    folder.mkdir()
    for path in campaign.glob(f"{family}-*.h5"):
        (folder / path.name).symlink_to(path)
    return folder


def first_steps(simulation: Simulation, steps: int) -> Simulation:
    """What a solver that stopped early would have left."""
    histories = tuple(replace(h, factors=h.factors[:steps]) for h in simulation.problem.load_histories)
    cut = {
        name: getattr(simulation, name)[:, :steps]
        for name in (
            "inelastic_displacement", "inelastic_scale", "plastic_strain", "equivalent_plastic_strain",
            "cell_von_mises",
        )
    }  # fmt: skip
    records = [
        replace(record, **{f.name: getattr(record, f.name)[:, :steps] for f in fields(record)})
        for record in (simulation.scalars, simulation.balance)
    ]
    problem = replace(simulation.problem, load_histories=histories)
    return replace(simulation, problem=problem, scalars=records[0], balance=records[1], **cut)


def test_files_of_other_step_numbers_train_together(campaign: Path, tmp_path: Path, start: Path) -> None:
    """One file has but the first step of each history: fewer states than a step of training asks for."""
    data = tmp_path / "mixed"
    data.mkdir()
    for path in campaign.glob("*.h5"):
        (data / path.name).symlink_to(path)
    short = sorted(data.glob("wedge-*.h5"))[0]
    whole = load_simulation(short)
    short.unlink()
    save_simulation(first_steps(whole, 1), short)
    trained = train(tuning(data, tmp_path / "run", start, steps=4, save_every=4, batch_parts=4))
    assert all(torch.isfinite(tensor).all() for tensor in weights(trained).values())


def test_parts_that_cannot_teach_are_told_of_before_any_step(
    campaign: Path, tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wedges = tmp_path / "two"
    wedges.mkdir()
    trains = [e.path for e in trainer.open_dataset(campaign).split("train").entries][:2]
    for path in trains:
        (wedges / path.name).symlink_to(path)
    config = tuning(wedges, tmp_path / "run", start)
    with pytest.raises(InputError, match=r"none of the 2 parts in 'two' is a validation part.*add parts"):
        train(config)
    # A gate that no part comes near, as under loads of a tenth.
    monkeypatch.setattr(samples, "plain_rounds", lambda rounds: replace(plain_rounds(rounds), gate=100.0))
    stiff = Path(save_model(tmp_path / "stiff", lively_model(replace(WIDER, gate=100.0))))
    with pytest.raises(InputError, match=r"nothing comes near yield in the 4 train parts.*exact without training"):
        train(tuning(campaign, tmp_path / "run2", stiff))


def test_half_precision_as_on_a_gpu_gives_nearly_the_same_gradients(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 keeps 8 bits: a gradient through some dozens of operations keeps its direction to some per cent."""
    exact = gradients(campaign, tmp_path / "single", monkeypatch)
    real = torch.autocast

    def lowered(kind: str, dtype: torch.dtype, enabled: bool) -> torch.autocast:
        assert not enabled and dtype == torch.bfloat16  # a CPU computes in single precision
        return real(kind, dtype=dtype, enabled=True)

    monkeypatch.setattr(torch, "autocast", lowered)
    halved = gradients(campaign, tmp_path / "half", monkeypatch)
    assert halved.dtype == torch.float32 and torch.isfinite(halved).all()
    assert not torch.equal(halved, exact)
    cosine = float(halved @ exact / (halved.norm() * exact.norm()))
    assert cosine > 0.98 and float(halved.norm() / exact.norm()) == pytest.approx(1, abs=0.1)


def gradients(campaign: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Of the first step."""
    found: list[torch.Tensor] = []

    def noted(model: GraphJepa) -> None:
        found.append(torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]))

    with monkeypatch.context() as patch:
        patch.setattr(trainer.distributed, "average_gradients", noted)
        train(run_config(campaign, out, steps=1, save_every=1))
    return found[0]


def test_a_batch_goes_to_the_device_whole(campaign: Path, tmp_path: Path) -> None:
    """The device without memory stands for a GPU."""
    config, away = run_config(campaign, tmp_path), torch.device("meta")
    batch = draw_batch(trainer.load_samples(config, "train"), np.random.default_rng(0), 2, 2, 2)
    moved = trainer._moved(batch, away)
    parts = [moved.actions, moved.pooled, moved.displacement_features, *vars(moved.truth).values()]
    parts += [tensor for graph in moved.graphs for tensor in vars(graph).values()]
    states = trainer._moved_states(batch.decoded(0), away)
    parts += [states.strain, states.equivalent, *vars(states.anchor).values()]
    assert {tensor.device for tensor in parts} == {away}
    assert moved.samples is batch.samples and trainer._moved(batch, torch.device("cpu")) is batch


RUN = CliRunner()


def test_the_verb_fine_tunes_with_settings_of_its_own(
    campaign: Path, tmp_path: Path, start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingConfig] = []

    def noted(config: TrainingConfig, progress: object) -> GraphJepa:
        seen.append(config)
        config.out.mkdir(exist_ok=True)
        line = {"step": 0, "plastic_rel_l2_median": 0.4, "anchor_rel_l2_median": 0.5}
        log = [line, {**line, "step": 9, "plastic_rel_l2_median": 0.1}]
        (config.out / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
        return GraphJepa(TINY)

    monkeypatch.setattr(trainer, "train", noted)
    fresh = RUN.invoke(app, ["train", str(campaign), "--out", str(tmp_path / "a")])
    common = ["train", "--data", str(campaign), "--out", str(tmp_path / "b"), "--from"]
    tuned = RUN.invoke(app, [*common, str(start)])
    of_run = RUN.invoke(app, [*common, str(start.parent), "--steps", "7", "--learning-rate", "1e-5"])
    assert [result.exit_code for result in (fresh, tuned, of_run)] == [0, 0, 0]
    assert seen[0].start is None and seen[1].start == seen[2].start == start
    assert seen[1].steps < seen[0].steps / 10 and seen[1].learning_rate < seen[0].learning_rate / 2
    assert seen[2].steps == 7 and seen[2].learning_rate == 1e-5
    assert seen[1].replay is None
    assert "0.400 at step 0, 0.100 at step 9 (anchor 0.500)" in tuned.output
    assert "next: surrogate calibrate" in tuned.output


def test_the_verb_says_what_is_wrong(campaign: Path, tmp_path: Path) -> None:
    wrong = RUN.invoke(app, ["train", "--data", str(campaign), "--from", str(tmp_path), "--out", str(tmp_path / "o")])
    assert wrong.exit_code != 0 and "no model" in wrong.stderr and "give a model's folder" in wrong.stderr
    twice = RUN.invoke(app, ["train", str(campaign), "--data", str(campaign)])
    neither = RUN.invoke(app, ["train"])
    assert all(result.exit_code == 2 and "as DATA or as --data" in result.stderr for result in (twice, neither))


def test_a_damaged_model_is_no_start(campaign: Path, tmp_path: Path) -> None:
    folder = Path(save_model(tmp_path / "model", lively_model(WIDER)))
    (folder / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        train(tuning(campaign, tmp_path / "run", folder))
    assert ModelConfig() == TrainingConfig(campaign, tmp_path).model
