"""Volume cells of all kinds become conforming ten-node tetrahedra.

Shape letters: N points, C cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TET_EDGES

# Corners of the sides of each kind of cell, VTK order (which Abaqus, Nastran and gmsh share for corners).
CELL_SIDES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "tetrahedron": ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)),
    "pyramid": ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
    "wedge": ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (1, 4, 5, 2), (2, 5, 3, 0)),
    "hexahedron": ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
}
CORNERS: Mapping[str, int] = {"tetrahedron": 4, "pyramid": 5, "wedge": 6, "hexahedron": 8}


@dataclass(frozen=True)
class VolumeCells:
    """What a mesh file holds, before conversion.

    Attributes:
        points: [N, 3], in the unit of the file.
        blocks: (kind, point indices [C, n]) with kind a key of `CELL_SIDES`; only tetrahedra may have ten points.
        owners: for each block, a number of each cell that sets refer to [C].
        facets: triangles or quadrilaterals with one tag each: (corner indices [F, 3 or 4], tags [F]).
        facet_names: names of their tags; a tag without a name still separates faces.
        point_sets: named sets of points.
        cell_sets: named sets of cells, by owner.
    """

    points: FloatArray
    blocks: list[tuple[str, IntArray]]
    owners: list[IntArray] = field(default_factory=list)
    facets: list[tuple[IntArray, IntArray]] = field(default_factory=list)
    facet_names: Mapping[int, str] = field(default_factory=dict)
    point_sets: Mapping[str, IntArray] = field(default_factory=dict)
    cell_sets: Mapping[str, IntArray] = field(default_factory=dict)


def to_tet10(cells: VolumeCells) -> tuple[FloatArray, IntArray, IntArray]:
    """Points, ten-node tetrahedra [C', 10], and the owner of each tetrahedron [C'].

    Ten-node tetrahedra stay as they are when there is nothing else; otherwise all cells are reduced to their corners,
    hexahedra, wedges and pyramids are split, and straight mid-edge points added.

    Raises:
        GeometryError: no cells.
    """
    if not any(len(block) for _, block in cells.blocks):
        raise GeometryError("it holds no volume cells; give a solid mesh, or a closed surface as STL")
    owners = cells.owners or _numbered(cells.blocks)
    if all(kind == "tetrahedron" and block.shape[1] == 10 for kind, block in cells.blocks if len(block)):
        quadratic = np.concatenate([block for _, block in cells.blocks if len(block)])
        return cells.points, quadratic, np.concatenate([o for o in owners if len(o)])
    parts, whose = [], []
    for (kind, block), owner in zip(cells.blocks, owners, strict=True):
        if len(block):
            tets, count = split_cells(kind, block[:, : CORNERS[kind]])
            parts.append(tets)
            whose.append(np.repeat(owner, count))
    linear, owner_of = np.concatenate(parts), np.concatenate(whose)
    # Collapsed hexahedra and wedges, which some meshers write, give tetrahedra with a corner twice.
    ordered = np.sort(linear, axis=1)
    whole = (np.diff(ordered, axis=1) > 0).all(axis=1)
    points, quadratic = add_mid_points(cells.points, linear[whole])
    return points, quadratic, owner_of[whole]


def _numbered(blocks: list[tuple[str, IntArray]]) -> list[IntArray]:
    """Owners 0, 1, 2, … over the blocks."""
    ends = np.cumsum([len(block) for _, block in blocks])
    return [np.arange(end - len(block), end, dtype=np.int32) for end, (_, block) in zip(ends, blocks, strict=True)]


def split_cells(kind: str, cells: IntArray) -> tuple[IntArray, int]:
    """Tetrahedra of cells of one kind, those of a cell in a row [C * k, 4], and k.

    Each cell is a cone from its corner of smallest index over the sides that do not hold it, and each quadrilateral is
    cut by the diagonal through its corner of smallest index; so two cells cut the quadrilateral they share alike
    (Dompierre et al. 1999, How to subdivide pyramids, prisms and hexahedra into tetrahedra). A pyramid is a cone from
    its apex.
    """
    if kind == "tetrahedron":
        return cells, 1
    if kind == "pyramid":
        base = cells[:, CELL_SIDES["pyramid"][0]]
        apex = np.repeat(cells[:, 4:5], 2, axis=1)[..., None]
        return np.concatenate([_cut_quads(base), apex], axis=2).reshape(-1, 4), 2
    smallest = cells.argmin(axis=1)
    count = {"wedge": 3, "hexahedron": 6}[kind]
    result = np.empty((len(cells), count, 4), cells.dtype)
    for corner in range(cells.shape[1]):
        rows = np.flatnonzero(smallest == corner)
        if len(rows) == 0:
            continue
        chosen = cells[rows]
        opposite = [side for side in CELL_SIDES[kind] if corner not in side]
        triangles = np.concatenate(
            [_cut_quads(chosen[:, side]) if len(side) == 4 else chosen[:, None, side] for side in opposite], axis=1
        )
        result[rows, :, :3] = triangles
        result[rows, :, 3] = chosen[:, corner, None]
    return result.reshape(-1, 4), count


def _cut_quads(quads: IntArray) -> IntArray:
    """Two triangles of each quadrilateral, by the diagonal through its smallest corner [C, 2, 3]."""
    start = quads.argmin(axis=1)
    rows = np.arange(len(quads))[:, None]
    turned = quads[rows, (start[:, None] + np.arange(4)) % 4]
    return np.stack([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]], axis=1)


def add_mid_points(points: FloatArray, tets: IntArray) -> tuple[FloatArray, IntArray]:
    """Points with straight mid-edge points appended, and the ten-node tetrahedra."""
    edges = np.sort(tets[:, np.array(TET_EDGES)].reshape(-1, 2).astype(np.int64), axis=1)
    keys = edges[:, 0] * len(points) + edges[:, 1]
    unique, inverse = np.unique(keys, return_inverse=True)
    middles = 0.5 * (points[unique // len(points)] + points[unique % len(points)])
    numbers: NDArray[np.int64] = inverse.reshape(-1, 6) + len(points)
    return np.concatenate([points, middles]), np.concatenate([tets, numbers], axis=1).astype(np.int32)
