"""STL and OBJ files become a closed, consistently oriented triangle surface, or an error that says what is wrong.

Shape letters: N points, F triangles.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components
from scipy.spatial import cKDTree

from surrogate.errors import GeometryError, TooLargeError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.mesh_arrays import MOST_TRIANGLES

_MERGE_SHARE = 1e-5
_MOST_SHELLS = 50
# In any unit a part beyond this is damaged, and cubes of its lengths overflow.
_LARGEST_COORDINATE = 1e15


@dataclass(frozen=True)
class ClosedSurface:
    """A watertight surface, triangles counter-clockwise seen from outside.

    Attributes:
        points: [N, 3], in the unit of the file.
        triangles: [F, 3].
        volume: enclosed.
        area: of the surface.
        shells: closed shell of each triangle, 0 the outer one, others around cavities [F].
    """

    points: FloatArray
    triangles: IntArray
    volume: float
    area: float
    shells: IntArray


def read_surface(file: Path, kind: str) -> ClosedSurface:
    """Read and check a surface.

    Args:
        file: the file.
        kind: "stl" or "obj".

    Raises:
        TooLargeError: more triangles than are read.
        GeometryError: damaged, empty, open, branched, or of several solids.
    """
    points, triangles = _read_stl(file) if kind == "stl" else _read_obj(file)
    if len(triangles) == 0:
        raise GeometryError("it holds no triangles; export the part again")
    if not np.isfinite(points).all():
        raise GeometryError("it has points with non-finite coordinates; repair the file")
    if float(np.abs(points).max()) > _LARGEST_COORDINATE:
        raise GeometryError(f"its coordinates reach {np.abs(points).max():.3g}; repair the file")
    return close_surface(points, triangles)


def close_surface(points: FloatArray, triangles: IntArray) -> ClosedSurface:
    """Merge equal points, orient, and check that the surface bounds one solid.

    Raises:
        GeometryError: open, branched, without volume, or of several solids.
    """
    points, triangles = _merged(points, triangles, 0.0)
    if _edge_counts(triangles)[1].min(initial=2) < 2:
        size = float(np.ptp(points, axis=0).max())
        points, triangles = _merged(points, triangles, _MERGE_SHARE * size)
    if len(triangles) == 0:
        raise GeometryError("its triangles have no area; export the part again")
    edges, counts = _edge_counts(triangles)
    if (counts == 1).any():
        where = points[edges[counts == 1][0]].mean(axis=0)
        raise GeometryError(
            f"the surface is not watertight: {(counts == 1).sum()} open edges, the first near "
            f"({where[0]:.4g}, {where[1]:.4g}, {where[2]:.4g}) in the unit of the file; close it in CAD or a mesh tool"
        )
    if (counts > 2).any():
        where = points[edges[counts > 2][0]].mean(axis=0)
        raise GeometryError(
            f"{(counts > 2).sum()} edges of the surface belong to more than two triangles, the first near "
            f"({where[0]:.4g}, {where[1]:.4g}, {where[2]:.4g}); two solids touch there or the surface intersects itself"
        )
    triangles, shells = _oriented(triangles)
    triangles, solids = _outside_out(points, triangles, shells)
    volumes = _shell_volumes(points, triangles, shells)
    volume = float(volumes.sum())
    a, b, c = (points[triangles[:, i]] for i in range(3))
    vectors = np.cross(b - a, c - a)
    area = 0.5 * float(np.linalg.norm(vectors, axis=1).sum())
    if volume <= 1e-9 * area**1.5:
        raise GeometryError("the surface encloses no volume; export a solid part")
    if solids > 1:
        raise GeometryError(f"it holds {solids} separate closed surfaces; give one solid a file, or unite them in CAD")
    outer = int(volumes.argmax())
    shells = np.where(shells == outer, 0, shells + (shells < outer)).astype(np.int32)
    return ClosedSurface(points, np.ascontiguousarray(triangles, np.int32), volume, area, shells)


def _check_triangles(count: int) -> None:
    """Refuse more triangles than are read, before they are."""
    if count > MOST_TRIANGLES:
        raise TooLargeError(
            f"it has {count} triangles, the limit is {MOST_TRIANGLES}; export it with a coarser tolerance"
        )


def _read_stl(file: Path) -> tuple[FloatArray, IntArray]:
    """Corners of the triangles of a binary or text STL."""
    data = file.read_bytes()
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if count >= 0 and len(data) == 84 + 50 * count:
        _check_triangles(count)
        return _soup(_binary_corners(data, count))
    if data.lstrip()[:5].lower() == b"solid":
        facets = sum(1 for _ in re.finditer(rb"endfacet", data, re.IGNORECASE))
        _check_triangles(facets)
        numbers = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data, re.IGNORECASE)
        if len(numbers) != 3 * facets or (facets and not re.search(rb"endsolid", data, re.IGNORECASE)):
            raise GeometryError(
                f"it is cut off or damaged ({len(numbers)} vertices for {facets} facets); export it again"
            )
        try:
            return _soup(np.array(numbers, "S32").astype(np.float64))
        except ValueError as error:
            raise GeometryError(f"it has coordinates that are no numbers ({error}); export it again") from error
    if count >= 0 and len(data) > 84 + 50 * count and count > 0:
        _check_triangles(count)
        return _soup(_binary_corners(data, count))
    raise GeometryError(
        f"it is no STL, or cut off: it announces {max(count, 0)} triangles in {len(data)} bytes; export it again"
    )


def _binary_corners(data: bytes, count: int) -> FloatArray:
    """Corner points of binary STL records, skipping the stored normals [3 F, 3]."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    records = np.frombuffer(data, record, count, 84)
    return records["corners"].astype(np.float64).reshape(-1, 3)


