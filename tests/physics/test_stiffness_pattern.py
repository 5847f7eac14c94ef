"""The global matrices are the sums of what the cells say, in any numbering; their pattern never depends on values."""

import numpy as np
import pytest
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import PlaneSelector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import StiffnessPattern, strain_operator, unknown_layout, unknown_points
from surrogate.physics.problem import Support
from surrogate.physics.supports import freedom_basis
from surrogate.physics.tet_element import gradients_and_volumes
from tests.physics.meshes import LEFT, block, distorted_block, full_tube, rotation, symmetry_planes

MESHES = (distorted_block((3, 4, 2)), block((2, 2, 3)), full_tube(1, 9, 2, 1.0, 2.0, 1.0))


def tilted_block() -> tuple[TetMesh, tuple[Support, ...]]:
    """A block on three frictionless planes that no axis is normal to."""
    turn = rotation((1.0, 2.0, 3.0), 0.6)
    normals = [tuple((-turn[:, i]).tolist()) for i in range(3)]
    planes = (PlaneSelector((x, y, z), "max") for x, y, z in normals)
    return block((2, 2, 2), mapping=lambda points: points @ turn.T), symmetry_planes(*planes)


HELD = {
    "whole points": (block((2, 2, 2)), (Support(LEFT),)),
    "along axes": (distorted_block((2, 2, 2)), symmetry_planes()),
    "tilted": tilted_block(),
}


def random_matrices(count: int) -> FloatArray:
    return np.random.default_rng(0).normal(size=(count, 10, 3, 10, 3))


def summed_by_scipy(matrices: FloatArray, cells: IntArray, point_count: int) -> sp.csr_matrix:
    unknowns = (3 * cells[:, :, None] + np.arange(3)).reshape(len(cells), 30)
    rows, columns = np.repeat(unknowns, 30, axis=1), np.tile(unknowns, (1, 30))
    size = 3 * point_count
    return sp.coo_matrix((matrices.ravel(), (rows.ravel(), columns.ravel())), shape=(size, size)).tocsr()


@pytest.mark.parametrize("mesh", MESHES)
def test_the_assembled_matrix_is_the_sum_that_scipy_makes(mesh: TetMesh) -> None:
    matrices = random_matrices(len(mesh.cells))
    found = StiffnessPattern(mesh.cells, len(mesh.points)).assemble(matrices)
    expected = summed_by_scipy(matrices, mesh.cells, len(mesh.points))
    # Both add up a few dozen numbers of order one, maybe in different orders.
    assert abs(found - expected).max() < 1e-12
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.indptr, expected.indptr)


def test_some_cells_are_summed_alone() -> None:
    mesh, chosen, matrices = MESHES[0], np.array([5, 0, 17]), random_matrices(3)
    found = StiffnessPattern(mesh.cells, len(mesh.points)).assemble(matrices, chosen)
    assert abs(found - summed_by_scipy(matrices, mesh.cells[chosen], len(mesh.points))).max() < 1e-12


def test_points_that_belong_to_no_cell_have_empty_rows() -> None:
    cells = block((1, 1, 1)).cells + 2
    count, matrices = int(cells.max()) + 3, random_matrices(len(cells))
    found = StiffnessPattern(cells, count).assemble(matrices)
    assert abs(found - summed_by_scipy(matrices, cells, count)).max() < 1e-12
    assert not np.diff(found.indptr)[[*range(6), *range(-6, 0)]].any()


def test_the_pattern_counts_what_it_holds() -> None:
    mesh = MESHES[0]
    # One number of four bytes for each pair of points of each cell, and less than twice that for the rows.
    entries = 4 * 100 * len(mesh.cells)
    assert entries < StiffnessPattern(mesh.cells, len(mesh.points)).size_bytes < 3 * entries


@pytest.mark.parametrize("name", HELD)
def test_the_free_part_is_the_product_with_the_basis(name: str) -> None:
    mesh, supports = HELD[name]
    freedom = freedom_basis(mesh, supports)
    pattern = StiffnessPattern(mesh.cells, len(mesh.points))
    blocks = pattern.sums(random_matrices(len(mesh.cells)), np.arange(len(mesh.cells)))
    expected = freedom.T @ pattern.matrix(blocks.copy()) @ freedom
    found = pattern.free_matrix(blocks.copy(), freedom)
    # The same products of orthogonal matrices, in another order.
    assert abs(found - expected).max() < 1e-13 * abs(expected).max() * 9
    # Zeros stay in place, or a tangent would have another pattern than the elastic stiffness.
    nothing = pattern.free_matrix(np.zeros_like(blocks), freedom)
    np.testing.assert_array_equal(nothing.indices, found.indices)
    np.testing.assert_array_equal(nothing.indptr, found.indptr)


@pytest.mark.parametrize("name", HELD)
def test_unknowns_stand_at_the_points_that_they_move_and_rigid_motions_are_free_of_strain(name: str) -> None:
    mesh, supports = HELD[name]
    freedom = freedom_basis(mesh, supports)
    points = unknown_points(freedom)
    moved = freedom.tocoo()
    np.testing.assert_array_equal(points[moved.col], moved.row // 3)
    assert (np.diff(points) >= 0).all()
    assert np.bincount(points).max() <= 3
    everything = unknown_layout(mesh.points, sp.identity(3 * len(mesh.points), format="csr")).modes
    assert np.linalg.matrix_rank(everything) == 6
    operator = strain_operator(gradients_and_volumes(mesh.points, mesh.cells)[0], mesh.cells, len(mesh.points))
    # Round-off of gradients that are as large as one over the size of a cell.
    assert np.abs(operator @ everything).max() < 1e-12
    np.testing.assert_allclose(unknown_layout(mesh.points, freedom).modes, freedom.T @ everything)
