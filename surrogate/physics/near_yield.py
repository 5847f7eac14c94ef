"""Which points of a part may flow: those that the elastic answer brings near yield, and those that flow pushes there.

Near collapse the load goes where the part is still elastic, at points that the elastic answer alone leaves far below
yield. Whatever of the strain the modes make is therefore looked at after each round, outside of the points that count.
Shape letters: P quadrature points, A points that may flow, J modes, H histories, T steps, S states, K load cases.
"""

import numpy as np
from scipy.spatial import ConvexHull

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.cubature import Floats
from surrogate.physics.deviatoric import strain_deviator
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.invariants import deviator, tensor_norm
from surrogate.physics.reduced_span import ReducedAnchor
from surrogate.physics.tangent_modes import steps_of_flow

_FEW_STATES, _HULL_DIRECTIONS = 60, 4
# States of each history at which points are looked for, and numbers that their strains may take at once.
_LOOKED_AT, _CHUNK = 4, 5_000_000


def points_near_yield(anchor: ElasticAnchor, factors: FloatArray, gate: float) -> IntArray:
    """Quadrature points whose elastic von Mises stress reaches a share of yield in some state [A].

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        gate: the share.
    """
    states = extreme_states(np.unique(factors.reshape(-1, factors.shape[-1]), axis=0))
    largest = np.zeros(anchor.stress.shape[1])
    shape = deviator(anchor.stress)
    for chunk in np.array_split(states, max(1, len(states) * largest.size // 2_000_000)):
        largest = np.maximum(largest, tensor_norm(shape @ chunk.T).max(axis=-1))
    return np.flatnonzero(np.sqrt(1.5) * largest > gate * anchor.system.material.yield_strength_pa)


def points_pushed(anchor: ElasticAnchor, factors: FloatArray, reduced: ReducedAnchor, share: float) -> IntArray:
    """Points that the modes push near yield, in ascending order with those that are known [A'].

    What does not flow answers its strain elastically, so that the strain of load cases and modes tells its stress.

    Args:
        anchor: elastic answer to each load case.
        factors: [H, T, K].
        reduced: the histories in the span of the modes.
        share: of yield that von Mises stress must pass; infinite finds none.
    """
    if not reduced.strain.shape[2] or not np.isfinite(share):
        return reduced.points
    material, outside = anchor.system.material, np.setdiff1d(np.arange(anchor.strain.shape[1]), reduced.points)
    states = _telling_states(reduced.coordinates)
    acting = np.concatenate([factors, reduced.coordinates], axis=-1)[states[:, 0], states[:, 1]].astype(np.float32)
    # A block of points at a time: of a large part the strain of all modes is not copied at once.
    blocks = np.array_split(outside, max(1, 5 * outside.size * acting.shape[1] // _CHUNK))
    fields = (anchor.strain, reduced.strain)
    found = [_largest(np.concatenate([field[:, block] for field in fields], axis=-1), acting) for block in blocks]
    stress = np.sqrt(1.5) * (2 * material.shear_modulus_pa) * np.concatenate(found)
    return np.union1d(reduced.points, outside[stress > share * material.yield_strength_pa])


def _largest(strain: FloatArray, acting: Floats) -> Floats:
    """Largest norm of the deviator of a strain [6, B, C] over states [S, C] -> [B]."""
    flat = strain_deviator(strain).reshape(-1, acting.shape[1]).T.astype(np.float32)
    largest = np.zeros(strain.shape[1], np.float32)
    for chunk in np.array_split(acting, max(1, len(acting) * flat.shape[1] // _CHUNK)):
        square = ((chunk @ flat).reshape(len(chunk), 5, -1) ** 2).sum(axis=1)
        largest = np.maximum(largest, square.max(axis=0, initial=0.0))
    return np.sqrt(largest)


def _telling_states(coordinates: FloatArray) -> IntArray:
    """Of each history states at equal shares of its flow, that of most flow, and the last: history and step [S, 2]."""
    every = np.arange(len(coordinates))
    most = np.linalg.norm(coordinates, axis=2).argmax(axis=1)
    last = np.full(len(every), coordinates.shape[1] - 1)
    ends = [np.stack([every, steps], axis=1) for steps in (most, last)]
    return np.unique(np.concatenate([steps_of_flow(coordinates, _LOOKED_AT), *ends]), axis=0)


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
