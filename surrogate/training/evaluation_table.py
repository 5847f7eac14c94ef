"""The errors of many parts as one table: over all histories, by family, the worst parts, what was warned of."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from surrogate.errors import InputError
from surrogate.training.part_evaluation import METHODS, METRICS, MODEL, SOLVED, PartEvaluation

Quantiles = tuple[float, float, float]
_WORST_PARTS = 5
# Ranking fewer variants of a family says little.
_FEWEST_VARIANTS = 5
_FAMILY_METRICS = ("plastic strain, peak", "stress, peak", "peak plastic strain", "permanent set")


@dataclass(frozen=True)
class WorstPart:
    """One of the parts on which the world model does worst.

    Attributes:
        name: of the part.
        family: of the part.
        errors: of each method that answered it, the largest error of the plastic strain at the peak over its histories.
        inside: whether the domain check took it as inside.
    """

    name: str
    family: str
    errors: dict[str, float]
    inside: bool


@dataclass(frozen=True)
class Evaluation:
    """Errors over parts.

    Attributes:
        parts: number of parts.
        histories: number of plastic histories.
        table: of each method and metric that it tells, the median, 90th percentile and worst relative error.
        seconds: of each method, median CPU seconds a part, the anchor not counted.
        coverage: of each scalar, the share of true values in their 90 % interval.
        inside: share of the parts that the domain check takes as inside.
        counts: number of parts that each method answered.
        families: of each family and method, the median and 90th percentile of some metrics.
        worst: the parts on which the world model does worst.
        failures: share of the histories whose peak plastic strain the world model has more than 20 % off.
        silent: share of the histories that are such failures without a warning; None without intervals.
        variants: of each method and family, Spearman's correlation over the family's parts of their largest plastic
            strain with the true one.
    """

    parts: int
    histories: int
    table: dict[str, dict[str, Quantiles]]
    seconds: dict[str, float]
    coverage: dict[str, float]
    inside: float
    counts: dict[str, int] = field(default_factory=dict)
    families: dict[str, dict[str, dict[str, tuple[float, float]]]] = field(default_factory=dict)
    worst: tuple[WorstPart, ...] = ()
    failures: float | None = None
    silent: float | None = None
    variants: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def combine(parts: list[PartEvaluation]) -> Evaluation:
    """One table from the errors of many parts.

    Raises:
        InputError: no history of any part yields.
    """
    names = [m for m in METHODS if any(m in part.methods for part in parts)]
    if not any(part.methods[m].errors for part in parts for m in part.methods):
        raise InputError(f"no history of {len(parts)} parts yields, so there is no error to tell; evaluate more parts")
    trusts = [part.trust for part in parts if part.trust]
    judged = {name: sum(t.judged[name] for t in trusts) for name in (trusts[0].judged if trusts else ())}
    covered = {name: sum(t.covered[name] for t in trusts) for name in judged}
    histories = sum(max(len(own.errors) for own in part.methods.values()) for part in parts)
    silent = [t.silent for t in trusts if t.silent is not None]
    families = sorted({part.family for part in parts})
    return Evaluation(
        parts=len(parts),
        histories=histories,
        table={m: _quantiles(_rows(parts, m)) for m in names},
        seconds={m: float(np.median([part.methods[m].seconds for part in parts if m in part.methods])) for m in names},
        coverage={name: covered[name] / judged[name] for name in judged if judged[name]},
        inside=float(np.mean([t.inside for t in trusts])) if trusts else 1.0,
        counts={m: sum(m in part.methods for part in parts) for m in names},
        families={f: _family([part for part in parts if part.family == f], names) for f in families},
        worst=_worst(parts),
        failures=sum(t.failures for t in trusts) / histories if trusts else None,
        silent=sum(silent) / histories if silent and len(silent) == len(trusts) else None,
        variants={m: _variants(parts, m, families) for m in names},
    )


def _rows(parts: list[PartEvaluation], method: str) -> list[dict[str, float]]:
    return [row for part in parts if method in part.methods for row in part.methods[method].errors]


def _quantiles(rows: list[dict[str, float]]) -> dict[str, Quantiles]:
    found = {}
    for metric in METRICS:
        values = np.array([row[metric] for row in rows if metric in row])
        if values.size:
            found[metric] = (
                float(np.median(values)),
                float(np.quantile(values, 0.9, method="higher")),
                float(values.max()),
            )
    return found


def _family(parts: list[PartEvaluation], methods: list[str]) -> dict[str, dict[str, tuple[float, float]]]:
    tables = {method: _quantiles(_rows(parts, method)) for method in methods}
    return {
        method: {metric: table[metric][:2] for metric in _FAMILY_METRICS if metric in table}
        for method, table in tables.items()
        if table
    }


def _worst(parts: list[PartEvaluation]) -> tuple[WorstPart, ...]:
    metric = METRICS[0]
    found = [
        WorstPart(
            part.name,
            part.family,
            {
                name: max(row[metric] for row in own.errors)
                for name, own in part.methods.items()
                if own.errors and metric in own.errors[0]
            },
            part.trust is None or part.trust.inside,
        )
        for part in parts
        if MODEL in part.methods and part.methods[MODEL].errors
    ]
    return tuple(sorted(found, key=lambda part: -part.errors[MODEL])[:_WORST_PARTS])


def _variants(parts: list[PartEvaluation], method: str, families: list[str]) -> dict[str, float]:
    """Spearman's correlation over the parts of each family that yield; families of few such parts are left out."""
    found = {}
    for family in families:
        pairs = [
            (part.methods[SOLVED].worst, part.methods[method].worst)
            for part in parts
            if part.family == family and method in part.methods and part.methods[SOLVED].worst > 0
        ]
        values = np.array(pairs)
        if len(pairs) >= _FEWEST_VARIANTS and np.ptp(values[:, 1]) > 0:
            found[family] = float(spearmanr(values[:, 0], values[:, 1]).statistic)
    return found


