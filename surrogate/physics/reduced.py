"""The reduced anchor: the elastoplastic problem solved in the span of a few displacement modes.

Plastic flow at one place makes strain at another; the law run at each point alone misses that. Here a few fields of
plastic strain, first those of the points alone, are turned into displacement modes by one back-substitution each, and
the whole problem is integrated in their span by Galerkin's principle, all histories together. The answer's own plastic
strain then enriches the span. A mode acts at a point like one more load case, so whatever runs along the load cases
runs along the modes as well.

Sources: Sirovich, Quart. Appl. Math. 45 (1987), for the modes by snapshots; Michel and Suquet, Int. J. Solids
Struct. 40 (2003), for plastic modes; Ladeveze, Nonlinear Computational Structural Mechanics (1999), for going over
whole histories again and again.
Shape letters: P quadrature points, A points that may yield, J modes, H histories, T steps, K load cases, S snapshots,
n free unknowns.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.deviatoric import deviatoric_path, strain_of_deviator
from surrogate.physics.elastic import ElasticAnchor, ElasticSystem
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.hyper_reduction import KnownHistories, chosen_points, integrate_few_modes, plastic_fields
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.plasticity import elastic_stress

# Squared lengths of plastic strain with engineering shear.
_SHEAR = np.array([1.0, 1, 1, 0.5, 0.5, 0.5])
# Snapshots are scaled by their size to this power, so that small early fields have a say beside large late ones.
_EVENING = 0.7
# Modes that add less than this share of the first one's energy say nothing more.
_ENERGY = 1e-6
# A mode whose energy norm lies this far within the span of those before is one of them.
_NEW_DIRECTION = 1e-5
# Steps of each representative history that choose the points of the cubature.
_CUBATURE_STEPS = 6
_FEW_STATES, _HULL_DIRECTIONS = 60, 4


@dataclass(frozen=True)
class ReducedSettings:
    """How far the span reaches.

    Attributes:
        modes: displacement modes that each round adds, at most.
        enrichments: rounds after the first.
        gate: points whose elastic von Mises stress stays below this share of yield are taken as elastic.
        snapshot_histories: histories whose plastic strain makes the modes, at most.
        snapshot_steps: steps of each of them, at most.
        whole_histories: up to so many histories, all points that may yield are integrated; beyond, few points stand
            for them (see `hyper_reduction`).
    """

    modes: int = 12
    enrichments: int = 1
    gate: float = 0.35
    snapshot_histories: int = 16
    snapshot_steps: int = 8
    whole_histories: int = 32


@dataclass(frozen=True, eq=False)
class ReducedAnchor:
    """Modes of a part and how much of each acts at each step of each history.

    Attributes:
        unknowns: displacement modes, orthonormal in energy [n, J].
        strain: their strain [6, P, J], engineering shear.
        coordinates: [H, T, J].
        earlier: coordinates before the last enrichment, zero for the modes that it added [H, T, J].
        settled: whether a step found its balance in the span [H, T]; where not, the part is at or past collapse.
    """

    unknowns: FloatArray
    strain: FloatArray
    coordinates: FloatArray
    earlier: FloatArray
    settled: BoolArray


def reduced_anchor(
    anchor: ElasticAnchor, factors: FloatArray, settings: ReducedSettings | None = None
) -> ReducedAnchor:
    """Solve all histories in the span of plastic modes.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        settings: how far the span reaches.

    Returns:
        No modes where no point yields.
    """
    settings = settings or ReducedSettings()
    points = points_near_yield(anchor, factors, settings.gate)
    chosen = representative_histories(factors, settings.snapshot_histories)
    if len(factors) <= max(settings.whole_histories, len(chosen)):
        return _at_all_points(anchor, factors, points, chosen, settings)
    own = np.arange(len(chosen))
    few = _at_all_points(anchor, factors[chosen], points, own, settings)
    return _spread(anchor, factors, points, chosen, few) if few.unknowns.shape[1] else _empty(anchor, factors)


def _at_all_points(
    anchor: ElasticAnchor, factors: FloatArray, points: IntArray, chosen: IntArray, settings: ReducedSettings
) -> ReducedAnchor:
    """Every history integrated at every point that may yield; the modes are those of the chosen histories."""
    reduced = _empty(anchor, factors)
    if not len(points):
        return reduced
    for _ in range(settings.enrichments + 1):
        snapshots = plastic_snapshots(anchor, points, factors[chosen], reduced.coordinates[chosen], reduced, settings)
        fields = plastic_modes(snapshots, anchor.system.volumes.ravel()[points], settings.modes)
        if not len(fields):
            break
        reduced = enriched(anchor, factors, points, reduced, fields)
    return reduced


def _spread(
    anchor: ElasticAnchor, factors: FloatArray, points: IntArray, chosen: IntArray, few: ReducedAnchor
) -> ReducedAnchor:
    """The answer for all histories in the span that the chosen ones made, integrated at few points."""
    strain, volume = few.strain[:, points], anchor.system.volumes.ravel()[points]
    whole = ReducedProblem(anchor.strain[:, points], strain, volume, anchor.system.material)
    fields = np.concatenate([whole.case_strain, strain], axis=-1)
    path = np.concatenate([factors[chosen], few.coordinates], axis=-1)
    known = KnownHistories(chosen, plastic_fields(fields, path, whole, _CUBATURE_STEPS))
    problem = chosen_points(whole, factors, known)
    found = integrate(problem, factors)
    first = int(few.earlier.any(axis=(0, 1)).sum())
    earlier = integrate_few_modes(problem, factors, first).coordinates
    # What is known from all points stays.
    found.coordinates[chosen], found.settled[chosen], earlier[chosen] = few.coordinates, few.settled, few.earlier
    return ReducedAnchor(few.unknowns, few.strain, found.coordinates, earlier, found.settled)


def enriched(
    anchor: ElasticAnchor, factors: FloatArray, points: IntArray, reduced: ReducedAnchor, plastic: FloatArray
) -> ReducedAnchor:
    """Add the displacement that fields of plastic strain cause to the span, and integrate again.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        points: where the fields live [A].
        reduced: the span so far.
        plastic: fields of plastic strain [J', 6, A], engineering shear.
    """
    system = anchor.system
    everywhere = np.zeros((6, system.volumes.size, len(plastic)))
    everywhere[:, points] = plastic.transpose(1, 2, 0)
    caused = system.factor.solve(system.internal_force(elastic_stress(everywhere, system.material)))
    unknowns = _orthonormal(system, reduced.unknowns, caused)
    strain = np.concatenate([reduced.strain, system.strain(unknowns[:, reduced.unknowns.shape[1] :])], axis=-1)
    weights = system.volumes.ravel()[points]
    problem = ReducedProblem(anchor.strain[:, points], strain[:, points], weights, system.material)
    earlier = np.zeros((*factors.shape[:2], unknowns.shape[1]))
    earlier[..., : reduced.unknowns.shape[1]] = reduced.coordinates
    found = integrate(problem, factors)
    return ReducedAnchor(unknowns, strain, found.coordinates, earlier, found.settled)


def points_near_yield(anchor: ElasticAnchor, factors: FloatArray, gate: float) -> IntArray:
    """Quadrature points whose elastic von Mises stress reaches a share of yield in some state [A]."""
    states = extreme_states(np.unique(factors.reshape(-1, factors.shape[-1]), axis=0))
    largest = np.zeros(anchor.stress.shape[1])
    shape = deviator(anchor.stress)
    for chunk in np.array_split(states, max(1, len(states) * largest.size // 2_000_000)):
        largest = np.maximum(largest, tensor_norm(shape @ chunk.T).max(axis=-1))
    return np.flatnonzero(np.sqrt(1.5) * largest > gate * anchor.system.material.yield_strength_pa)


def extreme_states(states: FloatArray) -> FloatArray:
    """The states [S', K] among load factors [S, K] at one of which every convex function of them is largest.

    Von Mises stress is such a function; the corners of the convex hull are such states. All of them are returned where
    they are few, or span more than four directions, whose hull costs more than it saves.
    """
    _, size, axes = np.linalg.svd(states, full_matrices=False)
    rank = int((size > 1e-9 * size[0]).sum()) if len(states) else 0
    if len(states) <= _FEW_STATES or not 1 <= rank <= _HULL_DIRECTIONS:
        return states
    along = states @ axes[:rank].T
    if rank == 1:
        return states[[int(along.argmin()), int(along.argmax())]]
    # No load is a state as well: with it, states of one plane have a hull.
    corners = ConvexHull(np.concatenate([along, np.zeros((1, rank))])).vertices
    return states[corners[corners < len(states)]]


def representative_histories(factors: FloatArray, count: int) -> IntArray:
    """Histories that span the others: the largest first, then each time the one farthest from those chosen.

    A history is told by the largest, the smallest and the last factor of each case.
    """
    told = np.concatenate([factors.max(axis=1), factors.min(axis=1), factors[:, -1]], axis=1)
    told = told / np.maximum(np.abs(told).max(axis=0), 1e-300)
    chosen = [int(np.linalg.norm(told, axis=1).argmax())]
    distance = np.linalg.norm(told - told[chosen[0]], axis=1)
    while len(chosen) < min(count, len(factors)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(told - told[chosen[-1]], axis=1))
    return np.array(sorted(set(chosen)))


def plastic_snapshots(
    anchor: ElasticAnchor,
    points: IntArray,
    factors: FloatArray,
    coordinates: FloatArray,
    reduced: ReducedAnchor,
    settings: ReducedSettings,
) -> FloatArray:
    """Plastic strain of some histories at some steps, by the law along the strain of cases and modes [S, 6, A]."""
    strain = np.concatenate([anchor.strain[:, points], reduced.strain[:, points]], axis=-1)
    path = np.concatenate([factors, coordinates], axis=-1)
    steps = factors.shape[1]
    kept = set(np.linspace(0, steps - 1, min(steps, settings.snapshot_steps)).round().astype(int).tolist())
    found = []
    for step, state in enumerate(deviatoric_path(strain, path, anchor.system.material)):
        if step in kept:
            field = strain_of_deviator(state.plastic.transpose(1, 0, 2))
            found.append(field.transpose(1, 0, 2).astype(np.float32))
    return np.concatenate(found)


def plastic_modes(snapshots: FloatArray, volume: FloatArray, count: int) -> FloatArray:
    """The fields that span snapshots of plastic strain [S, 6, A] best [J, 6, A], by the snapshot method."""
    weight = np.sqrt(_SHEAR[:, None] * volume).ravel().astype(np.float32)
    rows = snapshots.reshape(len(snapshots), -1) * weight
    size = np.linalg.norm(rows, axis=1)
    rows, size = rows[size > 1e-3 * size.max()], size[size > 1e-3 * size.max()]
    if not len(rows) or not size.max() > 0:
        return np.zeros((0, *snapshots.shape[1:]))
    rows = rows / size[:, None] ** _EVENING
    energy, mixing = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    order = np.argsort(energy)[::-1][:count]
    order = order[energy[order] > _ENERGY * energy.max()]
    modes = (mixing[:, order] / np.sqrt(energy[order])).T @ rows
    return np.asarray((modes / weight).reshape(len(order), *snapshots.shape[1:]), dtype=np.float64)


def _orthonormal(system: ElasticSystem, known: FloatArray, added: FloatArray) -> FloatArray:
    """Known modes and what is new in the added ones, orthonormal in energy [n, J]; the known ones stay as they are."""
    for _ in range(2):  # once more takes away what rounding left
        added = added - known @ (known.T @ (system.stiffness @ added))
        gram = added.T @ (system.stiffness @ added)
        scale = 1 / np.sqrt(np.maximum(gram.diagonal(), 1e-300))
        energy, mixing = np.linalg.eigh(gram * scale[:, None] * scale)
        new = energy > _NEW_DIRECTION * energy[-1]
        added = (added * scale) @ (mixing[:, new] / np.sqrt(energy[new]))
    return np.concatenate([known, added], axis=1)


def _empty(anchor: ElasticAnchor, factors: FloatArray) -> ReducedAnchor:
    none = np.zeros((*factors.shape[:2], 0))
    unknowns, strain = np.zeros((len(anchor.unknowns), 0)), np.zeros((*anchor.strain.shape[:2], 0))
    return ReducedAnchor(unknowns, strain, none, none, np.ones(factors.shape[:2], dtype=bool))
