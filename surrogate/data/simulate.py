"""From a family and a seed to a simulation: mesh, draw, scale, solve, keep.

Shape letters: N points, C cells, Q = 4, K load cases, H histories, T steps, P quadrature points that yield.
"""

import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp

from surrogate.data.drawn_loads import draw_load_cases, draw_supports
from surrogate.data.drawn_material import draw_material
from surrogate.data.mesh_pair import MeshPair, generate_mesh_pair, has_coarse_pair
from surrogate.data.part_family import PartFamily
from surrogate.data.sampling import SamplingRange, draw_histories, scaled_load_cases
from surrogate.data.simulation_file import SCHEMA_VERSION, CoarseAnchor, HalfArray, Simulation, SingleArray
from surrogate.errors import SolveError, SurrogateError
from surrogate.fields import FloatArray, HistoryFields, StepBalance, StepScalars
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.elastic import ElasticAnchor, build_elastic_system, solve_load_cases
from surrogate.physics.invariants import to_last, von_mises
from surrogate.physics.problem import LoadHistory, Problem, ramp
from surrogate.physics.solver import SolverSettings, solve_histories
from surrogate.physics.sparse_factor import SparseFactor

FEWEST_HISTORIES = 2
# Labels need no more than 1e-4; a history that needs a halved step is near collapse and is rejected instead.
LABEL_SETTINGS = SolverSettings(tolerance=1e-4, modified_iterations=20, newton_iterations=6, halvings=0)


class RejectedSampleError(SolveError):
    """A sample that has no place in the data; its first word classes, the rest explains."""


@dataclass(frozen=True)
class SampleSize:
    """What a sample has.

    Attributes:
        histories: H drawn.
        steps: T of each.
        coarse_share: share of the samples with a coarse mesh beside theirs.
    """

    histories: int = 4
    steps: int = 20
    coarse_share: float = 0.25


class _CountingFactor:
    """Counts the back-substitutions asked of a factor."""

    def __init__(self, factor: SparseFactor) -> None:
        self._factor = factor
        self.size_bytes = factor.size_bytes
        self.solved = 0

    def solve(self, right: FloatArray) -> FloatArray:
        self.solved += right.shape[1] if right.ndim == 2 else 1
        return self._factor.solve(right)

    def refactorize(self, matrix: sp.csr_matrix) -> None:
        self._factor.refactorize(matrix)

    def sibling(self, matrix: sp.csr_matrix) -> SparseFactor:
        return self._factor.sibling(matrix)


def simulate(
    family: PartFamily, seed: int, size: SampleSize, ranges: SamplingRange | None = None, mesh: TetMesh | None = None
) -> Simulation:
    """Draws and solves one sample.

    Args:
        family: the part's family.
        seed: of the sample; the same seed gives the same simulation.
        size: histories and steps.
        ranges: what is drawn.
        mesh: the sample's mesh where it is at hand, else it is made.

    Raises:
        RejectedSampleError: fewer than `FEWEST_HISTORIES` histories have an answer.
        GeometryError: no mesh for this seed.
        InputError: the drawn problem cannot be solved.
    """
    started = time.perf_counter()
    wanted = has_coarse_pair(family.name, seed, size.coarse_share)
    pair = generate_mesh_pair(family, seed, wanted) if mesh is None else MeshPair(mesh)
    meshed = time.perf_counter()
    problem, anchor, counter = draw_anchored(family, seed, pair.fine, size, ranges or SamplingRange())
    drawn = time.perf_counter()
    kept, rejected = _solve_each(anchor, problem)
    if len(kept) < FEWEST_HISTORIES:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
        raise RejectedSampleError(f"only {len(kept)} of {size.histories} histories have an answer ({reasons})")
    solved = time.perf_counter()
    coarse, coarse_failure = _coarse_anchor(problem, pair)
    statistics = {
        "back_substitutions": float(counter.solved),
        **{f"rejected: {reason}": float(count) for reason, count in rejected.items()},
    }
    simulation = make_simulation(family.name, seed, problem, anchor, kept, statistics)
    ended = time.perf_counter()
    stages = {"mesh": meshed - started, "draw": drawn - meshed, "solve": solved - drawn, "gather": ended - solved}
    return replace(simulation, coarse=coarse, coarse_failure=coarse_failure, seconds=stages)


