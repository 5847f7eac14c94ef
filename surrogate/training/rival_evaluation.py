"""How far the competitors of the world model are from the stored FEM answer, on a fixed stride of the test parts.

Each gives a plastic strain in the two states that the measures look at, the peak step and the last one; what it means
for stress, displacement and permanent set comes from one back-substitution, as for the world model.
Shape letters: H histories that yield, P quadrature points, S = 2 H states (peak and last of each history).
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch

from surrogate.data.simulation_file import Simulation, load_simulation
from surrogate.fields import FloatArray, HistoryFields, IntArray, StepScalars
from surrogate.model.anchor_path import local_path
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.physics.peak import peak_step
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory
from surrogate.physics.reduced import plain_rounds, reduced_anchor
from surrogate.training.baselines import equilibrated_history
from surrogate.training.meshgraphnet import MeshGraphNet, rollout
from surrogate.training.notch_rules import NOTCH_RULES, notch_history
from surrogate.training.part_evaluation import PLASTIC_SHARE
from surrogate.training.rival_data import HALVE_SHEAR, RivalPart, prepare_rival
from surrogate.training.rival_decoder import PlasticRead
from surrogate.training.rival_scalars import SCALARS, ScalarRivals, predicted_scalars, true_scalars
from surrogate.training.transolver import Transolver

# As in the world model's evaluation: the least permanent set that is compared.
SET_FLOOR = 0.005
# The networks never say zero; less than this, in yield strains, counts as none, as for the world model.
_YIELDED = 0.02
REDUCED = (0, 1)


@dataclass(frozen=True)
class Factors:
    """The one factor on each local rule, fitted on training parts: to the field, and to the largest value."""

    field: dict[str, float]
    peak: dict[str, float]


@dataclass(frozen=True)
class RivalErrors:
    """Errors of one method on one part.

    Attributes:
        errors: of each history that yields, the relative error of each of METRICS that the method tells.
        seconds: of processor time for all these histories, anchor and equilibration not counted.
    """

    errors: list[dict[str, float]]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the methods are asked of a part: histories that yield [H], peak and last step of each [H, 2]."""

    simulation: Simulation
    anchor: ElasticAnchor
    part: RivalPart
    histories: IntArray
    steps: IntArray

    @property
    def factors(self) -> FloatArray:
        """[H, T, K]."""
        held = self.simulation.problem.load_histories
        return np.stack([held[h].factors for h in self.histories])

    def pick(self, strain: list[FloatArray], equivalent: list[FloatArray]) -> list[PlasticState]:
        """Peak and last state of each history from its whole path, [6, P, T] and [P, T] each."""
        whole = zip(strain, equivalent, self.steps, strict=True)
        return [PlasticState(s[:, :, steps], e[:, steps]) for s, e, steps in whole]

    def physical(self, read: PlasticRead) -> list[PlasticState]:
        """The networks' states [2 H, C, 4, …] in physical units, peak and last of each history."""
        material, count = self.simulation.problem.material, len(self.histories)
        unit = material.yield_strength_pa / material.youngs_modulus_pa
        equivalent = read.equivalent.double().numpy().reshape(count, 2, -1)
        there = equivalent >= _YIELDED
        strain = read.strain.double().numpy().reshape(count, 2, -1, 6) * there[..., None] * (unit / HALVE_SHEAR)
        return [
            PlasticState(s.transpose(2, 1, 0), e.T)
            for s, e in zip(strain, equivalent * there * unit, strict=True)
        ]  # fmt: skip


