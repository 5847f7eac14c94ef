"""Whether the simulations of a directory may be taught from: finite, in balance, within the law, none twice.

Shape letters: H histories, T steps, P quadrature points that yield.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from surrogate.data.dataset import SimulationEntry, open_dataset
from surrogate.data.foreign import IMBALANCE, IMPORTED
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.data.splits import split_of
from surrogate.errors import SurrogateError
from surrogate.physics.supports import constrained_directions

_HALF_PRECISION = 2.0**-11


@dataclass(frozen=True)
class CheckLimits:
    """What a simulation must keep to; relative numbers.

    Attributes:
        foreign: imbalance in the energy norm of what another program solved, instead of the next three.
        imbalance: force imbalance over the largest applied force.
        energy: work that is neither stored nor dissipated over the largest work of the history.
        reaction: sum of reactions and applied forces, and of their moments; as good as the nodal forces are.
        trace: volume change of the plastic strain over its size; single precision rounds it.
        support_motion: displacement along held directions over the largest displacement, beyond the file's rounding.
    """

    foreign: float = 0.02
    imbalance: float = 2e-4
    energy: float = 1e-3
    reaction: float = 2e-4
    trace: float = 1e-5
    support_motion: float = 1e-5


@dataclass(frozen=True)
class CheckReport:
    """What was found.

    Attributes:
        simulations: that were read.
        histories: of those.
        steps: of those.
        failures: "file: what is wrong", one a failed check.
        worst_imbalance: largest over all steps.
        worst_energy: largest energy imbalance.
        worst_reaction: largest reaction imbalance.
        worst_foreign: largest imbalance, in the energy norm, of what another program solved.
        duplicates: groups of files that hold the same mesh.
        split_counts: simulations by split.
    """

    simulations: int
    histories: int
    steps: int
    failures: tuple[str, ...]
    worst_imbalance: float
    worst_energy: float
    worst_reaction: float
    worst_foreign: float
    duplicates: tuple[tuple[str, ...], ...]
    split_counts: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures and not self.duplicates


def check_dataset(
    directory: Path, limits: CheckLimits | None = None, progress: Callable[[float], None] = lambda done: None
) -> CheckReport:
    """Reads every simulation of a directory and checks it.

    Args:
        directory: of a campaign.
        limits: what is wrong.
        progress: called with the share done.

    Raises:
        InputError: no simulations there.
    """
    limits, entries = limits or CheckLimits(), open_dataset(directory).entries
    failures: list[str] = []
    meshes: dict[str, list[str]] = {}
    splits: Counter[str] = Counter()
    counts = np.zeros(2, dtype=int)
    worst, foreign = np.zeros(3), 0.0
    for number, entry in enumerate(entries):
        progress(number / len(entries))
        try:
            simulation = load_simulation(entry.path)
        except SurrogateError as error:
            failures.append(str(error))
            continue
        failures += [f"{entry.path.name}: {what}" for what in _wrong(simulation, entry, limits)]
        meshes.setdefault(simulation.problem.mesh.content_hash, []).append(entry.path.name)
        splits[split_of(entry.family, entry.seed)] += 1
        factors = [history.factors for history in simulation.problem.load_histories]
        counts += [len(factors), sum(map(len, factors))]
        if IMPORTED in simulation.statistics:
            foreign = max(foreign, simulation.statistics[IMBALANCE])
        else:
            worst = np.maximum(worst, _imbalances(simulation))
    return CheckReport(
        simulations=sum(splits.values()),
        histories=int(counts[0]),
        steps=int(counts[1]),
        failures=tuple(failures),
        worst_imbalance=float(worst[0]),
        worst_energy=float(worst[1]),
        worst_reaction=float(worst[2]),
        worst_foreign=foreign,
        duplicates=tuple(tuple(names) for names in meshes.values() if len(names) > 1),
        split_counts=dict(splits),
    )


def _imbalances(simulation: Simulation) -> tuple[float, float, float]:
    """Largest imbalance of nodal forces, energy and reactions."""
    balance = simulation.balance
    residual = simulation.scalars.equilibrium_residual
    return float(residual.max()), float(balance.energy_imbalance.max()), float(balance.reaction_imbalance.max())


def _wrong(simulation: Simulation, entry: SimulationEntry, limits: CheckLimits) -> list[str]:
    """What is wrong with one simulation, in words."""
    found = [f"{name} has numbers that are not finite" for name in _not_finite(simulation)]
    if (simulation.family, simulation.seed) != (entry.family, entry.seed):
        found.append(f"holds {simulation.family} {simulation.seed} under another name")
    checks = zip(
        ("forces", "energy", "reactions"),
        _imbalances(simulation),
        (limits.imbalance, limits.energy, limits.reaction),
        strict=True,
    )
    if IMPORTED in simulation.statistics:
        checks = zip(("forces",), (simulation.statistics[IMBALANCE],), (limits.foreign,), strict=True)
    for name, value, bound in checks:
        if not value <= bound:
            found.append(f"{name} out of balance by {value:.1e}, limit {bound:.0e}")
    plastic, equivalent = simulation.plastic_strain, simulation.equivalent_plastic_strain
    if plastic.size:
        trace = np.abs(plastic[..., :3].sum(axis=-1)).max() / max(float(np.abs(plastic).max()), 1e-300)
        if trace > limits.trace:
            found.append(f"plastic strain changes the volume by {trace:.1e} of its size")
        if (np.diff(equivalent, axis=1) < -1e-7 * equivalent.max()).any() or equivalent.min() < 0:
            found.append("equivalent plastic strain falls")
    moved = _support_motion(simulation)
    if moved > limits.support_motion:
        found.append(f"moves where it is held, by {moved:.1e} of the largest displacement")
    return found


def _not_finite(simulation: Simulation) -> list[str]:
    arrays = {
        name: getattr(simulation, name)
        for name in ("elastic_displacement", "elastic_stress", "displacement", "plastic_strain", "cell_von_mises")
    }
    for part in (simulation.scalars, simulation.balance):
        arrays |= {field.name: getattr(part, field.name) for field in fields(part)}
    return [name for name, array in arrays.items() if not np.isfinite(array).all()]


def _support_motion(simulation: Simulation) -> float:
    """Largest displacement along held directions, beyond the rounding of the file, over the largest displacement."""
    points, directions = constrained_directions(simulation.problem.mesh, simulation.problem.supports)
    held = np.einsum("htri,ri->htr", simulation.displacement[:, :, points], directions, optimize=True)
    # Half precision rounds each component of what plastic flow adds, so a direction that is no axis moves by this much.
    rounding = _HALF_PRECISION * np.sqrt(3) * simulation.inelastic_scale[:, :, None]
    plastic = np.asarray(simulation.inelastic_displacement != 0).any(axis=(2, 3))
    rounding = rounding * np.asarray(plastic)[:, :, None]
    largest = float(np.abs(simulation.displacement).max())
    return float(np.maximum(np.abs(held) - rounding, 0.0).max()) / max(largest, 1e-300)


def check_lines(report: CheckReport) -> str:
    """The report for people."""
    splits = ", ".join(f"{count} {name}" for name, count in sorted(report.split_counts.items()))
    foreign = f"; imported, in energy norm {report.worst_foreign:.1e}" if report.worst_foreign else ""
    lines = [
        f"{report.simulations} simulations ({splits}), {report.histories} histories, {report.steps} steps",
        f"worst imbalance: forces {report.worst_imbalance:.1e}, energy {report.worst_energy:.1e}, reactions "
        f"{report.worst_reaction:.1e}{foreign}",
        *(f"same mesh: {', '.join(names)}" for names in report.duplicates),
        *report.failures,
    ]
    return "\n".join([*lines, "all checks passed" if report.passed else "CHECKS FAILED"])
