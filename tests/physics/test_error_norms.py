"""Norms of differences: closed forms on known fields, and which step counts as the peak."""

import math
from dataclasses import replace

import numpy as np
import pytest

from surrogate.fields import FloatArray, HistoryFields, HistoryScalars, StepScalars
from surrogate.physics.error_norms import history_difference, relative_l2, relative_magnitude
from surrogate.physics.peak import peak_step
from surrogate.physics.tet_element import gradients_and_volumes
from tests.physics.meshes import block

MESH = block((2, 2, 2))
_, VOLUME = gradients_and_volumes(MESH.points, MESH.cells)


def scalars(von_mises: FloatArray, plastic_strain: FloatArray) -> StepScalars:
    ones = np.ones_like(von_mises)
    return StepScalars(von_mises, von_mises, np.zeros((len(ones), 3)), ones, plastic_strain, ones, 0 * ones)


def stretched(factor: float, steps: tuple[int, ...] = (0, 1)) -> HistoryFields:
    """Displacement factor * x along x and uniform tension, two steps, the same in both."""
    count, stored = 2, len(steps)
    stress = np.zeros((stored, *VOLUME.shape, 6))
    stress[..., 0] = 1e8 * factor
    plastic = np.zeros_like(stress)
    plastic[..., 0], plastic[..., 1:3] = 0.01 * factor, -0.005 * factor
    displacement = np.zeros((stored, *MESH.points.shape))
    displacement[..., 0] = factor * MESH.points[:, 0]
    return HistoryFields(
        name="stretch",
        factors=np.ones((count, 1)),
        steps=np.array(steps, np.int32),
        displacement=displacement,
        stress=stress,
        plastic_strain=plastic,
        equivalent_plastic_strain=plastic[..., 0],
        scalars=scalars(np.full(count, 1e8 * factor), np.full(count, 0.01 * factor)),
        totals=HistoryScalars(1.0, 1.0, 1e-3 * factor, 0.0),
    )


def test_the_norm_weighs_by_volume() -> None:
    """One of two points differs by its whole value; it has a quarter of the volume."""
    reference, weight = np.array([1.0, 1.0]), np.array([1.0, 3.0])
    assert relative_l2(np.array([2.0, 1.0]), reference, weight) == pytest.approx(0.5, rel=1e-15)


def test_vectors_are_measured_by_their_length() -> None:
    reference, weight = np.array([[3.0, 4.0]]), np.array([2.0])
    assert relative_l2(np.array([[3.0, 5.0]]), reference, weight) == pytest.approx(0.2, rel=1e-15)


def test_where_both_vanish_there_is_no_difference() -> None:
    zero, weight = np.zeros((3, 6)), np.ones(3)
    assert relative_l2(zero, zero, weight) == 0.0
    assert relative_l2(zero + 1e-12, zero + 1e-13, weight, floor=1e-9) == 0.0
    assert relative_magnitude(0.0, 0.0) == 0.0


def test_where_only_the_reference_vanishes_the_difference_is_infinite() -> None:
    zero, weight = np.zeros((3, 6)), np.ones(3)
    assert relative_l2(zero + 1.0, zero, weight) == math.inf
    assert relative_magnitude(1.0, 0.0) == math.inf


def test_every_field_scaled_by_four_per_cent_differs_by_four_per_cent() -> None:
    found = history_difference(stretched(1.04), stretched(1.0), VOLUME, MESH.cells)
    assert found is not None
    for difference in (found.peak, found.last):
        values = {name: value for name, value in vars(difference).items() if name != "step"}
        # The scaled fields are rounded once; 1e-12 leaves room for the sums.
        assert values == pytest.approx(dict.fromkeys(values, 0.04), rel=1e-12)
    assert found.permanent_set_rel == pytest.approx(0.04, rel=1e-12)


def test_displacement_is_compared_over_the_volume_and_not_over_the_points() -> None:
    """u = x against u = 0.5: integrals over the unit cube are 1/3 and 1/4, which the rule integrates exactly."""
    reference, other = stretched(1.0), stretched(1.0)
    moved = np.zeros_like(other.displacement)
    moved[..., 0] = 0.5
    found = history_difference(replace(other, displacement=moved), reference, VOLUME, MESH.cells)
    # integral (x - 1/2)^2 = 1/12 over integral x^2 = 1/3
    assert found is not None and found.last.displacement_rel_l2 == pytest.approx(0.5, rel=1e-12)


def test_the_nearest_step_that_both_store_is_compared() -> None:
    found = history_difference(stretched(1.1, (1,)), stretched(1.0, (0, 1)), VOLUME, MESH.cells)
    assert found is not None and found.peak.step == 1


def test_answers_without_a_common_step_are_not_compared() -> None:
    assert history_difference(stretched(1.0, (0,)), stretched(1.0, (1,)), VOLUME, MESH.cells) is None


def test_a_state_in_which_a_history_collapsed_is_not_held_against_the_end_of_its_step() -> None:
    whole = stretched(1.04)
    collapsed = replace(stretched(1.0), factors=np.array([[1.0], [0.7]]))
    found = history_difference(whole, collapsed, VOLUME, MESH.cells)
    assert found is not None
    assert found.peak.step == found.last.step == 0
    assert found.last.stress_rel_l2 == pytest.approx(0.04)
    # What is left after unloading from 1.0 says nothing of what is left after unloading from 0.7.
    assert found.permanent_set_rel == math.inf
    at_once = replace(collapsed, factors=np.array([[0.6], [0.7]]))
    assert history_difference(whole, at_once, VOLUME, MESH.cells) is None


def test_the_peak_step_is_where_plastic_strain_first_reaches_its_maximum() -> None:
    stress = np.array([3.0, 9.0, 5.0, 9.5])
    assert peak_step(scalars(stress, np.array([0.0, 0.01, 0.02, 0.02]))) == 2


def test_the_peak_step_of_an_elastic_history_is_where_the_stress_is_largest() -> None:
    assert peak_step(scalars(np.array([3.0, 9.0, 5.0]), np.zeros(3))) == 1


def test_round_off_does_not_move_the_peak_step() -> None:
    assert peak_step(scalars(np.ones(3), np.array([0.0, 0.02, 0.02 * (1 + 1e-14)]))) == 1
