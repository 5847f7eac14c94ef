"""Many histories in one span that all of them shape, each at the price of a few points.

Few histories afford every point that may flow. Of many, each round takes those least like each other: their plastic
strain at all points makes modes and chooses the few points with weights at which all histories are then integrated.
What these find tells which histories the next round takes, so that no mechanism stays out because another one's loads
were larger.
Sources: Hernandez, Caicedo and Ferrer, Comput. Methods Appl. Mech. Eng. 313 (2017), points chosen by snapshots;
Ladeveze, Nonlinear Computational Structural Mechanics (1999), rounds over whole histories.
Shape letters: A points that may flow, J modes, H histories, T steps, S snapshots, K load cases.
"""

from dataclasses import replace

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.cubature import CubatureSettings, Floats, at_points, few_points
from surrogate.physics.deviatoric import deviatoric_path, strain_deviator
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.near_yield import points_pushed
from surrogate.physics.plastic_modes import plastic_modes
from surrogate.physics.reduced_span import (
    CrowdSettings,
    ReducedAnchor,
    acting,
    caused_displacement,
    empty_span,
    newton_modes,
    reduced_problem,
    representative_histories,
    with_modes,
)

# Points times histories of which fields are made at once: what fits into a core's cache.
_TOGETHER = 30_000
# A history's direction counts less where its coordinates are below this share of the largest.
_FLOOR = 0.1
# Size of a mode's own strain among the snapshots, as a share of the largest of them.
_MECHANISM = 0.02
_SEED = 0
_NONE = np.zeros(0, dtype=np.int64)


def crowd_anchor(
    anchor: ElasticAnchor, factors: FloatArray, points: IntArray, pushed: float, settings: CrowdSettings
) -> ReducedAnchor:
    """Solve many histories in the span of plastic modes.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        points: that may flow by the elastic answer alone [A].
        pushed: share of yield to which modes must bring further points.
        settings: how the span is made.

    Returns:
        No modes where no point yields.
    """
    reduced = empty_span(anchor, factors, points)
    if not len(points):
        return reduced
    for number in range(settings.rounds):
        count = settings.histories
        chosen = unlike(reduced.coordinates, _NONE, count) if number else representative_histories(factors, count)
        fields = _snapshots(anchor, factors, reduced, chosen, settings)
        added = _lacking(anchor, factors, reduced, fields, settings)
        if not added.shape[1]:
            break
        rule = settings.fine if number == settings.rounds - 1 else settings.rough
        reduced = _integrated(anchor, factors, with_modes(anchor, reduced, added), fields, rule)
        # What flows after the last round is told, though its flow is not felt any more.
        reduced = replace(reduced, points=points_pushed(anchor, factors, reduced, pushed))
    return reduced


def _lacking(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, fields: Floats, settings: CrowdSettings
) -> FloatArray:
    """Displacements that a span lacks [n, J']: at first of the plastic strain itself, then Newton's corrections."""
    if not reduced.unknowns.shape[1] or not settings.correction.iterations:
        volume = anchor.system.volumes.ravel()[reduced.points]
        modes = plastic_modes(fields, volume, settings.modes)
        return caused_displacement(anchor, reduced.points, modes) if len(modes) else np.zeros((len(anchor.unknowns), 0))
    chosen = unlike(reduced.coordinates, _NONE, settings.correction.states)
    return newton_modes(anchor, factors, reduced, chosen, settings.correction, settings.modes)


def answered_anew(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, known: IntArray, settings: CrowdSettings
) -> ReducedAnchor:
    """All histories integrated once more in their span at few points that are chosen anew.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the histories in the span, as far as it is known how much of each mode acts.
        known: histories whose fields choose points, beside those least like them and each other.
        settings: how points are chosen.
    """
    chosen = np.union1d(known, unlike(reduced.coordinates, known, settings.histories))
    fields = _snapshots(anchor, factors, reduced, chosen, settings)
    return _integrated(anchor, factors, reduced, fields, settings.fine)


