"""What surface a face is: a plane, a cylinder, or neither.

Shape letters: F triangles, P sample points on the face.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TRIANGLE_EDGES, Vector

# Barycentric coordinates of the mid-edge points of a triangle; they integrate quadratics exactly with weights 1/3
# (Strang and Fix 1973), hence the area vectors of six-node triangles too.
EDGE_MIDPOINTS: FloatArray = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])

_PLANE_TOLERANCE = 1e-4
_PART_TOLERANCE = 1e-6
_MOST_FIT_POINTS = 2000
_FEWEST_FIT_POINTS = 6
# Share of its length by which an edge must bend to be curved; single precision reaches 1e-5 on small features.
_BULGE = 1e-4
# Share of the radius by which points may stand off a cylinder.
_SCATTER = 0.01
# Largest root mean square of the sine between normals and the plane across the axis.
_LEAN = 0.12


@dataclass(frozen=True)
class PlaneFit:
    """A plane with its unit normal, outward."""

    normal: Vector


@dataclass(frozen=True)
class CylinderFit:
    """A cylinder: unit axis with its first non-zero component positive, a point on it, and the radius."""

    axis: Vector
    centre: Vector
    radius: float


SurfaceFit = PlaneFit | CylinderFit


def area_vectors(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Normal times twice the area at the mid-edge points of six-node triangles [F, 3, 3], m^2.

    Half their mean is the area vector of the triangle, curved sides included.
    """
    nodes = points[triangles]
    l0, l1, l2 = EDGE_MIDPOINTS.T
    zero = np.zeros(3)
    # d N / d l_1 and d N / d l_2 at fixed sum of the barycentric coordinates
    along1 = np.stack([1 - 4 * l0, 4 * l1 - 1, zero, 4 * (l0 - l1), 4 * l2, -4 * l2], axis=1)
    along2 = np.stack([1 - 4 * l0, zero, 4 * l2 - 1, -4 * l1, 4 * l1, 4 * (l0 - l2)], axis=1)
    return np.cross(np.einsum("pn,fnx->fpx", along1, nodes), np.einsum("pn,fnx->fpx", along2, nodes))


def fit_surface(points: FloatArray, triangles: IntArray, part_size: float) -> SurfaceFit | None:
    """Fit a plane, else a cylinder, to six-node triangles.

    Corner points lie on the part, mid-edge points too unless the edges are straight: those are left out.

    Args:
        points: [N, 3], m.
        triangles: of one face [F, 6].
        part_size: largest extent of the part, m; the tolerance's share that covers single-precision files.
    """
    ends = points[triangles[:, np.array(TRIANGLE_EDGES)]]
    middles = points[triangles[:, 3:]]
    bulge = np.linalg.norm(middles - ends.mean(axis=2), axis=2)
    curved = bulge > _BULGE * np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=2)
    chosen = points[np.unique(np.concatenate([triangles[:, :3].ravel(), triangles[:, 3:][curved]]))]
    normals = area_vectors(points, triangles).reshape(-1, 3) / 6
    return _fit(chosen, normals, middles.reshape(-1, 3), part_size)


def _fit(points: FloatArray, normals: FloatArray, at: FloatArray, part_size: float) -> SurfaceFit | None:
    """Fit to points, with outward area vectors that stand elsewhere on the face."""
    weights = np.linalg.norm(normals, axis=1)
    total = weights.sum()
    if total <= 0 or len(points) < 3:
        return None
    mean_normal = normals.sum(axis=0) / total
    centre = points.mean(axis=0)
    offsets = points - centre
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    tolerance = _PLANE_TOLERANCE * extent + _PART_TOLERANCE * part_size
    if np.linalg.norm(mean_normal) > 0.95:
        normal = np.linalg.svd(offsets[_spread(len(points))], full_matrices=False)[2][2]
        normal = normal if normal @ mean_normal > 0 else -normal
        if np.abs(offsets @ normal).max() <= tolerance:
            return PlaneFit(_vector(normal))
    if len(points) < _FEWEST_FIT_POINTS:
        return None
    return _fit_cylinder(points, normals / np.maximum(weights, 1e-300)[:, None], at, weights / total, part_size)