def evaluate_rivals(
    path: Path,
    networks: Mapping[str, MeshGraphNet | Transolver],
    scalars: ScalarRivals | None,
    factors: Factors,
    known: Collection[str] = (),
) -> dict[str, RivalErrors]:
    """The competitors on one simulated part; empty where none of its histories yields.

    Args:
        path: of the simulation.
        networks: by name.
        scalars: what tells no fields; None leaves it out.
        factors: of the local rules.
        known: methods that are left out.
    """
    simulation = load_simulation(path)
    unit = simulation.problem.material.yield_strength_pa / simulation.problem.material.youngs_modulus_pa
    histories = np.flatnonzero(simulation.scalars.peak_plastic_strain.max(axis=1) > PLASTIC_SHARE * unit)
    if not len(histories):
        return {}
    last = simulation.scalars.peak_plastic_strain.shape[1] - 1
    steps = np.array([(_peak(simulation, int(h)), last) for h in histories])
    asked = _Asked(simulation, elastic_anchor(simulation.problem), prepare_rival(simulation), histories, steps)
    truth = _answers(asked, _stored(asked, 0), admissible=False)
    found = {}
    for name, method in _methods(asked, networks, factors).items():
        if name in known:
            continue
        started = time.process_time()
        states = method()
        seconds = time.process_time() - started
        answers = _answers(asked, states, admissible=True)
        found[name] = RivalErrors([_errors(asked, i, m, truth[i]) for i, m in enumerate(answers)], seconds)
        if name in factors.peak:
            rows = [_scaled_peak(factors.peak[name], s, t) for s, t in zip(states, truth, strict=True)]
            found[f"{name}, one factor fitted to the peak"] = RivalErrors(rows, seconds)
    if scalars is not None:
        found |= {name: row for name, row in _scalar_errors(asked, scalars).items() if name not in known}
    return found


def _scaled_peak(factor: float, state: PlasticState, true: HistoryFields) -> dict[str, float]:
    """A factor on the largest value says nothing of fields."""
    return {"peak plastic strain": _off(factor * state.equivalent.max(), true.scalars.peak_plastic_strain.max())}


def _peak(simulation: Simulation, history: int) -> int:
    return peak_step(StepScalars(*(getattr(simulation.scalars, f.name)[history] for f in fields(StepScalars))))


def _methods(
    asked: _Asked, networks: Mapping[str, MeshGraphNet | Transolver], factors: Factors
) -> dict[str, Callable[[], list[PlasticState]]]:
    methods: dict[str, Callable[[], list[PlasticState]]] = {
        "no plastic strain (elastic anchor)": lambda: _scaled(_stored(asked, 0), 0.0),
        "persistence (true state of the step before)": lambda: _stored(asked, 1),
        "local anchor": lambda: _local(asked, None),
        "local anchor, one fitted factor": lambda: _scaled(_local(asked, None), factors.field["local anchor"]),
    }
    for name in NOTCH_RULES:
        methods[name] = partial(_notch, asked, name, 1.0)
        methods[f"{name}, one fitted factor"] = partial(_notch, asked, name, factors.field[name])
    for rounds in REDUCED:
        methods[f"reduced anchor + {rounds} enrichments"] = partial(_local, asked, rounds)
    for name, network in networks.items():
        methods[name] = partial(_by_network, asked, network)
    return methods


def _by_network(asked: _Asked, network: MeshGraphNet | Transolver) -> list[PlasticState]:
    return asked.physical(_read(network, asked))


def _stored(asked: _Asked, steps_before: int) -> list[PlasticState]:
    """The true states, or those of some steps before."""
    simulation, points = asked.simulation, asked.anchor.system.volumes.size
    states = []
    for history, steps in zip(asked.histories, asked.steps, strict=True):
        state = PlasticState.virgin(points, 2)
        for column, step in enumerate(steps - steps_before):
            if step >= 0:
                state.plastic_strain[:, simulation.yielded, column] = simulation.plastic_strain[history, step].T
                state.equivalent[simulation.yielded, column] = simulation.equivalent_plastic_strain[history, step]
        states.append(state)
    return states


def _scaled(states: list[PlasticState], factor: float) -> list[PlasticState]:
    return [PlasticState(factor * state.plastic_strain, factor * state.equivalent) for state in states]


def _local(asked: _Asked, enrichments: int | None) -> list[PlasticState]:
    """The local anchor, or the reduced one with some enrichments."""
    strain, path = asked.anchor.strain, asked.factors
    if enrichments is not None:
        reduced = reduced_anchor(asked.anchor, path, plain_rounds(enrichments))
        strain = np.concatenate([strain, reduced.strain], axis=-1)
        path = np.concatenate([path, reduced.coordinates], axis=-1)
    kept = [PlasticState.virgin(strain.shape[1], 2) for _ in asked.histories]
    for found in local_path(strain, path, asked.simulation.problem.material):
        for row, column in zip(*np.nonzero(asked.steps == found.step), strict=True):
            kept[row].plastic_strain[:, :, column] = found.state.plastic_strain[:, :, row]
            kept[row].equivalent[:, column] = found.state.equivalent[:, row]
    return kept


