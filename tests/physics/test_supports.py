"""Laws of the supports: what is held does not move, what is not held is free, and a part that can float is refused."""

import re

import numpy as np
import pytest

from surrogate.errors import ProblemError, RigidBodyError
from surrogate.geometry.selectors import CylinderSelector, FaceIdSelector, NotSelector, Selector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import Direction, Support
from surrogate.physics.supports import constrained_directions, freedom_basis
from tests.physics.meshes import (
    BOTTOM,
    FRONT,
    LEFT,
    RIGHT,
    TOP,
    block,
    distorted_block,
    full_tube,
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
