"""Measures the solver against CalculiX on the same meshes: `make solver-benchmark` writes docs/performance.md.

Every row runs in a process of its own on one thread, so that CPU seconds and peak memory are its own. What is measured
is kept in docs/solver_benchmark.json; a row that is there is not run again, so an interrupted run goes on where it
stopped. `--again TEXT` drops the rows whose key holds the text first; `--page` writes the page alone.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from performance_page import Measured, Row, page

from surrogate import (
    CylinderSelector,
    Fields,
    Force,
    LinearHardening,
    LoadCase,
    LoadHistory,
    Material,
    Problem,
    Support,
    load_mesh,
    save_mesh,
)
from surrogate.errors import InfrastructureError
from surrogate.fields import FloatArray
from surrogate.geometry.part import load_part
from surrogate.physics.assembly import StiffnessPattern
from surrogate.physics.calculix import solve_with_calculix
from surrogate.physics.calculix_deck import write_deck
from surrogate.physics.elastic import build_elastic_system, solve_load_cases
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.iterative_solver import MultigridSolver
from surrogate.physics.loads import nodal_forces
from surrogate.physics.solver import solve
from surrogate.physics.solver_settings import SolverSettings
from surrogate.physics.sparse_factor import FactorSettings
from surrogate.physics.tet_element import gradients_and_volumes

ROOT = Path(__file__).parent.parent
MEASURED, PAGE = ROOT / "docs" / "solver_benchmark.json", ROOT / "docs" / "performance.md"
WORK = ROOT / "build" / "solver_benchmark"
# Element sizes of meshes/bracket.step, m.
SIZES = {"5k": 0.015, "20k": 0.0038, "60k": 0.00207, "200k": 0.00132}
ALUMINIUM = Material("linear aluminium", 71e9, 0.33, 2800.0, 470e6, 540e6, LinearHardening(1.2e9), "for this benchmark")
# Up to 2.1 times the limit load, down to nothing, up again; factors of the cases pull and side.
RISE = np.concatenate([np.linspace(0.21, 2.1, 10), np.linspace(1.68, 0.0, 5), np.linspace(0.42, 2.1, 5)])
HISTORY = np.stack([RISE, 0.3 * RISE], axis=1)
FEW = HISTORY[[2, 5, 9, 14]]
ELASTIC = np.array([[1.0, 0.3]])
TIGHT, DEFAULT = "1e-9", "default"
PATIENCE_S = {"60k": 600.0}
REPEATED_BELOW_S, REPEATS = 30.0, 3


def mesh_file(size: str) -> Path:
    """The bracket with elements of one size, made once."""
    path = WORK / f"bracket_{size}.npz"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        save_mesh(path, load_part(ROOT / "meshes" / "bracket.step", element_size_m=SIZES[size]))
    return path


def problem(size: str, factors: FloatArray) -> Problem:
    """The sample bracket as in meshes/bracket.toml, with a material that both programs describe exactly."""
    lug, holes = CylinderSelector(0.008, axis=(1.0, 0.0, 0.0), hole=True), CylinderSelector(0.00425, hole=True)
    cases = (LoadCase("pull", (Force(lug, (6500.0, 0, 0)),)), LoadCase("side", (Force(lug, (0, 3000.0, 0)),)))
    history = LoadHistory("history", factors)
    return Problem(load_mesh(mesh_file(size)), ALUMINIUM, (Support(holes),), cases, (history,), "bracket")


def answers(fields: Fields) -> dict[str, FloatArray]:
    """What is compared, of the first history."""
    history = fields.histories[0]
    mises = np.stack([von_mises(to_first(stress)) for stress in history.stress])
    return {
        "displacement": history.displacement, "von Mises stress": mises,
        "equivalent plastic strain": history.equivalent_plastic_strain,
    }  # fmt: skip


def run_own(size: str, factors: FloatArray, tolerance: str) -> dict[str, FloatArray]:
    settings = SolverSettings() if tolerance == DEFAULT else SolverSettings(tolerance=float(tolerance))
    return answers(solve(problem(size, factors), settings=settings))


def run_calculix(size: str, factors: FloatArray, tolerance: str) -> dict[str, FloatArray]:
    # Its own tolerance is 0.5 % of the average force.
    chosen = 5e-3 if tolerance == DEFAULT else 1e-8
    return answers(
        solve_with_calculix(problem(size, factors), tolerance=chosen, timeout_s=PATIENCE_S.get(size, 3600.0))
    )


def run_calculix_linear(size: str) -> dict[str, FloatArray]:
    """An elastic step without *PLASTIC: one factorisation, as the program would be used."""
    asked = problem(size, ELASTIC)
    volumes = gradients_and_volumes(asked.mesh.points, asked.mesh.cells)[1]
    forces = nodal_forces(asked.load_cases, asked.mesh, asked.material.density_kg_m3, volumes)
    deck = write_deck(asked, ELASTIC, forces, 1e-8)
    deck = re.sub(r"\*PLASTIC\n(?:[^*].*\n)+", "", deck).replace("*EL PRINT,ELSET=PART\nSDV\n", "")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "deck.inp").write_text(deck)
        environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "CCX_NPROC_EQUATION_SOLVER": "1"}
        subprocess.run(["ccx", "deck"], cwd=folder, env=environment, check=True, capture_output=True)
        text = (Path(folder) / "deck.dat").read_text()
    table = re.split(r"^ *displacements .*$|^ *stresses .*$", text, flags=re.MULTILINE)[1]
    moved = np.array(table.split(), dtype=float).reshape(-1, 4)[:, 1:]
    return {"displacement": moved[None]}


def run_elastic(size: str, factor_memory_bytes: int) -> dict[str, FloatArray]:
    """One set-up and its load cases, by multigrid where the factor would take more memory."""
    asked = problem(size, ELASTIC)
    settings = FactorSettings(memory_limit_bytes=factor_memory_bytes)
    system = build_elastic_system(asked.mesh, asked.material, asked.supports, settings)
    assert isinstance(system.factor, MultigridSolver) == (factor_memory_bytes == 0)
    return {"displacement": system.displacement(solve_load_cases(asked, system).unknowns @ ELASTIC[0])[None]}


def run_many(size: str, count: int) -> dict[str, FloatArray]:
    """So many histories of twenty steps on one part, each with another share of the side load."""
    shares = np.linspace(-0.3, 0.3, count) if count > 1 else (0.3,)
    histories = tuple(LoadHistory(f"{i}", np.stack([RISE, s * RISE], axis=1)) for i, s in enumerate(shares))
    solve(replace(problem(size, HISTORY), load_histories=histories))
    return {}


def run_pattern(size: str, how: str) -> dict[str, FloatArray]:
    """The stiffness pattern alone: counted, or as it was found before by sorting all keys at once."""
    mesh = load_mesh(mesh_file(size))
    start = time.process_time()
    if how == "counting":
        StiffnessPattern(mesh.cells, len(mesh.points))
    else:
        rows = np.repeat(mesh.cells, 10, axis=1).ravel().astype(np.int64)
        np.unique(rows * len(mesh.points) + np.tile(mesh.cells, (1, 10)).ravel(), return_inverse=True)
    return {"seconds": np.array([time.process_time() - start])}


Task = Callable[[], dict[str, FloatArray]]


def tasks() -> dict[str, Task]:
    """Every row by its key "what | size | by what", in the order of the page."""
    found: dict[str, Task] = {}
    for size in ("5k", "20k", "60k"):
        for how in ("np.unique", "counting"):
            found[f"pattern | {size} | {how}"] = partial(run_pattern, size, how)
    for size in ("5k", "20k", "60k", "200k"):
        if size != "200k":
            found[f"elastic | {size} | own"] = partial(run_elastic, size, 10**12)
        if size != "5k":
            found[f"elastic | {size} | own, multigrid"] = partial(run_elastic, size, 0)
        if size != "200k":
            found[f"elastic | {size} | CalculiX"] = partial(run_calculix_linear, size)
    for size, what, factors in (("5k", "history", HISTORY), ("20k", "history", HISTORY), ("60k", "few steps", FEW)):
        for tolerance in (DEFAULT, TIGHT):
            found[f"{what} | {size} | own, {tolerance}"] = partial(run_own, size, factors, tolerance)
            if size == "5k" and tolerance == DEFAULT:
                found["many | 5k | one history"] = partial(run_many, size, 1)
                found["many | 5k | 100 histories"] = partial(run_many, size, 100)
        for tolerance in (DEFAULT, TIGHT):
            found[f"{what} | {size} | CalculiX, {tolerance}"] = partial(run_calculix, size, factors, tolerance)
    return found


def run_row(key: str) -> None:
    """In a process of its own: run one row, keep its answer, print its figures."""
    points = len(load_mesh(mesh_file(key.split(" | ")[1])).points)
    children = "CalculiX" in key
    start, before, note = time.perf_counter(), _used(children), ""
    try:
        found = tasks()[key]()
    except InfrastructureError as error:
        found, note = {}, str(error)
    wall, after = time.perf_counter() - start, _used(children)
    cpu = float(found["seconds"][0]) if "seconds" in found else after[0] - before[0]
    np.savez(answer_file(key), **found)  # type: ignore[arg-type]
    print(json.dumps(asdict(Row(points, wall, cpu, after[1], 1, note))))


def _used(children: bool) -> tuple[float, float]:
    """CPU seconds and peak memory in GB of this process, or of the programs that it ran."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime, use.ru_maxrss / 1e6


