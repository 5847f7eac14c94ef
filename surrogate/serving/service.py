"""The service's one trip: a problem in, `Fields` out. Each step is one line in `_answer`.

Shape letters: H histories, T steps, S decoded states, M tokens, P quadrature points, n free unknowns.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from surrogate.fields import BoolArray, Fields, FloatArray, HistoryFields, IntArray, Method, ModelIdentity
from surrogate.model.anchor_path import AnchorFields, anchor_fields, pad_factors
from surrogate.model.checkpoint import DESCRIPTION, load_checkpoint
from surrogate.model.decoder import LocalState, PlasticField
from surrogate.model.device import choose_device
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import GraphJepa
from surrogate.model.local_state import displacement_reference, local_states, token_actions
from surrogate.model.rollout import PartRequest, RolledPart, decode, roll_out
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.problem import Problem
from surrogate.physics.solver import SolverSettings, solve, solve_histories
from surrogate.serving.answer import PredictedStates, assemble_histories, decoded_states, elastic_steps
from surrogate.serving.calibration import Calibration, floors, with_intervals
from surrogate.serving.domain import Domain, domain_features
from surrogate.serving.registry import find_model

Fidelity = Literal["surrogate", "refined", "solved", "auto"]
Progress = Callable[[str, float], None]
# Equilibrium passes a step of fidelity "refined".
REFINING_PASSES = 2
# "auto" solves where the interval of the peak plastic strain is wider than this factor either way.
_WIDE_INTERVAL = 2.0


@dataclass(frozen=True)
class _Model:
    network: GraphJepa
    identity: ModelIdentity
    device: torch.device
    calibration: Calibration | None
    domain: Domain | None


@dataclass(frozen=True)
class _Prepared:
    """A problem with its anchor and what the network reads of it."""

    problem: Problem
    anchor: ElasticAnchor
    fields: AnchorFields
    factors: FloatArray
    graph: PartGraph
    request: PartRequest
    reference: FloatArray
    seconds: dict[str, float]


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
        fidelity: "surrogate" is one equilibrated decode; "refined" adds equilibrium passes; "solved" is the reference;
            "auto" predicts and solves where the model should not be believed.
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
    loaded = _loaded(model, device)
    prepared = [_prepare(problem, loaded, report) for problem in problems]
    report("rollout", 0.0)
    started = time.perf_counter()
    rolled = roll_out(loaded.network, [item.request for item in prepared], loaded.device)
    seconds = (time.perf_counter() - started) / len(prepared)
    answers = []
    for item, part in zip(prepared, rolled, strict=True):
        answer = _answer(replace(item, seconds={**item.seconds, "rollout": seconds}), part, loaded, fidelity, report)
        if fidelity == "auto" and _unsure(answer):
            answer = replace(solve(item.problem, progress=report), warnings=_why_solved(answer))
        answers.append(answer)
    return tuple(answers)


def _loaded(model: str | None, device: str) -> _Model:
    """A model, read again where it was trained or calibrated anew since."""
    folder = find_model(model)
    return _load(folder, device, (folder / DESCRIPTION).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(folder: Path, device: str, changed: int) -> _Model:
    # Each device has a copy of its own, since a module moves as a whole.
    checkpoint = load_checkpoint(folder)
    place = choose_device(device)
    description = checkpoint.description
    calibration, domain = description.get("calibration"), description.get("domain")
    return _Model(
        checkpoint.model.to(place),
        ModelIdentity(folder.name, str(description.get("version", "0"))),
        place,
        Calibration.from_json(calibration) if isinstance(calibration, dict) else None,
        Domain.from_json(domain) if isinstance(domain, dict) else None,
    )


def _prepare(problem: Problem, model: _Model, report: Progress) -> _Prepared:
    config = model.network.config
    report("anchor", 0.0)
    started = time.perf_counter()
    anchor = elastic_anchor(problem)
    fields = anchor_fields(anchor)
    anchored = time.perf_counter()
    report("encode", 0.0)
    factors = pad_factors([history.factors for history in problem.load_histories])
    flat = factors.reshape(-1, factors.shape[-1])
    graph = build_part_graph(problem, fields, flat, config.tokens, config.gate)
    actions = token_actions(graph, fields, factors)
    features, reference = displacement_reference(fields, factors, actions)
    seconds = {"anchor": anchored - started, "encode": time.perf_counter() - anchored}
    request = PartRequest(graph, actions, features)
    return _Prepared(problem, anchor, fields, factors, graph, request, reference, seconds)


def _answer(item: _Prepared, part: RolledPart, model: _Model, fidelity: Fidelity, report: Progress) -> Fields:
    """From the rollout to the answer: decode, equilibrate, calibrate, judge."""
    clock = _Clock(item.seconds)
    exact = elastic_steps(item.fields, item.factors, item.problem)
    every = fidelity == "refined" or item.factors[..., 0].size <= SolverSettings().stored_steps
    wanted = decoded_states(item.problem, item.request.actions, exact, every=every)
    report("decode", 0.0)
    local = local_states(item.graph, item.fields, item.factors, wanted)
    field = _decode(model, item.graph, part, local, wanted, exact)
    clock.lap("decode")
    report("equilibrium", 0.0)
    states = PredictedStates(wanted, field, part.scalars, exact, item.reference)
    histories = assemble_histories(item.problem, item.anchor, item.graph, states)
    if fidelity == "refined":
        histories = _refined(item, histories, report)
    clock.lap("equilibrium")
    histories = histories if fidelity == "refined" else _calibrated(item, histories, exact, model)
    timings = {**clock.seconds, "total": sum(clock.seconds.values())}
    verdict = (
        model.domain.verdict(problem_features(item.graph, item.fields, item.problem, histories))
        if model.domain
        else None
    )
    warnings = () if verdict is None or verdict.inside else (f"outside the model's training domain: {verdict.reason}",)
    method: Method = "refined" if fidelity == "refined" else "surrogate"
    return Fields(method, histories, item.fields.volumes, timings, warnings, verdict, model.identity)


def _decode(
    model: _Model, graph: PartGraph, part: RolledPart, local: LocalState, wanted: IntArray, exact: BoolArray
) -> PlasticField:
    """Decode, with exactly no plastic strain where no point of the part has reached yield so far."""
    field = decode(model.network, graph, part, local, wanted, model.device)
    keep = torch.from_numpy(~exact[wanted[:, 0], wanted[:, 1]]).to(field.equivalent)
    return PlasticField(field.strain * keep[:, None, None, None], field.equivalent * keep[:, None, None])


def _refined(item: _Prepared, histories: tuple[HistoryFields, ...], report: Progress) -> tuple[HistoryFields, ...]:
    """A few equilibrium passes a step, each step started from the predicted displacement."""
    settings = SolverSettings(modified_iterations=REFINING_PASSES, stop_after_modified=True)
    freedom, count = item.anchor.system.freedom, item.factors.shape[1]
    guesses = np.zeros((len(histories), count, freedom.shape[1]))
    for i, history in enumerate(histories):
        # The basis is orthonormal, so its transpose takes displacements back to unknowns.
        guesses[i, history.steps] = np.asarray(freedom.T @ history.displacement.reshape(len(history.steps), -1).T).T
    return solve_histories(
        item.anchor, item.problem.load_histories, settings, lambda done: report("equilibrium", done), guesses
    )


def _calibrated(
    item: _Prepared, histories: tuple[HistoryFields, ...], exact: BoolArray, model: _Model
) -> tuple[HistoryFields, ...]:
    if model.calibration is None:
        return histories
    bounds = floors(item.problem.material, float(item.reference.max()))
    calibration = model.calibration
    return tuple(
        with_intervals(history, calibration, bounds, item.problem.material, exact[i, : len(history.factors)])
        for i, history in enumerate(histories)
    )


def domain_features_of(problem: Problem, answer: Fields, model: str | None = None) -> FloatArray:
    """Features of a problem and its predicted answer, in the order of `domain.FEATURES`."""
    item = _prepare(problem, _loaded(model, "cpu"), lambda stage, done: None)
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
