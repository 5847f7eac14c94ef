"""Supports as a basis of the free motions, and the check that none of them is a rigid one.

Every constrained direction at a point leaves a free subspace there; the columns of the basis are unit vectors of these
subspaces, so that u = basis @ q satisfies all supports for any q. Frictionless planes in any direction come for free.
"""

import numpy as np
import scipy.sparse as sp

from surrogate.errors import RigidBodyError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import Support
from surrogate.physics.surface_rule import point_normals

_AXES = {"x": 0, "y": 1, "z": 2}
_MOTIONS = (
    "translation x",
    "translation y",
    "translation z",
    "rotation about x",
    "rotation about y",
    "rotation about z",
)


def constrained_directions(mesh: TetMesh, supports: tuple[Support, ...]) -> tuple[IntArray, FloatArray]:
    """The points [R] and unit directions [R, 3] that the supports hold."""
    points, directions = [], []
    for support in supports:
        for face_id in select_faces(mesh, support.faces):
            held = np.unique(mesh.face_triangles((face_id,)))
            if support.fixed == ("normal",):
                points.append(held)
                directions.append(_face_normals(mesh, face_id, held))
                continue
            for axis in support.fixed:
                points.append(held)
                directions.append(np.tile(np.eye(3)[_AXES[axis]], (len(held), 1)))
    return np.concatenate(points).astype(np.int32), np.concatenate(directions)


def _face_normals(mesh: TetMesh, face_id: int, held: IntArray) -> FloatArray:
    """Unit normals of a face at points on it [R, 3].

    Those of the fitted surface where there is one, so that a part can spin freely in a frictionless bore however
    coarse its mesh is.
    """
    face = mesh.faces[face_id]
    if face.kind == "plane":
        return np.tile(np.asarray(face.normal), (len(held), 1))
    if face.kind == "cylinder":
        axis = np.asarray(face.axis)
        across = mesh.points[held] - np.outer(mesh.points[held] @ axis, axis)
        # Circle through the points seen along the axis (algebraic fit, Kasa 1976); along the axis the system is silent.
        offsets = across - across.mean(axis=0)
        system = np.column_stack([2 * offsets, np.ones(len(held))])
        centre = np.linalg.lstsq(system, (offsets**2).sum(axis=1), rcond=1e-9)[0][:3]
        radial = offsets - centre
        return np.asarray(radial / np.linalg.norm(radial, axis=1, keepdims=True))
    return point_normals(mesh.points, mesh.face_triangles((face_id,)))[held]


def freedom_basis(mesh: TetMesh, supports: tuple[Support, ...]) -> sp.csr_matrix:
    """Basis of the displacements that the supports allow [3N, n].

    Raises:
        RigidBodyError: the part can still move as a rigid body.
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
