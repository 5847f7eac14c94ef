"""The grammar of load histories: ramp, unload, overload and reload, paths between cases, spectra.

A history is a few turning points in the space of load factors, with whole numbers of steps between them, so that every
turning point is a step. Shape letters: T steps, K load cases, W turning points.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from surrogate.errors import InputError
from surrogate.fields import FloatArray

HistoryKind = Literal["ramp", "load-unload", "overload-reload", "non-proportional", "spectrum"]
HISTORY_KINDS: tuple[HistoryKind, ...] = get_args(HistoryKind)
FEWEST_STEPS = 8


@dataclass(frozen=True)
class DrawnHistory:
    """A history before it is scaled: its kind and its factors [T, K], of magnitude one at most."""

    kind: HistoryKind
    factors: FloatArray


def draw_history(generator: np.random.Generator, step_count: int, case_count: int) -> DrawnHistory:
    """Draws a history; about half of all end at zero load.

    Args:
        generator: where the draws come from.
        step_count: T, at least `FEWEST_STEPS`.
        case_count: K.

    Raises:
        InputError: too few steps to hold the turning points of a spectrum.
    """
    if step_count < FEWEST_STEPS:
        raise InputError(f"{step_count} steps are too few for a drawn history; give at least {FEWEST_STEPS}")
    kind = HISTORY_KINDS[generator.integers(len(HISTORY_KINDS))]
    turning = _turning_points(generator, kind, case_count)
    ends_at_zero = kind == "load-unload" or (kind != "ramp" and generator.random() < 0.5)
    if ends_at_zero:
        turning = np.concatenate([turning, np.zeros((1, case_count))])
    factors = _through(turning, _turning_steps(generator, step_count, len(turning)), step_count)
    return DrawnHistory(kind, factors / np.abs(factors).max())


def _turning_points(generator: np.random.Generator, kind: HistoryKind, case_count: int) -> FloatArray:
    """Factors at the turning points, without the final return to zero [W, K]."""
    direction = _direction(generator, case_count)
    match kind:
        case "ramp" | "load-unload":
            return direction[None]
        case "overload-reload":
            low, high = generator.uniform(-0.3, 0.4), generator.uniform(0.6, 1.05)
            return np.array([1.0, low, high])[:, None] * direction
        case "non-proportional":
            return _path(generator, direction, case_count)
        case "spectrum":
            levels = generator.uniform(0.35, 1.0, (int(generator.integers(3, 6)), 1))
            # Peaks and valleys alternate; each case moves a little on its own.
            levels[1::2] = generator.uniform(-0.6, 0.3, levels[1::2].shape)
            own = generator.uniform(0.7, 1.3, (len(levels), case_count))
            return np.asarray(levels * own * direction)


def _path(generator: np.random.Generator, direction: FloatArray, case_count: int) -> FloatArray:
    """One case after the other while the earlier ones stay or fade; a single case reverses its sign."""
    if case_count == 1:
        return np.array([[1.0], [-generator.uniform(0.4, 1.0)]]) * direction
    points = np.zeros((case_count, case_count))
    held = np.zeros(case_count)
    for row, case in enumerate(generator.permutation(case_count)):
        held = held * generator.uniform(0.0, 1.0, case_count)
        held[case] = direction[case]
        points[row] = held
    return points


def _direction(generator: np.random.Generator, case_count: int) -> FloatArray:
    """A mix of the cases with its largest factor one; a quarter of the factors are negative."""
    direction = generator.uniform(0.25, 1.0, case_count) * np.where(generator.random(case_count) < 0.25, -1.0, 1.0)
    return np.asarray(direction / np.abs(direction).max())


def _turning_steps(generator: np.random.Generator, step_count: int, turning_count: int) -> list[int]:
    """Step number of each turning point, the last one at the end; loading first takes at least three steps."""
    first = 3 if turning_count > 1 else step_count
    spare = step_count - first - (turning_count - 1)
    lengths = np.ones(turning_count, dtype=int)
    lengths[0] = first
    if turning_count > 1:
        lengths += generator.multinomial(spare, np.full(turning_count, 1 / turning_count))
    return [int(step) for step in np.cumsum(lengths)]


def _through(turning: FloatArray, steps: list[int], step_count: int) -> FloatArray:
    """Straight lines from the unloaded part through the turning points [T, K]."""
    times = np.array([0, *steps])
    corners = np.concatenate([np.zeros((1, turning.shape[1])), turning])
    return np.stack(
        [np.interp(np.arange(1, step_count + 1), times, corners[:, k]) for k in range(turning.shape[1])], axis=1
    )
