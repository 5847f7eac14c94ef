"""A short version of `make load`: users in every CI run, so that the long one is no surprise."""

from pathlib import Path

import pytest

from tests.load.__main__ import run
from tests.load.judge import Bounds, growth

# Two cores run the service, its users and other tests: a bound of 50 ms would measure those. A service that computes in
# its event loop, or whose threads hold the interpreter, is seconds late all the same.
SHARED_MACHINE_S = 0.25
# Twenty seconds are all warm-up: a worker that has its model takes 0.7 GB, and 1.5 GB with its first crowd. A process
# that keeps every answer and every upload is well beyond. The long run judges growth.
GROWTH = 4.0


@pytest.mark.slow
def test_eight_users_are_served_without_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wrong = run(tmp_path, users=8, seconds=20, bounds=Bounds(SHARED_MACHINE_S, GROWTH), settings={})
    assert not wrong, "\n".join(wrong) + capfd.readouterr().out


def test_growth_is_told_from_noise() -> None:
    """The judge itself: a flat saw-tooth is flat, a slow leak is not, and the warm-up is left out."""
    seconds = [float(at) for at in range(600)]
    saw = [1000.0 + 100 * (at % 10) / 10 for at in seconds]
    flat = growth(seconds, saw)
    assert abs(flat.thirds) < 0.01 and abs(flat.fitted) < 0.01
    warmed = growth(seconds, [saw[int(at)] - max(0.0, 600 - 4 * at) for at in seconds])
    assert abs(warmed.thirds) < 0.01
    leaking = growth(seconds, [size + at / 5 for at, size in zip(seconds, saw, strict=True)])
    assert leaking.thirds > 0.05 and leaking.fitted > 0.07
