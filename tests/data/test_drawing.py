"""Loads are drawn of every kind that faces see, materials with every hardening law."""

from collections import Counter

import numpy as np
import pytest

from surrogate.data.drawn_loads import LoadRange, draw_load_cases, load_kind
from surrogate.data.drawn_material import MaterialRange, draw_material, hardening_kind
from surrogate.data.part_family import LoadFaces, LoadKind, PartFamily, SupportFaces
from surrogate.data.sampling import scaled_load
from surrogate.geometry.selectors import NameSelector, select_faces
from surrogate.geometry.tet_mesh import Face, TetMesh
from surrogate.physics.hardening import TabulatedHardening
from surrogate.physics.materials import library
from surrogate.physics.problem import BearingForce, LoadCase, Moment, RemoteForce, Support

KINDS: tuple[LoadKind, ...] = ("force", "traction", "pressure", "bearing", "remote", "moment")
AXIS = (0.6, 0.0, 0.8)


def _mesh() -> TetMesh:
    """One cell whose two named faces claim to be a hole and a plane."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    pairs = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
    points = np.concatenate([corners, [(corners[i] + corners[j]) / 2 for i, j in pairs]])
    triangles = np.array([[0, 2, 1, 6, 5, 4], [0, 1, 3, 4, 8, 7]])
    hole = Face(0, "hole", "cylinder", 0.5, (0.3, 0.3, 0.0), axis=AXIS, radius=0.1, hole=True)
    plane = Face(1, "plane", "plane", 0.5, (0.3, 0.0, 0.3), normal=(0, -1, 0))
    return TetMesh(points, np.arange(10)[None], triangles, np.array([0, 1]), (hole, plane))


def _family(faces: str) -> PartFamily:
    return PartFamily(
        "test", 999, lambda generator: {}, lambda p: 1.0, ((SupportFaces("held"),),), (LoadFaces(faces, KINDS),)
    )


def _cases(faces: str, count: int = 300) -> list[LoadCase]:
    generator, held = np.random.default_rng(0), (Support(NameSelector("held")),)
    return [c for _ in range(count) for c in draw_load_cases(generator, _family(faces), _mesh(), held, LoadRange())]


def test_every_kind_is_drawn_and_bearing_forces_lie_across_the_hole() -> None:
    loads = [load for case in _cases("hole") for load in case.loads]
    assert {load_kind(load) for load in loads} == {*KINDS, "acceleration"}
    for load in loads:
        if isinstance(load, BearingForce):
            # Round-off of one projection.
            assert abs(np.dot(load.force_n, AXIS)) < 1e-14
            assert np.linalg.norm(load.force_n) == pytest.approx(1.0, rel=1e-12)


def test_no_bearing_force_where_there_is_no_hole() -> None:
    kinds = {load_kind(load) for case in _cases("plane") for load in case.loads}
    assert "bearing" not in kinds and "remote" in kinds


def test_remote_forces_act_a_share_of_the_size_away_from_their_faces() -> None:
    mesh, ranges = _mesh(), LoadRange()
    remote = [load for case in _cases("plane") for load in case.loads if isinstance(load, RemoteForce)]
    middle = np.array(mesh.faces[select_faces(mesh, NameSelector("plane"))[0]].centroid)
    far = np.array([np.linalg.norm(np.array(load.point_m) - middle) for load in remote]) / max(mesh.size)
    assert ranges.remote_distance[0] <= far.min() and far.max() <= ranges.remote_distance[1]
    assert np.ptp(far) > 0.8 * np.ptp(ranges.remote_distance)


def test_scaling_a_load_scales_its_value_and_not_where_it_acts() -> None:
    remote = RemoteForce(NameSelector("plane"), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert scaled_load(remote, 2.0) == RemoteForce(NameSelector("plane"), (2.0, 4.0, 6.0), (4.0, 5.0, 6.0))
    moment = Moment(NameSelector("plane"), (1.0, 0.0, -1.0))
    assert scaled_load(moment, 3.0) == Moment(NameSelector("plane"), (3.0, 0.0, -3.0))


def test_all_alloys_and_all_laws_are_drawn_within_their_ranges() -> None:
    generator, ranges = np.random.default_rng(1), MaterialRange()
    drawn = [draw_material(generator, ranges) for _ in range(2000)]
    assert {m.name.removesuffix(", varied") for m in drawn} == {alloy.name for alloy in library()}
    kinds = Counter(hardening_kind(m.hardening) for m in drawn)
    assert set(kinds) == {"linear", "voce", "table"}
    # The drawn shares are floors (alloys' own laws come on top), less four standard deviations of 2000 draws.
    assert kinds["linear"] > 2000 * (ranges.linear_share - 0.036)
    assert kinds["voce"] > 2000 * (ranges.voce_share - 0.036)
    assert kinds["table"] > 2000 * (ranges.table_share - 0.032)
    for material in drawn:
        rise = material.yield_stress(np.array([0.0, 0.01, 0.1, 1.0])) - material.yield_strength_pa
        assert abs(rise[0]) < 1e-6 and (np.diff(rise) >= 0).all()
        if isinstance(material.hardening, TabulatedHardening):
            assert material.hardening.points[0] == (0.0, pytest.approx(material.yield_strength_pa, rel=1e-12))
