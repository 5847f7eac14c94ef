"""Energy and reaction balance of a solved history: checks that do not lean on the solver's own residual.

Energy: between two states in equilibrium, ½ (F0 + F1)·(u1 - u0) = ½ ∫ (σ0 + σ1):(ε1 - ε0) by virtual work, which with
ε = C⁻¹σ + ε_p is the rise of the elastic energy plus ½ ∫ (σ0 + σ1):(ε_p1 - ε_p0), exactly and for any size of step.
Reactions: the forces that the stress exerts on the supported directions, summed as force and as moment, must cancel
those of the loads. Source: Zienkiewicz and Taylor, The Finite Element Method, virtual work of a discrete system.

Shape letters: N points, C cells, P = 4 C quadrature points, S quadrature points of the cells at supports, K load
cases, T steps, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, HistoryFields, IntArray, StepBalance
from surrogate.physics.elastic import ElasticAnchor

_TINY = 1e-300
_STRAIN_AXES = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))


@dataclass(frozen=True, eq=False)
class _State:
    """What the next increment's sums need of a state."""

    force: FloatArray
    unknowns: FloatArray
    weighted: FloatArray
    plastic_strain: FloatArray


@dataclass(frozen=True, eq=False)
class Resultants:
    """Reads the resultant of support forces and loads about the part's middle; moments are over half its diagonal.

    Attributes:
        points: quadrature points of the cells at supports [S].
        weights: resultant of the support forces of a stress there [6, 6, S], m^3.
        applied: resultant of each load case's forces on free directions [6, K], N.
        loads: nodal forces of each load case on free directions, at loaded points only [L, 3, K], N.
    """

    points: IntArray
    weights: FloatArray
    applied: FloatArray
    loads: FloatArray


def resultants(anchor: ElasticAnchor) -> Resultants:
    """The weights by which stress at the supports becomes force and moment, from the shape functions alone."""
    system, mesh = anchor.system, anchor.system.mesh
    arms = mesh.points - (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2
    turns = [np.cross(axis, arms) / (0.5 * np.linalg.norm(mesh.size)) for axis in np.eye(3)]
    shifts = [np.broadcast_to(axis, arms.shape) for axis in np.eye(3)]
    modes = np.stack([*shifts, *turns], axis=-1).reshape(-1, 6)  # [3N, 6]
    free = np.asarray(system.freedom.T @ modes)
    held = (modes - system.freedom @ free).reshape(-1, 3, 6)
    cells = np.flatnonzero((np.abs(held) > 1e-9).any(axis=(1, 2))[mesh.cells].any(axis=1))
    slopes = np.einsum("cqai,cajm->mijcq", system.gradients[cells], held[mesh.cells[cells]], optimize=True)
    strain = np.stack([slopes[:, i, j] + (slopes[:, j, i] if i != j else 0.0) for i, j in _STRAIN_AXES], axis=1)
    nodal = np.asarray(system.freedom @ anchor.forces).reshape(-1, 3, anchor.forces.shape[1])
    return Resultants(
        points=(4 * cells[:, None] + np.arange(4)).ravel(),
        weights=np.ascontiguousarray((strain * system.volumes[cells]).reshape(6, 6, -1)),
        applied=free.T @ anchor.forces,
        loads=nodal[nodal.any(axis=(1, 2))],
    )


class HistoryBalance:
    """Sums the balance of one history, state after state, from the virgin part."""

    def __init__(self, anchor: ElasticAnchor, read: Resultants) -> None:
        self._anchor, self._read = anchor, read
        self._volumes = anchor.system.volumes.ravel()
        self._last: _State | None = None
        self._rows: list[tuple[float, float, float, float, float]] = []

    def add(self, factors: FloatArray, unknowns: FloatArray, stress: FloatArray, plastic_strain: FloatArray) -> None:
        """Adds the next state.

        Args:
            factors: [K].
            unknowns: [n].
            stress: [6, P], Pa.
            plastic_strain: [6, P], engineering shear.
        """
        now, last = _State(self._anchor.forces @ factors, unknowns, stress * self._volumes, plastic_strain), self._last
        if last is None:
            work = 0.5 * float(now.force @ now.unknowns)
            plastic = 0.5 * float(np.vdot(now.weighted, now.plastic_strain))
        else:
            work, plastic = self._rows[-1][:2]
            work += 0.5 * float((last.force + now.force) @ (now.unknowns - last.unknowns))
            flow = now.plastic_strain - last.plastic_strain
            plastic += 0.5 * float(np.vdot(last.weighted + now.weighted, flow))
        self._last = now
        self._rows.append((work, plastic, self._energy(stress, now.weighted), *self._reactions(factors, stress)))

    def _energy(self, stress: FloatArray, weighted: FloatArray) -> float:
        """½ ∫ σ:C⁻¹:σ, J."""
        material = self._anchor.system.material
        squares = np.einsum("ip,ip->i", stress, weighted)
        trace = float(stress[:3].sum(axis=0) @ weighted[:3].sum(axis=0))
        nu = material.poissons_ratio
        both = (1 + nu) * float(squares[:3].sum() + 2 * squares[3:].sum()) - nu * trace
        return 0.5 * both / material.youngs_modulus_pa

    def _reactions(self, factors: FloatArray, stress: FloatArray) -> tuple[float, float]:
        """What support forces leave of the loads, force or moment over length, and the size of the loads, N."""
        left = self._read.applied @ factors + np.tensordot(self._read.weights, stress[:, self._read.points], 2)
        size = float(np.sqrt(((self._read.loads @ factors) ** 2).sum(axis=-1)).sum())
        return max(float(np.linalg.norm(left[:3])), float(np.linalg.norm(left[3:]))), size

    def finish(self) -> StepBalance:
        """The balance at every state that was added."""
        work, plastic, energy, left, size = np.array(self._rows).T
        scale = (np.abs(work) + energy + np.abs(plastic)).max()
        return StepBalance(
            external_work_j=work,
            elastic_energy_j=energy,
            plastic_work_j=plastic,
            energy_imbalance=np.abs(work - energy - plastic) / max(scale, _TINY),
            reaction_imbalance=left / max(size.max(), _TINY),
        )


def balance_warnings(histories: tuple[HistoryFields, ...], point_count: int, tolerance: float) -> tuple[str, ...]:
    """A sentence for each history whose balance is worse than its tolerance can explain.

    Imbalances of N points, within a tolerance in their norm, sum to at most the root of N times as much
    (Cauchy-Schwarz); more than that is an error of the solution, not of its iterations.

    Args:
        histories: solved.
        point_count: N.
        tolerance: of the solution, nodal force imbalance over the largest applied.
    """
    bound = float(np.sqrt(point_count)) * tolerance
    found = []
    for history in histories:
        if history.balance is None:
            continue
        energy, reaction = worst_balance(history.balance)
        # Not a number must not pass for small.
        if not (energy <= bound and reaction <= bound):
            found.append(
                f"history {history.name!r}: the balance of energy closes to {energy:.1e} and that of the support "
                f"forces to {reaction:.1e}, more than the {bound:.1e} that the tolerance allows; do not rely on it"
            )
    return tuple(found)


def worst_balance(balance: StepBalance) -> tuple[float, float]:
    """Largest imbalance of energy and of support forces over the steps."""
    return float(balance.energy_imbalance.max()), float(balance.reaction_imbalance.max())
