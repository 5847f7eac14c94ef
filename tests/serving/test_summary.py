"""summary.json says what INTERFACE promises, and its numbers are those of the fields."""

import json
from dataclasses import replace

import numpy as np
import pytest

from surrogate.errors import ProblemError
from surrogate.fields import Collapse
from surrogate.physics.problem import Support
from surrogate.serving.findings import rim_points
from surrogate.serving.summary import compare_summary, rank, summarize, with_timing
from surrogate.serving.summary_schema import Interval, Summary
from tests.physics.meshes import LEFT
from tests.serving.answers import beam, beam_predicted, beam_solved

KEYS = {"part", "material", "method", "model", "histories", "ranking", "domain", "warnings", "timings_s"}
STEP_KEYS = {
    "factors",
    "peak_von_mises_pa",
    "p999_von_mises_pa",
    "peak_at_m",
    "max_displacement_m",
    "peak_plastic_strain",
    "yielded_volume_fraction",
    "equilibrium_residual",
}
HISTORY_KEYS = {
    "name",
    "steps",
    "safety_factor_yield",
    "safety_factor_ultimate",
    "permanent_set_m",
    "max_residual_von_mises_pa",
    "peak_step",
    "collapse",
}


def test_the_json_has_the_promised_keys() -> None:
    written = json.loads(summarize(beam(), beam_solved()).model_dump_json())
    assert set(written) >= KEYS
    assert set(written["part"]) >= {"points", "cells", "volume_m3", "mass_kg", "size_m", "faces"}
    assert set(written["histories"][0]) >= HISTORY_KEYS
    assert set(written["histories"][0]["steps"][0]) >= STEP_KEYS


def test_a_solved_number_has_a_value_and_a_predicted_one_an_interval() -> None:
    solved = json.loads(summarize(beam(), beam_solved()).model_dump_json())["histories"][1]
    predicted = json.loads(summarize(beam(), beam_predicted()).model_dump_json())["histories"][1]
    for name in ("peak_von_mises_pa", "max_displacement_m", "peak_plastic_strain"):
        assert set(solved["steps"][2][name]) == {"value"}
        assert set(predicted["steps"][2][name]) == {"value", "low", "high"}
    assert set(solved["permanent_set_m"]) == {"value"}
    assert set(predicted["permanent_set_m"]) == {"value", "low", "high"}


def test_the_json_reads_back_as_the_same_summary() -> None:
    summary = compare_summary(beam(), beam_predicted(), beam_solved())
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


def test_the_numbers_are_those_of_the_fields() -> None:
    summary, answer = summarize(beam(), beam_predicted()), beam_predicted()
    history, shown = answer.histories[1], summary.histories[1]
    assert shown.steps[2].peak_von_mises_pa.value == history.scalars.peak_von_mises_pa[2]
    assert isinstance(shown.permanent_set_m, Interval)
    assert history.totals_high is not None
    assert shown.permanent_set_m.high == history.totals_high.permanent_set_m
    assert shown.steps[1].factors == {"down": 1.0, "press": 0.0}
    # A box: the quadrature is exact, so only the rounding of a sum is left.
    assert summary.part.volume_m3 == pytest.approx(0.08 * 0.02 * 0.02, rel=1e-12)
    assert summary.part.mass_kg == pytest.approx(7800 * 0.08 * 0.02 * 0.02, rel=1e-12)


def test_the_worst_history_comes_first_and_a_collapsed_one_before_all() -> None:
    mild, bend = beam_solved().histories
    assert rank((mild, bend)) == ("bend & unload", "mild")
    collapsed = replace(mild, collapse=Collapse(2, 0.5, "plastic strain over 20 %", (1.0, 0.5), 0.75))
    assert rank((collapsed, bend)) == ("mild", "bend & unload")


def test_a_history_that_carried_no_step_is_told_and_not_lost() -> None:
    mild, bend = beam_solved().histories
    none = {name: getattr(mild.scalars, name)[:0] for name in mild.scalars.__dataclass_fields__}
    empty = replace(
        mild,
        factors=mild.factors[:0],
        steps=mild.steps[:0],
        scalars=replace(mild.scalars, **none),
        collapse=Collapse(0, 0.25, "displacement over a tenth of the size", (0.25, 0.0), 0.25),
    )
    summary = summarize(beam(), replace(beam_solved(), histories=(empty, bend)))
    assert summary.histories[0].collapse is not None
    assert summary.histories[0].collapse.factors == {"down": 0.25, "press": 0.0}
    assert summary.histories[0].peak_step is None
    assert summary.histories[0].steps == ()
    assert any("'mild': plastic collapse during step 1, with 25%" in warning for warning in summary.warnings)