def _snapshots(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, chosen: IntArray, settings: CrowdSettings
) -> Floats:
    """Deviators of the plastic strain of chosen histories at the points that may flow [S, 5, A]."""
    strain, path = acting(anchor, factors, reduced, chosen)
    count = min(path.shape[1], max(settings.fewest, settings.snapshots // max(1, len(chosen))))
    return plastic_fields(strain, path, anchor, count)


def _integrated(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, fields: Floats, settings: CubatureSettings
) -> ReducedAnchor:
    """All histories at few points that stand for those that may flow; `earlier` becomes what the span told so far."""
    whole = reduced_problem(anchor, reduced)
    fields = np.concatenate([fields, mechanisms(whole, fields)])
    found = integrate(at_points(whole, few_points(whole, fields, settings)), factors)
    return replace(reduced, coordinates=found.coordinates, settled=found.settled)


def mechanisms(problem: ReducedProblem, plastic: Floats) -> Floats:
    """The strain deviator of each mode [J, 5, A], as large as to count a little beside the fields of snapshots.

    Near collapse the strain of a mechanism is what flows. Points that only meet what was seen so far let a history
    that goes beyond it find a mechanism that none of them resists.

    Args:
        problem: with all points.
        plastic: deviators of the plastic strain of snapshots [S, 5, A].
    """
    modes = strain_deviator(problem.mode_strain.astype(np.float32)) @ _turned(problem.mode_strain.shape[2])
    fields = np.ascontiguousarray(modes.transpose(2, 0, 1))
    testing = (fields * problem.weight.astype(np.float32)).reshape(len(fields), -1).T
    seen, own = (np.linalg.norm(each.reshape(len(each), -1) @ testing, axis=1) for each in (plastic, fields))
    scale = _MECHANISM * seen.max(initial=0.0) / np.maximum(own, 1e-300)
    fields *= scale[:, None, None].astype(np.float32)
    return fields


def _turned(count: int) -> Floats:
    """A fixed orthogonal mixture of modes [J, J]: each mechanism is made of all of them, whatever their order."""
    mixture, _ = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(count, count)))
    return mixture.astype(np.float32)


def plastic_fields(strain: FloatArray, path: FloatArray, anchor: ElasticAnchor, count: int) -> Floats:
    """Deviators of plastic strain at steps evenly spread up to the last [S, 5, A], single precision.

    Args:
        strain: of load cases and modes [6, A, K + J].
        path: how much of each acts [H, T, K + J].
        anchor: of the part.
        count: steps of each history, at most.
    """
    steps, points = path.shape[1], strain.shape[1]
    kept = sorted({round(steps * (i + 1) / count) - 1 for i in range(count)})
    found = np.empty((len(kept), len(path), 5, points), np.float32)
    # A block of points at a time, so that the strain of each is made ready once for all histories.
    for block in np.array_split(np.arange(points), max(1, points * len(path) // _TOGETHER)):
        for step, state in enumerate(deviatoric_path(strain[:, block], path, anchor.system.material)):
            if step in kept:
                found[kept.index(step)][..., block] = state.plastic
    return found.reshape(-1, 5, points)


def unlike(coordinates: FloatArray, known: IntArray, count: int) -> IntArray:
    """Histories that go farthest from the known ones and from each other, told by their largest and last coordinates.

    Args:
        coordinates: [H, T, J].
        known: indices; where there are none, the history that goes farthest of all comes first.
        count: how many, at most.
    """
    largest = np.linalg.norm(coordinates, axis=2).argmax(axis=1)
    told = np.concatenate([coordinates[np.arange(len(largest)), largest], coordinates[:, -1]], axis=1)
    size = np.linalg.norm(told, axis=1)
    told = told / np.maximum(size, max(_FLOOR * float(size.max(initial=0.0)), 1e-300))[:, None]
    chosen: list[int] = [] if len(known) else [int(size.argmax())]
    from_ = told[known if len(known) else chosen]
    distance = np.linalg.norm(told[:, None] - from_, axis=2).min(axis=1)
    while len(chosen) < count and distance.max(initial=0.0) > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(told - told[chosen[-1]], axis=1))
    return np.array(sorted(chosen), dtype=np.int64)
