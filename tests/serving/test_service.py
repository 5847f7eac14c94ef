"""Laws of `predict` that hold whatever the weights are: frames, units, numbering, yield, equilibrium, batches."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from surrogate.errors import CheckpointError, InputError, RigidBodyError
from surrogate.fields import Fields, FloatArray, HistoryFields
from surrogate.geometry.selectors import NameSelector
from surrogate.model.decoder import FieldDecoder
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.physics.hardening import LinearHardening
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import LoadHistory, Problem, Support
from surrogate.physics.reduced import plain_rounds, reduced_anchor
from surrogate.physics.solver import solve
from surrogate.serving import prepared, service
from surrogate.serving.calibration import STEP_SCALARS, TOTALS, Calibration
from surrogate.serving.domain import FEATURES, Domain
from surrogate.serving.registry import list_models
from surrogate.serving.screening import screen
from surrogate.serving.service import domain_features_of, predict, predict_many
from surrogate.training.baselines import reduced_histories
from tests.model.parts import (
    CLIMB,
    MILD,
    SWING,
    TINY,
    enlarged,
    fresh_model,
    lively_model,
    milder,
    renumbered,
    restressed,
    save_model,
    turned,
    turned_tensor,
    wedge_mesh,
    wedge_problem,
)
from tests.physics.meshes import rotation

# The network computes in single precision; its plastic strain carries that into every field.
SINGLE = 1e-4
# Direct solves of these small systems, relative to the largest value.
ROUND_OFF = 1e-9
FRAMES = {
    "turned": rotation((1, 2, 3), 0.7),
    "turned by a quarter": rotation((0, 0, 1), np.pi / 2),
    "mirrored": np.diag([1.0, -1.0, 1.0]),
    "turned and mirrored": -rotation((3, -1, 2), 1.1),
}
WIDE = Calibration(
    (0.01, 0.05, 0.2),
    dict.fromkeys((*STEP_SCALARS, *TOTALS), (0.2, 0.3, 0.4, 0.5)),
    dict.fromkeys(STEP_SCALARS, (0.6, 0.7, 0.8, 0.9)),
)


@pytest.fixture(scope="module", autouse=True)
def restless() -> Iterator[None]:
    """No history counts as at rest, so that the laws hold for what the network says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "RESTLESS", 0.0)
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained models: one that just begins, one of random weights, that one with intervals and with a domain.

    The watchful ones take no cell as elastic that the physics does not.
    """
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "fresh", fresh_model())
    save_model(folder / "lively", lively_model())
    for kind, model in (("fresh", fresh_model), ("lively", lively_model)):
        save_model(folder / f"{kind} and watchful", model(replace(TINY, gate=0.35)))
    everything = Domain((-100.0,) * len(FEATURES), (100.0,) * len(FEATURES))
    save_model(folder / "calibrated", lively_model(), calibration=WIDE.as_json(), domain=everything.as_json())
    nothing = replace(everything, low=(0.5,) * len(FEATURES), high=(0.5,) * len(FEATURES))
    save_model(folder / "narrow", lively_model(), calibration=WIDE.as_json(), domain=nothing.as_json())
    return folder


@pytest.fixture(scope="module")
def answer(models: Path) -> Fields:
    return predict(wedge_problem(), model=str(models / "lively"))


def assert_close(found: FloatArray, expected: FloatArray, tolerance: float = SINGLE) -> None:
    """Within a share of the largest value."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))


def assert_same_scalars(
    found: HistoryFields, expected: HistoryFields, length: float = 1.0, stress: float = 1.0
) -> None:
    for name in STEP_SCALARS:
        unit = stress if name.endswith("_pa") else length if name.endswith("_m") else 1.0
        assert_close(getattr(found.scalars, name) / unit, getattr(expected.scalars, name))
    for name in TOTALS:
        unit = stress if name.endswith("_pa") else length if name.endswith("_m") else 1.0
        assert getattr(found.totals, name) / unit == pytest.approx(getattr(expected.totals, name), rel=SINGLE)
    assert found.totals.safety_factor_yield == pytest.approx(expected.totals.safety_factor_yield, rel=ROUND_OFF)


# ---- frames, units, numbers


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_turning_or_mirroring_the_problem_turns_the_answer(frame: FloatArray, models: Path, answer: Fields) -> None:
    assert_turned(predict(turned(wedge_problem(), frame), model=str(models / "lively")), answer, frame)


def assert_turned(found: Fields, before: Fields, frame: FloatArray) -> None:
    # In a mirror the first two corners of a cell change places, and its quadrature points with them.
    order = [1, 0, 2, 3] if np.linalg.det(frame) < 0 else [0, 1, 2, 3]
    for after, history in zip(found.histories, before.histories, strict=True):
        assert_close(after.displacement, history.displacement @ frame.T)
        assert_close(after.stress, turned_tensor(history.stress, frame)[:, :, order])
        assert_close(after.plastic_strain, turned_tensor(history.plastic_strain, frame, 2)[:, :, order])
        assert_close(after.equivalent_plastic_strain, history.equivalent_plastic_strain[:, :, order])
        assert_close(after.scalars.peak_at_m, history.scalars.peak_at_m @ frame.T)
        assert_same_scalars(after, history)


