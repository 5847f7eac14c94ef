"""What passes between the physics and the network is the same numbers in other units and another order."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from surrogate.fields import FloatArray
from surrogate.model import anchor_state
from surrogate.model.anchor_path import AnchorPath, anchor_path, anchor_steps, local_path
from surrogate.model.anchor_state import (
    YIELDED,
    active_points,
    anchor_states,
    displacement_reference,
    equilibrium_defect,
    plastic_state,
    token_actions,
)
from surrogate.model.decoder import DISPLACEMENT_FEATURES, AnchorState, PlasticField
from surrogate.model.invariant_features import FEATURE_COUNT, INCREMENT_FEATURES, TREND_FEATURE
from surrogate.physics.equilibrium import equilibrate
from surrogate.physics.plasticity import elastic_strain
from surrogate.physics.problem import LoadHistory
from surrogate.physics.reduced import ReducedAnchor, ReducedSettings
from surrogate.physics.solver import SolverSettings, solve_histories
from tests.model.parts import FIRM, Anchored, anchored, milder, wedge_problem
from tests.physics.meshes import STEEL

# Two modes a round are too few for this part, so that the anchor has a defect; all that may yield is watched.
GATE = 0.35
PART = anchored(milder(wedge_problem()), ReducedSettings(modes=2, further=0))
PROBLEM, FIELDS, PATH = PART.problem, PART.fields, PART.path
FACTORS = PART.path.factors
GRAPH = PART.graph(gate=GATE)
POINTS = active_points(GRAPH)
EVERY = np.array([(h, t) for h in range(2) for t in range(4)])
STATES = anchor_states(GRAPH, FIELDS, PATH, EVERY, PART.elastic)
YIELD_STRAIN = STEEL.yield_strength_pa / STEEL.youngs_modulus_pa
# Single precision.
SINGLE = 1e-6


def actions_of(part: Anchored) -> torch.Tensor:
    return token_actions(part.graph(), part.fields, part.path)


def test_the_anchor_goes_to_the_network_and_back() -> None:
    back = plastic_state(PlasticField(STATES.strain, STATES.equivalent), GRAPH, STEEL, FIELDS.volumes.size)
    silent = np.setdiff1d(np.arange(FIELDS.volumes.size), POINTS)
    assert silent.size and not back.plastic_strain[:, silent].any() and not back.equivalent[silent].any()
    for step in anchor_steps(FIELDS, PATH, np.arange(FIELDS.volumes.size)):
        for history in range(2):
            state = 4 * history + step.step
            scale = SINGLE * max(float(step.state.equivalent.max()), YIELD_STRAIN)
            equivalent = step.state.equivalent[:, history]
            # What has hardly yielded counts as elastic.
            kept = equivalent[POINTS] >= YIELDED * YIELD_STRAIN
            expected = step.state.plastic_strain[:, POINTS, history] * kept
            np.testing.assert_allclose(back.plastic_strain[:, POINTS, state], expected, atol=10 * scale)
            np.testing.assert_allclose(back.equivalent[POINTS, state], equivalent[POINTS] * kept, atol=10 * scale)
            # Hardly anything yields outside of the active cells, so hardly anything is lost.
            assert equivalent[silent].max() < YIELDED * YIELD_STRAIN


def test_the_states_are_the_three_anchors_in_yield_strains_and_yield_strengths() -> None:
    for step in anchor_steps(FIELDS, PATH, POINTS):
        for history in range(2):
            state = 4 * history + step.step
            for found, expected in (
                (STATES.stress, step.stress[..., history].T / STEEL.yield_strength_pa),
                (STATES.equivalent, step.state.equivalent[:, history] / YIELD_STRAIN),
                (STATES.earlier, step.earlier[:, history] / YIELD_STRAIN),
                (STATES.local, step.local[:, history] / YIELD_STRAIN),
            ):
                flat = found[state].reshape(expected.shape)
                np.testing.assert_allclose(flat, expected, atol=10 * SINGLE * max(float(expected.max()), 1.0))
    assert (STATES.equivalent != STATES.earlier).any() and (STATES.earlier != STATES.local).any()


def test_the_elastic_stress_and_its_change_are_those_of_the_factors() -> None:
    for i, (history, step) in enumerate(EVERY):
        before = FACTORS[history, step - 1] if step else np.zeros(2)
        for found, factors in (
            (STATES.elastic, FACTORS[history, step]),
            (STATES.increment, FACTORS[history, step] - before),
        ):
            expected = (FIELDS.stress[:, POINTS] @ factors).T / STEEL.yield_strength_pa
            np.testing.assert_allclose(found[i].reshape(-1, 6), expected, atol=10 * SINGLE)


def assert_same(found: AnchorState, expected: AnchorState) -> None:
    for field in fields(AnchorState):
        mine, other = getattr(found, field.name), getattr(expected, field.name)
        torch.testing.assert_close(mine, other, rtol=10 * SINGLE, atol=10 * SINGLE, msg=field.name)


def test_states_come_in_the_order_asked() -> None:
    order = np.array([6, 1, 3, 0, 3])
    asked = anchor_states(GRAPH, FIELDS, PATH, EVERY[order], PART.elastic)
    assert_same(asked, STATES.select(torch.from_numpy(order)))
    # Of one history alone the others need not be run.
    assert_same(anchor_states(GRAPH, FIELDS, PATH, EVERY[[5]], PART.elastic), STATES.select(torch.tensor([5])))


# ---- the defect of equilibrium


def defect(path: AnchorPath = PATH) -> FloatArray:
    """Of all states [S, A points, 6], Pa."""
    steps = list(anchor_steps(FIELDS, path, POINTS))
    strain = np.stack([steps[t].state.plastic_strain[:, :, h] for h, t in EVERY])
    return equilibrium_defect(PART.elastic, path, POINTS, strain, EVERY)


def test_the_defect_is_what_equilibrating_the_anchor_would_add_to_its_strain() -> None:
    system, found = PART.elastic.system, defect()
    steps = list(anchor_steps(FIELDS, PATH, POINTS))
    for i, (h, t) in enumerate(EVERY):
        plastic = np.zeros((6, FIELDS.volumes.size, 1))
        plastic[:, POINTS, 0] = steps[t].state.plastic_strain[:, :, h]
        balanced = equilibrate(system, (PART.elastic.forces @ FACTORS[h, t])[:, None], plastic)
        total = elastic_strain(balanced.stress[:, :, 0].copy(), STEEL) + plastic[:, :, 0]
        mine = FIELDS.strain @ FACTORS[h, t] + PATH.mode_strain @ PATH.coordinates[h, t]
        added = elastic_strain(found[i].T.copy(), STEEL)
        # Two direct solves of the same system.
        np.testing.assert_allclose(added, (total - mine)[:, POINTS], atol=1e-9 * np.abs(mine).max())
        told = STATES.defect[i].reshape(-1, 6) * STEEL.yield_strength_pa
        np.testing.assert_allclose(told, found[i], atol=SINGLE * max(np.abs(found).max(), 1.0))
    assert np.abs(found[3]).max() > 0.01 * STEEL.yield_strength_pa
    # Before anything yields there is nothing to balance.
    assert not STATES.defect[[0, 4]].any()


def spanned() -> AnchorPath:
    """The solution as an anchor: one mode a state, the displacement by which it differs from the elastic one."""
    system = PART.elastic.system
    solved = solve_histories(PART.elastic, PROBLEM.load_histories, SolverSettings(tolerance=1e-9))
    unknowns = np.concatenate([system.freedom.T @ each.displacement.reshape(4, -1).T for each in solved], axis=1)
    modes = unknowns - PART.elastic.unknowns @ FACTORS.reshape(-1, 2).T
    coordinates = np.eye(8).reshape(2, 4, 8)
    steady = np.ones((2, 4), dtype=bool)
    reduced = ReducedAnchor(
        modes, system.strain(modes), coordinates, 0 * coordinates, steady, np.arange(system.volumes.size)
    )
    return anchor_path(PART.elastic, FACTORS, reduced)


def test_modes_that_span_the_solution_leave_no_defect() -> None:
    # The solver's tolerance, and what yields outside of the active cells, which the network takes as elastic.
    assert np.abs(defect(spanned())).max() < 1e-4 * STEEL.yield_strength_pa < 1e-2 * np.abs(defect()).max()


def test_more_modes_and_rounds_leave_a_smaller_defect() -> None:
    richer = anchored(PROBLEM, ReducedSettings(modes=8, enrichments=3))
    sizes = [np.linalg.norm(defect(path), axis=(1, 2)) for path in (PATH, richer.path)]
    yielding = sizes[0] > 0
    assert yielding.sum() == 6 and (sizes[1][yielding] < 0.6 * sizes[0][yielding]).all()


@pytest.mark.parametrize("together", [1, 3 * 4 * 96])
def test_a_bound_on_memory_does_not_change_the_defect(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = defect()
    monkeypatch.setattr(anchor_state, "_CHUNK", together)
    np.testing.assert_allclose(defect(), whole, atol=1e-9 * np.abs(whole).max())


def test_without_a_factor_the_defect_is_nothing_and_all_else_is_the_same() -> None:
    without = anchor_states(GRAPH, FIELDS, PATH, EVERY, None)
    assert not without.defect.any()
    assert_same(replace(without, defect=STATES.defect), STATES)


# ---- what the tokens and the displacement head read


def test_the_action_of_a_token_is_what_its_point_feels() -> None:
    actions = token_actions(GRAPH, FIELDS, PATH)
    assert actions.shape == (2, 4, 8, FEATURE_COUNT)
    for step in anchor_steps(FIELDS, PATH, GRAPH.token_point.numpy()):
        equivalent, earlier, local = (
            np.log1p(level.T / YIELD_STRAIN) for level in (step.state.equivalent, step.earlier, step.local)
        )
        found = actions[:, step.step].double().numpy()
        np.testing.assert_allclose(found[..., 5], equivalent, rtol=1e-5, atol=1e-6)
        # How much the last round changed, ten times, and the one before it.
        np.testing.assert_allclose(found[..., TREND_FEATURE], 10 * (equivalent - earlier), atol=1e-5)
        np.testing.assert_allclose(found[..., TREND_FEATURE + 1], earlier - local, atol=1e-5)
    assert actions[..., TREND_FEATURE].abs().max() > 0.1


def test_the_first_action_is_the_whole_first_load() -> None:
    actions, stress = token_actions(GRAPH, FIELDS, PATH), GRAPH.token_case_stress.double().numpy()
    change = np.diff(FACTORS, axis=1, prepend=0.0)
    deviators = stress.copy()
    deviators[..., :3] -= stress[..., :3].mean(axis=-1, keepdims=True)
    increment = np.einsum("htk,kmc->htmc", change, deviators)
    weights = np.array([1, 1, 1, 2, 2, 2])
    # Feature 11 is the logarithm of the von Mises stress of the increment.
    expected = np.log1p(np.sqrt(1.5 * (weights * increment**2).sum(axis=-1)))
    np.testing.assert_allclose(actions[..., 11], expected, rtol=1e-5)


def test_repeated_factors_carry_no_action() -> None:
    twice = tuple(LoadHistory(h.name, np.repeat(h.factors, 2, axis=0)) for h in PROBLEM.load_histories)
    actions = actions_of(anchored(replace(PROBLEM, load_histories=twice), ReducedSettings(modes=2, further=0)))
    held = actions[:, 1::2]
    # Nothing but the increment moves while nothing happens.
    assert not held[..., INCREMENT_FEATURES].abs().gt(1e-5).any()
    others = [i for i in range(FEATURE_COUNT) if i not in range(*INCREMENT_FEATURES.indices(FEATURE_COUNT))]
    torch.testing.assert_close(held[..., others], actions[:, ::2, :, others], rtol=1e-4, atol=1e-4)
    assert token_actions(GRAPH, FIELDS, PATH)[..., 11].gt(0.1).any()


def test_the_displacement_is_told_as_a_share_of_the_largest_elastic_one_so_far() -> None:
    actions = token_actions(GRAPH, FIELDS, PATH)
    features, reference = displacement_reference(FIELDS, PATH, actions)
    assert features.shape == (2, 4, DISPLACEMENT_FEATURES)
    for history in range(2):
        elastic = np.einsum("tk,kni->tni", FACTORS[history], FIELDS.displacement)
        modes = np.einsum("tj,jni->tni", PATH.coordinates[history], PATH.mode_displacement)
        largest, whole, left = (np.linalg.norm(u, axis=-1).max(axis=1) for u in (elastic, elastic + modes, modes))
        np.testing.assert_allclose(reference[history], np.maximum.accumulate(largest), rtol=1e-9)
        for column, expected in ((0, whole), (2, left)):
            found = features[history, :, column].double().numpy() * reference[history]
            np.testing.assert_allclose(found, expected, atol=10 * SINGLE * largest.max())
        assert left.max() > 0.01 * largest.max()
    torch.testing.assert_close(features[..., 1], actions[..., 5].amax(dim=2))


def test_the_displacement_of_the_modes_alone_is_the_set_that_unloading_leaves() -> None:
    path = spanned()
    features, reference = displacement_reference(FIELDS, path, token_actions(GRAPH, FIELDS, path))
    for i, true in enumerate(solve_histories(PART.elastic, PROBLEM.load_histories, SolverSettings(tolerance=1e-9))):
        permanent = float(features[i, -1, 2]) * reference[i, -1]
        assert permanent == pytest.approx(true.totals.permanent_set_m, rel=1e-5)
        assert float(features[i, -1, 0]) * reference[i, -1] == pytest.approx(true.scalars.max_displacement_m[-1])


def test_in_many_states_the_points_that_move_most_in_some_of_them_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = displacement_reference(FIELDS, PATH, token_actions(GRAPH, FIELDS, PATH))
    monkeypatch.setattr(anchor_state, "_LOOKED_AT", 16)
    few, _ = displacement_reference(FIELDS, PATH, token_actions(GRAPH, FIELDS, PATH))
    torch.testing.assert_close(few, whole)


def test_an_unloaded_history_divides_nothing_by_nothing() -> None:
    part = anchored(replace(PROBLEM, load_histories=(LoadHistory("rest", np.zeros((3, 2))),)))
    features, reference = displacement_reference(part.fields, part.path, actions_of(part))
    assert not features[..., [0, 2]].any() and torch.isfinite(features).all() and np.isfinite(reference).all()


def test_where_nothing_yields_the_anchor_is_elastic_and_sure_of_itself() -> None:
    part = anchored(wedge_problem((FIRM,)))
    wanted = np.array([[0, 0], [0, 2]])
    states = anchor_states(part.graph(), part.fields, part.path, wanted, part.elastic)
    assert states.equivalent.numel() and not states.equivalent.any() and not states.defect.any()
    torch.testing.assert_close(states.stress, states.elastic, rtol=1e-5, atol=1e-6)


def test_the_anchor_of_no_modes_is_the_local_one() -> None:
    none = anchored(PROBLEM, ReducedSettings(modes=0))
    states = anchor_states(GRAPH, none.fields, none.path, EVERY, None)
    assert torch.equal(states.equivalent, states.local) and torch.equal(states.earlier, states.local)
    last = list(local_path(FIELDS.strain, FACTORS, STEEL))[-1].state.equivalent[POINTS, 1] / YIELD_STRAIN
    np.testing.assert_allclose(states.local[7].ravel(), last, atol=10 * SINGLE * last.max())
