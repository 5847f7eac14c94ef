"""Fields at the points: constants stay, nothing exceeds the quadrature values, cell means are volume-weighted."""

import numpy as np

from surrogate.physics.tet_element import gradients_and_volumes
from surrogate.serving.point_data import averaged_at_points, cell_means
from tests.physics.meshes import distorted_block

MESH = distorted_block((2, 2, 2))
_, VOLUME = gradients_and_volumes(MESH.points, MESH.cells)


def test_a_constant_tensor_stays_itself() -> None:
    tensor = np.arange(1.0, 7.0)
    values = np.broadcast_to(tensor, (*VOLUME.shape, 6))
    # One rounding per product and sum over some dozens of cells.
    np.testing.assert_allclose(averaged_at_points(MESH, values, VOLUME), np.tile(tensor, (len(MESH.points), 1)), 1e-13)
    np.testing.assert_allclose(cell_means(values, VOLUME), np.tile(tensor, (len(MESH.cells), 1)), 1e-13)


def test_no_point_exceeds_the_quadrature_values() -> None:
    values = np.random.default_rng(0).uniform(0, 1, VOLUME.shape)
    averaged = averaged_at_points(MESH, values, VOLUME)
    assert values.min() <= averaged.min() and averaged.max() <= values.max()


def test_a_corner_takes_only_the_cells_around_it() -> None:
    values = np.zeros(VOLUME.shape)
    values[0] = 1.0
    touched = np.flatnonzero(averaged_at_points(MESH, values, VOLUME) > 0)
    around = MESH.cells[np.isin(MESH.cells[:, :4], MESH.cells[0, :4]).any(axis=1)]
    assert set(touched.tolist()) <= set(around.ravel().tolist())
    assert set(MESH.cells[0].tolist()) <= set(touched.tolist())


def test_cell_means_keep_the_integral() -> None:
    values = np.random.default_rng(1).normal(size=VOLUME.shape)
    integral = float((values * VOLUME).sum())
    # Sums of a few hundred terms in another order.
    assert np.isclose(float((cell_means(values, VOLUME) * VOLUME.sum(axis=1)).sum()), integral, rtol=1e-11, atol=1e-14)
