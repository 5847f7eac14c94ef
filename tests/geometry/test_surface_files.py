"""Triangle surfaces are put in order before they are filled."""

import numpy as np
import pytest

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.surface_faces import surface_faces
from surrogate.geometry.surface_files import close_surface
from surrogate.geometry.surface_fit import CylinderFit


def cube(size: float, at: float = 0.0) -> tuple[FloatArray, IntArray]:
    """A cube with its corner at (at, at, at), normals outside."""
    points = size * np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.float64) + at
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    triangles = [[q[0], q[i], q[i + 1]] for q in quads for i in (1, 2)]
    return points, np.array(triangles, np.int32)


def joined(*surfaces: tuple[FloatArray, IntArray]) -> tuple[FloatArray, IntArray]:
    shifts = np.cumsum([0, *(len(points) for points, _ in surfaces[:-1])])
    triangles = [corners + shift for (_, corners), shift in zip(surfaces, shifts, strict=True)]
    return np.concatenate([points for points, _ in surfaces]), np.concatenate(triangles).astype(np.int32)


def test_any_orientation_and_unmerged_points_give_the_same_solid() -> None:
    points, triangles = cube(2.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        flipped = np.where(rng.random(12)[:, None] < 0.5, triangles[:, ::-1], triangles)
        noise = rng.uniform(-1e-6, 1e-6, (36, 3))  # below the 1e-5 of the size within which points are one
        surface = close_surface(points[flipped.ravel()] + noise, np.arange(36, dtype=np.int32).reshape(-1, 3))
        assert len(surface.points) == 8 and len(surface.triangles) == 12
        assert surface.volume == pytest.approx(8.0, rel=1e-5) and surface.area == pytest.approx(24.0, rel=1e-5)


def test_a_shell_inside_is_a_cavity_whatever_its_orientation() -> None:
    inner_points, inner = cube(1.0, 0.5)
    for orientation in (inner, inner[:, ::-1]):
        surface = close_surface(*joined(cube(2.0), (inner_points, orientation)))
        assert surface.volume == pytest.approx(7.0, rel=1e-12)
        assert [int((surface.shells == shell).sum()) for shell in (0, 1)] == [12, 12]


def test_shells_beside_each_other_are_counted() -> None:
    with pytest.raises(GeometryError, match="3 separate closed surfaces"):
        close_surface(*joined(cube(1.0), cube(1.0, 2.0), cube(1.0, 4.0)))
    # a solid inside the cavity of another is a second solid
    with pytest.raises(GeometryError, match="2 separate closed surfaces"):
        close_surface(*joined(cube(3.0), cube(2.0, 0.5), cube(1.0, 1.0)))


def test_open_and_branched_surfaces_are_located() -> None:
    points, triangles = cube(1.0)
    with pytest.raises(GeometryError, match=r"not watertight: 3 open edges"):
        close_surface(points, triangles[1:])
    fin = np.array([[0, 1, 8]], np.int32)
    with pytest.raises(GeometryError, match="open edges"):
        close_surface(np.concatenate([points, [[0, -1, 0.5]]]), np.concatenate([triangles, fin]))
    touching = joined(cube(1.0), (cube(1.0)[0] + np.array([1.0, 1.0, 0.0]), triangles))
    with pytest.raises(GeometryError, match="1 edges of the surface belong to more than two"):
        close_surface(*touching)
    with pytest.raises(GeometryError, match="no area"):
        close_surface(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32))


@pytest.mark.parametrize("facets", [10, 12, 36])
def test_the_radius_of_a_faceted_cylinder_is_that_of_its_corners(facets: int) -> None:
    angles = 2 * np.pi * np.arange(facets) / facets
    ring = 3.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    tilt = np.array([[0.8, 0.0, -0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]])
    points = np.concatenate([np.insert(ring, 2, z, axis=1) for z in (0.0, 5.0)] + [[[0, 0, 0], [0, 0, 5.0]]]) @ tilt.T
    i, j = np.arange(facets), (np.arange(facets) + 1) % facets
    side = [np.stack([i, j, facets + j], axis=1), np.stack([i, facets + j, facets + i], axis=1)]
    caps = [np.stack([j, i, 0 * i + 2 * facets], 1), np.stack([facets + i, facets + j, 0 * i + 2 * facets + 1], 1)]
    surface = close_surface(points, np.concatenate(side + caps).astype(np.int32))
    (fit,) = [fit for fit in surface_faces(surface.points, surface.triangles).fits if isinstance(fit, CylinderFit)]
    assert fit.radius == pytest.approx(3.0, rel=1e-9) and fit.axis == pytest.approx((0.6, 0.0, -0.8))
