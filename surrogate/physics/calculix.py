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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surrogate.errors import ConvergenceError, InfrastructureError
from surrogate.fields import Collapse, Fields, FloatArray, HistoryFields
from surrogate.physics.calculix_deck import write_deck
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.invariants import to_first
from surrogate.physics.loads import nodal_forces
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points
from surrogate.physics.solver import SolverSettings

# CalculiX prints xx yy zz xy xz yz.
_OUR_COMPONENTS = (0, 1, 2, 3, 5, 4)
_TITLE = re.compile(r"^ *(displacements|stresses|internal state variables) .*time +(\S+) *$", re.MULTILINE)
# Fortran drops the E of an exponent of three digits.
_LONG_EXPONENT = re.compile(r"(\d)([+-]\d{3})\b")


@dataclass(frozen=True)
class _Level:
    """What CalculiX prints at one time.

    Attributes:
        displacement: [N, 3], m.
        stress: [C, Q, 6], Pa, our order of components.
        internal: state variables [C, Q, V]: equivalent plastic strain, then the plastic strain tensor.
    """

    displacement: FloatArray
    stress: FloatArray
    internal: FloatArray


def solve_with_calculix(problem: Problem, *, timeout_s: float = 3600.0, tolerance: float = 1e-8) -> Fields:
    """Solve every load history of a problem by CalculiX.

    Args:
        problem: what to solve.
        timeout_s: for each history, s.
        tolerance: of the equilibrium iterations, relative.

    Returns:
        Fields of method "solved", stored by the rule of `solve`. A history that CalculiX cannot follow to its end
        comes back up to the last step that it could, with `collapse` set.

    Raises:
        InfrastructureError: CalculiX is not installed, crashed, or took too long.
        ConvergenceError: not even the first step of a history converged.
        RigidBodyError: the supports leave a rigid motion free.
    """
    program = _program()
    start = time.perf_counter()
    anchor = elastic_anchor(problem)
    volumes = anchor.system.volumes
    forces = nodal_forces(problem.load_cases, problem.mesh, problem.material.density_kg_m3, volumes)
    total = sum(len(history.factors) for history in problem.load_histories)
    keep_all = total <= SolverSettings().stored_steps
    begin = time.perf_counter()
    histories = []
    for history in problem.load_histories:
        with tempfile.TemporaryDirectory(prefix="calculix-") as folder:
            deck = Path(folder) / "deck.inp"
            deck.write_text(write_deck(problem, history.factors, forces, tolerance))
            output = _run(program, deck, timeout_s)
            levels, reached = _read_levels(deck.with_suffix(".dat"), problem)
        if not levels:
            raise ConvergenceError(
                f"CalculiX did not converge in the first step of history {history.name!r}; lower the loads or add "
                f"steps. It ended with: {output}"
            )
        histories.append(_history_fields(anchor, history, levels, reached, keep_all))
    end = time.perf_counter()
    return Fields("solved", tuple(histories), volumes, {"solve": end - begin, "total": end - start})


def _program() -> str:
    found = shutil.which("ccx")
    if found is None:
        raise InfrastructureError("CalculiX (ccx) is not installed; apt-get install calculix-ccx, or solve without it")
    return found


def _run(program: str, deck: Path, timeout_s: float) -> str:
    """Run CalculiX on a deck in its own folder; returns the last lines it printed."""
    environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "CCX_NPROC_EQUATION_SOLVER": "1"}
    try:
        done = subprocess.run(
            [program, deck.stem],
            cwd=deck.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"CalculiX had no result after {timeout_s:g} s, stopped; allow more time or use a coarser mesh"
        ) from error
    tail = " ".join(done.stdout.split()[-60:])
    if done.returncode < 0 or "ERROR reading" in done.stdout or not deck.with_suffix(".dat").exists():
        raise InfrastructureError(f"CalculiX stopped with exit code {done.returncode}: {tail}")
    return tail


def _read_levels(path: Path, problem: Problem) -> tuple[list[_Level], float]:
    """The states at whole times 1, 2, … and the last time reached.

    A step that CalculiX cut into increments prints in between, too; those states are left out.
    """
    text = path.read_text()
    titles = list(_TITLE.finditer(text))
    marks = [*(title.start() for title in titles), len(text)]
    times = [float(title[2]) for title in titles]
    tables: dict[tuple[int, str], str] = {}
    for title, end, when in zip(titles, marks[1:], times, strict=True):
        if abs(when - round(when)) < 1e-6:
            tables[round(when), title[1]] = text[title.end() : end]
    cells = len(problem.mesh.cells)
    levels: list[_Level] = []
    while (len(levels) + 1, "displacements") in tables:
        step = len(levels) + 1
        stress = _table(tables[step, "stresses"], 4 * cells)[:, 2:8].reshape(cells, 4, 6)
        levels.append(
            _Level(
                displacement=_table(tables[step, "displacements"], len(problem.mesh.points))[:, 1:],
                stress=stress[..., _OUR_COMPONENTS],
                internal=_table(tables[step, "internal state variables"], 4 * cells)[:, 2:].reshape(cells, 4, -1),
            )
        )
    return levels, max(times, default=0.0)


def _table(text: str, rows: int) -> FloatArray:
    """A printed table as numbers [rows, columns]."""
    numbers = np.array(_LONG_EXPONENT.sub(r"\1E\2", text).split(), dtype=np.float64)
    if numbers.size == 0 or numbers.size % rows:
        raise InfrastructureError(f"CalculiX printed {numbers.size} numbers for {rows} rows; is its version supported?")
    return numbers.reshape(rows, -1)


def _history_fields(
    anchor: ElasticAnchor, history: LoadHistory, levels: list[_Level], reached: float, keep_all: bool
) -> HistoryFields:
    system = anchor.system
    recorder = HistoryRecorder(anchor, history, quadrature_points(system), keep_all)
    applied = anchor.forces @ history.factors.T
    reference = max(float(np.linalg.norm(applied, axis=0).max()), 1e-300)
    for step, level in enumerate(levels):
        stress, internal = to_first(level.stress), level.internal
        plastic_strain = to_first(internal[..., 1:7][..., _OUR_COMPONENTS])
        plastic_strain[3:] *= 2
        state = PlasticState(plastic_strain, internal[..., 0].ravel())
        imbalance = applied[:, step] - system.internal_force(stress)
        # The basis of the free displacements is orthonormal, so its transpose reads the unknowns.
        unknowns = np.asarray(system.freedom.T @ level.displacement.ravel())
        recorder.record(Snapshot(step, unknowns, stress, state), float(np.linalg.norm(imbalance)) / reference)
    if len(levels) == len(history.factors):
        return recorder.finish(None)
    fraction = min(max(reached - len(levels), 0.0), 1.0)
    previous = history.factors[len(levels) - 1]
    carried = previous + fraction * (history.factors[len(levels)] - previous)
    load_factor = float(np.linalg.norm(anchor.forces @ carried)) / reference
    reason = "CalculiX found no equilibrium beyond this load"
    return recorder.finish(Collapse(len(levels), fraction, reason, tuple(carried.tolist()), load_factor))
