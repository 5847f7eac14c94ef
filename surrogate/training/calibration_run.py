"""Calibrates a trained model on validation parts: conformal intervals and the edge of its domain.

Neither the weights nor the quantiles ever see a test part.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from surrogate.data.dataset import open_dataset
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.data.splits import SplitRule
from surrogate.errors import InputError
from surrogate.fields import FloatArray, HistoryFields
from surrogate.model.description import read_description, write_description
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.solver import SolverSettings
from surrogate.serving.calibration import (
    STEP_SCALARS,
    Calibration,
    fit_calibration,
    floors,
    history_scores,
    imbalance_of,
)
from surrogate.serving.domain import Domain, fit_domain
from surrogate.serving.service import domain_features_of, predict
from surrogate.training.baselines import elastic_only, fitted_factor, local_anchor, stored_truth
from surrogate.training.evaluation import in_processes

Pairs = dict[str, list[tuple[float, float]]]
# Training parts whose features, beside those of the validation parts, draw the edge of the domain.
_DOMAIN_PARTS = 60


@dataclass(frozen=True)
class _PartScores:
    """Of one validation part: (imbalance, score) pairs of each scalar, and the features of the domain check."""

    decoded: Pairs
    read: Pairs
    features: FloatArray
    local_states: list[tuple[FloatArray, FloatArray]]


def calibrate(
    model: Path,
    data: Path,
    *,
    left_out_family: str | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Calibrate a model folder in place.

    Args:
        model: the model's folder.
        data: the campaign that it was trained on.
        left_out_family: as in training.
        workers: processes.
        progress: called with parts done and in all.

    Returns:
        The calibration, which is also written into the model's description with the domain and the fitted factor of
        the local anchor.

    Raises:
        InputError: no validation parts.
    """
    dataset, rule = open_dataset(data), SplitRule(left_out_family)
    validation = [entry.path for entry in dataset.split("validation", rule).entries]
    training = [entry.path for entry in dataset.split("train", rule).entries]
    if not validation:
        raise InputError(f"no validation parts in {data.name!r}; run a larger campaign")
    chosen = training[:: max(1, len(training) // _DOMAIN_PARTS)]
    parts: list[_PartScores] = []
    for part in in_processes(partial(_score_part, model=str(model)), [*validation, *chosen], workers):
        parts.append(part)
        progress(len(parts), len(validation) + len(chosen))
    scored, seen = parts[: len(validation)], parts[len(validation) :]
    calibration = fit_calibration({kind: _joined(scored, kind) for kind in ("decoded", "read")})
    domain = fit_domain(np.array([part.features for part in parts]))
    states = [pair for part in seen for pair in part.local_states]
    factor = fitted_factor([true for true, _ in states], [local for _, local in states])
    _write(model, calibration, domain, factor)
    return calibration


def _write(model: Path, calibration: Calibration, domain: Domain, factor: float) -> None:
    description = read_description(model)
    found = {"calibration": calibration.as_json(), "domain": domain.as_json(), "local_factor": factor}
    write_description(model, {**description, **found})


def _joined(parts: list[_PartScores], kind: str) -> Pairs:
    joined: Pairs = defaultdict(list)
    for part in parts:
        for name, pairs in getattr(part, kind).items():
            joined[name] += pairs
    return dict(joined)


def _score_part(path: Path, model: str) -> _PartScores:
    simulation = load_simulation(path)
    problem = simulation.problem
    anchor = elastic_anchor(problem)
    truth = stored_truth(anchor, simulation)
    reference = max(float(h.scalars.max_displacement_m.max()) for h in elastic_only(anchor, problem))
    bounds = floors(problem.material, reference)
    answer = predict(problem, model=model)
    decoded: Pairs = defaultdict(list)
    read: Pairs = defaultdict(list)
    for mine, true in zip(answer.histories, truth, strict=True):
        place = imbalance_of(mine)
        for name, scores in history_scores(mine, true.scalars, true.totals, bounds).items():
            decoded[name] += [(place, float(score)) for score in scores]
    for mine, true in zip(_read_only(problem, model), truth, strict=True):
        place = imbalance_of(mine)
        every_step = history_scores(mine, true.scalars, true.totals, bounds)
        unread = np.setdiff1d(np.arange(len(mine.factors)), mine.steps)
        for name in STEP_SCALARS:
            read[name] += [(place, float(score)) for score in every_step[name][unread]]
    features = domain_features_of(problem, answer, model)
    return _PartScores(dict(decoded), dict(read), features, _local_states(simulation))


def _read_only(problem: Problem, model: str) -> tuple[HistoryFields, ...]:
    """The problem's histories in such a crowd that only their peak and last steps are decoded."""
    steps = sum(len(history.factors) for history in problem.load_histories)
    copies = SolverSettings().stored_steps // steps + 1
    crowd = tuple(
        LoadHistory(f"{history.name} {copy}", history.factors)
        for copy in range(copies + 1)
        for history in problem.load_histories
    )
    answer = predict(replace(problem, load_histories=crowd), model=model)
    return answer.histories[: len(problem.load_histories)]


def _local_states(simulation: Simulation) -> list[tuple[FloatArray, FloatArray]]:
    """True and local plastic strain, times root volume, at the last step of each history that yields."""
    problem = simulation.problem
    anchor = elastic_anchor(problem)
    weight = np.sqrt(anchor.system.volumes)
    states = []
    for i, local in enumerate(local_anchor(anchor, problem)):
        true = np.zeros(anchor.system.volumes.size)
        true[simulation.yielded] = simulation.equivalent_plastic_strain[i, -1]
        if true.max() > 0:
            states.append(
                ((true.reshape(weight.shape) * weight).ravel(), (local.equivalent_plastic_strain[-1] * weight).ravel())
            )
    return states
