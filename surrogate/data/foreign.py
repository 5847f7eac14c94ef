"""Simulations of other programs as training data.

What is taken from a foreign result is its displacement, the one field that every program writes at the points and
unaveraged. The material law is run along it, which gives the stress and the plastic strain that belong to it at the
quadrature points, and the imbalance that is left says whether loads, supports, material and units of the problem are
those of the foreign run. It is measured in the energy norm: single-precision files leave nodal forces out of balance by
a per cent on fine meshes, which bends the part by nothing.

Shape letters: N points, T steps, n free unknowns.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surrogate.data.result_series import displacement_on, read_series
from surrogate.data.simulate import make_simulation
from surrogate.data.simulation_file import Simulation, load_simulation, sample_name, save_simulation
from surrogate.errors import InputError
from surrogate.fields import FloatArray, HistoryFields
from surrogate.geometry.length_units import metres_per_unit
from surrogate.geometry.part import load_part
from surrogate.physics.balance import resultants
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.plasticity import PlasticState, return_map
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.problem_file import build_problem, read_problem_file
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points

# Names in a simulation's statistics.
IMPORTED, IMBALANCE = "imported", "energy_norm_imbalance"


@dataclass(frozen=True)
class ImportLimits:
    """When a foreign result is refused.

    Attributes:
        imbalance: energy norm of the displacement that would restore equilibrium over that of the history's elastic
            displacement, at any step.
        support_motion: largest displacement along held directions over the largest displacement.
    """

    imbalance: float = 0.02
    support_motion: float = 1e-3


@dataclass(frozen=True)
class Imported:
    """What became of an import.

    Attributes:
        path: the simulation file.
        histories: stored in it.
        imbalance: largest imbalance in the energy norm, relative.
        yielded_share: largest yielded share of the volume.
    """

    path: Path
    histories: int
    imbalance: float
    yielded_share: float


def import_results(
    problem_file: Path,
    results: list[Path],
    directory: Path,
    *,
    family: str,
    array: str = "displacement_m",
    limits: ImportLimits | None = None,
) -> Imported:
    """Makes a simulation file of a problem and of the displacements that another program found for it.

    Args:
        problem_file: its part is one of the result files (or a mesh file of the same points).
        results: a PVD series, or a VTU file, for each load history of the problem, in their order.
        directory: of the campaign that it joins, made if needed.
        family: name under which the part is kept: lower-case letters, digits and underscores.
        array: name of the displacement in the result files, in the problem's length unit.
        limits: when it is refused.

    Raises:
        InputError: files and problem do not fit, or the displacement is no answer to the problem.
    """
    limits, family = limits or ImportLimits(), _checked_family(family)
    file = read_problem_file(problem_file)
    part = problem_file.parent / file.part
    problem = build_problem(
        file, load_part(part, length_unit=file.length_unit, element_size_m=file.element_size_m), name=part.stem
    )
    if len(results) != len(problem.load_histories):
        raise InputError(
            f"{len(results)} result series for {len(problem.load_histories)} histories; give one for each, in order"
        )
    scale = metres_per_unit(file.length_unit or "m")
    anchor = elastic_anchor(problem)
    kept, worst = [], 0.0
    for history, path in zip(problem.load_histories, results, strict=True):
        displacement = displacement_on(problem.mesh, read_series(path, array), scale)
        answer, imbalance = replay(anchor, history, displacement, path.name, limits)
        kept.append((history, answer))
        worst = max(worst, imbalance)
    statistics = {IMPORTED: 1.0, IMBALANCE: worst}
    simulation = make_simulation(family, part_number(problem), problem, anchor, kept, statistics)
    return _store(simulation, directory)


def import_simulation(path: Path, directory: Path, *, family: str | None = None) -> Imported:
    """Takes over a simulation file of this program's own schema.

    Raises:
        InputError: not such a file, or a field of it is not finite.
    """
    simulation = load_simulation(path)
    for name in ("inelastic_displacement", "plastic_strain", "elastic_stress", "elastic_displacement"):
        if not np.isfinite(getattr(simulation, name)).all():
            raise InputError(f"{name} of {path.name} has numbers that are not finite; write the simulation again")
    if family is not None:
        number = part_number(simulation.problem)
        simulation = replace(simulation, family=_checked_family(family), seed=number)
    return _store(simulation, directory)


def replay(
    anchor: ElasticAnchor, history: LoadHistory, displacement: FloatArray, name: str, limits: ImportLimits
) -> tuple[HistoryFields, float]:
    """The states that belong to given displacements, found by the material law, and their largest imbalance.

    Args:
        anchor: elastic answer to each load case.
        history: factors of T steps.
        displacement: [T, N, 3], m.
        name: of the result, for messages.
        limits: when it is refused.

    Raises:
        InputError: another number of steps, supports that move, or forces out of balance.
    """
    system, steps = anchor.system, len(history.factors)
    if len(displacement) != steps:
        raise InputError(
            f"{name} has {len(displacement)} steps, history {history.name!r} {steps}; give one file a step"
        )
    flat = displacement.reshape(steps, -1).T
    unknowns = np.asarray(system.freedom.T @ flat)  # the basis is orthonormal
    moved = float(np.abs(flat - system.freedom @ unknowns).max()) / max(float(np.abs(flat).max()), 1e-300)
    if moved > limits.support_motion:
        raise InputError(
            f"{name} moves where the problem's supports hold it ({moved:.1%} of the largest displacement); correct the "
            "supports or the length unit"
        )
    applied = anchor.forces @ history.factors.T
    norm = max(float(np.linalg.norm(applied, axis=0).max()), 1e-300)
    energy = max(float(np.sqrt((applied * (anchor.unknowns @ history.factors.T)).sum(axis=0)).max()), 1e-300)
    recorder = HistoryRecorder(anchor, history, quadrature_points(system), True, resultants(anchor))
    state, worst = PlasticState.virgin(system.volumes.size), 0.0
    for step in range(steps):
        mapped = return_map(system.strain(unknowns[:, step]), state, system.material)
        state = mapped.state
        left = applied[:, step] - system.internal_force(mapped.stress)
        imbalance = float(np.sqrt(left @ system.factor.solve(left))) / energy
        if not imbalance <= limits.imbalance:
            raise InputError(
                f"{name}, step {step + 1}: out of balance with the problem's loads by {imbalance:.1%} in energy norm "
                f"(limit {limits.imbalance:.0%}); check loads, material, length unit and that every load step is there"
            )
        worst = max(worst, imbalance)
        snapshot = Snapshot(step, unknowns[:, step], mapped.stress, state)
        recorder.record(snapshot, float(np.linalg.norm(left)) / norm)
    return recorder.finish(None), worst


def part_number(problem: Problem) -> int:
    """The number under which a part is kept: of its mesh alone, so that one part never lies in two splits."""
    return int(problem.mesh.content_hash[:12], 16)


def _checked_family(family: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+", family):
        raise InputError(f"family {family!r}: use lower-case letters, digits and underscores only")
    return family


def _store(simulation: Simulation, directory: Path) -> Imported:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / sample_name(simulation.family, simulation.seed)
    if path.exists():
        raise InputError(
            f"{path.name} is already in {directory.name}: this part was imported before; delete that file to replace "
            "it, and give all load histories of a part in one import"
        )
    save_simulation(simulation, path)
    return Imported(
        path,
        simulation.history_count,
        simulation.statistics.get(IMBALANCE, float(simulation.scalars.equilibrium_residual.max())),
        float(simulation.scalars.yielded_volume_fraction.max()),
    )
