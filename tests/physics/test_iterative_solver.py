"""Multigrid finds what the factor finds, for every kind of support, and refuses what is not positive definite."""

import numpy as np
import pytest
import scipy.sparse as sp

from surrogate.errors import SolveError
from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import unknown_layout
from surrogate.physics.elastic import ElasticSystem, build_elastic_system, solve_load_cases
from surrogate.physics.iterative_solver import MultigridSolver
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Support, Traction
from surrogate.physics.solver import solve_histories
from surrogate.physics.solver_settings import SolverSettings
from surrogate.physics.sparse_factor import FactorSettings
from tests.physics.meshes import LEFT, RIGHT, STEEL, distorted_block, quarter_plate, symmetry_planes
from tests.physics.test_stiffness_pattern import tilted_block


def multigrid(system: ElasticSystem) -> MultigridSolver:
    return MultigridSolver(system.stiffness, unknown_layout(system.mesh.points, system.freedom))


def right_sides(system: ElasticSystem, count: int) -> FloatArray:
    return np.random.default_rng(0).normal(size=(system.stiffness.shape[0], count))


@pytest.mark.parametrize(
    ("mesh", "supports"),
    [
        (distorted_block((5, 5, 4)), (Support(LEFT),)),
        (distorted_block((5, 5, 4)), symmetry_planes()),
        tilted_block(),
        # Thin cells that grow by a factor of thirty, the hard case of every iteration.
        (quarter_plate(5, 6, 1, 1.0, 20.0, 0.5), symmetry_planes()),
    ],
    ids=["held", "symmetry planes", "tilted planes", "graded plate"],
)
def test_the_solution_is_the_factors(mesh: TetMesh, supports: tuple[Support, ...]) -> None:
    system = build_elastic_system(mesh, STEEL, supports)
    right, solver = right_sides(system, 2), multigrid(system)
    found, expected = solver.solve(right), system.factor.solve(right)
    # The residual is 1e-10 of the load; on the graded plate the round-off of the factor's own residual is larger.
    assert np.abs(found - expected).max() < 1e-8 * np.abs(expected).max()
    np.testing.assert_allclose(solver.solve(right[:, 1]), found[:, 1], atol=1e-8 * np.abs(found).max())


def test_memory_is_that_of_the_matrix_and_little_more() -> None:
    system = build_elastic_system(distorted_block((6, 5, 5)), STEEL, (Support(LEFT),))
    matrix = 12 * system.stiffness.nnz
    # Coarser grids are far smaller; on a part as small as this the coarsest, which is factored, still weighs in.
    assert matrix < multigrid(system).size_bytes < 3 * matrix


def test_solving_twice_gives_the_same_bits() -> None:
    # Nothing starts from a random vector that is not seeded.
    system = build_elastic_system(distorted_block((5, 5, 5)), STEEL, (Support(LEFT),))
    right = right_sides(system, 1)
    np.testing.assert_array_equal(multigrid(system).solve(right), multigrid(system).solve(right))


def test_many_right_hand_sides_and_none_at_all() -> None:
    system = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
    right, solver = right_sides(system, 20), multigrid(system)
    right[:, 7] = 0.0
    found = solver.solve(right)
    assert not found[:, 7].any()
    expected = system.factor.solve(right)
    assert np.abs(found - expected).max() < 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("shift", [0.1, 1.5])
def test_what_is_not_positive_definite_is_refused(shift: float) -> None:
    # The larger shift makes the diagonal itself negative, the smaller one only the softest motions.
    system = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
    moved = system.stiffness - shift * sp.diags(system.stiffness.diagonal())
    with pytest.raises(SolveError, match="not positive definite"):
        MultigridSolver(sp.csr_matrix(moved), unknown_layout(system.mesh.points, system.freedom)).solve(
            right_sides(system, 1)
        )


def test_a_tolerance_that_is_not_reached_is_an_error() -> None:
    system = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
    layout = unknown_layout(system.mesh.points, system.freedom)
    with pytest.raises(SolveError, match="left a residual"):
        MultigridSolver(system.stiffness, layout, iterations=1).solve(right_sides(system, 1))


def test_a_replaced_matrix_and_a_sibling_are_solved_on_the_same_unknowns() -> None:
    system = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
    right, solver = right_sides(system, 1), multigrid(system)
    before = solver.solve(right)
    sibling = solver.sibling(sp.csr_matrix(2 * system.stiffness))
    np.testing.assert_allclose(sibling.solve(right), before / 2, atol=1e-8 * np.abs(before).max())
    solver.refactorize(sp.csr_matrix(4 * system.stiffness))
    np.testing.assert_allclose(solver.solve(right), before / 4, atol=1e-8 * np.abs(before).max())


def test_a_plastic_history_is_the_same_without_a_factor() -> None:
    mesh = quarter_plate(3, 4, 1, 1.0, 4.0, 0.5)
    case = LoadCase("pull", (Traction(RIGHT, (100e6, 0, 0)),))
    history = LoadHistory("cycle", np.array([[1.0], [1.5], [0.0]]))
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (history,))
    answers = []
    for limit in (10**12, 0):
        system = build_elastic_system(mesh, STEEL, problem.supports, FactorSettings(memory_limit_bytes=limit))
        assert isinstance(system.factor, MultigridSolver) == (limit == 0)
        # One iteration with the elastic matrix, so that the tangent is solved for too.
        settings = SolverSettings(tolerance=1e-9, modified_iterations=1)
        answers.append(solve_histories(solve_load_cases(problem, system), (history,), settings)[0])
    assert answers[0].equivalent_plastic_strain.max() > 1e-4
    for name in ("displacement", "stress", "equivalent_plastic_strain"):
        ours, other = getattr(answers[0], name), getattr(answers[1], name)
        # Both are in equilibrium to 1e-9 of the load; plastic flow amplifies that by the ratio of the stiffnesses.
        assert np.abs(ours - other).max() < 1e-6 * np.abs(ours).max()
