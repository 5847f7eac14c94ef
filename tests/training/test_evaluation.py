"""Errors of many parts become one table; a part is judged by what was stored of it; an evaluation can go on."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from surrogate.data.simulation_file import load_simulation, sample_name
from surrogate.errors import InputError
from surrogate.fields import DomainVerdict
from surrogate.model.anchor_path import anchor_fields
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.problem import Problem
from surrogate.serving import screening
from surrogate.serving.answer import elastic_steps
from surrogate.serving.calibration import STEP_SCALARS, TOTALS, Calibration
from surrogate.training import evaluation as running
from surrogate.training.baselines import stored_truth
from surrogate.training.evaluation import chosen_methods, evaluate
from surrogate.training.evaluation_table import (
    combine,
    evaluation_text,
    load_evaluation,
    save_evaluation,
    table_text,
)
from surrogate.training.part_evaluation import (
    CLASSICAL,
    METRICS,
    MODEL,
    SLOW,
    SOLVED,
    TOKENS,
    MethodErrors,
    PartEvaluation,
    Trust,
    _warned,
    evaluate_part,
)
from tests.model.parts import lively_model, save_model
from tests.training.wedges import HISTORIES, PARTS, STEPS

WIDE = Calibration((0.1,), dict.fromkeys((*STEP_SCALARS, *TOTALS), (3.0, 3.0)), dict.fromkeys(STEP_SCALARS, (3.0, 3.0)))


def part(
    errors: list[float],
    seconds: float = 1.0,
    inside: bool = True,
    covered: int = 9,
    family: str = "f",
    worst: float = 1.0,
) -> PartEvaluation:
    rows = [dict.fromkeys(METRICS, error) for error in errors]
    half = [{metric: 0.5 * error for metric, error in row.items()} for row in rows]
    methods = {
        SOLVED: MethodErrors([], 0.0, worst),
        "local anchor": MethodErrors(rows, seconds, 2 * worst),
        MODEL: MethodErrors(half, 2 * seconds, -worst),
    }
    trust = Trust({"peak": covered, "none": 0}, {"peak": 10, "none": 0}, inside, failures=1, silent=1)
    return PartEvaluation(f"p{worst}", family, methods, trust)


def test_errors_are_taken_over_histories_and_times_over_parts() -> None:
    parts = [part([0.1, 0.2, 0.3], 1.0), part([0.4], 2.0, inside=False, covered=8), part([0.9], 30.0)]
    found = combine(parts)
    assert (found.parts, found.histories) == (3, 5)
    for metric in METRICS:
        assert found.table["local anchor"][metric] == pytest.approx((0.3, 0.9, 0.9))
        assert found.table[MODEL][metric] == pytest.approx((0.15, 0.45, 0.45))
    assert found.seconds == {"local anchor": 2.0, MODEL: 4.0}
    assert found.coverage == {"peak": pytest.approx(26 / 30)}  # what was never judged is not listed
    assert found.inside == pytest.approx(2 / 3)
    assert (found.failures, found.silent) == (pytest.approx(3 / 5), pytest.approx(3 / 5))


def test_a_method_that_tells_little_or_answers_few_parts_has_the_rest_left_open() -> None:
    few = part([0.1], worst=2.0)
    slow = MethodErrors([{METRICS[0]: 0.3}], 1.0, 1.0)
    found = combine([part([0.2]), PartEvaluation(few.name, "f", {**few.methods, SLOW[0]: slow}, few.trust)])
    assert found.counts == {"local anchor": 2, SLOW[0]: 1, MODEL: 2}
    assert found.table[SLOW[0]] == {METRICS[0]: pytest.approx((0.3, 0.3, 0.3))}
    row = next(line for line in table_text(found).splitlines() if SLOW[0] in line)
    assert row.startswith(f"| {SLOW[0]} | 1 | 30.0 / 30.0 / 30.0 |  |")


def test_the_table_has_a_row_for_each_method_in_per_cent() -> None:
    lines = table_text(combine([part([0.1, 0.2])])).splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == len(METRICS) + 4 for line in lines)
    assert lines[0].startswith("| method | parts | plastic strain, peak |")
    assert lines[2].startswith("| local anchor | 1 | 15.0 / 20.0 / 20.0 |") and lines[2].endswith("| 1.00 |")
    assert lines[3].startswith("| world model | 1 | 7.5 / 10.0 / 10.0 |")


def test_families_worst_parts_and_ranks_of_variants_are_told() -> None:
    parts = [part([0.1 * n, 0.05], family="flat", worst=float(n)) for n in range(1, 8)]
    parts += [part([0.3], family="rare", worst=0.0)]
    found = combine(parts)
    assert found.families["rare"]["local anchor"][METRICS[0]] == pytest.approx((0.3, 0.3))
    assert [worst.name for worst in found.worst] == ["p7.0", "p6.0", "p5.0", "p4.0", "p3.0"]
    assert found.worst[0].errors == pytest.approx({"local anchor": 0.7, MODEL: 0.35})
    # One method puts the variants in the true order, one in the reverse; a family of few variants is not ranked.
    assert found.variants == {"local anchor": {"flat": pytest.approx(1.0)}, MODEL: {"flat": pytest.approx(-1.0)}}


def test_a_part_without_plastic_history_is_counted_and_several_of_nothing_else_are_refused() -> None:
    found = combine([part([0.1]), part([])])
    assert (found.parts, found.histories) == (2, 1)
    with pytest.raises(InputError, match="no history of 2 parts yields"):
        combine([part([]), part([])])


def test_an_evaluation_is_the_same_when_read_back(tmp_path: Path) -> None:
    found = combine([part([0.1, 0.2]), part([0.3], worst=2.0)])
    save_evaluation(found, tmp_path / "e.json")
    again = load_evaluation(tmp_path / "e.json")
    assert again.worst == found.worst and evaluation_text(again) == evaluation_text(found)
    (tmp_path / "e.json").write_text(json.dumps({"rows": 1}))
    with pytest.raises(InputError, match=r"e\.json is not an evaluation"):
        load_evaluation(tmp_path / "e.json")


def test_methods_are_chosen_by_how_their_names_begin() -> None:
    assert chosen_methods(["reduced", "elastic"]) == ("elastic anchor", *(m for m in CLASSICAL if "reduced" in m))
    assert set(CLASSICAL) < set(chosen_methods([]))
    with pytest.raises(InputError, match="no method begins with 'Neuber'; there are elastic anchor, local anchor"):
        chosen_methods(["Neuber"])


def test_classical_methods_come_nearer_to_the_truth_the_more_they_do(campaign: Path) -> None:
    path = campaign / sample_name(*PARTS["test"][0])
    methods = evaluate_part(path, CLASSICAL, local_factor=1.5).methods
    assert set(methods) == {SOLVED, *CLASSICAL}
    error = {name: np.median([row[METRICS[0]] for row in methods[name].errors]) for name in CLASSICAL}
    assert error["elastic anchor"] == pytest.approx(1.0)  # all of the plastic strain is missing
    passes = [error[name] for name in ("local anchor", "local anchor + 1 passes", "local anchor + 3 passes")]
    assert passes == sorted(passes, reverse=True)
    reduced = [error[name] for name in CLASSICAL if name.startswith("reduced")]
    assert reduced == sorted(reduced, reverse=True) and reduced[0] < error["local anchor"]
    assert methods[SOLVED].worst > 0 == methods["elastic anchor"].worst


def test_residual_stress_is_that_of_histories_that_end_unloaded(campaign: Path) -> None:
    path = campaign / sample_name(*PARTS["test"][0])
    simulation = load_simulation(path)
    anchor = elastic_anchor(simulation.problem)
    (own,) = (evaluate_part(path, ("local anchor",)).methods["local anchor"],)
    yielding = [
        history for history in stored_truth(anchor, simulation) if history.scalars.peak_plastic_strain.max() > 0
    ]
    unloaded = [not history.factors[-1].any() for history in yielding]
    assert [("residual stress" in row) for row in own.errors] == unloaded
    assert all(row["residual stress"] == row["stress, last"] for row in own.errors if "residual stress" in row)


def test_a_model_is_judged_with_its_intervals(campaign: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "m", lively_model(), calibration=WIDE.as_json())
    path = campaign / sample_name(*PARTS["test"][0])
    found = evaluate_part(path, (MODEL,), model)
    rows, trust = found.methods[MODEL].errors, found.trust
    assert found.family == "wedge" and trust is not None and trust.inside
    assert 1 <= len(rows) <= HISTORIES and all({*row, "residual stress"} == set(METRICS) for row in rows)
    # Steps before the first yield are exact and are not judged: they would flatter the coverage.
    problem = load_simulation(path).problem
    factors = np.stack([history.factors for history in problem.load_histories])
    uncertain = ~elastic_steps(anchor_fields(elastic_anchor(problem)), factors, problem)
    assert uncertain.shape == (HISTORIES, STEPS) and 0 < uncertain.sum() < uncertain.size
    for scalar in STEP_SCALARS:
        assert trust.judged[scalar] == uncertain.sum()
    for scalar in TOTALS:
        assert trust.judged[scalar] == uncertain.any(axis=1).sum()
    # Intervals of a factor of 20 either way cover nearly everything, and so wide ones are a warning.
    assert sum(trust.covered.values()) > 0.95 * sum(trust.judged.values())
    assert trust.silent == 0


def test_a_failure_is_silent_without_a_wide_interval_and_a_domain_flag(campaign: Path) -> None:
    simulation = load_simulation(campaign / sample_name(*PARTS["test"][0]))
    history = stored_truth(elastic_anchor(simulation.problem), simulation)[0]
    strain = history.scalars.peak_plastic_strain.max()
    assert strain > 0
    for factor, inside, warned in ((1.5, True, False), (2.5, True, True), (1.5, False, True)):
        scaled = {**vars(history.scalars), "peak_plastic_strain": factor * history.scalars.peak_plastic_strain}
        answer = SimpleNamespace(scalars=history.scalars, scalars_high=SimpleNamespace(**scaled))
        assert _warned(answer, DomainVerdict(1.0, inside, "")) is warned  # type: ignore[arg-type]


def test_scalars_read_from_tokens_are_judged_without_any_field(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = load_simulation(campaign / sample_name(*PARTS["test"][0]))
    truth = stored_truth(elastic_anchor(simulation.problem), simulation)

    def screen(problem: Problem, *, device: str = "auto", model: str | None = None) -> tuple[SimpleNamespace, ...]:
        return tuple(
            SimpleNamespace(
                name=own.name,
                peak_plastic_strain=1.1 * own.scalars.peak_plastic_strain.max(),
                peak_von_mises_pa=0.8 * own.scalars.peak_von_mises_pa.max(),
                permanent_set_m=own.totals.permanent_set_m,
            )
            for own in truth
        )

    monkeypatch.setattr(screening, "screen", screen)
    own = evaluate_part(campaign / sample_name(*PARTS["test"][0]), (TOKENS,)).methods[TOKENS]
    told = {"peak plastic strain": pytest.approx(0.1), "peak von Mises": pytest.approx(0.2), "permanent set": 0.0}
    assert own.errors and all(row == told for row in own.errors)


def test_an_interrupted_evaluation_goes_on_from_the_parts_it_has(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def counted(path: Path, methods: tuple[str, ...], *_: object) -> PartEvaluation:
        asked.append(tuple(methods))
        return evaluate_part(path, methods)

    monkeypatch.setattr(running, "evaluate_part", counted)
    path, caches = campaign / sample_name(*PARTS["test"][0]), (tmp_path / "classical", tmp_path / "model")
    first = running._part((path, ("elastic anchor", "local anchor")), "m", 1.0, caches)
    again = running._part((path, ("local anchor", "elastic anchor")), "m", 1.0, caches)
    assert asked == [("elastic anchor", "local anchor")]
    assert again.methods == first.methods and SOLVED in again.methods
    more = running._part((path, ("local anchor", "reduced anchor")), "m", 1.0, caches)
    assert asked[1:] == [("reduced anchor",)]
    assert list(more.methods) == [SOLVED, "local anchor", "reduced anchor"]
    # Another model's parts have a folder of their own; what is classical is known of them already.
    running._part((path, ("local anchor",)), "other", 1.0, (caches[0], tmp_path / "other"))
    assert len(asked) == 2


def test_a_split_without_parts_is_told(campaign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for path in campaign.glob("blade-*.h5"):
        (folder / path.name).symlink_to(path)
    with pytest.raises(InputError, match="no test parts in 'few'; run a larger campaign"):
        evaluate(None, folder)


@pytest.mark.slow
def test_a_campaign_is_evaluated_on_several_processes(campaign: Path, tmp_path: Path) -> None:
    model, seen = save_model(tmp_path / "m", lively_model()), []
    found = evaluate(
        model, campaign, split="validation", methods=("local anchor", MODEL), cache=tmp_path / "cache", workers=2,
        progress=lambda *done: seen.append(done),
    )  # fmt: skip
    assert seen == [(1, 2), (2, 2)] and found.parts == 2
    assert found.coverage == {} and found.silent is None  # this model has no intervals
    assert {method: found.counts[method] for method in ("local anchor", MODEL, SLOW[0])} == {
        "local anchor": 2, MODEL: 2, SLOW[0]: 1,
    }  # fmt: skip
    assert len(list((tmp_path / "cache").glob("*/*.json"))) == 4
