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
from surrogate.model.anchor_path import AnchorFields, AnchorPath, anchor_fields, anchor_path, pad_factors
from surrogate.model.anchor_state import (
    anchor_states,
    displacement_reference,
    plastic_state,
    token_actions,
)
from surrogate.model.checkpoint import DESCRIPTION, load_checkpoint
from surrogate.model.decoder import AnchorState, PlasticField, TokenScalars
from surrogate.model.device import choose_device
from surrogate.model.graph import PartGraph, build_part_graph
from surrogate.model.jepa import GraphJepa
from surrogate.model.rollout import PartRequest, RolledPart, decode, roll_out
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.problem import Problem
from surrogate.physics.reduced import (
    ReducedAnchor,
    ReducedSettings,
    enriched,
    plastic_modes,
    plastic_snapshots,
    points_near_yield,
    reduced_anchor,
    representative_histories,
)
from surrogate.physics.solver import SolverSettings, solve
from surrogate.serving.answer import (
    PredictedStates,
    assemble_histories,
    decoded_states,
    elastic_peaks,
    elastic_steps,
)
from surrogate.serving.calibration import Calibration, floors, with_intervals
from surrogate.serving.domain import Domain, domain_features
from surrogate.serving.registry import find_model

Fidelity = Literal["surrogate", "refined", "solved", "auto"]
Progress = Callable[[str, float], None]
# Fidelity "refined" enriches the span of the reduced anchor in at most so many rounds, until one changes no history by
# more than this share of its plastic energy norm.
REFINING_ROUNDS = 4
_SETTLED = 2e-3
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
    reduced: ReducedAnchor
    fields: AnchorFields
    path: AnchorPath
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
        fidelity: "surrogate" is one equilibrated decode; "refined" integrates the part once more in a span that the
            decoded plastic strain enriches; "solved" is the reference; "auto" predicts and solves where the model
            should not be believed.
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


@dataclass(frozen=True)
class ScreenedHistory:
    """What the tokens tell of a history; no field is decoded for it.

    Attributes:
        name: of the history.
        peak_plastic_strain: largest equivalent plastic strain.
        peak_von_mises_pa: largest von Mises stress.
        permanent_set_m: largest displacement that stays after unloading.
    """

    name: str
    peak_plastic_strain: float
    peak_von_mises_pa: float
    permanent_set_m: float


def screen(problem: Problem, *, device: str = "auto", model: str | None = None) -> tuple[ScreenedHistory, ...]:
    """Read every history's peaks straight from the tokens, to rank them before any is decoded.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        CheckpointError: no such model.
    """
    loaded = _loaded(model, device)
    item = _prepare(problem, loaded, lambda stage, done: None)
    read = roll_out(loaded.network, [item.request], loaded.device)[0].scalars
    material, factors = problem.material, item.path.factors
    elastic = elastic_peaks(item.fields, factors)
    exact = np.maximum.accumulate(elastic, axis=1) <= material.yield_strength_pa
    plastic = read.plastic.amax(-1).double().numpy() * ~exact * material.yield_strength_pa / material.youngs_modulus_pa
    stress = np.where(exact, elastic, read.von_mises.amax(-1).double().numpy() * material.yield_strength_pa)
    permanent = read.permanent_set.double().numpy() * ~exact * item.reference
    return tuple(
        ScreenedHistory(
            history.name,
            float(plastic[i, : len(history.factors)].max()),
            float(stress[i, : len(history.factors)].max()),
            float(permanent[i, len(history.factors) - 1]),
        )
        for i, history in enumerate(problem.load_histories)
    )


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
    reduced = reduced_anchor(anchor, factors)
    path = anchor_path(anchor, factors, reduced)
    integrated = time.perf_counter()
    graph = build_part_graph(problem, fields, path, config.tokens, config.gate)
    actions = token_actions(graph, fields, path)
    features, reference = displacement_reference(fields, path, actions)
    seconds = {
        "anchor": anchored - started,
        "modes": integrated - anchored,
        "encode": time.perf_counter() - integrated,
    }
    request = PartRequest(graph, actions, features)
    return _Prepared(problem, anchor, reduced, fields, path, graph, request, reference, seconds)


