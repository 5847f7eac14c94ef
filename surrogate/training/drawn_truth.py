"""Solved histories beyond those of a campaign: many of one part, to rank, and long ones, to roll out far.

Parts are as a campaign stored them; histories come from the same grammar and are scaled alike. Resumable: what is
stored is read. Shape letters: H histories, T steps, S stored steps, K load cases, P points that yield.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.data.histories import DrawnHistory, draw_history
from surrogate.data.sampling import SamplingRange, draw_histories, scaled_history
from surrogate.data.simulate import LABEL_SETTINGS
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.errors import InputError, SolveError
from surrogate.fields import FloatArray, HistoryFields, IntArray, StepScalars
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.peak import peak_step
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.solver import solve_histories

RANKED_PARTS, HORIZON_PARTS = 8, 30
# Histories solved together: the back-substitutions share the factor, and one without an answer costs only its block.
_BLOCK = 25
# As a campaign scales its histories.
_RANGES = SamplingRange()
# Points of the parts that are ranked: the size that the speed is told at.
_POINTS = (3300, 5000)


@dataclass(frozen=True, eq=False)
class DrawnTruth:
    """Solved histories of one stored part.

    Attributes:
        path: of the part's simulation.
        factors: [H, T, K].
        scalars: arrays [H, T] (`peak_at_m` [H, T, 3]).
        permanent_set_m: [H], m.
        steps: whose plastic strain is stored, ascending [H, S].
        yielded: flat indices of the quadrature points that yield in a stored state [P].
        plastic_strain: at those [H, S, P, 6], engineering shear.
        equivalent: accumulated equivalent plastic strain at those [H, S, P].
    """

    path: Path
    factors: FloatArray
    scalars: StepScalars
    permanent_set_m: FloatArray
    steps: IntArray
    yielded: IntArray
    plastic_strain: FloatArray
    equivalent: FloatArray

    def problem(self, stored: Problem) -> Problem:
        """The stored part under these histories."""
        names = (LoadHistory(f"history {i + 1}", factors) for i, factors in enumerate(self.factors))
        return replace(stored, load_histories=tuple(names))

    def first_steps(self, history: int, end: int) -> StepScalars:
        """Scalars of the first `end` steps of one history."""
        return StepScalars(*(getattr(self.scalars, entry.name)[history, :end] for entry in fields(StepScalars)))

    def state(self, history: int, step: int, points: int) -> PlasticState:
        """A stored plastic state at all quadrature points, trailing shape [points]."""
        place = int(np.flatnonzero(self.steps[history] == step)[0])
        strain, equivalent = np.zeros((6, points)), np.zeros(points)
        strain[:, self.yielded] = self.plastic_strain[history, place].T
        equivalent[self.yielded] = self.equivalent[history, place]
        return PlasticState(strain, equivalent)


Draw = Callable[[np.random.Generator, ElasticAnchor, int], tuple[LoadHistory, ...]]


def truth_folder(data: Path, kind: str) -> Path:
    """Where the solved histories of a kind for the parts of a campaign are kept."""
    return Path.home() / ".cache" / "surrogate" / "truth" / data.resolve().name / kind


def ranked_truth(
    data: Path, folder: Path, parts: int = RANKED_PARTS, histories: int = 200, steps: int = 20
) -> Iterator[DrawnTruth]:
    """Many short histories of one test part of each of some families; scalars only are of interest.

    Args:
        data: folder of a campaign.
        folder: where solved parts are kept.
        parts: how many, each of another family.
        histories: of each.
        steps: of each history.
    """

    def draw(generator: np.random.Generator, anchor: ElasticAnchor, count: int) -> tuple[LoadHistory, ...]:
        system = anchor.system
        strength = system.material.yield_strength_pa
        return draw_histories(generator, anchor.stress, system.volumes.ravel(), strength, (count, steps), _RANGES)

    for path in _ranked_parts(data, parts):
        yield _kept(path, folder, draw, histories, ())


def horizon_truth(
    data: Path, folder: Path, parts: int = HORIZON_PARTS, histories: int = 2, steps: int = 20, times: int = 3
) -> Iterator[DrawnTruth]:
    """Histories `times` as long as those of training, with their fields after `steps` and at the end.

    Each is a few histories of the grammar in a row, so that increments are as large as in training.
    """

    def draw(generator: np.random.Generator, anchor: ElasticAnchor, count: int) -> tuple[LoadHistory, ...]:
        system, cases = anchor.system, anchor.stress.shape[2]
        strength, volumes = system.material.yield_strength_pa, system.volumes.ravel()
        drawn = [in_a_row([draw_history(generator, steps, cases) for _ in range(times)]) for _ in range(count)]
        return tuple(
            scaled_history(generator, each, anchor.stress, volumes, strength, _RANGES, "row") for each in drawn
        )

    entries = _test_parts(data)
    for entry in entries[:: max(1, len(entries) // parts)][:parts]:
        yield _kept(entry.path, folder, draw, histories, (steps, times * steps))


def in_a_row(histories: list[DrawnHistory]) -> DrawnHistory:
    """One history after the other; what the earlier one leaves is taken off while the later one first loads.

    A drawn history loads over at least three steps, so over three steps what was left fades to nothing.
    """
    joined = [histories[0].factors]
    for later in histories[1:]:
        fade = np.clip(1.0 - np.arange(1, len(later.factors) + 1) / 3, 0.0, 1.0)
        joined.append(later.factors + fade[:, None] * joined[-1][-1])
    return DrawnHistory("spectrum", np.concatenate(joined))


def _test_parts(data: Path) -> tuple[SimulationEntry, ...]:
    entries = open_dataset(data).split("test").entries
    if not entries:
        raise InputError(f"no test parts in {data.name!r}; run a larger campaign")
    return entries


def _ranked_parts(data: Path, count: int) -> list[Path]:
    """Of each of some families the first test part of the wanted size that yields in all histories, or the first."""
    entries = _test_parts(data)
    families = sorted({entry.family for entry in entries})
    chosen = families[:: max(1, -(-len(families) // count))][:count]
    return [_first_suitable([entry for entry in entries if entry.family == family]) for family in chosen]


def _first_suitable(entries: list[SimulationEntry]) -> Path:
    for entry in entries:
        simulation = load_simulation(entry.path)
        material = simulation.problem.material
        least = float(simulation.scalars.peak_plastic_strain.max(axis=1).min())
        if (
            _POINTS[0] <= len(simulation.problem.mesh.points) <= _POINTS[1]
            and least > material.yield_strength_pa / material.youngs_modulus_pa
        ):
            return entry.path
    return entries[0].path


def _kept(path: Path, folder: Path, draw: Draw, count: int, until: tuple[int, ...]) -> DrawnTruth:
    """The solved histories of a part, from the folder where they are there."""
    file = folder / f"{path.stem}.npz"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _save(_solved(load_simulation(path), path, draw, count, until), file)
    return read_truth(file, path)


def _solved(simulation: Simulation, path: Path, draw: Draw, count: int, until: tuple[int, ...]) -> DrawnTruth:
    """Draws and solves until `count` histories have an answer at every step.

    Args:
        simulation: the part.
        path: of its file.
        draw: draws histories.
        count: how many are wanted.
        until: fields are kept at the peak of the first so many steps and at the last of them.
    """
    anchor = elastic_anchor(simulation.problem)
    generator = np.random.default_rng([simulation.seed, crc32(simulation.family.encode()), 2])
    kept: list[HistoryFields] = []
    while len(kept) < count:
        drawn = draw(generator, anchor, min(_BLOCK, count))
        named = tuple(replace(each, name=f"{len(kept)}.{i}") for i, each in enumerate(drawn))
        kept += [answer for answer in _answers(anchor, named, bool(until)) if answer.collapse is None]
    return _gathered(path, kept[:count], until)


def _answers(anchor: ElasticAnchor, histories: tuple[LoadHistory, ...], every: bool) -> list[HistoryFields]:
    """Together, with `every` step stored or few; in halves where one has no answer, which is left out."""
    stored = sum(len(history.factors) for history in histories) if every else 0
    try:
        return list(solve_histories(anchor, histories, replace(LABEL_SETTINGS, stored_steps=stored)))
    except SolveError:
        if len(histories) == 1:
            return []
        half = len(histories) // 2
        return _answers(anchor, histories[:half], every) + _answers(anchor, histories[half:], every)


def _gathered(path: Path, answers: list[HistoryFields], until: tuple[int, ...]) -> DrawnTruth:
    """What is kept of the answers, whose steps are all stored where `until` asks for fields."""
    scalars = _stacked([answer.scalars for answer in answers])
    steps = np.array([[s for end in until for s in (_peak_before(a, end), end - 1)] for a in answers], dtype=np.int64)
    steps = np.sort(steps, axis=1)
    points = answers[0].equivalent_plastic_strain[0].size
    pairs = list(zip(answers, steps, strict=True))
    equivalent = [answer.equivalent_plastic_strain[own].reshape(len(own), points) for answer, own in pairs]
    yielded = np.flatnonzero(np.any([(field > 0).any(axis=0) for field in equivalent], axis=0))
    strain = [answer.plastic_strain[own].reshape(len(own), points, 6)[:, yielded] for answer, own in pairs]
    return DrawnTruth(
        path=path,
        factors=np.stack([answer.factors for answer in answers]),
        scalars=scalars,
        permanent_set_m=np.array([answer.totals.permanent_set_m for answer in answers]),
        steps=steps,
        yielded=yielded,
        plastic_strain=np.stack(strain),
        equivalent=np.stack([field[:, yielded] for field in equivalent]),
    )


def _peak_before(answer: HistoryFields, end: int) -> int:
    """The step of the first `end` at which peak fields are taken."""
    return peak_step(_first_steps(answer.scalars, end))


def _first_steps(scalars: StepScalars, end: int) -> StepScalars:
    return StepScalars(*(getattr(scalars, entry.name)[:end] for entry in fields(StepScalars)))


def _stacked(scalars: list[StepScalars]) -> StepScalars:
    return StepScalars(*(np.stack([getattr(s, entry.name) for s in scalars]) for entry in fields(StepScalars)))


def _save(truth: DrawnTruth, file: Path) -> None:
    """Under a temporary name first, so that a file of this name is always whole."""
    scalars = {f"scalars_{entry.name}": getattr(truth.scalars, entry.name) for entry in fields(StepScalars)}
    temporary = file.with_name(f".{file.stem}.{os.getpid()}.npz")
    try:
        np.savez_compressed(
            temporary, factors=truth.factors, permanent_set_m=truth.permanent_set_m, steps=truth.steps,
            yielded=truth.yielded, plastic_strain=truth.plastic_strain.astype(np.float32),
            equivalent=truth.equivalent.astype(np.float32), **scalars,
        )  # fmt: skip
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def read_truth(file: Path, path: Path) -> DrawnTruth:
    """What was stored of a part's solved histories.

    Args:
        file: where.
        path: of the part's simulation.
    """
    with np.load(file) as held:
        scalars = StepScalars(*(held[f"scalars_{entry.name}"] for entry in fields(StepScalars)))
        return DrawnTruth(
            path, held["factors"], scalars, held["permanent_set_m"], held["steps"], held["yielded"],
            held["plastic_strain"].astype(np.float64), held["equivalent"].astype(np.float64),
        )  # fmt: skip
