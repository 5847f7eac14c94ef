"""Laws of the weighted quantile, which decides what counts as a hot spot."""

import numpy as np
import pytest

from surrogate.physics.elastic import build_elastic_system, elastic_anchor
from surrogate.physics.invariants import von_mises
from surrogate.physics.problem import LoadCase, LoadHistory, Pressure, Problem, Support, Traction
from surrogate.physics.recorder import elastic_peak_von_mises, quadrature_points, weighted_quantile
from tests.physics.meshes import LEFT, RIGHT, STEEL, TOP, distorted_block


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


def test_the_elastic_peak_is_the_largest_over_the_steps_taken_one_by_one() -> None:
    cases = (
        LoadCase("pull", (Traction(RIGHT, (1e6, 2e6, 0.0)),)),
        LoadCase("press", (Pressure(TOP, 1e6),)),
        LoadCase("shear", (Traction(TOP, (0.0, 1e6, 0.0)),)),
    )
    factors = np.random.default_rng(0).normal(size=(12, 3))
    mesh = distorted_block((2, 2, 2), (1.0, 2.0, 3.0))
    anchor = elastic_anchor(Problem(mesh, STEEL, (Support(LEFT),), cases, (LoadHistory("any", factors),)))
    for rows in (factors, factors[:1], 0 * factors):
        expected = max(float(von_mises(anchor.stress @ step).max()) for step in rows)
        assert elastic_peak_von_mises(anchor, rows) == pytest.approx(expected, rel=1e-12)