def table_text(evaluation: Evaluation) -> str:
    """The table as Markdown: median / 90th percentile / worst of each error, per cent, and CPU seconds a part."""
    lines = [
        "| method | parts | " + " | ".join(METRICS) + " | CPU s a part |",
        "| --- |" + " --- |" * (len(METRICS) + 2),
    ]
    for method, metrics in evaluation.table.items():
        cells = [" / ".join(f"{100 * v:.1f}" for v in metrics[m]) if m in metrics else "" for m in METRICS]
        count = evaluation.counts.get(method, evaluation.parts)
        lines.append(f"| {method} | {count} | " + " | ".join(cells) + f" | {evaluation.seconds[method]:.2f} |")
    return "\n".join(lines)


def evaluation_text(evaluation: Evaluation) -> str:
    """The table with what it is of, and the coverage of the intervals."""
    coverage = ", ".join(f"{name} {100 * share:.0f} %" for name, share in evaluation.coverage.items())
    lines = [
        f"{evaluation.parts} parts, {evaluation.histories} histories that yield; relative errors in per cent, "
        "median / 90th percentile / worst",
        table_text(evaluation),
        f"true values in their 90 % interval: {coverage or 'not calibrated'}",
        f"parts judged inside of the training domain: {100 * evaluation.inside:.0f} %",
    ]
    if evaluation.silent is not None and evaluation.failures is not None:
        lines.append(
            f"peak plastic strain more than 20 % off: {100 * evaluation.failures:.1f} % of the histories, "
            f"{100 * evaluation.silent:.1f} % without a warning"
        )
    return "\n".join(lines)


def load_evaluation(path: Path) -> Evaluation:
    """Read what `save_evaluation` wrote.

    Raises:
        InputError: not an evaluation.
    """
    try:
        held = json.loads(path.read_text())
        held["worst"] = tuple(WorstPart(**part) for part in held.get("worst", ()))
        return Evaluation(**held)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name} is not an evaluation ({error}); run `surrogate evaluate --out` again") from error


def save_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the evaluation as JSON."""
    save_json(evaluation.as_json(), path)


def save_json(values: dict[str, object], path: Path) -> None:
    """Write plain values as JSON."""
    path.write_text(json.dumps(values, indent=1) + "\n")
