"""Laws of the three hardenings: closed forms, one the limit of another, and what is refused with its remedy."""

import numpy as np
import pytest
from scipy.special import lambertw

from surrogate.errors import MaterialError
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening

YIELD, SHEAR = 250e6, 80e9
LINEAR = LinearHardening(2e9)
VOCE = VoceHardening(150e6, 20.0)
TABLE = TabulatedHardening(((0.0, YIELD), (0.015, YIELD), (0.05, 330e6), (0.15, 400e6)))
STRAIGHT = TabulatedHardening(((0.0, YIELD), (0.01, YIELD + 0.02e9), (0.4, YIELD + 0.8e9), (10.0, YIELD + 20e9)))
# Steep and flat, slow and sudden: the last two saturate within far less than the elastic strain.
LAWS = [LINEAR, LinearHardening(0.0), VOCE, TABLE, STRAIGHT, VoceHardening(900e6, 1e5), VoceHardening(1e9, 1e-3)]


def states(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Trial von Mises stresses [P] from elastic to 40 times yield, and equivalent plastic strains before [P]."""
    generator = np.random.default_rng(5)
    trial = YIELD * 10 ** generator.uniform(-0.3, 1.6, count)
    return trial, generator.choice([0.0, 1e-9, 1e-3, 0.02, 0.3], count)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_a_return_meets_the_yield_stress_or_is_elastic(law: Hardening) -> None:
    trial, before = states()
    after = law.equivalent_after(trial, before, SHEAR, YIELD)
    stress, limit = trial - 3 * SHEAR * (after - before), YIELD + law.yield_stress_rise(after)
    yields = trial > YIELD + law.yield_stress_rise(before)
    assert yields.sum() > 50
    # Round-off of the trial stress, at most 40 times the yield stress, and of 3 G p at p = 0.3.
    np.testing.assert_allclose(stress[yields], limit[yields], atol=1e-12 * YIELD + 4e-16 * 3 * SHEAR * 0.3)
    np.testing.assert_array_equal(after[~yields], before[~yields])


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_slope_is_the_derivative_of_the_rise_and_never_negative(law: Hardening) -> None:
    strain = np.array([0.004, 0.03, 0.09, 0.3])
    # Central differences: their own error is (rate * step)^2 / 6 of the slope, below 1e-8 where the slope is not nil.
    step = 1e-6
    difference = (law.yield_stress_rise(strain + step) - law.yield_stress_rise(strain - step)) / (2 * step)
    np.testing.assert_allclose(law.slope(strain), difference, rtol=1e-6, atol=1e3)
    assert (law.slope(np.linspace(0, 1, 50)) >= 0).all()
    assert law.yield_stress_rise(np.zeros(1)) == 0.0


def test_a_voce_return_is_the_closed_form_by_lambert() -> None:
    # 3 G p + Q (1 - exp(-b p)) = e has p = a + W(c exp(-b a)) / b with a = (e - Q) / 3 G and c = b Q / 3 G.
    excess = np.array([1e3, 1e6, 50e6, 300e6, 2e9])
    after = VOCE.equivalent_after(YIELD + excess, np.zeros(5), SHEAR, YIELD)
    start, weight = (excess - 150e6) / (3 * SHEAR), 20.0 * 150e6 / (3 * SHEAR)
    expected = start + lambertw(weight * np.exp(-20.0 * start)).real / 20.0
    # The closed form cancels to the round-off of `start`.
    np.testing.assert_allclose(after, expected, rtol=1e-12, atol=1e-17 * 150e6 / 1e6)


def test_a_table_that_is_a_straight_line_is_linear_hardening() -> None:
    trial, before = states()
    table, line = (law.equivalent_after(trial, before, SHEAR, YIELD) for law in (STRAIGHT, LINEAR))
    np.testing.assert_allclose(table, line, rtol=1e-12)
    np.testing.assert_allclose(STRAIGHT.slope(before), LINEAR.slope(before), rtol=1e-12)


def test_a_fine_table_of_a_voce_curve_returns_to_the_curve() -> None:
    strains = np.linspace(0, 0.5, 5001)
    stresses = YIELD + VOCE.yield_stress_rise(strains)
    fine = TabulatedHardening(tuple(zip(strains.tolist(), stresses.tolist(), strict=True)))
    trial, before = states()
    # Straight pieces are off by (rate * width)^2 / 8 = 5e-7 of the saturation.
    after = [law.equivalent_after(trial, before, SHEAR, YIELD) for law in (fine, VOCE)]
    within = after[1] < 0.5
    assert within.sum() > 350
    np.testing.assert_allclose(after[0][within], after[1][within], atol=5e-7 * 150e6 / (3 * SHEAR) * 1.01)


def test_beyond_its_last_row_a_table_is_perfectly_plastic() -> None:
    assert TABLE.yield_stress_rise(np.array(0.7)) == pytest.approx(150e6)
    assert TABLE.slope(np.array([0.149, 0.151]))[1] == 0.0
    # From the end of the table, all of the excess is plastic strain.
    after = TABLE.equivalent_after(np.array([400e6 + 3 * SHEAR * 0.01]), np.array([0.2]), SHEAR, YIELD)
    assert after[0] == pytest.approx(0.21, rel=1e-13)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_scaled_stresses_return_to_the_same_strain(law: Hardening) -> None:
    trial, before = states()
    once = law.equivalent_after(trial, before, SHEAR, YIELD)
    twice = law.scaled(2.0).equivalent_after(2 * trial, before, 2 * SHEAR, 2 * YIELD)
    np.testing.assert_allclose(twice, once, rtol=1e-13)


def test_points_may_have_any_shape() -> None:
    trial, before = states(24)
    for law in LAWS:
        flat = law.equivalent_after(trial, before, SHEAR, YIELD)
        block = law.equivalent_after(trial.reshape(2, 3, 4), before.reshape(2, 3, 4), SHEAR, YIELD)
        np.testing.assert_array_equal(block.ravel(), flat)
        alone = law.equivalent_after(np.array(trial[5]), np.array(before[5]), SHEAR, YIELD)
        # Newton's method stops for all points together, so that one alone may have taken a step less.
        assert float(alone) == pytest.approx(flat[5], rel=1e-14)


@pytest.mark.parametrize("value", [-1e6, float("nan"), float("inf")])
def test_softening_and_what_is_no_number_are_refused(value: float) -> None:
    for law in (
        lambda: LinearHardening(value),
        lambda: VoceHardening(value, 10.0),
        lambda: VoceHardening(1e8, value),
    ):
        with pytest.raises(MaterialError, match=r"softening is not modelled; give zero or a positive finite number"):
            law()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (((0.0, 1e8),), "table of 1 rows; give two or more"),
        (((0.01, 1e8), (0.1, 2e8)), "begins at plastic strain 0.01; begin with 0"),
        (((0.0, 1e8), (0.1, 2e8), (0.05, 3e8)), "row 3: plastic strain 0.05 after 0.1; sort"),
        (((0.0, 1e8), (0.0, 2e8)), "row 2: plastic strain 0 after 0"),
        (((0.0, 1e8), (0.1, 2e8), (0.2, 1.9e8)), r"row 3: stress 1.9e\+08 Pa after 2e\+08 Pa; softening .* end the"),
        (((0.0, 1e8), (0.1, float("nan"))), "not finite"),
        (((0.0, 1e8), (float("inf"), 2e8)), "not finite"),
    ],
)
def test_a_wrong_table_is_refused_by_its_row(points: tuple[tuple[float, float], ...], message: str) -> None:
    with pytest.raises(MaterialError, match=message):
        TabulatedHardening(points)
