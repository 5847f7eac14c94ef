"""Laws of the reduced anchor: nested orthonormal modes, the solver's answer in a good span, invariances."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from surrogate.fields import FloatArray
from surrogate.geometry.faces import build_tet_mesh
from surrogate.geometry.selectors import PlaneSelector
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.galerkin import ReducedProblem, integrate
from surrogate.physics.hottest import reduced_peaks
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Support, Traction
from surrogate.physics.reduced import (
    CrowdSettings,
    ReducedAnchor,
    ReducedSettings,
    enriched,
    extreme_states,
    plain_rounds,
    reduced_anchor,
    representative_histories,
)
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import STEEL, quarter_plate, rotation
from tests.physics.yielding_plate import SWING, anchored, drawn, problem

FEW = ReducedSettings(modes=4, further=0)


@cache
def solved() -> tuple[FloatArray, FloatArray]:
    """Plastic strain [T, 6, P] and its equivalent at the last step [P] of the swing."""
    settings = SolverSettings(tolerance=1e-8, stored_steps=len(SWING))
    found = solve(problem(SWING[None]), settings=settings).histories[0]
    return np.stack([to_first(s) for s in found.plastic_strain]), found.equivalent_plastic_strain[-1].ravel()


def equivalent(anchor: ElasticAnchor, reduced: ReducedAnchor, factors: FloatArray) -> FloatArray:
    """Of the first history after the last step [P]."""
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    path = np.concatenate([factors, reduced.coordinates], axis=-1)
    return [state.equivalent[0] for state in deviatoric_path(strain, path, anchor.system.material)][-1]


def error(reduced: ReducedAnchor) -> float:
    expected, weight = solved()[1], np.sqrt(anchored().system.volumes.ravel())
    found = equivalent(anchored(), reduced, SWING[None])
    return float(np.linalg.norm((found - expected) * weight) / np.linalg.norm(expected * weight))


def test_modes_are_orthonormal_in_energy_and_enrichment_keeps_those_before() -> None:
    anchor = anchored()
    once, twice = (reduced_anchor(anchor, SWING[None], replace(FEW, enrichments=n)) for n in (0, 1))
    gram = twice.unknowns.T @ (anchor.system.stiffness @ twice.unknowns)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-9)
    np.testing.assert_array_equal(twice.unknowns[:, : once.unknowns.shape[1]], once.unknowns)
    np.testing.assert_array_equal(twice.earlier[..., : once.unknowns.shape[1]], once.coordinates)
    strain = anchor.system.strain(twice.unknowns)
    np.testing.assert_allclose(twice.strain, strain, atol=1e-12 * np.abs(strain).max())


def test_where_nothing_yields_nothing_moves() -> None:
    assert reduced_anchor(anchored(), 0.3 * SWING[None]).unknowns.shape[1] == 0
    calm_too = reduced_anchor(anchored(), np.stack([SWING, 0.3 * SWING]), FEW)
    assert calm_too.coordinates[0].any()
    assert not calm_too.coordinates[1].any()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.32, 0.36])
def test_where_nothing_of_a_crowd_yields_nothing_moves(share: float) -> None:
    """Far below yield no point may flow; nearer to it some might, and none does."""
    factors = share * drawn(48)
    calm = reduced_anchor(anchored(), factors)
    assert calm.unknowns.shape[1] == 0 and calm.coordinates.shape == (*factors.shape[:2], 0)
    assert calm.settled.all() and not calm.moved.any()
    assert not reduced_peaks(anchored(), factors, calm).any()


def test_in_the_span_of_the_solved_plastic_strain_the_answer_is_the_solvers() -> None:
    anchor = anchored()
    start = replace(reduced_anchor(anchor, 0.3 * SWING[None]), points=np.arange(anchor.system.volumes.size))
    plastic = np.stack([field for field in solved()[0] if field.any()])
    # The balance is met to 1e-3 of the largest right-hand side.
    assert error(enriched(anchor, SWING[None], start, plastic)) < 4e-3


def test_every_enrichment_brings_it_nearer_to_the_solver() -> None:
    found = [error(reduced_anchor(anchored(), SWING[None], replace(FEW, enrichments=n))) for n in (0, 1, 2)]
    assert found[0] > 1.5 * found[1] > 1.5 * found[2]
    assert found[2] < 0.03


def test_newtons_corrections_say_more_than_elastic_displacement_as_many_modes_and_rounds() -> None:
    """The swing softens the plate, where an elastic displacement is much too short."""
    for enrichments in (1, 2):
        plain = replace(plain_rounds(enrichments), modes=4)
        newton = replace(FEW, enrichments=enrichments)
        found = [error(reduced_anchor(anchored(), SWING[None], each)) for each in (plain, newton)]
        assert found[1] < 0.5 * found[0]


def test_rounds_go_on_for_those_alone_that_have_not_come_to_rest() -> None:
    anchor, both = anchored(), np.stack([0.55 * SWING, SWING])
    settings = ReducedSettings(modes=4, further=1)
    once = reduced_anchor(anchor, both, replace(settings, further=0))
    # A tolerance between the two: the mild history rests, the other one is enriched once more.
    assert once.moved[0] < once.moved[1]
    between = replace(settings, tolerance=float(once.moved.mean()))
    found, known = reduced_anchor(anchor, both, between), once.unknowns.shape[1]
    assert found.unknowns.shape[1] > known
    np.testing.assert_array_equal(found.coordinates[0, :, :known], once.coordinates[0])
    assert not found.coordinates[0, :, known:].any() and found.coordinates[1, :, known:].any()
    np.testing.assert_array_equal(found.earlier[1, :, :known], once.coordinates[1])
    calm = reduced_anchor(anchor, both, replace(settings, tolerance=1.0))
    assert calm.unknowns.shape[1] == known
    # What is left adds up: of a history of three times the steps, a third is allowed.
    long = replace(settings, tolerance=2 * float(once.moved.max()), steps=len(SWING) // 3)
    assert reduced_anchor(anchor, both, long).unknowns.shape[1] > known


def test_of_many_histories_the_worst_are_answered_as_if_they_were_few() -> None:
    anchor, factors = anchored(), drawn(48)
    crowd = reduced_anchor(anchor, factors, ReducedSettings(whole_histories=0, worst=5))
    peaks = reduced_peaks(anchor, factors, crowd)[:, -1]
    worst = np.argsort(-peaks)[:5]
    alone = reduced_anchor(anchor, factors[worst], ReducedSettings(tolerance=0.01))
    found = reduced_peaks(anchor, factors[worst], alone)[:, -1]
    np.testing.assert_allclose(peaks[worst], found, rtol=0.05)


def test_a_turned_part_numbered_otherwise_in_other_units_yields_the_same() -> None:
    mesh, turn, unit = quarter_plate(4, 6, 1, 1.0, 4.0, 1.0), rotation((1.0, 2.0, -0.5), 0.7), 1e-3
    order = np.random.default_rng(2).permutation(len(mesh.points))
    points = np.empty_like(mesh.points)
    points[order] = unit * mesh.points @ turn.T
    other = build_tet_mesh(points, order[mesh.cells][::-1])

    def selector(axis: int, end: str) -> PlaneSelector:
        x, y, z = (turn[:, axis] * (1 if end == "max" else -1)).tolist()
        return PlaneSelector((x, y, z), "max" if end == "max" else "min")

    # In millimetres and megapascals every stress is a millionth.
    scale = 1e-6
    material = replace(
        STEEL,
        youngs_modulus_pa=scale * STEEL.youngs_modulus_pa,
        yield_strength_pa=scale * STEEL.yield_strength_pa,
        ultimate_strength_pa=scale * STEEL.ultimate_strength_pa,
        hardening=STEEL.hardening.scaled(scale),
    )
    pull = tuple((scale * 80e6 * turn[:, 0]).tolist())
    push = tuple((-scale * 80e6 * turn[:, 2]).tolist())
    cases = (
        LoadCase("pull", (Traction(selector(0, "max"), (pull[0], pull[1], pull[2])),)),
        LoadCase("press", (Traction(selector(2, "max"), (push[0], push[1], push[2])),)),
    )
    held = tuple(Support(selector(axis, "min"), ("normal",)) for axis in range(3))
    turned = elastic_anchor(Problem(other, material, held, cases, (LoadHistory("swing", SWING),)))
    peaks = [reduced_peaks(a, SWING[None], reduced_anchor(a, SWING[None], FEW)) for a in (anchored(), turned)]
    assert peaks[0].max() > 1e-3
    # Modes are made in single precision.
    np.testing.assert_allclose(peaks[1], peaks[0], rtol=1e-3)


def test_opposite_loads_leave_opposite_displacement() -> None:
    reduced = reduced_anchor(anchored(), np.stack([SWING, -SWING]), FEW)
    there, back = reduced.coordinates
    np.testing.assert_allclose(there, -back, atol=1e-10 * np.abs(there).max())


def at_few_and_all_points(factors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far a crowd's answer is from that of all points in the same span, and how far it goes [H], in energy."""
    anchor = anchored()
    few = reduced_anchor(anchor, factors, ReducedSettings(worst=0))
    assert few.settled.all()
    points, volumes = few.points, anchor.system.volumes.ravel()
    problem = ReducedProblem(anchor.strain[:, points], few.strain[:, points], volumes[points], STEEL)
    whole = integrate(problem, factors).coordinates
    return tuple(np.linalg.norm(each, axis=2).max(axis=1) for each in (whole - few.coordinates, whole))