def _soup(corners: FloatArray) -> tuple[FloatArray, IntArray]:
    return corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3)


def _read_obj(file: Path) -> tuple[FloatArray, IntArray]:
    """Points and triangles of an OBJ; polygons are cut into fans."""
    points: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    try:
        with file.open(errors="replace") as lines:
            for line in lines:
                if line.startswith("v "):
                    points.append([float(item) for item in line.split()[1:4]])
                elif line.startswith("f "):
                    polygon = [int(item.split("/", 1)[0]) for item in line.split()[1:]]
                    polygon = [index - 1 if index > 0 else len(points) + index for index in polygon]
                    _check_triangles(len(triangles) + len(polygon))
                    triangles += [(polygon[0], b, c) for b, c in pairwise(polygon[1:])]
    except ValueError as error:
        raise GeometryError(f"it is damaged ({error}); export it again") from error
    if not points or not triangles:
        raise GeometryError("it holds no faces; export the part again")
    if any(len(point) != 3 for point in points):
        raise GeometryError("it has points without three coordinates; export it again")
    table = np.array(points)
    try:
        indices = np.array(triangles, np.int64)
    except OverflowError as error:
        raise GeometryError("its faces name points of absurd numbers; export it again") from error
    if indices.min() < 0 or indices.max() >= len(table):
        raise GeometryError(f"its faces name points outside 1..{len(table)}; export it again")
    return table, indices.astype(np.int32)


def _merged(points: FloatArray, triangles: IntArray, distance: float) -> tuple[FloatArray, IntArray]:
    """Points closer than a distance made one; triangles that collapse, or occur twice, dropped."""
    if distance == 0:
        _, first, inverse = np.unique(points + 0.0, axis=0, return_index=True, return_inverse=True)
    else:
        pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
        graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
        labels = connected_components(graph, directed=False)[1]
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    points, triangles = points[first], inverse.reshape(-1)[triangles]
    ordered = np.sort(triangles, axis=1)
    whole = (np.diff(ordered, axis=1) > 0).all(axis=1)
    triangles, ordered = triangles[whole], ordered[whole]
    _, kept = np.unique(ordered, axis=0, return_index=True)
    return points, triangles[np.sort(kept)].astype(np.int32)


