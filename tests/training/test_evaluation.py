"""Errors of many parts become one table; a part is judged by what was stored of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from surrogate.data.simulation_file import load_simulation, sample_name
from surrogate.errors import InputError
from surrogate.model.anchor_path import anchor_fields
from surrogate.physics.elastic import elastic_anchor
from surrogate.serving.answer import elastic_steps
from surrogate.serving.calibration import BIN_EDGES, STEP_SCALARS, TOTALS, Calibration
from surrogate.training.evaluation import (
    METRICS,
    PartEvaluation,
    combine,
    evaluate,
    evaluate_part,
    save_evaluation,
    table_text,
)
from tests.model.parts import lively_model, save_model
from tests.training.wedges import HISTORIES, PARTS, STEPS

WIDE = Calibration(
    {name: (3.0,) * (len(BIN_EDGES) + 1) for name in (*STEP_SCALARS, *TOTALS)},
    {name: (3.0,) * (len(BIN_EDGES) + 1) for name in STEP_SCALARS},
)


def part(errors: list[float], seconds: float = 1.0, inside: bool = True, covered: int = 9) -> PartEvaluation:
    rows = [[error] * len(METRICS) for error in errors]
    methods = {"local anchor": rows, "world model": [[0.5 * error for error in row] for row in rows]}
    times = {"local anchor": seconds, "world model": 2 * seconds}
    return PartEvaluation("p", "f", methods, times, {"peak": covered, "none": 0}, {"peak": 10, "none": 0}, inside)


def test_errors_are_taken_over_histories_and_times_over_parts() -> None:
    parts = [part([0.1, 0.2, 0.3], 1.0), part([0.4], 2.0, inside=False, covered=8), part([0.9], 30.0)]
    found = combine(parts)
    assert (found.parts, found.histories) == (3, 5)
    for metric in METRICS:
        assert found.table["local anchor"][metric] == pytest.approx((0.3, 0.9, 0.9))
        assert found.table["world model"][metric] == pytest.approx((0.15, 0.45, 0.45))
    assert found.seconds == {"local anchor": 2.0, "world model": 4.0}
    assert found.coverage == {"peak": pytest.approx(26 / 30)}  # what was never judged is not listed
    assert found.inside == pytest.approx(2 / 3)


def test_the_table_has_a_row_for_each_method_in_per_cent() -> None:
    lines = table_text(combine([part([0.1, 0.2])])).splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == len(METRICS) + 3 for line in lines)
    assert lines[0].startswith("| method | plastic strain, peak |")
    assert lines[2].startswith("| local anchor | 15.0 / 20.0 / 20.0 |") and lines[2].endswith("| 1.00 |")
    assert lines[3].startswith("| world model | 7.5 / 10.0 / 10.0 |")


def test_a_part_without_plastic_history_is_counted_and_several_of_nothing_else_are_refused() -> None:
    found = combine([part([0.1]), part([])])
    assert (found.parts, found.histories) == (2, 1)
    with pytest.raises(InputError, match="no history of 2 parts yields"):
        combine([part([]), part([])])


def test_an_evaluation_is_written_as_json(tmp_path: Path) -> None:
    save_evaluation(combine([part([0.1, 0.2])]), tmp_path / "e.json")
    written = json.loads((tmp_path / "e.json").read_text())
    assert written["parts"] == 1 and written["table"]["world model"][METRICS[0]] == pytest.approx([0.075, 0.1, 0.1])


def test_a_part_is_judged_by_every_method(campaign: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "m", lively_model(), calibration=WIDE.as_json())
    name = sample_name(*PARTS["test"][0])
    found = evaluate_part(campaign / name, model, local_factor=1.5)
    assert found.family == "wedge" and found.inside
    assert set(found.errors) == set(found.seconds)
    assert {"elastic anchor", "local anchor", "local anchor + 3 passes", "world model"} < set(found.errors)
    shape = np.array(found.errors["world model"]).shape
    assert 1 <= shape[0] <= HISTORIES and shape[1] == len(METRICS)
    error = {name: np.median(np.array(rows)[:, 0]) for name, rows in found.errors.items()}
    assert error["elastic anchor"] == pytest.approx(1.0)  # all of the plastic strain is missing
    assert error["local anchor + 3 passes"] < error["local anchor + 1 passes"] < error["local anchor"]
    # Steps before the first yield are exact and are not judged: they would flatter the coverage.
    problem = load_simulation(campaign / name).problem
    factors = np.stack([history.factors for history in problem.load_histories])
    uncertain = ~elastic_steps(anchor_fields(elastic_anchor(problem)), factors, problem)
    assert uncertain.shape == (HISTORIES, STEPS) and 0 < uncertain.sum() < uncertain.size
    for scalar in STEP_SCALARS:
        assert found.judged[scalar] == uncertain.sum()
    for scalar in TOTALS:
        assert found.judged[scalar] == uncertain.any(axis=1).sum()
    # Intervals of a factor of 20 either way cover nearly everything.
    assert sum(found.covered.values()) > 0.95 * sum(found.judged.values())


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
    found = evaluate(model, campaign, split="validation", workers=2, progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)] and found.parts == 2
    assert found.coverage == {}  # this model has no intervals
