"""Laws of the supports: what is held does not move, what is not held is free, and a part that can float is refused."""

import re

import numpy as np
import pytest

from surrogate.errors import ProblemError, RigidBodyError
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.selectors import CylinderSelector, FaceIdSelector, NotSelector, PlaneSelector, Selector
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh
from surrogate.physics.problem import Direction, LoadCase, LoadHistory, Problem, Support, Traction
from surrogate.physics.solver import solve
from surrogate.physics.supports import constrained_directions, freedom_basis, held_points
from tests.physics.meshes import (
    BOTTOM,
    FRONT,
    LEFT,
    RIGHT,
    STEEL,
    TOP,
    block,
    distorted_block,
    full_tube,
    quadratic,
    rotation,
    symmetry_planes,
)

CUBE = block((2, 2, 2))
TUBE = full_tube(1, 12, 2, 1.0, 2.0, 3.0)


def turned(mesh: TetMesh, turn: np.ndarray) -> TetMesh:
    """The mesh turned, its planes too; cylinders are not."""
    faces = tuple(
        type(face)(face.id, face.name, face.kind, face.area, face.centroid, tuple((turn @ face.normal).tolist()))
        for face in mesh.faces
    )
    return TetMesh(mesh.points @ turn.T, mesh.cells, mesh.triangles, mesh.triangle_face, faces)


def bores(mesh: TetMesh) -> tuple[int, ...]:
    return tuple(face.id for face in mesh.faces if face.hole)


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_the_basis_is_orthonormal_and_meets_every_support(angle: float) -> None:
    mesh = turned(CUBE, rotation((1, 2, 3), angle))
    supports = (Support(FaceIdSelector((0,)), ("normal",)), Support(FaceIdSelector((1,))))
    basis = freedom_basis(mesh, supports)
    assert np.abs((basis.T @ basis).toarray() - np.eye(basis.shape[1])).max() < 1e-12
    points, directions = constrained_directions(mesh, supports)
    moved = basis.toarray().reshape(-1, 3, basis.shape[1])[points]
    assert np.abs(np.einsum("ri,rin->rn", directions, moved)).max() < 1e-12


def test_the_basis_leaves_out_just_the_held_directions() -> None:
    # 5 x 5 points on a face of 2 x 2 divisions; the edge shared by both faces is held in both normals.
    supports = (Support(LEFT, ("normal",)), Support(BOTTOM, ("normal",)), Support(FRONT, ("y",)))
    assert freedom_basis(CUBE, supports).shape == (3 * len(CUBE.points), 3 * len(CUBE.points) - 75)
    assert freedom_basis(CUBE, (Support(LEFT),)).shape[1] == 3 * (len(CUBE.points) - 25)


def test_the_same_face_held_twice_is_held_once() -> None:
    twice = (Support(LEFT), Support(LEFT, ("normal",)), Support(LEFT, ("x", "y")))
    assert freedom_basis(CUBE, twice).shape == freedom_basis(CUBE, (Support(LEFT),)).shape


@pytest.mark.parametrize(
    ("supports", "named"),
    [
        (symmetry_planes(BOTTOM), ["translation x", "translation y", "rotation about z"]),
        (symmetry_planes(BOTTOM, LEFT), ["translation y"]),
        ((Support(BOTTOM, ("x", "y")),), ["translation z", "rotation about x", "rotation about y"]),
        ((Support(BOTTOM, ("z",)), Support(TOP, ("z",))), ["translation x", "translation y", "rotation about z"]),
        (symmetry_planes(LEFT, RIGHT), ["translation y", "translation z", "rotation about x"]),
    ],
)
def test_a_part_that_can_float_is_refused_with_its_free_motions_named(
    supports: tuple[Support, ...], named: list[str]
) -> None:
    with pytest.raises(RigidBodyError) as refused:
        freedom_basis(CUBE, supports)
    motions = re.findall(r"translation [xyz]|rotation about [xyz]", str(refused.value))
    assert motions == sorted(named)
    assert "fix more" in str(refused.value)


def test_a_ring_on_a_frictionless_pin_can_spin() -> None:
    # The mesh of the bore is coarse; the normals of its fitted cylinder are not.
    supports = (Support(CylinderSelector(1.0, hole=True), ("normal",)), Support(BOTTOM, ("normal",)))
    with pytest.raises(RigidBodyError, match="freely: rotation about z;"):
        freedom_basis(TUBE, supports)
    with pytest.raises(RigidBodyError, match="freely: rotation about z, translation z;"):
        freedom_basis(TUBE, supports[:1])


@pytest.mark.parametrize(
    ("faces", "fixed"),
    [(LEFT, ("x", "y", "z")), (NotSelector(LEFT), ("normal",)), (FaceIdSelector((2,)), ("x", "y", "z"))],
)
def test_a_held_part_is_accepted(faces: Selector, fixed: tuple[Direction, ...]) -> None:
    freedom_basis(distorted_block((2, 2, 2)), (Support(faces, fixed),))


def test_a_thin_bar_held_at_its_end_is_held() -> None:
    # Its end face is 1/200 of its length: the lever arms against twisting are short, not missing.
    freedom_basis(block((20, 1, 1), (1.0, 0.005, 0.005)), (Support(LEFT),))


def test_normal_and_axes_do_not_mix_in_one_support() -> None:
    with pytest.raises(ProblemError, match="two supports"):
        Support(LEFT, ("normal", "x"))
    with pytest.raises(ProblemError, match="no direction"):
        Support(LEFT, ())


