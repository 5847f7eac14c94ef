"""How accurate a model is on parts it was never trained on, beside the classical competitors.

Every method answers every history of every part; errors are against the stored FEM answer.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from surrogate.data.dataset import open_dataset
from surrogate.data.simulation_file import load_simulation
from surrogate.data.splits import Split, SplitRule
from surrogate.errors import InputError
from surrogate.fields import FloatArray, HistoryFields, IntArray
from surrogate.model.checkpoint import read_description
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.serving.calibration import STEP_SCALARS, TOTALS
from surrogate.serving.registry import find_model
from surrogate.serving.service import predict
from surrogate.training.baselines import PASSES, elastic_only, local_anchor, stored_truth, with_passes

Result = TypeVar("Result")
METRICS = (
    "plastic strain, peak",
    "plastic strain, last",
    "stress, peak",
    "stress, last",
    "displacement, peak",
    "peak von Mises",
    "99.9 % von Mises",
    "peak plastic strain",
    "permanent set",
)
# A history counts where its true plastic strain reaches this share of the yield strain; others are exact anyway.
_PLASTIC_SHARE = 0.05
# Permanent sets below this share of the largest displacement are compared as if they were this large.
_SET_FLOOR = 0.005


@dataclass(frozen=True)
class PartEvaluation:
    """Errors of one part.

    Attributes:
        name: of the part.
        family: of the part.
        errors: of each method, one row of METRICS a history.
        seconds: each method took for all histories of the part, the anchor not counted.
        covered: of each scalar, how many true values lay in their 90 % interval; exact ones are not counted.
        judged: of each scalar, how many there were.
        inside: whether the domain check took the part as inside.
    """

    name: str
    family: str
    errors: dict[str, list[list[float]]]
    seconds: dict[str, float]
    covered: dict[str, int]
    judged: dict[str, int]
    inside: bool


@dataclass(frozen=True)
class Evaluation:
    """Errors over parts.

    Attributes:
        parts: number of parts.
        histories: number of plastic histories.
        table: of each method and metric, the median, 90th percentile and worst relative error.
        seconds: of each method, median seconds a part.
        coverage: of each scalar, the share of true values in their 90 % interval.
        inside: share of the parts that the domain check takes as inside.
    """

    parts: int
    histories: int
    table: dict[str, dict[str, tuple[float, float, float]]]
    seconds: dict[str, float]
    coverage: dict[str, float]
    inside: float

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def evaluate(
    model: str | None,
    data: Path,
    *,
    split: Split = "test",
    left_out_family: str | None = None,
    limit: int | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate a model on the parts of a split.

    Args:
        model: name of a shipped model, or a folder.
        data: folder of a campaign.
        split: which parts.
        left_out_family: as in training.
        limit: at most so many parts.
        workers: processes.
        progress: called with parts done and in all.

    Raises:
        InputError: no parts in that split, or none of their histories yields.
    """
    entries = open_dataset(data).split(split, SplitRule(left_out_family)).entries
    if limit is not None:
        # Entries are sorted by family; a stride keeps all families in.
        entries = entries[:: max(1, len(entries) // limit)][:limit]
    if not entries:
        raise InputError(f"no {split} parts in {data.name!r}; run a larger campaign")
    fitted = read_description(find_model(model)).get("local_factor", 1.0)
    assert isinstance(fitted, float)
    one = partial(evaluate_part, model=model, local_factor=fitted)
    results = []
    for result in in_processes(one, [entry.path for entry in entries], workers):
        results.append(result)
        progress(len(results), len(entries))
    return combine(results)


def in_processes(function: Callable[[Path], Result], paths: list[Path], workers: int) -> Iterator[Result]:
    """Results of a function of a path, in order, on several processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, paths)


def evaluate_part(path: Path, model: str | None, local_factor: float) -> PartEvaluation:
    """All methods on one simulated part."""
    simulation = load_simulation(path)
    problem = simulation.problem
    anchor = elastic_anchor(problem)
    truth = stored_truth(anchor, simulation)
    methods: dict[str, Callable[[], Iterable[HistoryFields]]] = {
        "elastic anchor": lambda: elastic_only(anchor, problem),
        "local anchor": lambda: local_anchor(anchor, problem),
        "local anchor, one fitted factor": lambda: local_anchor(anchor, problem, local_factor),
        **{f"local anchor + {k} passes": partial(with_passes, anchor, problem, k) for k in PASSES},
        "world model": lambda: predict(problem, model=model).histories,
        "world model + 2 passes": lambda: predict(problem, model=model, fidelity="refined").histories,
    }
    answer = predict(problem, model=model)
    errors, seconds = {}, {}
    cells, volume = problem.mesh.cells, anchor.system.volumes
    yield_strain = problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    for name, method in methods.items():
        started = time.perf_counter()
        found = tuple(method())
        seconds[name] = time.perf_counter() - started
        errors[name] = [
            _errors(mine, true, volume, cells)
            for mine, true in zip(found, truth, strict=True)
            if true.scalars.peak_plastic_strain.max() > _PLASTIC_SHARE * yield_strain
        ]
    covered, judged = _coverage(answer.histories, truth)
    inside = answer.domain is None or answer.domain.inside
    return PartEvaluation(path.stem, simulation.family, errors, seconds, covered, judged, inside)


def _errors(mine: HistoryFields, true: HistoryFields, volume: FloatArray, cells: IntArray) -> list[float]:
    difference = history_difference(mine, true, volume, cells)
    assert difference is not None
    scale = max(true.totals.permanent_set_m, _SET_FLOOR * float(true.scalars.max_displacement_m.max()))
    peak_plastic = float(true.scalars.peak_plastic_strain.max())
    return [
        difference.peak.plastic_strain_rel_l2,
        difference.last.plastic_strain_rel_l2,
        difference.peak.stress_rel_l2,
        difference.last.stress_rel_l2,
        difference.peak.displacement_rel_l2,
        difference.peak.peak_von_mises_rel,
        difference.peak.p999_von_mises_rel,
        abs(float(mine.scalars.peak_plastic_strain.max()) - peak_plastic) / peak_plastic,
        abs(mine.totals.permanent_set_m - true.totals.permanent_set_m) / scale,
    ]


def _coverage(
    answers: Iterable[HistoryFields], truth: Iterable[HistoryFields]
) -> tuple[dict[str, int], dict[str, int]]:
    covered, judged = dict.fromkeys((*STEP_SCALARS, *TOTALS), 0), dict.fromkeys((*STEP_SCALARS, *TOTALS), 0)
    for mine, true in zip(answers, truth, strict=True):
        groups = ((STEP_SCALARS, mine.scalars_low, mine.scalars_high, true.scalars),)
        for names, low, high, value in (*groups, (TOTALS, mine.totals_low, mine.totals_high, true.totals)):
            if low is None or high is None:
                continue
            for name in names:
                real, least, most = (np.atleast_1d(getattr(scalars, name)) for scalars in (value, low, high))
                # Elastic steps are exact and have intervals without width; counting them would flatter the others.
                uncertain = most > least
                # The labels themselves are solved to 1e-4.
                slack = 1e-4 * np.abs(real).max() + 1e-15
                within = (real >= least - slack) & (real <= most + slack)
                covered[name] += int((within & uncertain).sum())
                judged[name] += int(uncertain.sum())
    return covered, judged


def combine(parts: list[PartEvaluation]) -> Evaluation:
    """One table from the errors of many parts.

    Raises:
        InputError: no history of any part yields.
    """
    if not any(part.errors["local anchor"] for part in parts):
        raise InputError(f"no history of {len(parts)} parts yields, so there is no error to tell; evaluate more parts")
    table = {}
    for method in parts[0].errors:
        rows = np.array([row for part in parts for row in part.errors[method]])
        table[method] = {
            metric: (
                float(np.median(rows[:, i])),
                float(np.quantile(rows[:, i], 0.9, method="higher")),
                float(rows[:, i].max()),
            )
            for i, metric in enumerate(METRICS)
        }
    judged = {name: sum(part.judged[name] for part in parts) for name in parts[0].judged}
    covered = {name: sum(part.covered[name] for part in parts) for name in parts[0].covered}
    return Evaluation(
        parts=len(parts),
        histories=sum(len(part.errors["local anchor"]) for part in parts),
        table=table,
        seconds={m: float(np.median([part.seconds[m] for part in parts])) for m in parts[0].seconds},
        coverage={name: covered[name] / judged[name] for name in judged if judged[name]},
        inside=float(np.mean([part.inside for part in parts])),
    )


def table_text(evaluation: Evaluation) -> str:
    """The table as Markdown: median / 90th percentile / worst of each error, per cent, and seconds a part."""
    shown = METRICS
    lines = [
        "| method | " + " | ".join(shown) + " | s a part |",
        "| --- |" + " --- |" * (len(shown) + 1),
    ]
    for method, metrics in evaluation.table.items():
        cells = [" / ".join(f"{100 * value:.1f}" for value in metrics[m]) for m in shown]
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {evaluation.seconds[method]:.2f} |")
    return "\n".join(lines)


def evaluation_text(evaluation: Evaluation) -> str:
    """The table with what it is of, and the coverage of the intervals."""
    coverage = ", ".join(f"{name} {100 * share:.0f} %" for name, share in evaluation.coverage.items())
    return (
        f"{evaluation.parts} parts, {evaluation.histories} histories that yield; relative errors in per cent, "
        f"median / 90th percentile / worst\n{table_text(evaluation)}\n"
        f"true values in their 90 % interval: {coverage or 'not calibrated'}\n"
        f"parts judged inside of the training domain: {100 * evaluation.inside:.0f} %"
    )


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` wrote.

    Raises:
        InputError: not an evaluation.
    """
    try:
        return Evaluation(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is not an evaluation ({error}); run `surrogate evaluate --out` again") from error


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the evaluation as JSON."""
    path.write_text(json.dumps(evaluation.as_json(), indent=1) + "\n")