def test_a_part_a_thousand_times_as_large_under_the_same_stress_answers_alike(models: Path, answer: Fields) -> None:
    found = predict(enlarged(wedge_problem(), 1000.0), model=str(models / "lively"))
    for after, history in zip(found.histories, answer.histories, strict=True):
        assert_close(after.displacement / 1000, history.displacement)
        assert_close(after.stress, history.stress)
        assert_close(after.plastic_strain, history.plastic_strain)
        assert_same_scalars(after, history, length=1000.0)


def test_another_unit_of_stress_gives_the_answer_in_that_unit(models: Path, answer: Fields) -> None:
    found = predict(restressed(wedge_problem(), 1e-6), model=str(models / "lively"))
    for after, history in zip(found.histories, answer.histories, strict=True):
        assert_close(after.displacement, history.displacement)
        assert_close(after.stress / 1e-6, history.stress)
        assert_close(after.plastic_strain, history.plastic_strain)
        assert_same_scalars(after, history, stress=1e-6)


def test_numbering_points_and_cells_otherwise_numbers_the_answer_otherwise(models: Path, answer: Fields) -> None:
    other = renumbered(wedge_problem(), 3)
    assert_renumbered(predict(other.problem, model=str(models / "lively")), answer, other.points, other.cells)


def assert_renumbered(found: Fields, before: Fields, points: FloatArray, cells: FloatArray) -> None:
    assert_close(found.quadrature_volume, before.quadrature_volume[cells])
    for after, history in zip(found.histories, before.histories, strict=True):
        assert_close(after.displacement, history.displacement[:, points])
        assert_close(after.stress, history.stress[:, cells])
        assert_close(after.plastic_strain, history.plastic_strain[:, cells])
        assert_same_scalars(after, history)


# ---- what the physics guarantees


@pytest.mark.parametrize("name", ["fresh", "lively", "calibrated"])
def test_before_yield_the_answer_is_the_solution_whatever_the_weights(name: str, models: Path) -> None:
    problem = wedge_problem((MILD, CLIMB, SWING))
    found, solved = predict(problem, model=str(models / name)), solve(problem)
    for mine, true in zip(found.histories, solved.histories, strict=True):
        elastic = int((true.scalars.peak_plastic_strain == 0).sum())
        assert elastic == (3 if mine.name == "mild" else 1)
        assert_close(mine.displacement[:elastic], true.displacement[:elastic], ROUND_OFF)
        assert_close(mine.stress[:elastic], true.stress[:elastic], ROUND_OFF)
        assert not mine.plastic_strain[:elastic].any() and not mine.equivalent_plastic_strain[:elastic].any()
        assert not mine.scalars.equilibrium_residual[:elastic].any()
        for scalar in STEP_SCALARS:
            assert_close(getattr(mine.scalars, scalar)[:elastic], getattr(true.scalars, scalar)[:elastic], ROUND_OFF)
        assert mine.plastic_strain[elastic:].any() == (mine.name != "mild")
    mild, true = found.histories[0].totals, solved.histories[0].totals
    assert mild.permanent_set_m == 0.0 and mild.max_residual_von_mises_pa == 0.0
    assert mild.safety_factor_ultimate == pytest.approx(true.safety_factor_ultimate, rel=ROUND_OFF)


def test_a_history_scaled_below_first_yield_has_an_interval_of_no_width(models: Path) -> None:
    margin = solve(wedge_problem((SWING,))).histories[0].totals.safety_factor_yield
    below = LoadHistory("below", 0.999 * margin * SWING.factors)
    above = LoadHistory("above", 1.2 * margin * SWING.factors)
    low, high = predict(wedge_problem((below, above)), model=str(models / "calibrated")).histories
    assert not low.plastic_strain.any() and high.plastic_strain.any()
    for name in STEP_SCALARS:
        assert np.array_equal(getattr(low.scalars_low, name), getattr(low.scalars, name)), name
        assert np.array_equal(getattr(low.scalars_high, name), getattr(low.scalars, name)), name
    assert low.totals_low == low.totals == low.totals_high
    assert high.scalars_high is not None
    assert (high.scalars_high.peak_von_mises_pa > high.scalars.peak_von_mises_pa).any()


