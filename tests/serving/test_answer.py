"""From decoded states to an answer: which states are decoded, and what the scalars of all the steps say."""

import numpy as np
import pytest
import torch

from surrogate.fields import HistoryFields
from surrogate.model.anchor_path import anchor_fields, elastic_von_mises, elastic_von_mises_squares, pad_factors
from surrogate.model.anchor_state import YIELDED, anchor_states, displacement_reference, token_actions
from surrogate.model.decoder import PlasticField, TokenScalars
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.peak import peak_step
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.recorder import weighted_quantile
from surrogate.physics.solver import solve
from surrogate.serving import answer
from surrogate.serving.answer import (
    PredictedStates,
    _upper_quantile,
    assemble_histories,
    decoded_states,
    elastic_peaks,
    elastic_steps,
)
from surrogate.training.baselines import reduced_histories
from tests.model.parts import CLIMB, MILD, SWING, anchored, wedge_problem

# Yields a little, rests, yields more, is unloaded.
TWICE = LoadHistory("twice", np.array([[1.2, 0.0], [0.3, 0.0], [1.6, 0.0], [0.0, 0.0], [0.2, 0.0]]))
# Cells above this share of yield are watched: so many that nothing yields outside of them.
WATCHED = 0.35
# The anchor's plastic strain goes to the network and back in single precision.
SINGLE = 1e-5


def assembled(problem: Problem, *, every: bool, scale: float = 1.0, more: float = 0.0) -> tuple[HistoryFields, ...]:
    """The answer of a network that says what the reduced anchor says, times a factor, and a little more everywhere."""
    part = anchored(problem)
    graph = part.graph(gate=WATCHED)
    actions, exact = (
        token_actions(graph, part.fields, part.path),
        elastic_steps(part.fields, part.path.factors, problem),
    )
    features, reference = displacement_reference(part.fields, part.path, actions)
    wanted = decoded_states(problem, actions, exact, every=every)
    states = anchor_states(graph, part.fields, part.path, wanted, None)
    field = PlasticField(scale * states.strain, scale * states.equivalent + more)
    read = TokenScalars(torch.expm1(actions[..., 5]), actions[..., 1], features[..., 0], features[..., 2])
    return assemble_histories(problem, part.elastic, graph, PredictedStates(wanted, field, read, exact, reference))


def chosen(problem: Problem, *, every: bool = False) -> list[list[int]]:
    part = anchored(problem)
    exact = elastic_steps(part.fields, part.path.factors, problem)
    actions = token_actions(part.graph(), part.fields, part.path)
    states = decoded_states(problem, actions, exact, every=every)
    assert np.array_equal(states, states[np.lexsort((states[:, 1], states[:, 0]))])
    return [states[states[:, 0] == i, 1].tolist() for i in range(len(problem.load_histories))]


def test_a_step_is_exact_until_the_part_has_once_reached_yield() -> None:
    problem = wedge_problem((MILD, CLIMB, SWING, TWICE))
    factors = pad_factors([h.factors for h in problem.load_histories])
    found = elastic_steps(anchor_fields(elastic_anchor(problem)), factors, problem)
    for i, true in enumerate(solve(problem).histories):
        steps = len(true.factors)
        assert np.array_equal(found[i, :steps], true.scalars.peak_plastic_strain == 0)
        assert (found[i, steps:] == found[i, steps - 1]).all()  # padding is no further action
    assert found[0].all() and not found[3].any()


def test_the_elastic_peak_of_a_step_is_that_of_its_stress() -> None:
    part = anchored(wedge_problem((CLIMB, SWING)))
    found = elastic_peaks(part.fields, part.path.factors)
    form = elastic_von_mises_squares(part.fields.stress)
    for history in range(2):
        expected = elastic_von_mises(form, part.path.factors[history]).max(axis=1)
        # Other blocks of the same products; squares lose half of the digits where the cases cancel.
        np.testing.assert_allclose(found[history], expected, rtol=1e-9, atol=1e-6 * expected.max())
        true = von_mises(part.fields.stress @ part.path.factors[history].T).max(axis=0)
        np.testing.assert_allclose(found[history], true, rtol=1e-6, atol=1e-6 * true.max())


def test_the_anchors_peak_step_and_the_last_are_decoded() -> None:
    problem = wedge_problem((MILD, CLIMB, SWING, TWICE))
    steps = [peak_step(history.scalars) for history in reduced_histories(elastic_anchor(problem), problem)]
    for found, peak, history in zip(chosen(problem), steps, problem.load_histories, strict=True):
        assert found == sorted({peak, len(history.factors) - 1})
    assert chosen(problem)[3] == [2, 4]


def test_every_step_is_decoded_where_asked_but_no_padding() -> None:
    problem = wedge_problem((MILD, TWICE))
    assert chosen(problem, every=True) == [[0, 1, 2], [0, 1, 2, 3, 4]]


