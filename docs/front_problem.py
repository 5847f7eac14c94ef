"""The task of the accuracy-time front: one bracket at three element sizes, 200 load histories, and their FEM answers.

The part is meshes/bracket.step, loaded at its lug in three directions; the histories are drawn by the grammar of the
training data with a fixed seed, once, on the coarsest mesh. Truth is kept in the user's cache, since it takes minutes.
Shape letters: H histories, T steps, K load cases, P quadrature points.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surrogate import CylinderSelector, Force, LoadCase, LoadHistory, Problem, Support, load_mesh, save_mesh
from surrogate.data.sampling import SamplingRange, draw_histories, scaled_load_cases
from surrogate.fields import BoolArray, FloatArray, HistoryFields, IntArray
from surrogate.geometry.part import load_part
from surrogate.physics.elastic import build_elastic_system, elastic_anchor, solve_load_cases
from surrogate.physics.materials import material_named
from surrogate.physics.problem import ramp
from surrogate.physics.recorder import weighted_quantile
from surrogate.physics.reduced import reduced_anchor
from surrogate.physics.solver import solve_histories
from surrogate.physics.solver_settings import SolverSettings

ROOT = Path(__file__).parent.parent
KEPT = Path.home() / ".cache" / "surrogate" / "truth" / "front"
# Element sizes of meshes/bracket.step, m, by about the number of points that they give.
SIZES = {"5k": 0.015, "20k": 0.0038, "80k": 0.00185}
# Histories with a truth at each size; classical rows are measured on these and scaled to all.
SOLVED = {"5k": 200, "20k": 16, "80k": 6}
# Of these, solved at a time.
TOGETHER = {"5k": 24, "20k": 8, "80k": 4}
TOLERANCE = {"5k": 1e-5, "20k": 1e-4, "80k": 1e-4}
HISTORIES, STEPS, DRAWN, SEED = 200, 20, 240, 41
# A history yields where its plastic strain passes this: less is of no interest, and a relative error of it of none.
YIELDS = 1e-4


@dataclass(frozen=True)
class Truth:
    """What FEM says of some of the drawn histories.

    Attributes:
        indices: of the histories among the drawn [H].
        peak: largest equivalent plastic strain of the part at each step [H, T], 1; NaN from a collapse on.
        p999: its 99.9 percentile over the volume at the last step [H], 1.
        collapsed: [H].
    """

    indices: IntArray
    peak: FloatArray
    p999: FloatArray
    collapsed: BoolArray


def mesh_file(size: str) -> Path:
    """The bracket with elements of one size, made once."""
    path = KEPT / f"bracket_{size}.npz"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        save_mesh(path, load_part(ROOT / "meshes" / "bracket.step", element_size_m=SIZES[size]))
    return path


def held_problem(size: str) -> Problem:
    """The bracket, its load cases of one newton and no history yet."""
    lug, holes = CylinderSelector(0.008, axis=(1.0, 0.0, 0.0), hole=True), CylinderSelector(0.00425, hole=True)
    ways = {"pull": (1.0, 0.0, 0.0), "side": (0.0, 1.0, 0.0), "lift": (0.0, 0.0, 1.0)}
    cases = tuple(LoadCase(name, (Force(lug, force),)) for name, force in ways.items())
    mesh = load_mesh(mesh_file(size))
    return Problem(mesh, material_named("Al 7075-T6"), (Support(holes),), cases, (ramp(3),), "bracket")


def drawn_problem() -> tuple[tuple[LoadCase, ...], tuple[LoadHistory, ...]]:
    """Load cases scaled to first yield on the coarsest mesh, and the histories drawn there."""
    problem, generator, ranges = held_problem("5k"), np.random.default_rng(SEED), SamplingRange()
    system = build_elastic_system(problem.mesh, problem.material, problem.supports)
    cases = scaled_load_cases(generator, problem.mesh, system, problem.supports, problem.load_cases, ranges)
    anchor = solve_load_cases(replace(problem, load_cases=cases), system)
    strength, volumes = problem.material.yield_strength_pa, system.volumes.ravel()
    return cases, draw_histories(generator, anchor.stress, volumes, strength, (DRAWN, STEPS), ranges)


def factors_drawn() -> tuple[FloatArray, FloatArray]:
    """Forces of the load cases [K, 3], N, and factors of all drawn histories [H, T, K]; drawn once and kept."""
    path = KEPT / "histories.npz"
    if not path.exists():
        cases, histories = drawn_problem()
        forces = np.array([case.loads[0].force_n for case in cases if isinstance(case.loads[0], Force)])
        np.savez(path, forces=forces, factors=np.stack([history.factors for history in histories]))
    with np.load(path) as kept:
        return kept["forces"], kept["factors"]


def problem(size: str, indices: IntArray) -> Problem:
    """The task at one element size, with some of the drawn histories."""
    held = held_problem(size)
    forces, factors = factors_drawn()
    cases = tuple(
        replace(case, loads=(Force(load.faces, (float(force[0]), float(force[1]), float(force[2]))),))
        for case, force in zip(held.load_cases, forces, strict=True)
        for load in case.loads
        if isinstance(load, Force)
    )
    histories = tuple(LoadHistory(f"history {i}", factors[i]) for i in indices)
    return replace(held, load_cases=cases, load_histories=histories)


def truth(size: str) -> Truth:
    """The FEM answers at one size; what is not kept is solved, and goes on where it stopped."""
    path = KEPT / f"truth_{size}.npz"
    known = _read(path) if path.exists() else None
    wanted = np.arange(DRAWN) if size == "5k" else chosen(size)
    missing = wanted if known is None else np.setdiff1d(wanted, known.indices)
    for first in range(0, len(missing), TOGETHER[size]):
        part = solve_truth(size, missing[first : first + TOGETHER[size]])
        known = part if known is None else _joined(known, part)
        np.savez(path, **vars(known))
        print(f"{size}: {len(known.indices)} of {len(wanted)} histories solved", flush=True)
    assert known is not None, "no history is asked for"
    return known


def _read(path: Path) -> Truth:
    with np.load(path) as kept:
        return Truth(*(kept[name] for name in ("indices", "peak", "p999", "collapsed")))


def _joined(first: Truth, second: Truth) -> Truth:
    return Truth(*(np.concatenate(both) for both in zip(vars(first).values(), vars(second).values(), strict=True)))


def solve_truth(size: str, indices: IntArray) -> Truth:
    """Solve some of the drawn histories; the reduced anchor's answer is only where the iterations of a step start."""
    asked = problem(size, indices)
    anchor, factors = elastic_anchor(asked), factors_drawn()[1][indices]
    modes = reduced_anchor(anchor, factors)
    guesses = factors @ anchor.unknowns.T + modes.coordinates @ modes.unknowns.T  # [H, T, n]
    settings = SolverSettings(tolerance=TOLERANCE[size], stored_steps=0)
    found = solve_histories(anchor, asked.load_histories, settings, guesses=guesses)
    volumes = anchor.system.volumes.ravel()
    last = [weighted_quantile(each.equivalent_plastic_strain[-1].ravel(), volumes, 0.999) for each in found]
    collapsed = np.array([each.collapse is not None for each in found])
    return Truth(indices, np.stack([_padded(each) for each in found]), np.array(last), collapsed)


def _padded(found: HistoryFields) -> FloatArray:
    """Peak plastic strain of every step, NaN after a collapse [T]."""
    peak = np.full(STEPS, np.nan)
    if found.collapse is None:
        peak[:] = found.scalars.peak_plastic_strain
    return peak


def kept_indices() -> IntArray:
    """The histories of the task: the first of the drawn that do not collapse [H]."""
    coarse = truth("5k")
    return coarse.indices[~coarse.collapsed][:HISTORIES]


def chosen(size: str) -> IntArray:
    """The histories of the task that are solved at a size."""
    return spread(kept_indices(), SOLVED[size])


def spread(indices: IntArray, count: int) -> IntArray:
    """So many of some histories, evenly spaced in the order of their plastic strain on the coarsest mesh."""
    ranked = indices[np.argsort(truth("5k").peak[indices, -1], kind="stable")]
    count = min(count, len(ranked))
    return np.sort(ranked[((np.arange(count) + 0.5) * len(ranked) / count).astype(int)])
