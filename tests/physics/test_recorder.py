"""Laws of the weighted quantile, which decides what counts as a hot spot."""

import numpy as np
import pytest

from surrogate.physics.elastic import build_elastic_system
from surrogate.physics.problem import Support
from surrogate.physics.recorder import quadrature_points, weighted_quantile
from tests.physics.meshes import LEFT, STEEL, distorted_block


def test_a_quantile_splits_the_weight_not_the_count() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.01, 0.9, 0.09])
    assert weighted_quantile(values, weights, 0.5) == 1.0
    assert weighted_quantile(values, weights, 0.95) == 2.0
    assert weighted_quantile(values, weights, 0.995) == 3.0
    assert weighted_quantile(values, weights, 1.0) == 3.0


def test_equal_weights_give_the_common_quantile() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(float)
    assert weighted_quantile(values, np.full(1000, 2.0), 0.999) == pytest.approx(998, abs=1)


def test_quadrature_points_integrate_positions() -> None:
    system = build_elastic_system(distorted_block((2, 2, 2), (1.0, 2.0, 3.0)), STEEL, (Support(LEFT),))
    centre = system.volumes.ravel() @ quadrature_points(system) / 6.0
    np.testing.assert_allclose(centre, [0.5, 1.0, 1.5], rtol=1e-12)