@pytest.mark.parametrize("name", ["fresh", "lively"])
def test_displacement_and_plastic_strain_are_in_equilibrium_with_the_loads_whatever_the_weights(
    name: str, models: Path
) -> None:
    problem = wedge_problem()
    anchor = elastic_anchor(problem)
    system = anchor.system
    for history in predict(problem, model=str(models / name)).histories:
        for i, step in enumerate(history.steps):
            # The free basis is orthonormal, so its transpose takes the displacement back to the unknowns.
            unknowns = system.freedom.T @ history.displacement[i].ravel()
            assert_close(system.freedom @ unknowns, history.displacement[i].ravel(), 1e-12)
            plastic = to_first(history.plastic_strain[i])
            stress = elastic_stress(system.strain(unknowns) - plastic, problem.material)
            applied = anchor.forces @ history.factors[step]
            largest = np.abs(anchor.forces @ history.factors.T).max()
            assert np.abs(system.internal_force(stress) - applied).max() < ROUND_OFF * largest
            # The stress that is reported is that one, brought back to yield; what balance that costs is reported too.
            reported = to_first(history.stress[i])
            equivalent = history.equivalent_plastic_strain[i].ravel()
            material = problem.material
            limit = material.yield_strength_pa + material.hardening_modulus_pa * equivalent
            assert (von_mises(reported) <= limit * (1 + ROUND_OFF)).all()
            inside = von_mises(stress) <= limit
            assert_close(reported[:, inside], stress[:, inside], ROUND_OFF)
            lost = np.linalg.norm(system.internal_force(reported) - applied)
            reference = np.linalg.norm(anchor.forces @ history.factors.T, axis=0).max()
            assert history.scalars.equilibrium_residual[step] == pytest.approx(lost / reference, abs=ROUND_OFF)


@pytest.mark.parametrize("name", ["fresh", "lively"])
def test_plastic_flow_keeps_the_volume(name: str, models: Path) -> None:
    for history in predict(wedge_problem(), model=str(models / name)).histories:
        trace = history.plastic_strain[..., :3].sum(axis=-1)
        # A sum of unit tensors in single precision.
        assert np.abs(trace).max() < 1e-5 * np.abs(history.plastic_strain).max()


def test_a_part_under_too_little_load_for_any_active_cell_is_answered(models: Path) -> None:
    problem = wedge_problem((LoadHistory("touch", np.array([[0.05, 0.1], [0.2, 0.1]])),))
    found, solved = predict(problem, model=str(models / "calibrated")), solve(problem)
    assert_close(found.histories[0].stress, solved.histories[0].stress, ROUND_OFF)


def test_an_unloaded_part_is_answered(models: Path) -> None:
    found = predict(wedge_problem((LoadHistory("rest", np.zeros((2, 2))),)), model=str(models / "calibrated"))
    assert not found.histories[0].displacement.any() and not found.histories[0].stress.any()
    assert found.histories[0].scalars_high is not None


@pytest.mark.parametrize("tokens", [40, 96])
def test_a_part_of_fewer_cells_than_tokens_is_answered(tokens: int, tmp_path: Path) -> None:
    small = wedge_problem(mesh=wedge_mesh((2, 1, 1)))
    assert len(small.mesh.cells) == 12
    name = save_model(tmp_path / "many", lively_model(replace(TINY, tokens=tokens)))
    for history in predict(small, model=name).histories:
        assert np.isfinite(history.stress).all() and history.plastic_strain.any()


# ---- several parts, several histories


def test_parts_answered_together_are_each_answered_alone(models: Path) -> None:
    model = str(models / "lively")
    problems = (
        wedge_problem(),
        wedge_problem((MILD, LoadHistory("one", np.array([[1.6, 0.2]])))),
        wedge_problem((SWING,), wedge_mesh((3, 2, 1), slope=0.2)),
    )
    for found, problem in zip(predict_many(problems, model=model), problems, strict=True):
        for mine, alone in zip(found.histories, predict(problem, model=model).histories, strict=True):
            assert mine.name == alone.name and np.array_equal(mine.steps, alone.steps)
            assert_close(mine.displacement, alone.displacement)
            assert_close(mine.stress, alone.stress)
            assert_same_scalars(mine, alone)


def test_the_histories_come_back_in_their_order(models: Path, answer: Fields) -> None:
    found = predict(wedge_problem((SWING, CLIMB)), model=str(models / "lively"))
    for mine, before in zip(found.histories, answer.histories[::-1], strict=True):
        assert mine.name == before.name
        assert_close(mine.stress, before.stress)
        assert_close(mine.plastic_strain, before.plastic_strain)


def test_a_history_asked_twice_is_answered_twice_and_changes_no_other(models: Path, answer: Fields) -> None:
    # Tokens and modes are made for all histories, so that only one that adds nothing to them leaves the others alone.
    again = LoadHistory("again", CLIMB.factors)
    found = predict(wedge_problem((CLIMB, SWING, again)), model=str(models / "lively")).histories
    for mine, before in zip(found, (*answer.histories, answer.histories[0]), strict=True):
        assert_close(mine.stress, before.stress)
        assert_close(mine.plastic_strain, before.plastic_strain)


def test_a_shorter_history_beside_a_longer_one_is_not_padded_in_the_answer(models: Path) -> None:
    short = LoadHistory("short", CLIMB.factors[:2])
    long = LoadHistory("long", CLIMB.factors)
    one, other = predict(wedge_problem((short, long)), model=str(models / "lively")).histories
    assert len(one.scalars.peak_von_mises_pa) == 2 and np.array_equal(one.steps, [0, 1])
    # Each ends its rounds of modes where it comes to rest, so that they differ by what these leave.
    assert_close(one.stress, other.stress[:2], 0.02)


REST = LoadHistory("rest", np.zeros((2, 2)))


def crowd(*histories: LoadHistory, copies: int = 20) -> tuple[LoadHistory, ...]:
    """So many histories that only the peak step and the last step of each is decoded."""
    return tuple(replace(h, name=f"{h.name} {copy}") for copy in range(copies) for h in histories)


