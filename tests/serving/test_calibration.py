"""Intervals cover what they promise, hold the value, and have no width where the answer is exact."""

import json
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from surrogate.fields import FloatArray, HistoryFields, HistoryScalars, StepScalars
from surrogate.serving.calibration import (
    LEVEL,
    STEP_SCALARS,
    TOTALS,
    Calibration,
    Floors,
    conformal_quantile,
    fit_calibration,
    floors,
    history_scores,
    imbalance_of,
    log_ratio,
    with_intervals,
)
from tests.physics.meshes import STEEL

EDGES = (0.005, 0.02, 0.1)
BINS = len(EDGES) + 1
YIELD_STRAIN = STEEL.yield_strength_pa / STEEL.youngs_modulus_pa
BOUNDS = floors(STEEL, 1e-3)


def test_a_further_score_is_covered_with_the_promised_probability() -> None:
    random, trials = np.random.default_rng(0), 400
    covered = []
    for _ in range(trials):
        scores = random.gamma(1.5, size=81)
        covered.append(scores[-1] <= conformal_quantile(scores[:-1]))
    # Three standard deviations of a share of so many trials.
    assert np.mean(covered) > LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / trials)
    assert np.mean(covered) < 0.97  # and not by covering everything


def test_the_quantile_is_a_score_that_was_seen_and_the_largest_of_few() -> None:
    scores = np.random.default_rng(1).gamma(1.5, size=200)
    assert conformal_quantile(scores) in scores
    assert conformal_quantile(scores[:5]) == scores[:5].max()
    assert conformal_quantile(np.zeros(0)) == 2.0  # nothing known: an interval of e^2 either way


def history(peak: FloatArray, plastic: float = 3.0, imbalance: float = 0.01) -> HistoryFields:
    """A predicted history of made-up scalars whose first and last steps are stored."""
    steps = len(peak)
    scalars = StepScalars(
        peak_von_mises_pa=peak,
        p999_von_mises_pa=0.9 * peak,
        peak_at_m=np.zeros((steps, 3)),
        max_displacement_m=peak * 1e-12,
        peak_plastic_strain=np.full(steps, plastic * YIELD_STRAIN),
        yielded_volume_fraction=np.full(steps, 0.8),
        equilibrium_residual=np.full(steps, imbalance),
    )
    empty = np.zeros((2, 1, 4, 6))
    totals = HistoryScalars(1.3, 1.5, 2e-5, 1e8)
    stored = np.array([0, steps - 1])
    return HistoryFields("h", peak[:, None], stored, empty[..., :3], empty, empty, empty[..., 0], scalars, totals)


def test_intervals_cover_new_histories_drawn_like_the_old() -> None:
    """Split conformal: as many true values inside as promised, whatever the errors look like."""
    random = np.random.default_rng(2)

    def truth(predicted: FloatArray) -> FloatArray:
        return predicted * np.exp(random.laplace(scale=0.2, size=predicted.shape))

    seen = history(random.uniform(1e8, 4e8, 500))
    true = replace(seen.scalars, peak_von_mises_pa=truth(seen.scalars.peak_von_mises_pa))
    scores = history_scores(seen, true, seen.totals, BOUNDS)
    pairs = {name: [(0.01, float(score)) for score in each] for name, each in scores.items()}
    calibration = fit_calibration({"decoded": pairs, "read": {name: pairs[name] for name in STEP_SCALARS}})
    new = history(random.uniform(1e8, 4e8, 2000))
    answer = with_intervals(new, calibration, BOUNDS, np.zeros(2000, bool))
    assert answer.scalars_low is not None and answer.scalars_high is not None
    value = truth(new.scalars.peak_von_mises_pa)
    inside = (answer.scalars_low.peak_von_mises_pa <= value) & (value <= answer.scalars_high.peak_von_mises_pa)
    # Three standard deviations of both samples.
    slack = 3 * np.sqrt(LEVEL * (1 - LEVEL) * (1 / 500 + 1 / 2000))
    assert LEVEL - slack < inside.mean() < LEVEL + slack


def calibration_of(width: float) -> Calibration:
    table = dict.fromkeys((*STEP_SCALARS, *TOTALS), (width,) * BINS)
    return Calibration(EDGES, table, {name: tuple(2 * w for w in table[name]) for name in STEP_SCALARS})


PREDICTED = history(np.linspace(1e8, 3e8, 6))
NONE_EXACT = np.zeros(6, bool)


