"""Laws of the nodal forces: resultants and moments are those of the load, on curved faces and coarse meshes too.

The surface rule integrates the polynomials of six-node triangles exactly, so the bars are round-off.
"""

import numpy as np
import pytest

from surrogate.data.sampling import scaled_load
from surrogate.fields import FloatArray
from surrogate.geometry.selectors import CylinderSelector, FaceIdSelector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.loads import nodal_forces, nodal_load
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    LoadCase,
    Moment,
    Pressure,
    RemoteForce,
    Traction,
)
from surrogate.physics.surface_rule import consistent_forces, surface_points
from surrogate.physics.tet_element import gradients_and_volumes
from tests.physics.meshes import RIGHT, STEEL, TOP, block, distorted_block, full_tube, quarter_tube, rotation

TUBE = quarter_tube(2, 4, 2, 1.0, 2.0, 3.0)
ROUND = full_tube(1, 9, 1, 1.0, 2.0, 3.0)
OUTSIDE = CylinderSelector(2.0, hole=False)


def forces(load: Load, mesh: TetMesh) -> FloatArray:
    volumes = gradients_and_volumes(mesh.points, mesh.cells)[1]
    return nodal_load(load, mesh, STEEL.density_kg_m3, volumes)


def moment(mesh: TetMesh, nodal: FloatArray) -> FloatArray:
    return np.cross(mesh.points, nodal).sum(axis=0)


@pytest.mark.parametrize("mesh", [distorted_block((3, 3, 3)), TUBE, full_tube(1, 9, 2, 1.0, 2.0, 1.0)])
def test_pressure_all_around_has_no_resultant_and_no_moment(mesh: TetMesh) -> None:
    nodal = forces(Pressure(FaceIdSelector(tuple(range(len(mesh.faces)))), 3e6), mesh)
    scale = np.abs(nodal).sum()
    assert np.abs(nodal.sum(axis=0)).max() < 1e-12 * scale
    assert np.abs(moment(mesh, nodal)).max() < 1e-12 * scale * max(mesh.size)


def test_pressure_on_a_quarter_bore_pushes_with_pressure_times_projected_area() -> None:
    # Outwards into the material; the projected area of the bore is radius times length on either plane.
    nodal = forces(Pressure(CylinderSelector(1.0, hole=True), 2e6), TUBE)
    np.testing.assert_allclose(nodal.sum(axis=0), [6e6, 6e6, 0], rtol=1e-12, atol=1e-6)


def test_positive_pressure_pushes_into_the_part() -> None:
    nodal = forces(Pressure(TOP, 5e6), block((1, 1, 1), (2.0, 3.0, 1.0)))
    np.testing.assert_allclose(nodal.sum(axis=0), [0, 0, -30e6], atol=1e-6)


def test_traction_is_force_per_area() -> None:
    mesh = block((2, 2, 2), (2.0, 3.0, 1.0))
    nodal = forces(Traction(RIGHT, (1e6, -2e6, 3e6)), mesh)
    np.testing.assert_allclose(nodal.sum(axis=0), [3e6, -6e6, 9e6], rtol=1e-12)
    # It acts at the middle of the face.
    np.testing.assert_allclose(moment(mesh, nodal), np.cross([2, 1.5, 0.5], [3e6, -6e6, 9e6]), rtol=1e-12)


def test_a_force_on_a_curved_face_is_given_whole() -> None:
    nodal = forces(Force(CylinderSelector(2.0, hole=False), (1e3, 2e3, -3e3)), TUBE)
    np.testing.assert_allclose(nodal.sum(axis=0), [1e3, 2e3, -3e3], rtol=1e-12)


def test_a_force_on_two_faces_is_shared_by_area() -> None:
    mesh = block((2, 2, 2), (2.0, 1.0, 1.0))
    ids = [face.id for face in mesh.faces if face.normal and max(abs(face.normal[0]), abs(face.normal[2])) > 0.9]
    nodal = forces(Force(FaceIdSelector(tuple(ids)), (0, 60.0, 0)), mesh)
    # Areas 1, 1, 2, 2: the middle of all of them is the middle of the box.
    np.testing.assert_allclose(nodal.sum(axis=0), [0, 60, 0], atol=1e-10)
    np.testing.assert_allclose(moment(mesh, nodal), np.cross([1, 0.5, 0.5], [0, 60, 0]), atol=1e-10)


