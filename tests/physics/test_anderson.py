"""Anderson acceleration finds the fixed point of a linear map in as many steps as it has unknowns."""

import numpy as np

from surrogate.physics.anderson import Anderson


def test_a_linear_map_is_solved_in_one_step_more_than_its_unknowns() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(4, 4))
    matrix *= 0.9 / np.linalg.norm(matrix, 2)
    target = random.normal(size=4)
    fixed = np.linalg.solve(np.eye(4) - matrix, target)
    accelerator, iterate = Anderson(depth=5), np.zeros(4)
    for _ in range(6):
        iterate = accelerator.advance(iterate, matrix @ iterate + target - iterate)
    # Equivalent to GMRES (Walker and Ni 2011), up to the conditioning of the differences.
    np.testing.assert_allclose(iterate, fixed, atol=1e-8)


def test_it_converges_where_the_plain_iteration_runs_away() -> None:
    matrix, target = np.diag([-1.5, 0.2, 0.9]), np.ones(3)
    accelerator, iterate = Anderson(), np.zeros(3)
    for _ in range(8):
        iterate = accelerator.advance(iterate, matrix @ iterate + target - iterate)
    np.testing.assert_allclose(iterate, 1 / (1 - np.diag(matrix)), rtol=1e-6)


def test_the_first_step_is_the_plain_one() -> None:
    np.testing.assert_array_equal(Anderson().advance(np.array([1.0, 2.0]), np.array([0.5, -1.0])), [1.5, 1.0])
