"""Collects the steps of one load history into `HistoryFields`, storing only the fields that are to be kept.

Shape letters: N points, C cells, P = 4 C quadrature points, T steps, K load cases, n free unknowns.
"""

from dataclasses import dataclass, fields
from itertools import combinations_with_replacement

import numpy as np

from surrogate.fields import Collapse, FloatArray, HistoryFields, HistoryScalars, StepScalars
from surrogate.physics.balance import HistoryBalance, Resultants
from surrogate.physics.elastic import ElasticAnchor, ElasticSystem
from surrogate.physics.invariants import deviator, to_last, von_mises
from surrogate.physics.peak import is_new_peak
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions

# Points times steps whose elastic stress is held at once, to bound memory.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Snapshot:
    """Fields of one state.

    Attributes:
        step: index in the history.
        unknowns: [n].
        stress: [6, P], Pa.
        state: plastic state of the P quadrature points.
    """

    step: int
    unknowns: FloatArray
    stress: FloatArray
    state: PlasticState


def quadrature_points(system: ElasticSystem) -> FloatArray:
    """Positions of the quadrature points [P, 3], m."""
    shape = shape_functions(QUADRATURE_BARYCENTRIC)
    return np.einsum("qa,cai->cqi", shape, system.mesh.points[system.mesh.cells]).reshape(-1, 3)


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """The values [L] below which shares `levels` of the weight lie."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return np.asarray(values[order[np.searchsorted(cumulative, np.array(levels) * cumulative[-1])]])


def weighted_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """The value below which a share `level` of the weight lies."""
    return float(weighted_quantiles(values, weights, (level,))[0])


def state_scalars(system: ElasticSystem, positions: FloatArray, snapshot: Snapshot, residual: float) -> StepScalars:
    """Scalars of one state; each array has length 1."""
    stress, volumes = von_mises(snapshot.stress), system.volumes.ravel()
    hottest = int(stress.argmax())
    displacement = system.displacement(snapshot.unknowns)
    equivalent = snapshot.state.equivalent
    return StepScalars(
        peak_von_mises_pa=stress[hottest : hottest + 1],
        p999_von_mises_pa=np.array([weighted_quantile(stress, volumes, 0.999)]),
        peak_at_m=positions[hottest : hottest + 1],
        max_displacement_m=np.array([np.sqrt((displacement**2).sum(axis=-1).max())]),
        peak_plastic_strain=np.array([equivalent.max()]),
        yielded_volume_fraction=np.array([volumes[equivalent > 0].sum() / volumes.sum()]),
        equilibrium_residual=np.array([residual]),
    )


def join_scalars(parts: list[StepScalars]) -> StepScalars:
    """One record of T steps from T records of one step."""
    return StepScalars(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(StepScalars)))


def history_scalars(
    anchor: ElasticAnchor,
    factors: FloatArray,
    peak_von_mises: float,
    last: Snapshot,
    last_factors: FloatArray | None = None,
) -> HistoryScalars:
    """Scalars of a whole history.

    The yield margin is exact (before yield the answer is elastic); permanent set and residual stress are what is left
    after elastic unloading from the last step.

    Args:
        anchor: elastic answer to each load case.
        factors: of the whole history as asked [T, K].
        peak_von_mises: largest von Mises stress of the history, Pa.
        last: the last state that was reached.
        last_factors: its load factors [K]; None for those of the last step.
    """
    system = anchor.system
    elastic_peak = elastic_peak_von_mises(anchor, factors)
    removed = factors[-1] if last_factors is None else last_factors
    set_unknowns = last.unknowns - anchor.unknowns @ removed
    residual_stress = last.stress - anchor.stress @ removed
    permanent = np.sqrt((system.displacement(set_unknowns) ** 2).sum(axis=-1).max())
    yielded = bool((last.state.equivalent > 0).any())
    return HistoryScalars(
        safety_factor_yield=system.material.yield_strength_pa / max(elastic_peak, 1e-300),
        safety_factor_ultimate=system.material.ultimate_strength_pa / max(peak_von_mises, 1e-300),
        permanent_set_m=float(permanent) if yielded else 0.0,
        max_residual_von_mises_pa=float(von_mises(residual_stress).max()) if yielded else 0.0,
    )


def elastic_peak_von_mises(anchor: ElasticAnchor, factors: FloatArray) -> float:
    """Largest von Mises stress of the elastic answers to load factors [T, K], Pa.

    Its square is a quadratic form in the factors at each point, found once for all steps.
    """
    shape = deviator(anchor.stress)  # [6, P, K]
    shape[3:] *= np.sqrt(2.0)
    pairs = list(combinations_with_replacement(range(factors.shape[1]), 2))
    form = [np.einsum("ip,ip->p", shape[..., k], shape[..., m]) * (1 if k == m else 2) for k, m in pairs]
    products = np.stack([factors[:, k] * factors[:, m] for k, m in pairs], axis=1)  # [T, pairs]
    largest, rows = 0.0, max(1, _CHUNK // len(form[0]))
    for first in range(0, len(products), rows):
        largest = max(largest, float((products[first : first + rows] @ np.stack(form)).max()))
    return float(np.sqrt(1.5 * largest))


class HistoryRecorder:
    """Takes the steps of one history in order and keeps all of them, or the peak step and the last one.

    Args:
        anchor: elastic answer to each load case.
        history: the history as asked.
        positions: of the quadrature points [P, 3], m.
        keep_all: keep the fields of every step.
        resultants: how the balance reads support forces; None for an answer whose balance is not asked for.
    """

    def __init__(
        self,
        anchor: ElasticAnchor,
        history: LoadHistory,
        positions: FloatArray,
        keep_all: bool,
        resultants: Resultants | None = None,
    ) -> None:
        self._anchor, self._history, self._positions, self._keep_all = anchor, history, positions, keep_all
        self._balance = HistoryBalance(anchor, resultants) if resultants else None
        self._factors: list[FloatArray] = []
        self._scalars: list[StepScalars] = []
        self._kept: list[Snapshot] = []
        self._peak: tuple[float, float] = (-1.0, -1.0)

    def record(self, snapshot: Snapshot, residual: float, factors: FloatArray | None = None) -> StepScalars:
        """Add the next state.

        Args:
            snapshot: the state.
            residual: its nodal force imbalance over the largest applied.
            factors: its load factors [K] where it is not the end of its step.

        Returns:
            Its scalars.
        """
        scalars = state_scalars(self._anchor.system, self._positions, snapshot, residual)
        self._scalars.append(scalars)
        self._factors.append(self._history.factors[snapshot.step] if factors is None else factors)
        if self._balance:
            self._balance.add(self._factors[-1], snapshot.unknowns, snapshot.stress, snapshot.state.plastic_strain)
        plastic, stress = float(scalars.peak_plastic_strain[0]), float(scalars.peak_von_mises_pa[0])
        is_peak = is_new_peak(plastic, stress, *self._peak)
        if is_peak:
            self._peak = (plastic, stress)
        if self._keep_all:
            self._kept.append(snapshot)
        else:
            # Only the peak so far and the latest step stay.
            peak = [snapshot] if is_peak else self._kept[:1]
            self._kept = peak if peak[-1] is snapshot else [*peak, snapshot]
        return scalars

    def finish(self, collapse: Collapse | None) -> HistoryFields:
        """The whole history."""
        system, cells = self._anchor.system, len(self._anchor.system.mesh.cells)
        scalars = join_scalars(self._scalars)
        peak = float(scalars.peak_von_mises_pa.max())
        return HistoryFields(
            name=self._history.name,
            factors=np.stack(self._factors),
            steps=np.array([kept.step for kept in self._kept], dtype=np.int32),
            displacement=np.stack([system.displacement(kept.unknowns) for kept in self._kept]),
            stress=np.stack([to_last(kept.stress, cells) for kept in self._kept]),
            plastic_strain=np.stack([to_last(kept.state.plastic_strain, cells) for kept in self._kept]),
            equivalent_plastic_strain=np.stack([kept.state.equivalent.reshape(cells, -1) for kept in self._kept]),
            scalars=scalars,
            totals=history_scalars(self._anchor, self._history.factors, peak, self._kept[-1], self._factors[-1]),
            collapse=collapse,
            balance=self._balance.finish() if self._balance else None,
        )
