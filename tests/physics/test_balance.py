"""Laws of the energy and reaction balance: it closes for a solution, and is broken by a wrong one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from surrogate.fields import FloatArray, StepBalance
from surrogate.physics.balance import HistoryBalance, balance_warnings, resultants
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.invariants import to_first
from surrogate.physics.problem import Acceleration, LoadCase, LoadHistory, Pressure, Problem, Support, Traction
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import LEFT, RIGHT, STEEL, TOP, block, distorted_block, quarter_plate, symmetry_planes

CYCLE = np.array([[0.8, 0.0], [1.6, 0.6], [1.2, -1.0], [0.2, -1.6], [-1.4, 0.3], [0, 0], [1.7, 0.2]])


def plate() -> Problem:
    cases = (LoadCase("pull", (Traction(RIGHT, (80e6, 0, 0)),)), LoadCase("press", (Pressure(TOP, 80e6),)))
    mesh = quarter_plate(4, 6, 1, 1.0, 4.0, 1.0)
    return Problem(mesh, STEEL, symmetry_planes(), cases, (LoadHistory("cycle", CYCLE),))


def clamped() -> Problem:
    """A block whose loads act on the held points too, and do not cancel in moment."""
    cases = (
        LoadCase("press", (Pressure(TOP, 18e6),)),
        LoadCase("fall", (Acceleration((0.0, 1e3, -5e2)), Traction(RIGHT, (30e6, 10e6, 0)))),
    )
    mesh = distorted_block((4, 2, 2), (2.0, 1.0, 1.0))
    return Problem(mesh, STEEL, (Support(LEFT),), cases, (LoadHistory("cycle", CYCLE),))


def balance_of(anchor: ElasticAnchor, factors: FloatArray, displacement: FloatArray, stress: FloatArray,
               plastic_strain: FloatArray) -> StepBalance:  # fmt: skip
    """The balance of stored fields."""
    found = HistoryBalance(anchor, resultants(anchor))
    for step in range(len(factors)):
        unknowns = np.asarray(anchor.system.freedom.T @ displacement[step].ravel())
        found.add(factors[step], unknowns, to_first(stress[step]), to_first(plastic_strain[step]))
    return found.finish()


@pytest.mark.parametrize("make", [plate, clamped])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-9])
def test_a_cyclic_plastic_history_is_in_balance_to_its_tolerance(make: Callable[[], Problem], tolerance: float) -> None:
    found = solve(make(), settings=SolverSettings(tolerance=tolerance))
    balance = found.histories[0].balance
    assert balance is not None
    assert found.histories[0].equivalent_plastic_strain.max() > 1e-3
    assert balance.energy_imbalance.max() < tolerance
    assert balance.reaction_imbalance.max() < tolerance
    assert found.warnings == ()
    # Plastic work is spent, never regained: not even by the size of the imbalance.
    rise = np.diff(balance.plastic_work_j, prepend=0.0)
    assert (rise >= -tolerance * balance.plastic_work_j.max()).all()
    assert balance.plastic_work_j[-1] > 0.05 * balance.elastic_energy_j.max()


def test_an_elastic_part_returns_the_work_that_was_put_in() -> None:
    problem = replace(plate(), load_histories=(LoadHistory("small", 0.3 * CYCLE[:6]),))
    balance = solve(problem).histories[0].balance
    assert balance is not None
    scale = balance.elastic_energy_j.max()
    np.testing.assert_allclose(balance.external_work_j, balance.elastic_energy_j, atol=1e-12 * scale)
    assert balance.external_work_j[-1] == pytest.approx(0, abs=1e-12 * scale)
    assert (balance.plastic_work_j == 0).all()


def test_energies_of_a_bar_are_those_of_its_stress_strain_curve() -> None:
    # Uniaxial, linear hardening H: at stress s > yield, E = s^2 / 2E V and the plastic work between two states is the
    # area under the curve of stress over plastic strain, a trapezium once the first state lies at yield.
    stresses = STEEL.yield_strength_pa * np.array([1.0, 1.4])
    mesh = block((2, 1, 1), (2.0, 1.0, 0.5))
    case = LoadCase("pull", (Traction(RIGHT, (1.0, 0, 0)),))
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (LoadHistory("up", stresses[:, None]),))
    balance = solve(problem, settings=SolverSettings(tolerance=1e-11)).histories[0].balance
    assert balance is not None
    plastic = (stresses[1] - stresses[0]) / STEEL.hardening_modulus_pa
    expected = 1.0 * plastic * stresses.mean()
    np.testing.assert_allclose(balance.elastic_energy_j, stresses**2 / (2 * STEEL.youngs_modulus_pa), rtol=1e-9)
    np.testing.assert_allclose(balance.plastic_work_j, [0, expected], atol=1e-8 * expected)


@pytest.mark.parametrize("field", ["displacement", "stress", "plastic_strain", "factors"])
def test_a_corrupted_field_breaks_the_balance(field: str) -> None:
    anchor = elastic_anchor(clamped())
    found = solve(clamped()).histories[0]
    names = ("factors", "displacement", "stress", "plastic_strain")
    whole = {name: getattr(found, name).copy() for name in names}
    intact = balance_of(anchor, **whole)
    assert found.balance is not None
    np.testing.assert_allclose(intact.external_work_j, found.balance.external_work_j, rtol=1e-9)
    # Two per cent in one step is far beyond the tolerance of 1e-6.
    whole[field][3] *= 1.02
    broken = balance_of(anchor, **whole)
    assert max(broken.energy_imbalance.max(), broken.reaction_imbalance.max()) > 1e-4
    assert balance_warnings((replace(found, balance=broken),), len(anchor.system.mesh.points), 1e-6)
    assert not balance_warnings((found,), len(anchor.system.mesh.points), 1e-6)


def test_a_number_that_is_none_is_warned_of() -> None:
    found = solve(clamped()).histories[0]
    assert found.balance is not None
    spoiled = replace(found.balance, energy_imbalance=np.full(len(CYCLE), np.nan))
    (sentence,) = balance_warnings((replace(found, balance=spoiled),), 100, 1e-6)
    assert "'cycle'" in sentence and "do not rely on it" in sentence


def test_the_supports_carry_what_the_loads_apply() -> None:
    # The resultant that is read from the stress at the support is that of the pressure: 18 MPa on 2 m x 1 m, downwards,
    # at the middle of the top face; a moment arm of 1 m to the support at the left, none about the part's middle.
    anchor = elastic_anchor(clamped())
    read = resultants(anchor)
    held = np.tensordot(read.weights, anchor.stress[:, read.points, 0], 2)
    loads = np.concatenate([[0, 0, -36e6], np.zeros(3)])
    # What the held points take of the load directly is in neither.
    np.testing.assert_allclose(held + read.applied[:, 0], 0, atol=1e-9 * 36e6)
    assert held[2] == pytest.approx(-loads[2], rel=0.2)


def test_an_unloaded_part_is_in_balance() -> None:
    problem = replace(clamped(), load_histories=(LoadHistory("none", np.zeros((2, 2))),))
    found = solve(problem)
    balance = found.histories[0].balance
    assert balance is not None
    assert not balance.energy_imbalance.any() and not balance.reaction_imbalance.any()
    assert found.warnings == ()


def test_an_answer_of_a_few_passes_has_no_balance() -> None:
    settings = SolverSettings(modified_iterations=2, stop_after_modified=True)
    assert solve(plate(), settings=settings).histories[0].balance is None