def _fit_cylinder(
    points: FloatArray, unit_normals: FloatArray, at: FloatArray, weights: FloatArray, part_size: float
) -> CylinderFit | None:
    """Axis from the normals, then a least-squares fit of all five parameters, then the tests that it is a cylinder."""
    spread, directions = np.linalg.eigh((unit_normals * weights[:, None]).T @ unit_normals)
    if spread[0] > _LEAN**2 or spread[1] < 1e-5:
        return None
    fit = _refine(points[_spread(len(points))], directions[:, 0])
    if fit is None:
        return None
    axis, centre, radius = fit
    # Triangles between points of a cylinder lean a little along its axis, those of a cone a lot.
    if (weights @ (unit_normals @ axis) ** 2) ** 0.5 > _LEAN:
        return None
    distance, radial = _cylinder_coordinates(points, axis, centre)[1:]
    if np.abs(distance - radius).max() > _SCATTER * radius + _PART_TOLERANCE * part_size:
        return None
    if abs(weights @ np.einsum("px,px->p", unit_normals, _cylinder_coordinates(at, axis, centre)[2])) < 0.9:
        return None
    # A shallow arc is a cylinder only if it bulges much more than its points scatter.
    towards = radial.mean(axis=0)
    depth = float(np.ptp(radial @ towards)) * radius if np.linalg.norm(towards) > 0.5 else radius
    if np.std(distance) > 0.1 * depth:
        return None
    x, y, z = centre.tolist()
    return CylinderFit(positive_direction(axis), (x, y, z), radius)


def _refine(points: FloatArray, axis: FloatArray) -> tuple[FloatArray, FloatArray, float] | None:
    """Gauss-Newton on the distances to the surface: axis, a point on it, radius.  None where it runs away."""
    start = axis
    centre, radius = _fit_circle(points, axis)
    scale = float(np.linalg.norm(np.ptp(points, axis=0)))
    for _ in range(6):
        if not np.isfinite(radius) or radius > 50 * scale:
            return None
        along, distance, radial = _cylinder_coordinates(points, axis, centre)
        e1, e2 = _normal_pair(axis)
        c1, c2 = radial @ e1, radial @ e2
        jacobian = np.stack([-c1, -c2, -along * c1 / scale, -along * c2 / scale, -np.ones(len(points))], axis=1)
        step = np.linalg.lstsq(jacobian, radius - distance, rcond=1e-9)[0]
        centre = centre + step[0] * e1 + step[1] * e2
        axis = axis + (step[2] * e1 + step[3] * e2) / scale
        axis = axis / np.linalg.norm(axis)
        radius += float(step[4])
    if abs(axis @ start) < np.cos(np.radians(10.0)) or radius <= 0:
        return None
    return axis, centre, radius


def _fit_circle(points: FloatArray, axis: FloatArray) -> tuple[FloatArray, float]:
    """Centre and radius of the points seen along an axis (algebraic fit, Kasa 1976)."""
    e1, e2 = _normal_pair(axis)
    mean = points.mean(axis=0)
    x, y = (points - mean) @ e1, (points - mean) @ e2
    matrix = np.stack([2 * x, 2 * y, np.ones(len(x))], axis=1)
    a, b, c = np.linalg.lstsq(matrix, x**2 + y**2, rcond=None)[0]
    return mean + a * e1 + b * e2, float(np.sqrt(max(c + a**2 + b**2, 0.0)))


def _cylinder_coordinates(
    points: FloatArray, axis: FloatArray, centre: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Position along the axis [P], distance from it [P] and radial unit vectors [P, 3]."""
    offsets = points - centre
    along = offsets @ axis
    radial = offsets - along[:, None] * axis
    distance = np.linalg.norm(radial, axis=1)
    return along, distance, radial / np.maximum(distance, 1e-300)[:, None]


def _normal_pair(axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors that span the plane normal to an axis."""
    helper = np.zeros(3)
    helper[np.argmin(np.abs(axis))] = 1.0
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def _spread(count: int) -> IntArray:
    """At most `_MOST_FIT_POINTS` evenly spread indices."""
    return np.linspace(0, count - 1, min(count, _MOST_FIT_POINTS)).astype(np.int32)


def positive_direction(axis: FloatArray) -> Vector:
    """The sense of a line whose first non-zero component is positive."""
    first = axis[np.abs(axis) > 1e-6][0]
    return _vector(axis if first > 0 else -axis)


def _vector(values: FloatArray) -> Vector:
    """A unit vector with rounding noise set to zero."""
    x, y, z = np.where(np.abs(values) < 1e-9, 0.0, values).tolist()
    return x, y, z
