"""Histories of the grammar are bounded, start from an unloaded part, and half of them end at zero load."""

import numpy as np
import pytest

from surrogate.data.histories import HISTORY_KINDS, draw_history
from surrogate.errors import InputError


@pytest.mark.parametrize("case_count", [1, 2, 3])
def test_factors_are_bounded_and_every_kind_is_drawn(case_count: int) -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_history(generator, 12, case_count) for _ in range(400)]
    assert {history.kind for history in drawn} == set(HISTORY_KINDS)
    for history in drawn:
        assert history.factors.shape == (12, case_count)
        assert np.abs(history.factors).max() == pytest.approx(1.0, abs=1e-12)
        # Loading takes three steps at least, so that no first step jumps to the peak.
        assert np.abs(history.factors[0]).max() <= 1 / 2.5
    at_zero = np.mean([bool((history.factors[-1] == 0).all()) for history in drawn])
    # Expected 0.5; four standard deviations over 400 draws are 0.1.
    assert 0.4 < at_zero < 0.6


def test_ramp_never_falls_and_load_unload_ends_at_zero() -> None:
    generator = np.random.default_rng(1)
    for history in (draw_history(generator, 12, 2) for _ in range(200)):
        magnitude = np.abs(history.factors).max(axis=1)
        if history.kind == "ramp":
            assert (np.diff(magnitude) > 0).all()
        if history.kind == "load-unload":
            assert magnitude[-1] == 0 and magnitude.max() == pytest.approx(1.0)


def test_only_non_proportional_and_spectrum_turn_in_the_space_of_factors() -> None:
    generator = np.random.default_rng(2)
    turns = set()
    for history in (draw_history(generator, 12, 3) for _ in range(200)):
        singular = np.linalg.svd(history.factors, compute_uv=False)
        if singular[1] > 1e-9 * singular[0]:
            turns.add(history.kind)
    assert turns == {"non-proportional", "spectrum"}


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(InputError, match="at least 8"):
        draw_history(np.random.default_rng(0), 5, 1)
