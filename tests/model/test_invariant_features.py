"""What the network reads is the same in every frame; the tensor algebra is that of matrices."""

import numpy as np
import pytest
import torch
from torch import Tensor

from surrogate.fields import FloatArray
from surrogate.model.invariant_features import (
    FEATURE_COUNT,
    TREND_FEATURE,
    deviator,
    dot,
    dyad,
    norm,
    point_features,
    square,
    unit,
)
from tests.model.parts import turned_tensor
from tests.physics.meshes import rotation

# Single precision keeps 7 digits; an invariant is a sum of a dozen products.
SINGLE = 1e-5
FRAMES = (
    rotation((1, 2, 3), 0.7),
    rotation((-1, 0.2, 0.4), 2.9),
    rotation((0, 0, 1), np.pi / 2),
    np.diag([1.0, -1.0, 1.0]),
    -rotation((3, -1, 2), 1.1),
)


def tensors(seed: int, count: int = 200) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(count, 6))


def single(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def matrices(tensor: FloatArray) -> FloatArray:
    xx, yy, zz, xy, yz, zx = np.moveaxis(tensor, -1, 0)
    return np.stack([xx, xy, zx, xy, yy, yz, zx, yz, zz], axis=-1).reshape(*tensor.shape[:-1], 3, 3)


@pytest.mark.parametrize("frame", FRAMES)
def test_the_features_of_a_point_are_the_same_in_every_frame(frame: FloatArray) -> None:
    equivalent = single(np.abs(tensors(9)[:, 0]))
    held = [tensors(seed) * scale for seed, scale in enumerate((1.5, 0.4, 1.0, 2.0))]
    held[3][:, :3] -= held[3][:, :3].mean(axis=1, keepdims=True)
    hardening, coarser = torch.tensor(0.02), (0.8 * equivalent, equivalent**2)
    before = point_features(*map(single, held), equivalent, hardening, coarser)
    after = point_features(*(single(turned_tensor(t, frame)) for t in held), equivalent, hardening, coarser)
    assert before.shape == (200, FEATURE_COUNT)
    torch.testing.assert_close(after, before, rtol=SINGLE, atol=SINGLE)
    # Not a single feature may be constant, or it would say nothing; one is 1 wherever there is plastic strain.
    constant = [i for i in range(FEATURE_COUNT) if before[:, i].std() <= 1e-3]
    assert constant == [TREND_FEATURE - 1] and (before[:, constant] == 1).all()


def test_the_features_tell_apart_what_differs_by_more_than_the_frame() -> None:
    held = [single(tensors(seed)) for seed in range(4)]
    rest = torch.ones(200), torch.tensor(0.02), (torch.ones(200), torch.ones(200))
    before = point_features(*held, *rest)
    turned = single(turned_tensor(tensors(0), FRAMES[0]))  # only one of the tensors turns
    assert (point_features(turned, *held[1:], *rest) - before).abs().max() > 0.1
    # A reversed load, and pushing instead of pulling.
    assert (point_features(held[0], -held[1], *held[2:], *rest) - before).abs().max() > 0.1
    assert (point_features(-held[0], *held[1:], *rest) - before).abs().max() > 0.1


def test_the_trend_is_the_last_change_and_the_one_before_it() -> None:
    held, ones = [single(tensors(seed)) for seed in range(4)], torch.ones(200)
    same, fell, rose = (
        point_features(*held, 2 * ones, torch.tensor(0.0), (earlier * ones, local * ones))
        for earlier, local in ((2.0, 2.0), (3.0, 2.0), (1.5, 0.5))
    )
    trend = slice(TREND_FEATURE, TREND_FEATURE + 2)
    assert not same[:, trend].any()
    assert (fell[:, TREND_FEATURE] < -1).all() and (fell[:, TREND_FEATURE + 1] > 0.1).all()
    assert (rose[:, trend] > 0.1).all()
    # Nothing else sees the earlier anchors.
    others = [i for i in range(FEATURE_COUNT) if i not in (TREND_FEATURE, TREND_FEATURE + 1)]
    assert torch.equal(same[:, others], fell[:, others]) and torch.equal(same[:, others], rose[:, others])


def test_the_features_of_an_unloaded_point_are_finite_and_so_are_their_gradients() -> None:
    silent = [torch.zeros(3, 6, requires_grad=True) for _ in range(4)]
    features = point_features(*silent, torch.zeros(3), torch.tensor(0.0), (torch.zeros(3), torch.zeros(3)))
    assert torch.isfinite(features).all()
    features.sum().backward()  # type: ignore[no-untyped-call]
    assert all(t.grad is not None and torch.isfinite(t.grad).all() for t in silent)


def test_the_algebra_is_that_of_matrices() -> None:
    a, b = tensors(1), tensors(2)
    full_a, full_b = matrices(a), matrices(b)
    np.testing.assert_allclose(dot(single(a), single(b)), np.einsum("nij,nij->n", full_a, full_b), atol=20 * SINGLE)
    np.testing.assert_allclose(norm(single(a)), np.linalg.norm(full_a, axis=(1, 2)), rtol=SINGLE)
    np.testing.assert_allclose(matrices(square(single(a)).numpy()), full_a @ full_a, atol=20 * SINGLE)
    trace = np.trace(full_a, axis1=1, axis2=2)[:, None, None]
    np.testing.assert_allclose(matrices(deviator(single(a)).numpy()), full_a - trace / 3 * np.eye(3), atol=SINGLE)
    np.testing.assert_allclose(norm(unit(single(a))), 1.0, rtol=SINGLE)


def test_a_dyad_is_the_deviator_of_the_outer_product_and_blind_to_the_sign_of_its_direction() -> None:
    direction = np.random.default_rng(3).normal(size=(50, 3))
    outer = direction[:, :, None] * direction[:, None, :]
    expected = outer - np.trace(outer, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    np.testing.assert_allclose(matrices(dyad(single(direction)).numpy()), expected, atol=10 * SINGLE)
    assert torch.equal(dyad(single(direction)), dyad(single(-direction)))


def test_the_unit_of_nothing_is_nothing() -> None:
    assert torch.equal(unit(torch.zeros(2, 6)), torch.zeros(2, 6))
