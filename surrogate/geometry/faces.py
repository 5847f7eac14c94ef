"""Cells become a `TetMesh`: its boundary, the faces of the part on it, and what surface each face is.

Shape letters: N points, C cells, F triangles.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import GeometryError, TooLargeError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_quality import check_conforming, orient_cells, solid_labels, straighten_inverted
from surrogate.geometry.mesh_arrays import MOST_POINTS
from surrogate.geometry.segmentation import segment_boundary
from surrogate.geometry.surface_fit import CylinderFit, PlaneFit, SurfaceFit, area_vectors, fit_surface
from surrogate.geometry.tet_mesh import TET_EDGES, TET_SIDES, Face, TetMesh


def _side_points() -> IntArray:
    """The six points of each side of a cell [4, 6]."""
    edge_of = {frozenset(edge): 4 + i for i, edge in enumerate(TET_EDGES)}
    sides = [[*side, *(edge_of[frozenset((side[i], side[(i + 1) % 3]))] for i in range(3))] for side in TET_SIDES]
    return np.array(sides, np.int32)


_SIDE_POINTS = _side_points()


def build_tet_mesh(
    points: FloatArray,
    cells: IntArray,
    *,
    tagged_triangles: IntArray | None = None,
    triangle_tags: IntArray | None = None,
    tag_names: Mapping[int, str] | None = None,
    tag_surfaces: Mapping[int, SurfaceFit] | None = None,
    split_tags: bool = False,
) -> TetMesh:
    """Check the cells, find the boundary and its faces.

    Points that no cell uses are dropped; cells whose corners run the wrong way round are flipped; curved edges that
    turn a cell inside out are straightened. Boundary triangles without a tag are segmented by feature angle.

    Args:
        points: [N, 3], m.
        cells: ten-node tetrahedra [C, 10], VTK order.
        tagged_triangles: corner points of triangles, some of which lie on the boundary [F', 3].
        triangle_tags: one tag a triangle [F'], not negative; each tag becomes a face.
        tag_names: names of tags.
        tag_surfaces: what surface a tag is where the geometry knows it exactly, m; others are fitted.
        split_tags: a tag is a set that may hold several faces, so segment it by feature angle too.

    Raises:
        TooLargeError: more than `MOST_POINTS` points.
        GeometryError: cells without volume, inside out, overlapping, not sharing their points, or in several pieces.
    """
    points, cells, kept = _used_points(np.asarray(points, np.float64), cells)
    cells = orient_cells(points, cells)
    check_conforming(cells, len(points))
    triangles, first, second = _boundary(cells, len(points))
    _check_one_solid(cells, first, second)
    points = straighten_inverted(points, cells)
    tags: IntArray = np.full(len(triangles), -1, np.int32)
    if tagged_triangles is not None and triangle_tags is not None and len(tagged_triangles):
        tags = _match_tags(triangles, kept[tagged_triangles], triangle_tags, len(points))
    labels = segment_boundary(points, triangles, tags, split_tags=split_tags)
    names = dict(tag_names or {})
    known = dict(tag_surfaces or {})
    of_face = [(names.get(tag), known.get(tag)) for tag in _tag_of_label(labels, tags)]
    faces = _fit_faces(points, triangles, labels, of_face)
    return TetMesh(points, cells, triangles, labels, faces)


def _used_points(points: FloatArray, cells: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Points that cells use, cells in their numbers, and the new number of every old point (-1 if dropped)."""
    if cells.ndim != 2 or cells.shape[1] != 10 or len(cells) == 0:
        raise GeometryError("the mesh has no volume cells; give a solid part or a volume mesh")
    if cells.min() < 0 or cells.max() >= len(points):
        raise GeometryError(f"cells name points outside 0..{len(points) - 1}; repair the file")
    used = np.zeros(len(points), bool)
    used[cells] = True
    if used.sum() > MOST_POINTS:
        raise TooLargeError(f"the mesh has {used.sum()} points, the limit is {MOST_POINTS}; use larger elements")
    if not np.isfinite(points[used]).all():
        raise GeometryError("the mesh has points with non-finite coordinates; repair the file")
    kept = np.where(used, np.cumsum(used) - 1, -1).astype(np.int32)
    return points[used], kept[cells], kept


def _triple_keys(triples: NDArray[np.integer], point_count: int) -> NDArray[np.int64]:
    """One number for each set of three points [F]; needs at most `MOST_POINTS` points to fit 63 bits."""
    ordered = np.sort(triples.astype(np.int64), axis=1)
    keys: NDArray[np.int64] = (ordered[:, 0] * point_count + ordered[:, 1]) * point_count + ordered[:, 2]
    return keys


def boundary_triangles(cells: IntArray, point_count: int) -> IntArray:
    """Six-node boundary triangles of ten-node cells, corners counter-clockwise seen from outside [F, 6].

    Raises:
        GeometryError: the cells overlap.
    """
    return _boundary(cells, point_count)[0]


def _boundary(cells: IntArray, point_count: int) -> tuple[IntArray, IntArray, IntArray]:
    """Six-node boundary triangles in the order of the cells [F, 6], and the pairs of cells that share a side."""
    sides = cells[:, _SIDE_POINTS].reshape(-1, 6)
    keys = _triple_keys(sides[:, :3], point_count)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    if counts.max() > 2:
        raise GeometryError(f"{(counts > 2).sum()} cell sides belong to more than two cells; the cells overlap")
    one, two = order[starts[counts == 2]], order[starts[counts == 2] + 1]
    folded = int((_is_even(sides[one, :3]) == _is_even(sides[two, :3])).sum())
    if folded:
        raise GeometryError(f"{folded} pairs of cells are folded over each other; mesh the part anew")
    return sides[np.sort(order[starts[counts == 1]])], (one // 4).astype(np.int32), (two // 4).astype(np.int32)


def _is_even(triples: IntArray) -> NDArray[np.bool_]:
    """Whether each triple is an even permutation of its sorted self."""
    start = triples.argmin(axis=1)
    rows = np.arange(len(triples))
    even: NDArray[np.bool_] = triples[rows, (start + 1) % 3] < triples[rows, (start + 2) % 3]
    return even


def _check_one_solid(cells: IntArray, first: IntArray, second: IntArray) -> None:
    """Refuse a part in several pieces."""
    sizes = np.bincount(solid_labels(len(cells), first, second))
    if len(sizes) > 1:
        listed = ", ".join(str(size) for size in sorted(sizes.tolist(), reverse=True)[:8])
        raise GeometryError(
            f"the part is {len(sizes)} solids that share no faces ({listed}{', …' if len(sizes) > 8 else ''} cells); "
            "give one solid a file, or fuse them (merge coincident points of touching meshes)"
        )


def _match_tags(triangles: IntArray, tagged: IntArray, tags: IntArray, point_count: int) -> IntArray:
    """Tag of each boundary triangle, -1 where none has its corners [F]."""
    known = (tagged >= 0).all(axis=1)
    keys = _triple_keys(tagged[known], point_count)
    result = np.full(len(triangles), -1, np.int32)
    if len(keys) == 0:
        return result
    order = np.argsort(keys, kind="stable")
    wanted = _triple_keys(triangles[:, :3], point_count)
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = keys[order][place] == wanted
    result[found] = np.asarray(tags)[known][order][place][found]
    return result


def _tag_of_label(labels: IntArray, tags: IntArray) -> list[int]:
    """The tag that the triangles of each face carry."""
    of_label = np.full(int(labels.max()) + 1, -1, np.int32)
    of_label[labels] = tags
    return [int(tag) for tag in of_label]


def _fit_faces(
    points: FloatArray, triangles: IntArray, labels: IntArray, known: list[tuple[str | None, SurfaceFit | None]]
) -> tuple[Face, ...]:
    """Measure and fit every face, given its name and surface where they are known."""
    vectors = area_vectors(points, triangles)
    part_size = float(np.ptp(points, axis=0).max())
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    faces: list[Face] = []
    for (name, surface), group in zip(known, groups, strict=True):
        normals = vectors[group].reshape(-1, 3) / 6
        middles = points[triangles[group, 3:]].reshape(-1, 3)
        if surface is None:
            surface = fit_surface(points, triangles[group], part_size)
        faces.append(_describe(len(faces), name, surface, middles, normals))
    return tuple(faces)


def _describe(
    index: int, name: str | None, surface: SurfaceFit | None, middles: FloatArray, normals: FloatArray
) -> Face:
    """One face, given its mid-edge points and the outward area vectors there."""
    areas = np.linalg.norm(normals, axis=1)
    area = float(areas.sum())
    x, y, z = (areas @ middles / max(area, 1e-300)).tolist()
    if isinstance(surface, PlaneFit):
        normal = surface.normal
        if np.array(normal) @ normals.sum(axis=0) < 0:
            normal = (-normal[0], -normal[1], -normal[2])
        return Face(index, name, "plane", area, (x, y, z), normal=normal)
    if isinstance(surface, CylinderFit):
        axis = np.array(surface.axis)
        offsets = middles - np.array(surface.centre)
        radial = offsets - np.outer(offsets @ axis, axis)
        hole = float((normals * radial).sum()) < 0
        return Face(index, name, "cylinder", area, (x, y, z), axis=surface.axis, radius=surface.radius, hole=hole)
    return Face(index, name, "other", area, (x, y, z))
