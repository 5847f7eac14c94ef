"""A problem that cannot be solved is refused where it is made, with the remedy."""

import numpy as np
import pytest

from surrogate.data.histories import draw_history
from surrogate.errors import ProblemError
from surrogate.physics.problem import LoadCase, LoadHistory, Pressure, Problem, Support, ramp
from tests.physics.meshes import LEFT, STEEL, TOP, block

MESH = block((1, 1, 1))
CASE, SUPPORT = LoadCase("press", (Pressure(TOP, 1e6),)), Support(LEFT)


def problem(
    supports: tuple[Support, ...] = (SUPPORT,),
    cases: tuple[LoadCase, ...] = (CASE,),
    histories: tuple[LoadHistory, ...] = (ramp(1),),
) -> Problem:
    return Problem(MESH, STEEL, supports, cases, histories)


def test_nothing_held_nothing_loaded_and_no_history_are_refused() -> None:
    with pytest.raises(ProblemError, match="no supports"):
        problem(supports=())
    with pytest.raises(ProblemError, match="no load cases"):
        problem(cases=())
    with pytest.raises(ProblemError, match="no load histories"):
        problem(histories=())
    with pytest.raises(ProblemError, match="'empty' has no loads"):
        LoadCase("empty", ())


def test_names_are_unique() -> None:
    with pytest.raises(ProblemError, match=r"load case names must be unique; repeated: press"):
        problem(cases=(CASE, CASE), histories=(ramp(2),))
    with pytest.raises(ProblemError, match=r"load history names must be unique; repeated: ramp"):
        problem(histories=(ramp(1), ramp(1, 3)))


def test_a_history_has_one_finite_factor_a_case() -> None:
    with pytest.raises(ProblemError, match="2 factors a step for 1 load cases"):
        problem(histories=(ramp(2),))
    with pytest.raises(ProblemError, match="not a finite number"):
        LoadHistory("h", np.array([[1.0], [np.nan]]))
    for shape in ((0, 1), (3,)):
        with pytest.raises(ProblemError, match="no steps"):
            LoadHistory("h", np.zeros(shape))


def test_a_history_keeps_its_own_factors() -> None:
    factors = np.ones((2, 1))
    history = LoadHistory("h", factors)
    factors[:] = 5.0
    np.testing.assert_array_equal(history.factors, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        history.factors[0, 0] = 2.0


def test_the_default_ramp_rises_to_one_in_equal_steps() -> None:
    np.testing.assert_allclose(ramp(2, 4).factors, np.repeat([[0.25], [0.5], [0.75], [1.0]], 2, axis=1))


def test_a_history_turns_where_its_direction_changes_and_at_its_end() -> None:
    # Up in two unequal steps (no turn), down, then the other case, then nothing more.
    history = LoadHistory("h", np.array([[1.0, 0], [3, 0], [2, 0], [0, 0], [0, 1], [0, 2], [0, 2]]))
    assert history.turning_steps().tolist() == [1, 3, 5, 6]
    turned = history.turning_points()
    assert turned.name == "h"
    np.testing.assert_array_equal(turned.factors, history.factors[[1, 3, 5, 6]])


def test_what_lies_between_turning_points_is_on_straight_lines() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        history = LoadHistory("h", draw_history(generator, 20, 3).factors)
        at = history.turning_steps()
        corners = np.concatenate([np.zeros((1, 3)), history.turning_points().factors])
        back = [np.interp(np.arange(20), [-1, *at], corners[:, case]) for case in range(3)]
        # Rounding of the interpolation alone.
        assert np.allclose(np.stack(back, axis=1), history.factors, atol=1e-12)
