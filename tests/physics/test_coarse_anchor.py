"""The answer to a large part from a coarse mesh of the same solid."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.errors import GeometryError
from surrogate.physics import two_grid
from surrogate.physics.coarse_anchor import CoarseSettings, near_yield, transferred_anchor
from surrogate.physics.coarse_answer import coarse_answer
from surrogate.physics.coarse_groups import HighShare
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.elastic import build_elastic_system, solve_load_cases
from surrogate.physics.error_norms import history_difference
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Support, Traction
from surrogate.physics.recorder import weighted_quantile
from surrogate.physics.reduced import plain_rounds, reduced_anchor
from surrogate.physics.solver import solve
from tests.physics.meshes import LEFT, RIGHT, STEEL, block

SIZE = (0.2, 0.05, 0.05)
FINE, COARSE = block((10, 3, 3), SIZE), block((5, 2, 2), SIZE)
CASES = (LoadCase("bend", (Traction(RIGHT, (0.0, 0.0, 14e6)),)), LoadCase("pull", (Traction(RIGHT, (1e8, 0.0, 0.0)),)))
BEND = np.array([[0.5, 0.2], [1.0, 0.3], [1.1, 0.6], [0.3, 0.3], [0.0, 0.0]])
PROBLEM = Problem(
    FINE, STEEL, (Support(LEFT),), CASES, (LoadHistory("both", BEND), LoadHistory("small", 0.3 * BEND[:3])), "beam"
)


def test_the_same_mesh_gives_back_the_plain_reduced_anchor() -> None:
    """Whose modes the factor of the same mesh finds without an iteration."""
    anchor = solve_load_cases(PROBLEM, build_elastic_system(FINE, STEEL, PROBLEM.supports))
    factors = BEND[None]
    carried = transferred_anchor(PROBLEM, anchor, factors, CoarseSettings(60, 1e-6, 1e-6, modes=12))
    moved = np.moveaxis(anchor.system.displacement(anchor.unknowns), 0, 2)
    # Points lie on corners and edges of their own cells: the shape functions are 0 and 1 but for round-off.
    assert np.abs(carried.cases - moved).max() < 1e-5 * np.abs(moved).max()
    reduced = reduced_anchor(anchor, factors, plain_rounds(1))
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    *_, last = deviatoric_path(strain, np.concatenate([factors, reduced.coordinates], axis=-1), STEEL)
    points, own = near_yield(carried, 1.0)
    *_, found = deviatoric_path(own.astype(float), carried.path, STEEL)
    # They look at points from another share of yield on, and at other snapshots.
    assert np.abs(found.equivalent - last.equivalent[:, points]).max() < 0.02 * last.equivalent.max()
    assert set(np.flatnonzero(last.equivalent[0] > 1e-3 * last.equivalent.max())) <= set(points.tolist())


def test_the_answer_is_near_the_solved_one_and_much_nearer_than_the_coarse_meshs() -> None:
    solved, found = solve(PROBLEM), coarse_answer(PROBLEM, COARSE)
    difference = history_difference(found.histories[0], solved.histories[0], solved.quadrature_volume, FINE.cells)
    assert difference is not None
    assert difference.last.plastic_strain_rel_l2 < 0.15
    assert difference.peak.displacement_rel_l2 < 0.01
    true, mine, coarse = (
        answer.histories[0].totals.permanent_set_m for answer in (solved, found, solve(replace(PROBLEM, mesh=COARSE)))
    )
    assert abs(mine - true) < 0.5 * abs(coarse - true)
    assert found.method == "coarse"
    assert found.warnings[0].startswith("answered from an anchor mesh")


def test_without_rounds_the_points_alone_answer() -> None:
    found = coarse_answer(PROBLEM, COARSE, settings=CoarseSettings(rounds=0)).histories[0]
    assert found.scalars.peak_plastic_strain.max() > 0
    # No mode acts: what is left of the displacement is the elastic answer's to no load.
    assert found.totals.permanent_set_m == 0.0 and np.abs(found.displacement[-1]).max() == 0.0


def test_scalars_are_those_of_the_stored_fields() -> None:
    answer = coarse_answer(PROBLEM, COARSE)
    for history in answer.histories:
        assert history.steps.tolist() == list(range(len(history.factors)))
        mises = np.sqrt(1.5) * _deviator_norm(history.stress)
        volume = answer.quadrature_volume.ravel()
        for step in range(len(history.factors)):
            own = mises[step].ravel()
            # Single precision of the scalars.
            assert history.scalars.peak_von_mises_pa[step] == pytest.approx(own.max(), rel=1e-4)
            expected = weighted_quantile(own, volume, 0.999)
            assert history.scalars.p999_von_mises_pa[step] == pytest.approx(expected, rel=1e-4)
        assert np.allclose(
            history.scalars.peak_plastic_strain, history.equivalent_plastic_strain.max(axis=(1, 2)), rtol=1e-9
        )
        assert np.allclose(
            history.scalars.max_displacement_m, np.linalg.norm(history.displacement, axis=2).max(axis=1), rtol=1e-5
        )
    both, small = answer.histories
    assert both.totals.permanent_set_m == pytest.approx(both.scalars.max_displacement_m[-1], rel=1e-3)
    assert small.totals.permanent_set_m == 0.0
    assert small.totals.safety_factor_yield > 1 > both.totals.safety_factor_yield


def test_an_elastic_history_is_the_elastic_answer() -> None:
    solved = solve(replace(PROBLEM, load_histories=PROBLEM.load_histories[1:]))
    found = coarse_answer(
        replace(PROBLEM, load_histories=PROBLEM.load_histories[1:]), COARSE, settings=CoarseSettings(80, 1e-4)
    )
    apart = np.abs(found.histories[0].displacement - solved.histories[0].displacement).max()
    assert apart < 1e-3 * np.abs(solved.histories[0].displacement).max()
    assert found.histories[0].scalars.peak_plastic_strain.max() == 0
    # What the iterations leave, over the load.
    assert found.histories[0].scalars.equilibrium_residual.max() < 1e-2


def test_groups_of_cells_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = coarse_answer(PROBLEM, COARSE).histories[0]
    monkeypatch.setattr(two_grid, "_TOGETHER", 64)
    parts = coarse_answer(PROBLEM, COARSE).histories[0]
    # Sums in another order, in single precision, through the iterations.
    assert np.abs(parts.stress - whole.stress).max() < 1e-3 * np.abs(whole.stress).max()
    assert parts.scalars.p999_von_mises_pa == pytest.approx(whole.scalars.p999_von_mises_pa, rel=1e-3)


def test_a_mesh_of_another_solid_is_refused() -> None:
    with pytest.raises(GeometryError, match="not of this part"):
        coarse_answer(PROBLEM, block((3, 2, 2), (0.2, 0.05, 0.08)))


def test_the_high_share_of_groups_is_the_quantile_of_the_whole() -> None:
    random = np.random.default_rng(0)
    values = random.lognormal(size=(3000, 4)).astype(np.float32)
    weights = random.uniform(0.1, 2.0, 3000)
    high = HighShare(4, 0.01 * weights.sum())
    for part in np.array_split(np.arange(3000), 7):
        high.add(values[part], weights[part])
    expected = [weighted_quantile(values[:, k], weights, 0.99) for k in range(4)]
    assert np.allclose(high.values(), expected)


def _deviator_norm(
    stress: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    deviator = stress.copy()
    deviator[..., :3] -= stress[..., :3].mean(axis=-1, keepdims=True)
    return np.sqrt((deviator[..., :3] ** 2).sum(axis=-1) + 2 * (deviator[..., 3:] ** 2).sum(axis=-1))