def answer_file(key: str) -> Path:
    """Where the answer of a row is kept until it is compared."""
    return WORK / f"{re.sub('[^a-z0-9]+', '_', key.lower())}.npz"


def differences(first: str, second: str) -> dict[str, float]:
    """Largest difference over the largest value, of each field that both answers hold."""
    with np.load(answer_file(first)) as one, np.load(answer_file(second)) as other:
        return {
            name: float(np.abs(one[name] - other[name]).max() / np.abs(other[name]).max())
            for name in one.files
            if name in other.files
        }


def compare(measured: Measured) -> None:
    """Keep the differences between rows that answer the same question."""
    rows, kept = measured["rows"], measured["differences"]
    for key in rows:
        what, size, program = key.split(" | ")
        other = f"{what} | {size} | " + {
            f"own, {TIGHT}": f"CalculiX, {TIGHT}", f"own, {DEFAULT}": f"own, {TIGHT}",
            f"CalculiX, {DEFAULT}": f"CalculiX, {TIGHT}", "own": "CalculiX", "own, multigrid": "own",
        }.get(program, "")  # fmt: skip
        if other in rows and answer_file(key).exists() and answer_file(other).exists():
            kept[f"{key} against {other.split(' | ')[2]}"] = differences(key, other)


def measure(key: str) -> Row:
    """The medians of a row over its repeats, each in a fresh process on one thread."""
    command = [sys.executable, __file__, "--row", key]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    rows: list[Row] = []
    while not rows or (len(rows) < REPEATS and rows[0].wall_s < REPEATED_BELOW_S):
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(Row(**json.loads(done.stdout.splitlines()[-1])))
    wall, cpu, peak = (statistics.median(getattr(row, name) for row in rows) for name in ("wall_s", "cpu_s", "peak_gb"))
    return Row(rows[0].points, wall, cpu, peak, len(rows), rows[0].note)


