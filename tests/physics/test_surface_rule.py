"""Laws of the surface rule: exact integrals on six-node triangles, and forces spread to an exact total."""

import numpy as np
import pytest

from surrogate.physics.surface_rule import (
    consistent_forces,
    point_normals,
    resultant,
    spread_wrench,
    surface_points,
    weighted_middle,
)
from tests.physics.meshes import block, full_tube

TUBE = full_tube(1, 9, 2, 1.0, 2.0, 1.0)


def test_areas_and_middle_of_a_box_are_its_own() -> None:
    mesh = block((2, 1, 1), (2.0, 1.0, 3.0))
    surface = surface_points(mesh.points, mesh.triangles)
    assert surface.areas.sum() == pytest.approx(22.0, rel=1e-13)
    np.testing.assert_allclose(weighted_middle(surface.places, surface.areas), [1.0, 0.5, 1.5], rtol=1e-13)


def test_the_normals_enclose_the_volume() -> None:
    # Divergence theorem: the integral of x . n is three times the volume; both rules are exact on a straight box.
    mesh = block((1, 2, 1), (2.0, 1.0, 3.0))
    surface = surface_points(mesh.points, mesh.triangles)
    assert (surface.places * surface.normals).sum() == pytest.approx(3 * 6.0, rel=1e-13)


def test_nodal_forces_keep_total_and_moment_of_any_forces_at_the_points() -> None:
    # Exact by isoparametry, on curved triangles too.
    surface = surface_points(TUBE.points, TUBE.triangles)
    forces = np.random.default_rng(0).normal(size=surface.places.shape)
    nodal = consistent_forces(TUBE, surface, forces)
    about = np.array([0.3, -0.2, 5.0])
    for one, other in zip(resultant(TUBE.points, nodal, about), resultant(surface.places, forces, about), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11 * np.abs(forces).sum())


@pytest.mark.parametrize("shape", [(1.0, 1.0, 1.0), (1e3, 1.0, 1e-2)])
def test_a_wrench_is_spread_exactly_over_places_of_any_shape(shape: tuple[float, float, float]) -> None:
    # A thousand times as long as wide and thin: round-off, not the condition of the system, is left.
    random = np.random.default_rng(1)
    places, weights = random.normal(size=(40, 3)) * shape, random.uniform(0, 1, 40)
    force, moment = random.normal(size=3), random.normal(size=3)
    found = resultant(places, spread_wrench(places, weights, force, moment), weighted_middle(places, weights))
    np.testing.assert_allclose(found[0], force, atol=1e-10)
    np.testing.assert_allclose(found[1], moment, atol=1e-10)


def test_a_wrench_is_spread_with_the_least_sum_of_squares() -> None:
    # Any change without a resultant is orthogonal to the least one: it cannot make it smaller.
    random = np.random.default_rng(2)
    places, weights = random.normal(size=(30, 3)), random.uniform(0.1, 1, 30)
    least = spread_wrench(places, weights, random.normal(size=3), random.normal(size=3))
    change = random.normal(size=(30, 3))
    force, moment = resultant(places, change, weighted_middle(places, weights))
    change -= spread_wrench(places, weights, force, moment)
    assert abs((least * change / weights[:, None]).sum()) < 1e-11


def test_point_normals_of_a_curved_face_are_close_to_the_true_ones() -> None:
    # Thirty degrees a cell: the normals of the triangles alone are off by up to 15 degrees, 0.26.
    mesh = full_tube(1, 12, 2, 1.0, 2.0, 1.0)
    bore = mesh.face_triangles(tuple(face.id for face in mesh.faces if face.hole))
    held = np.unique(bore)
    radial = mesh.points[held] * [-1, -1, 0]
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    assert np.abs(point_normals(mesh.points, bore)[held] - radial).max() < 0.01
