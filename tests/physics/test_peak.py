"""The recorder, which sees one step after the other, keeps the step that `peak_step` finds in the whole history."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate.fields import FloatArray, StepScalars
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.peak import peak_step
from surrogate.physics.plasticity import PlasticState
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Traction
from surrogate.physics.recorder import HistoryRecorder, Snapshot, quadrature_points
from tests.physics.meshes import RIGHT, STEEL, block, symmetry_planes

CASE = LoadCase("pull", (Traction(RIGHT, (1.0, 0, 0)),))
PROBLEM = Problem(block((1, 1, 1)), STEEL, symmetry_planes(), (CASE,), (LoadHistory("h", np.ones((1, 1))),))
ANCHOR = elastic_anchor(PROBLEM)
POSITIONS = quadrature_points(ANCHOR.system)


def scalars(plastic: FloatArray, stress: FloatArray) -> StepScalars:
    nothing = np.zeros(len(plastic))
    return StepScalars(stress, stress, np.zeros((len(plastic), 3)), nothing, plastic, nothing, nothing)


def test_the_peak_is_the_end_of_the_last_plastic_increment() -> None:
    plastic, stress = np.array([0, 1e-3, 2e-3, 2e-3, 2e-3]), np.array([1.0, 5.0, 4.0, 3.0, 9.0])
    assert peak_step(scalars(plastic, stress)) == 2


def test_without_plastic_strain_it_is_the_largest_stress() -> None:
    assert peak_step(scalars(np.zeros(4), np.array([1.0, 5.0, 9.0, 9.0]))) == 2


def test_a_history_without_a_step_has_step_zero() -> None:
    assert peak_step(scalars(np.zeros(0), np.zeros(0))) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.0, 1e-4, 3e-4]), st.sampled_from([0.0, 1.0, 2.0, 3.0])), min_size=1))
def test_the_recorder_keeps_the_step_that_decides(steps: list[tuple[float, float]]) -> None:
    plastic = np.cumsum([flow for flow, _ in steps])
    history = replace(PROBLEM.load_histories[0], factors=np.ones((len(steps), 1)))
    recorder = HistoryRecorder(ANCHOR, history, POSITIONS, keep_all=False)
    for step, (equivalent, (_, stress)) in enumerate(zip(plastic, steps, strict=True)):
        state = PlasticState.virgin(len(POSITIONS))
        state.equivalent[:] = equivalent
        tensor = np.zeros((6, len(POSITIONS)))
        tensor[0] = stress
        recorder.record(Snapshot(step, np.zeros(ANCHOR.system.freedom.shape[1]), tensor, state), 0.0)
    found = recorder.finish(None)
    assert found.steps.tolist() == sorted({peak_step(found.scalars), len(steps) - 1})
