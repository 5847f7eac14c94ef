"""Laws of the equilibrated decode: from the right plastic strain it gives the solution, from any other a balance."""

import numpy as np
import pytest

from surrogate.fields import FloatArray, HistoryFields
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.equilibrium import equilibrate, imbalance, return_to_yield
from surrogate.physics.invariants import to_first, to_last, von_mises
from surrogate.physics.plasticity import PlasticState, elastic_stress
from surrogate.physics.problem import LoadCase, LoadHistory, Pressure, Problem, Traction
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import RIGHT, STEEL, TOP, quarter_plate, symmetry_planes

FACTORS = np.array([[1.4, 0.3], [0.3, -0.9], [0.0, 0.0]])
CASES = (LoadCase("pull", (Traction(RIGHT, (80e6, 0, 0)),)), LoadCase("press", (Pressure(TOP, 80e6),)))
PROBLEM = Problem(
    quarter_plate(4, 6, 1, 1.0, 4.0, 1.0), STEEL, symmetry_planes(), CASES, (LoadHistory("swing", FACTORS),)
)


@pytest.fixture(scope="module")
def anchor() -> ElasticAnchor:
    return elastic_anchor(PROBLEM)


@pytest.fixture(scope="module")
def solved() -> HistoryFields:
    return solve(PROBLEM, settings=SolverSettings(tolerance=1e-10)).histories[0]


def states(solved: HistoryFields) -> FloatArray:
    """Plastic strain of all steps [6, P, R]."""
    return np.stack([to_first(strain) for strain in solved.plastic_strain], axis=2)


def relative(actual: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def test_the_solved_plastic_strain_gives_the_solved_stress_and_displacement(
    anchor: ElasticAnchor, solved: HistoryFields
) -> None:
    found = equilibrate(anchor.system, anchor.forces @ FACTORS.T, states(solved))
    cells = len(PROBLEM.mesh.cells)
    assert solved.equivalent_plastic_strain.max() > 1e-3
    # The solution is known to the solver's tolerance, 1e-10 of the loads.
    assert relative(anchor.system.displacement(found.unknowns), solved.displacement) < 1e-7
    stress = np.stack([to_last(found.stress[:, :, i], cells) for i in range(len(FACTORS))])
    assert relative(stress, solved.stress) < 1e-7


def test_the_default_tolerance_is_enough_for_four_digits(anchor: ElasticAnchor) -> None:
    loose = solve(PROBLEM).histories[0]
    found = equilibrate(anchor.system, anchor.forces @ FACTORS.T, states(loose))
    assert relative(anchor.system.displacement(found.unknowns), loose.displacement) < 1e-4
    stress = np.stack([to_last(found.stress[:, :, i], len(PROBLEM.mesh.cells)) for i in range(len(FACTORS))])
    assert relative(stress, loose.stress) < 1e-4


def test_any_plastic_strain_gives_exact_equilibrium(anchor: ElasticAnchor) -> None:
    strain = np.random.default_rng(0).normal(size=(6, anchor.system.volumes.size, 3)) * 1e-3
    forces = anchor.forces @ FACTORS.T
    found = equilibrate(anchor.system, forces, strain)
    internal = anchor.system.internal_force(found.stress)
    scale = np.abs(anchor.system.internal_force(elastic_stress(strain, STEEL))).max() + np.abs(forces).max()
    assert np.abs(internal - forces).max() < 1e-10 * scale
    total = anchor.system.strain(found.unknowns)
    np.testing.assert_allclose(found.stress, elastic_stress(total - strain, STEEL), rtol=1e-12)


def test_without_plastic_strain_it_is_the_elastic_answer(anchor: ElasticAnchor) -> None:
    nothing = np.zeros((6, anchor.system.volumes.size, 3))
    found = equilibrate(anchor.system, anchor.forces @ FACTORS.T, nothing)
    np.testing.assert_allclose(found.stress, anchor.stress @ FACTORS.T, atol=1e-9 * np.abs(anchor.stress).max())


def test_a_compatible_plastic_strain_leaves_no_stress(anchor: ElasticAnchor) -> None:
    # The strain of a displacement that the supports allow fits together, so nothing has to be stretched.
    unknowns = np.random.default_rng(1).normal(size=(anchor.system.freedom.shape[1], 1)) * 1e-3
    strain = anchor.system.strain(unknowns)
    found = equilibrate(anchor.system, np.zeros_like(unknowns), strain)
    np.testing.assert_allclose(found.unknowns, unknowns, atol=1e-10 * np.abs(unknowns).max())
    assert np.abs(found.stress).max() < 1e-9 * STEEL.youngs_modulus_pa * np.abs(strain).max()


def test_the_yield_violation_is_nothing_for_a_solution_and_grows_with_the_error(
    anchor: ElasticAnchor, solved: HistoryFields
) -> None:
    forces = anchor.forces @ FACTORS.T
    equivalent = np.stack([values.ravel() for values in solved.equivalent_plastic_strain], axis=1)
    exact = states(solved)
    violation = []
    for share in (1.0, 0.9, 0.6):
        state = PlasticState(share * exact, share * equivalent)
        found = equilibrate(anchor.system, forces, state.plastic_strain)
        stress = return_to_yield(found.stress, state, STEEL)
        violation.append(imbalance(anchor.system, found.stress, stress)[0])
    scale = float(np.linalg.norm(forces, axis=0).max())
    assert violation[0] < 1e-6 * scale
    assert 1e-4 * scale < violation[1] < violation[2]


def test_a_stress_brought_back_to_yield_is_on_the_surface_and_keeps_its_pressure() -> None:
    generator = np.random.default_rng(2)
    stress = generator.normal(size=(6, 50)) * STEEL.yield_strength_pa
    state = PlasticState(np.zeros((6, 50)), generator.random(50) * 1e-2)
    surface = STEEL.yield_strength_pa + STEEL.hardening_modulus_pa * state.equivalent
    returned = return_to_yield(stress, state, STEEL)
    # Round-off of a square root of squares.
    np.testing.assert_allclose(von_mises(returned), np.minimum(von_mises(stress), surface), rtol=1e-12)
    np.testing.assert_allclose(returned[:3].sum(axis=0), stress[:3].sum(axis=0), atol=1e-9 * surface.max())
