"""CalculiX as the independent reference: the same problem, another program, the same `Fields`.

CalculiX (GPL) is a program of its own that runs in a process of its own; nothing of it is linked. Its ten-node
tetrahedron has the four quadrature points of ours, in the same order, so fields compare point by point. It prints seven
digits.

Shape letters: N points, C cells, Q quadrature points, T steps, K load cases.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from surrogate.errors import ConvergenceError, InfrastructureError
from surrogate.fields import Collapse, Fields, FloatArray, HistoryFields
from surrogate.physics.balance import balance_warnings, resultants
from surrogate.physics.calculix_deck import write_deck
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.limit_load import Increment
from surrogate.physics.loads import nodal_forces
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points
from surrogate.physics.solver_settings import Progress, SolverSettings

# CalculiX prints xx yy zz xy xz yz.
_OUR_COMPONENTS = (0, 1, 2, 3, 5, 4)
_TITLE = re.compile(r"^ *(displacements|stresses|internal state variables) .*time +(\S+) *$", re.MULTILINE)
_NAMES = ("displacements", "stresses", "internal state variables")
# CalculiX prints seven digits; sums over the points see their rounding.
_PRINTED = 1e-6
_POLL_S = 0.2
# Fortran drops the E of an exponent of three digits.
_LONG_EXPONENT = re.compile(r"(\d)([+-]\d{3})\b")


@dataclass(frozen=True)
class _Level:
    """What CalculiX prints at one time.

    Attributes:
        time: 1 at the end of the first step.
        displacement: [N, 3], m.
        stress: [C, Q, 6], Pa, our order of components.
        internal: state variables [C, Q, V]: equivalent plastic strain, then the plastic strain tensor.
    """

    time: float
    displacement: FloatArray
    stress: FloatArray
    internal: FloatArray


def solve_with_calculix(
    problem: Problem,
    *,
    timeout_s: float = 3600.0,
    tolerance: float = 1e-8,
    stored_steps: int | None = None,
    progress: Progress | None = None,
) -> Fields:
    """Solve every load history of a problem by CalculiX.

    Args:
        problem: what to solve.
        timeout_s: for each history, s.
        tolerance: of the equilibrium iterations, relative.
        stored_steps: as in `SolverSettings`; None for its default.
        progress: called with ("solve", share done) as steps end.

    Returns:
        Fields of method "solved", stored by the rule of `solve`. A history that CalculiX cannot follow to its end
        comes back up to the last state that it printed, with `collapse` set.

    Raises:
        InfrastructureError: CalculiX is not installed, crashed, or took too long.
        ConvergenceError: it found no equilibrium although the part stays elastic.
        RigidBodyError: the supports leave a rigid motion free.
    """
    program, report = _program(), progress or (lambda stage, done: None)
    start = time.perf_counter()
    report("anchor", 0.0)
    anchor = elastic_anchor(problem)
    volumes = anchor.system.volumes
    forces = nodal_forces(problem.load_cases, problem.mesh, problem.material.density_kg_m3, volumes)
    total = sum(len(history.factors) for history in problem.load_histories)
    keep_all = total <= (SolverSettings().stored_steps if stored_steps is None else stored_steps)
    positions, read = quadrature_points(anchor.system), resultants(anchor)
    begin, before = time.perf_counter(), 0
    report("solve", 0.0)
    histories = []
    for history in problem.load_histories:
        with tempfile.TemporaryDirectory(prefix="calculix-") as folder:
            deck = Path(folder) / "deck.inp"
            deck.write_text(write_deck(problem, history.factors, forces, tolerance))
            output = _run(program, deck, timeout_s, partial(_report_steps, report, before, total))
            levels = _read_levels(deck.with_suffix(".dat"), problem)
        recorder = HistoryRecorder(anchor, history, positions, keep_all, read)
        histories.append(_history_fields(anchor, history, levels, recorder, output))
        before += len(history.factors)
        report("solve", before / total)
    end = time.perf_counter()
    timings = {"anchor": begin - start, "solve": end - begin, "total": end - start}
    warnings = balance_warnings(tuple(histories), len(problem.mesh.points), _PRINTED)
    return Fields("solved", tuple(histories), volumes, timings, warnings)


def _program() -> str:
    found = shutil.which("ccx")
    if found is None:
        raise InfrastructureError("CalculiX (ccx) is not installed; apt-get install calculix-ccx, or solve without it")
    return found


def _run(program: str, deck: Path, timeout_s: float, ended: Callable[[float], None]) -> str:
    """Run CalculiX on a deck in its own folder; tells the steps that ended, returns the last lines it printed."""
    environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "CCX_NPROC_EQUATION_SOLVER": "1"}
    printed = deck.with_suffix(".out")
    limit = time.monotonic() + timeout_s
    with printed.open("wb") as stream:
        process = subprocess.Popen(
            [program, deck.stem],
            cwd=deck.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    code = process.wait(min(_POLL_S, max(limit - time.monotonic(), 0.0)))
                    break
                except subprocess.TimeoutExpired:
                    ended(_steps_ended(deck.with_suffix(".sta")))
                if time.monotonic() >= limit:
                    raise InfrastructureError(
                        f"CalculiX had no result after {timeout_s:g} s, stopped; allow more time or use a coarser mesh"
                    )
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    text = printed.read_text(errors="replace")
    tail = " ".join(text.split()[-60:])
    if code < 0 or "ERROR reading" in text or not deck.with_suffix(".dat").exists():
        raise InfrastructureError(f"CalculiX stopped with exit code {code}: {tail}")
    return tail


def _report_steps(report: Progress, before: int, total: int, ended: float) -> None:
    report("solve", (before + ended) / total)


def _steps_ended(status: Path) -> float:
    """Whole steps in the status file so far: the time of its last row, as each step lasts 1 s."""
    rows = status.read_text(errors="replace").splitlines() if status.exists() else []
    for row in reversed(rows):
        words = row.split()
        # STEP INC ATT ITRS TOTAL-TIME STEP-TIME INC-TIME; the row being written may be cut.
        if len(words) == 7 and words[0].isdigit():
            return float(np.floor(float(words[4]) + 1e-6))
    return 0.0


def _read_levels(path: Path, problem: Problem) -> list[_Level]:
    """The states at whole times 1, 2, … and the last one printed after them.

    A step that CalculiX cut into increments prints in between, too; of those only the last state of all is of use.
    """
    text = path.read_text()
    titles = list(_TITLE.finditer(text))
    marks = [*(title.start() for title in titles), len(text)]
    tables: dict[tuple[float, str], str] = {}
    for title, end in zip(titles, marks[1:], strict=True):
        when = float(title[2])
        # Seven digits are printed; near a whole number it is one.
        whole = round(when)
        tables[float(whole) if abs(when - whole) < 1e-6 else when, title[1]] = text[title.end() : end]
    times = sorted({when for when, _ in tables if all((when, name) in tables for name in _NAMES)})
    wanted = [when for when in times if when == int(when) or when == times[-1]]
    return [_level({name: tables[when, name] for name in _NAMES}, when, problem) for when in wanted]


def _level(tables: Mapping[str, str], time_: float, problem: Problem) -> _Level:
    cells = len(problem.mesh.cells)
    return _Level(
        time=time_,
        displacement=_table(tables["displacements"], len(problem.mesh.points))[:, 1:],
        stress=_table(tables["stresses"], 4 * cells)[:, 2:8].reshape(cells, 4, 6)[..., _OUR_COMPONENTS],
        internal=_table(tables["internal state variables"], 4 * cells)[:, 2:].reshape(cells, 4, -1),
    )


def _table(text: str, rows: int) -> FloatArray:
    """A printed table as numbers [rows, columns]."""
    numbers = np.array(_LONG_EXPONENT.sub(r"\1E\2", text).split(), dtype=np.float64)
    if numbers.size == 0 or numbers.size % rows:
        raise InfrastructureError(f"CalculiX printed {numbers.size} numbers for {rows} rows; is its version supported?")
    return numbers.reshape(rows, -1)


def _history_fields(
    anchor: ElasticAnchor, history: LoadHistory, levels: list[_Level], recorder: HistoryRecorder, output: str
) -> HistoryFields:
    system, steps = anchor.system, len(history.factors)
    reference = max(float(np.linalg.norm(anchor.forces @ history.factors.T, axis=0).max()), 1e-300)
    reached = levels[-1].time if levels else 0.0
    collapse = None if reached >= steps else _collapse(anchor, history, reached, reference, output)
    if not levels:
        virgin = PlasticState.virgin(system.volumes.size)
        at_rest = Snapshot(0, np.zeros(system.freedom.shape[1]), np.zeros_like(virgin.plastic_strain), virgin)
        recorder.record(at_rest, 0.0, np.zeros(history.factors.shape[1]))
    for number, level in enumerate(levels):
        stress, internal = to_first(level.stress), level.internal
        plastic_strain = to_first(internal[..., 1:7][..., _OUR_COMPONENTS])
        plastic_strain[3:] *= 2
        state = PlasticState(plastic_strain, internal[..., 0].ravel())
        cut = collapse is not None and level.time != int(level.time)
        factors = np.array(collapse.factors) if collapse and cut else history.factors[number]
        imbalance = anchor.forces @ factors - system.internal_force(stress)
        # The basis of the free displacements is orthonormal, so its transpose reads the unknowns.
        unknowns = np.asarray(system.freedom.T @ level.displacement.ravel())
        residual = float(np.linalg.norm(imbalance)) / reference
        recorder.record(Snapshot(number, unknowns, stress, state), residual, factors)
    return recorder.finish(collapse)


def _collapse(anchor: ElasticAnchor, history: LoadHistory, reached: float, reference: float, output: str) -> Collapse:
    """The collapse at a time that is short of the history's end; each step lasts 1 s."""
    step = int(reached)
    previous = history.factors[step - 1] if step else np.zeros(history.factors.shape[1])
    elastic_peak = von_mises(anchor.stress @ history.factors[step]).max()
    if step == 0 and elastic_peak < anchor.system.material.yield_strength_pa:
        raise ConvergenceError(
            f"CalculiX did not converge in step 1 of history {history.name!r} although nothing yields; look for "
            f"slivers in the mesh and for supports that barely hold the part. It ended with: {output}"
        )
    increment = Increment(history.name, step, previous, history.factors[step], reference)
    return increment.collapse(anchor, reached - step, "CalculiX found no equilibrium beyond this load")
