"""How errors grow over histories longer than those of training.

The first steps of a long history, as many as a history of training has, are answered as a history of their own, and
then the whole; errors at the end of both are compared. Shape letters: T steps, P points.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import HistoryFields
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.error_norms import relative_l2, stored_index
from surrogate.physics.peak import peak_step
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.reduced_span import plain_rounds
from surrogate.serving.service import predict
from surrogate.training.baselines import local_anchor, reduced_histories
from surrogate.training.drawn_truth import HORIZON_PARTS, DrawnTruth, horizon_truth, truth_folder
from surrogate.training.part_evaluation import AT_REST, ENRICHMENTS, MODEL, PLASTIC_SHARE, reduced_name

METHODS = ("local anchor", *(reduced_name(k) for k in ENRICHMENTS), AT_REST, MODEL)
METRICS = ("plastic strain, peak", "plastic strain, last", "peak plastic strain")
Pair = tuple[float, float]


@dataclass(frozen=True)
class Horizon:
    """Errors at the horizon of training and beyond.

    Attributes:
        parts: number of parts.
        steps: of training, and of the whole.
        errors: of each method and metric, relative errors of each history after the first steps and at the end.
    """

    parts: int
    steps: tuple[int, int]
    errors: dict[str, dict[str, list[Pair]]]

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    def quantile(self, method: str, metric: str, level: float) -> Pair:
        """A quantile over the histories of the error after the first steps and at the end."""
        pairs = np.array(self.errors[method][metric])
        short, whole = np.quantile(pairs, level, axis=0)
        return float(short), float(whole)

    def growth(self, method: str, metric: str) -> float:
        """Median error at the end over the median error after the first steps."""
        short, whole = self.quantile(method, metric, 0.5)
        return whole / short


def far(
    model: str | None,
    data: Path,
    *,
    limit: int | None = None,
    methods: tuple[str, ...] = (),
    truth: Path | None = None,
    steps: int = 20,
    times: int = 3,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Horizon:
    """Answer long histories of some test parts.

    Args:
        model: name of a shipped model, or a folder.
        data: folder of a campaign.
        limit: at most so many parts.
        methods: how the names of those that answer begin; all of METHODS where none is given.
        truth: where solved histories are kept; what is missing is solved.
        steps: of a history of training.
        times: how many times as long the histories are.
        progress: called with parts done and in all.

    Raises:
        InputError: no test parts, or no history that yields within its first steps.
    """
    chosen = [name for name in METHODS if not methods or name.startswith(methods)]
    errors: dict[str, dict[str, list[Pair]]] = {name: {metric: [] for metric in METRICS} for name in chosen}
    count, done = min(limit or HORIZON_PARTS, HORIZON_PARTS), 0
    solved = horizon_truth(data, truth or truth_folder(data, "horizon"), HORIZON_PARTS, steps=steps, times=times)
    for drawn in islice(solved, count):
        _add(errors, drawn, model, (steps, times * steps))
        done += 1
        progress(done, count)
    if not any(pairs for own in errors.values() for pairs in own.values()):
        raise InputError(f"no history of {done} parts yields in its first {steps} steps; take more parts")
    return Horizon(done, (steps, times * steps), errors)


def _add(errors: dict[str, dict[str, list[Pair]]], drawn: DrawnTruth, model: str | None, ends: tuple[int, int]) -> None:
    """Errors of every history of a part that yields within the first steps."""
    stored = load_simulation(drawn.path).problem
    least = PLASTIC_SHARE * stored.material.yield_strength_pa / stored.material.youngs_modulus_pa
    anchor = elastic_anchor(stored)
    for index, factors in enumerate(drawn.factors):
        if drawn.scalars.peak_plastic_strain[index, ends[0] - 1] <= least:
            continue
        for name, own in errors.items():
            both = []
            for end in ends:
                problem = replace(stored, load_histories=(LoadHistory("row", factors[:end]),))
                both.append(_errors(_answer(name, anchor, problem, model), drawn, index, end, anchor))
            for metric in METRICS:
                own[metric].append((both[0][metric], both[1][metric]))


def _answer(name: str, anchor: ElasticAnchor, problem: Problem, model: str | None) -> HistoryFields:
    if name == MODEL:
        return predict(problem, model=model).histories[0]
    if name == "local anchor":
        return local_anchor(anchor, problem)[0]
    plain = {reduced_name(k): plain_rounds(k) for k in ENRICHMENTS}
    return reduced_histories(anchor, problem, plain.get(name))[0]


def _errors(answer: HistoryFields, drawn: DrawnTruth, index: int, end: int, anchor: ElasticAnchor) -> dict[str, float]:
    """At the peak of the first `end` steps and at the last of them."""
    volumes = anchor.system.volumes
    first = drawn.first_steps(index, end)
    places = {"plastic strain, peak": peak_step(first), "plastic strain, last": end - 1}
    found = {}
    for metric, step in places.items():
        true = drawn.state(index, step, volumes.size).plastic_strain.T.reshape(*volumes.shape, 6)
        found[metric] = relative_l2(answer.plastic_strain[stored_index(answer, step)], true, volumes)
    value = float(answer.scalars.peak_plastic_strain.max())
    true_value = float(first.peak_plastic_strain.max())
    return {**found, "peak plastic strain": abs(value - true_value) / true_value}


def load_horizon(values: dict[str, object]) -> Horizon:
    """The inverse of `as_json`."""
    parts, steps, errors = values["parts"], values["steps"], values["errors"]
    assert isinstance(parts, int) and isinstance(steps, list | tuple) and isinstance(errors, dict)
    first, whole = steps
    pairs = {name: {m: [(a, b) for a, b in own[m]] for m in own} for name, own in errors.items()}
    return Horizon(parts, (int(first), int(whole)), pairs)


def horizon_text(horizon: Horizon) -> str:
    """As Markdown: a row for each method."""
    first, whole = horizon.steps
    count = max(len(pairs) for own in horizon.errors.values() for pairs in own.values())
    lines = [
        f"{count} histories of {horizon.parts} parts; relative errors in per cent, median / 90th percentile, after "
        f"{first} steps, after {whole}, and the ratio of the medians\n",
        "| method | " + " | ".join(METRICS) + " |",
        "| --- |" + " --- |" * len(METRICS),
    ]
    for method in horizon.errors:
        cells = []
        for metric in METRICS:
            median, high = horizon.quantile(method, metric, 0.5), horizon.quantile(method, metric, 0.9)
            spans = [f"{100 * m:.1f} / {100 * h:.1f}" for m, h in zip(median, high, strict=True)]
            cells.append(f"{spans[0]}, {spans[1]}, **{horizon.growth(method, metric):.2f}**")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
