"""Laws of the invariants: known states, independence of the frame, and reversible layouts."""

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.physics.invariants import deviator, tensor_norm, to_first, to_last, von_mises
from tests.physics.meshes import rotation

RANDOM = np.random.default_rng(0).normal(size=(6, 20))


def tensors(stress: FloatArray) -> FloatArray:
    """Symmetric tensors [..., 3, 3] of components xx yy zz xy yz zx [6, ...]."""
    return np.moveaxis(stress, 0, -1)[..., [[0, 3, 5], [3, 1, 4], [5, 4, 2]]]


@pytest.mark.parametrize(
    ("stress", "expected"),
    [
        ((3, 0, 0, 0, 0, 0), 3.0),
        ((-3, 0, 0, 0, 0, 0), 3.0),
        ((5, 5, 5, 0, 0, 0), 0.0),
        ((0, 0, 0, 2, 0, 0), 2 * np.sqrt(3)),
        ((0, 0, 0, 0, 0, 2), 2 * np.sqrt(3)),
        ((4, -4, 0, 0, 0, 0), 4 * np.sqrt(3)),
    ],
)
def test_von_mises_of_textbook_states(stress: tuple[float, ...], expected: float) -> None:
    assert von_mises(np.array(stress, float)) == pytest.approx(expected, abs=1e-14)


def test_von_mises_does_not_depend_on_the_frame_or_the_pressure() -> None:
    turn = rotation((1, -1, 2), 0.9)
    turned = turn @ tensors(RANDOM) @ turn.T
    again = np.stack([turned[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))])
    again[:3] += 7.0
    np.testing.assert_allclose(von_mises(again), von_mises(RANDOM), rtol=1e-12)


def test_the_norm_is_that_of_the_tensor_and_the_deviator_has_no_trace() -> None:
    np.testing.assert_allclose(tensor_norm(RANDOM), np.linalg.norm(tensors(RANDOM), axis=(1, 2)), rtol=1e-14)
    assert np.abs(deviator(RANDOM)[:3].sum(axis=0)).max() < 1e-14


def test_both_layouts_hold_the_same() -> None:
    last = to_last(RANDOM, 5)
    assert last.shape == (5, 4, 6)
    np.testing.assert_array_equal(last[2, 3], RANDOM[:, 11])
    np.testing.assert_array_equal(to_first(last), RANDOM)
