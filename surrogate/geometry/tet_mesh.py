"""The one mesh type: ten-node tetrahedra in metres with the faces of the part.

Shape letters: N points, C cells, F boundary triangles.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray

FaceKind = Literal["plane", "cylinder", "other"]
Vector = tuple[float, float, float]

# Corner pairs of mid-edge points 4..9 of a cell and 3..5 of a triangle: VTK, Abaqus and CalculiX order.
# gmsh swaps the last two of the tetrahedron.
TET_EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
TRIANGLE_EDGES = ((0, 1), (1, 2), (2, 0))
# The four sides of a cell, corners counter-clockwise seen from outside.
TET_SIDES = ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2))


@dataclass(frozen=True)
class Face:
    """One face of the part: a set of boundary triangles with what was fitted to it.

    Attributes:
        id: index into `TetMesh.faces`.
        name: name given by the file, or None.
        kind: the fitted surface.
        area: m^2.
        centroid: area-weighted, m.
        normal: outward unit normal of a plane, else None.
        axis: unit direction of a cylinder's axis (its first non-zero component positive), else None.
        radius: of a cylinder, m, else None.
        hole: whether a cylinder's material lies outside it, else None.
    """

    id: int
    name: str | None
    kind: FaceKind
    area: float
    centroid: Vector
    normal: Vector | None = None
    axis: Vector | None = None
    radius: float | None = None
    hole: bool | None = None


@dataclass(frozen=True)
class TetMesh:
    """A part as ten-node tetrahedra; immutable.

    Attributes:
        points: [N, 3], m.
        cells: point indices [C, 10], VTK order (see `TET_EDGES`).
        triangles: six-node boundary triangles, corners counter-clockwise seen from outside [F, 6].
        triangle_face: face id of each boundary triangle [F].
        faces: the faces, `faces[i].id == i`.

    Raises:
        GeometryError: an index out of range, a non-finite point, or no cell.
    """

    points: FloatArray
    cells: IntArray
    triangles: IntArray
    triangle_face: IntArray
    faces: tuple[Face, ...]

    def __post_init__(self) -> None:
        arrays = (
            ("points", self.points, np.float64),
            ("cells", self.cells, np.int32),
            ("triangles", self.triangles, np.int32),
            ("triangle_face", self.triangle_face, np.int32),
        )
        for name, array, dtype in arrays:
            held = np.ascontiguousarray(array, dtype=dtype)
            held.setflags(write=False)
            object.__setattr__(self, name, held)
        if len(self.cells) == 0:
            raise GeometryError("the mesh has no volume cells; give a solid part or a volume mesh")
        if not np.isfinite(self.points).all():
            raise GeometryError("the mesh has points with non-finite coordinates; repair the file")
        for name, indices in (("cells", self.cells), ("triangles", self.triangles)):
            if indices.size and (indices.min() < 0 or indices.max() >= len(self.points)):
                raise GeometryError(f"{name} name points outside 0..{len(self.points) - 1}; repair the file")

    @cached_property
    def size(self) -> Vector:
        """Extent of the bounding box (x, y, z), m."""
        x, y, z = np.ptp(self.points, axis=0).tolist()
        return x, y, z

    @cached_property
    def content_hash(self) -> str:
        """sha256 of points, cells and faces, in hexadecimal."""
        digest = hashlib.sha256()
        for array in (self.points, self.cells, self.triangles, self.triangle_face):
            digest.update(np.asarray(array.shape, np.int64).tobytes())
            digest.update(array.tobytes())
        digest.update("\0".join(face.name or "" for face in self.faces).encode())
        return digest.hexdigest()

    def face_triangles(self, face_ids: tuple[int, ...]) -> IntArray:
        """Boundary triangles of some faces [F', 6]."""
        return self.triangles[np.isin(self.triangle_face, face_ids)]
