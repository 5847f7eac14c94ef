"""Laws of the dynamics: mass and inertia, rigid modes, conservation, damping, exact modal motion, and what is refused.

The order in time and the frequencies of a cantilever are verified in tests/verification.
"""

import numpy as np
import pytest

from surrogate.errors import ProblemError
from surrogate.physics.dynamics import (
    Motion,
    RayleighDamping,
    free_frequencies,
    natural_frequencies,
    newmark,
    system_mass,
)
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.mass import mass_matrix
from surrogate.physics.problem import Force, LoadCase, LoadHistory, Pressure, Problem, Support
from tests.physics.meshes import LEFT, RIGHT, STEEL, TOP, block, distorted_block, quarter_tube, rotation

BEAM = block((6, 2, 2), (6.0, 1.0, 1.0))
CASES = (LoadCase("tip", (Force(RIGHT, (0.0, 0.0, -1e5)),)), LoadCase("press", (Pressure(TOP, 1e5),)))


@pytest.fixture(scope="module")
def anchor() -> ElasticAnchor:
    return elastic_anchor(Problem(BEAM, STEEL, (Support(LEFT),), CASES, (LoadHistory("once", np.ones((1, 2))),)))


def test_the_mass_of_any_rigid_motion_is_exact() -> None:
    # Momentum and spin of a box; the rule integrates the polynomials exactly, so the bar is round-off.
    size = np.array([2.0, 0.5, 1.5])
    mesh = distorted_block((3, 3, 3), (2.0, 0.5, 1.5))
    mass = mass_matrix(mesh, 1000.0)
    assert np.abs((mass - mass.T).toarray()).max() < 1e-12 * np.abs(mass).max()
    whole = 1000.0 * size.prod()
    for axis in np.eye(3):
        velocity = np.tile(axis, len(mesh.points)).ravel()
        momentum = np.asarray(mass @ velocity).reshape(-1, 3).sum(axis=0)
        np.testing.assert_allclose(momentum, whole * axis, atol=1e-11 * whole)
        spin = np.cross(axis, mesh.points - size / 2).ravel()
        inertia = whole * ((1 - axis) * size**2).sum() / 12
        assert spin @ (mass @ spin) == pytest.approx(inertia, rel=1e-11)


def test_the_mass_of_a_curved_part_is_that_of_its_curved_cells() -> None:
    mesh = quarter_tube(1, 3, 1, 1.0, 2.0, 1.0)
    push = np.tile([0.0, 0.0, 1.0], len(mesh.points))
    # Thirty degrees a cell: the quadratic edge misses the circle's area by 2e-4; straight edges would by 5e-2.
    assert push @ (mass_matrix(mesh, 1.0) @ push) == pytest.approx(np.pi / 4 * 3, rel=1e-3)
    assert np.linalg.eigvalsh(mass_matrix(mesh, 1.0).toarray())[0] > 0


def test_a_free_part_has_six_modes_without_frequency_and_they_are_rigid() -> None:
    mesh = block((6, 2, 2), (6.0, 1.0, 1.0), lambda x: x @ rotation((1, 2, 3), 0.4).T)
    found = free_frequencies(mesh, STEEL, 8)
    # A square root of round-off: 1e-16 of the highest eigenvalue is some 1e-6 of the lowest one's frequency.
    assert (found.frequencies_hz[:6] < 1e-4 * found.frequencies_hz[6]).all()
    centre = mesh.points - mesh.points.mean(axis=0)
    rigid = np.stack([*(np.tile(a, (len(centre), 1)) for a in np.eye(3)), *(np.cross(a, centre) for a in np.eye(3))])
    basis = np.linalg.qr(rigid.reshape(6, -1).T)[0]
    for shape in found.shapes[:6].reshape(6, -1):
        assert np.linalg.norm(shape - basis @ (basis.T @ shape)) < 1e-5 * np.linalg.norm(shape)
    # First free-free bending, (4.7300)^2 sqrt(EI / (rho A L^4)), less what shear takes at this slenderness.
    bending = 4.7300**2 / (2 * np.pi * 6.0**2) * np.sqrt(200e9 / 7800.0 / 12)
    assert 0.88 * bending < found.frequencies_hz[6] < bending


def test_modes_of_a_held_part_are_orthogonal_and_have_unit_mass(anchor: ElasticAnchor) -> None:
    system = anchor.system
    found = natural_frequencies(system, 5)
    unknowns = np.asarray(system.freedom.T @ found.shapes.reshape(5, -1).T)
    squares = (2 * np.pi * found.frequencies_hz) ** 2
    np.testing.assert_allclose(unknowns.T @ (system_mass(system) @ unknowns), np.eye(5), atol=1e-9)
    np.testing.assert_allclose(unknowns.T @ (system.stiffness @ unknowns), np.diag(squares), atol=1e-9 * squares[-1])
    again = natural_frequencies(system, 5)
    np.testing.assert_array_equal(again.shapes, found.shapes)


