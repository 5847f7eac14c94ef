"""Supports and loads as they are shown: the table says what was asked, arrows stand where the loads act."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.geometry.selectors import CylinderSelector, Selector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import (
    BearingForce,
    Force,
    Load,
    LoadCase,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Support,
    ramp,
)
from surrogate.serving.setup_picture import setup_arrays
from surrogate.serving.setup_rows import load_rows, support_rows
from surrogate.serving.summary import summarize
from tests.physics.meshes import BOTTOM, LEFT, RIGHT, STEEL, TOP, full_tube
from tests.serving.answers import beam, beam_solved

BORE = CylinderSelector(0.01, hole=True)
TUBE = full_tube(1, 12, 2, 0.01, 0.02, 0.03)


def held(mesh: TetMesh, faces: Selector, *loads: Load) -> Problem:
    return Problem(mesh, STEEL, (Support(faces),), (LoadCase("case", loads),), (ramp(1),))


def arrows(problem: Problem) -> tuple[FloatArray, FloatArray]:
    found = setup_arrays(problem)
    return found["arrow_starts"].astype(np.float64), found["arrow_vectors"].astype(np.float64)


def test_the_load_table_says_kind_place_and_resultant() -> None:
    remote = RemoteForce(RIGHT, (0.0, 0.0, -100.0), (0.2, 0.01, 0.01))
    turn = Moment(RIGHT, (0.0, 5.0, 0.0))
    at, moment = load_rows(held(beam().mesh, LEFT, remote, turn), beam_solved())
    assert at.kind == "force (0, 0, -100) N at (200, 10, 10) mm"
    # A force's moment about the origin is its arm times itself, wherever it is carried.
    assert at.force_n == pytest.approx((0.0, 0.0, -100.0), abs=1e-9)
    assert at.moment_nm == pytest.approx((-1.0, 20.0, 0.0), abs=1e-9)
    assert moment.kind == "moment (0, 5, 0) Nm"
    assert moment.force_n == (0.0, 0.0, 0.0)
    assert moment.moment_nm == pytest.approx((0.0, 5.0, 0.0), abs=1e-9)


def test_a_bearing_force_is_told_as_such() -> None:
    (row,) = load_rows(held(TUBE, BOTTOM, BearingForce(BORE, (300.0, 400.0, 0.0))), beam_solved())
    assert row.kind == "bearing force (300, 400, 0) N"
    assert row.force_n == pytest.approx((300.0, 400.0, 0.0), abs=1e-7)


def test_an_edge_support_names_the_faces_that_it_meets() -> None:
    mesh = beam().mesh
    (bottom,) = (face.id for face in mesh.faces if face.normal is not None and face.normal[2] < -0.9)
    edge = Support(LEFT, ("x", "z"), meeting=BOTTOM)
    assert support_rows(replace(beam(), supports=(edge,)))[0].fixed == f"x, z on the edge with face {bottom}"


def test_a_bearing_arrow_starts_in_its_hole_and_points_as_the_force() -> None:
    starts, vectors = arrows(held(TUBE, BOTTOM, BearingForce(BORE, (300.0, 400.0, 0.0))))
    np.testing.assert_allclose(starts, [[0.0, 0.0, 0.015]], atol=1e-9)
    np.testing.assert_allclose(vectors[0] / np.linalg.norm(vectors[0]), [0.6, 0.8, 0.0], atol=1e-12)


def test_a_remote_arrow_starts_at_its_point_but_not_out_of_sight() -> None:
    def start(x: float) -> FloatArray:
        return arrows(held(beam().mesh, LEFT, RemoteForce(RIGHT, (0, 0, -1.0), (x, 0.01, 0.01))))[0][0]

    np.testing.assert_allclose(start(0.12), [0.12, 0.01, 0.01], atol=1e-12)
    far = start(50.0)
    assert 0.12 < far[0] < 0.3
    np.testing.assert_allclose(far[1:], 0.01, atol=1e-9)


def test_the_arrows_of_a_moment_run_around_it_by_the_right_hand() -> None:
    starts, vectors = arrows(held(beam().mesh, LEFT, Moment(RIGHT, (0.0, -7.0, 0.0))))
    centre = np.array([0.08, 0.01, 0.01])
    around = np.cross(starts - centre, vectors)
    assert len(starts) > 4
    assert (around[:, 1] < 0).all() and np.abs(around[:, [0, 2]]).max() < 1e-12
    assert np.abs(vectors.sum(axis=0)).max() < 1e-12  # a closed ring


def test_totals_are_drawn_over_the_part_and_pressures_on_it() -> None:
    loads = (Force(RIGHT, (1.0, 0.0, 0.0)), Pressure(TOP, 1e6))
    on_top = setup_arrays(held(beam().mesh, LEFT, *loads))["arrow_on_top"]
    assert on_top[0] and not on_top[1:].any()


def test_a_pin_that_pulls_is_warned_of() -> None:
    bearing = replace(
        beam(), load_cases=(LoadCase("down", (BearingForce(RIGHT, (1.0, 0.0, 0.0)),)), beam().load_cases[1])
    )
    mild, bend = beam_solved().histories
    back = replace(bend, factors=bend.factors - [[0.1, 0.0]])
    found = [w for w in summarize(bearing, replace(beam_solved(), histories=(mild, back))).warnings if "bearing" in w]
    assert len(found) == 1 and "'bend & unload'" in found[0] and "mild" not in found[0]
    assert "load case of its own" in found[0]


def test_a_peak_on_a_held_edge_is_warned_of() -> None:
    # The peak of the bent beam lies at its clamped end, top or bottom; the whole rim there is touched by these edges.
    supports = tuple(Support(LEFT, ("z",), meeting=side) for side in (BOTTOM, TOP))
    warnings = summarize(replace(beam(), supports=supports), beam_solved()).warnings
    assert any("edge of a support face" in warning and "'bend & unload'" in warning for warning in warnings)
