"""The reference: nonlinear FEM of elastic-plastic load histories.

Modified Newton with the elastic factor and Anderson acceleration, all histories of a part in one block; full Newton
with the consistent tangent where that stalls, smaller increments where that fails, and plastic collapse reported
where no increment is left.

Shape letters: P quadrature points, R histories solved together, T steps, K load cases, n free unknowns.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surrogate.errors import ConvergenceError, SolveError
from surrogate.fields import Collapse, Fields, FloatArray, HistoryFields
from surrogate.physics.anderson import Anderson
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.plasticity import PlasticState, ReturnMap, return_map, tangent_correction
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points, weighted_quantile
from surrogate.physics.sparse_factor import SparseFactor, factorize
from surrogate.physics.tet_element import strain_matrices

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SolverSettings:
    """How hard the reference tries.

    Attributes:
        tolerance: nodal force imbalance over the largest applied nodal force norm of the history.
        modified_iterations: back-substitutions with the elastic factor before full Newton takes over.
        newton_iterations: tangent factorisations a step before the increment is halved.
        halvings: how often an increment may be halved.
        stop_after_modified: accept the last modified iterate whatever its residual (the classical "k passes").
        collapse_plastic_strain: limit on the volume-weighted 99.9 percentile of the plastic strain.
        collapse_displacement: limit on the displacement over the part's size.
        stored_steps: store every step if there are no more than this in all, else the peak and last of each history.
        block_bytes: memory that the plastic states of one block of histories may take.
    """

    tolerance: float = 1e-6
    modified_iterations: int = 30
    newton_iterations: int = 12
    halvings: int = 4
    stop_after_modified: bool = False
    collapse_plastic_strain: float = 0.2
    collapse_displacement: float = 0.1
    stored_steps: int = 64
    block_bytes: int = 200_000_000


@dataclass(frozen=True)
class _Iterate:
    """State at the end of an increment; arrays of R histories."""

    unknowns: FloatArray
    stress: FloatArray
    state: PlasticState
    residual: FloatArray


def solve(problem: Problem, *, progress: Progress | None = None, settings: SolverSettings | None = None) -> Fields:
    """Solve every load history of a problem by nonlinear FEM.

    Args:
        problem: what to solve.
        progress: called with (stage, share done).
        settings: how hard to try.

    Returns:
        Fields of method "solved".

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        ConvergenceError: an increment without plastic flow did not converge.
    """
    settings, report = settings or SolverSettings(), progress or (lambda stage, done: None)
    start = time.perf_counter()
    report("anchor", 0.0)
    anchor = elastic_anchor(problem)
    anchored = time.perf_counter()
    histories = solve_histories(anchor, problem.load_histories, settings, lambda done: report("solve", done))
    end = time.perf_counter()
    timings = {"anchor": anchored - start, "solve": end - anchored, "total": end - start}
    return Fields("solved", histories, anchor.system.volumes, timings)


def solve_histories(
    anchor: ElasticAnchor,
    histories: tuple[LoadHistory, ...],
    settings: SolverSettings,
    progress: Callable[[float], None] = lambda done: None,
    guesses: FloatArray | None = None,
) -> tuple[HistoryFields, ...]:
    """Solve load histories on an anchored part, in blocks of histories.

    Args:
        anchor: elastic answer to each load case.
        histories: the load histories.
        settings: how hard to try.
        progress: called with the share done.
        guesses: unknowns to start each step from [H, T, n] instead of the elastic predictor, or None.
    """
    point_count = anchor.system.volumes.size
    block = max(1, settings.block_bytes // (point_count * 8 * 32))
    keep_all = sum(len(history.factors) for history in histories) <= settings.stored_steps
    positions = quadrature_points(anchor.system)
    results: list[HistoryFields] = []
    for first in range(0, len(histories), block):
        chosen = histories[first : first + block]
        recorders = [HistoryRecorder(anchor, history, positions, keep_all) for history in chosen]

        def within(done: float, first: int = first, count: int = len(chosen)) -> None:
            progress((first + done * count) / len(histories))

        chosen_guesses = None if guesses is None else guesses[first : first + block]
        collapses = _run_block(anchor, chosen, recorders, settings, within, chosen_guesses)
        results += [recorder.finish(collapse) for recorder, collapse in zip(recorders, collapses, strict=True)]
    return tuple(results)


def _run_block(
    anchor: ElasticAnchor,
    histories: tuple[LoadHistory, ...],
    recorders: list[HistoryRecorder],
    settings: SolverSettings,
    progress: Callable[[float], None],
    guesses: FloatArray | None,
) -> list[Collapse | None]:
    system, count = anchor.system, len(histories)
    unknowns = np.zeros((system.freedom.shape[1], count))
    state = PlasticState.virgin(system.volumes.size, count)
    collapses: list[Collapse | None] = [None] * count
    references = np.array([np.linalg.norm(anchor.forces @ h.factors.T, axis=0).max() for h in histories])
    references = np.maximum(references, 1e-300)
    previous = np.zeros((anchor.forces.shape[1], count))
    step_count = max(len(history.factors) for history in histories)
    for step in range(step_count):
        alive = np.array([i for i, h in enumerate(histories) if step < len(h.factors) and collapses[i] is None], int)
        if not alive.size:
            break
        factors = np.stack([histories[i].factors[step] for i in alive], axis=1)  # [K, R]
        guess = unknowns[:, alive] + anchor.unknowns @ (factors - previous[:, alive])
        if guesses is not None:
            guess = guesses[alive, step].T
        before = PlasticState(state.plastic_strain[:, :, alive], state.equivalent[:, alive])
        found = _modified_newton(anchor, factors, guess, before, references[alive], settings)
        for column, history in enumerate(alive):
            single = _column(found, column)
            start = _Iterate(unknowns[:, history], single.stress, _state_column(before, column), np.zeros(1))
            collapse: Collapse | None = None
            passed = _limit_passed(anchor, single, settings) is not None
            if not settings.stop_after_modified and (passed or single.residual[0] > settings.tolerance):
                # Past a limit too: smaller increments tell what share of this one was still carried.
                single, collapse = _rescue(
                    anchor, previous[:, history], factors[:, column], start, references[history], settings, step
                )
            if collapse is not None:
                if step == 0:
                    raise ConvergenceError(
                        f"plastic collapse in the first step of history {histories[history].name!r} at "
                        f"{100 * collapse.fraction:.0f} % of it ({collapse.reason}); lower the loads or add steps"
                    )
                collapses[history] = collapse
                continue
            unknowns[:, history] = single.unknowns
            state.plastic_strain[:, :, history] = single.state.plastic_strain
            state.equivalent[:, history] = single.state.equivalent
            snapshot = Snapshot(step, single.unknowns.copy(), single.stress.copy(), single.state)
            recorders[history].record(snapshot, float(single.residual[0]))
        previous[:, alive] = factors
        progress((step + 1) / step_count)
    return collapses


def _state_column(state: PlasticState, column: int) -> PlasticState:
    return PlasticState(state.plastic_strain[:, :, column].copy(), state.equivalent[:, column].copy())


def _column(iterate: _Iterate, column: int) -> _Iterate:
    return _Iterate(
        iterate.unknowns[:, column],
        iterate.stress[:, :, column],
        _state_column(iterate.state, column),
        iterate.residual[column : column + 1],
    )


def _modified_newton(
    anchor: ElasticAnchor,
    factors: FloatArray,
    guess: FloatArray,
    before: PlasticState,
    references: FloatArray,
    settings: SolverSettings,
) -> _Iterate:
    """Iterate R histories together with the elastic factor until each converges or the iterations are used up."""
    system = anchor.system
    forces = anchor.forces @ factors
    unknowns = guess.copy()
    count = unknowns.shape[1]
    accelerators = [Anderson() for _ in range(count)]
    stress = np.empty_like(before.plastic_strain)
    after = PlasticState(np.empty_like(before.plastic_strain), np.empty_like(before.equivalent))
    residual = np.full(count, np.inf)
    active = np.arange(count)
    for iteration in range(settings.modified_iterations + 1):
        state = PlasticState(before.plastic_strain[:, :, active], before.equivalent[:, active])
        mapped = return_map(system.strain(unknowns[:, active]), state, system.material)
        imbalance = forces[:, active] - system.internal_force(mapped.stress)
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
    return _Iterate(unknowns, stress, after, residual)


def _rescue(
    anchor: ElasticAnchor,
    previous: FloatArray,
    factors: FloatArray,
    start: _Iterate,
    reference: float,
    settings: SolverSettings,
    step: int,
) -> tuple[_Iterate, Collapse | None]:
    """Full Newton from the last converged state, halving the increment where it fails."""
    done, share, iterate, tangent = 0.0, 1.0, start, _Tangent(anchor)
    smallest = 0.5**settings.halvings
    while done < 1.0:
        target = previous + (done + share) * (factors - previous)
        guess = iterate.unknowns + anchor.unknowns @ (share * (factors - previous))
        attempt = _full_newton(anchor, target, guess, iterate.state, reference, settings, tangent)
        if attempt is not None and _limit_passed(anchor, attempt, settings) is None:
            iterate, done = attempt, done + share
            share = min(share, 1.0 - done)
            continue
        share /= 2
        if share < smallest:
            reason = "no equilibrium beyond this load" if attempt is None else _limit_passed(anchor, attempt, settings)
            carried = previous + done * (factors - previous)
            level = float(np.linalg.norm(anchor.forces @ carried)) / reference
            return iterate, Collapse(
                step, done, reason or "no equilibrium beyond this load", tuple(carried.tolist()), level
            )
    return iterate, None


class _Tangent:
    """The factor of a consistent tangent, kept as long as it makes the iteration converge well."""

    def __init__(self, anchor: ElasticAnchor) -> None:
        self._system = anchor.system
        self._factor: SparseFactor | None = None

    def refresh(self, mapped: ReturnMap) -> SparseFactor:
        """Factor the tangent at a state; the elastic factor serves where nothing yields."""
        system = self._system
        yielding = np.flatnonzero(mapped.multiplier > 0)
        if not yielding.size:
            return system.factor
        correction = np.zeros((system.volumes.size, 6, 6))
        correction[yielding] = tangent_correction(mapped, yielding, system.material)
        cells = np.unique(yielding // 4)
        strain = strain_matrices(system.gradients[cells]).reshape(len(cells), 4, 6, 30)
        weighted = correction.reshape(-1, 4, 6, 6)[cells] * system.volumes[cells][:, :, None, None]
        matrices = np.matmul(strain.transpose(0, 1, 3, 2), np.matmul(weighted, strain)).sum(axis=1)
        added = system.pattern.assemble(matrices.reshape(-1, 10, 3, 10, 3), cells)
        matrix = (system.stiffness + system.freedom.T @ added @ system.freedom).tocsr()
        if self._factor is None:
            self._factor = factorize(matrix)
        else:
            self._factor.refactorize(matrix)
        return self._factor


def _full_newton(
    anchor: ElasticAnchor,
    factors: FloatArray,
    guess: FloatArray,
    before: PlasticState,
    reference: float,
    settings: SolverSettings,
    tangent: _Tangent,
) -> _Iterate | None:
    """Newton for one history, with a new tangent where the last no longer halves the imbalance; None if it fails."""
    system, forces, unknowns = anchor.system, anchor.forces @ factors, guess.copy()
    factor: SparseFactor | None = None
    last, refreshed = np.inf, 0
    for _ in range(4 * settings.newton_iterations):
        mapped = return_map(system.strain(unknowns), before, system.material)
        imbalance = forces - system.internal_force(mapped.stress)
        residual = float(np.linalg.norm(imbalance)) / reference
        if residual <= settings.tolerance:
            return _Iterate(unknowns, mapped.stress, mapped.state, np.array([residual]))
        if not residual < 1e6:
            return None
        try:
            if factor is None or residual > 0.5 * last:
                if refreshed == settings.newton_iterations:
                    return None
                factor, refreshed = tangent.refresh(mapped), refreshed + 1
            unknowns = unknowns + factor.solve(imbalance)
        except SolveError:
            return None
        last = residual
    return None


def _limit_passed(anchor: ElasticAnchor, iterate: _Iterate, settings: SolverSettings) -> str | None:
    system, equivalent = anchor.system, iterate.state.equivalent
    if equivalent.max() > settings.collapse_plastic_strain:
        level = weighted_quantile(equivalent, system.volumes.ravel(), 0.999)
        if level > settings.collapse_plastic_strain:
            return f"plastic strain {level:.2f} at the 99.9 percentile of the volume, over small-strain theory"
    largest = float(np.sqrt((system.displacement(iterate.unknowns) ** 2).sum(axis=-1).max()))
    if equivalent.max() > 0 and largest > settings.collapse_displacement * max(system.mesh.size):
        return f"displacement {largest:.3g} m, over {settings.collapse_displacement:.0%} of the part's size"
    return None
