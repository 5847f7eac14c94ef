"""Cells that can carry a calculation: oriented, conforming, in one piece, with positive Jacobians.

Shape letters: N points, C cells, Q = 4 quadrature points.
"""

import logging

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TET_EDGES

_log = logging.getLogger(__name__)

_EDGES = np.array(TET_EDGES)
_FLIP = np.array([0, 2, 1, 3, 6, 5, 4, 7, 9, 8])
_FLAT = 1e-9
_A, _B = 0.58541020, 0.13819660
_CORNER_GRADIENTS = np.array([[-1.0, -1.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _shape_gradients() -> FloatArray:
    """Derivatives of the ten shape functions at the four quadrature points [Q, 10, 3]."""
    at = np.full((4, 4), _B)
    np.fill_diagonal(at, _A)
    corners = (4 * at - 1)[:, :, None] * _CORNER_GRADIENTS
    i, j = _EDGES.T
    edges = 4 * (at[:, j, None] * _CORNER_GRADIENTS[i] + at[:, i, None] * _CORNER_GRADIENTS[j])
    return np.concatenate([corners, edges], axis=1)


_GRADIENTS = _shape_gradients()


def jacobian_determinants(points: FloatArray, cells: IntArray) -> FloatArray:
    """Determinants at the quadrature points [C, Q], m^3; their mean over 6 is the volume of the cell."""
    result = np.empty((len(cells), 4))
    for start in range(0, len(cells), 100_000):
        nodes = points[cells[start : start + 100_000]]
        jacobians = np.einsum("qni,cnx->cqxi", _GRADIENTS, nodes, optimize=True)
        result[start : start + 100_000] = np.linalg.det(jacobians)
    return result


def corner_volumes(points: FloatArray, cells: IntArray) -> FloatArray:
    """Signed volumes of the straight-edged cells [C], m^3."""
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    volumes: FloatArray = np.einsum("cx,cx->c", np.cross(b - a, c - a), d - a) / 6
    return volumes


def mesh_volume(points: FloatArray, cells: IntArray) -> float:
    """Volume of all cells, curved sides included, m^3."""
    return float(jacobian_determinants(points, cells).mean(axis=1).sum() / 6)


def orient_cells(points: FloatArray, cells: IntArray) -> IntArray:
    """Flip the cells whose corners run the wrong way round.

    Raises:
        GeometryError: cells without volume.
    """
    volumes = corner_volumes(points, cells)
    corners = points[cells[:, :4]]
    longest = np.linalg.norm(np.ptp(corners, axis=1), axis=1)
    flat = np.abs(volumes) <= _FLAT * longest**3
    if flat.any():
        first = int(np.flatnonzero(flat)[0])
        raise GeometryError(
            f"{flat.sum()} of {len(cells)} cells have no volume (first: cell {first}); mesh the part anew"
        )
    return np.where((volumes < 0)[:, None], cells[:, _FLIP], cells)


def check_conforming(cells: IntArray, point_count: int) -> None:
    """Refuse meshes whose cells do not share their edges.

    Raises:
        GeometryError: a mid-edge point differs between cells, or is a corner of another.
    """
    corner = np.zeros(point_count, bool)
    corner[cells[:, :4]] = True
    if corner[cells[:, 4:]].any():
        raise GeometryError("some points are a corner of one cell and a mid-edge point of another; mesh the part anew")
    ends = np.sort(cells[:, _EDGES].reshape(-1, 2).astype(np.int64), axis=1)
    keys = ends[:, 0] * point_count + ends[:, 1]
    middle = cells[:, 4:].reshape(-1)
    order = np.argsort(keys, kind="stable")
    keys, middle = keys[order], middle[order]
    cracks = int(((keys[1:] == keys[:-1]) & (middle[1:] != middle[:-1])).sum())
    if cracks:
        raise GeometryError(
            f"cells do not share the mid-edge points of {cracks} edges; merge coincident points, or check that the "
            "file orders mid-edge points as its format says"
        )


def straighten_inverted(points: FloatArray, cells: IntArray) -> FloatArray:
    """Points with the curved edges of inverted cells made straight.

    Second-order points snapped onto the surface of the part can turn thin cells inside out; a straight edge costs a
    little of the roundness, an inverted cell the whole calculation.

    Raises:
        GeometryError: cells stay inverted.
    """
    result = points
    for _ in range(10):
        inverted = (jacobian_determinants(result, cells) <= 0).any(axis=1)
        if not inverted.any():
            return result
        bad = cells[inverted]
        middle = bad[:, 4:].reshape(-1)
        ends = bad[:, _EDGES].reshape(-1, 2)
        result = result.copy() if result is points else result
        result[middle] = 0.5 * (result[ends[:, 0]] + result[ends[:, 1]])
        _log.info("%d cells were turned inside out by their curved edges; their edges are now straight", len(bad))
    raise GeometryError(f"{inverted.sum()} cells are inside out; mesh the part anew with smaller elements")


def solid_labels(cell_count: int, first: IntArray, second: IntArray) -> IntArray:
    """Which solid each cell belongs to [C], given pairs of cells that share a side."""
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(cell_count, cell_count))
    labels: IntArray = connected_components(graph, directed=False)[1]
    return labels
