"""Laws of the integration in a span: balance, tangent, independence of the histories, and finite past collapse.

The modes are those of the reduced anchor of a notched plate; nothing here depends on their being good ones.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.physics.deviatoric import DeviatoricState, deviatoric_return, strain_deviator
from surrogate.physics.galerkin import ReducedProblem, _Newton, integrate
from surrogate.physics.hardening import VoceHardening
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, elastic_stress, return_map
from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from tests.physics.meshes import PERFECT, STEEL
from tests.physics.yielding_plate import SWING, anchored, drawn

SATURATING = replace(STEEL, hardening=VoceHardening(50e6, 200.0))


@cache
def modes() -> FloatArray:
    return reduced_anchor(anchored(), SWING[None], ReducedSettings(modes=6)).strain


def reduced_problem(material: Material = STEEL) -> ReducedProblem:
    anchor = anchored()
    return ReducedProblem(anchor.strain, modes(), anchor.system.volumes.ravel(), material)


def test_the_plastic_strain_along_the_answer_balances_it() -> None:
    problem, factors = reduced_problem(), SWING[None]
    found = integrate(problem, factors)
    assert found.settled.all()
    stress = np.stack([elastic_stress(mode, STEEL) for mode in np.moveaxis(problem.mode_strain, -1, 0)])
    state, largest = PlasticState.virgin(len(problem.weight), 1), 0.0
    for step in range(len(SWING)):
        strain = problem.case_strain @ factors[:, step].T + problem.mode_strain @ found.coordinates[:, step].T
        state = return_map(strain, state, STEEL).state
        caused = np.einsum("jca,cah,a->hj", stress, state.plastic_strain, problem.weight)
        largest = max(largest, float(np.linalg.norm(caused)))
        # Newton's method stops at 1e-3 of the largest right-hand side so far.
        assert np.linalg.norm(caused - found.coordinates[:, step]) <= 1.01e-3 * largest
    assert largest > 0


def test_the_tangent_is_the_slope_of_the_imbalance() -> None:
    newton, problem = _Newton(reduced_problem(SATURATING)), reduced_problem(SATURATING)
    driving = strain_deviator(problem.case_strain @ np.array([1.5, 0.5]))[None]
    flat = strain_deviator(problem.mode_strain).reshape(-1, problem.mode_strain.shape[2])
    testing = 2 * STEEL.shear_modulus_pa * flat * np.tile(problem.weight, 5)[:, None]
    virgin = DeviatoricState.virgin(1, len(problem.weight))

    def imbalance(coordinates: FloatArray) -> FloatArray:
        mapped = deviatoric_return(driving + (flat @ coordinates).reshape(1, 5, -1), virgin, SATURATING)
        return np.asarray(coordinates - mapped.state.plastic.ravel() @ testing)

    at = integrate(problem, np.array([[[1.5, 0.5]]])).coordinates[0, 0]
    mapped = deviatoric_return(driving + (flat @ at).reshape(1, 5, -1), virgin, SATURATING)
    tangent = newton._tangent(mapped, np.arange(1))
    step = 1e-4 * np.linalg.norm(at)
    slope = np.stack([(imbalance(at + d) - imbalance(at - d)) / (2 * step) for d in step * np.eye(len(at))], axis=1)
    # Points that begin or cease to yield within the step are few; the tangent itself is in single precision.
    assert np.abs(tangent[0] - slope).max() < 1e-3
    assert np.linalg.eigvalsh(tangent[0])[0] < 0.9


def test_loads_that_do_not_make_it_yield_move_no_mode() -> None:
    assert not integrate(reduced_problem(), 0.3 * SWING[None]).coordinates.any()


def test_opposite_loads_move_the_modes_the_other_way() -> None:
    there, back = integrate(reduced_problem(), np.stack([SWING, -SWING])).coordinates
    np.testing.assert_allclose(there, -back, atol=1e-10 * np.abs(there).max())


def test_histories_do_not_know_of_each_other() -> None:
    problem, factors = reduced_problem(), drawn(7)
    together = integrate(problem, factors).coordinates
    alone = np.concatenate([integrate(problem, own[None]).coordinates for own in factors])
    # Products of matrices of another shape are rounded differently, tangents in single precision.
    np.testing.assert_allclose(together, alone, atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize("material", [PERFECT, SATURATING])
def test_past_collapse_the_answer_is_finite_and_others_go_on(material: Material) -> None:
    rise = np.array([0.5, 1.5, 3.0, 6.0, 12.0, 6.0, 0.0])
    collapsing = np.stack([rise, 0 * rise], axis=1)
    mild = 0.15 * collapsing
    found = integrate(reduced_problem(material), np.stack([collapsing, mild]))
    assert np.isfinite(found.coordinates).all()
    size = np.linalg.norm(found.coordinates, axis=2)
    # What a mechanism moves by is bounded by the largest strain that is followed: far more than before collapse.
    assert size[0, 4] > 20 * size[0, 1] > 0
    assert size[0, -1] > 0
    # A history beside it that stays below collapse is not disturbed, but by the rounding of larger products.
    alone = integrate(reduced_problem(material), mild[None])
    assert alone.settled.all() and alone.coordinates.any()
    np.testing.assert_allclose(found.coordinates[1], alone.coordinates[0], atol=1e-5 * np.abs(alone.coordinates).max())
