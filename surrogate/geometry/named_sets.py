"""Named sets of points, cells and facets become tags on the boundary triangles.

A boundary triangle may lie in several sets; each combination gets a tag of its own, named by all of them.
"""

import logging

import numpy as np
from numpy.typing import NDArray

from surrogate.fields import IntArray
from surrogate.geometry.cell_conversion import VolumeCells
from surrogate.geometry.tet_mesh import TET_SIDES

_log = logging.getLogger(__name__)

BoolArray = NDArray[np.bool_]


def tag_boundary(cells: VolumeCells, tets: IntArray, owners: IntArray) -> tuple[IntArray, IntArray, dict[int, str]]:
    """Corner points of the boundary triangles [F, 3], a tag for each (-1 for none) [F], and the names of the tags.

    Args:
        cells: what the file holds.
        tets: its ten-node tetrahedra [C, 10].
        owners: the file's cell of each tetrahedron [C].
    """
    triangles, of_tet = _boundary_triangles(tets)
    columns: list[BoolArray] = []
    names: list[str | None] = []
    for tag, mask in _facet_masks(cells, triangles):
        columns.append(mask)
        names.append(cells.facet_names.get(tag))
    for name, members in cells.point_sets.items():
        inside = np.zeros(len(cells.points) + 1, bool)
        inside[members] = True
        held: BoolArray = np.all(inside[np.minimum(triangles, len(cells.points))], axis=1)
        if not held.any():
            _log.info("point set %r holds no whole boundary triangle, so it names no face", name)
        columns.append(_proper(held))
        names.append(name)
    for name, members in cells.cell_sets.items():
        held = np.isin(owners[of_tet], members)
        columns.append(_proper(held))
        names.append(name)
    return triangles, *_combine(columns, names, len(triangles))


def _proper(held: BoolArray) -> BoolArray:
    """A set that holds the whole boundary names nothing."""
    return np.zeros_like(held) if held.all() else held


def _triples(facet: list[int]) -> list[tuple[int, int, int]]:
    """The triangles that a facet may have become."""
    if len(facet) == 3:
        return [(facet[0], facet[1], facet[2])]
    return [(facet[i], facet[j], facet[k]) for i, j, k in ((0, 1, 2), (0, 2, 3), (0, 1, 3), (1, 2, 3))]


def _boundary_triangles(tets: IntArray) -> tuple[IntArray, IntArray]:
    """Corners of the sides that one tetrahedron only has [F, 3], and that tetrahedron [F]."""
    sides = tets[:, np.array(TET_SIDES)].reshape(-1, 3)
    _, first, counts = np.unique(np.sort(sides, axis=1), axis=0, return_index=True, return_counts=True)
    alone = np.sort(first[counts == 1])
    return sides[alone], (alone // 4).astype(np.int32)


def _facet_masks(cells: VolumeCells, triangles: IntArray) -> list[tuple[int, BoolArray]]:
    """For each facet tag, which boundary triangles it covers."""
    place = {tuple(row): index for index, row in enumerate(np.sort(triangles, axis=1).tolist())}
    covered: dict[int, BoolArray] = {}
    for facets, tags in cells.facets:
        for facet, tag in zip(facets.tolist(), tags.tolist(), strict=True):
            mask = covered.setdefault(tag, np.zeros(len(triangles), bool))
            for triple in _triples(facet):
                index = place.get(tuple(sorted(triple)))
                if index is not None:
                    mask[index] = True
    return list(covered.items())


def _combine(columns: list[BoolArray], names: list[str | None], count: int) -> tuple[IntArray, dict[int, str]]:
    """One tag for each combination of sets that occurs, and its name."""
    tags = np.full(count, -1, np.int32)
    if not columns:
        return tags, {}
    table = np.stack(columns, axis=1)
    combinations, inverse = np.unique(table, axis=0, return_inverse=True)
    tag_names: dict[int, str] = {}
    for index, combination in enumerate(combinations):
        if not combination.any():
            continue
        tags[inverse.reshape(-1) == index] = index
        held = [name for name, inside in zip(names, combination.tolist(), strict=True) if inside and name]
        if held:
            tag_names[index] = ", ".join(dict.fromkeys(held))
    return tags, tag_names
