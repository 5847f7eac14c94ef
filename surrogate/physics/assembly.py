"""Sparse operators and nodal forces of a mesh.

Shape letters: N points, C cells, P = 4 C quadrature points, K load cases, n free unknowns.
"""

from functools import singledispatch

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES, TetMesh
from surrogate.physics.problem import Acceleration, Force, Load, LoadCase, Pressure, Traction
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions

# Six-point rule of degree four on the triangle (Dunavant 1985), barycentric coordinates and weights that sum to 1.
_A, _B = 0.445948490915965, 0.091576213509771
_TRIANGLE_POINTS = np.concatenate([a * np.ones((3, 3)) + (1 - 3 * a) * np.eye(3) for a in (_A, _B)])
_TRIANGLE_WEIGHTS = np.repeat([0.223381589678011, 0.109951743655322], 3)
_TRIANGLE_NODES = np.concatenate([np.eye(3), np.stack([(np.eye(3)[i] + np.eye(3)[j]) / 2 for i, j in TRIANGLE_EDGES])])
_EDGE_GRADIENT = np.array([[-1.0, -1], [1, 0], [0, 1]])


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


def _triangle_shape(barycentric: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values [P, 6] and local derivatives [P, 6, 2] of the six shape functions at points [P, 3]."""
    b = barycentric
    values = np.concatenate(
        [b * (2 * b - 1), np.stack([4 * b[:, i] * b[:, j] for i, j in TRIANGLE_EDGES], axis=1)], axis=1
    )
    corner = (4 * b - 1)[:, :, None] * _EDGE_GRADIENT
    edge = [4 * (b[:, i, None] * _EDGE_GRADIENT[j] + b[:, j, None] * _EDGE_GRADIENT[i]) for i, j in TRIANGLE_EDGES]
    return values, np.concatenate([corner, np.stack(edge, axis=1)], axis=1)


def _normals_at(points: FloatArray, triangles: IntArray, barycentric: FloatArray) -> FloatArray:
    """Outward normals, as long as the area, at points [P, 3] of each triangle [F, P, 3], m^2."""
    _, derivatives = _triangle_shape(barycentric)
    tangents = np.einsum("gad,fai->fgdi", derivatives, points[triangles], optimize=True)
    return 0.5 * np.cross(tangents[:, :, 0], tangents[:, :, 1])


def surface_normals(points: FloatArray, triangles: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shape values [6, 6] and outward normals times area weight [F, 6, 3] at the points of the surface rule, m^2."""
    values, _ = _triangle_shape(_TRIANGLE_POINTS)
    return values, _TRIANGLE_WEIGHTS[None, :, None] * _normals_at(points, triangles, _TRIANGLE_POINTS)


def point_normals(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Outward unit normal at every point of some triangles, zero elsewhere [N, 3].

    Each triangle's own normal at the point, averaged by area: second order in the size of curved triangles.
    """
    total = np.zeros_like(points)
    np.add.at(total, triangles, _normals_at(points, triangles, _TRIANGLE_NODES))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)


def _spread(mesh: TetMesh, triangles: IntArray, weighted: FloatArray) -> FloatArray:
    """Consistent nodal forces [N, 3] of forces [F, 6, 3] at the points of the surface rule, N."""
    values, _ = _triangle_shape(_TRIANGLE_POINTS)
    per_triangle = np.einsum("ga,fgi->fai", values, weighted)
    forces = np.zeros_like(mesh.points)
    np.add.at(forces, triangles, per_triangle)
    return forces


@singledispatch
def nodal_load(load: Load, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    """Consistent nodal forces of one load [N, 3], N.

    Args:
        load: the load.
        mesh: the part.
        density: kg/m^3.
        volumes: of the quadrature points [C, 4], m^3.
    """
    raise TypeError(f"no nodal forces for a load of type {type(load).__name__}")


@nodal_load.register
def _(load: Pressure, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    triangles = mesh.face_triangles(select_faces(mesh, load.faces))
    _, normals = surface_normals(mesh.points, triangles)
    return _spread(mesh, triangles, -load.pressure_pa * normals)


@nodal_load.register
def _(load: Traction, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    triangles = mesh.face_triangles(select_faces(mesh, load.faces))
    _, normals = surface_normals(mesh.points, triangles)
    areas = np.linalg.norm(normals, axis=-1)
    return _spread(mesh, triangles, areas[..., None] * np.asarray(load.traction_pa))


@nodal_load.register
def _(load: Force, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    triangles = mesh.face_triangles(select_faces(mesh, load.faces))
    _, normals = surface_normals(mesh.points, triangles)
    areas = np.linalg.norm(normals, axis=-1)
    return _spread(mesh, triangles, (areas / areas.sum())[..., None] * np.asarray(load.force_n))


@nodal_load.register
def _(load: Acceleration, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    shape = shape_functions(QUADRATURE_BARYCENTRIC)
    mass = np.einsum("cq,qa->ca", density * volumes, shape)
    lumped = np.bincount(mesh.cells.ravel(), mass.ravel(), minlength=len(mesh.points))
    return lumped[:, None] * np.asarray(load.acceleration_m_s2)


def nodal_forces(cases: tuple[LoadCase, ...], mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    """Nodal forces of each load case at factor 1 [K, N, 3], N."""
    return np.stack([sum(nodal_load(load, mesh, density, volumes) for load in case.loads) for case in cases])