def test_the_energy_is_the_work_done_and_stays_once_the_load_is_gone(anchor: ElasticAnchor) -> None:
    dt = 1 / natural_frequencies(anchor.system, 1).frequencies_hz[0] / 15
    pulse = np.zeros((60, 2))
    pulse[:8, 0], pulse[3:12, 1] = 1.0, -0.5
    found = newmark(anchor, pulse, dt)
    total = found.kinetic_energy_j + found.strain_energy_j
    np.testing.assert_allclose(total, found.external_work_j, atol=1e-9 * total.max())
    np.testing.assert_allclose(total[13:], total[13], rtol=1e-9)
    assert total[13] > 0


def test_the_momentum_changes_by_the_impulse_of_loads_and_supports(anchor: ElasticAnchor) -> None:
    # Without supports' reactions the momentum would be off; they follow from the equation of motion at every point.
    system = anchor.system
    dt = 1e-3
    found = newmark(anchor, np.ones((6, 2)), dt)
    mass = mass_matrix(BEAM, STEEL.density_kg_m3)
    unknowns = system.freedom.T @ found.displacement.reshape(6, -1).T
    speeds = system.freedom.T @ found.velocity.reshape(6, -1).T
    change = np.diff(np.asarray(system_mass(system) @ speeds), axis=1)
    net = anchor.forces.sum(axis=1, keepdims=True) - np.asarray(system.stiffness @ unknowns)
    # Average acceleration: the change of momentum over a step is the mean force at its ends times the step.
    np.testing.assert_allclose(change, dt * (net[:, 1:] + net[:, :-1]) / 2, atol=1e-8 * np.abs(change).max())
    assert np.asarray(mass @ found.velocity[-1].ravel()).reshape(-1, 3)[:, 2].sum() < 0


def test_a_load_put_on_slowly_gives_the_static_answer(anchor: ElasticAnchor) -> None:
    # Smoothly over fifty periods: what is left of the swing is below a thousandth.
    period = 1 / natural_frequencies(anchor.system, 1).frequencies_hz[0]
    rise = np.linspace(0, 1, 500)
    found = newmark(anchor, np.outer(rise**2 * (3 - 2 * rise), [1.0, 1.0]), 50 * period / 499, stored_every=1000)
    static = anchor.system.displacement(anchor.unknowns @ np.ones(2))
    assert found.steps.tolist() == [0, 499]
    np.testing.assert_allclose(found.displacement[-1], static, atol=1e-3 * np.abs(static).max())


def test_a_damped_mode_decays_at_its_damping_ratio(anchor: ElasticAnchor) -> None:
    modes = natural_frequencies(anchor.system, 1)
    omega = 2 * np.pi * modes.frequencies_hz[0]
    damping = RayleighDamping(mass_per_s=0.02 * omega, stiffness_s=0.03 / omega)
    ratio = 0.025
    start = Motion(modes.shapes[0], np.zeros_like(BEAM.points))
    dt = 2 * np.pi / omega / 200
    found = newmark(anchor, np.zeros((1001, 2)), dt, start=start, damping=damping)
    swing = np.einsum("sni,ni->s", found.displacement, modes.shapes[0]) / (modes.shapes[0] ** 2).sum()
    t = found.times_s
    damped = omega * np.sqrt(1 - ratio**2)
    exact = np.exp(-ratio * omega * t) * (np.cos(damped * t) + ratio * omega / damped * np.sin(damped * t))
    # The period is (omega dt)^2 / 12 too long, 8e-5: after five periods of a decaying swing, 2e-3.
    assert np.abs(swing - exact).max() < 3e-3


def test_alpha_damps_what_the_step_does_not_resolve_and_leaves_the_slow_mode(anchor: ElasticAnchor) -> None:
    modes = natural_frequencies(anchor.system, 5)
    dt = 1 / modes.frequencies_hz[0] / 100
    left = []
    for mode in (0, 4):
        start = Motion(modes.shapes[mode], np.zeros_like(BEAM.points))
        found = newmark(anchor, np.zeros((201, 2)), dt, start=start, alpha=-0.3, stored_every=200)
        total = found.kinetic_energy_j + found.strain_energy_j
        left.append(total[-1] / total[0])
    assert left[0] > 0.999
    assert left[1] < 0.9


def test_what_cannot_be_integrated_is_refused(anchor: ElasticAnchor) -> None:
    once = np.ones((3, 2))
    with pytest.raises(ProblemError, match="time step 0 s"):
        newmark(anchor, once, 0.0)
    with pytest.raises(ProblemError, match="2 load cases"):
        newmark(anchor, np.ones((3, 1)), 1e-3)
    with pytest.raises(ProblemError, match="finite"):
        newmark(anchor, once * np.nan, 1e-3)
    with pytest.raises(ProblemError, match=r"alpha = 0\.1"):
        newmark(anchor, once, 1e-3, alpha=0.1)
    with pytest.raises(ProblemError, match="stored_every = 0"):
        newmark(anchor, once, 1e-3, stored_every=0)
    with pytest.raises(ProblemError, match="0 modes"):
        natural_frequencies(anchor.system, 0)
