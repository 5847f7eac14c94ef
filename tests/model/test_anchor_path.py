"""The local anchor is the material law, point by point, along the elastic path."""

import numpy as np

from surrogate.fields import FloatArray
from surrogate.model.anchor_path import (
    LocalStep,
    anchor_fields,
    elastic_envelope,
    elastic_von_mises,
    elastic_von_mises_squares,
    local_path,
    pad_factors,
)
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.invariants import von_mises
from surrogate.physics.plasticity import PlasticState, elastic_strain, return_map
from tests.model.parts import CLIMB, SWING, wedge_problem
from tests.physics.meshes import STEEL

PROBLEM = wedge_problem()
FIELDS = anchor_fields(elastic_anchor(PROBLEM))
FACTORS = np.stack([CLIMB.factors, SWING.factors])
YIELD_STRAIN = STEEL.yield_strength_pa / STEEL.youngs_modulus_pa


def path(factors: FloatArray) -> list[LocalStep]:
    return list(local_path(FIELDS.strain, factors, STEEL))


def test_all_points_and_histories_together_are_each_of_them_alone() -> None:
    together = path(FACTORS)
    for history in range(2):
        for point in (0, 17, int(von_mises(FIELDS.stress[:, :, 0]).argmax())):
            state = PlasticState.virgin()
            for step in together:
                strain = FIELDS.strain[:, point] @ FACTORS[history, step.step]
                mapped = return_map(strain, state, STEEL)
                state = mapped.state
                # The same numbers in another order of summation.
                expected = state.plastic_strain
                np.testing.assert_allclose(
                    step.state.plastic_strain[:, point, history], expected, atol=1e-12 * YIELD_STRAIN
                )
                np.testing.assert_allclose(step.stress[:, point, history], mapped.stress, atol=1e-6)
    assert together[-1].state.equivalent.max() > YIELD_STRAIN


def test_repeating_each_factor_is_no_further_action() -> None:
    once, twice = path(FACTORS), path(np.repeat(FACTORS, 2, axis=1))
    for i, step in enumerate(once):
        for again in twice[2 * i : 2 * i + 2]:
            # A state on the yield surface may creep by the round-off of its own stress.
            change = np.abs(again.state.plastic_strain - step.state.plastic_strain).max()
            assert change < 1e-12 * YIELD_STRAIN
            assert np.abs(again.stress - step.stress).max() < 1e-9 * STEEL.yield_strength_pa


def test_padding_repeats_the_last_factors() -> None:
    padded = pad_factors([FACTORS[0], FACTORS[1, :2]])
    assert np.array_equal(padded[0], FACTORS[0])
    assert np.array_equal(padded[1], FACTORS[1, [0, 1, 1, 1]])


def test_a_path_in_proportion_may_be_cut_in_steps_of_any_size() -> None:
    # Radial return is exact along a straight path, so the number of steps cannot matter.
    coarse, fine = np.linspace(0, 1.8, 3)[1:], np.linspace(0, 1.8, 19)[1:]
    ends = [path(np.stack([f, 0 * f], axis=1)[None])[-1].state.plastic_strain for f in (coarse, fine)]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-12 * YIELD_STRAIN)


def test_the_quadratic_form_gives_the_von_mises_stress_of_every_combination() -> None:
    form, states = elastic_von_mises_squares(FIELDS.stress), FACTORS.reshape(-1, 2)
    expected = np.stack([von_mises(FIELDS.stress @ factors) for factors in states])
    # Squares lose half of the digits where the cases cancel.
    np.testing.assert_allclose(elastic_von_mises(form, states), expected, atol=1e-7 * expected.max())
    np.testing.assert_allclose(elastic_envelope(form, states), expected.max(axis=0), rtol=1e-9)


def test_the_envelope_in_chunks_is_the_envelope() -> None:
    form = elastic_von_mises_squares(FIELDS.stress[:, :40, :1])
    many = np.random.default_rng(0).normal(size=(220_000, 1))  # times 40 points: two chunks
    np.testing.assert_allclose(elastic_envelope(form, many), np.abs(many).max() * np.sqrt(form[0]), rtol=1e-12)


def test_the_fields_are_those_of_the_anchor() -> None:
    anchor = elastic_anchor(PROBLEM)
    assert FIELDS.displacement.shape == (2, len(PROBLEM.mesh.points), 3)
    np.testing.assert_array_equal(FIELDS.displacement[1], anchor.system.displacement(anchor.unknowns[:, 1]))
    np.testing.assert_allclose(elastic_strain(FIELDS.stress.copy(), STEEL), FIELDS.strain, atol=1e-12)