def _coarse_anchor(problem: Problem, pair: MeshPair) -> tuple[CoarseAnchor | None, str]:
    """The elastic answer on the coarse mesh, or why there is none."""
    if pair.coarse is None:
        return None, pair.coarse_failure
    try:
        coarse = replace(problem, mesh=pair.coarse)
        system = build_elastic_system(coarse.mesh, coarse.material, coarse.supports)
        return CoarseAnchor(coarse.mesh, *_stored_anchor(solve_load_cases(coarse, system))), ""
    except SurrogateError as error:
        return None, str(error)


def draw_anchored(
    family: PartFamily, seed: int, mesh: TetMesh, size: SampleSize, ranges: SamplingRange
) -> tuple[Problem, ElasticAnchor, "_CountingFactor"]:
    """The problem of a sample, its elastic answer, and the counter of back-substitutions."""
    # Apart from the stream that drew the mesh, so that neither moves the other.
    generator = np.random.default_rng([seed, family.index, 1])
    material, supports = draw_material(generator, ranges.material), draw_supports(generator, family)
    unloaded = draw_load_cases(generator, family, mesh, supports, ranges.loads)
    system = build_elastic_system(mesh, material, supports)
    counter = _CountingFactor(system.factor)
    system = replace(system, factor=counter)
    cases = scaled_load_cases(generator, mesh, system, supports, unloaded, ranges)
    name = f"{family.name} {seed}"
    # The histories are scaled by the elastic answer, which does not ask for any.
    anchor = solve_load_cases(Problem(mesh, material, supports, cases, (ramp(len(cases)),), name), system)
    histories = draw_histories(
        generator,
        anchor.stress,
        system.volumes.ravel(),
        material.yield_strength_pa,
        (size.histories, size.steps),
        ranges,
    )
    return Problem(mesh, material, supports, cases, histories, name), anchor, counter


def _solve_each(
    anchor: ElasticAnchor, problem: Problem
) -> tuple[list[tuple[LoadHistory, HistoryFields]], Counter[str]]:
    """The histories that have an answer at every step, and why the others have none."""
    rejected: Counter[str] = Counter()
    kept = []
    every_step = sum(len(history.factors) for history in problem.load_histories)
    settings = replace(LABEL_SETTINGS, stored_steps=every_step)
    for history, answer in _answers(anchor, problem.load_histories, settings):
        if answer is None:
            rejected["not converged"] += 1
        elif answer.collapse is not None:
            rejected["collapsed"] += 1
        else:
            kept.append((history, answer))
    return kept, rejected


def _answers(
    anchor: ElasticAnchor, histories: tuple[LoadHistory, ...], settings: SolverSettings
) -> list[tuple[LoadHistory, HistoryFields | None]]:
    """All histories together; one by one where one of them has no answer at all."""
    try:
        return list(zip(histories, solve_histories(anchor, histories, settings), strict=True))
    except SolveError:
        if len(histories) == 1:
            return [(histories[0], None)]
        return [answer for history in histories for answer in _answers(anchor, (history,), settings)]


