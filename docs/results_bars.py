"""The bars that the world model has to reach, and what of them is reached; read from measured figures only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from surrogate.training.evaluation_table import Evaluation
from surrogate.training.horizon_evaluation import Horizon
from surrogate.training.part_evaluation import CLASSICAL, METRICS, MODEL, REFINED, TOKENS
from surrogate.training.ranking_evaluation import SOLVING, Ranking

# Median and 90th percentile allowed on parts of known families.
LIMITS = {
    "plastic strain, peak": (0.12, 0.30),
    "plastic strain, last": (0.12, 0.30),
    "stress, peak": (0.03, 0.08),
    "residual stress": (0.10, 0.25),
    "displacement, peak": (0.01, 0.03),
    "permanent set": (0.05, 0.15),
    "peak von Mises": (0.03, 0.08),
    "99.9 % von Mises": (0.03, 0.08),
}
TOKEN_LIMITS = {"peak plastic strain": (0.08, 0.20), "permanent set": (0.08, 0.20), "peak von Mises": (0.03, 0.08)}
REFINED_SHARE, LEFT_OUT, FARTHER, RANKED = 1 / 3, 2.0, 1.3, 0.98
BESIDE = ("local anchor", "reduced anchor + 1 enrichment")


@dataclass(frozen=True)
class BarRow:
    """One bar.

    Attributes:
        what: is measured.
        allowed: median and 90th percentile, or one number.
        reached: the same numbers.
        beside: what classical methods reach, in words.
        least: whether more is better.
    """

    what: str
    allowed: tuple[float, ...]
    reached: tuple[float, ...]
    beside: tuple[str, ...] = ()
    least: bool = False

    @property
    def met(self) -> tuple[bool, ...]:
        """Of each number."""
        sign = -1.0 if self.least else 1.0
        return tuple(sign * mine <= sign * bar for mine, bar in zip(self.reached, self.allowed, strict=True))


def equal_time(evaluation: Evaluation, method: str = MODEL) -> str | None:
    """The most accurate classical method, by the plastic strain at the peak, of those no slower than a method."""
    able = [name for name in CLASSICAL if evaluation.seconds.get(name, np.inf) <= evaluation.seconds[method]]
    return min(able, key=lambda name: evaluation.table[name][METRICS[0]][0], default=None)


def accuracy_bars(evaluation: Evaluation, left_out: Evaluation | None = None) -> Iterator[BarRow]:
    """Bars on errors: of the model as it answers first, refined, straight from tokens, and on a left-out family."""
    sources = [(MODEL, evaluation, LIMITS, 1.0), (REFINED, evaluation, LIMITS, REFINED_SHARE)]
    if left_out is not None:
        sources.append((MODEL, left_out, LIMITS, LEFT_OUT))
    sources.append((TOKENS, evaluation, TOKEN_LIMITS, 1.0))
    for method, source, limits, share in sources:
        for metric, limit in limits.items():
            reached = source.table.get(method, {}).get(metric)
            if reached is None:
                continue
            title = "left-out family" if source is left_out else method
            beside = tuple(_pair(source, name, metric) for name in (*BESIDE, equal_time(source) or ""))
            yield BarRow(f"{title}: {metric}", tuple(share * value for value in limit), reached[:2], beside)


def _pair(evaluation: Evaluation, method: str, metric: str) -> str:
    found = evaluation.table.get(method, {}).get(metric)
    return "" if found is None else percent(found[:2])


def horizon_bars(horizon: Horizon) -> Iterator[BarRow]:
    """Bars on how errors grow beyond the horizon of training."""
    first, whole = horizon.steps
    for metric in ("plastic strain, peak", "plastic strain, last"):
        if MODEL in horizon.errors:
            beside = tuple(
                f"{horizon.growth(name, metric):.2f}" if name in horizon.errors else "" for name in (*BESIDE, "")
            )
            what = f"error after {whole} steps over that after {first}: {metric}"
            yield BarRow(what, (FARTHER,), (horizon.growth(MODEL, metric),), beside)


def ranking_bars(ranking: Ranking | None, evaluation: Evaluation | None) -> Iterator[BarRow]:
    """Bars on finding the worst histories, and the worst variants of a family."""
    if ranking is not None and TOKENS in ranking.methods():
        known = ranking.methods()
        recall = tuple(f"{ranking.mean_recall(name):.3f}" if name in known else "" for name in (*BESIDE, ""))
        what = f"recall of the 5 worst of {ranking.histories} histories"
        for method in (TOKENS, SOLVING):
            if method in known:
                told = what if method == TOKENS else f"{what} ({method})"
                yield BarRow(told, (RANKED,), (ranking.mean_recall(method),), recall, least=True)
        ranks = tuple(f"{ranking.median(name, 'spearman'):.3f}" if name in known else "" for name in (*BESIDE, ""))
        what = f"Spearman over {ranking.histories} histories, median of the parts"
        yield BarRow(what, (RANKED,), (ranking.median(TOKENS, "spearman"),), ranks, least=True)
    if evaluation is not None:
        method = TOKENS if evaluation.variants.get(TOKENS) else MODEL
        if evaluation.variants.get(method):
            beside = tuple(_variants(evaluation, name) for name in (*BESIDE, equal_time(evaluation) or ""))
            mine = float(np.median(list(evaluation.variants[method].values())))
            what = f"Spearman over the variants of a family, median of the families ({method})"
            yield BarRow(what, (RANKED,), (mine,), beside, least=True)


def _variants(evaluation: Evaluation, method: str) -> str:
    found = list(evaluation.variants.get(method, {}).values())
    return f"{np.median(found):.3f}" if found else ""


def percent(values: Iterable[float]) -> str:
    """Shares as per cent, with the digits that tell something."""
    return " / ".join(f"{100 * value:.0f}" if value >= 0.995 else f"{100 * value:.2g}" for value in values) + " %"


def _numbers(row: BarRow, values: tuple[float, ...]) -> str:
    return f"{values[0]:.3g}" if len(values) == 1 else percent(values)


def bars_table(rows: list[BarRow], during: str | None) -> str:
    """The bars as Markdown.

    Args:
        rows: of the table.
        during: the method that a classical engineer would run in the same time.
    """
    titles = (*BESIDE, f"at equal time ({during})" if during else "at equal time")
    lines = [
        "| bar | allowed | reached | met | " + " | ".join(titles) + " |",
        "| --- |" + " --- |" * (3 + len(titles)),
    ]
    for row in rows:
        met = " / ".join("yes" if met else "**no**" for met in row.met)
        sign = "at least " if row.least else ""
        beside = " | ".join([*row.beside, *[""] * (len(titles) - len(row.beside))])
        lines.append(
            f"| {row.what} | {sign}{_numbers(row, row.allowed)} | {_numbers(row, row.reached)} | {met} | {beside} |"
        )
    reached = sum(met for row in rows for met in row.met)
    return "\n".join([*lines, "", f"{reached} of {sum(len(row.met) for row in rows)} numbers are within their bar."])
