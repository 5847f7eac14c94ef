"""Meshes of the benchmark parts, and one elastic load on a part.

Blocks of cells are mapped; the mid-edge points are mapped too, so that curved edges follow the true circle or ellipse.
"""

import numpy as np

from surrogate.fields import Fields, FloatArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.selectors import PlaneSelector, Selector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.hardening import LinearHardening
from surrogate.physics.materials import Material
from surrogate.physics.problem import Load, LoadCase, LoadHistory, Problem, Support
from surrogate.physics.solver import solve
from tests.physics.meshes import block

ELASTIC = Material("elastic", 200e9, 0.3, 7800.0, 1e15, 1e15, LinearHardening(0.0))
NAFEMS = Material("NAFEMS steel", 210e9, 0.3, 7800.0, 1e15, 1e15, LinearHardening(0.0))

# Half axes of the ellipses of LE1 and LE10, m.
INNER, OUTER = np.array([2.0, 1.0]), np.array([3.25, 2.75])
LE10_THICKNESS = 0.6
_LE10_FACES = ("top", "bottom", "x = 0", "y = 0", "inner", "outer above", "outer below")


def solve_once(mesh: TetMesh, supports: tuple[Support, ...], *loads: Load, material: Material = ELASTIC) -> Fields:
    """The answer to one load case at factor 1."""
    once = LoadHistory("once", np.ones((1, 1)))
    return solve(Problem(mesh, material, supports, (LoadCase("load", loads),), (once,)))


def wedge_of_tube(radial: int, around: int, inner: float, outer: float, angle: float, grading: float) -> TetMesh:
    """A wedge of a tube around the z axis, one cell through its length, from the plane y = 0 on.

    Args:
        radial: cells across the wall.
        around: cells around.
        inner: radius, m.
        outer: radius, m.
        angle: of the wedge, rad.
        grading: the cells at the bore are about exp(grading) times smaller than those outside.
    """

    def mapping(x: FloatArray) -> FloatArray:
        share = np.expm1(grading * x[:, 0]) / np.expm1(grading)
        radius, turn = inner + (outer - inner) * share, x[:, 1] * angle
        return np.stack([radius * np.cos(turn), radius * np.sin(turn), x[:, 2] * angle * inner / around], axis=1)

    return block((radial, around, 1), mapping=mapping)


def far_side(angle: float) -> Selector:
    """The plane of the wedge that is not y = 0."""
    return PlaneSelector((-float(np.sin(angle)), float(np.cos(angle)), 0.0), "max")


def elliptic_block(divisions: tuple[int, int, int], thickness: float, *, mirrored: bool = False) -> TetMesh:
    """Quarter between the ellipses of LE1 and LE10, cells smaller towards the inner one.

    Args:
        divisions: radial, around, through the thickness.
        thickness: m.
        mirrored: split the blocks into tetrahedra as seen in a mirror laid on z.
    """

    def mapping(x: FloatArray) -> FloatArray:
        x = np.concatenate([x[:, :2], 1 - x[:, 2:]], axis=1) if mirrored else x
        angle = x[:, 1] * np.pi / 2
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        share = x[:, :1] ** 1.3
        return np.concatenate([direction * ((1 - share) * INNER + share * OUTER), thickness * x[:, 2:]], axis=1)

    return block(divisions, mapping=mapping)


def le10_plate(divisions: tuple[int, int, int], *, mirrored: bool = False) -> TetMesh:
    """NAFEMS LE10; its outer face is cut in two, so that the support along its middle line has an edge to name.

    Args:
        divisions: radial, around, through the thickness; the last is even.
        mirrored: see `elliptic_block`.
    """
    plain = elliptic_block(divisions, LE10_THICKNESS, mirrored=mirrored)
    middle = plain.points[plain.triangles[:, :3]].mean(axis=1)
    x, y, z = middle.T
    on_plane = np.stack([z > LE10_THICKNESS - 1e-6, z < 1e-6, x < 1e-6, y < 1e-6], axis=1)
    closer_to_inner = np.hypot(*(middle[:, :2] / INNER).T) - 1 < 1 - np.hypot(*(middle[:, :2] / OUTER).T)
    curved = np.where(closer_to_inner, 4, np.where(z > LE10_THICKNESS / 2, 5, 6))
    tags = np.where(on_plane.any(axis=1), on_plane.argmax(axis=1), curved)
    return build_tet_mesh(
        plain.points,
        plain.cells,
        tagged_triangles=plain.triangles[:, :3],
        triangle_tags=tags,
        tag_names=dict(enumerate(_LE10_FACES)),
    )