def make_simulation(
    family: str,
    seed: int,
    problem: Problem,
    anchor: ElasticAnchor,
    kept: list[tuple[LoadHistory, HistoryFields]],
    statistics: dict[str, float],
) -> Simulation:
    """What is stored of the answers to a part's histories.

    Args:
        family: name of the part's family.
        seed: of the sample.
        problem: whose histories are replaced by the answered ones.
        anchor: elastic answer to its load cases.
        kept: histories with every step stored; the balance of one that has none is NaN.
        statistics: what else is to be known of it.
    """
    answers = [answer for _, answer in kept]
    equivalent = np.stack([answer.equivalent_plastic_strain for answer in answers])  # [H, T, C, Q]
    equivalent = equivalent.reshape(*equivalent.shape[:2], -1)
    yielded = np.flatnonzero((equivalent > 0).any(axis=(0, 1))).astype(np.int32)
    plastic = [answer.plastic_strain.reshape(len(answer.steps), -1, 6)[:, yielded] for answer in answers]
    scalars = StepScalars(
        *(np.stack([getattr(answer.scalars, field.name) for answer in answers]) for field in fields(StepScalars))
    )
    elastic_displacement, elastic_stress = _stored_anchor(anchor)
    inelastic, scale = _inelastic_displacement(kept, elastic_displacement)
    return Simulation(
        family=family,
        seed=seed,
        problem=replace(problem, load_histories=tuple(history for history, _ in kept)),
        elastic_displacement=elastic_displacement,
        elastic_stress=elastic_stress,
        inelastic_displacement=inelastic,
        inelastic_scale=scale,
        yielded=yielded,
        plastic_strain=_single(np.stack(plastic)),
        equivalent_plastic_strain=_single(equivalent[:, :, yielded]),
        scalars=scalars,
        balance=_balance(answers),
        cell_von_mises=_cell_von_mises(answers, problem.material.yield_strength_pa),
        statistics=statistics,
        versions=code_versions(),
    )


def _stored_anchor(anchor: ElasticAnchor) -> tuple[SingleArray, SingleArray]:
    """Displacement [K, N, 3] and stress [K, C, Q, 6] of the load cases."""
    cells = len(anchor.system.mesh.cells)
    stress = np.stack([to_last(case, cells) for case in anchor.stress.transpose(2, 0, 1)])
    return _single(anchor.system.displacement(anchor.unknowns)), _single(stress)


def _inelastic_displacement(
    kept: list[tuple[LoadHistory, HistoryFields]], elastic: SingleArray
) -> tuple[HalfArray, FloatArray]:
    """What plastic flow adds to the displacement [H, T, N, 3], and its scale [H, T]."""
    added, scales = [], []
    for history, answer in kept:
        difference = answer.displacement - np.tensordot(history.factors, elastic, axes=1)
        # Before yield nothing is added but the rounding of the elastic displacement.
        difference[answer.scalars.peak_plastic_strain == 0] = 0.0
        largest = np.abs(difference).max(axis=(1, 2))
        scale = np.where(largest > 0, largest, 1.0)
        added.append((difference / scale[:, None, None]).astype(np.float16))
        scales.append(scale)
    return np.stack(added), np.stack(scales)


def _balance(answers: list[HistoryFields]) -> StepBalance:
    balances = [answer.balance or _unknown_balance(len(answer.factors)) for answer in answers]
    return StepBalance(*(np.stack([getattr(b, entry.name) for b in balances]) for entry in fields(StepBalance)))


def _unknown_balance(steps: int) -> StepBalance:
    return StepBalance(*(np.full(steps, np.nan) for _ in fields(StepBalance)))


def _single(array: FloatArray) -> SingleArray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _cell_von_mises(answers: list[HistoryFields], strength: float) -> HalfArray:
    """Largest von Mises stress of each cell over the yield strength [H, T, C]."""
    cells = [von_mises(np.moveaxis(answer.stress, -1, 0)).max(axis=-1) for answer in answers]
    return (np.stack(cells) / strength).astype(np.float16)


def code_versions() -> dict[str, str]:
    """Versions on which a simulation's numbers depend."""
    packages = ("jepa-surrogate", "numpy", "scipy", "gmsh")
    return {"schema": str(SCHEMA_VERSION), **{name: version(name) for name in packages}}
