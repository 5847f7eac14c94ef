"""Displacement modes of what a span of modes still lacks: Newton's corrections of some of its states.

Within the span the part is in balance, outside of it it is not. The displacement that the elastic stiffness finds for
what is out of balance points the right way, and is far too short where the part has gone soft: near collapse by orders
of magnitude. A few conjugate gradients on the softened stiffness, preconditioned by the elastic factor, give it length
and shape; each costs one back-substitution a state, which is little beside integrating the histories once more.

The softened stiffness is that of deformation theory: at each point the secant of its whole plastic strain across the
flow, the slope of its hardening law along it. It is symmetric, and positive where the law hardens.
Sources: Hencky, ZAMM 4 (1924), the theory; Simo and Hughes, Computational Inelasticity, box 3.2, the tangent of a step,
which has the same form; Hestenes and Stiefel, J. Res. Nat. Bur. Stand. 49 (1952).
Shape letters: P quadrature points, A points that may yield, F those of them that flow, C load cases and modes,
J new modes, H histories, T steps, S states, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.deviatoric import deviator_rows, deviatoric_path, strain_deviator
from surrogate.physics.elastic import ElasticAnchor, ElasticSystem
from surrogate.physics.materials import Material

# The least share of its stiffness that a flowing point keeps, for laws that do not harden.
_STIFFNESS = 1e-3


@dataclass(frozen=True)
class CorrectionSettings:
    """How corrections are found.

    Attributes:
        iterations: of conjugate gradients, at most; one gives the elastic displacement of what is out of balance. None
            at all leaves rounds to the elastic displacement of the plastic strain itself, as the first round is made.
        fewest_iterations: of every state.
        accuracy: share of what was out of balance, in elastic energy norm, at which a state needs no more of them.
        states: of all histories together, about.
        fewest: states of each history.
        most: states of each history.
    """

    iterations: int = 8
    fewest_iterations: int = 4
    accuracy: float = 0.1
    states: int = 12
    fewest: int = 2
    most: int = 6


@dataclass(frozen=True, eq=False)
class Combined:
    """Histories as paths of load cases and modes.

    Attributes:
        cases: number of load cases, which come first.
        strain: of each case and mode at the points that may yield [6, A, C], engineering shear.
        path: how much of each acts [H, T, C].
        unknowns: displacement of the modes [n, C - cases].
    """

    cases: int
    strain: FloatArray
    path: FloatArray
    unknowns: FloatArray


def corrections(
    anchor: ElasticAnchor, points: IntArray, combined: Combined, settings: CorrectionSettings | None = None
) -> tuple[FloatArray, FloatArray]:
    """What Newton's method would add to the displacement of some states of each history, about.

    Args:
        anchor: elastic answer, with its factor.
        points: those that may yield [A].
        combined: the histories.
        settings: how they are found.

    Returns:
        Displacements [n, S] and the elastic forces in balance with them [n, S], N; none where nothing flows.
    """
    settings = settings or CorrectionSettings()
    states = _flow_states(anchor, points, combined, settings)
    if states is None:
        none = np.zeros((len(combined.unknowns), 0))
        return none, none
    part = _Softened(anchor.system, states)
    held = anchor.system.stiffness @ (combined.unknowns @ states.path[:, combined.cases :].T)
    return part.solve(part.force(states.plastic) - held, settings)


@dataclass(frozen=True, eq=False)
class _FlowStates:
    """States at the points that flow in one of them.

    Attributes:
        points: those [F].
        path: how much of each case and mode acts [S, C].
        plastic: deviator of the plastic strain [5, F, S].
        across: share of the stiffness that is lost across the flow [F, S].
        along: share that is lost along it beyond that [F, S].
        direction: of the flow [5, F, S].
    """

    points: IntArray
    path: FloatArray
    plastic: FloatArray
    across: FloatArray
    along: FloatArray
    direction: FloatArray


def _flow_states(
    anchor: ElasticAnchor, points: IntArray, combined: Combined, settings: CorrectionSettings
) -> _FlowStates | None:
    """States at equal shares of the flow of each history; None where nothing flows."""
    material, path = anchor.system.material, combined.path
    each = int(np.clip(settings.states // max(1, len(path)), settings.fewest, settings.most))
    chosen = steps_of_flow(path[..., combined.cases :], each)
    if not len(chosen):
        return None
    found = {}
    for step, state in enumerate(deviatoric_path(combined.strain, path, material)):
        for history in chosen[chosen[:, 1] == step, 0]:
            found[int(history), step] = state.plastic[history], state.equivalent[history]
    held, equivalent = (np.stack([found[h, t][i] for h, t in chosen.tolist()]) for i in (0, 1))
    flowing = np.flatnonzero(equivalent.any(axis=0))
    held, equivalent = held[:, :, flowing], equivalent[:, flowing]
    own = path[chosen[:, 0], chosen[:, 1]]
    strain = np.moveaxis(strain_deviator(combined.strain[:, flowing]) @ own.T, -1, 0)
    across, along = _lost(held, strain, equivalent, material)
    direction = held / np.maximum(np.linalg.norm(held, axis=1), 1e-30)[:, None]
    last = [np.ascontiguousarray(np.moveaxis(array, 0, -1)) for array in (held, across, along, direction)]
    return _FlowStates(points[flowing], own, *last)


def steps_of_flow(coordinates: FloatArray, count: int) -> IntArray:
    """History and step of states at equal shares of the way that the modes go in each history [S, 2].

    Modes move while points flow, and rest while the part answers elastically.

    Args:
        coordinates: of the modes [H, T, J].
        count: states of each history, at most.
    """
    moved = np.linalg.norm(np.diff(coordinates, axis=1, prepend=0.0), axis=2)
    shares = (np.arange(count) + 1 - 1e-9) / count
    chosen = [
        (history, int(step))
        for history, way in enumerate(np.cumsum(moved, axis=1))
        if way[-1] > 0
        for step in np.unique(np.searchsorted(way, shares * way[-1]))
    ]
    return np.array(chosen, dtype=np.int64).reshape(-1, 2)


def _lost(
    plastic: FloatArray, strain: FloatArray, equivalent: FloatArray, material: Material
) -> tuple[FloatArray, FloatArray]:
    """Shares of the stiffness that are lost across the flow and, beyond that, along it [S, F].

    Args:
        plastic: deviator of the plastic strain [S, 5, F].
        strain: deviator of the strain [S, 5, F].
        equivalent: accumulated plastic strain [S, F].
        material: the law.
    """
    size = np.linalg.norm(plastic, axis=1)
    across = np.minimum(size / np.maximum(np.linalg.norm(strain, axis=1), 1e-30), 1 - _STIFFNESS)
    slope = material.hardening.slope(equivalent)
    both = np.clip(1 / (1 + slope / (3 * material.shear_modulus_pa)), across, 1 - _STIFFNESS)
    flows = equivalent > 0
    return np.where(flows, across, 0.0), np.where(flows, both - across, 0.0)


class _Softened:
    """The stiffness of a part some of whose points flow, one for each state."""

    def __init__(self, system: ElasticSystem, states: _FlowStates) -> None:
        self._system, self._states = system, states
        self._strain = deviator_rows(system.operator, states.points, system.volumes.size)  # [5 F, n]
        weight = 2 * system.material.shear_modulus_pa * system.volumes.ravel()[states.points]
        self._testing = sp.csr_matrix(self._strain.T @ sp.diags(np.tile(weight, 5)))

    def force(self, plastic: FloatArray) -> FloatArray:
        """Nodal forces [n, S] of the stress that plastic strain deviators [5, F, S] take away, N."""
        return np.asarray(self._testing @ plastic.reshape(-1, plastic.shape[2]))

    def _softening(self, displacement: FloatArray, chosen: IntArray) -> FloatArray:
        """Forces [n, R] that displacements [n, R] of chosen states do not meet, since points flow, N."""
        fields = (self._states.direction, self._states.across, self._states.along)
        every = len(chosen) == fields[0].shape[2]
        direction, across, along = fields if every else (field[..., chosen] for field in fields)
        strain = np.asarray(self._strain @ displacement).reshape(direction.shape)
        flowing = along * np.einsum("cfs,cfs->fs", direction, strain)
        return self.force(across * strain + flowing * direction)

    def solve(self, right: FloatArray, settings: CorrectionSettings) -> tuple[FloatArray, FloatArray]:
        """Displacements [n, S] for forces [n, S], and the elastic stiffness times these."""
        left = right.copy()
        found, elastic, way, force = (np.zeros_like(right) for _ in range(4))
        size, first = np.ones(right.shape[1]), np.zeros(right.shape[1])
        open_ = np.arange(right.shape[1])
        for iteration in range(settings.iterations):
            eased = self._system.factor.solve(left[:, open_])
            before, size[open_] = size[open_], (left[:, open_] * eased).sum(axis=0)
            first = first if iteration else size.copy()
            enough = settings.accuracy if iteration >= settings.fewest_iterations else 0.0
            needed = size[open_] > enough**2 * first[open_]
            open_, eased, before = open_[needed], eased[:, needed], before[needed]
            if not len(open_):
                break
            # What eases `left` has it as its elastic force, so that the stiffness is never applied.
            turn = size[open_] / np.maximum(before, 1e-300)
            way[:, open_] = eased + turn * way[:, open_]
            force[:, open_] = left[:, open_] + turn * force[:, open_]
            met = force[:, open_] - self._softening(way[:, open_], open_)
            share = size[open_] / np.maximum((way[:, open_] * met).sum(axis=0), 1e-300)
            found[:, open_] += share * way[:, open_]
            elastic[:, open_] += share * force[:, open_]
            left[:, open_] -= share * met
        return found, elastic


def leading(found: FloatArray, forces: FloatArray, count: int, evening: float, least: float) -> FloatArray:
    """The displacements that span given ones [n, S] best, in elastic energy [n, J].

    Args:
        found: displacements.
        forces: elastic forces in balance with them [n, S], N.
        count: how many, at most.
        evening: power of its size that each is divided by, so that small ones have a say.
        least: share of the first one's energy below which one says nothing more.
    """
    size = np.sqrt(np.maximum((found * forces).sum(axis=0), 0.0))
    kept = size > 1e-3 * size.max(initial=0.0)
    if not kept.any():
        return found[:, :0]
    scale = size[kept] ** -evening
    found, forces = found[:, kept] * scale, forces[:, kept] * scale
    energy, mixing = np.linalg.eigh((found.T @ forces + forces.T @ found) / 2)
    order = np.argsort(energy)[::-1][:count]
    order = order[energy[order] > least * energy.max()]
    return np.asarray(found @ (mixing[:, order] / np.sqrt(energy[order])))
