"""A prepared sample is its simulation in the network's units, and a file gives back what was written."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from surrogate.data.simulation_file import sample_name
from surrogate.model.anchor_state import active_points, anchor_states
from surrogate.model.decoder import AnchorState
from surrogate.model.encoder import POOLED_FEATURES, pooled_state, state_features
from surrogate.model.graph import PartGraph
from surrogate.physics.reduced import plain_rounds
from surrogate.training import samples
from surrogate.training.samples import (
    STATES_KEPT,
    TrainingSample,
    load_sample,
    prepare,
    prepared_path,
    save_sample,
)
from tests.model.parts import TINY, anchored
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
    kept = np.take_along_axis(full, ready.kept.numpy()[:, :, None], axis=1)
    found = ready.equivalent.float().reshape(HISTORIES, STATES_KEPT, -1).numpy() * unit
    np.testing.assert_allclose(found, kept[:, :, points], rtol=HALF, atol=HALF * unit)
    # Of what yields nothing lies outside of the active cells of this part.
    assert float(ready.missed) == 0.0
    np.testing.assert_allclose(ready.token_plastic.amax(-1) * unit, full.max(axis=-1), rtol=1e-5, atol=1e-5 * unit)
    peak = solved.cell_von_mises.astype(np.float32).max(axis=-1)
    np.testing.assert_allclose(ready.token_von_mises.amax(-1), peak, rtol=1e-6)


def test_the_permanent_set_of_every_step_is_what_the_plastic_strain_leaves_of_the_displacement() -> None:
    solved, ready = simulation(*PART), sample(*PART)
    factors = np.stack([history.factors for history in solved.problem.load_histories])
    elastic = np.tensordot(factors, solved.elastic_displacement.astype(float), axes=1)  # [H, T, N, 3]
    reference = np.maximum.accumulate(np.linalg.norm(elastic, axis=-1).max(axis=-1), axis=1)
    left = np.linalg.norm(solved.displacement - elastic, axis=-1).max(axis=-1) / reference
    # The inelastic displacement is stored in half precision.
    np.testing.assert_allclose(ready.permanent_set, left, rtol=2 * HALF, atol=1e-5)
    yielded = solved.scalars.peak_plastic_strain > 0
    assert (ready.permanent_set.numpy()[yielded] > 0).all() and not ready.permanent_set.numpy()[~yielded].any()
    largest = solved.scalars.max_displacement_m / reference
    np.testing.assert_allclose(ready.displacement, largest, rtol=1e-5)


@pytest.mark.parametrize("part", [PART, PARTS["validation"][0]])
def test_the_peak_step_and_the_last_one_of_every_history_are_kept(part: tuple[str, int]) -> None:
    solved, kept = simulation(*part), sample(*part).kept
    assert kept.shape == (HISTORIES, STATES_KEPT)
    for steps, levels in zip(kept.tolist(), solved.scalars.peak_plastic_strain, strict=True):
        assert steps == sorted(set(steps))  # ascending, none twice
        assert {int(levels.argmax()), STEPS - 1} <= set(steps)
        # Another step is kept of those in which something has yielded, while there are such steps left.
        others = [step for step in steps if step not in (int(levels.argmax()), STEPS - 1)]
        assert len(others) <= 1 or (levels > 0).sum() <= STATES_KEPT
        assert all(levels[step] > 0 for step in others) or (levels > 0).sum() < STATES_KEPT


def test_short_histories_are_kept_whole() -> None:
    solved = simulation(*PART)
    short = replace(
        solved, scalars=replace(solved.scalars, peak_plastic_strain=np.array([[0.0, 1e-3], [0.0, 0.0], [0.0, 2e-3]]))
    )
    np.testing.assert_array_equal(samples._kept_steps(short), [[0, 1]] * 3)


def test_the_stored_anchor_gives_what_solving_again_gives() -> None:
    """Half precision of the sample is the difference."""
    solved, ready = simulation(*PART), sample(*PART)
    part = anchored(solved.problem, plain_rounds(1))
    positions = torch.tensor([(h, k) for h in range(HISTORIES) for k in range(STATES_KEPT)])
    wanted = np.array([(h, int(ready.kept[h, k])) for h, k in positions.tolist()])
    expected = anchor_states(ready.graph, part.fields, part.path, wanted, part.elastic)
    found = ready.anchor(positions)
    for field in fields(AnchorState):
        actual, reference = getattr(found, field.name), getattr(expected, field.name)
        assert actual.dtype == torch.float32
        scale = float(reference.abs().max())
        assert scale > 0, field.name
        torch.testing.assert_close(actual, reference, rtol=HALF, atol=HALF * scale, msg=field.name)


def test_a_value_in_half_precision_stays_finite_and_keeps_its_first_three_digits() -> None:
    for ready in (sample(*part) for part in (*PARTS["train"], *PARTS["validation"])):
        for field in fields(TrainingSample):
            if field.name != "graph":
                assert torch.isfinite(getattr(ready, field.name)).all(), field.name
    ready = sample(*PART)
    names = {f.name for f in fields(TrainingSample) if f.name != "graph" and getattr(ready, f.name).dtype == torch.half}
    assert names == {
        "actions", "pooled", "anchor_stress", "anchor_strain", "anchor_levels", "defect", "strain", "equivalent",
    }  # fmt: skip


def test_the_pooled_states_are_those_of_the_truth_beside_the_anchor() -> None:
    ready = sample(*PART)
    assert ready.pooled.shape == (HISTORIES, STEPS, TINY.tokens, POOLED_FEATURES)
    for history in range(HISTORIES):
        for position, step in enumerate(ready.kept[history].tolist()):
            anchor = ready.anchor(torch.tensor([[history, position]]))
            strain, equivalent = ready.strain[history, position, None], ready.equivalent[history, position, None]
            features = state_features(strain.float(), equivalent.float(), anchor.strain, anchor.equivalent)
            expected = pooled_state(ready.graph, features)[0]
            # Both were stored in half precision; five times the difference of two logarithms is one of the features.
            torch.testing.assert_close(ready.pooled[history, step].float(), expected, rtol=0.02, atol=0.02)
    before = simulation(*PART).scalars.peak_plastic_strain == 0
    assert before.any() and ready.pooled[torch.from_numpy(~before)].any()


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
    first, again = (load_sample(prepared_path(path, tmp_path, TINY)) for _ in range(2))
    assert torch.equal(first.actions, again.actions) and len(made) == 1
    prepared_path(path, tmp_path, replace(TINY, width=32))  # the sample is the same for any width
    assert len(made) == 1
    assert load_sample(prepared_path(path, tmp_path, replace(TINY, tokens=5))).actions.shape[2] == 5
    prepared_path(path, tmp_path, replace(TINY, gate=0.9))
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
