"""Integrates J2 plasticity in the span of a few displacement modes, all histories together.

With modes orthonormal in elastic energy, the load cases themselves are balanced, and equilibrium within the span is
b = sum over the points of weight * (D B phi) : eps_p(eps_cases + B phi b). Newton's method with the consistent tangent.
All of it is written in the five numbers of a deviator. The points may be all of a part's with their volumes, or a few
with the weights of a cubature.
Source: Simo and Hughes, Computational Inelasticity, box 3.2 (tangent).
Shape letters: A quadrature points, J modes, H histories, R of them that still iterate, T steps, K load cases.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.deviatoric import DeviatoricReturn, DeviatoricState, deviatoric_return, strain_deviator
from surrogate.physics.materials import Material

# Of the largest right-hand side so far: near collapse a hundredth of the stiffness is left, and an answer that is this
# far out of balance is a hundred times as far off.
_TOLERANCE = 1e-4
_ITERATIONS = 40
# A mode is not followed to a strain beyond this anywhere: by then the part has collapsed.
_LARGEST_STRAIN = 5.0
# The least share of its elastic stiffness that a mechanism keeps in a tangent.
_STIFFNESS = 1e-5
# Points times histories that are integrated at once: what fits into a core's cache. Of a large part at least some
# histories go together, since then the modes are read once for all of them.
_TOGETHER, _AT_LEAST = 40_000, 8
# Numbers that the tangents of some histories may take at once.
_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class ReducedProblem:
    """What is integrated.

    Attributes:
        case_strain: strain of each load case at factor 1 [6, A, K], engineering shear.
        mode_strain: strain of each mode [6, A, J].
        weight: volume that each point stands for [A], m^3.
        material: the law.
    """

    case_strain: FloatArray
    mode_strain: FloatArray
    weight: FloatArray
    material: Material


@dataclass(frozen=True, eq=False)
class Integrated:
    """The answer within the span.

    Attributes:
        coordinates: of the modes at every step [H, T, J].
        settled: whether a step found its balance [H, T]. Where not, the part is past plastic collapse in the span, or
            the step was too large; the coordinates are the best that were seen, and finite.
    """

    coordinates: FloatArray
    settled: BoolArray


def integrate(problem: ReducedProblem, factors: FloatArray) -> Integrated:
    """Coordinates of the modes at every step.

    Args:
        problem: points, modes and law.
        factors: [H, T, K].
    """
    solver = _Newton(problem)
    count, steps = factors.shape[:2]
    coordinates = np.zeros((count, steps, problem.mode_strain.shape[2]))
    settled = np.ones((count, steps), dtype=bool)
    together = max(_AT_LEAST, _TOGETHER // max(1, len(problem.weight)))
    for first in range(0, count, together):
        part = slice(first, first + together)
        solver.run(factors[part], coordinates[part], settled[part])
    return Integrated(coordinates, settled)


class _Newton:
    def __init__(self, problem: ReducedProblem) -> None:
        self._material, self._weight = problem.material, problem.weight
        cases, modes = strain_deviator(problem.case_strain), strain_deviator(problem.mode_strain)
        self._count = modes.shape[2]
        self._cases = np.ascontiguousarray(cases.reshape(-1, cases.shape[2]).T)  # [K, 5 A]
        self._modes = np.ascontiguousarray(modes.reshape(-1, self._count).T)  # [J, 5 A]
        weighted = 2 * problem.material.shear_modulus_pa * modes * problem.weight[:, None]
        self._testing = weighted.reshape(-1, self._count)  # [5 A, J]
        # Tangents only steer, so that single precision is enough for them.
        self._by_point = np.ascontiguousarray(modes.transpose(1, 0, 2), dtype=np.float32)  # [A, 5, J]
        # Of each point, the product of the deviatoric strain of every two modes [A, J * J].
        self._squares = (self._by_point.transpose(0, 2, 1) @ self._by_point).reshape(len(self._weight), -1)
        steepest = np.sqrt((modes**2).sum(axis=0).max(axis=0, initial=0.0))
        self._bound = _LARGEST_STRAIN / np.maximum(steepest, 1e-300)

    def run(self, factors: FloatArray, coordinates: FloatArray, settled: BoolArray) -> None:
        """All steps of some histories, written into the coordinates [H, T, J] and whether they settled [H, T]."""
        count, points = len(factors), len(self._weight)
        held = np.zeros((count, self._count))
        state = DeviatoricState.virgin(count, points)
        largest = np.full(count, 1e-300)
        for step in range(factors.shape[1]):
            driving = (factors[:, step] @ self._cases).reshape(count, 5, points)
            held, state, settled[:, step] = self._advance(driving, held, state, largest)
            coordinates[:, step] = held

    def _advance(
        self, driving: FloatArray, start: FloatArray, before: DeviatoricState, largest: FloatArray
    ) -> tuple[FloatArray, DeviatoricState, BoolArray]:
        """One step of all histories: coordinates and state after it, and which of them found a balance [H].

        Args:
            driving: strain deviator of the loads [H, 5, A].
            start: coordinates before [H, J].
            before: state of the points before.
            largest: largest right-hand side of each history so far [H]; updated.
        """
        count = len(start)
        held, state = start, before
        base, trial, move = start.copy(), start.copy(), np.zeros_like(start)
        share, last, best = np.ones(count), np.full(count, np.inf), np.full(count, np.inf)
        alive, settled = np.arange(count), np.ones(count, dtype=bool)
        for iteration in range(_ITERATIONS):
            every = len(alive) == count
            own = before if every else DeviatoricState(before.plastic[alive], before.equivalent[alive])
            strain = (driving if every else driving[alive]) + self._strain(trial[alive])
            mapped = deviatoric_return(strain, own, self._material)
            caused = mapped.state.plastic.reshape(len(alive), -1) @ self._testing
            largest[alive] = np.maximum(largest[alive], np.linalg.norm(caused, axis=1))
            residual = caused - trial[alive]
            size = np.linalg.norm(residual, axis=1)
            open_ = size > _TOLERANCE * largest[alive]
            if not iteration:
                held, state, best = trial.copy(), mapped.state, size.copy()
            else:
                kept = ~open_ | (size < best[alive])
                at = alive[kept]
                held[at], best[at] = trial[at], size[kept]
                state.plastic[at], state.equivalent[at] = mapped.state.plastic[kept], mapped.state.equivalent[kept]
            if not open_.any():
                return held, state, settled
            worse = open_ & (size > 2 * last[alive])
            onward = np.flatnonzero(open_ & ~worse)
            # A step that made things worse is halved until it does not.
            share[alive[worse]] /= 2
            ahead = alive[onward]
            base[ahead], share[ahead], last[ahead] = trial[ahead], 1.0, size[onward]
            move[ahead] = self._newton_step(mapped, onward, residual[onward])
            alive = alive[open_]
            trial[alive] = np.clip(base[alive] + share[alive, None] * move[alive], -self._bound, self._bound)
        settled[alive] = False
        return held, state, settled

    def _strain(self, coordinates: FloatArray) -> FloatArray:
        return np.asarray(coordinates @ self._modes).reshape(len(coordinates), 5, -1)

    def _newton_step(self, mapped: DeviatoricReturn, index: IntArray, residual: FloatArray) -> FloatArray:
        """Solve the tangents of the histories of an index for a residual [R, J]."""
        result = np.empty_like(residual)
        size = max(1, _CHUNK // max(1, len(self._weight) * self._count))
        for first in range(0, len(index), size):
            part = slice(first, first + size)
            tangent = self._tangent(mapped, index[part]) + _STIFFNESS * np.eye(self._count)
            result[part] = np.linalg.solve(tangent, residual[part][..., None])[..., 0]
        return result

    def _tangent(self, mapped: DeviatoricReturn, index: IntArray) -> FloatArray:
        """Reduced consistent tangents [R, J, J]; the elastic one is the identity."""
        shear, modes = self._material.shear_modulus_pa, self._count
        flowing = np.flatnonzero(mapped.multiplier[index].any(axis=0))
        chosen = np.ix_(index, flowing)
        multiplier, norm = mapped.multiplier[chosen], mapped.trial_norm[chosen]  # [R, A]
        weight = 2 * shear * self._weight[flowing]
        slope = self._material.hardening.slope(mapped.state.equivalent[chosen])
        theta = multiplier / np.maximum(norm, 1e-30)
        radial = np.where(multiplier > 0, 1 / (1 + slope / (3 * shear)) - theta, 0.0) * weight
        direction = mapped.direction[np.ix_(index, np.arange(5), flowing)].astype(np.float32)
        along = (direction.transpose(2, 0, 1) @ self._by_point[flowing]).transpose(1, 0, 2)  # [R, A, J]
        lost = ((theta * weight).astype(np.float32) @ self._squares[flowing]).reshape(-1, modes, modes)
        lost += (along * radial[:, :, None].astype(np.float32)).transpose(0, 2, 1) @ along
        return np.eye(modes) - lost
