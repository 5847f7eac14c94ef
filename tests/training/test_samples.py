"""A prepared sample is its simulation in the network's units, and a file gives back what was written."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from surrogate.data.simulation_file import sample_name
from surrogate.model.anchor_path import anchor_fields, local_path
from surrogate.model.decoder import LocalState
from surrogate.model.graph import PartGraph
from surrogate.model.local_state import active_points, local_states
from surrogate.physics.elastic import elastic_anchor
from surrogate.training import samples
from surrogate.training.samples import TrainingSample, load_sample, prepare, prepared, save_sample
from tests.model.parts import TINY
from tests.training.wedges import HISTORIES, PARTS, STEPS, sample, simulation

PART = PARTS["train"][-1]
# Half precision keeps 11 bits.
HALF = 1e-3


def test_the_truth_is_that_of_the_simulation() -> None:
    solved, ready = simulation(*PART), sample(*PART)
    material, points = solved.problem.material, active_points(ready.graph)
    unit = material.yield_strength_pa / material.youngs_modulus_pa
    full = np.zeros((HISTORIES, STEPS, 4 * len(solved.problem.mesh.cells)))
    full[:, :, solved.yielded] = solved.equivalent_plastic_strain
    found = ready.equivalent.float().reshape(HISTORIES, STEPS, -1).numpy() * unit
    np.testing.assert_allclose(found, full[:, :, points], rtol=HALF, atol=HALF * unit)
    # Of what yields nothing lies outside of the active cells of this part.
    assert float(ready.missed) == 0.0
    np.testing.assert_allclose(ready.token_plastic.amax(-1) * unit, full.max(axis=-1), rtol=1e-5, atol=1e-5 * unit)
    peak = solved.cell_von_mises.astype(np.float32).max(axis=-1)
    np.testing.assert_allclose(ready.token_von_mises.amax(-1), peak, rtol=1e-6)


def test_the_stored_anchor_gives_what_solving_again_gives() -> None:
    """Nothing is solved to prepare a sample; single precision of the file and half of the sample are the difference."""
    solved, ready = simulation(*PART), sample(*PART)
    fields_ = anchor_fields(elastic_anchor(solved.problem))
    factors = np.stack([history.factors for history in solved.problem.load_histories])
    wanted = np.array([(h, t) for h in range(HISTORIES) for t in (1, STEPS - 1)])
    expected, found = local_states(ready.graph, fields_, factors, wanted), ready.local(torch.from_numpy(wanted))
    for field in fields(LocalState):
        actual, reference = getattr(found, field.name), getattr(expected, field.name)
        scale = float(reference.abs().max())
        torch.testing.assert_close(actual, reference, rtol=HALF, atol=HALF * scale, msg=field.name)
    last = list(local_path(fields_.strain, factors, solved.problem.material))[-1]
    assert last.state.equivalent.max() > 0


def test_a_sample_comes_back_from_its_file_bit_by_bit(tmp_path: Path) -> None:
    ready = sample(*PART)
    save_sample(ready, tmp_path / "one.safetensors")
    again = load_sample(tmp_path / "one.safetensors")
    for field in fields(PartGraph):
        assert torch.equal(getattr(again.graph, field.name), getattr(ready.graph, field.name)), field.name
    for field in fields(TrainingSample):
        if field.name != "graph":
            found, expected = getattr(again, field.name), getattr(ready, field.name)
            assert found.dtype == expected.dtype and torch.equal(found, expected), field.name
    assert [path.name for path in tmp_path.iterdir()] == ["one.safetensors"]


def test_a_sample_is_prepared_once_for_each_graph(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = campaign / sample_name(*PART), []
    real = prepare

    def counted(*arguments: object) -> TrainingSample:
        made.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(samples, "prepare", counted)
    first, again = prepared(path, tmp_path, TINY), prepared(path, tmp_path, TINY)
    assert torch.equal(first.actions, again.actions) and len(made) == 1
    prepared(path, tmp_path, replace(TINY, width=32))  # the graph is the same for any width
    assert len(made) == 1
    assert prepared(path, tmp_path, replace(TINY, tokens=5)).actions.shape[2] == 5
    prepared(path, tmp_path, replace(TINY, gate=0.9))
    assert len(made) == 3


def test_two_processes_may_prepare_the_same_sample_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, path, other = samples.save_file, tmp_path / "one.safetensors", []

    def while_another_finishes(*arguments: object, **options: object) -> None:
        real(*arguments, **options)
        if not other:
            other.append(1)
            with monkeypatch.context() as patch:
                patch.setattr(samples.os, "getpid", lambda: 1)
                save_sample(sample(*PART), path)

    monkeypatch.setattr(samples, "save_file", while_another_finishes)
    save_sample(sample(*PART), path)
    assert [left.name for left in tmp_path.iterdir()] == ["one.safetensors"]
