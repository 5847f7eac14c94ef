"""Fields at the points of the mesh, for pictures and ParaView.

A corner takes the values of the quadrature points beside it, volume-weighted over its cells, and a mid-edge point the
mean of its corners. Nothing is extrapolated, so an averaged value never exceeds the peak over the quadrature points.
Shape letters: N points, C cells, Q = 4 quadrature points a cell.
"""

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh


def averaged_at_points(mesh: TetMesh, values: FloatArray, volume: FloatArray) -> FloatArray:
    """Quadrature values [C, Q] or [C, Q, d] as point values [N] or [N, d], same unit.

    Args:
        mesh: the part.
        values: at the quadrature points; point q lies near corner q.
        volume: of the quadrature points [C, Q], m^3.
    """
    corners, count = mesh.cells[:, :4].ravel(), len(mesh.points)
    weight = np.bincount(corners, volume.ravel(), minlength=count)
    columns = values.reshape(corners.size, -1)
    summed = [np.bincount(corners, volume.ravel() * column, minlength=count) for column in columns.T]
    averaged = np.stack(summed, axis=1) / np.maximum(weight, 1e-300)[:, None]
    for edge, (first, second) in enumerate(TET_EDGES, start=4):
        averaged[mesh.cells[:, edge]] = 0.5 * (averaged[mesh.cells[:, first]] + averaged[mesh.cells[:, second]])
    return averaged.reshape(count, *values.shape[2:])


def cell_means(values: FloatArray, volume: FloatArray) -> FloatArray:
    """Quadrature values [C, Q] or [C, Q, d] as volume-weighted cell means [C] or [C, d]."""
    weight = volume / volume.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("cq,cq...->c...", weight, values))
