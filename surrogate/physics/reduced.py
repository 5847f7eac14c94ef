"""The reduced anchor: the elastoplastic problem solved in the span of a few displacement modes.

Plastic flow at one place makes strain at another; the law run at each point alone misses that. Here a few fields of
plastic strain, those of the points alone, are turned into displacement modes by one back-substitution each, and the
whole problem is integrated in their span by Galerkin's principle, all histories together. What the answer then lacks of
equilibrium enriches the span, in as many rounds as a history needs. A mode acts at a point like one more load case, so
whatever runs along the load cases runs along the modes as well.

Sources: Sirovich, Quart. Appl. Math. 45 (1987), for the modes by snapshots; Michel and Suquet, Int. J. Solids
Struct. 40 (2003), for plastic modes; Ladeveze, Nonlinear Computational Structural Mechanics (1999), for going over
whole histories again and again.
Shape letters: A points that may yield, H histories, T steps, K load cases.
"""

from dataclasses import replace

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.crowd import answered_anew, crowd_anchor
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.hottest import reduced_peaks
from surrogate.physics.near_yield import extreme_states, points_near_yield, points_pushed
from surrogate.physics.plastic_modes import plastic_modes
from surrogate.physics.reduced_span import (
    CrowdSettings,
    ReducedAnchor,
    ReducedSettings,
    empty_span,
    enriched,
    newton_modes,
    plain_rounds,
    plastic_snapshots,
    representative_histories,
    widened,
)

__all__ = [
    "CrowdSettings",
    "ReducedAnchor",
    "ReducedSettings",
    "corrected",
    "enriched",
    "extreme_states",
    "plain_rounds",
    "plastic_modes",
    "plastic_snapshots",
    "points_near_yield",
    "reduced_anchor",
    "representative_histories",
]


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
    if len(factors) <= settings.whole_histories:
        return _at_all_points(anchor, factors, points, settings)
    return _crowd(anchor, factors, points, replace(settings, tolerance=settings.crowd_tolerance))


def _at_all_points(
    anchor: ElasticAnchor, factors: FloatArray, points: IntArray, settings: ReducedSettings
) -> ReducedAnchor:
    """Every history integrated at every point that may yield, from no modes on."""
    start = empty_span(anchor, factors, points)
    if not len(points):
        return start
    chosen = representative_histories(factors, settings.snapshot_histories)
    first = _of_plastic_strain(anchor, factors, start, chosen, settings)
    return corrected(anchor, factors, first, settings) if first.unknowns.shape[1] else start


def _of_plastic_strain(
    anchor: ElasticAnchor,
    factors: FloatArray,
    reduced: ReducedAnchor,
    chosen: IntArray,
    settings: ReducedSettings,
) -> ReducedAnchor:
    """One round: the elastic displacement of the plastic strain of chosen histories becomes modes."""
    snapshots = plastic_snapshots(anchor, factors[chosen], reduced.coordinates[chosen], reduced, settings)
    fields = plastic_modes(snapshots, anchor.system.volumes.ravel()[reduced.points], settings.modes)
    return enriched(anchor, factors, reduced, fields) if len(fields) else reduced


def corrected(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, settings: ReducedSettings
) -> ReducedAnchor:
    """Enrich a span by what its histories lack, in rounds, until no history moves or the rounds are over.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the histories in the span so far.
        settings: rounds and tolerance.
    """
    every = np.arange(len(factors))
    tolerance = settings.tolerance * min(1.0, settings.steps / max(1, factors.shape[1]))
    for number in range(settings.enrichments + settings.further):
        restless = every if number < settings.enrichments else every[reduced.moved > tolerance]
        if not len(restless):
            break
        part = _enlarged(anchor, factors[restless], reduced.of(restless), settings)
        if part.unknowns.shape[1] == reduced.unknowns.shape[1]:
            break
        reduced = reduced.with_part(part, restless)
    # What flows in the last state is told, though its flow is not felt any more.
    return replace(reduced, points=points_pushed(anchor, factors, reduced, max(1.0, settings.pushed)))


def _enlarged(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, settings: ReducedSettings
) -> ReducedAnchor:
    """One round: Newton's corrections of some states of some histories become modes."""
    reduced = replace(reduced, points=points_pushed(anchor, factors, reduced, settings.pushed))
    chosen = representative_histories(factors, settings.snapshot_histories)
    if not settings.correction.iterations:
        return _of_plastic_strain(anchor, factors, reduced, chosen, settings)
    added = newton_modes(anchor, factors, reduced, chosen, settings.correction, settings.modes)
    return widened(anchor, factors, reduced, added) if added.shape[1] else reduced


def _crowd(anchor: ElasticAnchor, factors: FloatArray, points: IntArray, settings: ReducedSettings) -> ReducedAnchor:
    """All histories in the span that they share; then those of the largest plastic strain make it wider, all points.

    Where that changes these much, the others may lack the same modes: all are answered once more in the wider span, and
    further ones may be among the worst.

    Args:
        anchor: elastic answer to each load case.
        factors: of all histories [H, T, K].
        points: that may flow by the elastic answer alone [A].
        settings: how many are corrected, and how often.
    """
    crowd = crowd_anchor(anchor, factors, points, settings.pushed, settings.crowd)
    known = np.zeros(0, dtype=np.int64)
    for number in range(settings.corrected_times if settings.worst and crowd.unknowns.shape[1] else 0):
        peaks = reduced_peaks(anchor, factors, crowd).max(axis=1)
        worst = np.argsort(-peaks, kind="stable")[: settings.worst]
        worst = np.sort(worst[~np.isin(worst, known) & (peaks[worst] > 0)])
        if not len(worst):
            break
        before = crowd.of(worst)
        part = corrected(anchor, factors[worst], before, settings)
        known, crowd = np.union1d(known, worst), crowd.with_part(part, worst)
        if number == settings.corrected_times - 1 or part.away_from(before).max() <= settings.tolerance:
            break
        # What is known from all points stays.
        crowd = answered_anew(anchor, factors, crowd, known, settings.crowd).with_part(crowd.of(known), known)
    return crowd
