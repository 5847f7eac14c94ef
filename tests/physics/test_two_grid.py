"""A fine mesh's elastic answer from a coarse mesh's factor."""

from dataclasses import replace

import numpy as np
import pytest

from surrogate.physics import two_grid as room
from surrogate.physics.elastic import build_elastic_system, solve_load_cases
from surrogate.physics.invariants import von_mises
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import LoadCase, Problem, Support, Traction, ramp
from surrogate.physics.two_grid import conjugate_gradients, matrix_free_stiffness, two_grid
from tests.physics.meshes import LEFT, RIGHT, STEEL, block, distorted_block

SIZE = (0.2, 0.05, 0.05)
FINE, COARSE = block((8, 3, 3), SIZE), block((4, 2, 1), SIZE)
SUPPORTS = (Support(LEFT),)
CASES = (LoadCase("bend", (Traction(RIGHT, (0.0, 0.0, 4e6)),)), LoadCase("pull", (Traction(RIGHT, (1e8, 0.0, 0.0)),)))
PROBLEM = Problem(FINE, STEEL, SUPPORTS, CASES, (ramp(2),))


def test_the_product_is_that_of_the_assembled_stiffness() -> None:
    # Gradients in single precision: 6e-8 an entry, some hundred of them a sum.
    mesh = distorted_block((3, 2, 2))
    system = build_elastic_system(mesh, STEEL, (Support(LEFT),))
    free = np.random.default_rng(0).normal(size=(system.freedom.shape[1], 2))
    displacement = np.asarray(system.freedom @ free).reshape(-1, 3, 2)
    forces = np.asarray(system.freedom.T @ matrix_free_stiffness(mesh, STEEL).force(displacement).reshape(-1, 2))
    expected = system.stiffness @ free
    assert np.abs(forces - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_diagonal_is_that_of_the_assembled_stiffness() -> None:
    mesh = distorted_block((2, 2, 2))
    system = build_elastic_system(mesh, STEEL, (Support(LEFT),))
    blocks = matrix_free_stiffness(mesh, STEEL).diagonal()
    own = np.einsum("nii->ni", blocks).ravel()[system.freedom.tocsc().indices]
    assert np.abs(own - system.stiffness.diagonal()).max() < 1e-5 * own.max()


def test_a_stress_gives_the_forces_that_its_displacement_gives() -> None:
    stiffness = matrix_free_stiffness(FINE, STEEL)
    displacement = np.random.default_rng(1).normal(size=(len(FINE.points), 3, 2))
    total = np.zeros_like(displacement)
    for group in stiffness.groups:
        strain = stiffness.strain(displacement, group.cells)
        stress = elastic_stress(strain, STEEL)
        total[group.points] += stiffness.force_of_stress(stress, group)
    expected = stiffness.force(displacement)
    assert np.abs(total - expected).max() < 1e-5 * np.abs(expected).max()


def test_iterations_lead_to_the_answer_of_the_fine_mesh() -> None:
    # Stopped at 1e-3 in energy as the preconditioner sees it, which is within a factor of a few of the true one.
    exact = solve_load_cases(PROBLEM, build_elastic_system(FINE, STEEL, SUPPORTS))
    coarse = solve_load_cases(replace(PROBLEM, mesh=COARSE), build_elastic_system(COARSE, STEEL, SUPPORTS))
    grids = two_grid(FINE, coarse.system, SUPPORTS)
    forces = np.asarray(exact.system.freedom @ exact.forces).reshape(-1, 3, 2)
    start = grids.interpolated(np.moveaxis(coarse.system.displacement(coarse.unknowns), 0, 2))
    found = conjugate_gradients(grids, forces, start, 60, 1e-3)
    expected = np.moveaxis(exact.system.displacement(exact.unknowns), 0, 2)
    assert np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()
    strain = np.concatenate([grids.stiffness.strain(found, group.cells) for group in grids.stiffness.groups], axis=1)
    stress, true = von_mises(elastic_stress(strain, STEEL)), von_mises(exact.stress)
    interpolated = np.concatenate([grids.stiffness.strain(start, g.cells) for g in grids.stiffness.groups], axis=1)
    before = von_mises(elastic_stress(interpolated, STEEL))
    assert np.linalg.norm(stress - true) < 0.1 * np.linalg.norm(before - true)


def test_supports_are_kept_exactly() -> None:
    coarse = build_elastic_system(COARSE, STEEL, SUPPORTS)
    grids = two_grid(FINE, coarse, SUPPORTS)
    moved = grids.preconditioned(np.random.default_rng(2).normal(size=(len(FINE.points), 3, 1)))
    assert np.abs(moved[FINE.points[:, 0] < 1e-9]).max() == 0.0
    assert np.abs(moved).max() > 0


def test_cells_are_worked_on_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    displacement = np.random.default_rng(3).normal(size=(len(FINE.points), 3, 1))
    whole = matrix_free_stiffness(FINE, STEEL).force(displacement)
    monkeypatch.setattr(room, "_TOGETHER", 50)
    stiffness = matrix_free_stiffness(FINE, STEEL)
    assert max(group.cells.stop - group.cells.start for group in stiffness.groups) == 50
    # Sums in another order, in single precision.
    assert np.abs(stiffness.force(displacement) - whole).max() < 1e-5 * np.abs(whole).max()
