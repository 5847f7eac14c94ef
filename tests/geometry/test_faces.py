"""Boundary, faces and their surfaces."""

from dataclasses import astuple

import numpy as np
import pytest

from surrogate.errors import GeometryError
from surrogate.geometry.cell_conversion import to_tet10
from surrogate.geometry.cell_quality import jacobian_determinants
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.surface_fit import area_vectors
from surrogate.geometry.tet_mesh import TetMesh
from tests.geometry.conftest import grid


def volume_of(mesh: TetMesh) -> float:
    return float(jacobian_determinants(mesh.points, mesh.cells).mean(axis=1).sum() / 6)


def test_volume_and_areas_of_a_block_with_a_hole(block: TetMesh) -> None:
    hole = np.pi * 0.005**2
    # quadratic sides of 12 a turn stand off a circle by about 1e-5 of the radius
    assert volume_of(block) == pytest.approx(0.01 * (0.04 * 0.03 - hole), rel=1e-4)
    area = sum(face.area for face in block.faces)
    expected = 2 * (0.04 * 0.03 - hole) + 2 * 0.01 * 0.07 + 2 * np.pi * 0.005 * 0.01
    assert area == pytest.approx(expected, rel=1e-4)


def test_the_boundary_is_closed_and_looks_outside(block: TetMesh) -> None:
    vectors = area_vectors(block.points, block.triangles).mean(axis=1) / 2
    total = np.linalg.norm(vectors, axis=1).sum()
    assert np.linalg.norm(vectors.sum(axis=0)) < 1e-12 * total  # rounding of a thousand terms
    # divergence theorem with the field x/3: the volume, positive only when normals look outside
    middles = block.points[block.triangles[:, 3:]]
    flux = np.einsum("fpx,fpx->", area_vectors(block.points, block.triangles), middles) / 18
    assert flux == pytest.approx(volume_of(block), rel=1e-3)  # degree 4 by a rule of degree 2


def test_renumbering_points_leaves_the_faces(block: TetMesh) -> None:
    shuffle = np.random.default_rng(1).permutation(len(block.points)).astype(np.int32)
    points = np.empty_like(block.points)
    points[shuffle] = block.points
    one, two = build_tet_mesh(block.points, block.cells), build_tet_mesh(points, shuffle[block.cells])
    assert np.array_equal(one.triangle_face, two.triangle_face)
    for left, right in zip(one.faces, two.faces, strict=True):
        assert left.kind == right.kind and left.hole == right.hole
        assert right.area == pytest.approx(left.area, rel=1e-12)
        assert right.centroid == pytest.approx(left.centroid, abs=1e-12)


def test_a_bare_mesh_is_cut_into_six_planes_and_a_hole(block: TetMesh) -> None:
    bare = build_tet_mesh(block.points, block.cells)
    assert sorted(face.kind for face in bare.faces) == ["cylinder"] + ["plane"] * 6
    hole = next(face for face in bare.faces if face.kind == "cylinder")
    assert hole.hole is True and hole.axis == pytest.approx((0, 0, 1), abs=1e-6)
    assert hole.radius == pytest.approx(0.005, rel=1e-4)  # the points lie on the CAD surface
    for face in bare.faces:
        if face.normal is not None:
            outside = np.array(face.centroid) - np.array([0.02, 0.015, 0.005])
            assert np.dot(face.normal, outside) > 0


def test_a_boss_is_no_hole(block: TetMesh) -> None:
    angles = np.arange(16) * np.pi / 8
    rings = [np.stack([np.cos(angles), np.sin(angles), np.full(16, z)], axis=1) for z in (0.0, 0.5)]
    points = np.concatenate([*rings, [[0, 0, 0.0], [0, 0, 0.5]]])
    wedges = np.array([[32, i, (i + 1) % 16, 33, 16 + i, 16 + (i + 1) % 16] for i in range(16)], np.int32)
    cells = grid((1, 1, 1))
    tet_points, tets, _ = to_tet10(type(cells)(points, [("wedge", wedges)]))
    boss = next(face for face in build_tet_mesh(tet_points, tets).faces if face.kind == "cylinder")
    # vertices on the circle, sides 2 % inside: the vertices count
    assert boss.hole is False and boss.radius == pytest.approx(1.0, rel=0.003)


def test_tags_become_faces_and_names_and_scale_does_not_matter(bar: TetMesh) -> None:
    top = bar.triangles[bar.points[bar.triangles[:, :3], 2].min(axis=1) > 0.999]
    for scale in (1.0, 1e-3):
        mesh = build_tet_mesh(
            bar.points * scale,
            bar.cells,
            tagged_triangles=top[:, [1, 0, 2]],
            triangle_tags=np.full(len(top), 7, np.int32),
            tag_names={7: "top"},
        )
        assert [face.name for face in mesh.faces].count("top") == 1 and len(mesh.faces) == 6
        assert mesh.faces[0].name == "top" and mesh.faces[0].normal == pytest.approx((0, 0, 1))
        assert mesh.faces[0].area == pytest.approx(8.0 * scale**2, rel=1e-12)


def test_cells_that_run_the_wrong_way_are_flipped(bar: TetMesh) -> None:
    cells = bar.cells.copy()
    cells[::2] = cells[::2][:, [0, 2, 1, 3, 6, 5, 4, 7, 9, 8]]
    mesh = build_tet_mesh(bar.points, cells)
    assert volume_of(mesh) == pytest.approx(8.0, rel=1e-12)
    assert astuple(mesh.faces[0])[:3] == astuple(bar.faces[0])[:3]


def test_unused_points_are_dropped(bar: TetMesh) -> None:
    points = np.concatenate([[[9.0, 9.0, np.nan]], bar.points])
    mesh = build_tet_mesh(points, bar.cells + 1)
    assert np.array_equal(mesh.points, bar.points)


def test_a_curved_edge_that_inverts_its_cell_is_made_straight() -> None:
    points, tets, _ = to_tet10(grid((1, 1, 1)))
    points[tets[0, 4]] = points[tets[0, 3]]
    assert (jacobian_determinants(points, tets) <= 0).any()
    mesh = build_tet_mesh(points, tets)
    assert (jacobian_determinants(mesh.points, mesh.cells) > 0).all()
    assert volume_of(mesh) == pytest.approx(1.0, rel=1e-9)


def test_what_cannot_be_a_solid_is_refused(bar: TetMesh) -> None:
    twice = np.concatenate([bar.points, bar.points + np.array([9.0, 0, 0])])
    with pytest.raises(GeometryError, match="2 solids that share no faces"):
        build_tet_mesh(twice, np.concatenate([bar.cells, bar.cells + len(bar.points)]))
    flat = bar.points.copy()
    flat[:, 2] = 0
    with pytest.raises(GeometryError, match="have no volume"):
        build_tet_mesh(flat, bar.cells)
    with pytest.raises(GeometryError, match="more than two cells"):
        build_tet_mesh(bar.points, np.concatenate([bar.cells, bar.cells, bar.cells]))
    nan = bar.points.copy()
    nan[bar.cells[0, 0]] = np.nan
    with pytest.raises(GeometryError, match="non-finite"):
        build_tet_mesh(nan, bar.cells)
    cracked = bar.cells.copy()
    cracked[0, 4] = cracked[1, 9]
    with pytest.raises(GeometryError, match="mid-edge"):
        build_tet_mesh(bar.points, cracked)
