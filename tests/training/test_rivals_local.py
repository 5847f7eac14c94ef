"""Notch rules obey their equations, and Gaussian processes what is known of them."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.physics.hardening import LinearHardening, VoceHardening
from surrogate.physics.invariants import von_mises
from surrogate.training.notch_rules import NOTCH_RULES, glinka, neuber, notch_history
from surrogate.training.pod_gp import fit_process, pod
from tests.physics.meshes import STEEL

STRENGTH, MODULUS = STEEL.yield_strength_pa, STEEL.youngs_modulus_pa
LEVELS = STRENGTH * np.array([0.3, 0.999, 1.001, 1.05, 1.4, 2.0, 4.0])
# What the tabulated curve leaves.
TABLE = 1e-4


@pytest.mark.parametrize("slope", [0.0, 0.02, 0.3])
def test_linear_hardening_has_closed_forms(slope: float) -> None:
    material = replace(STEEL, hardening=LinearHardening(slope * MODULUS))
    hard = slope * MODULUS
    over = np.maximum(LEVELS**2 - STRENGTH**2, 0.0)

    def root(a: float, b: float, c: np.ndarray) -> np.ndarray:
        return 2 * c / (b + np.sqrt(b * b + 4 * a * c))

    expected = root(hard * (hard + MODULUS), STRENGTH * (2 * hard + MODULUS), over)
    np.testing.assert_allclose(neuber(LEVELS, material), expected, rtol=TABLE)
    energy = root(hard**2 / 2 + hard * MODULUS / 2, STRENGTH * (hard + MODULUS), over / 2)
    np.testing.assert_allclose(glinka(LEVELS, material), energy, rtol=TABLE)


def test_any_law_meets_the_equations() -> None:
    material = replace(STEEL, hardening=VoceHardening(0.6 * STRENGTH, 30.0))
    plastic = LEVELS[2:]
    strain = neuber(plastic, material)
    stress = material.yield_stress(strain)
    np.testing.assert_allclose(stress * (stress / MODULUS + strain), plastic**2 / MODULUS, rtol=TABLE)
    strain = glinka(plastic, material)
    for level, p in zip(plastic, strain, strict=True):
        path = np.linspace(0, p, 2001)
        energy = material.yield_stress(np.array(p)) ** 2 / (2 * MODULUS)
        energy += np.trapezoid(material.yield_stress(path), path)
        assert energy == pytest.approx(level**2 / (2 * MODULUS), rel=TABLE)


def test_nothing_flows_below_yield_and_energy_says_less_than_the_product() -> None:
    for rule in NOTCH_RULES.values():
        assert not rule(LEVELS[:2], STEEL).any()
    assert (glinka(LEVELS[2:], STEEL) < neuber(LEVELS[2:], STEEL)).all()


def test_a_history_remembers_its_largest_load_and_flows_along_the_elastic_deviator() -> None:
    case = np.zeros((6, 2, 1))
    case[:, 0, 0] = [1.0, 0.2, 0, 0.3, 0, 0]
    case[0, 1, 0] = 1e-3
    case *= STRENGTH
    factors = np.array([[0.4], [1.5], [0.0], [-1.2], [2.0]])
    state = notch_history(neuber, case, factors, STEEL)
    p = state.equivalent[0]
    assert p[0] == 0 and p[1] > 0 and p[1] == p[2] == p[3] and p[4] > p[3]
    assert not state.equivalent[1].any()
    level = von_mises(case[:, :1, 0] * 2.0)
    np.testing.assert_allclose(p[4], neuber(level, STEEL)[0], rtol=1e-12)
    strain = state.plastic_strain[:, 0, 4].copy()
    assert abs(strain[:3].sum()) < 1e-12
    strain[3:] /= 2
    assert np.sqrt(2 / 3 * (strain[:3] @ strain[:3] + 2 * strain[3:] @ strain[3:])) == pytest.approx(p[4])
    twice = notch_history(neuber, case, factors, STEEL, factor=2.0)
    np.testing.assert_allclose(twice.plastic_strain, 2 * state.plastic_strain)


def test_a_process_goes_through_what_it_was_shown_and_to_the_mean_far_away() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (60, 2))
    y = 3 + np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] ** 2
    process = fit_process(x, y, np.random.default_rng(1), steps=150)
    # The likelihood finds that there is next to no noise.
    np.testing.assert_allclose(process.mean(x), y, atol=0.03)
    fresh = random.uniform(-0.8, 0.8, (40, 2))
    np.testing.assert_allclose(process.mean(fresh), 3 + np.sin(2 * fresh[:, 0]) + 0.5 * fresh[:, 1] ** 2, atol=0.08)
    assert process.mean(np.full((1, 2), 1e6))[0] == pytest.approx(y.mean())


def test_a_process_finds_out_what_does_not_matter() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 3))
    process = fit_process(x, np.tanh(x[:, 1]), np.random.default_rng(1), steps=100)
    lengths = process.logs[:3].numpy()
    assert lengths[1] < lengths[0] - 0.5 and lengths[1] < lengths[2] - 0.5


def test_pod_finds_the_space_in_which_rows_lie() -> None:
    random = np.random.default_rng(0)
    basis = random.normal(size=(2, 9))
    rows = random.normal(size=(30, 2)) @ basis + 1.0
    found = pod(rows, energy=1 - 1e-12)
    assert found.modes.shape == (9, 2)
    np.testing.assert_allclose(found.coefficients(rows) @ found.modes.T + found.mean, rows, atol=1e-12)
