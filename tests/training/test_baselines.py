"""The classical competitors are what they say: no plastic strain, the local one, some passes, the truth."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from surrogate.fields import FloatArray, HistoryFields
from surrogate.model.anchor_path import local_path
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.physics.invariants import to_first, to_last, von_mises
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory
from surrogate.physics.reduced import ReducedSettings
from surrogate.physics.solver import SolverSettings, solve_histories
from surrogate.training.baselines import (
    elastic_only,
    equilibrated_history,
    fitted_factor,
    local_anchor,
    reduced_histories,
    stored_truth,
    with_passes,
)
from tests.model.parts import CLIMB, SWING, wedge_problem
from tests.training.wedges import PARTS, simulation

# Well below collapse, where passes converge.
PROBLEM = wedge_problem(tuple(LoadHistory(h.name, 0.75 * h.factors) for h in (CLIMB, SWING)))
ANCHOR = elastic_anchor(PROBLEM)
CELLS = PROBLEM.mesh.cells


@cache
def reference() -> tuple[HistoryFields, ...]:
    return solve_histories(ANCHOR, PROBLEM.load_histories, SolverSettings(tolerance=1e-9))


def errors(answers: tuple[HistoryFields, ...]) -> FloatArray:
    """Plastic strain and stress of the last step, and plastic strain of the peak step, of each history."""
    rows = []
    for mine, true in zip(answers, reference(), strict=True):
        found = history_difference(mine, true, ANCHOR.system.volumes, CELLS)
        assert found is not None
        rows.append((found.last.plastic_strain_rel_l2, found.last.stress_rel_l2, found.peak.plastic_strain_rel_l2))
    return np.array(rows)


def test_more_passes_come_nearer_until_they_are_the_solution() -> None:
    found = [errors(with_passes(ANCHOR, PROBLEM, passes)) for passes in (1, 3, 8, 40)]
    climb = [error[0].max() for error in found]
    assert climb[0] > climb[1] > climb[2] > climb[3]
    # Too few passes overshoot where the load swings back, but in the end every history arrives.
    assert (found[2] < 0.05).all() and (found[3] < 1e-6).all()


def test_the_local_anchor_is_the_local_path_equilibrated_once() -> None:
    for i, history in enumerate(local_anchor(ANCHOR, PROBLEM)):
        factors = PROBLEM.load_histories[i].factors
        for step in local_path(ANCHOR.strain, factors[None], PROBLEM.material):
            expected = to_last(step.state.plastic_strain[:, :, 0], len(CELLS))
            np.testing.assert_array_equal(history.plastic_strain[step.step], expected)
            np.testing.assert_array_equal(
                history.equivalent_plastic_strain[step.step].ravel(), step.state.equivalent[:, 0]
            )
            # Its stress is one that the material can carry.
            limit = PROBLEM.material.yield_strength_pa + PROBLEM.material.hardening_modulus_pa * step.state.equivalent
            assert (von_mises(to_first(history.stress[step.step])) <= limit[:, 0] * (1 + 1e-9)).all()


def test_the_reduced_anchor_lies_between_the_local_one_and_the_solution_and_each_round_brings_it_nearer() -> None:
    rounds = [ReducedSettings(modes=4, enrichments=enrichments, further=0) for enrichments in (0, 1, 2)]
    found = [errors(answers) for answers in (local_anchor(ANCHOR, PROBLEM), *map(reduced, rounds))]
    for before, after in pairwise(found):
        assert (after[:, 0] < before[:, 0]).all()
    # Plastic strain, stress and peak of every history.
    assert (found[1] < 0.5 * found[0]).all() and (found[3] < 0.05).all()


def reduced(settings: ReducedSettings) -> tuple[HistoryFields, ...]:
    return reduced_histories(ANCHOR, PROBLEM, settings)


def test_the_reduced_anchor_of_no_modes_is_the_local_one() -> None:
    for mine, local in zip(reduced(ReducedSettings(modes=0)), local_anchor(ANCHOR, PROBLEM), strict=True):
        # The law along one history and along all of them together.
        scale = float(np.abs(local.plastic_strain).max())
        np.testing.assert_allclose(mine.plastic_strain, local.plastic_strain, atol=1e-9 * scale)
        np.testing.assert_allclose(mine.stress, local.stress, atol=1e-9 * np.abs(local.stress).max())


def test_the_reduced_anchor_of_a_history_ends_where_the_history_ends() -> None:
    """Beside a longer one it is padded while it is integrated."""
    short = LoadHistory("short", PROBLEM.load_histories[0].factors[:2])
    answers = reduced_histories(ANCHOR, replace(PROBLEM, load_histories=(short, *PROBLEM.load_histories)))
    assert [len(answer.factors) for answer in answers] == [2, 4, 4]
    assert len(answers[0].steps) == len(answers[0].scalars.peak_plastic_strain) == 2
    # The same steps of the same modes.
    scale = float(np.abs(answers[1].stress).max())
    np.testing.assert_allclose(answers[0].stress, answers[1].stress[:2], atol=1e-6 * scale)


def test_a_factor_scales_the_plastic_strain_and_nothing_before_yield() -> None:
    for once, twice in zip(local_anchor(ANCHOR, PROBLEM), local_anchor(ANCHOR, PROBLEM, 2.0), strict=True):
        np.testing.assert_array_equal(twice.plastic_strain, 2 * once.plastic_strain)
        np.testing.assert_array_equal(twice.stress[0], once.stress[0])
        assert not once.plastic_strain[0].any()


def test_the_elastic_answer_has_no_plastic_strain_and_is_the_sum_of_the_cases() -> None:
    for i, history in enumerate(elastic_only(ANCHOR, PROBLEM)):
        assert not history.plastic_strain.any() and not history.equivalent_plastic_strain.any()
        assert history.totals.permanent_set_m == 0.0
        for step, factors in enumerate(PROBLEM.load_histories[i].factors):
            expected = to_last(ANCHOR.stress @ factors, len(CELLS))
            # Another solve of the same system.
            scale = max(float(np.abs(expected).max()), 1.0)
            np.testing.assert_allclose(history.stress[step], expected, atol=1e-9 * scale)


def test_equilibrating_the_solved_plastic_strain_gives_the_solution() -> None:
    for history, true in zip(PROBLEM.load_histories, reference(), strict=True):
        strain = np.stack([to_first(step) for step in true.plastic_strain], axis=-1)
        equivalent = np.stack([step.ravel() for step in true.equivalent_plastic_strain], axis=-1)
        found = equilibrated_history(ANCHOR, history, PlasticState(strain, equivalent))
        # The solver's tolerance on the imbalance.
        np.testing.assert_allclose(found.stress, true.stress, atol=1e-6 * np.abs(true.stress).max())
        np.testing.assert_allclose(found.displacement, true.displacement, atol=1e-6 * np.abs(true.displacement).max())


@pytest.mark.parametrize("part", PARTS["validation"])
def test_the_stored_truth_is_the_solution_that_made_the_simulation(part: tuple[str, int]) -> None:
    solved = simulation(*part)
    anchor = elastic_anchor(solved.problem)
    truth = stored_truth(anchor, solved)
    for i, history in enumerate(truth):
        # Labels are solved to an imbalance of 1e-4 and stored in single precision.
        scale = np.abs(solved.displacement[i]).max()
        np.testing.assert_allclose(history.displacement, solved.displacement[i], atol=1e-3 * scale)
        for name in ("peak_von_mises_pa", "max_displacement_m", "peak_plastic_strain", "yielded_volume_fraction"):
            found, expected = getattr(history.scalars, name), getattr(solved.scalars, name)[i]
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3 * expected.max(), err_msg=name)
        cell = von_mises(to_first(history.stress[-1])).reshape(-1, 4).max(axis=1)
        stored = solved.cell_von_mises[i, -1].astype(float) * solved.problem.material.yield_strength_pa
        np.testing.assert_allclose(cell, stored, atol=2e-3 * stored.max())  # half precision


def test_the_fitted_factor_is_the_one_that_made_the_truth() -> None:
    random = np.random.default_rng(0)
    local = [random.random(50) for _ in range(7)]
    noisy = [1.8 * state * (1 + 0.02 * random.normal(size=50)) for state in local]
    assert fitted_factor(noisy, local) == pytest.approx(1.8, abs=0.06)
    # One part that has gone astray does not move the median.
    assert fitted_factor([*noisy, 50 * local[0]], [*local, local[0]]) == pytest.approx(1.8, abs=0.06)


def test_a_state_without_truth_in_it_does_not_spoil_the_fit() -> None:
    local = [np.ones(4)] * 5
    assert fitted_factor([np.full(4, 1.5)] * 5, local) == pytest.approx(1.5)