def _notch(asked: _Asked, rule: str, factor: float) -> list[PlasticState]:
    material, stress = asked.simulation.problem.material, asked.anchor.stress
    paths = [notch_history(NOTCH_RULES[rule], stress, path, material, factor) for path in asked.factors]
    return asked.pick([p.plastic_strain for p in paths], [p.equivalent for p in paths])


@torch.no_grad()
def _read(network: MeshGraphNet | Transolver, asked: _Asked) -> PlasticRead:
    if isinstance(network, Transolver):
        wanted = [(h, int(step)) for h, steps in zip(asked.histories, asked.steps, strict=True) for step in steps]
        return network(asked.part, torch.tensor(wanted))
    path = rollout(network, asked.part, asked.part.factors[torch.from_numpy(asked.histories)])
    picked = [(i, int(step)) for i, steps in enumerate(asked.steps) for step in steps]
    strain = torch.stack([path[step].strain[i] for i, step in picked])
    return PlasticRead(strain, torch.stack([path[step].equivalent[i] for i, step in picked]))


def _answers(asked: _Asked, states: list[PlasticState], admissible: bool) -> list[HistoryFields]:
    """Each history at its peak and its last step, equilibrated."""
    answers = []
    for factors, steps, state in zip(asked.factors, asked.steps, states, strict=True):
        history = LoadHistory("peak and last", factors[steps])
        answers.append(equilibrated_history(asked.anchor, history, state, admissible=admissible))
    return answers


def _errors(asked: _Asked, row: int, mine: HistoryFields, true: HistoryFields) -> dict[str, float]:
    """The same measures as the world model's."""
    system, factors = asked.anchor.system, asked.factors[row]
    difference = history_difference(mine, true, system.volumes, system.mesh.cells)
    assert difference is not None
    found = {
        "plastic strain, peak": difference.peak.plastic_strain_rel_l2,
        "plastic strain, last": difference.last.plastic_strain_rel_l2,
        "stress, peak": difference.peak.stress_rel_l2,
        "stress, last": difference.last.stress_rel_l2,
        "displacement, peak": difference.peak.displacement_rel_l2,
        "peak von Mises": difference.peak.peak_von_mises_rel,
        "99.9 % von Mises": difference.peak.p999_von_mises_rel,
        "peak plastic strain": _off(mine.scalars.peak_plastic_strain.max(), true.scalars.peak_plastic_strain.max()),
        "permanent set": abs(mine.totals.permanent_set_m - true.totals.permanent_set_m)
        / _set_scale(asked, row, true.totals.permanent_set_m),
    }
    if np.abs(factors[-1]).max() <= 1e-9 * np.abs(factors).max():
        found["residual stress"] = difference.last.stress_rel_l2
    return found


def _off(value: float, true: float) -> float:
    return float(abs(value - true) / true)


def _set_scale(asked: _Asked, row: int, permanent: float) -> float:
    largest = asked.simulation.scalars.max_displacement_m[asked.histories[row]].max()
    return max(permanent, SET_FLOOR * float(largest))


def _scalar_errors(asked: _Asked, rivals: ScalarRivals) -> dict[str, RivalErrors]:
    """What is told without any field."""
    started = time.process_time()
    answers = predicted_scalars(rivals, asked.simulation, asked.part, asked.histories)
    seconds = time.process_time() - started
    truth = true_scalars(asked.simulation)[asked.histories]  # [H, 3]
    found = {}
    for name, values in answers.items():
        rows = []
        for i, (mine, true) in enumerate(zip(values, truth, strict=True)):
            scale = dict(zip(SCALARS, true, strict=True))
            scale["permanent set"] = _set_scale(asked, i, scale["permanent set"])
            rows.append({s: float(abs(m - t) / scale[s]) for s, m, t in zip(SCALARS, mine, true, strict=True)})
        found[name] = RivalErrors(rows, seconds / len(answers))
    return found