def test_in_a_crowd_the_peak_step_and_the_last_are_stored_and_say_what_they_say_alone(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "RESTLESS", 1.0)
    model = str(models / "lively")
    alone = predict(wedge_problem((CLIMB, SWING)), model=model).histories
    found = predict(wedge_problem(crowd(CLIMB, SWING)), model=model).histories
    for mine, before in zip(found[:2], alone, strict=True):
        assert len(mine.steps) < len(mine.factors) and mine.steps[-1] == len(mine.factors) - 1
        # The span of a crowd is another, and ends its rounds where one moves a history by 15 %.
        assert_close(mine.stress, before.stress[mine.steps], 0.15)
        assert_close(mine.plastic_strain, before.plastic_strain[mine.steps], 0.15)
        for name in ("peak_von_mises_pa", "p999_von_mises_pa", "max_displacement_m"):
            assert_close(getattr(mine.scalars, name)[mine.steps], getattr(before.scalars, name)[mine.steps], 0.15)
        assert all(np.isfinite(getattr(mine.scalars, field.name)).all() for field in fields(mine.scalars))


def test_in_a_crowd_what_is_stored_is_what_storing_every_step_would_say(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, model = wedge_problem(crowd(CLIMB, SWING)), str(models / "lively")
    found = predict(problem, model=model).histories
    chosen = service.decoded_states
    monkeypatch.setattr(service, "decoded_states", lambda *given, **_: chosen(*given, every=True))
    for mine, every in zip(found[:2], predict(problem, model=model).histories, strict=False):
        assert len(mine.steps) < len(every.steps) == len(every.factors)
        assert_close(mine.stress, every.stress[mine.steps])
        assert_close(mine.plastic_strain, every.plastic_strain[mine.steps])
        for name in ("peak_von_mises_pa", "p999_von_mises_pa", "max_displacement_m"):
            assert_close(getattr(mine.scalars, name)[mine.steps], getattr(every.scalars, name)[mine.steps])


def test_in_a_crowd_a_history_is_answered_alike_wherever_it_stands(models: Path) -> None:
    """So many histories are integrated at few points but for those that make the modes, here the first of each kind."""
    problem = milder(wedge_problem(crowd(CLIMB, SWING)))
    found = predict(problem, model=str(models / "fresh")).histories
    for i, mine in enumerate(found[2:]):
        first = found[i % 2]
        assert np.array_equal(mine.steps, first.steps)
        for name in STEP_SCALARS:
            value, expected = getattr(mine.scalars, name), getattr(first.scalars, name)
            # The few points miss half a per cent of the integrals; a part of little hardening that yields far answers
            # many times over, and this one of a few hundred points by up to 14 % when this was written.
            np.testing.assert_allclose(value, expected, atol=0.15 * expected.max(), err_msg=name)


def test_in_a_crowd_too_the_steps_before_yield_are_the_solution(models: Path) -> None:
    """What is read from the tokens is never passed off as exact."""
    rise = LoadHistory("rise", np.array([[0.2, 0.0], [0.4, 0.0], [0.7, 0.1], [1.5, 0.2], [1.4, 0.2], [0.0, 0.0]]))
    problem = wedge_problem(crowd(MILD, rise, copies=10))
    found, solved = predict(problem, model=str(models / "calibrated")), solve(problem)
    for mine, true in zip(found.histories[:2], solved.histories[:2], strict=True):
        elastic = true.scalars.peak_plastic_strain == 0
        assert elastic.sum() == 3 and len(mine.steps) < len(mine.factors)
        assert mine.scalars_low is not None and mine.scalars_high is not None
        for name in (*STEP_SCALARS, "peak_at_m"):
            assert_close(getattr(mine.scalars, name)[elastic], getattr(true.scalars, name)[elastic], ROUND_OFF)
            low, high = getattr(mine.scalars_low, name), getattr(mine.scalars_high, name)
            assert np.array_equal(low[elastic], high[elastic]), name


# ---- the refined answer


def plastic_errors(found: Fields, problem: Problem) -> list[float]:
    """Relative error of the plastic strain of each history that ends yielded."""
    differences = [
        history_difference(mine, true, found.quadrature_volume, problem.mesh.cells)
        for mine, true in zip(found.histories, solve(problem).histories, strict=True)
    ]
    return [each.last.plastic_strain_rel_l2 for each in differences if each is not None]


@pytest.mark.parametrize("name", ["fresh", "lively"])
def test_a_wider_span_brings_the_answer_nearer_to_the_solution(name: str, models: Path) -> None:
    """What the network decoded, however wrong, is only one more direction in which the solution is looked for."""
    problem, model = milder(wedge_problem()), str(models / f"{name} and watchful")
    refined, plain = (predict(problem, model=model, fidelity=fidelity) for fidelity in ("refined", "surrogate"))
    assert refined.method == "refined" and plain.method == "surrogate"
    better, worse = plastic_errors(refined, problem), plastic_errors(plain, problem)
    assert len(better) == 2 and all(one < 0.5 * other for one, other in zip(better, worse, strict=True))
    assert max(better) < 0.01
    for history in refined.histories:
        assert history.scalars_low is None  # it knows no error of its own


def test_the_refined_answer_is_the_solution_before_yield_and_where_nothing_yields(models: Path) -> None:
    for problem in (wedge_problem((MILD, CLIMB)), wedge_problem((MILD,)), wedge_problem((REST,))):
        found, solved = predict(problem, model=str(models / "lively"), fidelity="refined"), solve(problem)
        for mine, true in zip(found.histories, solved.histories, strict=True):
            elastic = true.scalars.peak_plastic_strain == 0
            assert elastic.any() and not mine.plastic_strain[elastic].any()
            scale = max(float(np.abs(true.stress).max()), 1.0)
            np.testing.assert_allclose(mine.stress[elastic], true.stress[elastic], rtol=0, atol=ROUND_OFF * scale)


def test_in_a_crowd_the_refined_answer_reads_the_wider_anchor_at_every_step(models: Path) -> None:
    model = str(models / "lively and watchful")
    crowded = predict(milder(wedge_problem(crowd(CLIMB, SWING))), model=model, fidelity="refined").histories
    alone = predict(milder(wedge_problem()), model=model, fidelity="refined").histories
    for mine, before in zip(crowded[:2], alone, strict=True):
        assert len(mine.steps) < len(mine.factors) == len(before.steps)
        # Other states of the network enrich the span, so that the answers differ by what is left to find.
        for name in ("peak_plastic_strain", "peak_von_mises_pa", "max_displacement_m"):
            expected = getattr(before.scalars, name)
            np.testing.assert_allclose(getattr(mine.scalars, name), expected, atol=0.02 * expected.max(), err_msg=name)


# ---- histories screened by their tokens


def read_everywhere(problem: Problem, model: str, monkeypatch: pytest.MonkeyPatch) -> tuple[HistoryFields, ...]:
    """The prediction that decodes only the first step of each history, so that all others are read from tokens."""
    first = np.array([[i, 0] for i in range(len(problem.load_histories))])
    with monkeypatch.context() as patch:
        patch.setattr(service, "decoded_states", lambda *_, **__: first)
        return predict(problem, model=model).histories


@pytest.mark.parametrize("name", ["fresh", "lively"])
def test_screening_reads_what_a_prediction_reads(name: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, model = wedge_problem((CLIMB, MILD, SWING)), str(models / name)
    for mine, told in zip(screen(problem, model=model), read_everywhere(problem, model, monkeypatch), strict=True):
        assert mine.name == told.name
        assert mine.peak_plastic_strain == pytest.approx(told.scalars.peak_plastic_strain.max(), rel=1e-6, abs=1e-12)
        assert mine.peak_von_mises_pa == pytest.approx(told.scalars.peak_von_mises_pa.max(), rel=1e-6)


def test_screening_by_an_untrained_model_tells_the_reduced_anchors_peaks(models: Path) -> None:
    problem = wedge_problem((CLIMB, SWING))
    anchored = reduced_histories(elastic_anchor(problem), problem)
    yield_strain = problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    for mine, anchor in zip(screen(problem, model=str(models / "fresh")), anchored, strict=True):
        # The tokens sit where most flows, and a fresh head adds a fraction of a hundredth of the yield strain.
        peak = float(anchor.scalars.peak_plastic_strain.max())
        assert mine.peak_plastic_strain == pytest.approx(peak, rel=1e-4, abs=0.01 * yield_strain)
        # Its modes leave what the plastic strain leaves, but for what the span does not hold.
        assert mine.permanent_set_m == pytest.approx(anchor.totals.permanent_set_m, rel=0.05)
        assert mine.peak_von_mises_pa == pytest.approx(float(anchor.scalars.peak_von_mises_pa.max()), rel=0.1)


def test_quick_screening_is_the_anchors_answer_at_the_hottest_points() -> None:
    problem = wedge_problem((CLIMB, SWING))
    for mine, anchor in zip(
        screen(problem, quick=True), reduced_histories(elastic_anchor(problem), problem), strict=True
    ):
        assert mine.peak_plastic_strain == pytest.approx(float(anchor.scalars.peak_plastic_strain.max()), rel=0.05)
        assert mine.permanent_set_m == pytest.approx(anchor.totals.permanent_set_m, rel=0.1)
        assert mine.peak_von_mises_pa == pytest.approx(float(anchor.scalars.peak_von_mises_pa.max()), rel=0.05)


def crowd_of_histories() -> tuple[LoadHistory, ...]:
    """Forty, each a share of one of two ways, a little disturbed."""
    generator = np.random.default_rng(0)
    ways = ((share, base) for share in np.linspace(0.5, 0.9, 20) for base in (CLIMB, SWING))
    return tuple(
        LoadHistory(f"{i}", share * base.factors * generator.uniform(0.8, 1.1, base.factors.shape))
        for i, (share, base) in enumerate(ways)
    )


def test_of_a_crowd_the_worst_are_told_as_with_few_others(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "RESTLESS", 1.0)  # an untrained network knows nothing
    problem, model = wedge_problem(crowd_of_histories()), str(models / "fresh")
    screened, predicted = screen(problem, model=model), predict(problem, model=model).histories
    strains = [float(history.scalars.peak_plastic_strain.max()) for history in predicted]
    for told in ([history.peak_plastic_strain for history in screened], strains):
        ranked = np.argsort(told)[::-1]
        few = wedge_problem(tuple(problem.load_histories[i] for i in ranked[:4]))
        true = [float(h.scalars.peak_plastic_strain.max()) for h in solve(few).histories]
        np.testing.assert_allclose(np.array(told)[ranked[:4]], true, rtol=0.01)
    assert [history.name for history in predicted] == [history.name for history in problem.load_histories]
    assert [history.name for history in screened] == [history.name for history in problem.load_histories]


def test_the_worst_are_solved_where_that_is_asked_and_a_collapse_is_worse_than_all() -> None:
    once = LoadHistory("too much", 3 * CLIMB.factors)
    problem = wedge_problem((MILD, CLIMB, SWING, once))
    quick, found = screen(problem, quick=True), screen(problem, quick=True, solved=2)
    worst = sorted(range(4), key=lambda place: -quick[place].peak_plastic_strain)[:2]
    assert 3 in worst and found[3].peak_plastic_strain == np.inf
    (other,) = set(worst) - {3}
    true = solve(replace(problem, load_histories=(problem.load_histories[other],))).histories[0]
    assert found[other].peak_plastic_strain == pytest.approx(float(true.scalars.peak_plastic_strain.max()), rel=1e-3)
    assert found[other].permanent_set_m == pytest.approx(true.totals.permanent_set_m, rel=1e-3)
    assert [found[place] for place in range(4) if place not in worst] == [
        quick[place] for place in range(4) if place not in worst
    ]
    with pytest.raises(InputError, match="zero or more"):
        screen(problem, quick=True, solved=-1)


def test_a_crowds_answer_has_no_units_and_does_not_hang_on_rounding() -> None:
    """A part twice as stiff and strong under twice the loads has the same strains, but for the last digit."""
    problem = wedge_problem(crowd_of_histories())
    material = problem.material
    strong = replace(
        material,
        youngs_modulus_pa=2 * material.youngs_modulus_pa,
        yield_strength_pa=2 * material.yield_strength_pa,
        ultimate_strength_pa=2 * material.ultimate_strength_pa,
        hardening=material.hardening.scaled(2.0),
    )
    doubled = tuple(replace(each, factors=2 * each.factors) for each in problem.load_histories)
    other = replace(problem, material=strong, load_histories=doubled)
    mine, same = ([h.peak_plastic_strain for h in screen(each, quick=True)] for each in (problem, other))
    assert max(mine) > 1e-3
    np.testing.assert_allclose(same, mine, rtol=1e-4, atol=1e-8)


def test_screening_finds_nothing_plastic_where_nothing_yields_whatever_the_weights(models: Path) -> None:
    below = LoadHistory("below", 0.6 * MILD.factors)
    problem = wedge_problem((below, MILD, REST, CLIMB))
    found, solved = screen(problem, model=str(models / "lively")), solve(problem)
    quickly = screen(problem, quick=True)
    assert quickly[3].peak_plastic_strain > 0 and quickly[3].permanent_set_m > 0
    for mine, true in zip((*found[:3], *quickly[:3]), solved.histories[:3] * 2, strict=True):
        assert mine.peak_plastic_strain == 0.0 and mine.permanent_set_m == 0.0
        assert mine.peak_von_mises_pa == pytest.approx(float(true.scalars.peak_von_mises_pa.max()), rel=1e-6)
    assert found[3].peak_plastic_strain > 0 and found[3].permanent_set_m > 0


@pytest.mark.parametrize("frame", [FRAMES["turned"], FRAMES["turned and mirrored"]])
def test_screening_does_not_see_the_frame_or_the_numbers(frame: FloatArray, models: Path) -> None:
    model = str(models / "lively")
    before = screen(wedge_problem(), model=model)
    for other in (turned(wedge_problem(), frame), renumbered(wedge_problem(), 3).problem):
        for mine, same in zip(screen(other, model=model), before, strict=True):
            for name in ("peak_plastic_strain", "peak_von_mises_pa", "permanent_set_m"):
                assert getattr(mine, name) == pytest.approx(getattr(same, name), rel=10 * SINGLE), name


def test_screening_reads_a_history_to_its_own_end(models: Path) -> None:
    """Beside a longer one; what stands still after its end is not read."""
    short, model = LoadHistory("short", SWING.factors[:2]), str(models / "lively")
    whole = screen(wedge_problem((CLIMB, SWING, short)), model=model)
    assert [each.name for each in whole] == ["climb", "swing", "short"]
    assert whole[2].peak_plastic_strain < whole[1].peak_plastic_strain
    assert whole[2].permanent_set_m != whole[1].permanent_set_m


def test_screening_decodes_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a field is decoded to rank histories")

    monkeypatch.setattr(FieldDecoder, "forward", refuse)
    assert screen(wedge_problem((CLIMB,)), model=str(models / "lively"))[0].peak_plastic_strain > 0


# ---- verdicts, devices and models


def test_the_fidelity_solved_is_the_reference() -> None:
    problem = wedge_problem((CLIMB,))
    found = predict(problem, fidelity="solved")  # needs no model
    assert found.method == "solved" and found.model is None
    assert np.array_equal(found.histories[0].stress, solve(problem).histories[0].stress)


def test_auto_predicts_what_it_may_and_solves_what_it_should_not(models: Path) -> None:
    problem = wedge_problem((CLIMB,))
    trusted = predict(problem, model=str(models / "calibrated"), fidelity="auto")
    assert trusted.method == "surrogate" and trusted.domain is not None and trusted.domain.inside
    strange = predict(problem, model=str(models / "narrow"), fidelity="auto")
    assert strange.method == "solved"
    assert "solved by FEM instead of predicted: outside the model's training domain" in strange.warnings[0]
    without_intervals = predict(problem, model=str(models / "lively"), fidelity="auto")
    assert without_intervals.method == "solved"


def test_a_problem_outside_of_the_domain_is_answered_with_a_warning(models: Path) -> None:
    found = predict(wedge_problem((CLIMB,)), model=str(models / "narrow"))
    assert found.method == "surrogate" and found.domain is not None and not found.domain.inside
    assert found.warnings == (f"outside the model's training domain: {found.domain.reason}",)


def test_a_history_past_collapse_is_told(models: Path) -> None:
    """The wedge hardens hardly at all here, so that no balance is left at twenty times the load."""
    problem = wedge_problem((MILD, LoadHistory("crush", 20 * CLIMB.factors)))
    weak = replace(problem.material, hardening=LinearHardening(0.0))
    found = predict(replace(problem, material=weak), model=str(models / "lively"))
    assert "at or past plastic collapse: no balance was found in 'crush'" in found.warnings[-1]
    assert not predict(wedge_problem((MILD,)), model=str(models / "lively")).warnings


def test_of_histories_at_rest_the_network_says_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On validation parts it made answers worse that the modes had already settled."""
    problem = wedge_problem((CLIMB, SWING))
    monkeypatch.setattr(prepared, "RESTLESS", 1.0)
    names = ("lively and watchful", "fresh and watchful")
    answers = [predict(problem, model=str(models / name)).histories for name in names]
    anchored = reduced_histories(elastic_anchor(problem), problem)
    for mine, untrained, anchor in zip(*answers, anchored, strict=True):
        np.testing.assert_array_equal(mine.plastic_strain, untrained.plastic_strain)
        assert_close(mine.equivalent_plastic_strain, anchor.equivalent_plastic_strain)


def test_in_a_crowd_at_rest_unread_steps_tell_the_largest_plastic_strain_as_decoded_ones_do(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the hottest points; that one token knows more does not make the regions of the others yield."""
    monkeypatch.setattr(prepared, "RESTLESS", 1.0)
    model = str(models / "lively and watchful")
    alone = predict(wedge_problem((CLIMB, SWING)), model=model).histories
    crowded = predict(wedge_problem(crowd(CLIMB, SWING)), model=model).histories
    for mine, before in zip(crowded[:2], alone, strict=True):
        assert len(mine.steps) < len(mine.factors) == len(before.steps)
        expected = before.scalars.peak_plastic_strain
        # The span of a crowd is another, and ends its rounds earlier.
        np.testing.assert_allclose(mine.scalars.peak_plastic_strain, expected, atol=0.05 * expected.max())
        assert mine.scalars.yielded_volume_fraction.max() < 0.9


def test_the_answer_says_who_answered_and_how_long_each_stage_took(answer: Fields) -> None:
    assert answer.model is not None
    assert (answer.model.name, answer.model.version) == ("lively", "1")
    stages = {"anchor", "modes", "encode", "rollout", "decode", "equilibrium"}
    assert set(answer.timings_s) == stages | {"total"}
    assert answer.timings_s["total"] == pytest.approx(sum(answer.timings_s[stage] for stage in stages))
    assert all(seconds >= 0 for seconds in answer.timings_s.values())


def test_progress_goes_through_the_stages(models: Path) -> None:
    seen: list[str] = []
    predict(wedge_problem((CLIMB,)), model=str(models / "lively"), progress=lambda stage, done: seen.append(stage))
    assert list(dict.fromkeys(seen)) == ["anchor", "encode", "rollout", "decode", "equilibrium"]
    seen.clear()
    predict(
        wedge_problem((CLIMB,)), model=str(models / "lively"), fidelity="refined",
        progress=lambda stage, done: seen.append(stage),
    )  # fmt: skip
    assert list(dict.fromkeys(seen)) == ["anchor", "encode", "rollout", "decode", "refine", "equilibrium"]


def test_errors_come_before_any_work(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, model = wedge_problem((CLIMB,)), str(models / "lively")
    with pytest.raises(CheckpointError, match="no model"):
        predict(problem, model=str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no GPU"):
        predict(problem, model=model, device="cuda")
    loose = replace(problem, supports=(Support(NameSelector("root"), ("normal",)),))
    with pytest.raises(RigidBodyError):
        predict(loose, model=model)


def test_a_model_on_one_device_is_not_moved_by_asking_for_it_on_another(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device "meta" stands for a GPU."""
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "choose_device", torch.device)
        held, other = (prepared.loaded_model(str(models / "lively"), device) for device in ("cpu", "meta"))
        assert next(other.network.parameters()).device.type == "meta"
        assert next(held.network.parameters()).device.type == "cpu"
    prepared._load.cache_clear()


def test_a_model_that_was_calibrated_since_is_read_again(tmp_path: Path) -> None:
    problem, name = wedge_problem((CLIMB,)), save_model(tmp_path / "m", lively_model())
    assert predict(problem, model=name).histories[0].scalars_low is None
    save_model(tmp_path / "m", lively_model(), calibration=WIDE.as_json())
    assert predict(problem, model=name).histories[0].scalars_low is not None


def test_the_features_of_the_domain_check_are_those_of_the_problem(models: Path) -> None:
    problem, model = wedge_problem((CLIMB,)), str(models / "lively")
    found = domain_features_of(problem, predict(problem, model=model), model)
    assert found.shape == (len(FEATURES),) and np.isfinite(found).all()
    larger = enlarged(problem, 1000.0)
    same = domain_features_of(larger, predict(larger, model=model), model)
    np.testing.assert_allclose(same, found, rtol=SINGLE, atol=SINGLE)


# ---- the same laws of the model that ships


def shipped() -> str:
    models = list_models()
    if not models:
        pytest.skip("no model ships yet")
    return models[0].name


@pytest.mark.slow
@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_the_shipped_model_turns_with_the_part(frame: FloatArray) -> None:
    model, problem = shipped(), wedge_problem(mesh=wedge_mesh((8, 4, 3)))
    assert_turned(predict(turned(problem, frame), model=model), predict(problem, model=model), frame)


@pytest.mark.slow
def test_the_shipped_model_does_not_see_size_or_numbers() -> None:
    model, problem = shipped(), wedge_problem(mesh=wedge_mesh((8, 4, 3)))
    before = predict(problem, model=model)
    other = renumbered(problem, 4)
    assert_renumbered(predict(other.problem, model=model), before, other.points, other.cells)
    for after, history in zip(predict(enlarged(problem, 1000.0), model=model).histories, before.histories, strict=True):
        assert_close(after.displacement / 1000, history.displacement)
        assert_close(after.plastic_strain, history.plastic_strain)


@pytest.mark.slow
def test_the_shipped_model_is_exact_before_yield_and_better_than_its_anchor_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a part of no family that it was trained on, with a notch like theirs and the anchor of its training."""
    monkeypatch.setattr(prepared, "reduced_anchor", lambda anchor, path: reduced_anchor(anchor, path, plain_rounds(1)))
    histories = tuple(LoadHistory(h.name, 0.7 * h.factors) for h in (MILD, CLIMB, SWING))
    model, problem = shipped(), wedge_problem(histories, wedge_mesh((8, 4, 3)))
    found, solved = predict(problem, model=model), solve(problem)
    reduced = reduced_histories(elastic_anchor(problem), problem, plain_rounds(1))
    assert_close(found.histories[0].stress, solved.histories[0].stress, ROUND_OFF)
    assert found.domain is not None
    errors = []
    for mine, anchor, true in list(zip(found.histories, reduced, solved.histories, strict=True))[1:]:
        assert mine.scalars_low is not None
        pair = [history_difference(each, true, found.quadrature_volume, problem.mesh.cells) for each in (mine, anchor)]
        assert pair[0] is not None and pair[1] is not None
        errors.append([each.last.plastic_strain_rel_l2 for each in pair if each is not None])
    mine, anchor = np.mean(errors, axis=0)
    # A model that learned nothing has all of its anchor's error.
    assert mine < 0.97 * anchor


@pytest.mark.slow
def test_the_shipped_model_ranks_histories_as_the_solver_does_without_decoding_one() -> None:
    random = np.random.default_rng(0)
    directions = random.normal(size=(10, 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rise = np.array([0.4, 0.8, 1.0, 0.2])[:, None]
    histories = tuple(
        LoadHistory(f"h{i}", size * rise * direction)
        for i, (size, direction) in enumerate(zip(random.uniform(1.0, 1.4, 10), directions, strict=True))
    )
    model, problem = shipped(), wedge_problem(histories, wedge_mesh((8, 4, 3)))
    found, solved = screen(problem, model=model), solve(problem)
    read = np.array([[each.peak_plastic_strain, each.permanent_set_m] for each in found])
    true = np.array(
        [[each.scalars.peak_plastic_strain.max(), each.totals.permanent_set_m] for each in solved.histories]
    )
    yielding = true[:, 0] > 0
    assert yielding.sum() >= 5 and not read[~yielding].any()
    for column in range(2):
        ranks = [np.argsort(np.argsort(values[:, column])) for values in (read, true)]
        # The sum of squared rank differences; Spearman's coefficient is above 0.95 for 10 histories.
        assert np.square(ranks[0] - ranks[1]).sum() <= 8
        ratio = read[yielding, column] / true[yielding, column]
        assert np.median(np.abs(np.log(ratio))) < 0.1
