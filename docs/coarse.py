"""Measures the coarse anchor: `python docs/coarse.py` writes docs/coarse.json; coarse_page.py makes a section of it.

Two measurements. Pairs: parts of the campaign with a fine and a coarse mesh; the coarse anchor and the nonlinear FEM on
the coarse mesh are read at the points of the fine mesh and held against what was solved there. Sizes: one problem of
8 histories of 20 steps on finer and finer meshes of the sample bracket, each in a process of its own, to see how time
and memory grow. All on one thread, in CPU seconds. What is in docs/coarse.json is not measured again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp
from coarse_page import FEM, FEM_METHOD, MIDDLE, OURS, QUICK, REDUCED, Measured, PairRow, SizeRow

from surrogate import Problem, load_mesh, save_mesh
from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.fields import FloatArray, HistoryFields, StepScalars
from surrogate.geometry.part import load_part
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh
from surrogate.physics.coarse_anchor import CoarseSettings, TransferredAnchor, transferred_anchor
from surrogate.physics.coarse_answer import coarse_answer
from surrogate.physics.deviatoric import deviatoric_path, strain_of_deviator
from surrogate.physics.elastic import ElasticAnchor, build_elastic_system, solve_load_cases
from surrogate.physics.error_norms import relative_l2
from surrogate.physics.interpolation import interpolation, locate
from surrogate.physics.invariants import to_first
from surrogate.physics.materials import Material
from surrogate.physics.peak import peak_step
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import LoadHistory
from surrogate.physics.problem_file import build_problem, read_problem_file
from surrogate.physics.reduced import ReducedAnchor, reduced_anchor
from surrogate.physics.solver import SolverSettings, solve_histories
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "docs" / "coarse.json"
CACHE = Path.home() / ".cache" / "surrogate"
CAMPAIGN, MESHES = CACHE / "campaigns" / "second", CACHE / "coarse"
# Element sizes of meshes/bracket.step, m; the first is the anchor's.
SIZES = {"5k": 0.015, "10k": 0.0055, "100k": 0.00172, "300k": 0.00114, "1000k": 0.00075}
# Histories of less plastic strain than this share of the yield strain are left out: their errors say nothing.
_LEAST = 0.05
# What takes about as long as the FEM of the coarse mesh.
QUICKLY = CoarseSettings(iterations=16, modes=5, rounds=1)
RISE = np.concatenate([np.linspace(0.18, 1.8, 10), np.linspace(1.44, 0.0, 5), np.linspace(0.36, 1.8, 5)])


def pair_entries(split: str) -> Iterator[SimulationEntry]:
    """Parts of a split that have a coarse mesh, in an order that mixes the families."""
    entries = open_dataset(CAMPAIGN).split("test" if split == "test" else "validation").entries
    for entry in sorted(entries, key=lambda entry: (entry.seed * 7919 % 1009, entry.family)):
        with h5py.File(entry.path) as file:
            if "coarse" in file:
                yield entry


def measure_pair(path: Path) -> PairRow:
    """Errors of every method on the fine mesh of one part, and the CPU seconds of each."""
    simulation = load_simulation(path)
    problem, coarse = simulation.problem, simulation.coarse
    assert coarse is not None
    factors = np.stack([history.factors for history in problem.load_histories])
    clock = [time.process_time()]
    coarse_problem = replace(problem, mesh=coarse.mesh)
    system = build_elastic_system(coarse.mesh, problem.material, problem.supports)
    anchor = solve_load_cases(coarse_problem, system)
    clock.append(time.process_time())
    settings = SolverSettings(stored_steps=factors[..., 0].size)
    solved = solve_histories(anchor, problem.load_histories, settings)
    clock.append(time.process_time())
    ours = transferred_anchor(problem, anchor, factors)
    clock.append(time.process_time())
    middle = transferred_anchor(problem, anchor, factors, CoarseSettings(iterations=14, modes=5, rounds=1))
    clock.append(time.process_time())
    quick = transferred_anchor(problem, anchor, factors, QUICKLY)
    clock.append(time.process_time())
    own = solve_load_cases(problem, build_elastic_system(problem.mesh, problem.material, problem.supports))
    fine = reduced_anchor(own, factors)
    clock.append(time.process_time())
    first, fem, carried, between, quickly, whole = np.diff(clock).tolist()
    volumes = ours.grids.stiffness.volumes
    errors = {
        OURS: _errors(simulation, _told(ours), volumes),
        MIDDLE: _errors(simulation, _told(middle), volumes),
        QUICK: _errors(simulation, _told(quick), volumes),
        FEM_METHOD: _errors(simulation, _interpolated(problem.mesh, anchor, solved, ours), volumes),
        REDUCED: _errors(simulation, _of_fine(own, fine, factors), volumes),
    }
    seconds = {
        OURS: first + carried,
        MIDDLE: first + between,
        QUICK: first + quickly,
        FEM_METHOD: first + fem,
        REDUCED: whole,
    }
    return PairRow(len(problem.mesh.points), len(coarse.mesh.points), len(factors), seconds, errors)


Told = dict[str, FloatArray]


def _told(anchor: TransferredAnchor) -> Told:
    """What is compared, of an anchor on the fine mesh."""
    stiffness = anchor.grids.stiffness
    strain = np.concatenate([stiffness.strain(anchor.fields, group.cells) for group in stiffness.groups], axis=1)
    fields, cases = anchor.fields.astype(np.float64), anchor.cases.shape[2]
    return _along(strain.astype(np.float64), fields, anchor.path, cases, stiffness.material)


def _of_fine(anchor: ElasticAnchor, reduced: ReducedAnchor, factors: FloatArray) -> Told:
    system = anchor.system
    unknowns = np.concatenate([anchor.unknowns, reduced.unknowns], axis=1)
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    fields = np.moveaxis(system.displacement(unknowns), 0, 2)
    path = np.concatenate([factors, reduced.coordinates], axis=-1)
    return _along(strain, fields, path, factors.shape[2], system.material)


def _along(strain: FloatArray, fields: FloatArray, path: FloatArray, cases: int, material: Material) -> Told:
    *_, last = deviatoric_path(strain, path, material)
    stays = fields[..., cases:] @ path[:, -1, cases:].T
    return {
        "elastic": elastic_stress(strain[..., :cases], material),
        "plastic": strain_of_deviator(last.plastic.transpose(1, 0, 2)),
        "peak": last.equivalent.max(axis=1),
        "displacement": np.moveaxis(fields @ path.transpose(0, 2, 1)[:, None], (0, 3), (0, 1)),
        "set": np.sqrt((stays**2).sum(axis=1).max(axis=0)) if stays.size else np.zeros(len(path)),
    }


def _interpolated(
    mesh: TetMesh, anchor: ElasticAnchor, solved: tuple[HistoryFields, ...], ours: TransferredAnchor
) -> Told:
    """The FEM of the coarse mesh: values of its quadrature points averaged at its points, then the shape functions."""
    system = anchor.system
    shape = shape_functions(QUADRATURE_BARYCENTRIC)
    places = np.einsum("qa,cai->cqi", shape, mesh.points[mesh.cells]).reshape(-1, 3)
    read = interpolation(system.mesh, locate(system.mesh, places)) @ _averaging(system.mesh, system.volumes)
    elastic = np.asarray(read @ anchor.stress.transpose(1, 0, 2).reshape(anchor.stress.shape[1], -1))
    plastic = [to_first(history.plastic_strain[-1]) for history in solved]
    move, steps = ours.grids.prolongation, ours.factors.shape[1]
    return {
        "elastic": elastic.reshape(len(places), 6, -1).transpose(1, 0, 2),
        "plastic": np.stack([np.asarray(read @ field.T).T for field in plastic], axis=1),
        "peak": np.array([history.equivalent_plastic_strain[-1].max() for history in solved]),
        # A history that collapses on the coarse mesh is held at its last state.
        "displacement": np.stack(
            [
                np.stack([move @ history.displacement[min(t, len(history.steps) - 1)] for t in range(steps)])
                for history in solved
            ]
        ),
        "set": np.array([history.totals.permanent_set_m for history in solved]),
    }


def _averaging(mesh: TetMesh, volumes: FloatArray) -> sp.csr_matrix:
    """From quadrature points to points: linear within each cell, averaged by volume between cells [N, P]."""
    corners = np.linalg.inv(QUADRATURE_BARYCENTRIC)
    every = np.concatenate([corners, *(((corners[i] + corners[j]) / 2)[None] for i, j in TET_EDGES)])  # [10, 4]
    weight = volumes.sum(axis=1)
    cells = np.arange(len(mesh.cells))
    rows, columns = np.repeat(mesh.cells, 4), np.tile(4 * cells[:, None] + np.arange(4), (1, 10))
    values = (weight[:, None, None] * every).ravel()
    total = np.bincount(mesh.cells.ravel(), np.repeat(weight, 10))
    table = sp.csr_matrix((values, (rows.ravel(), columns.ravel())), shape=(len(mesh.points), volumes.size))
    return sp.csr_matrix(sp.diags(1 / total) @ table)


def _errors(simulation: Simulation, told: Told, volumes: FloatArray) -> list[dict[str, float]]:
    """Relative errors of each history that yields enough."""
    weight, scalars = volumes.ravel(), simulation.scalars
    material = simulation.problem.material
    cases = simulation.elastic_stress.astype(np.float64)
    elastic = [relative_l2(told["elastic"][..., k].T, case.reshape(-1, 6), weight) for k, case in enumerate(cases)]
    rows = []
    for h in range(simulation.history_count):
        true = float(simulation.equivalent_plastic_strain[h, -1].max(initial=0.0))
        if true < _LEAST * material.yield_strength_pa / material.youngs_modulus_pa:
            continue
        plastic = np.zeros((weight.size, 6))
        plastic[simulation.yielded] = simulation.plastic_strain[h, -1]
        own = StepScalars(*(getattr(scalars, name)[h] for name in StepScalars.__dataclass_fields__))
        step = peak_step(own)
        moved = simulation.displacement[h, step].astype(np.float64)
        added = simulation.inelastic_displacement[h, -1].astype(np.float64) * simulation.inelastic_scale[h, -1]
        stays = float(np.linalg.norm(added, axis=1).max())
        difference = told["displacement"][h, step] - moved
        rows.append(
            {
                "elastic stress": float(np.mean(elastic)),
                "peak plastic strain": abs(float(told["peak"][h]) - true) / true,
                "plastic strain": relative_l2(told["plastic"][:, h].T, plastic, weight),
                "displacement": float(np.linalg.norm(difference) / np.linalg.norm(moved)),
                "permanent set": float(abs(told["set"][h] - stays) / stays),
            }
        )
    return rows


def mesh_file(size: str) -> Path:
    """The bracket with elements of one size, made once."""
    path = MESHES / f"bracket_{size}.npz"
    if not path.exists():
        part = ROOT / "meshes" / "bracket.step"
        save_mesh(path, load_part(part, element_size_m=SIZES[size], timeout_s=3000.0))
    return path


def bracket(size: str) -> Problem:
    """The sample problem on one mesh, with 8 histories of 20 steps."""
    problem = build_problem(read_problem_file(ROOT / "meshes" / "bracket.toml"), load_mesh(mesh_file(size)))
    shares = np.linspace(-0.3, 0.3, 8)
    histories = tuple(LoadHistory(f"{i}", np.stack([RISE, s * RISE], axis=1)) for i, s in enumerate(shares))
    return replace(problem, load_histories=histories)


def measure_size(size: str) -> SizeRow:
    """In a process of its own: CPU seconds by stage and peak memory of one answer."""
    asked, coarse = bracket(size), load_mesh(mesh_file("5k"))
    before = time.process_time()
    starts: dict[str, float] = {}
    if size == FEM:
        answer = solve_histories(
            solve_load_cases(asked, build_elastic_system(asked.mesh, asked.material, asked.supports)),
            asked.load_histories,
            SolverSettings(),
        )
        stages = {"solve": time.process_time() - before}
    else:
        found = coarse_answer(
            asked, coarse, progress=lambda stage, done: starts.setdefault(stage, time.process_time()) and None
        )
        answer, ends = found.histories, [*list(starts.values())[1:], time.process_time()]
        stages = {stage: end - start for (stage, start), end in zip(starts.items(), ends, strict=True)}
    peak = max(float(history.scalars.peak_plastic_strain.max()) for history in answer)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    residual = max(float(history.scalars.equilibrium_residual.max()) for history in answer)
    return SizeRow(len(asked.mesh.points), len(asked.mesh.cells), stages, memory, peak, residual)


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=0, help="parts to measure in all")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sizes", nargs="*", default=[], help=f"of {', '.join(SIZES)}")
    parser.add_argument("--row", help="measure one size in this process")
    asked = parser.parse_args()
    if asked.row:
        print(json.dumps(vars(measure_size(asked.row))))
        return
    measured: Measured = {"test": {}, "validation": {}, "sizes": {}}
    if MEASURED.exists():
        measured = json.loads(MEASURED.read_text())
    rows = measured["test"] if asked.split == "test" else measured["validation"]
    for entry in pair_entries(asked.split) if asked.pairs else ():
        if len(rows) >= asked.pairs:
            break
        if entry.path.stem not in rows:
            rows[entry.path.stem] = vars(measure_pair(entry.path))
            MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
            print(entry.path.stem, flush=True)
    for size in asked.sizes:
        if size not in measured["sizes"]:
            mesh_file(size)
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
            command = [sys.executable, __file__, "--row", size]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            measured["sizes"][size] = json.loads(done.stdout.splitlines()[-1])
            MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
            print(size, measured["sizes"][size], flush=True)


if __name__ == "__main__":
    main()
