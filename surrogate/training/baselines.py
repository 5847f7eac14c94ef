"""The classical competitors, as `HistoryFields` like any other answer.

Each knows the same elastic anchor. "k passes" is modified Newton with the elastic factor and Anderson acceleration,
stopped after k back-substitutions a step; "local" is the material law along the elastic strain path, equilibrated once.
Shape letters: P quadrature points, H histories, T steps, K load cases.
"""

import numpy as np

from surrogate.data.simulation_file import Simulation
from surrogate.fields import FloatArray, HistoryFields
from surrogate.model.anchor_path import local_path, pad_factors
from surrogate.physics.elastic import ElasticAnchor
from surrogate.physics.equilibrium import equilibrate, return_to_yield
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points
from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from surrogate.physics.solver import SolverSettings, solve_histories

PASSES = (1, 2, 3)


def equilibrated_history(
    anchor: ElasticAnchor, history: LoadHistory, state: PlasticState, *, admissible: bool = False
) -> HistoryFields:
    """One history from the plastic state at each of its steps (trailing shape [P, T]), each equilibrated once.

    With `admissible` the stress is brought back to the yield surface, as the world model's is.
    """
    found = equilibrate(anchor.system, anchor.forces @ history.factors.T, state.plastic_strain)
    stress = return_to_yield(found.stress, state, anchor.system.material) if admissible else found.stress
    recorder = HistoryRecorder(anchor, history, quadrature_points(anchor.system), keep_all=True)
    for step in range(len(history.factors)):
        own = PlasticState(state.plastic_strain[:, :, step], state.equivalent[:, step])
        recorder.record(Snapshot(step, found.unknowns[:, step], stress[:, :, step], own), 0.0)
    return recorder.finish(None)


def elastic_only(anchor: ElasticAnchor, problem: Problem) -> tuple[HistoryFields, ...]:
    """No plastic strain at all."""
    points = anchor.system.volumes.size
    return tuple(
        equilibrated_history(anchor, history, PlasticState.virgin(points, len(history.factors)))
        for history in problem.load_histories
    )


def local_anchor(anchor: ElasticAnchor, problem: Problem, factor: float = 1.0) -> tuple[HistoryFields, ...]:
    """The local anchor, its plastic strain times one factor."""
    answers = []
    for history in problem.load_histories:
        steps = list(local_path(anchor.strain, history.factors[None], problem.material))
        strain = factor * np.concatenate([step.state.plastic_strain for step in steps], axis=-1)
        equivalent = factor * np.concatenate([step.state.equivalent for step in steps], axis=-1)
        answers.append(equilibrated_history(anchor, history, PlasticState(strain, equivalent), admissible=True))
    return tuple(answers)


def reduced_histories(
    anchor: ElasticAnchor, problem: Problem, settings: ReducedSettings | None = None
) -> tuple[HistoryFields, ...]:
    """The reduced anchor, equilibrated once."""
    factors = pad_factors([history.factors for history in problem.load_histories])
    reduced = reduced_anchor(anchor, factors, settings)
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    answers = []
    for i, history in enumerate(problem.load_histories):
        path = np.concatenate([history.factors, reduced.coordinates[i, : len(history.factors)]], axis=-1)
        steps = list(local_path(strain, path[None], problem.material))
        plastic = np.concatenate([step.state.plastic_strain for step in steps], axis=-1)
        equivalent = np.concatenate([step.state.equivalent for step in steps], axis=-1)
        answers.append(equilibrated_history(anchor, history, PlasticState(plastic, equivalent), admissible=True))
    return tuple(answers)


def with_passes(anchor: ElasticAnchor, problem: Problem, passes: int) -> tuple[HistoryFields, ...]:
    """The local anchor and some equilibrium passes at each step."""
    settings = SolverSettings(modified_iterations=passes, stop_after_modified=True)
    return solve_histories(anchor, problem.load_histories, settings)


def stored_truth(anchor: ElasticAnchor, simulation: Simulation) -> tuple[HistoryFields, ...]:
    """The solved histories of a simulation, displacement and stress made from the stored plastic strain."""
    points = anchor.system.volumes.size
    answers = []
    for i, history in enumerate(simulation.problem.load_histories):
        state = PlasticState.virgin(points, len(history.factors))
        state.plastic_strain[:, simulation.yielded] = simulation.plastic_strain[i].transpose(2, 1, 0)
        state.equivalent[simulation.yielded] = simulation.equivalent_plastic_strain[i].T
        answers.append(equilibrated_history(anchor, history, state))
    return tuple(answers)


def fitted_factor(truths: list[FloatArray], locals_: list[FloatArray]) -> float:
    """The one factor on the local plastic strain with the smallest median relative error over some states.

    Args:
        truths: true equivalent plastic strain of each state, weighted by the square root of the volume.
        locals_: the local anchor's.
    """
    candidates = np.linspace(0.2, 3.0, 57)
    errors = [
        np.median([np.linalg.norm(c * b - a) / np.linalg.norm(a) for a, b in zip(truths, locals_, strict=True)])
        for c in candidates
    ]
    return float(candidates[int(np.argmin(errors))])
