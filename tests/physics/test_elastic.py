"""Laws of the elastic answer: convergence rates, textbook solutions, benchmarks, reactions and rotations."""

import numpy as np
import pytest

from surrogate.fields import Fields, FloatArray
from surrogate.geometry.selectors import AnySelector, CylinderSelector, FaceIdSelector, PlaneSelector
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.assembly import strain_operator
from surrogate.physics.elastic import ElasticSystem, build_elastic_system, elastic_anchor
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
from surrogate.physics.tet_element import local_gradients, shape_functions
from tests.physics.meshes import (
    BACK,
    BOTTOM,
    FRONT,
    LEFT,
    RIGHT,
    STEEL,
    TOP,
    block,
    distorted_block,
    elliptic_membrane,
    gmsh_block,
    quarter_plate,
    quarter_tube,
    rotation,
    symmetry_planes,
)
from tests.physics.nodal_values import at_points

ELASTIC = Material("elastic", 200e9, 0.3, 7800.0, 1e15, 1e15, LinearHardening(0.0))


def solved(mesh: TetMesh, supports: tuple[Support, ...], *loads: Load, material: Material = ELASTIC) -> Fields:
    once = LoadHistory("once", np.ones((1, 1)))
    return solve(Problem(mesh, material, supports, (LoadCase("load", loads),), (once,)))


def duffy_rule(order: int) -> tuple[FloatArray, FloatArray]:
    """Barycentric points [P, 4] and weights [P] of a tensor Gauss rule on the collapsed cube; weights sum to 1/6."""
    x, w = np.polynomial.legendre.leggauss(order)
    x, w = (x + 1) / 2, w / 2
    a, b, c = (g.ravel() for g in np.meshgrid(x, x, x, indexing="ij"))
    first, second, third = a, b * (1 - a), c * (1 - a) * (1 - b)
    weights = np.einsum("i,j,k->ijk", w, w, w).ravel() * (1 - a) ** 2 * (1 - b)
    return np.stack([1 - first - second - third, first, second, third], axis=1), weights


def manufactured_errors(divisions: int) -> tuple[float, float]:
    """L2 error of the displacement and energy error for u = c sin(pi x) sin(pi y) sin(pi z) on a clamped cube."""
    mesh = block((divisions,) * 3)
    system = build_elastic_system(mesh, ELASTIC, (Support(FaceIdSelector(tuple(range(6)))),))
    shear, lame, vector = ELASTIC.shear_modulus_pa, ELASTIC.lame_lambda_pa, np.array([1.0, -0.5, 0.7])
    barycentric, weights = duffy_rule(4)
    shape, local = shape_functions(barycentric), local_gradients(barycentric)
    nodes = mesh.points[mesh.cells]
    x = np.einsum("pa,cai->cpi", shape, nodes)
    jacobian = np.einsum("pai,caj->cpij", local, nodes)
    volume = weights * np.linalg.det(jacobian)
    sine, cosine = np.sin(np.pi * x), np.cos(np.pi * x)
    wave = sine.prod(axis=-1)
    slope = np.stack([np.pi * cosine[..., i] * np.delete(sine, i, -1).prod(axis=-1) for i in range(3)], axis=-1)
    hessian = -(np.pi**2) * wave[..., None, None] * np.eye(3)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        mixed = np.pi**2 * cosine[..., i] * cosine[..., j] * sine[..., 3 - i - j]
        hessian[..., i, j] = hessian[..., j, i] = mixed
    body = 3 * np.pi**2 * shear * wave[..., None] * vector - (lame + shear) * hessian @ vector
    forces = np.zeros_like(mesh.points)
    np.add.at(forces, mesh.cells, np.einsum("cp,pa,cpi->cai", volume, shape, body))
    displacement = system.displacement(system.factor.solve(np.asarray(system.freedom.T @ forces.ravel())))
    own = displacement[mesh.cells]
    miss = np.einsum("pa,cai->cpi", shape, own) - wave[..., None] * vector
    gradient = np.einsum("cpij,paj,cak->cpki", np.linalg.inv(jacobian), local, own)
    strain_miss = gradient - vector[:, None] * slope[..., None, :]
    strain_miss = (strain_miss + strain_miss.swapaxes(-1, -2)) / 2
    energy = 2 * shear * (strain_miss**2).sum(axis=(-1, -2)) + lame * np.trace(strain_miss, axis1=-2, axis2=-1) ** 2
    return float(np.sqrt((volume * (miss**2).sum(axis=-1)).sum())), float(np.sqrt((volume * energy).sum()))


@pytest.mark.slow
def test_the_error_falls_with_the_third_power_of_the_cell_size_and_its_energy_norm_with_the_second() -> None:
    coarse, fine = manufactured_errors(5), manufactured_errors(7)
    displacement, energy = np.log(np.array(coarse) / np.array(fine)) / np.log(7 / 5)
    assert displacement == pytest.approx(3.0, abs=0.15)
    assert energy == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("source", ["random", "gmsh"])
def test_patch_test_a_bar_under_traction_has_one_stress_everywhere(source: str) -> None:
    mesh = distorted_block((3, 3, 3)) if source == "random" else gmsh_block()
    fields = solved(mesh, symmetry_planes(), Traction(RIGHT, (100e6, 0, 0)), Traction(BACK, (0, -40e6, 0)))
    stress = fields.histories[0].stress[0].reshape(-1, 6)
    np.testing.assert_allclose(stress, np.tile([100e6, -40e6, 0, 0, 0, 0], (len(stress), 1)), atol=1e-10 * 100e6)


