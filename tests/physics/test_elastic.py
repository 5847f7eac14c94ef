"""Laws of the elastic answer: reactions, superposition, rotations, the factor that is kept.

Convergence rates and textbook solutions are in tests/verification.
"""

import numpy as np
import pytest

from surrogate.fields import Fields, FloatArray
from surrogate.geometry.selectors import PlaneSelector
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.assembly import strain_operator
from surrogate.physics.elastic import ElasticSystem, SystemCache, build_elastic_system, elastic_anchor
from surrogate.physics.hardening import LinearHardening
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.loads import nodal_forces
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import (
    Acceleration,
    Force,
    Load,
    LoadCase,
    LoadHistory,
    Pressure,
    Problem,
    Support,
    Traction,
)
from surrogate.physics.solver import solve
from tests.physics.meshes import (
    LEFT,
    RIGHT,
    STEEL,
    TOP,
    block,
    distorted_block,
    rotation,
    symmetry_planes,
)

ELASTIC = Material("elastic", 200e9, 0.3, 7800.0, 1e15, 1e15, LinearHardening(0.0))


def solved(mesh: TetMesh, supports: tuple[Support, ...], *loads: Load, material: Material = ELASTIC) -> Fields:
    once = LoadHistory("once", np.ones((1, 1)))
    return solve(Problem(mesh, material, supports, (LoadCase("load", loads),), (once,)))


def reactions(problem: Problem, system: ElasticSystem, stress: FloatArray, factors: FloatArray) -> FloatArray:
    """Nodal forces that are missing for equilibrium [N, 3]: those of the supports, N."""
    operator = strain_operator(system.gradients, problem.mesh.cells, len(problem.mesh.points))
    internal = operator.T @ (to_first(stress) * system.volumes.ravel()).ravel()
    loads = nodal_forces(problem.load_cases, problem.mesh, problem.material.density_kg_m3, system.volumes)
    return np.asarray(internal.reshape(-1, 3) - np.tensordot(factors, loads, axes=1))


def test_the_supports_carry_just_what_is_applied() -> None:
    mesh = block((6, 2, 2), (3.0, 1.0, 1.0))
    loads = (Pressure(TOP, 15e6), Force(RIGHT, (1e5, -2e5, 3e5)), Acceleration((0.0, 50.0, 0.0)))
    case = LoadCase("mixed", loads)
    problem = Problem(mesh, STEEL, (Support(LEFT),), (case,), (LoadHistory("up", np.array([[0.5], [1.0]])),))
    fields = solve(problem).histories[0]
    assert fields.equivalent_plastic_strain.max() > 0
    weight = STEEL.density_kg_m3 * 3.0 * 50.0
    for step, factor in enumerate((0.5, 1.0)):
        forces = reactions(problem, elastic_anchor(problem).system, fields.stress[step], np.array([factor]))
        applied = factor * np.array([1e5, -2e5 + weight, 3e5 - 45e6])
        np.testing.assert_allclose(forces.sum(axis=0), -applied, rtol=1e-5, atol=1.0)
        held = mesh.points[:, 0] < 1e-9
        # Away from the supports nothing is missing, up to the solver's tolerance of 1e-6.
        assert np.abs(forces[~held]).max() < 1e-5 * np.abs(applied).max()
        lever = np.cross(mesh.points, forces).sum(axis=0)
        middle, end = np.array([1.5, 0.5, 0.5]), np.array([3.0, 0.5, 0.5])
        moments = np.cross(end, [1e5, -2e5, 3e5]) + np.cross(middle, [0, weight, 0])
        moments += np.cross(middle, [0, 0, -45e6])
        np.testing.assert_allclose(lever, -factor * moments, rtol=1e-5, atol=10.0)


def test_load_cases_superpose() -> None:
    mesh = distorted_block((2, 2, 2))
    cases = (LoadCase("a", (Pressure(TOP, 3e6),)), LoadCase("b", (Force(RIGHT, (0, 4e6, 0)),)))
    history = LoadHistory("mix", np.array([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.5]]))
    fields = solve(Problem(mesh, ELASTIC, (Support(LEFT),), cases, (history,))).histories[0]
    for values in (fields.stress, fields.displacement):
        expected = -2 * values[0] + 0.5 * values[1]
        np.testing.assert_allclose(values[2], expected, atol=1e-10 * np.abs(expected).max())


