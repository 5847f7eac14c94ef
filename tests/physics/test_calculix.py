"""CalculiX behind our signature: points, storage, collapse, deck, errors. tests/verification compares the answers.

It prints seven digits, so 1e-5 leaves room for the round-off of differences; both are iterated tighter than that.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from surrogate.errors import InfrastructureError
from surrogate.fields import Fields, FloatArray, HistoryFields
from surrogate.geometry.selectors import PlaneSelector
from surrogate.physics import calculix
from surrogate.physics.calculix import solve_with_calculix
from surrogate.physics.calculix_deck import reduced_rows, write_deck
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.materials import Material
from surrogate.physics.problem import (
    LoadCase,
    LoadHistory,
    Pressure,
    Problem,
    Support,
    Traction,
)
from surrogate.physics.recorder import quadrature_points
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import (
    BOTTOM,
    LEFT,
    PERFECT,
    RIGHT,
    STEEL,
    TOP,
    block,
    quarter_plate,
    rotation,
    symmetry_planes,
)

pytestmark = pytest.mark.skipif(
    shutil.which("ccx") is None, reason="CalculiX is not installed (apt-get install calculix-ccx)"
)
TIGHT = SolverSettings(tolerance=1e-9)
BAR = 1e-5


def relative(actual: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def mises(history: HistoryFields) -> FloatArray:
    return np.stack([von_mises(to_first(stress)) for stress in history.stress])


def assert_agreement(problem: Problem) -> tuple[Fields, Fields]:
    ours, theirs = solve(problem, settings=TIGHT), solve_with_calculix(problem)
    for mine, other in zip(ours.histories, theirs.histories, strict=True):
        assert mine.name == other.name
        assert mine.steps.tolist() == other.steps.tolist()
        for step in range(len(mine.steps)):
            assert relative(other.displacement[step], mine.displacement[step]) < BAR
            assert relative(mises(other)[step], mises(mine)[step]) < BAR
            assert relative(other.stress[step], mine.stress[step]) < BAR
        if mine.equivalent_plastic_strain.any():
            assert relative(other.equivalent_plastic_strain, mine.equivalent_plastic_strain) < BAR
            assert relative(other.plastic_strain, mine.plastic_strain) < BAR
        assert (other.scalars.equilibrium_residual < BAR).all()
    return ours, theirs


def test_the_quadrature_points_of_calculix_stand_where_ours_do(tmp_path: Path) -> None:
    # Asked by position, not by number: a curved cell, so that no two points look alike.
    mesh = quarter_plate(2, 4, 1, 1.0, 2.0, 1.0)
    case = LoadCase("pull", (Traction(RIGHT, (1e6, 0, 0)),))
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (LoadHistory("once", np.ones((1, 1))),))
    deck = write_deck(problem, np.ones((1, 1)), np.zeros((1, len(mesh.points), 3)), 1e-6)
    (tmp_path / "deck.inp").write_text(deck.replace("*EL PRINT,ELSET=PART\nS\n", "*EL PRINT,ELSET=PART\nCOORD\n"))
    subprocess.run(["ccx", "deck"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    text = (tmp_path / "deck.dat").read_text()
    table = text.split("global coordinates", 1)[1].split("\n", 1)[1].split(" internal state")[0]
    printed = np.array(table.split(), float).reshape(-1, 5)
    expected = quadrature_points(elastic_anchor(problem).system)
    np.testing.assert_array_equal(printed[:, :2], [[c + 1, q + 1] for c in range(len(mesh.cells)) for q in range(4)])
    np.testing.assert_allclose(printed[:, 2:], expected, atol=1e-6)


def test_long_histories_are_stored_by_the_same_rule() -> None:
    mesh = block((1, 1, 1))
    case = LoadCase("pull", (Traction(RIGHT, (1e6, 0, 0)),))
    factors = np.concatenate([np.linspace(1, 300, 40), np.linspace(290, 1, 30)])[:, None]
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (LoadHistory("long", factors),))
    _, theirs = assert_agreement(problem)
    assert theirs.histories[0].steps.tolist() == [39, 69]


def test_a_history_past_collapse_ends_where_calculix_gave_up() -> None:
    mesh = block((1, 1, 1))
    case = LoadCase("pull", (Traction(RIGHT, (250e6, 0, 0)),))
    history = LoadHistory("over", np.array([[0.5], [0.9], [1.3]]))
    found = solve_with_calculix(Problem(mesh, PERFECT, symmetry_planes(), (case,), (history,))).histories[0]
    assert found.collapse is not None
    assert found.collapse.step == 2
    assert found.collapse.fraction == pytest.approx(0.25, abs=0.1)
    # The last state that it printed is an entry of its own, with the load factors that it carried.
    assert len(found.factors) == len(found.steps) == 3
    assert tuple(found.factors[-1]) == found.collapse.factors
    np.testing.assert_allclose(found.stress[-1][..., 0], 250e6 * found.factors[-1, 0], rtol=1e-6)
    at_once = LoadHistory("at once", np.array([[1.3]]))
    found = solve_with_calculix(Problem(mesh, PERFECT, symmetry_planes(), (case,), (at_once,))).histories[0]
    assert found.collapse is not None
    assert found.collapse.step == 0
    assert found.collapse.factors[0] == pytest.approx(1.0, abs=0.3)
    assert found.collapse.load_factor == pytest.approx(found.collapse.factors[0] / 1.3)


def test_the_solver_named_calculix_is_asked_by_the_same_verb_and_tells_its_progress() -> None:
    mesh = block((3, 3, 3))
    case = LoadCase("pull", (Traction(RIGHT, (100e6, 20e6, 0)),))
    histories = (LoadHistory("up", np.array([[0.6], [1.2], [1.7]])), LoadHistory("down", np.array([[0.5], [-1.5]])))
    problem = Problem(mesh, STEEL, (Support(LEFT),), (case,), histories)
    seen: list[tuple[str, float]] = []
    theirs = solve(problem, solver="calculix", progress=lambda stage, done: seen.append((stage, done)))
    ours = solve(problem, settings=TIGHT)
    for mine, other in zip(ours.histories, theirs.histories, strict=True):
        assert relative(other.stress, mine.stress) < BAR
        assert relative(other.equivalent_plastic_strain, mine.equivalent_plastic_strain) < BAR
        assert other.balance is not None and mine.balance is not None
        # Theirs is printed with seven digits.
        assert max(other.balance.energy_imbalance.max(), other.balance.reaction_imbalance.max()) < 1e-5
        np.testing.assert_allclose(other.balance.plastic_work_j, mine.balance.plastic_work_j, rtol=1e-4)
    assert theirs.warnings == ()
    shares = [done for stage, done in seen if stage == "solve"]
    assert shares == sorted(shares)
    assert {0.0, 0.6, 1.0} <= set(shares)
    assert len(solve(problem, solver="calculix", settings=SolverSettings(stored_steps=1)).histories[1].steps) == 1


def test_a_step_without_any_load_is_solved_too() -> None:
    mesh = block((1, 1, 1))
    case = LoadCase("pull", (Traction(RIGHT, (280e6, 0, 0)),))
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (LoadHistory("off", np.array([[0.0], [1.0], [0.0]])),))
    found = solve_with_calculix(problem).histories[0]
    expected = (280e6 - STEEL.yield_strength_pa) / STEEL.hardening_modulus_pa
    np.testing.assert_allclose(found.plastic_strain[2][..., 0], expected, rtol=1e-5)
    assert np.abs(found.stress[2]).max() < 1e-5 * 280e6


def test_a_missing_calculix_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calculix.shutil, "which", lambda name: None)
    with pytest.raises(InfrastructureError, match="apt-get install calculix-ccx"):
        solve_with_calculix(_small())


def test_calculix_is_stopped_when_it_takes_too_long() -> None:
    with pytest.raises(InfrastructureError, match=r"no result after 0\.01 s"):
        solve_with_calculix(_small(divisions=6), timeout_s=0.01)


def _small(material: Material = STEEL, divisions: int = 1) -> Problem:
    case = LoadCase("pull", (Traction(RIGHT, (1e6, 0, 0)),))
    return Problem(
        block((divisions,) * 3), material, symmetry_planes(), (case,), (LoadHistory("once", np.ones((1, 1))),)
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_reduced_rows_hold_the_same_directions(count: int) -> None:
    directions = np.random.default_rng(count).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows = reduced_rows(directions)
    assert len(rows) == min(count, 3)
    # Every row has a pivot of 1 that no other row holds, and the rows span the directions.
    pivots = [column for row in rows for column in np.flatnonzero(row == 1.0)[:1]]
    assert len(set(pivots)) == len(rows)
    np.testing.assert_array_equal(rows[:, pivots], np.eye(len(rows)))
    assert np.linalg.matrix_rank(np.vstack([rows, directions]), tol=1e-10) == len(rows)


def test_the_same_direction_twice_is_one_row() -> None:
    np.testing.assert_allclose(reduced_rows(np.array([[0, 1.0, 0], [0, -1.0, 0]])), [[0, 1, 0]], atol=1e-15)


def test_axes_become_boundary_lines_and_tilted_normals_equations() -> None:
    turn = rotation((0, 0, 1), 0.5)
    mesh = block((1, 1, 1), mapping=lambda x: x @ turn.T)
    x, y, z = (turn @ np.array([-1.0, 0, 0])).tolist()
    supports = (Support(PlaneSelector((x, y, z), "max"), ("normal",)), Support(BOTTOM))
    case = LoadCase("press", (Pressure(TOP, 1e6),))
    problem = Problem(mesh, STEEL, supports, (case,), (LoadHistory("once", np.ones((1, 1))),))
    deck = write_deck(problem, np.ones((1, 1)), np.ones((1, len(mesh.points), 3)), 1e-6)
    # Nine points of the tilted face less the three that the bottom holds in all directions.
    assert deck.count("*EQUATION") == 6
    assert len(deck.split("*BOUNDARY\n")[1].split("\n*STEP")[0].splitlines()) == 9 * 3