def _edge_counts(triangles: IntArray) -> tuple[IntArray, IntArray]:
    """The edges [E, 2] and how many triangles have each [E]."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    return unique, counts.astype(np.int32)


def _oriented(triangles: IntArray) -> tuple[IntArray, IntArray]:
    """Triangles turned so that neighbours run opposite ways along their edge, and the closed shell of each [F].

    Raises:
        GeometryError: that is impossible.
    """
    ends = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    _, inverse = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    one, two = order[0::2], order[1::2]
    agree = ends[one, 0] != ends[two, 0]
    graph = coo_matrix((np.ones(len(one), np.int8), (one // 3, two // 3)), shape=(len(triangles),) * 2).tocsr()
    shells = connected_components(graph, directed=False)[1]
    if agree.all():
        return triangles, shells
    relation = coo_matrix((np.where(agree, 1, 2), (one // 3, two // 3)), shape=(len(triangles),) * 2).tocsr()
    relation = (relation + relation.T).tocsr()
    flipped = np.zeros(len(triangles), bool)
    for shell in range(int(shells.max()) + 1):
        start = int(np.flatnonzero(shells == shell)[0])
        sequence, parents = breadth_first_order(relation, start, directed=False)
        for triangle in sequence[1:].tolist():
            # two triangles that share two edges store their sum; any odd entry is an agreement
            parent = int(parents[triangle])
            flipped[triangle] = flipped[parent] ^ (int(relation[parent, triangle]) == 2)
    turned = np.where(flipped[:, None], triangles[:, ::-1], triangles)
    ends = turned[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    if len(np.unique(ends, axis=0)) != len(ends):
        raise GeometryError("the surface has no inside and outside (it is one-sided); repair it in a mesh tool")
    return turned, shells


def _outside_out(points: FloatArray, triangles: IntArray, shells: IntArray) -> tuple[IntArray, int]:
    """Triangles turned so that normals leave the material, and the number of solids.

    A shell inside an odd number of others bounds a cavity.
    """
    volumes = _shell_volumes(points, triangles, shells)
    count = len(volumes)
    depth = np.zeros(count, np.int64)
    if 1 < count <= _MOST_SHELLS:
        for shell in range(count):
            at = points[triangles[np.argmax(shells == shell), 0]]
            angles = np.bincount(shells, _solid_angles(points - at, triangles), count)
            inside = np.abs(angles) > 2 * np.pi
            inside[shell] = False
            depth[shell] = int(inside.sum())
    wanted = np.where(depth % 2 == 0, 1.0, -1.0)
    turn = (np.sign(volumes) * wanted < 0)[shells]
    return np.where(turn[:, None], triangles[:, ::-1], triangles), int((depth % 2 == 0).sum())


def _solid_angles(points: FloatArray, triangles: IntArray) -> FloatArray:
    """Solid angle of each triangle seen from the origin (Van Oosterom and Strackee 1983, eq. 8) [F]."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    product: FloatArray = np.einsum("fx,fx->f", a, np.cross(b, c))
    ab, bc, ca = (np.einsum("fx,fx->f", u, v) for u, v in ((a, b), (b, c), (c, a)))
    return 2 * np.arctan2(product, la * lb * lc + ab * lc + bc * la + ca * lb)


def _shell_volumes(points: FloatArray, triangles: IntArray, shells: IntArray) -> FloatArray:
    """Signed volume that each shell encloses."""
    a, b, c = (points[triangles[:, i]] - points.mean(axis=0) for i in range(3))
    cones: FloatArray = np.einsum("fx,fx->f", np.cross(a, b), c) / 6
    return np.bincount(shells, cones).astype(np.float64)