def test_the_interval_holds_the_value_and_grows_with_the_quantile() -> None:
    before = None
    for width in (0.0, 0.1, 0.5, 2.0):
        answer = with_intervals(PREDICTED, calibration_of(width), BOUNDS, NONE_EXACT)
        assert answer.scalars_low is not None and answer.scalars_high is not None
        assert answer.totals_low is not None and answer.totals_high is not None
        for name in STEP_SCALARS:
            value, low, high = (
                getattr(each, name) for each in (answer.scalars, answer.scalars_low, answer.scalars_high)
            )
            assert (low >= 0).all() and (low <= value).all() and (value <= high).all(), name
            if before is not None and before.scalars_low is not None and before.scalars_high is not None:
                assert (low <= getattr(before.scalars_low, name)).all()
                assert (high >= getattr(before.scalars_high, name)).all()
        for name in TOTALS:
            assert getattr(answer.totals_low, name) <= getattr(answer.totals, name) <= getattr(answer.totals_high, name)
        assert answer.scalars_high.yielded_volume_fraction.max() <= 1.0
        before = answer


def test_a_step_read_from_the_tokens_has_its_own_wider_interval() -> None:
    answer = with_intervals(PREDICTED, calibration_of(0.3), BOUNDS, NONE_EXACT)
    assert answer.scalars_high is not None
    ratio = answer.scalars_high.peak_von_mises_pa / PREDICTED.scalars.peak_von_mises_pa
    stored, floor = np.isin(np.arange(6), PREDICTED.steps), BOUNDS.stress_pa / PREDICTED.scalars.peak_von_mises_pa
    for width, steps in ((0.3, stored), (0.6, ~stored)):
        np.testing.assert_allclose((ratio + floor)[steps], ((1 + floor) * np.exp(width))[steps], rtol=1e-12)


def test_exact_steps_have_no_interval_and_a_history_of_them_has_exact_totals() -> None:
    exact = np.array([True, True, True, False, False, False])
    answer = with_intervals(PREDICTED, calibration_of(0.3), BOUNDS, exact)
    assert answer.scalars_low is not None and answer.scalars_high is not None
    for name in STEP_SCALARS:
        width = getattr(answer.scalars_high, name) - getattr(answer.scalars_low, name)
        assert (width[~exact] > 0).all(), name
        assert (width[exact] == 0).all(), name
    assert answer.totals_high is not None and answer.totals_high.permanent_set_m > PREDICTED.totals.permanent_set_m
    throughout = with_intervals(PREDICTED, calibration_of(0.3), BOUNDS, np.ones(6, bool))
    assert throughout.totals_low == throughout.totals == throughout.totals_high


def test_a_part_without_stress_is_safe_without_end_and_without_interval() -> None:
    idle = replace(PREDICTED, totals=replace(PREDICTED.totals, safety_factor_ultimate=np.inf))
    answer = with_intervals(idle, calibration_of(0.3), BOUNDS, np.ones(6, bool))
    assert answer.totals_low is not None and answer.totals_high is not None
    assert answer.totals_low.safety_factor_ultimate == answer.totals_high.safety_factor_ultimate == np.inf


def test_exact_steps_have_no_say_in_the_interval_of_the_others() -> None:
    """A campaign in which every other step is elastic gives the quantiles of its plastic steps."""
    scores = np.random.default_rng(3).gamma(1.5, size=300)
    plastic = [(0.01, float(score)) for score in scores]
    mixed = plastic + [(0.0, 1e-13)] * 300
    tables = [{"decoded": {"peak_von_mises_pa": pairs}, "read": {}} for pairs in (plastic, mixed)]
    one, other = (fit_calibration(table).decoded["peak_von_mises_pa"] for table in tables)
    assert one == other


def test_an_answer_farther_out_of_balance_gets_a_wider_interval() -> None:
    """Answers whose error grows with their imbalance, as in the campaign."""
    random = np.random.default_rng(4)
    imbalances = random.uniform(0.0, 0.2, 2000)
    pairs = [(float(i), float(i * abs(random.normal()))) for i in imbalances]
    calibration = fit_calibration({"decoded": {"x": pairs}, "read": {"x": pairs}})
    widths = calibration.decoded["x"]
    assert len(widths) == len(calibration.edges) + 1 and calibration.read["x"] == widths
    assert all(narrow < wide for narrow, wide in pairwise(widths))
    # A new answer is covered as often in every bin.
    for _ in range(3):
        fresh = random.uniform(0.0, 0.2, 4000)
        errors = fresh * np.abs(random.normal(size=4000))
        bins = np.searchsorted(calibration.edges, fresh)
        for place, width in enumerate(widths):
            share = (errors[bins == place] <= width).mean()
            # Three standard deviations of both samples, of a tenth of the answers at least.
            assert abs(share - LEVEL) < 3 * np.sqrt(LEVEL * (1 - LEVEL) * (1 / 200 + 1 / 400))


