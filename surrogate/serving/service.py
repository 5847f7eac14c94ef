"""The service's one trip: a problem in, `Fields` out. Each step is one line in `_answer`.

Shape letters: H histories, T steps, S decoded states, M tokens, P quadrature points, n free unknowns.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from surrogate.fields import BoolArray, Fields, FloatArray, HistoryFields, IntArray, Method
from surrogate.model.anchor_path import AnchorFields
from surrogate.model.anchor_state import anchor_states
from surrogate.model.decoder import PlasticField
from surrogate.model.graph import PartGraph
from surrogate.physics.problem import Problem
from surrogate.physics.solver import SolverSettings, solve
from surrogate.serving.answer import PredictedStates, assemble_histories, decoded_states, elastic_steps
from surrogate.serving.calibration import floors, with_intervals
from surrogate.serving.domain import domain_features
from surrogate.serving.prepared import LoadedModel, Prepared, Progress, loaded_model, prepare
from surrogate.serving.refining import refined
from surrogate.serving.token_reading import TokenReading, decode_restless, read_tokens
from surrogate.serving.worst_again import is_crowd, worst_again

Fidelity = Literal["surrogate", "refined", "solved", "auto"]
# "auto" solves where the interval of the peak plastic strain is wider than this factor either way.
_WIDE_INTERVAL = 2.0


def predict(
    problem: Problem,
    *,
    fidelity: Fidelity = "surrogate",
    device: str = "auto",
    model: str | None = None,
    progress: Progress | None = None,
) -> Fields:
    """Predict every load history of a problem by the world model.

    Args:
        problem: what to predict.
        fidelity: "surrogate" is one equilibrated decode; "refined" goes on with rounds of plastic modes until no
            history moves; "solved" is the reference; "auto" predicts and solves where the model should not be
            believed.
        device: "auto", "cpu" or "cuda".
        model: name of a shipped model or a model's folder; None for the newest shipped one.
        progress: called with (stage, share done).

    Returns:
        Fields with 90 % intervals and the domain verdict (none of them where solved).

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        CheckpointError: no such model.
    """
    return predict_many((problem,), fidelity=fidelity, device=device, model=model, progress=progress)[0]


def predict_many(
    problems: Sequence[Problem],
    *,
    fidelity: Fidelity = "surrogate",
    device: str = "auto",
    model: str | None = None,
    progress: Progress | None = None,
) -> tuple[Fields, ...]:
    """Predict several problems; the network rolls all of them out in one batch. Arguments as in `predict`."""
    report = progress or (lambda stage, done: None)
    if fidelity == "solved":
        return tuple(solve(problem, progress=report) for problem in problems)
    loaded = loaded_model(model, device)
    prepared = [prepare(problem, loaded, report) for problem in problems]
    report("rollout", 0.0)
    started = time.perf_counter()
    readings = read_tokens(prepared, loaded)
    seconds = (time.perf_counter() - started) / len(prepared)
    answers = []
    for item, part in zip(prepared, readings, strict=True):
        answer = _answer(replace(item, seconds={**item.seconds, "rollout": seconds}), part, loaded, fidelity, report)
        if fidelity == "auto" and _unsure(answer):
            answer = replace(solve(item.problem, progress=report), warnings=_why_solved(answer))
        answers.append(answer)
    return tuple(answers)


def _answer(
    item: Prepared,
    part: TokenReading,
    model: LoadedModel,
    fidelity: Fidelity,
    report: Progress,
    most_stored: int = SolverSettings().stored_steps,
) -> Fields:
    """From the rollout to the answer: decode, equilibrate, calibrate, judge.

    Where there are more than `most_stored` steps, only the peak and the last of each history are decoded.
    """
    clock = _Clock(item.seconds)
    exact = elastic_steps(item.fields, item.path.factors, item.problem)
    steps = item.path.factors[..., 0].size
    wanted = decoded_states(item.problem, item.request.actions, exact, every=steps <= most_stored)
    report("decode", 0.0)
    if fidelity == "refined":
        report("refine", 0.0)
        field, read = refined(item, wanted)
        clock.lap("refine")
    else:
        field = _decoded(item, part, model, wanted, exact)
        read = part.scalars if len(wanted) == steps else item.at_tokens(part.scalars)
        clock.lap("decode")
    report("equilibrium", 0.0)
    predicted = PredictedStates(wanted, _where_yielded(field, wanted, exact), read, exact, item.reference)
    histories = assemble_histories(item.problem, item.anchor, item.graph, predicted)
    clock.lap("equilibrium")
    collapsing = item.warnings()
    if fidelity != "refined":
        histories = _calibrated(item, histories, exact, model)
        if is_crowd(len(histories)):
            report("worst", 0.0)
            histories, more = _worst_again(item, model, histories)
            collapsing = tuple(dict.fromkeys((*collapsing, *more)))
            clock.lap("worst")
    timings = {**clock.seconds, "total": sum(clock.seconds.values())}
    verdict = (
        model.domain.verdict(problem_features(item.graph, item.fields, item.problem, histories))
        if model.domain
        else None
    )
    strange = () if verdict is None or verdict.inside else (f"outside the model's training domain: {verdict.reason}",)
    method: Method = "refined" if fidelity == "refined" else "surrogate"
    warnings = (*strange, *collapsing)
    return Fields(method, histories, item.fields.volumes, timings, warnings, verdict, model.identity)


def _worst_again(
    item: Prepared, model: LoadedModel, histories: tuple[HistoryFields, ...]
) -> tuple[tuple[HistoryFields, ...], tuple[str, ...]]:
    """A crowd's histories, the worst as they are answered with few others, and what is warned of these."""
    warnings: list[str] = []

    def ask(few: Sequence[int]) -> tuple[HistoryFields, ...]:
        asked = replace(item.problem, load_histories=tuple(item.problem.load_histories[i] for i in few))
        own = prepare(asked, model, _silent)
        warnings.extend(own.warnings())
        return _answer(own, read_tokens([own], model)[0], model, "surrogate", _silent, most_stored=0).histories

    told = worst_again(histories, lambda history: float(history.scalars.peak_plastic_strain.max()), ask)
    return told, tuple(warnings)


