"""The surface of a part as a drawing process or a browser wants it: linear triangles, and the lines where faces meet.

Shape letters: P surface points, F linear triangles, L and M line segments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES, TetMesh

_SPLIT = ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5))


@dataclass(frozen=True)
class Surface:
    """Surface of a part.

    Attributes:
        point_ids: index into the mesh's points [P].
        points: [P, 3], m.
        triangles: [F, 3], four a six-node one: rows 4 i to 4 i + 3 are the boundary triangle i.
        edges: where faces meet [L, 2].
        element_edges: edges of the boundary triangles [M, 2].
    """

    point_ids: IntArray
    points: FloatArray
    triangles: IntArray
    edges: IntArray
    element_edges: IntArray

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """For the drawing process."""
        return {
            "points": self.points,
            "triangles": self.triangles,
            "edges": self.edges,
            "element_edges": self.element_edges,
        }


@dataclass(frozen=True)
class CornerSurface:
    """The same with one triangle a boundary triangle, from corner to corner: a quarter of the weight.

    Attributes:
        point_ids: index into the mesh's points [P], ascending.
        points: [P, 3], m.
        triangles: corners counter-clockwise seen from outside [F, 3].
        triangle_face: face id of each triangle [F].
        edges: where faces meet [L, 2].
    """

    point_ids: IntArray
    points: FloatArray
    triangles: IntArray
    triangle_face: IntArray
    edges: IntArray


def surface_of(mesh: TetMesh) -> Surface:
    """The surface of a mesh."""
    point_ids, local = np.unique(mesh.triangles, return_inverse=True)
    six = local.reshape(-1, 6).astype(np.int32)
    sides, between = _sides(six, mesh.triangle_face)
    return Surface(
        point_ids.astype(np.int32),
        mesh.points[point_ids],
        six[:, _SPLIT].reshape(-1, 3),
        _segments(sides[between]),
        _segments(sides),
    )


def corner_surface_of(mesh: TetMesh) -> CornerSurface:
    """The surface of a mesh without its mid-edge points."""
    point_ids, local = np.unique(mesh.triangles[:, :3], return_inverse=True)
    sides, between = _sides(mesh.triangles, mesh.triangle_face)
    return CornerSurface(
        point_ids.astype(np.int32),
        mesh.points[point_ids],
        local.reshape(-1, 3).astype(np.int32),
        mesh.triangle_face,
        np.searchsorted(point_ids, sides[between][:, [0, 2]]).astype(np.int32),
    )


def _sides(six: IntArray, triangle_face: IntArray) -> tuple[IntArray, BoolArray]:
    """Each side of the triangles once: corner, middle, corner [M, 3], and whether two faces meet there [M]."""
    sides = np.concatenate([six[:, [a, 3 + i, b]] for i, (a, b) in enumerate(TRIANGLE_EDGES)])
    faces = np.tile(triangle_face, 3)
    order = np.argsort(sides[:, 1], kind="stable")  # the two triangles of a side share its middle point
    middle, faces = sides[order, 1], faces[order]
    first = np.flatnonzero(np.r_[True, middle[1:] != middle[:-1]])
    last = np.r_[first[1:], len(middle)] - 1
    return sides[order][first], faces[first] != faces[last]


def _segments(sides: IntArray) -> IntArray:
    return np.concatenate([sides[:, :2], sides[:, 1:]])