def machine() -> str:
    """What the figures were taken on."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    version = subprocess.run(["ccx", "-v"], capture_output=True, text=True, check=False).stdout.split()
    return f"{names[0] if names else platform.machine()}, one thread; CalculiX {' '.join(version[-2:])}"


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", help="run one row in this process")
    parser.add_argument("--only", default="", help="measure only the rows whose key holds this text")
    parser.add_argument("--again", help="forget the rows whose key holds this text first")
    parser.add_argument("--page", action="store_true", help="write the page from what is measured, measure nothing")
    asked = parser.parse_args()
    if asked.row:
        run_row(asked.row)
        return
    measured: Measured = {"machine": machine(), "rows": {}, "differences": {}}
    if MEASURED.exists():
        measured = json.loads(MEASURED.read_text())
    if asked.again:
        measured["rows"] = {key: row for key, row in measured["rows"].items() if asked.again not in key}
        measured["differences"] = {k: found for k, found in measured["differences"].items() if asked.again not in k}
    for key in [] if asked.page else sorted(tasks(), key=_cost):
        if key in measured["rows"] or asked.only not in key:
            continue
        if "CalculiX" in key and shutil.which("ccx") is None:
            print(f"left out, CalculiX is not installed: {key}")
            continue
        mesh_file(key.split(" | ")[1])
        measured["rows"][key] = asdict(measure(key))
        compare(measured)
        MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
        print(f"{key}: {measured['rows'][key]}", flush=True)
        _write_page(measured)
    if asked.page:
        _write_page(measured)


def _cost(key: str) -> int:
    """Cheap rows first, so that an interrupted run has most of the page."""
    return {"5k": 0, "20k": 1, "60k": 2, "200k": 2}[key.split(" | ")[1]] + ("CalculiX" in key)


def _write_page(measured: Measured) -> None:
    rows, kept = measured["rows"], measured["differences"]
    ordered = {key: rows[key] for key in tasks() if key in rows}
    found = sorted(kept, key=lambda name: list(ordered).index(name.split(" against ")[0]))
    PAGE.write_text(page(ordered, {name: kept[name] for name in found}, measured["machine"]))


if __name__ == "__main__":
    main()
