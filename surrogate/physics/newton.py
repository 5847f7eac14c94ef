"""Equilibrium iterations of one load increment: modified Newton for a block of histories, full Newton for one.

Shape letters: P quadrature points, R histories solved together, K load cases, n free unknowns.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.errors import SolveError
from surrogate.fields import FloatArray
from surrogate.physics.anderson import Anderson
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.plasticity import PlasticState, ReturnMap, return_map, tangent_correction
from surrogate.physics.solver_settings import SolverSettings
from surrogate.physics.sparse_factor import SparseFactor


@dataclass(frozen=True)
class Iterate:
    """State at the end of an increment, of one history or of R.

    Attributes:
        unknowns: [n, ...].
        stress: [6, P, ...], Pa.
        state: plastic state of the P quadrature points.
        residual: nodal force imbalance over the history's largest applied nodal force norm [...].
    """

    unknowns: FloatArray
    stress: FloatArray
    state: PlasticState
    residual: FloatArray

    def column(self, index: int) -> "Iterate":
        """One history of the block, copied, so that the block's arrays may be reused."""
        return Iterate(
            self.unknowns[:, index].copy(),
            self.stress[:, :, index].copy(),
            PlasticState(self.state.plastic_strain[:, :, index].copy(), self.state.equivalent[:, index].copy()),
            self.residual[index : index + 1].copy(),
        )


@dataclass(frozen=True)
class NewtonFailure:
    """Why full Newton found no equilibrium.

    Attributes:
        flowing: whether some point yields in the increment; without flow there is nothing that could collapse.
        residual: smallest imbalance that was reached.
    """

    flowing: bool
    residual: float


def modified_newton(
    anchor: ElasticAnchor,
    factors: FloatArray,
    guess: FloatArray,
    before: PlasticState,
    references: FloatArray,
    settings: SolverSettings,
) -> Iterate:
    """Iterate R histories together with the elastic factor until each converges or the iterations are used up.

    Args:
        anchor: elastic answer to each load case.
        factors: to be reached [K, R].
        guess: unknowns to start from [n, R].
        before: plastic state before the increment.
        references: force norm of each history that its imbalance is measured by [R], N.
        settings: tolerance and number of iterations.
    """
    system = anchor.system
    forces = anchor.forces @ factors
    unknowns = guess.copy()
    count = unknowns.shape[1]
    accelerators = [Anderson() for _ in range(count)]
    stress, after = before.plastic_strain, before
    residual = np.full(count, np.inf)
    active = np.arange(count)
    for iteration in range(settings.modified_iterations + 1):
        # A slice does not copy, and all histories go on in most iterations.
        chosen = slice(None) if active.size == count else active
        state = PlasticState(before.plastic_strain[:, :, chosen], before.equivalent[:, chosen])
        mapped = return_map(system.strain(unknowns[:, chosen]), state, system.material)
        imbalance = forces[:, chosen] - system.internal_force(mapped.stress)
        if active.size == count:
            stress, after = mapped.stress, mapped.state
        else:
            stress[:, :, active] = mapped.stress
            after.plastic_strain[:, :, active] = mapped.state.plastic_strain
            after.equivalent[:, active] = mapped.state.equivalent
        residual[active] = np.linalg.norm(imbalance, axis=0) / references[active]
        going = np.flatnonzero((residual[active] > settings.tolerance) & (residual[active] < 1e3))
        if not going.size or iteration == settings.modified_iterations:
            break
        active = active[going]
        steps = system.factor.solve(np.ascontiguousarray(imbalance[:, going]))
        for column, history in enumerate(active):
            unknowns[:, history] = accelerators[history].advance(unknowns[:, history], steps[:, column])
    return Iterate(unknowns, stress, after, residual)


class Tangent:
    """The factor of a consistent tangent, kept as long as it makes the iteration converge well."""

    def __init__(self, anchor: ElasticAnchor) -> None:
        self._system = anchor.system
        self._factor: SparseFactor | None = None

    def refresh(self, mapped: ReturnMap) -> SparseFactor:
        """Factor the tangent at a state; the elastic factor serves where nothing yields.

        Raises:
            SolveError: the tangent is not positive definite.
        """
        system = self._system
        yielding = np.flatnonzero(mapped.multiplier > 0)
        if not yielding.size:
            return system.factor
        correction = np.zeros((system.volumes.size, 6, 6))
        correction[yielding] = tangent_correction(mapped, yielding, system.material)
        cells = np.unique(yielding // 4)
        matrix = system.tangent(cells, correction.reshape(-1, 4, 6, 6)[cells])
        if self._factor is None:
            # The pattern is that of the elastic stiffness, so its symbolic analysis serves the tangents too.
            self._factor = system.factor.sibling(matrix)
        else:
            self._factor.refactorize(matrix)
        return self._factor


def full_newton(
    anchor: ElasticAnchor,
    factors: FloatArray,
    guess: FloatArray,
    before: PlasticState,
    reference: float,
    settings: SolverSettings,
    tangent: Tangent,
) -> Iterate | NewtonFailure:
    """Newton for one history, with a new tangent where the last no longer halves the imbalance.

    Args:
        anchor: elastic answer to each load case.
        factors: to be reached [K].
        guess: unknowns to start from [n].
        before: plastic state before the increment.
        reference: force norm that the imbalance is measured by, N.
        settings: tolerance and number of factorisations.
        tangent: keeps the factor between increments.
    """
    system, forces, unknowns = anchor.system, anchor.forces @ factors, guess.copy()
    factor: SparseFactor | None = None
    last, best, refreshed, flowing = np.inf, np.inf, 0, False
    for _ in range(4 * settings.newton_iterations):
        mapped = return_map(system.strain(unknowns), before, system.material)
        imbalance = forces - system.internal_force(mapped.stress)
        residual = float(np.linalg.norm(imbalance)) / reference
        flowing = bool((mapped.multiplier > 0).any())
        if residual <= settings.tolerance:
            return Iterate(unknowns, mapped.stress, mapped.state, np.array([residual]))
        if not residual < 1e6:
            break
        best = min(best, residual)
        try:
            if factor is None or residual > 0.5 * last:
                if refreshed == settings.newton_iterations:
                    break
                factor, refreshed = tangent.refresh(mapped), refreshed + 1
            unknowns = unknowns + factor.solve(imbalance)
        except SolveError:
            break
        last = residual
    return NewtonFailure(flowing, best)
