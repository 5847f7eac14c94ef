"""Cells of every kind become conforming tetrahedra that fill the same volume."""

import itertools

import numpy as np
import pytest

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import CELL_SIDES, VolumeCells, split_cells, to_tet10
from surrogate.geometry.cell_quality import jacobian_determinants
from surrogate.geometry.faces import build_tet_mesh
from tests.geometry.conftest import grid


def wedges(cells: VolumeCells) -> VolumeCells:
    block = cells.blocks[0][1]
    halves = np.concatenate([block[:, [0, 1, 2, 4, 5, 6]], block[:, [0, 2, 3, 4, 6, 7]]])
    return VolumeCells(cells.points, [("wedge", halves)])


def pyramids(cells: VolumeCells) -> VolumeCells:
    """Each hexahedron as six pyramids around its middle."""
    block = cells.blocks[0][1]
    middles = cells.points[block].mean(axis=1)
    apex = np.arange(len(block), dtype=np.int32)[:, None] + len(cells.points)
    parts = [np.concatenate([block[:, side], apex], axis=1) for side in CELL_SIDES["hexahedron"]]
    return VolumeCells(np.concatenate([cells.points, middles]), [("pyramid", np.concatenate(parts))])


def mixed(cells: VolumeCells) -> VolumeCells:
    """Layers of hexahedra, wedges and pyramids that share their quadrilaterals."""
    block = cells.blocks[0][1]
    third = len(block) // 3
    inner = pyramids(VolumeCells(cells.points, [("hexahedron", block[2 * third :])]))
    middle = wedges(VolumeCells(cells.points, [("hexahedron", block[third : 2 * third])]))
    return VolumeCells(inner.points, [("hexahedron", block[:third]), *middle.blocks, *inner.blocks])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("convert", [lambda cells: cells, wedges, pyramids, mixed])
def test_splitting_keeps_the_volume_and_conforms(convert, seed: int) -> None:  # type: ignore[no-untyped-def]
    points, tets, _ = to_tet10(convert(grid((3, 2, 3), seed)))
    # refuses sides of more than two cells, folded pairs and loose solids
    mesh = build_tet_mesh(points, tets)
    volume = jacobian_determinants(mesh.points, mesh.cells).mean(axis=1).sum() / 6
    assert volume == pytest.approx(18.0, rel=1e-12)  # shear keeps the volume; sums of 300 doubles
    # an inner quadrilateral cut differently by its two cells would leave four more boundary triangles
    assert len(mesh.triangles) == 2 * 2 * (3 * 2 + 2 * 3 + 3 * 3)


def test_every_numbering_of_one_hexahedron_can_be_split() -> None:
    points = grid((1, 1, 1)).points
    cell = grid((1, 1, 1)).blocks[0][1][0]
    for start in itertools.islice(itertools.permutations(range(8)), 0, 40320, 97):
        number = np.array(start)
        shuffled: FloatArray = np.empty_like(points)
        shuffled[number] = points
        tets, count = split_cells("hexahedron", number[cell][None].astype(np.int32))
        a, b, c, d = (shuffled[tets[:, i]] for i in range(4))
        volumes = np.abs(np.einsum("cx,cx->c", np.cross(b - a, c - a), d - a)) / 6
        assert count == 6 and volumes.sum() == pytest.approx(1.0, rel=1e-12)


def test_ten_node_tetrahedra_are_kept_bit_for_bit() -> None:
    points, tets, _ = to_tet10(grid((1, 1, 1)))
    again_points, again, _ = to_tet10(VolumeCells(points, [("tetrahedron", tets)]))
    assert np.array_equal(points, again_points) and np.array_equal(tets, again)


def test_collapsed_hexahedra_lose_their_empty_tetrahedra() -> None:
    cells = grid((1, 1, 1))
    collapsed: IntArray = cells.blocks[0][1].copy()
    collapsed[0, [3, 7]] = collapsed[0, [2, 6]]  # a wedge written as a hexahedron
    points, tets, _ = to_tet10(VolumeCells(cells.points, [("hexahedron", collapsed)]))
    mesh = build_tet_mesh(points, tets)
    volume = jacobian_determinants(mesh.points, mesh.cells).mean(axis=1).sum() / 6
    assert volume == pytest.approx(0.5, rel=1e-12)