def _answer(item: _Prepared, part: RolledPart, model: _Model, fidelity: Fidelity, report: Progress) -> Fields:
    """From the rollout to the answer: decode, equilibrate, calibrate, judge."""
    clock = _Clock(item.seconds)
    exact = elastic_steps(item.fields, item.path.factors, item.problem)
    every = item.path.factors[..., 0].size <= SolverSettings().stored_steps
    wanted = decoded_states(item.problem, item.request.actions, exact, every=every)
    report("decode", 0.0)
    states = anchor_states(item.graph, item.fields, item.path, wanted, item.anchor)
    field = _decode(model, item.graph, part, states, wanted, exact)
    clock.lap("decode")
    read = part.scalars
    if fidelity == "refined":
        report("refine", 0.0)
        field, read = _refined(item, field, wanted)
        clock.lap("refine")
    report("equilibrium", 0.0)
    predicted = PredictedStates(wanted, field, read, exact, item.reference)
    histories = assemble_histories(item.problem, item.anchor, item.graph, predicted)
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
    model: _Model, graph: PartGraph, part: RolledPart, anchor: AnchorState, wanted: IntArray, exact: BoolArray
) -> PlasticField:
    """Decode, with exactly no plastic strain where no point of the part has reached yield so far."""
    field = decode(model.network, graph, part, anchor, wanted, model.device)
    keep = torch.from_numpy(~exact[wanted[:, 0], wanted[:, 1]]).to(field.equivalent)
    return PlasticField(field.strain * keep[:, None, None, None], field.equivalent * keep[:, None, None])


def _refined(item: _Prepared, field: PlasticField, wanted: IntArray) -> tuple[PlasticField, TokenScalars]:
    """The answer of a wider span: first the decoded plastic strain enriches it, then its own answer.

    Returns:
        The plastic strain of the wanted states, and what the wider anchor reads at the tokens at every step.
    """
    factors, volumes, settings = item.path.factors, item.fields.volumes.ravel(), ReducedSettings()
    points = points_near_yield(item.anchor, factors, settings.gate)
    chosen = representative_histories(factors, settings.snapshot_histories)
    mine = np.flatnonzero(np.isin(wanted[:, 0], chosen))
    mine = mine[:: max(1, len(mine) // (settings.snapshot_histories * settings.snapshot_steps))]
    some = PlasticField(field.strain[mine], field.equivalent[mine])
    decoded = plastic_state(some, item.graph, item.problem.material, volumes.size).plastic_strain
    snapshots: FloatArray = decoded[:, points].transpose(2, 0, 1)
    reduced = item.reduced
    for _ in range(REFINING_ROUNDS):
        modes = plastic_modes(snapshots, volumes[points], settings.modes)
        if not len(modes):
            break
        reduced = enriched(item.anchor, factors, points, reduced, modes)
        change = np.linalg.norm(reduced.coordinates - reduced.earlier, axis=-1).max(axis=1)
        if (change <= _SETTLED * np.linalg.norm(reduced.coordinates, axis=-1).max(axis=1)).all():
            break
        snapshots = plastic_snapshots(
            item.anchor, points, factors[chosen], reduced.coordinates[chosen], reduced, settings
        )
    path = anchor_path(item.anchor, factors, reduced)
    states = anchor_states(item.graph, item.fields, path, wanted, None)
    actions = token_actions(item.graph, item.fields, path)
    features, _ = displacement_reference(item.fields, path, actions)
    read = TokenScalars(torch.expm1(actions[..., 5]), actions[..., 1], features[..., 0], features[..., 2])
    return PlasticField(states.strain, states.equivalent), read


def _calibrated(
    item: _Prepared, histories: tuple[HistoryFields, ...], exact: BoolArray, model: _Model
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
