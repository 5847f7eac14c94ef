"""How well methods find the worst of many load histories on one part, without solving them.

A history is as bad as the largest plastic strain it leaves. Shape letters: P points, H histories, T steps, K load
cases, J modes.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import local_path
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.problem import Problem
from surrogate.physics.reduced import ReducedSettings, plain_rounds, points_near_yield, reduced_anchor
from surrogate.serving import screening
from surrogate.training.drawn_truth import RANKED_PARTS, DrawnTruth, ranked_truth, truth_folder
from surrogate.training.part_evaluation import AT_REST, ENRICHMENTS, PLASTIC_SHARE, TOKENS, reduced_name

LOCAL = "local anchor"
SOLVED = 12
QUICKLY, SOLVING = "quick screening", f"quick screening, {SOLVED} worst solved"
METHODS = (LOCAL, *(reduced_name(k) for k in ENRICHMENTS), AT_REST, QUICKLY, SOLVING, TOKENS)
WORST = 5
# More plastic strain than this has no meaning at small strain: the history is past what a part is sized against.
_LARGEST = 1.0
# Doubles that the states of one block of histories may take.
_BLOCK_SIZE = 20_000_000


@dataclass(frozen=True)
class RankedPart:
    """One method on one part.

    Attributes:
        recall: share of the truly worst histories among as many that the method takes for the worst.
        spearman: correlation of the ranks over all histories.
        loss: how far the worst history that the method picks stays behind the truly worst one, share of its strain.
        median_error: median relative error of the largest plastic strain over the histories that yield.
        p90_error: its 90th percentile.
        seconds: of processor time for all histories, the elastic factor of the part not counted.
    """

    recall: float
    spearman: float
    loss: float
    median_error: float
    p90_error: float
    seconds: float


@dataclass(frozen=True)
class Ranking:
    """Methods on parts.

    Attributes:
        histories: of each part, less those of a plastic strain above one.
        parts: of each part and method.
    """

    histories: int
    parts: dict[str, dict[str, RankedPart]]

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    def mean_recall(self, method: str) -> float:
        """Share of all the worst histories of all parts that a method finds."""
        return float(np.mean([part[method].recall for part in self.parts.values() if method in part]))

    def median(self, method: str, name: str) -> float:
        """Median over the parts of one of the attributes of a method."""
        return float(np.median([getattr(part[method], name) for part in self.parts.values() if method in part]))

    def methods(self) -> tuple[str, ...]:
        """Those that ranked any part."""
        return tuple(m for m in METHODS if any(m in part for part in self.parts.values()))


def rank(
    model: str | None,
    data: Path,
    *,
    limit: int | None = None,
    methods: tuple[str, ...] = (),
    truth: Path | None = None,
    histories: int = 200,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """Rank many histories of one test part of each of some families.

    Args:
        model: name of a shipped model, or a folder.
        data: folder of a campaign.
        limit: at most so many parts.
        methods: how the names of those that rank begin; all of METHODS where none is given.
        truth: where solved histories are kept; what is missing is solved.
        histories: of each part.
        progress: called with parts done and in all.

    Raises:
        InputError: no test parts.
    """
    count, found = min(limit or RANKED_PARTS, RANKED_PARTS), {}
    chosen = [name for name in METHODS if not methods or name.startswith(methods)]
    solved = ranked_truth(data, truth or truth_folder(data, "ranking"), RANKED_PARTS, histories)
    for drawn in islice(solved, count):
        found[drawn.path.stem] = _ranked(drawn, chosen, model)
        progress(len(found), count)
    return Ranking(histories, found)


def _ranked(drawn: DrawnTruth, methods: list[str], model: str | None) -> dict[str, RankedPart]:
    every = drawn.scalars.peak_plastic_strain[:, -1]
    meant = np.flatnonzero(every <= _LARGEST)
    whole = drawn.problem(load_simulation(drawn.path).problem)
    problem = replace(whole, load_histories=tuple(whole.load_histories[i] for i in meant))
    true = every[meant]
    least = PLASTIC_SHARE * problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    elastic_anchor(problem)  # so that every method finds the factor made
    found = {}
    for method in methods:
        started = time.process_time()
        values = largest_plastic_strain(method, problem, model)
        found[method] = compared(values, true, least, time.process_time() - started)
    return found


def compared(values: FloatArray, true: FloatArray, least: float, seconds: float = 0.0) -> RankedPart:
    """How well values [H] rank histories whose true largest plastic strains are `true` [H].

    Args:
        values: of the method.
        true: of the solver.
        least: true strain from which on the relative error is told.
        seconds: that the method took.
    """
    count = min(WORST, len(true))
    mine, truly = np.argsort(-values, kind="stable")[:count], np.argsort(-true, kind="stable")[:count]
    errors = np.abs(values / np.maximum(true, 1e-300) - 1)[true > least]
    return RankedPart(
        recall=len(np.intersect1d(mine, truly)) / count,
        spearman=float(spearmanr(values, true).statistic),
        loss=float(1 - true[mine[0]] / true[truly[0]]),
        median_error=float(np.median(errors)),
        p90_error=float(np.quantile(errors, 0.9, method="higher")),
        seconds=seconds,
    )


def largest_plastic_strain(method: str, problem: Problem, model: str | None) -> FloatArray:
    """The largest equivalent plastic strain that each history leaves, by one of METHODS [H].

    Raises:
        InputError: no such method.
    """
    if method in (QUICKLY, SOLVING, TOKENS):
        solved = SOLVED if method == SOLVING else 0
        told = screening.screen(problem, quick=method != TOKENS, solved=solved, model=model)
        return np.array([history.peak_plastic_strain for history in told])
    if method not in METHODS:
        raise InputError(f"no method {method!r}; there are {', '.join(METHODS)}")
    anchor = elastic_anchor(replace(problem, load_histories=problem.load_histories[:1]))
    factors = np.stack([history.factors for history in problem.load_histories])
    strain, path, points = anchor.strain, factors, points_near_yield(anchor, factors, ReducedSettings().gate)
    if method != LOCAL:
        plain = {reduced_name(k): plain_rounds(k) for k in ENRICHMENTS}
        reduced = reduced_anchor(anchor, factors, plain.get(method))
        strain = np.concatenate([strain, reduced.strain], axis=-1)
        path, points = np.concatenate([factors, reduced.coordinates], axis=-1), reduced.points
    return _largest(anchor, strain, path, points)


def _largest(anchor: ElasticAnchor, strain: FloatArray, path: FloatArray, points: IntArray) -> FloatArray:
    """Along the strain of cases and modes, at the points that may yield, some histories at a time [H]."""
    if not len(points):
        return np.zeros(len(path))
    material, found = anchor.system.material, []
    for block in np.array_split(path, max(1, len(path) * len(points) * 13 // _BLOCK_SIZE)):
        *_, last = local_path(strain[:, points], block, material)
        found.append(last.state.equivalent.max(axis=0))
    return np.concatenate(found)


def load_ranking(values: dict[str, object]) -> Ranking:
    """The inverse of `as_json`."""
    parts, histories = values["parts"], values["histories"]
    assert isinstance(parts, dict) and isinstance(histories, int)
    return Ranking(histories, {n: {m: RankedPart(**v) for m, v in part.items()} for n, part in parts.items()})


def ranking_text(ranking: Ranking) -> str:
    """As Markdown: a row for each method."""
    lines = [
        f"{len(ranking.parts)} parts of as many families, {ranking.histories} histories each (less those whose plastic "
        "strain passes one)\n",
        f"| method | recall of the {WORST} worst | least over the parts | Spearman, median | least | error of the peak "
        "plastic strain, median / 90 % | picked as worst: behind the worst, largest | CPU s a part |",
        "| --- |" + " --- |" * 7,
    ]
    for method in ranking.methods():
        rows = [part[method] for part in ranking.parts.values() if method in part]
        off = " / ".join(f"{100 * ranking.median(method, name):.1f}" for name in ("median_error", "p90_error"))
        lines.append(
            f"| {method} | {ranking.mean_recall(method):.3f} | {min(r.recall for r in rows):.2f} | "
            f"{ranking.median(method, 'spearman'):.3f} | {min(r.spearman for r in rows):.3f} | {off} % | "
            f"{100 * max(r.loss for r in rows):.1f} % | {ranking.median(method, 'seconds'):.2f} |"
        )
    return "\n".join(lines)
