"""Cut the boundary of a mesh into the faces of the part.

Shape letters: F boundary triangles, E pairs of triangles that share an edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.surface_fit import area_vectors
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES

# A cylinder of 12 facets turns 30 degrees at each edge, a chamfer 45.
FEATURE_ANGLE_DEG = 40.0
# Facets that turn less are one flat piece; a flat piece this much wider than what it blends into is a face of its own.
_FLAT_ANGLE_DEG = 0.5
_WIDER = 3.0


@dataclass(frozen=True)
class EdgePairs:
    """Triangles that meet at an edge.

    Attributes:
        one: a triangle [E].
        two: the other [E].
        angle: between their normals at the middle of the edge, curved sides included [E], rad.
        length: of the edge [E], m.
    """

    one: IntArray
    two: IntArray
    angle: FloatArray
    length: FloatArray


def edge_pairs(points: FloatArray, triangles: IntArray) -> EdgePairs:
    """Pairs of triangles at each edge that exactly two share."""
    ends = np.sort(triangles[:, TRIANGLE_EDGES].reshape(-1, 2).astype(np.int64), axis=1)
    keys = ends[:, 0] * len(points) + ends[:, 1]
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    pair = starts[np.diff(starts, append=len(order)) == 2]
    one, two = order[pair], order[pair + 1]
    normals = area_vectors(points, triangles).reshape(-1, 3)
    sine = np.linalg.norm(np.cross(normals[one], normals[two]), axis=1)
    angle = np.arctan2(sine, np.einsum("ex,ex->e", normals[one], normals[two]))
    length = np.linalg.norm(points[ends[one, 0]] - points[ends[one, 1]], axis=1)
    return EdgePairs((one // 3).astype(np.int32), (two // 3).astype(np.int32), angle, length)


def segment_boundary(points: FloatArray, triangles: IntArray, tags: IntArray, *, split_tags: bool) -> IntArray:
    """Face of each boundary triangle, numbered in the order of their first triangles, tagged ones first by tag [F].

    Args:
        points: [N, 3], m.
        triangles: [F, 6].
        tags: [F], -1 for none.
        split_tags: cut tagged triangles by feature angle too; otherwise each tag is one face.
    """
    pairs = edge_pairs(points, triangles)
    smooth = (pairs.angle < np.radians(FEATURE_ANGLE_DEG)) & (tags[pairs.one] == tags[pairs.two])
    labels = connected(len(triangles), pairs.one[smooth], pairs.two[smooth])
    labels = _cut_out_planes(points, triangles, pairs, labels)
    if not split_tags:
        tagged = tags >= 0
        labels = np.where(tagged, tags, labels + int(tags.max()) + 1)
    return _number(labels, tags)


def _cut_out_planes(points: FloatArray, triangles: IntArray, pairs: EdgePairs, labels: IntArray) -> IntArray:
    """Separate planes from the fillets that run into them without an edge.

    The facets of a fillet are narrow flat pieces beside each other; a plane is a flat piece much wider than the pieces
    it borders on. Width is twice the area over the perimeter.
    """
    a, b, c = (points[triangles[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1) / 2
    one, two = normals[pairs.one], normals[pairs.two]
    turn = np.arctan2(np.linalg.norm(np.cross(one, two), axis=1), np.einsum("ex,ex->e", one, two))
    inside = labels[pairs.one] == labels[pairs.two]
    flat = inside & (turn < np.radians(_FLAT_ANGLE_DEG))
    pieces = connected(len(triangles), pairs.one[flat], pairs.two[flat])
    count = int(pieces.max()) + 1
    first, second = pieces[pairs.one], pieces[pairs.two]
    between = first != second
    perimeter = np.zeros(count)
    for side in (first, second):
        perimeter += np.bincount(side[between], pairs.length[between], count)
    width = 2 * np.bincount(pieces, areas, count) / np.maximum(perimeter, 1e-300)
    smooth = between & inside
    border, weighted = np.zeros(count), np.zeros(count)
    for side, other in ((first, second), (second, first)):
        border += np.bincount(side[smooth], pairs.length[smooth], count)
        weighted += np.bincount(side[smooth], pairs.length[smooth] * width[other[smooth]], count)
    plane = (border > 0) & (width > _WIDER * weighted / np.maximum(border, 1e-300))
    kept = inside & (flat | ~(plane[first] | plane[second]))
    return connected(len(triangles), pairs.one[kept], pairs.two[kept])


def connected(count: int, one: IntArray, two: IntArray) -> IntArray:
    """Component of each of `count` things, given pairs that belong together [count]."""
    graph = coo_matrix((np.ones(len(one), np.int8), (one, two)), shape=(count, count))
    labels: IntArray = connected_components(graph, directed=False)[1]
    return labels


def _number(labels: IntArray, tags: IntArray) -> IntArray:
    """Relabel 0, 1, 2, … by tag (untagged last), then by first triangle."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    tag: NDArray[np.int64] = tags[first].astype(np.int64)
    tag[tag < 0] = np.iinfo(np.int64).max
    rank = np.empty(len(first), np.int32)
    rank[np.lexsort((first, tag))] = np.arange(len(first), dtype=np.int32)
    return rank[inverse.reshape(-1)]
