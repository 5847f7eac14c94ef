"""A bolt or pin that presses on the wall of its hole: pressure p0 cos(theta) on the half of the wall towards the force.

theta is the angle from the force, seen along the axis: the bearing load that FEM programs usually offer, and that of a
frictionless pin of the hole's radius. On a hole of radius r and length t the force is the integral of
p0 cos^2(theta) r t over the half circle, so that p0 = 2 F / (pi r t).

Shape letters: N points, F triangles, R points of a hole.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.errors import ProblemError
from surrogate.fields import FloatArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.problem import BearingForce
from surrogate.physics.surface_rule import (
    SurfacePoints,
    consistent_forces,
    resultant,
    spread_wrench,
    surface_points,
    weighted_middle,
)

# Sine of the angle by which a force may leave the plane across the axis: fitted axes of coarse meshes are that exact.
_AXIAL_SHARE = 5e-3
# Shares of the part's size and of the radius, and sine of an angle, within which faces belong to one hole.
_SAME_LINE, _SAME_RADIUS, _SAME_DIRECTION = 1e-3, 0.02, 0.01
_MOST_LISTED = 8


@dataclass(frozen=True)
class Hole:
    """The wall of one hole; several faces where the wall is split.

    Attributes:
        face_ids: the faces of the wall.
        axis: unit direction [3].
        middle: middle of the axis within the wall [3], m.
        ends: lowest and highest position along the axis, m.
    """

    face_ids: tuple[int, ...]
    axis: FloatArray
    middle: FloatArray
    ends: tuple[float, float]


def circle_centre(points: FloatArray, axis: FloatArray) -> FloatArray:
    """Centre [3] of the circle that points [R, 3] make seen along an axis, at their mean height (Kasa 1976), m."""
    mean = points.mean(axis=0)
    offsets = points - mean
    across = offsets - np.outer(offsets @ axis, axis)
    # Along the axis the system is silent, and the solution of least length leaves it at the mean.
    system = np.column_stack([2 * across, np.ones(len(points))])
    shift = np.linalg.lstsq(system, (across**2).sum(axis=1), rcond=1e-9)[0][:3]
    return np.asarray(mean + shift)


def bearing_holes(mesh: TetMesh, load: BearingForce) -> tuple[Hole, ...]:
    """The holes that a bearing force acts on; the faces of a split wall are one hole.

    Raises:
        SelectorError: the selector finds no faces.
        ProblemError: a face is no hole, or the force has a component along an axis.
    """
    faces = [mesh.faces[i] for i in select_faces(mesh, load.faces)]
    wrong = [face for face in faces if face.kind != "cylinder" or not face.hole]
    if wrong:
        kind = "a boss" if wrong[0].kind == "cylinder" else f"no cylinder ({_kind_text(wrong[0])})"
        raise ProblemError(
            f"bearing_force_n acts on hole walls, but face {wrong[0].id} is {kind}; {_cylinders(mesh)}; select a hole, "
            "or use force_n"
        )
    holes = _grouped(mesh, [_hole(mesh, (face,)) for face in faces])
    force = np.asarray(load.force_n, dtype=np.float64)
    for hole in holes:
        axial = float(hole.axis @ force)
        if abs(axial) > _AXIAL_SHARE * np.linalg.norm(force):
            raise ProblemError(
                f"bearing_force_n has {axial:.4g} N along the axis ({_numbers(hole.axis)}) of the hole of face "
                f"{hole.face_ids[0]}; a pin only presses across it: give the component along the axis as force_n"
            )
    return holes


def bearing_forces(mesh: TetMesh, load: BearingForce) -> FloatArray:
    """Consistent nodal forces of a bearing force [N, 3], N; every hole takes an equal share of it.

    Raises:
        SelectorError: the selector finds no faces.
        ProblemError: a face is no hole, the force has a component along an axis, or there is no wall.
    """
    nodal = np.zeros_like(mesh.points)
    holes = bearing_holes(mesh, load)
    share = np.asarray(load.force_n, dtype=np.float64) / len(holes)
    if not share.any():
        return nodal
    for hole in holes:
        wall = surface_points(mesh.points, mesh.face_triangles(hole.face_ids))
        nodal += consistent_forces(mesh, wall, _wall_forces(wall, hole, share))
    return nodal


def _wall_forces(wall: SurfacePoints, hole: Hole, force: FloatArray) -> FloatArray:
    """Forces [F, 6, 3] at the quadrature points of a wall whose total is the force at the middle, N."""
    arms = wall.places - hole.middle
    radial = arms - (arms @ hole.axis)[..., None] * hole.axis
    radial /= np.linalg.norm(radial, axis=-1, keepdims=True)
    across = force - (force @ hole.axis) * hole.axis
    weights = wall.areas * np.maximum(radial @ across, 0.0) / np.linalg.norm(across)
    pressure = _pressure(arms, radial, weights, hole, across)
    if pressure is None or pressure[weights > 0].min() < 0:
        raise ProblemError(
            f"the hole of face {hole.face_ids[0]} has not enough wall towards the bearing force ({_numbers(force)}) N "
            "for a pin to press on; turn the force, select the whole wall of the hole, or use force_n"
        )
    pressed = (weights * pressure)[..., None] * radial
    # What no radial traction carries is the trace of the force along a fitted axis.
    left_force, left_moment = resultant(arms, pressed, np.zeros(3))
    left_force = force - left_force
    centre = weighted_middle(arms, weights)
    return pressed + spread_wrench(arms, weights, left_force, -left_moment - np.cross(centre, left_force))


def _pressure(
    arms: FloatArray, radial: FloatArray, weights: FloatArray, hole: Hole, force: FloatArray
) -> FloatArray | None:
    """Pressure over cos(theta) at the quadrature points [F, 6], Pa: p0 and its least correction. None: no wall.

    p0 gives the force its length. The correction makes the force exact in direction too and takes away the tilting
    moment about the middle: of all radial tractions it is the one of least weighted square, and it vanishes on a full
    wall but for the error of the mesh.
    """
    length = float(np.linalg.norm(force))
    pair = np.stack([force / length, np.cross(hole.axis, force / length)])
    height = max(hole.ends[1] - hole.ends[0], 1e-300)
    # What a unit of pressure at each point adds to the two forces across the axis and the two tilting moments.
    effects = np.concatenate([radial @ pair.T, np.cross(arms, radial) @ pair.T / height], axis=-1)  # [F, 6, 4]
    system = np.einsum("fg,fgi,fgj->ij", weights, effects, effects)
    if np.linalg.matrix_rank(system, tol=1e-9 * float(np.abs(system).max())) < 4:
        return None
    total = np.einsum("fg,fgi->i", weights, effects)
    level = length / total[0]
    missing = np.array([length, 0.0, 0.0, 0.0]) - level * total
    return np.asarray(level + effects @ np.linalg.solve(system, missing))


def _hole(mesh: TetMesh, faces: tuple[Face, ...]) -> Hole:
    """One hole of some faces; its axis is that of the largest."""
    axis = np.asarray(max(faces, key=lambda face: face.area).axis)
    ids = tuple(face.id for face in faces)
    points = mesh.points[np.unique(mesh.face_triangles(ids))]
    centre = circle_centre(points, axis)
    along = points @ axis
    low, high = float(along.min()), float(along.max())
    return Hole(ids, axis, centre + (0.5 * (low + high) - centre @ axis) * axis, (low, high))


def _grouped(mesh: TetMesh, pieces: list[Hole]) -> tuple[Hole, ...]:
    """Join the pieces that lie on one line, have one radius and touch or overlap along it."""
    groups: list[list[Hole]] = []
    for piece in pieces:
        joined = [group for group in groups if any(_belongs(mesh, piece, member) for member in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([piece, *(member for group in joined for member in group)])
    ids = [tuple(sorted(i for piece in group for i in piece.face_ids)) for group in groups]
    return tuple(_hole(mesh, tuple(mesh.faces[i] for i in group)) for group in sorted(ids))


def _belongs(mesh: TetMesh, one: Hole, two: Hole) -> bool:
    """Whether two pieces of wall are one hole."""
    slack = _SAME_LINE * max(mesh.size)
    offset = two.middle - one.middle
    first, second = mesh.faces[one.face_ids[0]].radius or 0.0, mesh.faces[two.face_ids[0]].radius or 0.0
    return bool(
        np.linalg.norm(np.cross(one.axis, two.axis)) < _SAME_DIRECTION
        and np.linalg.norm(offset - (offset @ one.axis) * one.axis) < slack + _SAME_RADIUS * first
        and abs(first - second) < _SAME_RADIUS * max(first, second)
        and max(one.ends[0], two.ends[0]) <= min(one.ends[1], two.ends[1]) + slack
    )


def _kind_text(face: Face) -> str:
    return "a plane" if face.kind == "plane" else "a free-form face"


def _cylinders(mesh: TetMesh) -> str:
    """The cylinders of the part, for messages."""
    found = [face for face in mesh.faces if face.kind == "cylinder" and face.radius is not None]
    texts = [
        f"face {face.id} ({'hole' if face.hole else 'boss'}, radius {1e3 * (face.radius or 0.0):.3g} mm)"
        for face in found[:_MOST_LISTED]
    ]
    if len(found) > _MOST_LISTED:
        texts.append(f"and {len(found) - _MOST_LISTED} more")
    return f"cylinders in this part: {', '.join(texts)}" if texts else "this part has no cylinders"


def _numbers(vector: FloatArray) -> str:
    return ", ".join(f"{value + 0.0:.4g}" for value in np.round(vector, 9))