def test_the_edges_part_the_histories_that_yield_and_more_of_them_where_answers_are_worse() -> None:
    pairs = [(0.001 * k, 0.1) for k in range(1, 1001)] + [(0.0, 0.0)] * 5000  # exact steps do not count
    edges = fit_calibration({"decoded": {"x": pairs}, "read": {}}).edges
    shares = np.diff([0.0, *edges, 1.0])
    np.testing.assert_allclose(shares, (0.2, 0.2, 0.2, 0.15, 0.15, 0.1), atol=2e-3)
    # A history that has several steps or scalars in one pile counts once.
    again = [*pairs, *[(0.5, 0.1)] * 3000]
    assert fit_calibration({"decoded": {"x": again}, "read": {}}).edges == edges


def test_a_bin_of_few_scores_takes_the_quantile_of_all() -> None:
    few = [(0.01 * k, 0.01 * k) for k in range(1, 21)]
    calibration = fit_calibration({"decoded": {"x": few}, "read": {"x": few[:3]}})
    assert set(calibration.decoded["x"]) == {conformal_quantile(np.array([score for _, score in few]))}
    assert set(calibration.read["x"]) == {0.03}  # the largest of three
    nothing = fit_calibration({"decoded": {"x": []}, "read": {"x": []}})
    assert nothing.edges == () and nothing.decoded["x"] == nothing.read["x"] == (2.0,)


def test_the_bin_is_that_of_the_largest_imbalance_of_a_decoded_state() -> None:
    calibration = calibration_of(0.3)
    found = [calibration.place(history(np.ones(4), imbalance=level)) for level in (0.0, 0.004, 0.01, 0.09, 0.5)]
    assert found == [0, 0, 1, 2, 3]
    mixed = history(np.ones(4))
    mixed.scalars.equilibrium_residual[:] = (0.01, 9.0, 9.0, 0.03)  # the first step and the last are decoded
    assert imbalance_of(mixed) == 0.03


def test_a_score_is_the_same_too_high_as_too_low_and_nothing_for_the_truth() -> None:
    value = np.array([1e8, 2e8])
    assert not log_ratio(value, value, 1e6).any()
    np.testing.assert_allclose(log_ratio(2 * value, value, 0.0), log_ratio(value, 2 * value, 0.0))
    np.testing.assert_allclose(log_ratio(2 * value, value, 0.0), np.log(2))
    assert log_ratio(np.array([1e-3]), np.array([0.0]), 1e6)[0] < 1e-8  # far below the floor nothing counts


def test_floors_are_in_the_unit_of_their_scalar() -> None:
    assert Floors(0.02 * 250e6, 5e-6, 0.1 * YIELD_STRAIN) == BOUNDS
    for name in (*STEP_SCALARS, *TOTALS):
        expected = {"_pa": BOUNDS.stress_pa, "_m": BOUNDS.displacement_m}
        found = next((value for end, value in expected.items() if name.endswith(end)), None)
        if found is not None:
            assert BOUNDS.of(name) == found
    assert BOUNDS.of("peak_plastic_strain") == BOUNDS.strain
    assert BOUNDS.of("safety_factor_ultimate") == 0.01


def test_every_scalar_of_a_history_has_a_score() -> None:
    found = history_scores(PREDICTED, PREDICTED.scalars, PREDICTED.totals, BOUNDS)
    assert set(found) == {*STEP_SCALARS, *TOTALS}
    assert all(not scores.any() for scores in found.values())
    assert set(STEP_SCALARS) < {field.name for field in fields(StepScalars)}
    assert set(TOTALS) < {field.name for field in fields(HistoryScalars)}


def test_a_calibration_survives_its_json() -> None:
    calibration = calibration_of(0.123456789)
    assert Calibration.from_json(json.loads(json.dumps(calibration.as_json()))) == calibration


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_nothing_predicted_has_an_interval_from_nothing_to_the_floor(value: float) -> None:
    silent = replace(PREDICTED, scalars=replace(PREDICTED.scalars, peak_plastic_strain=np.full(6, value)))
    answer = with_intervals(silent, calibration_of(0.3), BOUNDS, NONE_EXACT)
    assert answer.scalars_low is not None and answer.scalars_high is not None
    assert not answer.scalars_low.peak_plastic_strain.any()
    assert (answer.scalars_high.peak_plastic_strain <= BOUNDS.strain).all()
