"""Laws of the empirical cubature: non-negative weights, few points, the integrals of the snapshots met."""

import numpy as np

from surrogate.physics.crowd import plastic_fields, unlike
from surrogate.physics.cubature import CubatureSettings, at_points, few_points, sparse_weights
from surrogate.physics.deviatoric import strain_deviator
from surrogate.physics.galerkin import ReducedProblem
from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from tests.physics.meshes import STEEL
from tests.physics.yielding_plate import anchored, drawn

RANDOM = np.random.default_rng(1)


def test_integrals_of_polynomials_need_no_more_points_than_there_are_polynomials() -> None:
    x = np.linspace(-1, 1, 501)
    values = np.polynomial.legendre.legvander(x, 9)
    totals = values.sum(axis=0)
    found = sparse_weights(values, totals, CubatureSettings(tolerance=1e-6))
    # Caratheodory: as many points as integrals do, whatever the number of points before.
    assert len(found.points) <= 10
    assert (found.multiplier > 0).all()
    assert found.error <= 1e-6
    np.testing.assert_allclose(found.multiplier @ values[found.points], totals, atol=2e-6 * np.linalg.norm(totals))


def test_what_positive_weights_cannot_meet_is_met_as_well_as_they_can() -> None:
    values = np.abs(RANDOM.normal(size=(50, 5)))
    found = sparse_weights(values, -np.ones(5), CubatureSettings())
    assert len(found.points) == 0
    assert found.error == 1.0


def test_few_points_meet_the_integrals_of_the_snapshots() -> None:
    anchor, factors = anchored(), drawn(6)
    reduced = reduced_anchor(anchor, factors, ReducedSettings(modes=5))
    problem = ReducedProblem(anchor.strain, reduced.strain, anchor.system.volumes.ravel(), STEEL)
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    plastic = plastic_fields(strain, np.concatenate([factors, reduced.coordinates], axis=-1), anchor, 3)
    chosen = few_points(problem, plastic, CubatureSettings(tolerance=2e-3))
    few = at_points(problem, chosen)
    assert (few.weight > 0).all()
    assert len(few.weight) < len(problem.weight) / 3
    modes, own = strain_deviator(problem.mode_strain), strain_deviator(few.mode_strain)
    whole = np.einsum("sca,caj,a->sj", plastic, modes, problem.weight)
    by_few = np.einsum("sca,caj,a->sj", plastic[:, :, chosen.points], own, few.weight)
    # Snapshots below a twentieth of the largest count less; single precision adds its rounding.
    size = np.maximum(np.linalg.norm(whole, axis=1), 0.05 * np.linalg.norm(whole, axis=1).max())
    left = np.linalg.norm(by_few - whole, axis=1) / size
    assert np.sqrt((left**2).sum() / (np.linalg.norm(whole, axis=1) ** 2 / size**2).sum()) < 2.2e-3


def test_histories_unlike_the_known_ones_come_first_and_no_twin_of_them() -> None:
    angles = np.array([0.0, 0.0, 0.1, 1.5, 3.0])
    coordinates = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None]
    assert unlike(coordinates, np.array([0]), 2).tolist() == [3, 4]
    assert unlike(coordinates, np.array([0]), 9).tolist() == [2, 3, 4]
    # Of none known, the one that goes farthest comes first.
    assert unlike(coordinates * np.array([1, 1, 1, 1, 2])[:, None, None], np.zeros(0, np.int64), 1).tolist() == [4]