def test_a_tilted_frictionless_plane_is_the_same_problem_turned() -> None:
    # The turned problem is held in mixed directions, the plain one in axes: two routes through the supports.
    turn = rotation((1.0, -2.0, 0.5), 0.7)

    def turned(vector: Vector) -> Vector:
        x, y, z = (turn @ np.array(vector)).tolist()
        return x, y, z

    plain = block((3, 2, 2), (2.0, 1.0, 1.0))
    other = block((3, 2, 2), (2.0, 1.0, 1.0), lambda x: x @ turn.T)
    loads = ((0.0, 2e6, 1e6), (3e6, 0.0, 0.0))
    first = solved(plain, symmetry_planes(), *(Traction(f, t) for f, t in zip((RIGHT, TOP), loads, strict=True)))
    planes = [PlaneSelector(turned(n), "max") for n in ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0), (0, 0, 1))]
    second = solved(
        other,
        symmetry_planes(*planes[:3]),
        *(Traction(f, turned(t)) for f, t in zip(planes[3:], loads, strict=True)),
    )
    expected = first.histories[0].displacement[0] @ turn.T
    np.testing.assert_allclose(second.histories[0].displacement[0], expected, atol=1e-9 * np.abs(expected).max())
    mises = [von_mises(to_first(fields.histories[0].stress[0])) for fields in (first, second)]
    np.testing.assert_allclose(mises[1], mises[0], atol=1e-8 * mises[0].max())


def test_the_factor_is_kept_for_the_next_request_on_the_same_held_part() -> None:
    mesh, history = block((2, 1, 1)), LoadHistory("once", np.ones((1, 1)))
    make = lambda load, supports: Problem(mesh, STEEL, supports, (LoadCase("c", (load,)),), (history,))  # noqa: E731
    first = elastic_anchor(make(Pressure(TOP, 1e6), (Support(LEFT),)))
    assert elastic_anchor(make(Force(TOP, (1.0, 0, 0)), (Support(LEFT),))).system is first.system
    assert elastic_anchor(make(Pressure(TOP, 1e6), (Support(RIGHT),))).system is not first.system


def test_a_system_counts_all_that_it_holds() -> None:
    system = build_elastic_system(distorted_block((3, 3, 3)), STEEL, (Support(LEFT),))
    sparse = (system.operator, system.stiffness, system.freedom)
    held = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in sparse)
    held += system.gradients.nbytes + system.volumes.nbytes + system.mesh.points.nbytes + system.mesh.cells.nbytes
    held += system.pattern.size_bytes + system.factor.size_bytes
    assert held <= system.size_bytes < 1.1 * held


def test_the_cache_never_keeps_more_than_its_limit_beyond_one_system() -> None:
    history = LoadHistory("once", np.ones((1, 1)))
    parts = [
        Problem(block((n, 2, 2)), STEEL, (Support(LEFT),), (LoadCase("c", (Pressure(TOP, 1e6),)),), (history,))
        for n in (3, 2, 4, 1)
    ]
    sizes = {p.mesh.content_hash: build_elastic_system(p.mesh, STEEL, p.supports).size_bytes for p in parts}
    limit = sorted(sizes.values())[0] + sorted(sizes.values())[1]
    cache = SystemCache(limit)
    for part in (*parts, parts[0], *parts[::-1]):
        assert cache.get(part) is cache.get(part)
        kept = cache.held_bytes
        assert kept <= max(limit, sizes[part.mesh.content_hash])
    # The two smallest fit together, one larger than the limit is kept alone.
    small = sorted(parts, key=lambda p: sizes[p.mesh.content_hash])
    first = cache.get(small[0])
    cache.get(small[1])
    assert cache.get(small[0]) is first
    tiny = SystemCache(1)
    assert tiny.get(small[3]) is tiny.get(small[3])
    assert tiny.held_bytes == sizes[small[3].mesh.content_hash]


def test_a_tangent_has_the_pattern_of_the_elastic_stiffness_and_the_energy_of_its_moduli() -> None:
    mesh = distorted_block((2, 2, 2))
    system = build_elastic_system(mesh, STEEL, symmetry_planes())
    cells = np.array([3, 0, 20])
    random = np.random.default_rng(0).normal(size=(3, 4, 6, 6)) * 1e9
    change = random + random.transpose(0, 1, 3, 2)
    tangent = system.tangent(cells, change)
    np.testing.assert_array_equal(tangent.indices, system.stiffness.indices)
    np.testing.assert_array_equal(tangent.indptr, system.stiffness.indptr)
    unknowns = np.random.default_rng(1).normal(size=system.stiffness.shape[0])
    strain = system.strain(unknowns).reshape(6, -1, 4)[:, cells]
    energy = np.einsum("icq,cqij,jcq,cq->", strain, change, strain, system.volumes[cells])
    found = unknowns @ (tangent - system.stiffness) @ unknowns
    # Round-off of a difference from the elastic stiffness, which is a hundred times larger.
    assert found == pytest.approx(energy, rel=1e-9)


def test_the_anchor_is_hookes_law_in_equilibrium() -> None:
    mesh = distorted_block((2, 2, 2))
    case = LoadCase("c", (Pressure(TOP, 1e6),))
    anchor = elastic_anchor(Problem(mesh, STEEL, (Support(LEFT),), (case,), (LoadHistory("h", np.ones((1, 1))),)))
    np.testing.assert_allclose(anchor.stress, elastic_stress(anchor.strain, STEEL), rtol=1e-12)
    imbalance = anchor.system.internal_force(anchor.stress) - anchor.forces
    assert np.abs(imbalance).max() < 1e-10 * np.abs(anchor.forces).max()