def test_patch_test_pressure_all_around_is_the_pressure_inside() -> None:
    mesh = distorted_block((3, 3, 3))
    fields = solved(mesh, symmetry_planes(), Pressure(AnySelector((RIGHT, BACK, TOP)), 70e6))
    stress = fields.histories[0].stress[0].reshape(-1, 6)
    np.testing.assert_allclose(stress, np.tile([-70e6] * 3 + [0] * 3, (len(stress), 1)), atol=1e-10 * 70e6)


def test_a_cantilever_bends_as_timoshenko_says() -> None:
    length, width, force = 15.0, 1.0, 1e5
    mesh = block((24, 3, 3), (length, width, width))
    tip = solved(mesh, (Support(LEFT),), Force(RIGHT, (0, 0, -force))).histories[0].displacement[0]
    end = np.abs(mesh.points[:, 0] - length) < 1e-9
    nu, inertia = ELASTIC.poissons_ratio, width**4 / 12
    shear_share = 10 * (1 + nu) / (12 + 11 * nu)  # Cowper 1966, rectangle
    expected = force * length**3 / (3 * ELASTIC.youngs_modulus_pa * inertia) + force * length / (
        shear_share * ELASTIC.shear_modulus_pa * width**2
    )
    # A clamped end holds back the Poisson effect, which beam theory leaves out: half a percent at this slenderness.
    assert -tip[end, 2].mean() == pytest.approx(expected, rel=0.01)


def test_a_hole_in_a_plate_concentrates_the_stress_three_times() -> None:
    # Howland 1930: 3.01 of the far stress at a hole of a twentieth of the width; the middle of the plate lies a little
    # above, its free surface a little below (Sternberg and Sadowsky 1949).
    mesh = quarter_plate(12, 16, 2, 1.0, 20.0, 0.25)
    fields = solved(mesh, symmetry_planes(), Traction(RIGHT, (1e6, 0, 0)))
    x, y, _ = mesh.points.T
    where, stress = at_points(mesh, (np.abs(x) < 1e-9) & (np.abs(y - 1) < 1e-9), fields.histories[0].stress[0])
    assert len(where) == 3
    assert (stress[:, 0] > 2.91e6).all()
    assert (stress[:, 0] < 3.08e6).all()


def test_a_thick_tube_under_pressure_is_lames() -> None:
    inner, outer, pressure = 1.0, 2.0, 100e6
    mesh = quarter_tube(6, 8, 1, inner, outer, 0.3)
    supports = symmetry_planes(LEFT, FRONT, BOTTOM, TOP)
    fields = solved(mesh, supports, Pressure(CylinderSelector(inner, hole=True), pressure)).histories[0]
    radius = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    factor = pressure * inner**2 / (outer**2 - inner**2)
    for r in (inner, outer):
        where, stress = at_points(mesh, np.abs(radius - r) < 1e-6, fields.stress[0])
        c, s = where[:, 0] / r, where[:, 1] / r
        hoop = s**2 * stress[:, 0] + c**2 * stress[:, 1] - 2 * s * c * stress[:, 3]
        np.testing.assert_allclose(hoop, factor * (1 + outer**2 / r**2), rtol=0.02)
        # The mean over the ring is free of the corners' extrapolation noise.
        assert hoop.mean() == pytest.approx(factor * (1 + outer**2 / r**2), rel=0.01)
    nu, modulus = ELASTIC.poissons_ratio, ELASTIC.youngs_modulus_pa
    bore = np.abs(radius - inner) < 1e-6
    widening = np.linalg.norm(fields.displacement[0][bore, :2], axis=1)
    expected = factor * (1 + nu) / modulus * ((1 - 2 * nu) * inner + outer**2 / inner)
    np.testing.assert_allclose(widening, expected, rtol=2e-3)


def test_nafems_le1_elliptic_membrane() -> None:
    # Stress along y at the end of the inner ellipse's long axis: 92.7 MPa (NAFEMS, The Standard Benchmarks, 1990).
    material = Material("NAFEMS steel", 210e9, 0.3, 7800.0, 1e15, 1e15, LinearHardening(0.0))
    mesh = elliptic_membrane(8, 12, 1, 0.1)
    outer = max((face for face in mesh.faces if face.normal is None), key=lambda face: np.linalg.norm(face.centroid))
    fields = solved(mesh, symmetry_planes(), Pressure(FaceIdSelector((outer.id,)), -10e6), material=material).histories[
        0
    ]
    x, y, _ = mesh.points.T
    _, stress = at_points(mesh, (np.abs(x - 2) < 1e-9) & (np.abs(y) < 1e-9), fields.stress[0])
    assert stress[:, 1].mean() == pytest.approx(92.7e6, rel=0.02)


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


def test_the_anchor_is_hookes_law_in_equilibrium() -> None:
    mesh = distorted_block((2, 2, 2))
    case = LoadCase("c", (Pressure(TOP, 1e6),))
    anchor = elastic_anchor(Problem(mesh, STEEL, (Support(LEFT),), (case,), (LoadHistory("h", np.ones((1, 1))),)))
    np.testing.assert_allclose(anchor.stress, elastic_stress(anchor.strain, STEEL), rtol=1e-12)
    imbalance = anchor.system.internal_force(anchor.stress) - anchor.forces
    assert np.abs(imbalance).max() < 1e-10 * np.abs(anchor.forces).max()