def test_few_points_answer_for_many_histories_as_all_points_do() -> None:
    away, size = at_few_and_all_points(0.7 * drawn(48))
    yielding = size > 0.05 * size.max()
    assert yielding.sum() > 10
    # The cubature meets the integrals of the snapshots to 4e-3; other histories' a few times less well.
    assert np.median(away[yielding] / size[yielding]) < 0.01
    assert (away[yielding] / size[yielding]).max() < 0.05


def test_near_collapse_few_points_resist_every_mechanism_that_all_points_do() -> None:
    away, size = at_few_and_all_points(drawn(48))
    # Two histories go ten times as far as any other, where a small force moves the part much.
    worst = np.argsort(-size)[:3]
    assert size[worst[1]] > 4 * size[worst[2]]
    assert (away[worst] / size[worst]).max() < 0.08


def test_rounds_bring_a_crowd_nearer_to_the_solver() -> None:
    anchor, factors = anchored(), np.concatenate([SWING[None], drawn(47)])
    found = [
        error(
            reduced_anchor(anchor, factors, ReducedSettings(worst=0, crowd=CrowdSettings(rounds=n))).of(np.array([0]))
        )
        for n in (1, 3)
    ]
    assert found[1] < found[0] / 3
    assert found[1] < 0.02


def test_a_convex_function_is_largest_at_an_extreme_state() -> None:
    random, anchor = np.random.default_rng(0), anchored()
    in_plane = random.normal(size=(300, 2)) @ random.normal(size=(2, 4))
    on_line = random.normal(size=(300, 1)) @ random.normal(size=(1, 4))
    for states in (random.normal(size=(300, 3)), in_plane, on_line):
        few = extreme_states(states)
        assert len(few) < 100
        for direction in random.normal(size=(20, states.shape[1])):
            np.testing.assert_allclose(np.abs(few @ direction).max(), np.abs(states @ direction).max(), rtol=1e-9)
    many = drawn(60).reshape(-1, 2)
    stress = [von_mises(anchor.stress @ some.T).max(axis=1) for some in (many, extreme_states(many))]
    np.testing.assert_allclose(stress[1], stress[0], rtol=1e-9)