def test_a_network_that_says_what_the_reduced_anchor_says_gives_its_answer() -> None:
    problem = wedge_problem((MILD, CLIMB, SWING))
    expected = reduced_histories(elastic_anchor(problem), problem)
    for mine, true in zip(assembled(problem, every=True), expected, strict=True):
        assert mine.name == true.name and np.array_equal(mine.steps, true.steps)
        # Points that have hardly yielded count as elastic.
        cut = YIELDED * problem.material.yield_strength_pa
        np.testing.assert_allclose(mine.stress, true.stress, atol=2 * cut)
        np.testing.assert_allclose(mine.displacement, true.displacement, atol=0.02 * np.abs(true.displacement).max())
        plastic = float(np.abs(true.scalars.peak_plastic_strain).max())
        np.testing.assert_allclose(
            mine.scalars.peak_plastic_strain, true.scalars.peak_plastic_strain, atol=SINGLE * max(plastic, 1e-12)
        )


def test_what_is_stored_of_a_step_is_what_its_scalars_say() -> None:
    for every in (True, False):
        for history in assembled(wedge_problem((MILD, CLIMB, SWING)), every=every):
            for i, step in enumerate(history.steps):
                scalars, peak = history.scalars, von_mises(to_first(history.stress[i]))
                largest = np.linalg.norm(history.displacement[i], axis=-1).max()
                assert scalars.peak_von_mises_pa[step] == pytest.approx(peak.max(), rel=1e-12)
                assert scalars.max_displacement_m[step] == pytest.approx(largest, rel=1e-12)
                assert scalars.peak_plastic_strain[step] == pytest.approx(history.equivalent_plastic_strain[i].max())


def test_a_network_that_never_says_zero_does_not_make_the_whole_part_yield() -> None:
    problem = wedge_problem((CLIMB,))
    true = solve(problem).histories[0].scalars.yielded_volume_fraction[1]
    found = assembled(problem, every=True, more=0.5 * YIELDED)[0].scalars.yielded_volume_fraction[1]
    # Points on the verge of yield may be on the other side of it.
    assert 0 < found <= 1.05 * true < 0.5  # nearly all of the part is hot enough to be watched


def test_plastic_strain_and_yielded_volume_never_shrink() -> None:
    problem = wedge_problem((TWICE, SWING))
    for every in (True, False):
        for history in assembled(problem, every=every):
            assert (np.diff(history.scalars.peak_plastic_strain) >= 0).all()
            assert (np.diff(history.scalars.yielded_volume_fraction) >= 0).all()
            assert history.scalars.yielded_volume_fraction.max() <= 1


def test_scalars_read_from_the_tokens_are_those_of_the_decoded_states_when_both_know() -> None:
    """The tokens here say exactly what the anchor says at the points that flow most in some state of some history."""
    problem = wedge_problem((CLIMB, SWING, TWICE))
    pairs = list(zip(assembled(problem, every=False), assembled(problem, every=True), strict=True))
    whole = max(float(decoded.scalars.peak_plastic_strain.max()) for _, decoded in pairs)
    assert max(float(read.scalars.peak_plastic_strain.max()) for read, _ in pairs) == pytest.approx(whole, rel=SINGLE)
    for read, decoded in pairs:
        mine, true = read.scalars.peak_plastic_strain, decoded.scalars.peak_plastic_strain
        assert len(read.steps) < len(decoded.steps)
        # In other states another point of a region may flow more, never less.
        assert (mine <= true + SINGLE * whole).all() and (mine >= 0.8 * true - SINGLE * whole).all()


def test_states_equilibrated_in_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = wedge_problem((CLIMB, SWING))
    whole = assembled(problem, every=True)
    monkeypatch.setattr(answer, "_CHUNK", 1)
    for one, other in zip(assembled(problem, every=True), whole, strict=True):
        np.testing.assert_allclose(one.stress, other.stress, atol=1e-9 * np.abs(other.stress).max())


def test_the_residual_tells_a_wrong_field_from_a_right_one() -> None:
    problem = wedge_problem((CLIMB,))
    right, wrong = (assembled(problem, every=True, scale=scale)[0] for scale in (1.0, 0.0))
    assert right.scalars.equilibrium_residual[0] == wrong.scalars.equilibrium_residual[0] == 0.0  # before yield
    assert 0 < right.scalars.equilibrium_residual[2] < wrong.scalars.equilibrium_residual[2]


def test_the_quantile_of_the_largest_values_is_that_of_all_values() -> None:
    random = np.random.default_rng(0)
    for points, spread in ((4000, 0.2), (4000, 3.0), (60, 1.0), (1, 1.0)):  # weights alike, of all sizes, and few
        values, weights = random.random(points), np.exp(spread * random.normal(size=points))
        assert _upper_quantile(values, weights, 0.999) == weighted_quantile(values, weights, 0.999)
    # Where the largest values weigh next to nothing, more of them must be looked at.
    values = np.arange(1000.0)
    light = np.where(values > 900, 1e-9, 1.0)
    assert _upper_quantile(values, light, 0.999) == weighted_quantile(values, light, 0.999) == 900.0