def test_acceleration_pulls_with_mass_times_acceleration_at_the_centre_of_mass() -> None:
    mesh = distorted_block((3, 3, 3), (1.0, 2.0, 0.5))
    acceleration = np.array([1.0, -2.0, 9.81])
    nodal = forces(Acceleration(tuple(acceleration.tolist())), mesh)
    weight = STEEL.density_kg_m3 * 1.0 * acceleration
    np.testing.assert_allclose(nodal.sum(axis=0), weight, rtol=1e-12)
    np.testing.assert_allclose(moment(mesh, nodal), np.cross([0.5, 1.0, 0.25], weight), rtol=1e-11)


def test_acceleration_of_a_curved_part_pulls_with_the_mass_of_its_own_volume() -> None:
    volumes = gradients_and_volumes(TUBE.points, TUBE.cells)[1]
    nodal = forces(Acceleration((0.0, 0.0, 2.0)), TUBE)
    assert nodal[:, 2].sum() == pytest.approx(2 * STEEL.density_kg_m3 * volumes.sum(), rel=1e-12)
    # Quadratic edges follow the circle to the fourth order in the angle of a cell.
    assert volumes.sum() == pytest.approx(np.pi / 4 * 3 * 3.0, rel=1e-3)


def test_loads_of_one_case_add_and_cases_stay_apart() -> None:
    mesh = block((1, 1, 1))
    pull, press = Traction(RIGHT, (1e6, 0.0, 0.0)), Pressure(TOP, 2e6)
    volumes = gradients_and_volumes(mesh.points, mesh.cells)[1]
    both, second = nodal_forces((LoadCase("both", (pull, press)), LoadCase("press", (press,))), mesh, 1.0, volumes)
    np.testing.assert_allclose(both - second, forces(pull, mesh), atol=1e-9)


def test_turning_the_part_turns_its_forces() -> None:
    turn = rotation((1, 2, -1), 0.8)
    mesh = distorted_block((2, 2, 2))
    turned = TetMesh(mesh.points @ turn.T, mesh.cells, mesh.triangles, mesh.triangle_face, mesh.faces)
    ids = FaceIdSelector((0,))
    plain = forces(Pressure(ids, 1e6), mesh)
    np.testing.assert_allclose(forces(Pressure(ids, 1e6), turned), plain @ turn.T, atol=1e-9 * np.abs(plain).max())


def loads(random: np.random.Generator) -> list[Load]:
    """Every kind of load with a total, on faces straight and curved, with random values."""
    vector = tuple((1e3 * random.normal(size=3)).tolist())
    return [
        Force(OUTSIDE, vector),
        RemoteForce(OUTSIDE, vector, tuple((10 * random.normal(size=3)).tolist())),
        RemoteForce(TOP, vector, tuple((10 * random.normal(size=3)).tolist())),
        Moment(OUTSIDE, vector),
        Moment(FaceIdSelector((0, 1, 2)), vector),
        BearingForce(CylinderSelector(1.0, hole=True), (vector[0], vector[1], 0.0)),
    ]


