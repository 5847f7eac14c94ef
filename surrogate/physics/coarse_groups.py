"""What a group of cells of a large part answers in every state of every history, and the running upper quantile.

Shape letters: P quadrature points of the group, A of them that yield, F fields (cases and modes), K load cases,
H histories, T steps, S stored steps of a history.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.deviatoric import deviatoric_path, strain_deviator, strain_of_deviator
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.two_grid import SingleArray


@dataclass(frozen=True, eq=False)
class HistoryPaths:
    """What acts in every history.

    Attributes:
        material: the law.
        cases: K, the number of fields that are load cases; the others are modes.
        path: how much of each field acts [H, T, F].
        stored: steps of each history whose fields are stored.
        last: the last step of each history [H].
    """

    material: Material
    cases: int
    path: FloatArray
    stored: tuple[IntArray, ...]
    last: IntArray


@dataclass(frozen=True, eq=False)
class GroupStates:
    """The answer of a group of cells.

    Attributes:
        von_mises: at every point in every state [P, H T], Pa.
        yielded: volume that has yielded [H, T], m^3.
        elastic_peak: largest von Mises stress of the load cases alone [H], Pa.
        residual_peak: largest von Mises stress after elastic unloading from the last step [H], Pa.
        stress: of the stored states, for each history [6, P, S], Pa.
        plastic_strain: likewise, engineering shear.
        equivalent: likewise [S, P].
    """

    von_mises: SingleArray
    yielded: FloatArray
    elastic_peak: FloatArray
    residual_peak: FloatArray
    stress: list[FloatArray]
    plastic_strain: list[FloatArray]
    equivalent: list[FloatArray]


def group_states(strain: SingleArray, volume: FloatArray, yields: IntArray, paths: HistoryPaths) -> GroupStates:
    """Run every history at the points of a group.

    Args:
        strain: of each field [6, P, F], engineering shear.
        volume: of the points [P], m^3.
        yields: the points whose stress on the elastic path passes yield in some state [A]; the others stay elastic.
        paths: what acts.
    """
    count, steps, fields = paths.path.shape
    points, material, last = strain.shape[1], paths.material, paths.last
    every = np.arange(count)
    deviator = strain_deviator(cast(FloatArray, strain)).astype(np.float32)
    # Stress over the square root of 3/2 is 2 G times the norm of the elastic strain deviator.
    stiffness = np.sqrt(6.0) * material.shear_modulus_pa
    states = paths.path.reshape(-1, fields)
    von_mises = stiffness * _norm(deviator, states)
    elastic = stiffness * _norm(deviator[..., : paths.cases], states[:, : paths.cases])
    left = paths.path[every, last].copy()
    left[:, : paths.cases] = 0.0
    residual = _combined(deviator, left)  # [5, P, H]
    stress = [elastic_stress(np.asarray(strain @ paths.path[h, s].T), material) for h, s in enumerate(paths.stored)]
    plastic = [np.zeros((6, points, len(s))) for s in paths.stored]
    equivalent = [np.zeros((len(s), points)) for s in paths.stored]
    yielded = np.zeros((count, steps))
    if len(yields):
        own = strain[:, yields].astype(np.float64)
        total = np.ascontiguousarray(deviator[:, yields].reshape(-1, fields).T, dtype=np.float64)
        table = von_mises.reshape(points, count, steps)
        for step, state in enumerate(deviatoric_path(own, paths.path, material)):
            held = (paths.path[:, step] @ total).reshape(count, 5, -1) - state.plastic
            table[yields, :, step] = stiffness * np.sqrt(np.einsum("hca,hca->ah", held, held))
            yielded[:, step] = (state.equivalent > 0) @ volume[yields]
            for h in np.flatnonzero([step in kept for kept in paths.stored]):
                column = int(np.flatnonzero(paths.stored[h] == step)[0])
                flow = strain_of_deviator(state.plastic[h])
                plastic[h][:, yields, column] = flow
                stress[h][:, yields, column] -= elastic_stress(flow, material)
                equivalent[h][column, yields] = state.equivalent[h]
            ends = np.flatnonzero(last == step)
            residual[:, yields[:, None], ends] -= state.plastic[ends].transpose(1, 2, 0)
    return GroupStates(
        von_mises,
        yielded,
        elastic.max(axis=0).reshape(count, steps).max(axis=1),
        stiffness * np.sqrt(np.einsum("cph,cph->ph", residual, residual)).max(axis=0),
        stress,
        plastic,
        equivalent,
    )


def _combined(fields: SingleArray, states: FloatArray) -> SingleArray:
    """Fields [5, P, F] in proportions [S, F]: [5, P, S]."""
    return np.asarray(fields @ states.T.astype(np.float32))


def _norm(fields: SingleArray, states: FloatArray) -> SingleArray:
    """Norm of the fields [5, P, F] in proportions [S, F]: [P, S], one component at a time."""
    total = np.zeros((fields.shape[1], len(states)), dtype=np.float32)
    turned = states.T.astype(np.float32)
    for component in fields:
        total += (component @ turned) ** 2
    return np.sqrt(total)


class HighShare:
    """The value that a small share of a part's volume lies above, in each state, from values that come in groups.

    Only values that can still matter are held.
    """

    def __init__(self, states: int, share: float) -> None:
        """Start with nothing seen; `share` is a volume, m^3."""
        self._share = share
        self._values = [np.zeros(0, dtype=np.float32) for _ in range(states)]
        self._weights = [np.zeros(0) for _ in range(states)]
        self._least = np.full(states, -1.0, dtype=np.float32)

    def add(self, values: SingleArray, weights: FloatArray) -> None:
        """More points: values [P, S] and the volume that each point stands for [P]."""
        over: BoolArray = values > self._least
        for state in np.flatnonzero(over.any(axis=0)):
            chosen = over[:, state]
            held = np.concatenate([self._values[state], values[chosen, state]])
            weight = np.concatenate([self._weights[state], weights[chosen]])
            order = np.argsort(-held)
            held, weight = held[order], weight[order]
            above = np.cumsum(weight) - weight
            kept = int(np.searchsorted(above, self._share, side="right"))
            self._values[state], self._weights[state] = held[:kept], weight[:kept]
            if kept < len(held):
                self._least[state] = held[kept - 1]

    def values(self) -> FloatArray:
        """The quantile of each state [S]."""
        return np.array([held[-1] if len(held) else 0.0 for held in self._values], dtype=np.float64)