def test_the_balance_of_a_solved_answer_is_its_worst_step_and_a_predicted_one_has_none() -> None:
    solved, predicted = summarize(beam(), beam_solved()).histories[1], summarize(beam(), beam_predicted()).histories[1]
    balance = beam_solved().histories[1].balance
    assert predicted.balance is None
    assert solved.balance is not None and balance is not None
    assert solved.balance.energy_imbalance == balance.energy_imbalance.max() < 1e-6
    assert solved.balance.reaction_imbalance == balance.reaction_imbalance.max() < 1e-6
    assert solved.balance.plastic_work_j == balance.plastic_work_j[-1]


def test_an_unloaded_part_has_no_safety_factor_in_the_json() -> None:
    bend = beam_solved().histories[1]
    unloaded = replace(bend, totals=replace(bend.totals, safety_factor_yield=float("inf")))
    summary = summarize(beam(), replace(beam_solved(), histories=(unloaded,)))
    assert json.loads(summary.model_dump_json())["histories"][0]["safety_factor_yield"] == {"value": None}


def test_a_peak_at_the_clamped_edge_is_warned_of() -> None:
    warnings = summarize(beam(), beam_solved()).warnings
    assert any("edge of a support face" in warning and "'bend & unload'" in warning for warning in warnings)


def test_a_symmetry_plane_has_no_singular_edge_to_warn_of() -> None:
    symmetric = replace(beam(), supports=(Support(LEFT, ("normal",)),))
    warnings = summarize(symmetric, beam_solved()).warnings
    assert not any("support face" in warning for warning in warnings)


def test_a_load_that_does_not_act_is_not_blamed_for_the_peak() -> None:
    """The pressed face has the clamped edge in its rim; the bending history never presses."""
    loads = [w for w in summarize(beam(), beam_solved()).warnings if "edge of a load face" in w]
    assert not any("bend & unload" in warning for warning in loads)


def test_the_rim_of_the_end_face_is_its_four_edges() -> None:
    mesh = beam().mesh
    (end,) = (face.id for face in mesh.faces if face.normal is not None and np.allclose(face.normal, (-1.0, 0.0, 0.0)))
    rim = mesh.points[rim_points(mesh, (end,))]
    assert np.allclose(rim[:, 0], 0.0)
    on_edge = np.isclose(rim[:, 1:], 0.0) | np.isclose(rim[:, 1:], 0.02)
    assert on_edge.any(axis=1).all()
    assert len(rim) == 4 * 4  # two elements an edge: 5 points, corners shared


def test_a_problem_outside_the_domain_is_flagged() -> None:
    summary = summarize(beam(), beam_predicted())
    assert summary.domain is not None and not summary.domain.inside
    assert any("outside the model's training domain (score 1.40" in warning for warning in summary.warnings)


def test_comparing_an_answer_with_itself_finds_no_difference() -> None:
    summary = compare_summary(beam(), beam_solved(), beam_solved())
    for history in summary.histories:
        assert history.difference is not None
        for found in (history.difference.peak, history.difference.last):
            assert all(value == 0.0 for name, value in found.model_dump().items() if name != "step")


def test_a_stress_three_per_cent_too_large_shows_as_three_per_cent() -> None:
    summary = compare_summary(beam(), beam_predicted(), beam_solved())
    found = summary.histories[1].difference
    assert found is not None and found.peak.step == summary.histories[1].peak_step
    # Scaling is exact up to the rounding of the products.
    assert found.peak.stress_rel_l2 == pytest.approx(0.03, rel=1e-9)
    assert found.peak.von_mises_rel_l2 == pytest.approx(0.03, rel=1e-9)
    assert found.peak.peak_von_mises_rel == pytest.approx(0.03, rel=1e-9)
    assert found.peak.plastic_strain_rel_l2 == pytest.approx(0.05, rel=1e-9)
    assert found.peak.displacement_rel_l2 == 0.0
    assert found.last.permanent_set_rel == 0.0
    assert summary.reference is not None and summary.reference.method == "solved"


def test_answers_to_different_questions_are_not_compared() -> None:
    fewer = replace(beam_solved(), histories=beam_solved().histories[:1])
    with pytest.raises(ProblemError, match="different load histories"):
        compare_summary(beam(), beam_predicted(), fewer)


def test_a_timed_stage_counts_in_the_total() -> None:
    timed = with_timing(replace(beam_solved(), timings_s={"solve": 2.0, "total": 2.0}), "mesh", 1.5)
    assert timed.timings_s == {"solve": 2.0, "total": 3.5, "mesh": 1.5}