def test_an_edge_support_holds_only_the_points_that_both_faces_share() -> None:
    (held,) = held_points(CUBE, Support(LEFT, ("z",), meeting=BOTTOM))
    points = CUBE.points[held[1]]
    assert len(points) == 5  # two cells along the edge, with their mid-edge points
    assert (np.abs(points[:, [0, 2]]) < 1e-12).all()
    free = freedom_basis(CUBE, (*symmetry_planes(), Support(LEFT, ("z",), meeting=TOP))).shape[1]
    assert free == freedom_basis(CUBE, symmetry_planes()).shape[1] - 5


def test_a_part_on_an_edge_can_still_turn_about_it() -> None:
    with pytest.raises(RigidBodyError, match="freely: rotation about y;"):
        freedom_basis(CUBE, (Support(LEFT, meeting=BOTTOM),))
    knife_edges = (Support(LEFT, meeting=BOTTOM), Support(RIGHT, ("z",), meeting=BOTTOM))
    freedom_basis(CUBE, knife_edges)


def test_an_edge_support_of_normals_holds_those_of_its_faces() -> None:
    points, directions = constrained_directions(CUBE, (Support(LEFT, ("normal",), meeting=BOTTOM),))
    np.testing.assert_allclose(directions, np.tile([-1.0, 0, 0], (5, 1)), atol=1e-12)
    assert (np.abs(CUBE.points[points][:, [0, 2]]) < 1e-12).all()


def test_faces_that_do_not_meet_are_refused_with_those_that_do() -> None:
    (left,), (right,) = ([f.id for f in CUBE.faces if f.normal and f.normal[0] * sign > 0.9] for sign in (-1, 1))
    others = ", ".join(str(f.id) for f in CUBE.faces if f.id not in (left, right))
    with pytest.raises(ProblemError, match=rf"face {left} and face {right} .* share no edge.* meets {others}: select"):
        freedom_basis(CUBE, (Support(LEFT), Support(LEFT, meeting=RIGHT)))
    with pytest.raises(ProblemError, match=f"both match face {left}"):
        freedom_basis(CUBE, (Support(LEFT), Support(LEFT, meeting=NotSelector(RIGHT))))


def test_the_halves_of_a_bore_hold_no_more_than_the_whole() -> None:
    # Straight edges put the mid-edge points off the circle: the two parts fit slightly different centres, and at the
    # seams two normals that differ by the error of the mesh must not hold the part along the wall.
    tube = full_tube(1, 9, 2, 1.0, 2.0, 3.0)
    straight = tube.points.copy()
    for i, edge in enumerate(TET_EDGES):
        straight[tube.cells[:, 4 + i]] = straight[tube.cells[:, edge]].mean(axis=1)
    upper = straight[tube.triangles[:, :3]].mean(axis=1)[:, 1] > 0.1
    tags = tube.triangle_face + len(tube.faces) * (upper & np.isin(tube.triangle_face, bores(tube)))
    free = []
    for pieces, labels in ((1, tube.triangle_face), (2, tags)):
        mesh = build_tet_mesh(straight, tube.cells, tagged_triangles=tube.triangles[:, :3], triangle_tags=labels)
        assert len(bores(mesh)) == pieces
        free.append(freedom_basis(mesh, (Support(FaceIdSelector(bores(mesh)), ("normal",)), Support(BOTTOM))).shape[1])
    assert free[0] == free[1]


def test_planes_of_symmetry_that_nearly_agree_are_two() -> None:
    # A prism of three degrees: the points on its sharp edge are held across both planes, free only along the edge.
    triangle = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, np.tan(np.radians(3.0))]])
    corners = np.array([[*triangle[i % 3], i // 3] for i in range(6)])
    wedge = quadratic(corners, np.array([[0, 1, 2, 5], [0, 1, 5, 4], [0, 4, 5, 3]]))
    flanks = FaceIdSelector(tuple(f.id for f in wedge.faces if f.normal is not None and abs(f.normal[1]) > 0.9))
    on_edge = int((np.abs(wedge.points[:, :2]).max(axis=1) < 1e-12).sum())
    points, _ = constrained_directions(wedge, (Support(flanks, ("normal",)),))
    free = freedom_basis(wedge, (Support(flanks, ("normal",)), Support(BOTTOM, ("z",)), Support(RIGHT, ("x",)))).shape[
        1
    ]
    # Off the right and lower faces: two directions at points of one flank, one on the edge.
    lower, right = np.abs(wedge.points[:, 2]) < 1e-12, np.abs(wedge.points[:, 0] - 1) < 1e-12
    assert on_edge == 3
    held_twice = np.bincount(points, minlength=len(wedge.points))
    assert free == int((3 - held_twice - lower - right).sum())


def test_a_skewed_cube_answers_as_its_unrotated_twin() -> None:
    # Symmetry planes, an edge and a traction in any direction: the answer turns with the part, but for round-off.
    answers = []
    for angle in (0.0, 0.7):
        turn = rotation((1, -2, 0.5), angle)
        mesh = turned(CUBE, turn)
        left, front, bottom, right, top = (
            PlaneSelector(tuple((turn @ normal).tolist()))
            for normal in ([-1, 0, 0], [0, -1, 0], [0, 0, -1], [1, 0, 0], [0, 0, 1])
        )
        supports = (*symmetry_planes(left, front, bottom), Support(top, ("normal",), meeting=right))
        load = Traction(right, tuple((turn @ [1e6, 2e6, -3e6]).tolist()))
        once = (LoadHistory("once", np.ones((1, 1))),)
        fields = solve(Problem(mesh, STEEL, supports, (LoadCase("pull", (load,)),), once))
        answers.append(fields.histories[0].displacement[0] @ turn)
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-9 * np.abs(answers[0]).max())
