"""Integrals over the surface of a mesh: quadrature points, normals, and forces spread to the points consistently.

The shape functions that spread forces also place the quadrature points, so that nodal forces have exactly the total
force and moment of the forces at the quadrature points. Shape letters: N points, F triangles, six points each.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES, TetMesh

# Six-point rule of degree four on the triangle (Dunavant 1985), barycentric coordinates and weights that sum to 1.
_A, _B = 0.445948490915965, 0.091576213509771
_TRIANGLE_POINTS = np.concatenate([a * np.ones((3, 3)) + (1 - 3 * a) * np.eye(3) for a in (_A, _B)])
_TRIANGLE_WEIGHTS = np.repeat([0.223381589678011, 0.109951743655322], 3)
_TRIANGLE_NODES = np.concatenate([np.eye(3), np.stack([(np.eye(3)[i] + np.eye(3)[j]) / 2 for i, j in TRIANGLE_EDGES])])
_EDGE_GRADIENT = np.array([[-1.0, -1], [1, 0], [0, 1]])


def _triangle_shape(barycentric: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values [P, 6] and local derivatives [P, 6, 2] of the six shape functions at points [P, 3]."""
    b = barycentric
    values = np.concatenate(
        [b * (2 * b - 1), np.stack([4 * b[:, i] * b[:, j] for i, j in TRIANGLE_EDGES], axis=1)], axis=1
    )
    corner = (4 * b - 1)[:, :, None] * _EDGE_GRADIENT
    edge = [4 * (b[:, i, None] * _EDGE_GRADIENT[j] + b[:, j, None] * _EDGE_GRADIENT[i]) for i, j in TRIANGLE_EDGES]
    return values, np.concatenate([corner, np.stack(edge, axis=1)], axis=1)


_SHAPE = _triangle_shape(_TRIANGLE_POINTS)[0]


def _normals_at(points: FloatArray, triangles: IntArray, barycentric: FloatArray) -> FloatArray:
    """Outward normals, as long as the area, at points [P, 3] of each triangle [F, P, 3], m^2."""
    _, derivatives = _triangle_shape(barycentric)
    tangents = np.einsum("gad,fai->fgdi", derivatives, points[triangles], optimize=True)
    return 0.5 * np.cross(tangents[:, :, 0], tangents[:, :, 1])


def point_normals(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Outward unit normal at every point of some triangles, zero elsewhere [N, 3].

    Each triangle's own normal at the point, averaged by area: second order in the size of curved triangles.
    """
    total = np.zeros_like(points)
    np.add.at(total, triangles, _normals_at(points, triangles, _TRIANGLE_NODES))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)


@dataclass(frozen=True)
class SurfacePoints:
    """The quadrature points of some boundary triangles.

    Attributes:
        triangles: [F, 6].
        places: where the points are [F, 6, 3], m.
        normals: outward normals times the area that a point stands for [F, 6, 3], m^2.
    """

    triangles: IntArray
    places: FloatArray
    normals: FloatArray

    @cached_property
    def areas(self) -> FloatArray:
        """The area that each point stands for [F, 6], m^2."""
        return np.asarray(np.linalg.norm(self.normals, axis=-1))


def surface_points(points: FloatArray, triangles: IntArray) -> SurfacePoints:
    """The quadrature points of triangles [F, 6] between points [N, 3]."""
    normals = _TRIANGLE_WEIGHTS[None, :, None] * _normals_at(points, triangles, _TRIANGLE_POINTS)
    return SurfacePoints(triangles, np.einsum("ga,fai->fgi", _SHAPE, points[triangles]), normals)


def consistent_forces(mesh: TetMesh, surface: SurfacePoints, forces: FloatArray) -> FloatArray:
    """Nodal forces [N, 3] that do the same work as forces [F, 6, 3] at the quadrature points, N."""
    nodal = np.zeros_like(mesh.points)
    np.add.at(nodal, surface.triangles, np.einsum("ga,fgi->fai", _SHAPE, forces))
    return nodal


def resultant(places: FloatArray, forces: FloatArray, about: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total force [3] and total moment about a point [3] of forces [..., 3] at places [..., 3]."""
    flat = forces.reshape(-1, 3)
    return flat.sum(axis=0), np.cross(places.reshape(-1, 3) - about, flat).sum(axis=0)


def spread_wrench(places: FloatArray, weights: FloatArray, force: FloatArray, moment: FloatArray) -> FloatArray:
    """Forces weights * (a + b x (x - c)) whose total force and whose moment about c are given.

    With c the weighted middle the conditions part: a is the mean traction and b solves a 3 x 3 system with the second
    moments of the surface. Of all forces with that total it is the one of least sum of squares over the weights, which
    is how the RBE3 element of NASTRAN spreads a load. What rounding leaves is spread once more.

    Args:
        places: [..., 3], m.
        weights: positive somewhere [...], m^2 or any other measure.
        force: [3], N.
        moment: about the weighted middle (see `weighted_middle`) [3], Nm.

    Returns:
        Forces at the places [..., 3], N.
    """
    middle = weighted_middle(places, weights)
    arms = (places - middle).reshape(-1, 3)
    flat = weights.reshape(-1)
    inertia = (flat * (arms**2).sum(axis=1)).sum() * np.eye(3) - (arms * flat[:, None]).T @ arms
    total = np.zeros_like(arms)
    for _ in range(3):
        left_force, left_moment = resultant(arms, total, np.zeros(3))
        spin = np.linalg.solve(inertia, moment - left_moment)
        total += flat[:, None] * ((force - left_force) / flat.sum() + np.cross(spin, arms))
    return np.asarray(total.reshape(places.shape))


def weighted_middle(places: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean [3] of places [..., 3]."""
    flat = weights.reshape(-1)
    return np.asarray(flat @ places.reshape(-1, 3) / flat.sum())
