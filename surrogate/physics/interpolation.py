"""Reads fields of one mesh at the points of another: which cell holds each point, and the shape functions there.

Curved cells are inverted by Newton's method. A point outside the mesh, as on a fillet that the mesh cuts short, is read
from the nearest cell's own polynomials: held at the cell's surface instead, a field would lose its slope there.
Source: Zienkiewicz, Taylor, Zhu, The Finite Element Method, 7th ed., section 6.3 (mapped elements).
Shape letters: N points of the mesh, C its cells, P places, W candidate cells of a place.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh
from surrogate.physics.tet_element import local_gradients, shape_functions

# Places located together, to bound memory.
_TOGETHER = 50_000
# Cells tried for each place: the nearest few, then many for the places that none of those holds.
_FEW, _MANY = 6, 60
# A place counts as inside a cell up to this share of the cell's height.
_INSIDE = 1e-6
# How far out a cell's polynomials are followed, as a barycentric coordinate.
_FARTHEST_OUT = 0.5
_NEWTON_STEPS = 4


@dataclass(frozen=True, eq=False)
class Located:
    """Where places lie in a mesh.

    Attributes:
        cells: the cell that holds each place, or the nearest [P].
        barycentric: coordinates of the cell's parameter space [P, 4]; negative down to -0.5 outside the cell.
        outside: distance from the straight-sided cell, zero within, m [P].
    """

    cells: IntArray
    barycentric: FloatArray
    outside: FloatArray


@dataclass(frozen=True, eq=False)
class _StraightCells:
    """Corners of the cells as affine maps: barycentric 1..3 of x are slopes @ (x - origin)."""

    origin: FloatArray
    slopes: FloatArray
    heights: FloatArray
    tree: cKDTree


def locate(mesh: TetMesh, places: FloatArray) -> Located:
    """Find the cell and the local coordinates of places [P, 3], m; in memory for a bounded number at a time."""
    corners = mesh.points[mesh.cells[:, :4]]
    slopes = np.asarray(np.linalg.inv((corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1)), dtype=np.float64)
    every = np.concatenate([-slopes.sum(axis=1, keepdims=True), slopes], axis=1)
    straight = _StraightCells(corners[:, 0], slopes, 1 / np.linalg.norm(every, axis=2), cKDTree(corners.mean(axis=1)))
    parts = [_located(mesh, straight, places[i : i + _TOGETHER]) for i in range(0, len(places), _TOGETHER)]
    return Located(
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.barycentric for part in parts]),
        np.concatenate([part.outside for part in parts]),
    )


def interpolation(mesh: TetMesh, located: Located) -> sp.csr_matrix:
    """The matrix that takes values at the mesh's points to values at the places [P, N]."""
    values = shape_functions(located.barycentric)
    columns = mesh.cells[located.cells]
    pointer = np.arange(0, columns.size + 1, 10)
    return sp.csr_matrix((values.ravel(), columns.ravel(), pointer), shape=(len(values), len(mesh.points)))


def _located(mesh: TetMesh, straight: _StraightCells, places: FloatArray) -> Located:
    cells, signed = _best_cell(straight, places, _FEW)
    lost = np.flatnonzero(signed < -_INSIDE * straight.heights[cells].min(axis=1))
    if len(lost) and len(straight.origin) > _FEW:
        wider, distance = _best_cell(straight, places[lost], _MANY)
        better = distance > signed[lost]
        cells[lost[better]], signed[lost[better]] = wider[better], distance[better]
    barycentric = _in_curved_cells(mesh, cells, places, _barycentric(straight, cells, places))
    barycentric = np.maximum(barycentric, -_FARTHEST_OUT)
    barycentric /= barycentric.sum(axis=1, keepdims=True)
    return Located(cells.astype(np.int32), barycentric, np.maximum(-signed, 0.0))


def _best_cell(straight: _StraightCells, places: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Of the cells with the nearest centroids, the one that a place lies deepest in, or is least out of [P].

    Returns:
        The cells, and the distance to the side that is nearest or most overstepped, negative outside, m.
    """
    count = min(count, len(straight.origin))
    near = straight.tree.query(places, k=count)[1].reshape(len(places), count)
    signed = (_barycentric(straight, near, places[:, None]) * straight.heights[near]).min(axis=-1)
    best = signed.argmax(axis=1)
    rows = np.arange(len(places))
    return near[rows, best], signed[rows, best]


def _barycentric(straight: _StraightCells, cells: IntArray, places: FloatArray) -> FloatArray:
    """Coordinates in the straight-sided cells [..., 4]."""
    local = np.einsum("...ij,...j->...i", straight.slopes[cells], places - straight.origin[cells])
    return np.concatenate([1 - local.sum(axis=-1, keepdims=True), local], axis=-1)


def _in_curved_cells(mesh: TetMesh, cells: IntArray, places: FloatArray, start: FloatArray) -> FloatArray:
    """Coordinates by Newton's method where mid-edge points bend a cell; the straight ones where it fails."""
    points = mesh.points[mesh.cells[cells]]  # [P, 10, 3]
    straight = np.stack([(points[:, i] + points[:, j]) / 2 for i, j in TET_EDGES], axis=1)
    size = np.ptp(points[:, :4], axis=1).max(axis=1)
    bent = np.flatnonzero(np.abs(points[:, 4:] - straight).max(axis=(1, 2)) > 1e-9 * size)
    if not len(bent):
        return start
    corners, aim, found = points[bent], places[bent], start[bent].copy()
    for _ in range(_NEWTON_STEPS):
        miss = aim - np.einsum("pa,pai->pi", shape_functions(found), corners)
        jacobian = np.einsum("paj,pai->pij", local_gradients(found), corners)
        step = np.linalg.solve(jacobian + 1e-12 * size[bent, None, None] * np.eye(3), miss[..., None])[..., 0]
        found[:, 1:] += np.clip(step, -0.5, 0.5)
        found[:, 0] = 1 - found[:, 1:].sum(axis=1)
    miss = np.linalg.norm(aim - np.einsum("pa,pai->pi", shape_functions(found), corners), axis=1)
    good = (miss < 1e-6 * size[bent]) & (found.min(axis=1) > -2 * _FARTHEST_OUT)
    result = start.copy()
    result[bent[good]] = found[good]
    return result
