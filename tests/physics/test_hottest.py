"""Laws of the hottest points: the peak of the part is read at few of them."""

import numpy as np

from surrogate.physics.hottest import hottest_points, reduced_peaks
from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from tests.physics.yielding_plate import SWING, anchored, drawn


def test_the_peak_at_a_few_hot_points_is_the_peak_of_all() -> None:
    anchor, factors = anchored(), drawn(40)
    reduced = reduced_anchor(anchor, factors, ReducedSettings(modes=6))
    points = hottest_points(anchor, factors, reduced, count=100, each=8)
    assert len(points) <= 100
    found = reduced_peaks(anchor, factors, reduced, points)
    everywhere = reduced_peaks(anchor, factors, reduced, np.arange(anchor.system.volumes.size))
    assert everywhere.max() > 5e-3
    assert (found <= everywhere).all()
    # The worst point after a turn of the load need not be the one of largest strain; it is next to it.
    assert (found[:, -1] >= 0.98 * everywhere[:, -1]).all()


def test_plastic_strain_never_falls_and_is_none_where_nothing_yields() -> None:
    anchor, factors = anchored(), np.stack([SWING, 0.3 * SWING])
    peaks = reduced_peaks(anchor, factors, reduced_anchor(anchor, factors, ReducedSettings(modes=6)))
    assert (np.diff(peaks, axis=1) >= 0).all()
    assert peaks[0, -1] > 1e-3
    assert not peaks[1].any()
    calm = 0.1 * factors
    assert not reduced_peaks(anchor, calm, reduced_anchor(anchor, calm)).any()