@pytest.mark.parametrize("around", [7, 12])
@pytest.mark.parametrize("seed", range(3))
def test_total_force_and_moment_are_those_asked_for_on_coarse_curved_meshes(around: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    mesh = full_tube(1, around, 2, 1.0, 2.0, 3.0)
    about = random.normal(size=3)
    for load in loads(random):
        force = np.array(getattr(load, "force_n", (0, 0, 0)))
        nodal = forces(load, mesh)
        np.testing.assert_allclose(nodal.sum(axis=0), force, atol=1e-10 * np.abs(nodal).sum(), err_msg=str(load))
        if isinstance(load, Force):
            continue  # acts at the middle of its area, which is not exactly that of the round face
        asked = np.array(getattr(load, "moment_nm", (0, 0, 0)))
        place = np.array(load.point_m) if isinstance(load, RemoteForce) else np.array([0, 0, 1.5])
        found = np.cross(mesh.points - about, nodal).sum(axis=0)
        scale = np.linalg.norm(asked) + np.linalg.norm(place - about) * np.linalg.norm(force)
        np.testing.assert_allclose(found, asked + np.cross(place - about, force), atol=1e-10 * scale)


def test_a_moment_has_no_total_force_and_the_same_moment_about_any_point() -> None:
    nodal = forces(Moment(RIGHT, (10.0, 20.0, -30.0)), distorted_block((2, 2, 2)))
    scale = np.abs(nodal).sum()
    assert np.abs(nodal.sum(axis=0)).max() < 1e-13 * scale
    points = distorted_block((2, 2, 2)).points
    for about in ([0, 0, 0], [50.0, -70.0, 20.0]):
        np.testing.assert_allclose(np.cross(points - about, nodal).sum(axis=0), [10, 20, -30], atol=1e-10)


def test_a_remote_force_at_the_middle_of_its_faces_is_a_force() -> None:
    mesh = distorted_block((2, 2, 2), (2.0, 3.0, 1.0))
    near = forces(RemoteForce(RIGHT, (1.0, 2.0, 3.0), (2.0, 1.5, 0.5)), mesh)
    np.testing.assert_allclose(near, forces(Force(RIGHT, (1.0, 2.0, 3.0)), mesh), atol=1e-13)


def test_a_bending_moment_on_a_flat_face_is_the_linear_stress_of_a_beam() -> None:
    # Navier: sigma = M z / I; the distribution is that one exactly, so a bar held like a beam bends like one.
    mesh = block((2, 3, 4), (2.0, 0.5, 1.0))
    inertia = 0.5 * 1.0**3 / 12
    nodal = forces(Moment(RIGHT, (0.0, 100.0, 0.0)), mesh)
    surface = surface_points(mesh.points, mesh.face_triangles(select_faces(mesh, RIGHT)))
    stress = 100.0 * (surface.places[..., 2] - 0.5) / inertia
    beam = consistent_forces(mesh, surface, (stress * surface.areas)[..., None] * np.array([1.0, 0, 0]))
    np.testing.assert_allclose(nodal, beam, atol=1e-11 * np.abs(beam).max())


def test_turning_part_and_loads_turns_the_nodal_forces() -> None:
    turn = rotation((1, 2, -1), 0.8)
    mesh = distorted_block((2, 2, 2))
    turned = TetMesh(mesh.points @ turn.T, mesh.cells, mesh.triangles, mesh.triangle_face, mesh.faces)
    ids, value, place = FaceIdSelector((0,)), (1.0, -2.0, 0.5), (3.0, 1.0, 2.0)
    turned_value, turned_place = (tuple((turn @ vector).tolist()) for vector in (value, place))
    pairs: list[tuple[Load, Load]] = [
        (Traction(ids, value), Traction(ids, turned_value)),
        (Force(ids, value), Force(ids, turned_value)),
        (RemoteForce(ids, value, place), RemoteForce(ids, turned_value, turned_place)),
        (Moment(ids, value), Moment(ids, turned_value)),
        (Acceleration(value), Acceleration(turned_value)),
    ]
    for plain_load, turned_load in pairs:
        plain = forces(plain_load, mesh)
        np.testing.assert_allclose(forces(turned_load, turned), plain @ turn.T, atol=1e-11 * np.abs(plain).max())


def test_loads_are_linear_in_their_value() -> None:
    # What histories scale is the nodal force: twice the load is twice the force, whatever the spread.
    for one, two in zip(loads(np.random.default_rng(3)), loads(np.random.default_rng(3)), strict=True):
        double = scaled_load(two, 2.0)
        np.testing.assert_allclose(forces(double, ROUND), 2 * forces(one, ROUND), rtol=1e-9, atol=1e-9)
