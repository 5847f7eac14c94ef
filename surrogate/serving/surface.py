"""The surface of a part as a drawing process wants it: linear triangles, and the lines where faces meet.

Shape letters: P surface points, F linear triangles (four a six-node one), L and M line segments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES, TetMesh

_SPLIT = ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5))


@dataclass(frozen=True)
class Surface:
    """Surface of a part.

    Attributes:
        point_ids: index into the mesh's points [P].
        points: [P, 3], m.
        triangles: [F, 3], rows 4 i to 4 i + 3 are the boundary triangle i.
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


def surface_of(mesh: TetMesh) -> Surface:
    """The surface of a mesh."""
    point_ids, local = np.unique(mesh.triangles, return_inverse=True)
    six = local.reshape(-1, 6).astype(np.int32)
    sides = np.concatenate([six[:, [a, 3 + i, b]] for i, (a, b) in enumerate(TRIANGLE_EDGES)])  # corner, middle, corner
    faces = np.tile(mesh.triangle_face, 3)
    order = np.argsort(sides[:, 1], kind="stable")  # the two triangles of an edge share its middle point
    middle, faces = sides[order, 1], faces[order]
    first = np.flatnonzero(np.r_[True, middle[1:] != middle[:-1]])
    last = np.r_[first[1:], len(middle)] - 1
    between = faces[first] != faces[last]
    unique = sides[order][first]
    return Surface(
        point_ids.astype(np.int32),
        mesh.points[point_ids],
        six[:, _SPLIT].reshape(-1, 3),
        _segments(unique[between]),
        _segments(unique),
    )


def _segments(sides: IntArray) -> IntArray:
    return np.concatenate([sides[:, :2], sides[:, 1:]])
