"""Ten-node meshes made with numpy, for laws that need a known shape, and the problems that the laws are asked on.

Every cell of a structured block is split into six tetrahedra around its diagonal (Kuhn), so that neighbours fit.
"""

import subprocess
import sys
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.saved_mesh import load_saved_mesh
from surrogate.geometry.selectors import PlaneSelector, Selector
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh, Vector
from surrogate.physics.hardening import LinearHardening
from surrogate.physics.materials import Material
from surrogate.physics.problem import Support

Mapping = Callable[[FloatArray], FloatArray]

STEEL = Material("steel", 200e9, 0.3, 7800.0, 250e6, 400e6, LinearHardening(2e9))
PERFECT = Material("steel without hardening", 200e9, 0.3, 7800.0, 250e6, 400e6, LinearHardening(0.0))

LEFT, RIGHT = PlaneSelector((-1, 0, 0), "min"), PlaneSelector((1, 0, 0), "max")
FRONT, BACK = PlaneSelector((0, -1, 0), "min"), PlaneSelector((0, 1, 0), "max")
BOTTOM, TOP = PlaneSelector((0, 0, -1), "min"), PlaneSelector((0, 0, 1), "max")


def symmetry_planes(*faces: Selector) -> tuple[Support, ...]:
    """Frictionless supports, one a face; the three lower faces of a block where none is named."""
    return tuple(Support(face, ("normal",)) for face in faces or (LEFT, FRONT, BOTTOM))


def kuhn_block(divisions: tuple[int, int, int]) -> tuple[FloatArray, IntArray]:
    """Corner points [N, 3] of the unit cube and its tetrahedra [C, 4]."""
    nx, ny, nz = divisions
    axes = [np.linspace(0, 1, n + 1) for n in divisions]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    stride = np.array([(ny + 1) * (nz + 1), nz + 1, 1])
    origins = (np.stack(np.meshgrid(*(np.arange(n) for n in (nx, ny, nz)), indexing="ij"), axis=-1) @ stride).ravel()
    paths = [np.cumsum([0, *(stride[axis] for axis in order)]) for order in permutations(range(3))]
    return points, np.concatenate([origins[:, None] + path for path in paths])


def quadratic(corners: FloatArray, cells: IntArray, mapping: Mapping = lambda x: x, period: float = np.inf) -> TetMesh:
    """Add the mid-edge points, then map all points: edges follow the mapping.

    Args:
        corners: [N, 3].
        cells: [C, 4].
        mapping: of all points.
        period: points this far apart along y are one point, so that a block can be bent to a ring.
    """
    pairs = np.stack([cells[:, edge] for edge in TET_EDGES], axis=1)  # [C, 6, 2]
    points = np.concatenate([corners[cells], corners[pairs].mean(axis=2)], axis=1).reshape(-1, 3)
    keys = points.copy()
    keys[:, 1] = np.where(keys[:, 1] > period * (1 - 1e-9), 0.0, keys[:, 1])
    _, first, number = np.unique(np.round(keys * 1e9).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    return build_tet_mesh(mapping(points[first]), number.reshape(-1, 10))


def block(divisions: tuple[int, int, int], size: Vector = (1.0, 1.0, 1.0), mapping: Mapping = lambda x: x) -> TetMesh:
    """A box from the origin, mapped."""
    corners, cells = kuhn_block(divisions)
    return quadratic(corners, cells, lambda x: mapping(x * np.array(size)))


def distorted_block(divisions: tuple[int, int, int], size: Vector = (1.0, 1.0, 1.0), seed: int = 0) -> TetMesh:
    """A box whose inner corner points are moved at random and whose points and cells are numbered at random."""
    random = np.random.default_rng(seed)
    corners, cells = kuhn_block(divisions)
    inner = ((corners > 1e-9) & (corners < 1 - 1e-9)).all(axis=1)
    corners[inner] += random.uniform(-0.22, 0.22, (int(inner.sum()), 3)) / np.array(divisions)
    order = random.permutation(len(corners))
    place = np.argsort(order)
    return quadratic(corners[order], place[random.permutation(cells)], lambda x: x * np.array(size))


def rotation(axis: Vector, angle: float) -> FloatArray:
    """Rotation matrix [3, 3] about an axis by an angle, rad (Rodrigues)."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def quarter_plate(
    radial: int, around: int, through: int, radius: float, half_width: float, thickness: float
) -> TetMesh:
    """Quarter of a square plate with a hole around the z axis; cells grow from the hole outwards."""

    def mapping(x: FloatArray) -> FloatArray:
        angle = x[:, 1] * np.pi / 2
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        outer = half_width * direction / direction.max(axis=1, keepdims=True)
        share = np.expm1(3.5 * x[:, :1]) / np.expm1(3.5)
        plane = (1 - share) * radius * direction + share * outer
        return np.concatenate([plane, thickness * x[:, 2:]], axis=1)

    return block((radial, around, through), mapping=mapping)


def _bend(inner: float, outer: float, length: float, turn: float) -> Mapping:
    def mapping(x: FloatArray) -> FloatArray:
        radius, angle = inner + (outer - inner) * x[:, 0], x[:, 1] * turn
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), length * x[:, 2]], axis=1)

    return mapping


def quarter_tube(radial: int, around: int, through: int, inner: float, outer: float, length: float) -> TetMesh:
    """Quarter of a tube around the z axis."""
    return block((radial, around, through), mapping=_bend(inner, outer, length, np.pi / 2))


def full_tube(radial: int, around: int, through: int, inner: float, outer: float, length: float) -> TetMesh:
    """A whole tube around the z axis."""
    corners, cells = kuhn_block((radial, around, through))
    return quadratic(corners, cells, _bend(inner, outer, length, 2 * np.pi), period=1.0)


def gmsh_block() -> TetMesh:
    """An unstructured mesh of a block of 1 x 0.8 x 0.6 m, finer at one corner."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "block.npz"
        subprocess.run([sys.executable, Path(__file__).with_name("gmsh_block.py"), path], check=True, timeout=120)
        return load_saved_mesh(path)
