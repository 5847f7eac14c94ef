"""Where a part yields most, and how much: all histories at the few points that can be the worst of one of them.

Ranking histories by their peak plastic strain needs no field. The points at which the strain of some history is largest
are few, since stress peaks stay where the shape puts them; there the law is run for all histories.
Shape letters: P quadrature points, A those near yield, M those chosen, H histories, T steps, K load cases, J modes.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.deviatoric import deviatoric_steps, strain_deviator
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.reduced_span import ReducedAnchor

# Numbers that the strains of some states may take at once.
_CHUNK = 10_000_000
# Points times histories at which the law is run at once.
_TOGETHER = 60_000


def hottest_points(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, count: int = 600, each: int = 30
) -> IntArray:
    """Points where the strain deviator of some history is among its largest [M]; none where nothing comes near yield.

    Asked at three states of each history: the one of most plastic flow, the one farthest from it, and the last.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the answer in the span of modes.
        count: points, at most.
        each: points that one state may name.
    """
    points = reduced.points
    if len(points) <= count:
        return points
    path = np.concatenate([factors, reduced.coordinates], axis=-1)
    fields = np.concatenate([strain_deviator(anchor.strain[:, points]), strain_deviator(reduced.strain[:, points])], -1)
    flat = np.ascontiguousarray(fields.reshape(-1, path.shape[2]).T, dtype=np.float32)
    rank = np.full(len(points), each)
    states = _telling_states(path, factors.shape[2]).astype(np.float32)
    for chunk in np.array_split(states, max(1, len(states) * flat.shape[1] // _CHUNK)):
        square = ((chunk @ flat).reshape(len(chunk), 5, -1) ** 2).sum(axis=1)
        top = np.argpartition(square, -each, axis=1)[:, -each:]
        order = np.argsort(np.take_along_axis(square, top, axis=1), axis=1)[:, ::-1]
        place = np.broadcast_to(np.arange(each), top.shape)
        np.minimum.at(rank, np.take_along_axis(top, order, axis=1), place)
    named = np.argsort(rank, kind="stable")[: min(count, int((rank < each).sum()))]
    return points[np.sort(named)]


@dataclass(frozen=True)
class Peaks:
    """The largest values of a part after each step of each history.

    Attributes:
        plastic: equivalent plastic strain [H, T].
        von_mises: von Mises stress of the points that are looked at [H, T], Pa.
    """

    plastic: FloatArray
    von_mises: FloatArray


def reduced_peaks(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, points: IntArray | None = None
) -> FloatArray:
    """Largest equivalent plastic strain of the part after each step of each history [H, T]; see `peaks_at`."""
    return peaks_at(anchor, factors, reduced, points).plastic


def peaks_at(
    anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, points: IntArray | None = None
) -> Peaks:
    """What the worst of some points takes after each step of each history.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the answer in the span of modes.
        points: where to look; the hottest ones where not given.
    """
    points = hottest_points(anchor, factors, reduced) if points is None else points
    if not len(points):
        return Peaks(np.zeros(factors.shape[:2]), np.zeros(factors.shape[:2]))
    strain = np.concatenate([anchor.strain[:, points], reduced.strain[:, points]], axis=-1)
    path = np.concatenate([factors, reduced.coordinates], axis=-1)
    material, size = anchor.system.material, max(1, _TOGETHER // len(points))
    plastic, elastic = np.zeros(factors.shape[:2]), np.zeros(factors.shape[:2])
    for first in range(0, len(path), size):
        part = slice(first, first + size)
        for step, mapped in enumerate(deviatoric_steps(strain, path[part], material)):
            plastic[part, step] = mapped.state.equivalent.max(axis=1)
            elastic[part, step] = (mapped.trial_norm - mapped.multiplier).max(axis=1)
    return Peaks(plastic, np.sqrt(1.5) * 2 * material.shear_modulus_pa * elastic)


def _telling_states(path: FloatArray, cases: int) -> FloatArray:
    """Of each history the state of most plastic flow, the one farthest from it, and the last [3 H, K + J]."""
    flow = path[..., cases:]
    every, most = np.arange(len(path)), np.linalg.norm(flow, axis=2).argmax(axis=1)
    scaled = path / np.maximum(np.abs(path).max(axis=(0, 1)), 1e-300)
    far = np.linalg.norm(scaled - scaled[every, most][:, None], axis=2).argmax(axis=1)
    return np.concatenate([path[every, most], path[every, far], path[:, -1]])