def test_representative_histories_are_the_largest_and_those_unlike_it() -> None:
    ends = np.array([[1.0, 0.0], [3.0, 0.0], [2.99, 0.0], [0.0, 3.0]])
    ramps = np.linspace(0.25, 1.0, 4)[:, None] * ends[:, None]
    assert representative_histories(ramps, 2).tolist() == [1, 3]
    assert representative_histories(ramps, 9).tolist() == [0, 1, 2, 3]


def test_what_flow_pushes_to_yield_flows_however_low_its_elastic_stress() -> None:
    anchor, factors = anchored(), np.stack([1.25 * SWING, 0.3 * SWING])
    expected = solve(problem(factors), settings=SolverSettings(tolerance=1e-8)).histories[0]
    flows = expected.equivalent_plastic_strain[-1].ravel()
    few = reduced_anchor(anchor, factors, ReducedSettings(gate=0.95, pushed=np.inf, tolerance=0.01))
    late = np.setdiff1d(np.flatnonzero(flows), few.points)
    assert len(late) > 20, "so that the law says something"
    found = reduced_anchor(anchor, factors, ReducedSettings(gate=0.95, tolerance=0.01))
    assert np.isin(late, found.points).mean() > 0.95
    weight = np.sqrt(anchor.system.volumes.ravel())

    def off(reduced: ReducedAnchor) -> float:
        own = np.zeros_like(flows)
        own[reduced.points] = equivalent(anchor, reduced, factors)[reduced.points]
        return float(np.linalg.norm((own - flows) * weight) / np.linalg.norm(flows * weight))

    assert off(found) < 0.3 * off(few)
    everywhere = reduced_anchor(anchor, factors, ReducedSettings(gate=0.0, tolerance=0.01))
    assert off(found) < off(everywhere) + 0.005
