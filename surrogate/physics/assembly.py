"""Sparse operators of a mesh: strains of displacements, and the stiffness matrix.

Shape letters: N points, C cells, P = 4 C quadrature points.
"""

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray


def strain_operator(gradients: FloatArray, cells: IntArray, point_count: int) -> sp.csr_matrix:
    """The sparse matrix that takes displacements [3N] to strains [6 P], component-major, engineering shear."""
    cell_count = len(cells)
    point_total = 4 * cell_count
    blocks = []
    columns = np.repeat(3 * cells[:, None, :], 4, axis=1).reshape(point_total, 10)
    gradient = gradients.reshape(point_total, 10, 3)
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)):
        if i == j:
            data, column = gradient[:, :, i], columns + i
        else:
            data = np.concatenate([gradient[:, :, j], gradient[:, :, i]], axis=1)
            column = np.concatenate([columns + i, columns + j], axis=1)
        pointer = np.arange(0, data.size + 1, data.shape[1])
        blocks.append(sp.csr_matrix((data.ravel(), column.ravel(), pointer), shape=(point_total, 3 * point_count)))
    return sp.csr_matrix(sp.vstack(blocks, format="csr"))


class StiffnessPattern:
    """Where element matrices go in the global matrix; found once per mesh, on 3 x 3 blocks."""

    def __init__(self, cells: IntArray, point_count: int) -> None:
        rows = np.repeat(cells, 10, axis=1).ravel().astype(np.int64)
        columns = np.tile(cells, (1, 10)).ravel()
        keys, self._block = np.unique(rows * point_count + columns, return_inverse=True)
        self._columns = (keys % point_count).astype(np.int32)
        counts = np.bincount(keys // point_count, minlength=point_count)
        self._pointer = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self._size = 3 * point_count

    def assemble(self, matrices: FloatArray, cell_ids: IntArray | None = None) -> sp.csr_matrix:
        """Sum element matrices [C', 10, 3, 10, 3] (of all cells, or of some) into a matrix [3N, 3N]."""
        block = self._block.reshape(-1, 100)
        block = (block if cell_ids is None else block[cell_ids]).ravel()
        entries = matrices.transpose(0, 1, 3, 2, 4).reshape(-1, 9)
        data = np.stack(
            [np.bincount(block, entries[:, i], minlength=len(self._columns)) for i in range(9)], axis=1
        ).reshape(-1, 3, 3)
        matrix = sp.bsr_matrix((data, self._columns, self._pointer), shape=(self._size, self._size))
        return sp.csr_matrix(matrix.tocsr())
