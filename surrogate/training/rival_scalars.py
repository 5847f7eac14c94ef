"""The competitors that tell scalars of a history and no field: Gaussian processes and the mean of training.

Shape letters: R histories, H histories of a part.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surrogate.data.dataset import SimulationEntry
from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.fields import FloatArray, IntArray, StepScalars
from surrogate.physics.peak import peak_step
from surrogate.training.pod_gp import GaussianProcess, Pod, describe, fit_process, pod
from surrogate.training.rival_data import RivalPart, prepare_rival

SCALARS = ("peak von Mises", "peak plastic strain", "permanent set")
MEAN, LOADS, ANCHORED = "mean of training", "GP on part and loads", "POD + GP with the elastic anchor"
_LEAST_YIELD = 0.05


@dataclass(frozen=True)
class ScalarTable:
    """Descriptors and dimensionless logarithms of the targets of many histories.

    Attributes:
        loads: [R, F].
        curves: [R, Q].
        targets: of SCALARS, over yield strength, yield strain and the part's largest dimension [R, 3].
    """

    loads: FloatArray
    curves: FloatArray
    targets: FloatArray


@dataclass(frozen=True, eq=False)
class ScalarRivals:
    """What was fitted on training parts.

    Attributes:
        pod: of the curves.
        means: of the targets [3].
        loads: a process for each scalar, from the loads alone.
        anchored: a process for each scalar, from the loads and the POD coefficients of the curves.
        rows: histories they were fitted on.
    """

    pod: Pod
    means: FloatArray
    loads: tuple[GaussianProcess, ...]
    anchored: tuple[GaussianProcess, ...]
    rows: int


def true_scalars(simulation: Simulation) -> FloatArray:
    """SCALARS of every history [H, 3]: von Mises stress at the peak step, Pa; 1; m."""
    scalars = simulation.scalars
    set_ = np.linalg.norm(simulation.inelastic_displacement[:, -1].astype(np.float64), axis=-1).max(axis=-1)
    peaks = [
        peak_step(StepScalars(*(getattr(scalars, name)[h] for name in StepScalars.__dataclass_fields__)))
        for h in range(simulation.history_count)
    ]
    stress = scalars.peak_von_mises_pa[np.arange(len(peaks)), peaks]
    return np.stack([stress, scalars.peak_plastic_strain.max(axis=1), set_ * simulation.inelastic_scale[:, -1]], axis=1)


def _units(simulation: Simulation) -> FloatArray:
    material = simulation.problem.material
    strength = material.yield_strength_pa
    return np.array([strength, strength / material.youngs_modulus_pa, float(max(simulation.problem.mesh.size))])


def collect(entries: Iterable[SimulationEntry], progress: Callable[[str], None] = lambda name: None) -> ScalarTable:
    """Descriptors and targets of the histories that yield."""
    loads, curves, targets = [], [], []
    for entry in entries:
        simulation = load_simulation(entry.path)
        units, truth = _units(simulation), true_scalars(simulation)
        yields = truth[:, 1] > _LEAST_YIELD * units[1]
        if yields.any():
            found = describe(simulation, prepare_rival(simulation), np.flatnonzero(yields))
            loads.append(found.loads)
            curves.append(found.curves)
            targets.append(np.log(truth[yields] / units + 1e-9))
        progress(entry.path.stem)
    return ScalarTable(np.concatenate(loads), np.concatenate(curves), np.concatenate(targets))


def fit_scalars(table: ScalarTable, seed: int = 0, rows: int = 2500) -> ScalarRivals:
    """Fit all processes."""
    modes = pod(table.curves)
    anchored = np.concatenate([table.loads, modes.coefficients(table.curves)], axis=1)

    def fitted(descriptors: FloatArray) -> tuple[GaussianProcess, ...]:
        generator = np.random.default_rng(seed)
        return tuple(fit_process(descriptors, target, generator, rows=rows) for target in table.targets.T)

    used = min(rows, len(table.targets))
    return ScalarRivals(modes, np.median(table.targets, axis=0), fitted(table.loads), fitted(anchored), used)


def predicted_scalars(
    rivals: ScalarRivals, simulation: Simulation, part: RivalPart, histories: IntArray
) -> dict[str, FloatArray]:
    """SCALARS of some histories of a part by each rival [H, 3], in the units of `true_scalars`."""
    found, units = describe(simulation, part, histories), _units(simulation)
    anchored = np.concatenate([found.loads, rivals.pod.coefficients(found.curves)], axis=1)
    logs = {
        MEAN: np.tile(rivals.means, (len(histories), 1)),
        LOADS: np.stack([process.mean(found.loads) for process in rivals.loads], axis=1),
        ANCHORED: np.stack([process.mean(anchored) for process in rivals.anchored], axis=1),
    }
    return {name: np.exp(values) * units for name, values in logs.items()}


def save_table(table: ScalarTable, path: Path) -> None:
    """Keep what was collected."""
    np.savez(path, loads=table.loads, curves=table.curves, targets=table.targets)


def load_table(path: Path) -> ScalarTable:
    """Read what `save_table` wrote."""
    with np.load(path) as held:
        return ScalarTable(held["loads"], held["curves"], held["targets"])
