"""Laws of the radial return at a material point; round-off only, except for the tangent's finite differences."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.invariants import deviator, von_mises
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, elastic_stress, return_map, tangent_correction
from tests.physics.meshes import PERFECT, STEEL

RANDOM = np.random.default_rng(3)
POINTS = 50
VOCE = replace(STEEL, hardening=VoceHardening(180e6, 25.0))
TABLE = replace(STEEL, hardening=TabulatedHardening(((0.0, 250e6), (0.004, 250e6), (0.02, 320e6), (0.1, 380e6))))
ALL = [STEEL, PERFECT, VOCE, TABLE]


def path_to(*strains: FloatArray, material: Material = STEEL) -> tuple[FloatArray, PlasticState]:
    """Stress and state after strains [6, P] one after the other."""
    state, stress = PlasticState.virgin(strains[0].shape[1]), np.zeros_like(strains[0])
    for strain in strains:
        mapped = return_map(strain, state, material)
        state, stress = mapped.state, mapped.stress
    return stress, state


def strains(scale: float) -> FloatArray:
    return RANDOM.normal(size=(6, POINTS)) * scale


def test_small_strains_are_elastic() -> None:
    strain = strains(1e-5)
    stress, state = path_to(strain)
    np.testing.assert_array_equal(stress, elastic_stress(strain, STEEL))
    assert not state.equivalent.any()


@pytest.mark.parametrize("material", ALL)
def test_a_yielding_point_ends_on_the_yield_surface(material: Material) -> None:
    stress, state = path_to(strains(1e-2), strains(1e-2), material=material)
    limit = material.yield_stress(state.equivalent)
    np.testing.assert_allclose(von_mises(stress), limit, rtol=1e-12)


def test_plastic_flow_keeps_the_volume_and_follows_the_stress_deviator() -> None:
    strain = strains(1e-2)
    stress, state = path_to(strain)
    assert np.abs(state.plastic_strain[:3].sum(axis=0)).max() < 1e-15
    flow = state.plastic_strain.copy()
    flow[3:] /= 2
    expected = 1.5 * state.equivalent / von_mises(stress) * deviator(stress)
    np.testing.assert_allclose(flow, expected, atol=1e-15)
    np.testing.assert_allclose(stress, elastic_stress(strain - state.plastic_strain, STEEL), atol=1e-3)


def test_equivalent_plastic_strain_adds_up_along_the_path_and_never_falls() -> None:
    path = [strains(5e-3) for _ in range(4)]
    before, state = 0.0, PlasticState.virgin(POINTS)
    for strain in path:
        after = return_map(strain, state, STEEL).state
        change = after.plastic_strain - state.plastic_strain
        length = np.sqrt(2 / 3 * ((change[:3] ** 2).sum(axis=0) + (change[3:] ** 2).sum(axis=0) / 2))
        np.testing.assert_allclose(after.equivalent - before, length, atol=1e-15)
        before, state = after.equivalent, after


def test_pure_shear_yields_at_the_strength_over_root_three() -> None:
    strain = np.zeros((6, 1))
    strain[3] = 0.02
    stress, state = path_to(strain)
    hardening, shear = STEEL.hardening_modulus_pa, STEEL.shear_modulus_pa
    # gamma_p = root(3) alpha and tau = (yield + H alpha) / root(3).
    tau = (STEEL.yield_strength_pa / np.sqrt(3) + hardening / 3 * 0.02) / (1 + hardening / (3 * shear))
    assert stress[3, 0] == pytest.approx(tau, rel=1e-12)
    assert state.plastic_strain[3, 0] == pytest.approx(0.02 - tau / shear, rel=1e-12)


def drawn_bar(material: Material, stresses: FloatArray) -> FloatArray:
    """Equivalent plastic strain [T] of a bar that is taken through uniaxial stresses [T], from a path of strains.

    The strain that keeps the sides free is known: the elastic one, and the plastic one at constant volume.
    """
    found, state, plastic, hardest = [], PlasticState.virgin(1), 0.0, material.yield_strength_pa
    for stress in stresses:
        if abs(stress) > hardest:
            grown = plastic_strain_at(material.hardening, abs(stress) - material.yield_strength_pa)
            plastic += np.sign(stress) * (grown - float(state.equivalent[0]))
            hardest = abs(stress)
        strain = np.zeros((6, 1))
        strain[0] = stress / material.youngs_modulus_pa + plastic
        strain[1:3] = -material.poissons_ratio * stress / material.youngs_modulus_pa - plastic / 2
        mapped = return_map(strain, state, material)
        state = mapped.state
        np.testing.assert_allclose(mapped.stress[0], stress, atol=1e-8 * material.yield_strength_pa)
        assert np.abs(mapped.stress[1:]).max() < 1e-8 * material.yield_strength_pa
        found.append(float(state.equivalent[0]))
    return np.array(found)


def plastic_strain_at(law: Hardening, rise: float) -> float:
    """Equivalent plastic strain at which the yield stress has risen so far: the inverse of the curve."""
    match law:
        case LinearHardening():
            return rise / law.modulus_pa
        case VoceHardening():
            return -np.log(1 - rise / law.saturation_pa) / law.rate
        case TabulatedHardening():
            strains, stresses = np.array(law.points).T
            # The plateau is left at its end.
            return float(np.interp(rise + 1e-6, stresses - stresses[0], strains))


@pytest.mark.parametrize("material", [STEEL, VOCE, TABLE])
def test_a_bar_follows_its_curve_through_loading_unloading_and_reversal(material: Material) -> None:
    stresses = 1e6 * np.array([200.0, 260.0, 300.0, 100.0, -290.0, -340.0, 0.0, 330.0, 370.0])
    highest = np.maximum.accumulate(np.abs(stresses)) - material.yield_strength_pa
    expected = [plastic_strain_at(material.hardening, rise) if rise > 0 else 0.0 for rise in highest]
    # The strains of the path are of the order 0.01 to 0.1 and carry round-off only.
    np.testing.assert_allclose(drawn_bar(material, stresses), expected, rtol=1e-8)


@pytest.mark.parametrize("material", ALL)
def test_plastic_work_is_never_negative(material: Material) -> None:
    state = PlasticState.virgin(POINTS)
    for strain in [strains(6e-3) for _ in range(6)]:
        mapped = return_map(strain, state, material)
        # Engineering shear makes stress times strain the work.
        work = (mapped.stress * (mapped.state.plastic_strain - state.plastic_strain)).sum(axis=0)
        growth = mapped.state.equivalent - state.equivalent
        assert (growth >= 0).all() and (growth > 0).sum() > POINTS / 2
        # Backward Euler: yield stress at the end times the growth, so that it is never negative.
        np.testing.assert_allclose(work, material.yield_stress(mapped.state.equivalent) * growth, rtol=1e-9, atol=1e-6)
        state = mapped.state


def test_a_table_that_is_a_straight_line_returns_as_linear_hardening() -> None:
    straight = replace(STEEL, hardening=TabulatedHardening(((0.0, 250e6), (0.02, 290e6), (5.0, 10250e6))))
    path = [strains(8e-3) for _ in range(3)]
    (stress, state), (expected, reference) = path_to(*path, material=straight), path_to(*path)
    np.testing.assert_allclose(stress, expected, atol=1e-12 * np.abs(expected).max())
    np.testing.assert_allclose(state.equivalent, reference.equivalent, rtol=1e-12)


def test_pressure_alone_never_yields() -> None:
    strain = np.zeros((6, 1))
    strain[:3] = -0.1
    assert not path_to(strain)[1].equivalent.any()


@pytest.mark.parametrize("material", ALL)
def test_the_tangent_is_the_derivative_of_the_stress(material: Material) -> None:
    _, state = path_to(strains(2e-3), material=material)
    strain = strains(1e-2)
    mapped = return_map(strain, state, material)
    yielding = np.flatnonzero(mapped.multiplier > 0)
    assert len(yielding) == POINTS
    correction = tangent_correction(mapped, yielding, material)
    elastic = elastic_stress(np.eye(6)[:, :, None], material)[..., 0]
    step = 1e-7
    for column in range(6):
        shift = np.zeros((6, 1))
        shift[column] = step
        up, down = (return_map(strain + sign * shift, state, material).stress for sign in (1, -1))
        # Central differences: their own error is step / strain squared, 1e-8 or so.
        expected = (up - down) / (2 * step)
        actual = (elastic + correction)[:, :, column].T
        np.testing.assert_allclose(actual, expected, atol=1e-6 * elastic.max())
    np.testing.assert_allclose(correction, correction.transpose(0, 2, 1), atol=1e-9 * elastic.max())


def test_points_do_not_see_each_other() -> None:
    strain = strains(1e-2)
    whole = return_map(strain, PlasticState.virgin(POINTS), STEEL)
    single = return_map(strain[:, 7:8], PlasticState.virgin(1), STEEL)
    # Sums over a block may round otherwise than over one point.
    np.testing.assert_allclose(whole.stress[:, 7:8], single.stress, rtol=1e-14, atol=1e-15 * np.abs(whole.stress).max())
    block = return_map(np.stack([strain, 2 * strain], axis=2), PlasticState.virgin(POINTS, 2), STEEL)
    np.testing.assert_allclose(block.stress[..., 0], whole.stress, rtol=1e-13)
