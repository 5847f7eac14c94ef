"""From decoded plastic strain and token scalars to `HistoryFields`.

Shape letters: H histories, T steps, K load cases, S decoded states, M tokens, P quadrature points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogate.fields import BoolArray, FloatArray, HistoryFields, IntArray, StepScalars
from surrogate.model.anchor_path import AnchorFields, elastic_von_mises, elastic_von_mises_squares
from surrogate.model.anchor_state import plastic_state
from surrogate.model.decoder import PlasticField, TokenScalars
from surrogate.model.graph import PartGraph
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.equilibrium import equilibrate, imbalance, return_to_yield
from surrogate.physics.invariants import to_last
from surrogate.physics.peak import is_new_peak
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import (
    Snapshot,
    history_scalars,
    join_scalars,
    quadrature_points,
    state_scalars,
    weighted_quantile,
)

# Cells times states equilibrated at once, to bound memory.
_CHUNK = 400_000


@dataclass(frozen=True)
class PredictedStates:
    """What the network said of a part.

    Attributes:
        wanted: history and step of each decoded state, by history, then step [S, 2].
        field: their plastic strain.
        read: scalars read from the tokens at every step.
        exact: whether no point has yielded up to a step, so that its answer is exactly elastic [H, T].
        reference: largest elastic displacement so far [H, T], m.
    """

    wanted: IntArray
    field: PlasticField
    read: TokenScalars
    exact: BoolArray
    reference: FloatArray


def elastic_steps(fields: AnchorFields, factors: FloatArray, problem: Problem) -> BoolArray:
    """Whether no point of the part has reached yield up to a step [H, T]."""
    running = np.maximum.accumulate(elastic_peaks(fields, factors), axis=1)
    return running <= problem.material.yield_strength_pa


def elastic_peaks(fields: AnchorFields, factors: FloatArray) -> FloatArray:
    """Largest elastic von Mises stress of the part at load factors [H, T, K] -> [H, T], Pa."""
    form = elastic_von_mises_squares(fields.stress)
    states = factors.reshape(-1, factors.shape[-1])
    chunks = np.array_split(states, max(1, len(states) * form.shape[1] // 4_000_000))
    largest = np.concatenate([elastic_von_mises(form, chunk).max(axis=1) for chunk in chunks])
    return largest.reshape(factors.shape[:2])


def decoded_states(problem: Problem, actions: Tensor, exact: BoolArray, *, every: bool) -> IntArray:
    """The states whose fields are decoded [S, 2]: every step, or each history's peak step and last step.

    The peak step is found by the rule of `physics.peak` from the reduced anchor at the tokens' hottest points.
    """
    states = []
    for i, history in enumerate(problem.load_histories):
        steps = len(history.factors)
        plastic = actions[i, :steps, :, 5].amax(dim=1).expm1().numpy() * ~exact[i, :steps]
        stress = actions[i, :steps, :, 0].amax(dim=1).numpy()
        peak, held = 0, (-1.0, -1.0)
        for step in range(steps):
            level = float(plastic[step]), float(stress[step])
            if is_new_peak(*level, *held):
                peak, held = step, level
        chosen = range(steps) if every else sorted({peak, steps - 1})
        states += [(i, step) for step in chosen]
    return np.array(states, dtype=np.int64)


def assemble_histories(
    problem: Problem, anchor: ElasticAnchor, graph: PartGraph, states: PredictedStates
) -> tuple[HistoryFields, ...]:
    """Equilibrate the decoded states and put every history together."""
    snapshots, residuals = _equilibrated(problem, anchor, graph, states)
    positions, form = quadrature_points(anchor.system), elastic_von_mises_squares(anchor.stress)
    result = []
    for i, history in enumerate(problem.load_histories):
        mine = np.flatnonzero(states.wanted[:, 0] == i)
        kept = [snapshots[s] for s in mine]
        exact = [state_scalars(anchor.system, positions, snapshots[s], residuals[s]) for s in mine]
        scalars = _every_step(problem, anchor, form, graph, states, i, history, kept, exact, positions)
        result.append(_history(anchor, history, kept, scalars))
    return tuple(result)


def _equilibrated(
    problem: Problem, anchor: ElasticAnchor, graph: PartGraph, states: PredictedStates
) -> tuple[list[Snapshot], list[float]]:
    """Every decoded state: displacement in equilibrium, stress brought back to yield, and the imbalance of that."""
    system = anchor.system
    points = system.volumes.size
    chunk = max(1, _CHUNK // points)
    snapshots: list[Snapshot] = []
    residuals: list[float] = []
    for first in range(0, len(states.wanted), chunk):
        rows = states.wanted[first : first + chunk]
        part = slice(first, first + len(rows))
        field = PlasticField(states.field.strain[part], states.field.equivalent[part])
        state = plastic_state(field, graph, problem.material, points)
        factors = np.stack([problem.load_histories[h].factors[t] for h, t in rows], axis=1)  # [K, S]
        found = equilibrate(system, anchor.forces @ factors, state.plastic_strain)
        stress = return_to_yield(found.stress, state, problem.material)
        violation = imbalance(system, found.stress, stress)
        for column, (history, step) in enumerate(rows):
            reference = np.linalg.norm(anchor.forces @ problem.load_histories[history].factors.T, axis=0).max()
            own = PlasticState(state.plastic_strain[:, :, column], state.equivalent[:, column])
            snapshots.append(Snapshot(int(step), found.unknowns[:, column], stress[:, :, column], own))
            residuals.append(float(violation[column] / max(reference, 1e-300)))
    return snapshots, residuals


def _every_step(
    problem: Problem,
    anchor: ElasticAnchor,
    form: FloatArray,
    graph: PartGraph,
    states: PredictedStates,
    index: int,
    history: LoadHistory,
    kept: list[Snapshot],
    decoded: list[StepScalars],
    positions: FloatArray,
) -> StepScalars:
    """Scalars of every step: of the decoded states where there are, else read from the tokens."""
    steps = len(history.factors)
    joined = join_scalars(decoded)
    if len(decoded) == steps:
        return _monotone(joined)
    read = _read_scalars(problem, graph, states, index, steps, joined, positions)
    _put_elastic(read, anchor, form, history.factors, states.exact[index, :steps], positions)
    at = [snapshot.step for snapshot in kept]
    for name in StepScalars.__dataclass_fields__:
        getattr(read, name)[at] = getattr(joined, name)
    return _monotone(read)


def _read_scalars(
    problem: Problem,
    graph: PartGraph,
    states: PredictedStates,
    index: int,
    steps: int,
    decoded: StepScalars,
    positions: FloatArray,
) -> StepScalars:
    """Scalars of every step of a history straight from the tokens.

    Two things the tokens do not tell are scaled from the decoded states: the 99.9 percentile by its ratio to the
    peak, and the yielded volume by the volume of the regions that yield. The residual is that of the worst one.
    """
    material, exact = problem.material, states.exact[index, :steps]
    yield_strain = material.yield_strength_pa / material.youngs_modulus_pa
    stress = states.read.von_mises[index, :steps].double().numpy()
    plastic = states.read.plastic[index, :steps].double().numpy() * ~exact[:, None]
    hottest = stress.argmax(axis=1)
    peak = stress.max(axis=1).clip(min=0) * material.yield_strength_pa
    ratio = float(np.median(decoded.p999_von_mises_pa / np.maximum(decoded.peak_von_mises_pa, 1e-300)))
    region = torch.exp(graph.token_features[:, 2]).double().numpy()
    yielding = ((plastic > 0.05) * region).sum(axis=1)
    share = yielding / max(float(yielding.max()), 1e-300) * float(decoded.yielded_volume_fraction.max())
    displacement = (
        states.read.displacement[index, :steps].double().numpy().clip(min=0) * states.reference[index, :steps]
    )
    return StepScalars(
        peak_von_mises_pa=peak,
        p999_von_mises_pa=ratio * peak,
        peak_at_m=positions[graph.token_point.numpy()[hottest]],
        max_displacement_m=displacement,
        peak_plastic_strain=plastic.max(axis=1) * yield_strain,
        yielded_volume_fraction=share,
        equilibrium_residual=np.where(exact, 0.0, decoded.equilibrium_residual.max()),
    )


def _put_elastic(
    scalars: StepScalars,
    anchor: ElasticAnchor,
    form: FloatArray,
    factors: FloatArray,
    exact: BoolArray,
    positions: FloatArray,
) -> None:
    """Put the exact stress and displacement of the steps before yield in place of those read."""
    elastic, volumes = factors[exact], anchor.system.volumes.ravel()
    if not len(elastic):
        return
    hottest, peak, p999, displacement = [], [], [], []
    for chunk in np.array_split(elastic, max(1, len(elastic) * form.shape[1] // 4_000_000)):
        stress = elastic_von_mises(form, chunk)
        hottest.append(stress.argmax(axis=1))
        peak.append(stress.max(axis=1))
        p999.append(np.array([_upper_quantile(row, volumes, 0.999) for row in stress]))
        field = anchor.system.displacement(anchor.unknowns @ chunk.T)
        displacement.append(np.sqrt((field**2).sum(axis=-1).max(axis=-1)))
    scalars.peak_von_mises_pa[exact] = np.concatenate(peak)
    scalars.p999_von_mises_pa[exact] = np.concatenate(p999)
    scalars.peak_at_m[exact] = positions[np.concatenate(hottest)]
    scalars.max_displacement_m[exact] = np.concatenate(displacement)


def _upper_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """`weighted_quantile` for a level near 1: only the largest values are sorted, which is four times as fast."""
    top = np.argpartition(values, -max(1, len(values) // 50))[-max(1, len(values) // 50) :]
    if weights[top].sum() < 1.1 * (1 - level) * weights.sum():
        return weighted_quantile(values, weights, level)
    order = top[np.argsort(values[top])]
    above = np.cumsum(weights[order][::-1])[::-1]  # weight from each value on
    return float(values[order[np.flatnonzero(above > (1 - level) * weights.sum())[-1]]])


def _monotone(scalars: StepScalars) -> StepScalars:
    """Plastic strain and yielded volume accumulate: no step shows less of them than an earlier one."""
    values = {name: getattr(scalars, name) for name in StepScalars.__dataclass_fields__}
    for name in ("peak_plastic_strain", "yielded_volume_fraction"):
        values[name] = np.maximum.accumulate(values[name])
    return StepScalars(**values)


def _history(anchor: ElasticAnchor, history: LoadHistory, kept: list[Snapshot], scalars: StepScalars) -> HistoryFields:
    system, cells = anchor.system, len(anchor.system.mesh.cells)
    return HistoryFields(
        name=history.name,
        factors=history.factors,
        steps=np.array([snapshot.step for snapshot in kept], dtype=np.int32),
        displacement=np.stack([system.displacement(snapshot.unknowns) for snapshot in kept]),
        stress=np.stack([to_last(snapshot.stress, cells) for snapshot in kept]),
        plastic_strain=np.stack([to_last(snapshot.state.plastic_strain, cells) for snapshot in kept]),
        equivalent_plastic_strain=np.stack([snapshot.state.equivalent.reshape(cells, -1) for snapshot in kept]),
        scalars=scalars,
        totals=history_scalars(anchor, history.factors, float(scalars.peak_von_mises_pa.max()), kept[-1]),
    )
