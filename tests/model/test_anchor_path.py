"""The anchors are the material law, point by point, along the elastic path and along that of the plastic modes."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.model.anchor_path import (
    AnchorPath,
    AnchorStep,
    LocalStep,
    anchor_fields,
    anchor_steps,
    elastic_envelope,
    elastic_von_mises,
    elastic_von_mises_squares,
    local_path,
    pad_factors,
)
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.invariants import von_mises
from surrogate.physics.plasticity import PlasticState, elastic_strain, return_map
from surrogate.physics.problem import LoadHistory
from surrogate.physics.reduced import ReducedSettings
from surrogate.physics.solver import SolverSettings, solve_histories
from tests.model.parts import CLIMB, MILD, SWING, Anchored, anchored, milder, wedge_problem
from tests.physics.meshes import STEEL

# Two modes a round are too few for this part, so that each round has something left to find.
PART = anchored(wedge_problem(), ReducedSettings(modes=2, further=0))
PROBLEM, FIELDS, PATH = PART.problem, PART.fields, PART.path
FACTORS = np.stack([CLIMB.factors, SWING.factors])
EVERYWHERE = np.arange(FIELDS.volumes.size)
YIELD_STRAIN = STEEL.yield_strength_pa / STEEL.youngs_modulus_pa


def path(factors: FloatArray) -> list[LocalStep]:
    return list(local_path(FIELDS.strain, factors, STEEL))


def test_all_points_and_histories_together_are_each_of_them_alone() -> None:
    together = path(FACTORS)
    for history in range(2):
        for point in (0, 17, int(von_mises(FIELDS.stress[:, :, 0]).argmax())):
            state = PlasticState.virgin()
            for step in together:
                strain = FIELDS.strain[:, point] @ FACTORS[history, step.step]
                mapped = return_map(strain, state, STEEL)
                state = mapped.state
                # The same numbers in another order of summation.
                expected = state.plastic_strain
                np.testing.assert_allclose(
                    step.state.plastic_strain[:, point, history], expected, atol=1e-12 * YIELD_STRAIN
                )
                np.testing.assert_allclose(step.stress[:, point, history], mapped.stress, atol=1e-6)
    assert together[-1].state.equivalent.max() > YIELD_STRAIN


def test_repeating_each_factor_is_no_further_action() -> None:
    once, twice = path(FACTORS), path(np.repeat(FACTORS, 2, axis=1))
    for i, step in enumerate(once):
        for again in twice[2 * i : 2 * i + 2]:
            # A state on the yield surface may creep by the round-off of its own stress.
            change = np.abs(again.state.plastic_strain - step.state.plastic_strain).max()
            assert change < 1e-12 * YIELD_STRAIN
            assert np.abs(again.stress - step.stress).max() < 1e-9 * STEEL.yield_strength_pa


def test_padding_repeats_the_last_factors() -> None:
    padded = pad_factors([FACTORS[0], FACTORS[1, :2]])
    assert np.array_equal(padded[0], FACTORS[0])
    assert np.array_equal(padded[1], FACTORS[1, [0, 1, 1, 1]])


def test_a_path_in_proportion_may_be_cut_in_steps_of_any_size() -> None:
    # Radial return is exact along a straight path, so the number of steps cannot matter.
    coarse, fine = np.linspace(0, 1.8, 3)[1:], np.linspace(0, 1.8, 19)[1:]
    ends = [path(np.stack([f, 0 * f], axis=1)[None])[-1].state.plastic_strain for f in (coarse, fine)]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-12 * YIELD_STRAIN)


def test_the_quadratic_form_gives_the_von_mises_stress_of_every_combination() -> None:
    form, states = elastic_von_mises_squares(FIELDS.stress), FACTORS.reshape(-1, 2)
    expected = np.stack([von_mises(FIELDS.stress @ factors) for factors in states])
    # Squares lose half of the digits where the cases cancel.
    np.testing.assert_allclose(elastic_von_mises(form, states), expected, atol=1e-7 * expected.max())
    np.testing.assert_allclose(elastic_envelope(form, states), expected.max(axis=0), rtol=1e-9)


def test_the_envelope_in_chunks_is_the_envelope() -> None:
    form = elastic_von_mises_squares(FIELDS.stress[:, :40, :1])
    many = np.random.default_rng(0).normal(size=(220_000, 1))  # times 40 points: two chunks
    np.testing.assert_allclose(elastic_envelope(form, many), np.abs(many).max() * np.sqrt(form[0]), rtol=1e-12)


def steps(part: Anchored = PART, path: AnchorPath | None = None) -> list[AnchorStep]:
    return list(anchor_steps(part.fields, path or part.path, EVERYWHERE))


def test_a_mode_acts_on_the_law_like_one_more_load_case() -> None:
    for found, local in zip(steps(), path(FACTORS), strict=True):
        # The plastic strain of all steps up to this one is that of the law along the whole strain, told in one array.
        state = PlasticState.virgin(len(EVERYWHERE), 2)
        for step in range(found.step + 1):
            strain = FIELDS.strain @ FACTORS[:, step].T + PATH.mode_strain @ PATH.coordinates[:, step].T
            mapped = return_map(strain, state, STEEL)
            state = mapped.state
        np.testing.assert_allclose(found.state.plastic_strain, state.plastic_strain, atol=1e-12)
        np.testing.assert_allclose(found.stress, mapped.stress, atol=1e-9 * STEEL.youngs_modulus_pa)
        np.testing.assert_array_equal(found.local, local.state.equivalent)


def test_without_what_the_last_round_added_the_anchor_is_what_it_was_before() -> None:
    poorer = anchored(PROBLEM, ReducedSettings(modes=2, enrichments=0, further=0))
    modes = poorer.path.coordinates.shape[-1]
    assert 0 < modes < PATH.coordinates.shape[-1] and not PATH.earlier[..., modes:].any()
    np.testing.assert_array_equal(PATH.earlier[..., :modes], poorer.path.coordinates)
    for found, before in zip(steps(), steps(poorer), strict=True):
        # The same modes among others, so other sums.
        np.testing.assert_allclose(found.earlier, before.state.equivalent, atol=1e-9)
        np.testing.assert_array_equal(before.earlier, before.local)  # before the first round there were no modes
    assert np.abs(steps()[-1].earlier - steps()[-1].state.equivalent).max() > 0.01 * YIELD_STRAIN


def test_each_anchor_is_nearer_to_the_solution_than_the_one_before() -> None:
    part = anchored(milder(wedge_problem()), ReducedSettings(modes=4))
    last = steps(part)[-1]
    weight = np.sqrt(part.fields.volumes.ravel())
    for i, true in enumerate(solve_histories(part.elastic, part.problem.load_histories, SolverSettings())):
        truth = true.equivalent_plastic_strain[-1].ravel()
        local, earlier, now = (
            np.linalg.norm(weight * (each[:, i] - truth)) / np.linalg.norm(weight * truth)
            for each in (last.local, last.earlier, last.state.equivalent)
        )
        assert now < 0.6 * earlier < 0.6 * local, true.name


def test_modes_that_span_the_solution_give_the_solution() -> None:
    """What the law reads is the strain alone, so the solution's strain along the path makes the solution's state."""
    system = PART.elastic.system
    solved = solve_histories(PART.elastic, PROBLEM.load_histories, SolverSettings(tolerance=1e-9))
    unknowns = np.stack([system.freedom.T @ u.reshape(len(u), -1).T for u in (s.displacement for s in solved)])
    inelastic = unknowns - np.einsum("nk,htk->hnt", PART.elastic.unknowns, FACTORS)  # [H, n, T]
    modes = inelastic.transpose(1, 0, 2).reshape(len(inelastic[0]), -1)
    one_each = np.eye(modes.shape[1]).reshape(2, 4, -1)
    strain, displacement = system.strain(modes), system.displacement(modes)
    spanned = AnchorPath(FACTORS, one_each, 0 * one_each, strain, displacement, np.arange(system.volumes.size))
    for found, local in zip(steps(path=spanned), path(FACTORS), strict=True):
        for i, true in enumerate(solved):
            truth = true.equivalent_plastic_strain[found.step].ravel()
            # The tolerance of the solver.
            np.testing.assert_allclose(found.state.equivalent[:, i], truth, atol=1e-6 * max(truth.max(), YIELD_STRAIN))
        np.testing.assert_array_equal(found.earlier, local.state.equivalent)


def test_where_nothing_yields_there_is_no_mode_and_all_anchors_are_one() -> None:
    part = anchored(wedge_problem((MILD,)))
    assert part.path.coordinates.shape == (1, 3, 0) and part.path.mode_displacement.shape[0] == 0
    for step in steps(part):
        assert not step.state.plastic_strain.any() and not step.earlier.any() and not step.local.any()
        np.testing.assert_allclose(step.stress[:, :, 0], part.fields.stress @ MILD.factors[step.step], atol=1e-3)


@pytest.mark.parametrize("histories", [[1], [1, 0], None])
def test_some_points_histories_and_steps_are_those_among_all(histories: list[int] | None) -> None:
    points = np.array([40, 3, 111])
    some = list(anchor_steps(FIELDS, PATH, points, None if histories is None else np.array(histories), 3))
    chosen = histories or [0, 1]
    assert [step.step for step in some] == [0, 1, 2]
    for step, whole in zip(some, steps(), strict=False):
        grid = np.ix_(points, chosen)
        # Another shape of the same products.
        np.testing.assert_allclose(step.stress, whole.stress[:, points][:, :, chosen], atol=1e-3)
        for mine, all_ in ((step.state, whole.state), (step, whole)):
            names = ("equivalent",) if isinstance(mine, PlasticState) else ("earlier", "local")
            for name in names:
                np.testing.assert_allclose(getattr(mine, name), getattr(all_, name)[grid], atol=1e-12)


def test_a_history_that_stands_still_has_no_further_plastic_strain() -> None:
    """Padding repeats the last factors, and the modes of a state are found once."""
    longer = replace(PROBLEM, load_histories=(CLIMB, LoadHistory("stopped", SWING.factors[:2])))
    found = steps(anchored(longer))
    for step in found[2:]:
        # The balance is found to a thousandth of its right-hand side, once and for all.
        change = np.abs(step.state.equivalent[:, 1] - found[1].state.equivalent[:, 1]).max()
        assert change < 1e-9 and found[1].state.equivalent[:, 1].max() > 0.1 * YIELD_STRAIN


def test_the_fields_are_those_of_the_anchor() -> None:
    anchor, fields = PART.elastic, anchor_fields(elastic_anchor(PROBLEM))
    assert FIELDS.displacement.shape == (2, len(PROBLEM.mesh.points), 3)
    np.testing.assert_array_equal(fields.strain, FIELDS.strain)
    np.testing.assert_array_equal(FIELDS.displacement[1], anchor.system.displacement(anchor.unknowns[:, 1]))
    np.testing.assert_allclose(elastic_strain(FIELDS.stress.copy(), STEEL), FIELDS.strain, atol=1e-12)


def test_the_displacement_of_the_modes_is_the_one_whose_strain_they_have() -> None:
    system = PART.elastic.system
    assert PATH.mode_displacement.shape == (PATH.coordinates.shape[-1], *PROBLEM.mesh.points.shape)
    for mode, displacement in enumerate(PATH.mode_displacement):
        # The free basis is orthonormal, so its transpose takes the displacement back to the unknowns.
        strain = system.strain(system.freedom.T @ displacement.ravel())
        scale = np.abs(strain).max()
        np.testing.assert_allclose(PATH.mode_strain[:, :, mode], strain, atol=1e-9 * scale)