def _silent(stage: str, done: float) -> None:
    """Reports nothing."""


def _decoded(
    item: Prepared, part: TokenReading, model: LoadedModel, wanted: IntArray, exact: BoolArray
) -> PlasticField:
    """The anchor's plastic strain, of histories that it has not brought to rest the network's."""
    asked = np.flatnonzero(item.restless[wanted[:, 0]])
    states = anchor_states(item.graph, item.fields, item.path, wanted, item.anchor if len(asked) else None, asked)
    strain, equivalent = states.strain.clone(), states.equivalent.clone()
    if part.rolled is not None and len(asked):
        index = torch.from_numpy(asked)
        found = decode_restless(item, part.rolled, states.select(index), wanted[asked], model)
        strain[index], equivalent[index] = found.strain, found.equivalent
    return PlasticField(strain, equivalent)


def _where_yielded(field: PlasticField, wanted: IntArray, exact: BoolArray) -> PlasticField:
    """Exactly no plastic strain where no point of the part has reached yield so far."""
    keep = torch.from_numpy(~exact[wanted[:, 0], wanted[:, 1]]).to(field.equivalent)
    return PlasticField(field.strain * keep[:, None, None, None], field.equivalent * keep[:, None, None])


def _calibrated(
    item: Prepared, histories: tuple[HistoryFields, ...], exact: BoolArray, model: LoadedModel
) -> tuple[HistoryFields, ...]:
    if model.calibration is None:
        return histories
    bounds = floors(item.problem.material, float(item.reference.max()))
    calibration = model.calibration
    return tuple(
        with_intervals(history, calibration, bounds, exact[i, : len(history.factors)])
        for i, history in enumerate(histories)
    )


def domain_features_of(problem: Problem, answer: Fields, model: str | None = None) -> FloatArray:
    """Features of a problem and its predicted answer, in the order of `domain.FEATURES`."""
    item = prepare(problem, loaded_model(model, "cpu"), lambda stage, done: None)
    return problem_features(item.graph, item.fields, problem, answer.histories)


def problem_features(
    graph: PartGraph, fields: AnchorFields, problem: Problem, histories: Sequence[HistoryFields]
) -> FloatArray:
    """Features of a problem and its prediction for the domain check, in the order of `domain.FEATURES`."""
    yield_strain = problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    centroids = problem.mesh.points[problem.mesh.cells[:, :4]].mean(axis=1)
    weight = fields.volumes.sum(axis=1)
    centre = np.average(centroids, axis=0, weights=weight)
    gyration = np.sqrt(np.average(((centroids - centre) ** 2).sum(axis=1), weights=weight))
    plastic = max(float(history.scalars.peak_plastic_strain.max()) for history in histories)
    violation = max(float(history.scalars.equilibrium_residual.max()) for history in histories)
    return domain_features(graph, float(weight.sum() / gyration**3), plastic / yield_strain, violation)


def _unsure(answer: Fields) -> bool:
    if answer.domain is not None and not answer.domain.inside:
        return True
    for history in answer.histories:
        low, high = history.totals_low, history.totals_high
        if low is None or high is None or history.scalars_high is None:
            return True
        peak, top = history.scalars.peak_plastic_strain.max(), history.scalars_high.peak_plastic_strain.max()
        if peak > 0 and top > _WIDE_INTERVAL * peak:
            return True
    return False


def _why_solved(answer: Fields) -> tuple[str, ...]:
    reason = answer.warnings[0] if answer.warnings else "the model's interval is wide"
    return (f"solved by FEM instead of predicted: {reason}",)


class _Clock:
    """Seconds by stage."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = dict(seconds)
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
