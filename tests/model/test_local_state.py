"""What passes between the physics and the network is the same numbers in other units and another order."""

from dataclasses import fields

import numpy as np
import torch

from surrogate.model.anchor_path import anchor_fields, local_path
from surrogate.model.decoder import LocalState, PlasticField
from surrogate.model.graph import build_part_graph
from surrogate.model.invariant_features import FEATURE_COUNT
from surrogate.model.local_state import (
    YIELDED,
    active_points,
    displacement_reference,
    local_states,
    plastic_state,
    token_actions,
)
from surrogate.physics.elastic import elastic_anchor
from tests.model.parts import CLIMB, SWING, wedge_problem
from tests.physics.meshes import STEEL

PROBLEM = wedge_problem()
FIELDS = anchor_fields(elastic_anchor(PROBLEM))
FACTORS = np.stack([CLIMB.factors, SWING.factors])
GRAPH = build_part_graph(PROBLEM, FIELDS, FACTORS.reshape(-1, 2), 8, 0.6)
YIELD_STRAIN = STEEL.yield_strength_pa / STEEL.youngs_modulus_pa
EVERY = np.array([(h, t) for h in range(2) for t in range(4)])
# Single precision.
SINGLE = 1e-6


def test_the_local_state_goes_to_the_network_and_back() -> None:
    local, points = local_states(GRAPH, FIELDS, FACTORS, EVERY), active_points(GRAPH)
    back = plastic_state(PlasticField(local.strain, local.equivalent), GRAPH, STEEL, FIELDS.volumes.size)
    silent = np.setdiff1d(np.arange(FIELDS.volumes.size), points)
    assert silent.size and not back.plastic_strain[:, silent].any() and not back.equivalent[silent].any()
    for step in local_path(FIELDS.strain, FACTORS, STEEL):
        for history in range(2):
            state = 4 * history + step.step
            scale = SINGLE * max(float(step.state.equivalent.max()), YIELD_STRAIN)
            equivalent = step.state.equivalent[:, history]
            # What has hardly yielded counts as elastic.
            kept = equivalent[points] >= YIELDED * YIELD_STRAIN
            expected = step.state.plastic_strain[:, points, history] * kept
            np.testing.assert_allclose(back.plastic_strain[:, points, state], expected, atol=10 * scale)
            np.testing.assert_allclose(back.equivalent[points, state], equivalent[points] * kept, atol=10 * scale)
            # Nothing yields outside of the active cells, so nothing is lost.
            assert not equivalent[silent].any()


def test_the_elastic_stress_and_its_change_are_those_of_the_factors() -> None:
    local, points = local_states(GRAPH, FIELDS, FACTORS, EVERY), active_points(GRAPH)
    for i, (history, step) in enumerate(EVERY):
        before = FACTORS[history, step - 1] if step else np.zeros(2)
        for found, factors in (
            (local.elastic, FACTORS[history, step]),
            (local.increment, FACTORS[history, step] - before),
        ):
            expected = (FIELDS.stress[:, points] @ factors).T / STEEL.yield_strength_pa
            np.testing.assert_allclose(found[i].reshape(-1, 6), expected, atol=10 * SINGLE)


def test_states_come_in_the_order_asked() -> None:
    order = np.array([6, 1, 3, 0, 3])
    whole, asked = local_states(GRAPH, FIELDS, FACTORS, EVERY), local_states(GRAPH, FIELDS, FACTORS, EVERY[order])
    chosen = whole.select(torch.from_numpy(order))
    for field in fields(LocalState):
        torch.testing.assert_close(getattr(asked, field.name), getattr(chosen, field.name), rtol=SINGLE, atol=SINGLE)


def test_the_action_of_a_token_is_what_its_hottest_point_feels() -> None:
    actions = token_actions(GRAPH, FIELDS, FACTORS)
    assert actions.shape == (2, 4, 8, FEATURE_COUNT)
    points = GRAPH.token_point.numpy()
    for step in local_path(FIELDS.strain, FACTORS, STEEL):
        equivalent = step.state.equivalent[points].T / YIELD_STRAIN
        np.testing.assert_allclose(torch.expm1(actions[:, step.step, :, 5]), equivalent, rtol=1e-5, atol=1e-6)


def test_the_first_action_is_the_whole_first_load() -> None:
    actions, stress = token_actions(GRAPH, FIELDS, FACTORS), GRAPH.token_case_stress.double().numpy()
    change = np.diff(FACTORS, axis=1, prepend=0.0)
    deviators = stress.copy()
    deviators[..., :3] -= stress[..., :3].mean(axis=-1, keepdims=True)
    increment = np.einsum("htk,kmc->htmc", change, deviators)
    weights = np.array([1, 1, 1, 2, 2, 2])
    # Feature 11 is the logarithm of the von Mises stress of the increment.
    expected = np.log1p(np.sqrt(1.5 * (weights * increment**2).sum(axis=-1)))
    np.testing.assert_allclose(actions[..., 11], expected, rtol=1e-5)


def test_repeated_factors_carry_no_action() -> None:
    held = token_actions(GRAPH, FIELDS, np.repeat(FACTORS, 2, axis=1))[:, 1::2]
    # Features 11 to 13 are those of the increment.
    assert not held[..., 11:14].abs().gt(1e-5).any()
    assert token_actions(GRAPH, FIELDS, FACTORS)[..., 11].gt(0.1).any()


def test_the_displacement_is_told_as_a_share_of_the_largest_so_far() -> None:
    actions = token_actions(GRAPH, FIELDS, FACTORS)
    features, reference = displacement_reference(FIELDS, FACTORS, actions)
    for history in range(2):
        fields_ = np.einsum("tk,kni->tni", FACTORS[history], FIELDS.displacement)
        largest = np.linalg.norm(fields_, axis=-1).max(axis=1)
        np.testing.assert_allclose(reference[history], np.maximum.accumulate(largest), rtol=1e-9)
        np.testing.assert_allclose(
            features[history, :, 0].numpy() * reference[history], largest, atol=1e-6 * largest.max()
        )


def test_an_unloaded_history_divides_nothing_by_nothing() -> None:
    still = np.zeros((1, 3, 2))
    features, reference = displacement_reference(FIELDS, still, token_actions(GRAPH, FIELDS, still))
    assert torch.isfinite(features).all() and np.isfinite(reference).all()
