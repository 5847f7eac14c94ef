"""Long histories: errors are those at the end of the first steps and of the whole."""

from pathlib import Path

import numpy as np
import pytest

from surrogate.data.sampling import SamplingRange
from surrogate.errors import InputError
from surrogate.training.horizon_evaluation import METRICS, Horizon, far, horizon_text, load_horizon
from tests.training.wedges import STEPS


def test_growth_is_the_ratio_of_the_medians() -> None:
    pairs = [(0.1, 0.2), (0.2, 0.1), (0.4, 0.4)]
    found = Horizon(1, (20, 60), {"m": dict.fromkeys(METRICS, pairs)})
    assert found.growth("m", METRICS[0]) == pytest.approx(0.2 / 0.2)
    assert found.quantile("m", METRICS[0], 1.0) == pytest.approx((0.4, 0.4))
    assert "| m | 20.0 / 36.0, 20.0 / 36.0, **1.00** |" in horizon_text(found)
    assert load_horizon(found.as_json()) == found


def test_methods_are_held_against_the_solver_at_both_horizons(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("local anchor", "reduced anchor + 2")
    monkeypatch.setattr("surrogate.training.drawn_truth._RANGES", SamplingRange(peak_level=(1.8, 2.0), bulk_level=1.4))
    found = far(None, campaign, limit=1, methods=names, truth=tmp_path, steps=STEPS)
    assert found.parts == 1 and found.steps == (STEPS, 3 * STEPS)
    assert list(found.errors) == ["local anchor", "reduced anchor + 2 enrichments"]
    for metric in METRICS:
        local, reduced = (np.array(own[metric]) for own in found.errors.values())
        assert local.shape == reduced.shape and local.shape[1] == 2
        # Two enrichments leave a small share of the local anchor's error on a part of 36 cells, at any horizon.
        assert (np.median(reduced, axis=0) < 0.5 * np.median(local, axis=0)).all()


def test_parts_that_do_not_yield_are_refused(campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surrogate.training.horizon_evaluation.PLASTIC_SHARE", 1e9)
    with pytest.raises(InputError, match="no history of 1 parts yields in its first 8 steps"):
        far(None, campaign, limit=1, methods=("local",), truth=tmp_path, steps=STEPS)
