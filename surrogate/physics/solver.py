"""The reference: nonlinear FEM of elastic-plastic load histories.

Modified Newton with the elastic factor and Anderson acceleration, all histories of a part in one block; full Newton
with the consistent tangent where that stalls, smaller increments where that fails, and plastic collapse reported
where no increment is left.

Shape letters: P quadrature points, R histories solved together, T steps, K load cases, n free unknowns.
"""

import time
from collections.abc import Callable

import numpy as np

from surrogate.fields import Collapse, Fields, FloatArray, HistoryFields
from surrogate.physics.balance import balance_warnings, resultants
from surrogate.physics.calculix import solve_with_calculix
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.limit_load import Increment, carry, limit_passed
from surrogate.physics.newton import Iterate, modified_newton
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points
from surrogate.physics.solver_settings import Progress, SolverName, SolverSettings

__all__ = ["Progress", "SolverName", "SolverSettings", "solve", "solve_histories"]


def solve(
    problem: Problem,
    *,
    progress: Progress | None = None,
    settings: SolverSettings | None = None,
    solver: SolverName = "own",
) -> Fields:
    """Solve every load history of a problem by nonlinear FEM.

    A history that plastic collapse ends, be it in its first step, comes back up to the last state that it carried, with
    `collapse` set; the other histories are not disturbed. The balance of energy and of support forces is checked and
    stored, and what its tolerance does not explain is warned of.

    Args:
        problem: what to solve.
        progress: called with (stage, share done).
        settings: how hard to try; "calculix" heeds `stored_steps` only, and iterates to its own tolerance.
        solver: "own", or "calculix" for the independent program where it is installed.

    Returns:
        Fields of method "solved".

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        ConvergenceError: an increment without plastic flow did not converge.
        InfrastructureError: CalculiX is asked for and is not installed, crashed, or took too long.
    """
    settings, report = settings or SolverSettings(), progress or (lambda stage, done: None)
    if solver == "calculix":
        return solve_with_calculix(problem, progress=report, stored_steps=settings.stored_steps)
    start = time.perf_counter()
    report("anchor", 0.0)
    anchor = elastic_anchor(problem)
    anchored = time.perf_counter()
    histories = solve_histories(anchor, problem.load_histories, settings, lambda done: report("solve", done))
    end = time.perf_counter()
    timings = {"anchor": anchored - start, "solve": end - anchored, "total": end - start}
    warnings = balance_warnings(histories, len(problem.mesh.points), settings.tolerance)
    return Fields("solved", histories, anchor.system.volumes, timings, warnings)


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

    Returns:
        One entry a history; its balance is None where the iterations were stopped before equilibrium.

    Raises:
        ConvergenceError: an increment without plastic flow did not converge.
    """
    point_count = anchor.system.volumes.size
    block = max(1, settings.block_bytes // (point_count * 8 * 32))
    keep_all = sum(len(history.factors) for history in histories) <= settings.stored_steps
    positions = quadrature_points(anchor.system)
    read = None if settings.stop_after_modified else resultants(anchor)
    results: list[HistoryFields] = []
    for first in range(0, len(histories), block):
        chosen = histories[first : first + block]
        recorders = [HistoryRecorder(anchor, history, positions, keep_all, read) for history in chosen]

        def within(done: float, first: int = first, count: int = len(chosen)) -> None:
            progress((first + done * count) / len(histories))

        chosen_guesses = None if guesses is None else guesses[first : first + block]
        collapses = _Block(anchor, chosen, recorders, settings).run(within, chosen_guesses)
        results += [recorder.finish(collapse) for recorder, collapse in zip(recorders, collapses, strict=True)]
    return tuple(results)


class _Block:
    """Histories that advance together, step by step, each until its end or its collapse."""

    def __init__(
        self,
        anchor: ElasticAnchor,
        histories: tuple[LoadHistory, ...],
        recorders: list[HistoryRecorder],
        settings: SolverSettings,
    ) -> None:
        count = len(histories)
        self._anchor, self._histories, self._recorders, self._settings = anchor, histories, recorders, settings
        self._unknowns = np.zeros((anchor.system.freedom.shape[1], count))
        self._state = PlasticState.virgin(anchor.system.volumes.size, count)
        self._previous = np.zeros((anchor.forces.shape[1], count))
        self._collapses: list[Collapse | None] = [None] * count
        references = [np.linalg.norm(anchor.forces @ h.factors.T, axis=0).max() for h in histories]
        self._references = np.maximum(np.array(references), 1e-300)

    def run(self, progress: Callable[[float], None], guesses: FloatArray | None) -> list[Collapse | None]:
        """Advance to the end; returns the collapse of each history."""
        step_count = max(len(history.factors) for history in self._histories)
        for step in range(step_count):
            alive = np.array(
                [i for i, h in enumerate(self._histories) if step < len(h.factors) and self._collapses[i] is None], int
            )
            if not alive.size:
                break
            self._advance(step, alive, guesses)
            progress((step + 1) / step_count)
        progress(1.0)
        return self._collapses

    def _advance(
        self, step: int, alive: np.ndarray[tuple[int], np.dtype[np.int64]], guesses: FloatArray | None
    ) -> None:
        """One step of the histories that still go on."""
        anchor, settings = self._anchor, self._settings
        factors = np.stack([self._histories[i].factors[step] for i in alive], axis=1)  # [K, R]
        guess = self._unknowns[:, alive] + anchor.unknowns @ (factors - self._previous[:, alive])
        if guesses is not None:
            guess = guesses[alive, step].T
        before = PlasticState(self._state.plastic_strain[:, :, alive], self._state.equivalent[:, alive])
        found = modified_newton(anchor, factors, guess, before, self._references[alive], settings)
        for column, history in enumerate(alive.tolist()):
            single, collapse = found.column(column), None
            doubtful = not single.residual[0] <= settings.tolerance or limit_passed(anchor, single, settings)
            if doubtful and not settings.stop_after_modified:
                # Past a limit too: smaller increments tell what share of this one was still carried.
                single, collapse = self._carry(step, history, factors[:, column])
            self._keep(step, history, single, collapse)
        self._previous[:, alive] = factors

    def _carry(self, step: int, history: int, factors: FloatArray) -> tuple[Iterate, Collapse | None]:
        """The step of one history in increments of full Newton, from the state that it last reached."""
        state = PlasticState(
            np.ascontiguousarray(self._state.plastic_strain[:, :, history]), self._state.equivalent[:, history].copy()
        )
        # The stress is not read where a share of the step is carried, and is none in the virgin part.
        start = Iterate(self._unknowns[:, history].copy(), np.zeros_like(state.plastic_strain), state, np.zeros(1))
        increment = Increment(
            self._histories[history].name, step, self._previous[:, history], factors, float(self._references[history])
        )
        return carry(self._anchor, increment, start, self._settings)

    def _keep(self, step: int, history: int, single: Iterate, collapse: Collapse | None) -> None:
        self._collapses[history] = collapse
        if collapse is not None and collapse.fraction == 0 and step > 0:
            return
        self._unknowns[:, history] = single.unknowns
        self._state.plastic_strain[:, :, history] = single.state.plastic_strain
        self._state.equivalent[:, history] = single.state.equivalent
        snapshot = Snapshot(step, single.unknowns, single.stress, single.state)
        partial = None if collapse is None else np.array(collapse.factors)
        self._recorders[history].record(snapshot, float(single.residual[0]), partial)
