"""Integrates J2 plasticity in the span of a few displacement modes, all histories together.

With modes orthonormal in elastic energy, the load cases themselves are balanced, and equilibrium within the span is
b = sum over the points of weight * (D B phi) : eps_p(eps_cases + B phi b). Newton's method with the consistent tangent.
Source: Simo and Hughes, Computational Inelasticity, box 3.2 (tangent).
Shape letters: A quadrature points, J modes, H histories, R of them that still iterate, T steps, K load cases.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import BoolArray, FloatArray, IntArray
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import PlasticState, ReturnMap, elastic_stress, return_map

_TOLERANCE = 1e-3
_ITERATIONS = 25
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


def integrate(problem: ReducedProblem, factors: FloatArray) -> FloatArray:
    """Coordinates of the modes at every step.

    Args:
        problem: points, modes and law.
        factors: [H, T, K].

    Returns:
        [H, T, J].
    """
    solver = _Newton(problem)
    count, steps = factors.shape[:2]
    result = np.zeros((count, steps, problem.mode_strain.shape[2]))
    held, state = np.zeros_like(result[:, 0]), PlasticState.virgin(len(problem.weight), count)
    largest = np.full(count, 1e-300)
    for step in range(steps):
        held, state = solver.advance(problem.case_strain @ factors[:, step].T, held, state, largest)
        result[:, step] = held
    return result


class _Newton:
    def __init__(self, problem: ReducedProblem) -> None:
        self._material = problem.material
        self._modes = problem.mode_strain  # [6, A, J]
        self._flat = np.ascontiguousarray(self._modes.reshape(-1, self._modes.shape[2]))
        stress = np.stack([elastic_stress(mode, problem.material) for mode in np.moveaxis(self._modes, -1, 0)])
        weighted = stress * problem.weight  # [J, 6, A]
        self._testing = np.ascontiguousarray(weighted.reshape(len(stress), -1))
        self._weight = problem.weight
        shear = np.array([1, 1, 1, 0.5, 0.5, 0.5])[:, None, None]
        volumetric = self._modes[:3].sum(axis=0)
        # Of each point, the square of the deviatoric strain between every two modes [A, J * J].
        squares = np.einsum("caj,cak->ajk", self._modes * shear, self._modes, optimize=True)
        squares -= volumetric[:, :, None] * volumetric[:, None] / 3
        self._squares = squares.reshape(len(self._weight), -1)

    def advance(
        self, driving: FloatArray, start: FloatArray, before: PlasticState, largest: FloatArray
    ) -> tuple[FloatArray, PlasticState]:
        """One step of all histories.

        Args:
            driving: strain of the loads [6, A, H].
            start: coordinates before [H, J].
            before: plastic state before, trailing shape [A, H].
            largest: largest right-hand side of each history so far [H]; updated.
        """
        coordinates, after = start.copy(), before
        alive = np.arange(len(start))
        last = np.full(len(start), np.inf)
        move = np.zeros_like(start)
        plastic, equivalent = before.plastic_strain.copy(), before.equivalent.copy()
        for _ in range(_ITERATIONS):
            own = PlasticState(before.plastic_strain[:, :, alive], before.equivalent[:, alive])
            mapped = return_map(driving[:, :, alive] + self._strain(coordinates[alive]), own, self._material)
            plastic[:, :, alive], equivalent[:, alive] = mapped.state.plastic_strain, mapped.state.equivalent
            caused = (self._testing @ mapped.state.plastic_strain.reshape(-1, len(alive))).T
            largest[alive] = np.maximum(largest[alive], np.linalg.norm(caused, axis=1))
            residual = caused - coordinates[alive]
            size = np.linalg.norm(residual, axis=1)
            open_ = size > _TOLERANCE * largest[alive]
            if not open_.any():
                break
            worse = open_ & (size > 2 * last[alive])
            # A step that made things worse is taken back by half.
            move[alive[worse]] *= -0.5
            onward = open_ & ~worse
            if onward.any():
                move[alive[onward]] = self._newton_step(mapped, onward, residual[onward])
            last[alive[onward]] = size[onward]
            alive = alive[open_]
            coordinates[alive] += move[alive]
        after = PlasticState(plastic, equivalent)
        return coordinates, after

    def _strain(self, coordinates: FloatArray) -> FloatArray:
        return np.asarray(self._flat @ coordinates.T).reshape(6, -1, len(coordinates))

    def _newton_step(self, mapped: ReturnMap, chosen: BoolArray, residual: FloatArray) -> FloatArray:
        """Solve the tangent of the chosen histories for a residual [R, J]."""
        count, modes = residual.shape
        result = np.empty_like(residual)
        index = np.flatnonzero(chosen)
        size = max(1, _CHUNK // max(1, len(self._weight) * modes))
        for first in range(0, count, size):
            part = slice(first, first + size)
            tangent = self._tangent(mapped, index[part])
            result[part] = np.linalg.solve(tangent, residual[part][..., None])[..., 0]
        return result

    def _tangent(self, mapped: ReturnMap, index: IntArray) -> FloatArray:
        """Reduced consistent tangents [R, J, J]; the elastic one is the identity."""
        shear, modes = self._material.shear_modulus_pa, self._modes.shape[2]
        multiplier, norm = mapped.multiplier[:, index], mapped.trial_norm[:, index]  # [A, R]
        flowing = np.flatnonzero(multiplier.any(axis=1))
        multiplier, norm = multiplier[flowing], norm[flowing]
        flows, weight = multiplier > 0, self._weight[flowing, None]
        slope = self._material.hardening.slope(mapped.state.equivalent[flowing][:, index])
        theta = 2 * shear * multiplier / np.maximum(norm, 1e-30)
        radial = np.where(flows, 2 * shear / (1 + slope / (3 * shear)) - 2 * shear * theta, 0.0) * weight
        along = np.zeros((len(index), len(flowing), modes))
        direction, strain = mapped.direction[:, flowing][:, :, index], self._modes[:, flowing]
        for component in range(6):
            along += direction[component].T[:, :, None] * strain[component]
        lost = ((2 * shear * theta * weight).T @ self._squares[flowing]).reshape(-1, modes, modes)
        lost += (along * radial.T[:, :, None]).transpose(0, 2, 1) @ along
        return np.eye(modes) - lost
