"""Supports as a basis of the free motions, and the check that none of them is a rigid one.

Every constrained direction at a point leaves a free subspace there; the columns of the basis are unit vectors of these
subspaces, so that u = basis @ q satisfies all supports for any q. Frictionless planes in any direction come for free.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from surrogate.errors import ProblemError, RigidBodyError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.bearing import circle_centre
from surrogate.physics.problem import Support
from surrogate.physics.surface_rule import point_normals

_AXES = {"x": 0, "y": 1, "z": 2}
# Sine of the angle within which normals at a point are those of faces that join smoothly.
_SMOOTH = 0.17
_MOST_LISTED = 8
_MOTIONS = (
    "translation x",
    "translation y",
    "translation z",
    "rotation about x",
    "rotation about y",
    "rotation about z",
)


def held_points(mesh: TetMesh, support: Support) -> tuple[tuple[int, IntArray], ...]:
    """The faces of a support with their points that it holds [R]: all of them, or those on the edge with `meeting`.

    Raises:
        SelectorError: a selector finds no faces.
        ProblemError: `faces` and `meeting` overlap, or share no points.
    """
    faces = select_faces(mesh, support.faces)
    if support.meeting is None:
        return tuple((face, np.unique(mesh.face_triangles((face,)))) for face in faces)
    others = select_faces(mesh, support.meeting)
    both = sorted(set(faces) & set(others))
    if both:
        raise ProblemError(
            f"faces and meeting both match face {_listed(both)}, so that they do not meet at an edge there; "
            "select the faces on the one side by faces and those on the other side by meeting"
        )
    edge = np.intersect1d(mesh.face_triangles(faces), mesh.face_triangles(others))
    if not edge.size:
        touching = np.isin(mesh.triangles, mesh.face_triangles(faces)).any(axis=1)
        neighbours = sorted(set(mesh.triangle_face[touching].tolist()) - set(faces))
        raise ProblemError(
            f"face {_listed(faces)} and face {_listed(others)} of meeting share no edge, so that the support would "
            f"hold nothing; face {_listed(faces)} meets {_listed(neighbours)}: select among these, or leave meeting out"
        )
    shared = ((face, np.intersect1d(mesh.face_triangles((face,)), edge)) for face in faces)
    return tuple((face, points) for face, points in shared if points.size)


def constrained_directions(mesh: TetMesh, supports: tuple[Support, ...]) -> tuple[IntArray, FloatArray]:
    """The points [R] and unit directions [R, 3] that the supports hold.

    Raises:
        SelectorError: a selector finds no faces.
        ProblemError: a support would hold nothing.
    """
    points, directions = [], []
    smooth: list[tuple[int, IntArray]] = []
    for support in supports:
        held = held_points(mesh, support)
        if support.fixed == ("normal",):
            smooth += held
            continue
        for _, of_face in held:
            for axis in support.fixed:
                points.append(of_face)
                directions.append(np.tile(np.eye(3)[_AXES[axis]], (len(of_face), 1)))
    if smooth:
        normals = [_face_normals(mesh, face, of_face) for face, of_face in smooth]
        exact = [np.full(len(of_face), mesh.faces[face].kind == "plane") for face, of_face in smooth]
        points.append(np.concatenate([of_face for _, of_face in smooth]))
        directions.append(_agreed(points[-1], np.concatenate(normals), np.concatenate(exact)))
    all_points, all_directions = np.concatenate(points).astype(np.int32), np.concatenate(directions)
    # A point on a knife edge has no normal.
    pointing = np.linalg.norm(all_directions, axis=1) > 0.5
    return all_points[pointing], all_directions[pointing]


def _agreed(points: IntArray, normals: FloatArray, exact: NDArray[np.bool_]) -> FloatArray:
    """Normals of frictionless faces at points [R, 3], one and the same where faces join smoothly.

    Two normals of a rounding and its neighbour, or of the halves of a bore, that differ by the error of the mesh would
    hold the part along the faces too. Those of planes are exact: they lead, and are never changed.
    """
    agreed = normals.copy()
    shared = np.flatnonzero(np.bincount(points)[points] > 1)
    shared = shared[np.argsort(points[shared], kind="stable")]
    for group in np.split(shared, np.flatnonzero(np.diff(points[shared])) + 1):
        rest = sorted(group.tolist(), key=lambda i: not exact[i])
        while rest:
            lead, *others = rest
            sine = np.linalg.norm(np.cross(normals[others], normals[lead]), axis=-1)
            near = [i for i, off in zip(others, sine, strict=True) if off < _SMOOTH and not exact[i]]
            if near and not exact[lead]:
                total = normals[lead] + sum(np.sign(normals[i] @ normals[lead]) * normals[i] for i in near)
                agreed[lead] = total / np.linalg.norm(total)
            agreed[near] = agreed[lead]
            rest = [i for i in others if i not in near]
    return agreed


def _listed(face_ids: Sequence[int]) -> str:
    """Some face ids in words."""
    more = f" and {len(face_ids) - _MOST_LISTED} more" if len(face_ids) > _MOST_LISTED else ""
    return ", ".join(str(face) for face in face_ids[:_MOST_LISTED]) + more


def _face_normals(mesh: TetMesh, face_id: int, held: IntArray) -> FloatArray:
    """Unit normals of a face at points on it [R, 3], zero where it has none.

    Those of the fitted surface where there is one, so that a part can spin freely in a frictionless bore however
    coarse its mesh is.
    """
    face = mesh.faces[face_id]
    if face.kind == "plane":
        return np.tile(np.asarray(face.normal), (len(held), 1))
    of_face = np.unique(mesh.face_triangles((face_id,)))
    if face.kind == "cylinder":
        axis = np.asarray(face.axis)
        arms = mesh.points[held] - circle_centre(mesh.points[of_face], axis)
        radial = arms - np.outer(arms @ axis, axis)
        return np.asarray(radial / np.linalg.norm(radial, axis=1, keepdims=True))
    normals = point_normals(mesh.points, mesh.face_triangles((face_id,)))
    if not normals[of_face].any():
        raise ProblemError(f"face {face_id} has no normal to hold it along; fix it along x, y or z")
    return normals[held]


def freedom_basis(mesh: TetMesh, supports: tuple[Support, ...]) -> sp.csr_matrix:
    """Basis of the displacements that the supports allow [3N, n].

    Raises:
        RigidBodyError: the part can still move as a rigid body.
        InputError: a support holds nothing.
    """
    points, directions = constrained_directions(mesh, supports)
    _refuse_rigid_motion(mesh, points, directions)
    basis = np.tile(np.eye(3), (len(mesh.points), 1, 1))  # [N, 3, direction]
    keep = np.ones((len(mesh.points), 3), dtype=bool)
    moment = np.zeros((len(mesh.points), 3, 3))
    np.add.at(moment, points, directions[:, :, None] * directions[:, None, :])
    held = np.unique(points)
    axis_aligned = np.abs(moment[held] - moment[held] * np.eye(3)).max(axis=(1, 2)) < 1e-12
    aligned, tilted = held[axis_aligned], held[~axis_aligned]
    keep[aligned] = np.einsum("nii->ni", moment[aligned]) < 1e-9
    if tilted.size:
        # Eigenvectors of the sum of n n^T with zero eigenvalue span what the supports leave free.
        values, vectors = np.linalg.eigh(moment[tilted])
        basis[tilted] = vectors
        keep[tilted] = values < 1e-6
    rows = np.repeat(np.arange(3 * len(mesh.points)), 3)
    columns = (3 * np.arange(len(mesh.points))[:, None, None] + np.arange(3)).repeat(3, axis=1).ravel()
    full = sp.csr_matrix((basis.ravel(), (rows, columns)))
    full.eliminate_zeros()
    return sp.csr_matrix(full[:, np.flatnonzero(keep.ravel())])


def _refuse_rigid_motion(mesh: TetMesh, points: IntArray, directions: FloatArray) -> None:
    # Seen from the middle of what is held, a free rotation is a pure one: a hinge turns about its own line.
    centre = mesh.points[points].mean(axis=0)
    arm = (mesh.points[points] - centre) / max(mesh.size)
    held = np.concatenate([directions, np.cross(arm, directions)], axis=1)  # [R, 6]
    _, singular, motions = np.linalg.svd(held.T @ held)
    free = motions[singular < 1e-10 * max(singular[0], 1.0)]
    if len(free):
        named = sorted({_MOTIONS[i] for motion in free for i in np.flatnonzero(np.abs(motion) > 0.3)})
        raise RigidBodyError(f"the part can still move freely: {', '.join(named)}; fix more faces or more directions")
