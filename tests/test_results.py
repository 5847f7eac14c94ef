"""The page of results: each section stands on its figures, each bar is held against what was reached."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from surrogate.training.evaluation_table import Evaluation, combine, save_evaluation, save_json
from surrogate.training.horizon_evaluation import METRICS as FAR
from surrogate.training.horizon_evaluation import Horizon
from surrogate.training.part_evaluation import (
    METRICS,
    MODEL,
    REFINED,
    SOLVED,
    TOKENS,
    MethodErrors,
    PartEvaluation,
    Trust,
)
from surrogate.training.ranking_evaluation import LOCAL, SOLVING, RankedPart, Ranking

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def results() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location("results", DOCS / "results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(DOCS))


def evaluated(error: float = 0.02, seconds: float = 2.0) -> Evaluation:
    """Six parts on which every method is off by the same in every metric, the refined one by a tenth of it."""
    parts = []
    for number in range(6):
        off = {MODEL: error, REFINED: 0.1 * error, "local anchor": 0.6, "local anchor + 1 passes": 0.1}
        own = {name: MethodErrors([dict.fromkeys(METRICS, value)], 1.0, number + 1.0) for name, value in off.items()}
        own |= {
            MODEL: MethodErrors(own[MODEL].errors, seconds, number + 1.0),
            SOLVED: MethodErrors([], 0.0, number + 1.0),
        }
        scalars = dict.fromkeys(("peak von Mises", "peak plastic strain", "permanent set"), error)
        own[TOKENS] = MethodErrors([scalars], 0.1, -number)
        parts.append(PartEvaluation(f"p{number}", "flat", own, Trust({"peak": 9}, {"peak": 10}, True, 1, 1)))
    return combine(parts)


def test_a_bar_is_met_number_by_number_and_its_neighbours_are_shown(results: ModuleType) -> None:
    rows = {row.what: row for row in results.accuracy_bars(evaluated(0.04))}
    assert rows["world model: plastic strain, peak"].met == (True, True)
    assert rows["world model: stress, peak"].met == (False, True)  # 0.04 is over 0.03 and within 0.08
    assert rows["world model: stress, peak"].beside == ("60 / 60 %", "", "10 / 10 %")
    assert rows["world model, refined: stress, peak"].allowed == pytest.approx((0.01, 0.08 / 3))
    assert rows["world model, refined: stress, peak"].met == (True, True)
    assert rows["world model, straight from tokens: peak von Mises"].met == (False, True)
    assert "world model, straight from tokens: stress, peak" not in rows


def test_a_left_out_family_may_be_twice_as_far_off(results: ModuleType) -> None:
    rows = {row.what: row for row in results.accuracy_bars(evaluated(), evaluated(0.05))}
    assert rows["left-out family: stress, peak"].allowed == (0.06, 0.16)
    assert rows["left-out family: stress, peak"].met == (True, True)


def test_equal_time_is_the_best_classical_method_that_is_no_slower(results: ModuleType) -> None:
    assert results.equal_time(evaluated(seconds=2.0)) == "local anchor + 1 passes"
    assert results.equal_time(evaluated(seconds=0.5)) is None


def test_more_recall_is_better_and_less_growth(results: ModuleType) -> None:
    def part(recall: float) -> RankedPart:
        return RankedPart(recall, 0.99, 0.0, 0.01, 0.02, 1.0)

    ranking = Ranking(200, {"a": {LOCAL: part(0.8), TOKENS: part(1.0)}, "b": {LOCAL: part(1.0), TOKENS: part(0.8)}})
    for own in ranking.parts.values():
        own[SOLVING] = part(1.0)
    recall, solved, spearman, variants = results.ranking_bars(ranking, evaluated())
    assert (recall.reached, recall.met, recall.beside[0]) == ((0.9,), (False,), "0.900")
    assert (solved.reached, solved.met, solved.beside) == ((1.0,), (True,), recall.beside)
    assert spearman.met == (True,)
    assert variants.met == (False,) and variants.beside[0] == "1.000"  # the tokens turn the order round
    horizon = Horizon(1, (20, 60), {MODEL: {metric: [(0.1, 0.14)] for metric in FAR}})
    assert [row.met for row in results.horizon_bars(horizon)] == [(False,), (False,)]


def test_a_section_appears_with_its_figures_and_what_is_said_of_it(results: ModuleType, tmp_path: Path) -> None:
    assert results.page(tmp_path).count("\n## ") == 0
    save_evaluation(evaluated(), tmp_path / "evaluation.json")
    horizon = Horizon(1, (20, 60), {MODEL: {metric: [(0.1, 0.12)] for metric in FAR}})
    save_json(horizon.as_json(), tmp_path / "horizon.json")
    tuned = {"base": {"peak_median": 0.2}, "tuned": {"peak_median": 0.1}, "test_parts": 4}
    protocol = {"base_steps": 8, "own_steps": 4, "family": "flat", "own_parts": 2}
    (tmp_path / "fine_tuning.json").write_text(json.dumps({**tuned, "protocol": protocol}))
    pair = {"peak": [0.4, 0.8]}
    row = {"family": "flat", "start": "local", "other_parts": 9, "own_parts": 3, "test_parts": 2, "anchor": pair}
    row |= {"before": pair, "after": {"peak": [0.1, 0.2]}, "alone": pair}
    weaker = {"steps": 8, "own_steps": 4, "rows": [row]}
    (tmp_path / "fine_tuning_tokens.json").write_text(json.dumps(weaker))
    (tmp_path / "results_verdicts.md").write_text("# head\n\n## Bars\n\nAll is well.\n\n## Later\n\nNot yet.\n")
    page = results.page(tmp_path)
    titles = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert titles == [
        "Bars", "Every method on the test parts", "By family", "The five worst parts",
        "Whether it says when it is wrong", "Ranking the variants of a family",
        "Beyond the horizon of training", "Fine-tuning on a new family", "Fine-tuning a weaker start", "Later",
    ]  # fmt: skip
    assert (
        "| flat, local | 9, 3, 2 | peak | 40.0 / 80.0 | 40.0 / 80.0 | 10.0 / 20.0 | 40.0 / 80.0 | 0.25 (0.25 to 0.25) |"
        in page
    )
    assert "## Bars\n\nAll is well.\n\nMedian / 90th percentile." in page
    assert "silently so, with neither a wide interval nor a domain flag, in 100.0%" in page
    assert "| peak median | 20.00 | 10.00 | 0.50 |" in page
    # Every row of a table has as many cells as its head.
    for block in page.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines() if line.startswith("|")}) <= 1


def test_competitors_that_do_not_tell_a_metric_leave_its_cell_empty(results: ModuleType, tmp_path: Path) -> None:
    errors = {"plastic strain, peak": [0.1, 0.2, 0.3], "permanent set": None}
    network = {"errors": errors, "parameters": 1234, "training_cpu_seconds": 5, "inputs": "positions"}
    few = {"errors": {"plastic strain, peak": None, "permanent set": [0.5, 0.6, 0.7]}}
    held = {
        "test_parts": ["a"], "histories": 4, "training_parts": 9, "measures": "relative errors",
        "methods": {"net": network, "rule": few},
    }  # fmt: skip
    (tmp_path / "rivals.json").write_text(json.dumps(held))
    lines = results.rivals_section(tmp_path / "rivals.json").splitlines()
    assert "| net | 1,234 | 5 | 10 / 20 / 30 |  |" in lines
    assert "| rule |  |  |  | 50 / 60 / 70 |" in lines
    assert lines[-1] == "- *net* reads positions."
