"""The rivals are measured as the world model is, and the table holds all of them."""

from pathlib import Path

import numpy as np
import pytest

from surrogate.data.simulation_file import sample_name
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.physics.reduced import plain_rounds
from surrogate.training.baselines import local_anchor, reduced_histories, stored_truth
from surrogate.training.notch_rules import NOTCH_RULES
from surrogate.training.part_evaluation import METRICS, PLASTIC_SHARE
from surrogate.training.rival_evaluation import Factors, evaluate_rivals
from surrogate.training.rival_scalars import ANCHORED, LOADS, MEAN, SCALARS, true_scalars
from surrogate.training.rival_table import Strides, fit_factors, make_table, subset, summary, table_text
from surrogate.training.rival_training import RIVALS, RivalConfig, train_rival
from tests.training.wedges import PARTS, simulation

PART = PARTS["test"][0]
ONE = dict.fromkeys(("local anchor", *NOTCH_RULES), 1.0)


def test_two_states_are_measured_as_whole_histories_are(campaign: Path) -> None:
    """Only the peak and the last step are equilibrated; the measures are those of all steps."""
    found = evaluate_rivals(campaign / sample_name(*PART), {}, None, Factors(ONE, ONE))
    problem = simulation(*PART).problem
    anchor = elastic_anchor(problem)
    unit = problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    truth = stored_truth(anchor, simulation(*PART))
    for name, answers in (
        ("local anchor", local_anchor(anchor, problem)),
        ("reduced anchor + 1 enrichments", reduced_histories(anchor, problem, plain_rounds(1))),
    ):
        rows = iter(found[name].errors)
        for mine, true in zip(answers, truth, strict=True):
            if true.scalars.peak_plastic_strain.max() <= PLASTIC_SHARE * unit:
                continue
            row = next(rows)
            whole = history_difference(mine, true, anchor.system.volumes, problem.mesh.cells)
            assert whole is not None
            # The stored labels are in single precision; an anchor run for fewer histories takes other modes.
            close = {"rel": 1e-4, "abs": 1e-5} if name == "local anchor" else {"rel": 0.3, "abs": 2e-3}
            assert row["plastic strain, peak"] == pytest.approx(whole.peak.plastic_strain_rel_l2, **close)
            assert row["plastic strain, last"] == pytest.approx(whole.last.plastic_strain_rel_l2, **close)
            assert row["stress, peak"] == pytest.approx(whole.peak.stress_rel_l2, **close)
            assert row["displacement, peak"] == pytest.approx(whole.peak.displacement_rel_l2, **close)
        assert next(rows, None) is None


def test_methods_that_say_nothing_miss_everything(campaign: Path) -> None:
    found = evaluate_rivals(campaign / sample_name(*PART), {}, None, Factors(ONE, ONE))
    for row in found["no plastic strain (elastic anchor)"].errors:
        assert row["plastic strain, last"] == row["peak plastic strain"] == 1.0
    # A factor of one is no factor.
    for name in ONE:
        plain = found[name].errors
        for a, b in zip(plain, found[f"{name}, one fitted factor"].errors, strict=True):
            assert a == pytest.approx(b, rel=1e-9)
        for a, b in zip(plain, found[f"{name}, one factor fitted to the peak"].errors, strict=True):
            assert b == {"peak plastic strain": pytest.approx(a["peak plastic strain"])}


def test_scalars_are_those_of_the_solved_histories() -> None:
    solved = simulation(*PART)
    truth = stored_truth(elastic_anchor(solved.problem), solved)
    permanent = np.array([history.totals.permanent_set_m for history in truth])
    found = true_scalars(solved)
    # Labels are solved to 1e-4 and the displacement is stored in half precision.
    np.testing.assert_allclose(found[:, 2], permanent, rtol=5e-3, atol=2e-3 * permanent.max())
    np.testing.assert_allclose(found[:, 1], solved.equivalent_plastic_strain.max(axis=(1, 2)), rtol=1e-6)


def test_the_table_holds_every_method_and_says_what_it_was_made_of(campaign: Path, tmp_path: Path) -> None:
    strides = Strides(1, 1, 1)
    without = make_table(campaign, tmp_path, strides)
    for rival in RIVALS:
        train_rival(RivalConfig(rival, campaign, tmp_path, cpu_seconds=0.1, parts=1, states=1))
    table = make_table(campaign, tmp_path, strides)
    methods, before = table["methods"], without["methods"]
    assert isinstance(methods, dict) and isinstance(before, dict)
    assert without["not_trained"] == list(RIVALS) and table["not_trained"] == []
    # A network that is trained later adds itself to what is there.
    assert set(methods) == {*before, *RIVALS}
    assert all(methods[name]["errors"] == before[name]["errors"] for name in before)
    for name in (*RIVALS, MEAN, LOADS, ANCHORED, "Neuber", "Glinka", "local anchor"):
        errors = methods[name]["errors"]
        assert list(errors) == list(METRICS)
        told = {metric for metric, row in errors.items() if row is not None}
        assert told >= set(SCALARS)
        assert ("plastic strain, last" in told) is (name not in (MEAN, LOADS, ANCHORED))
        for row in filter(None, errors.values()):
            assert np.isfinite(row).all() and row[0] <= row[1] <= row[2]
    for name in RIVALS:
        assert methods[name]["training_cpu_seconds"] >= 0 and methods[name]["parameters"] > 10_000
    assert all(name in table_text(table) for name in methods)
    assert [entry.path.stem for entry in subset(campaign, Strides(1, 1, 1)).test] == table["test_parts"]


def test_factors_come_from_training_parts(campaign: Path) -> None:
    factors = fit_factors(subset(campaign, Strides(1, 1, 1)).factors)
    # The strain-driven anchor knows no redistribution: it says too little everywhere.
    assert factors.field["local anchor"] > 1.0
    assert set(factors.peak) == set(ONE)
    # Energy says less than the product, so its factor is the larger one.
    assert factors.peak["Glinka"] > factors.peak["Neuber"]


def test_parts_without_yield_are_left_out_of_the_summary() -> None:
    assert summary([{}, {}]) == {}
