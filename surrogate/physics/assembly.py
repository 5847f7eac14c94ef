"""Sparse operators of a mesh: strains of displacements, the stiffness matrix, and its part on the free unknowns.

Shape letters: N points, C cells, P = 4 C quadrature points, n free unknowns.
"""

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.iterative_solver import UnknownLayout

_COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))


def strain_operator(gradients: FloatArray, cells: IntArray, point_count: int) -> sp.csr_matrix:
    """The sparse matrix that takes displacements [3N] to strains [6 P], component-major, engineering shear."""
    rows = 4 * len(cells)
    columns = np.repeat(3 * cells.astype(np.int32)[:, None, :], 4, axis=1).reshape(rows, 10)
    gradient = gradients.reshape(rows, 10, 3)
    # Filled in place: with copies of copies this is what decides how large a part fits in memory.
    data, indices = np.empty(90 * rows), np.empty(90 * rows, dtype=np.int32)
    first = 0
    for i, j in _COMPONENTS:
        width = 10 if i == j else 20
        part = slice(first, first + width * rows)
        values, places = data[part].reshape(rows, width), indices[part].reshape(rows, width)
        values[:, :10], places[:, :10] = gradient[:, :, j], columns + i
        if i != j:
            values[:, 10:], places[:, 10:] = gradient[:, :, i], columns + j
        first += width * rows
    lengths = np.repeat(np.array([10, 20], dtype=np.int32), 3 * rows)
    pointer = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return sp.csr_matrix((data, indices, pointer), shape=(6 * rows, 3 * point_count))


class StiffnessPattern:
    """Where element matrices go in the global matrix; found once per mesh, on 3 x 3 blocks."""

    def __init__(self, cells: IntArray, point_count: int) -> None:
        # Sorting by counting, which scipy's change of format is: the (cell, local point) pairs of each point, then the
        # columns of each point's row, which are few. Comparison sorting of all keys at once takes nine times as long.
        incidence = sp.csr_matrix(
            (np.arange(cells.size, dtype=np.int32), cells.ravel(), np.arange(0, cells.size + 1, 10)),
            shape=(len(cells), point_count),
        ).tocsc()
        columns = cells.astype(np.int32)[incidence.indices].ravel()
        entries = (10 * incidence.data[:, None] + np.arange(10, dtype=np.int32)).ravel()
        table = sp.csr_matrix((entries, columns, 10 * incidence.indptr), shape=(point_count, point_count))
        table.sort_indices()
        starts = np.ones(len(columns) + 1, dtype=bool)
        np.not_equal(table.indices[1:], table.indices[:-1], out=starts[1:-1])
        starts[table.indptr] = True
        number = np.cumsum(starts, dtype=np.int32) - 1
        self._block = np.empty(len(columns), dtype=np.int32)
        self._block[table.data] = number[:-1]
        self._columns = table.indices[starts[:-1]]
        self._pointer = number[table.indptr]
        self._size = 3 * point_count

    @property
    def size_bytes(self) -> int:
        """Memory held, bytes."""
        return int(self._block.nbytes + self._columns.nbytes + self._pointer.nbytes)

    def assemble(self, matrices: FloatArray, cell_ids: IntArray | None = None) -> sp.csr_matrix:
        """Sum element matrices [C', 10, 3, 10, 3] (of all cells, or of some) into a matrix [3N, 3N]."""
        cell_ids = np.arange(len(matrices)) if cell_ids is None else cell_ids
        return self.matrix(self.sums(matrices, cell_ids))

    def sums(self, matrices: FloatArray, cell_ids: IntArray) -> FloatArray:
        """Sums of the element matrices of some cells [C', 10, 3, 10, 3] on the blocks [B, 3, 3]."""
        block = self._block.reshape(-1, 100)[cell_ids].ravel()
        blocks = np.ascontiguousarray(matrices.transpose(0, 1, 3, 2, 4)).reshape(-1, 9)
        gather = sp.csc_matrix(
            (np.ones(len(block)), block, np.arange(len(block) + 1)), shape=(len(self._columns), len(block))
        )
        return np.asarray(gather @ blocks).reshape(-1, 3, 3)

    def matrix(self, blocks: FloatArray) -> sp.csr_matrix:
        """The matrix [3N, 3N] of the blocks [B, 3, 3]; zeros among them stay in its pattern."""
        matrix = sp.bsr_matrix((blocks, self._columns, self._pointer), shape=(self._size, self._size))
        return sp.csr_matrix(matrix.tocsr())

    def free_matrix(self, blocks: FloatArray, freedom: sp.csr_matrix) -> sp.csr_matrix:
        """The matrix of the blocks on the free unknowns [n, n], freedom^T A freedom.

        Its pattern depends on the mesh and the supports alone, never on the values, so that one symbolic analysis
        serves every tangent of a held part.

        Args:
            blocks: [B, 3, 3], changed in place.
            freedom: basis of the free displacements [3N, n].
        """
        points = unknown_points(freedom)
        starts = np.searchsorted(points, np.arange(self._size // 3))
        local = np.arange(len(points)) - starts[points]
        table = freedom.tocoo()
        basis = np.zeros((self._size // 3, 3, 3))
        basis[table.row // 3, table.row % 3, local[table.col]] = table.data
        turned = (basis != np.eye(3)).any(axis=(1, 2))
        rows = np.repeat(np.arange(len(self._pointer) - 1), np.diff(self._pointer))
        touched = np.flatnonzero(turned[rows] | turned[self._columns])
        left = basis[rows[touched]].transpose(0, 2, 1)
        blocks[touched] = left @ blocks[touched] @ basis[self._columns[touched]]
        return _kept(self.matrix(blocks), 3 * points + local)


def _kept(matrix: sp.csr_matrix, places: IntArray) -> sp.csr_matrix:
    """Some rows and columns of a square matrix, in rising order; stored zeros stay."""
    new = np.full(matrix.shape[0], -1, dtype=np.int32)
    new[places] = np.arange(len(places))
    columns = new[matrix.indices]
    keep = columns >= 0
    keep &= np.repeat(new >= 0, np.diff(matrix.indptr))
    counts = np.concatenate([[0], np.cumsum(keep, dtype=np.int32)])[matrix.indptr]
    pointer = np.concatenate([[0], counts[places + 1]]).astype(np.int32)
    return sp.csr_matrix((matrix.data[keep], columns[keep], pointer), shape=(len(places), len(places)))


def unknown_points(freedom: sp.csr_matrix) -> IntArray:
    """The point that each column of a basis of free displacements belongs to [n]."""
    by_column = freedom.tocsc()
    return np.asarray(by_column.indices[by_column.indptr[:-1]] // 3)


def unknown_layout(points: FloatArray, freedom: sp.csr_matrix) -> UnknownLayout:
    """Where the unknowns stand, and the six rigid-body motions of points [N, 3] in their basis."""
    arm = (points - points.mean(axis=0)) / max(float(np.ptp(points, axis=0).max()), 1e-300)
    turns = np.cross(np.eye(3)[:, None, :], arm[None, :, :])  # [3, N, 3]
    shifts = np.tile(np.eye(3), (len(points), 1))  # [3N, 3]
    modes = np.concatenate([shifts, turns.reshape(3, -1).T], axis=1)
    return UnknownLayout(unknown_points(freedom), np.asarray(freedom.T @ modes))
