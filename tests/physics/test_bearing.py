"""Laws of the bearing load: cosine pressure of the closed-form peak, exact totals, equal shares, readable refusals."""

import numpy as np
import pytest

from surrogate.errors import ProblemError
from surrogate.fields import FloatArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.selectors import CylinderSelector, FaceIdSelector, select_faces
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.bearing import bearing_forces, bearing_holes
from surrogate.physics.problem import BearingForce
from surrogate.physics.surface_rule import consistent_forces, surface_points
from tests.physics.meshes import block, full_tube, quarter_tube, rotation

BORE = CylinderSelector(1.0, hole=True)
TUBE = full_tube(1, 12, 2, 1.0, 2.0, 3.0)


def rebuilt(mesh: TetMesh, turn: FloatArray, shift: FloatArray) -> TetMesh:
    """The mesh turned, then shifted, its faces fitted anew."""
    return build_tet_mesh(mesh.points @ turn.T + shift, mesh.cells)


def bored_twice(shift: FloatArray) -> TetMesh:
    """Two tubes as one mesh, the second one shifted: two holes without the plate between them."""
    points = np.concatenate([TUBE.points, TUBE.points + shift])
    cells, triangles = (np.concatenate([old, old + len(TUBE.points)]) for old in (TUBE.cells, TUBE.triangles))
    labels = np.concatenate([TUBE.triangle_face, TUBE.triangle_face + len(TUBE.faces)])
    second = [
        Face(f.id + len(TUBE.faces), f.name, f.kind, f.area, f.centroid, f.normal, f.axis, f.radius, f.hole)
        for f in TUBE.faces
    ]
    return TetMesh(points, cells, triangles, labels, (*TUBE.faces, *second))


def split_bore() -> TetMesh:
    """The tube with its bore in two halves, as STEP files have it."""
    (bore,) = select_faces(TUBE, BORE)
    middles = TUBE.points[TUBE.triangles[:, :3]].mean(axis=1)
    tags = TUBE.triangle_face + len(TUBE.faces) * ((TUBE.triangle_face == bore) & (middles[:, 1] > 0))
    return build_tet_mesh(TUBE.points, TUBE.cells, tagged_triangles=TUBE.triangles[:, :3], triangle_tags=tags)


def moment(mesh: TetMesh, nodal: FloatArray, about: FloatArray) -> FloatArray:
    return np.cross(mesh.points - about, nodal).sum(axis=0)


def nodal_traction(mesh: TetMesh, nodal: FloatArray) -> FloatArray:
    """Traction [N, 3] whose consistent nodal forces on the bore these are: its projection on the shape functions."""
    surface = surface_points(mesh.points, mesh.face_triangles(select_faces(mesh, BORE)))
    held = np.unique(surface.triangles)
    mass = np.empty((len(held), len(held)))
    for column, point in enumerate(held):
        unit = np.zeros((len(mesh.points), 3))
        unit[point] = 1.0
        shape = consistent_shape(surface.triangles, unit[:, 0])
        mass[:, column] = consistent_forces(mesh, surface, (surface.areas * shape)[..., None] * np.ones(3))[held, 0]
    traction = np.zeros_like(nodal)
    traction[held] = np.linalg.solve(mass, nodal[held])
    return traction


def consistent_shape(triangles: np.ndarray, values: FloatArray) -> FloatArray:
    """Values of points, interpolated to the quadrature points of triangles [F, 6]."""
    padded = np.repeat(values[:, None], 3, axis=1)
    return surface_points(padded, triangles).places[..., 0]


@pytest.mark.parametrize("around", [9, 12])
@pytest.mark.parametrize("seed", range(3))
def test_total_force_is_exact_and_acts_at_the_middle_of_the_axis(around: int, seed: int) -> None:
    # Coarse: up to forty degrees a cell. Any place and direction; round-off alone is left.
    random = np.random.default_rng(seed)
    turn, shift = rotation((random.normal(), random.normal(), 1.0), 2.0), random.normal(size=3)
    mesh = rebuilt(full_tube(1, around, 2, 1.0, 2.0, 3.0), turn, shift)
    angle = random.uniform(0, 2 * np.pi)
    force = turn @ (1e4 * np.array([np.cos(angle), np.sin(angle), 0.0]))
    nodal = bearing_forces(mesh, BearingForce(BORE, tuple(force.tolist())))
    np.testing.assert_allclose(nodal.sum(axis=0), force, atol=1e-10 * 1e4)
    middle = turn @ [0, 0, 1.5] + shift
    # The fitted axis passes the true middle within the error of its fit.
    assert np.abs(moment(mesh, nodal, middle)).max() < 1e-9 * 1e4 * 3.0


def test_it_presses_outwards_on_the_half_towards_the_force_and_nowhere_else() -> None:
    nodal = bearing_forces(TUBE, BearingForce(BORE, (1e3, 0.0, 0.0)))
    outward = (nodal_traction(TUBE, nodal) * TUBE.points * [1, 1, 0]).sum(axis=1)
    assert (nodal[TUBE.points[:, 0] < -0.6] == 0).all()
    on_bore = np.abs(np.linalg.norm(TUBE.points[:, :2], axis=1) - 1) < 1e-6
    assert outward[on_bore & (TUBE.points[:, 0] > 0.3)].min() > 0
    assert np.abs(nodal[:, 2]).max() < 1e-12 * 1e3  # frictionless: nothing along the axis


def test_the_pressure_is_a_cosine_of_peak_two_f_over_pi_r_t() -> None:
    mesh = full_tube(1, 24, 1, 1.0, 2.0, 3.0)
    traction = nodal_traction(mesh, bearing_forces(mesh, BearingForce(BORE, (1e4, 0.0, 0.0))))
    radius = np.linalg.norm(mesh.points[:, :2], axis=1)
    cosine = mesh.points[:, 0] / radius
    facing = (np.abs(radius - 1) < 1e-6) & (cosine > 0.3)
    pressure = (traction * mesh.points).sum(axis=1)[facing]
    # Quadratic elements of 15 degrees follow the cosine to 1e-4; the kink at 90 degrees rings a per cent or two away.
    np.testing.assert_allclose(pressure, 2 * 1e4 / (np.pi * 1.0 * 3.0) * cosine[facing], rtol=0.03)
    peak = (pressure / cosine[facing])[cosine[facing] > 0.99].mean()
    assert peak == pytest.approx(2 * 1e4 / (np.pi * 1.0 * 3.0), rel=5e-4)


def test_turning_part_and_force_turns_the_nodal_forces() -> None:
    turn = rotation((1, 2, -1), 0.8)
    mesh = rebuilt(TUBE, turn, np.zeros(3))
    force = np.array([300.0, -400.0, 0.0])
    plain = bearing_forces(TUBE, BearingForce(BORE, tuple(force.tolist())))
    turned = bearing_forces(mesh, BearingForce(BORE, tuple((turn @ force).tolist())))
    # The fitted axes agree to about 1e-9.
    np.testing.assert_allclose(turned, plain @ turn.T, atol=1e-7 * 500.0)


def test_every_hole_takes_an_equal_share_and_the_whole_acts_between_them() -> None:
    for shift in ([6.0, 0.0, 1.0], [0.0, 0.0, 5.0]):  # beside each other, and the two lugs of a fork on one axis
        mesh = bored_twice(np.array(shift))
        load = BearingForce(BORE, (600.0, 800.0, 0.0))
        assert len(bearing_holes(mesh, load)) == 2
        nodal = bearing_forces(mesh, load)
        first = nodal[: len(TUBE.points)]
        np.testing.assert_allclose(first.sum(axis=0), [300, 400, 0], atol=1e-7)
        np.testing.assert_allclose(nodal.sum(axis=0), [600, 800, 0], atol=1e-7)
        middle = np.array([0, 0, 1.5]) + np.array(shift) / 2
        np.testing.assert_allclose(moment(mesh, nodal, middle), 0.0, atol=1e-7)


def test_a_wall_that_the_file_splits_is_one_hole() -> None:
    mesh = split_bore()
    load = BearingForce(BORE, (300.0, 400.0, 0.0))
    (hole,) = bearing_holes(mesh, load)
    assert len(hole.face_ids) == 2
    whole = bearing_forces(TUBE, load)
    np.testing.assert_allclose(bearing_forces(mesh, load), whole, atol=1e-6 * 500)


def test_a_force_along_the_axis_is_refused_with_the_remedy() -> None:
    with pytest.raises(ProblemError, match=r"has 100 N along the axis \(0, 0, 1\) .*as force_n"):
        bearing_forces(TUBE, BearingForce(BORE, (1e3, 0.0, 100.0)))


def test_what_is_no_hole_is_refused_with_the_cylinders_of_the_part() -> None:
    with pytest.raises(ProblemError, match=r"is a boss; .*hole, radius 1e\+03 mm.*use force_n"):
        bearing_forces(TUBE, BearingForce(CylinderSelector(2.0), (1.0, 0.0, 0.0)))
    with pytest.raises(ProblemError, match=r"is no cylinder \(a plane\); this part has no cylinders"):
        bearing_forces(block((1, 1, 1)), BearingForce(FaceIdSelector((0,)), (1.0, 0.0, 0.0)))


@pytest.mark.parametrize("force", [(-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)])
def test_a_pin_needs_wall_to_press_on(force: tuple[float, float, float]) -> None:
    # A quarter bore: away from the force there is no wall, and towards one end of it only half of what a pin needs.
    with pytest.raises(ProblemError, match="not enough wall"):
        bearing_forces(quarter_tube(1, 4, 2, 1.0, 2.0, 3.0), BearingForce(BORE, force))


def test_no_force_is_no_load() -> None:
    assert not bearing_forces(TUBE, BearingForce(BORE, (0.0, 0.0, 0.0))).any()
