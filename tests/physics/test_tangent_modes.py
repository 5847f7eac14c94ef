"""Laws of the corrections that enrich a span: Newton's directions where they are known, states where points flow."""

import numpy as np

from surrogate.physics.reduced import ReducedSettings, reduced_anchor
from surrogate.physics.tangent_modes import Combined, CorrectionSettings, corrections, leading, steps_of_flow
from tests.physics.yielding_plate import SWING, anchored


def combined(settings: ReducedSettings) -> Combined:
    anchor = anchored()
    reduced = reduced_anchor(anchor, SWING[None], settings)
    strain = np.concatenate([anchor.strain, reduced.strain], axis=-1)
    return Combined(2, strain, np.concatenate([SWING[None], reduced.coordinates], axis=-1), reduced.unknowns)


def test_states_are_taken_at_equal_shares_of_the_way_that_the_modes_go() -> None:
    way = np.array([0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    steady, still = np.stack([way, -2 * way], axis=1), np.zeros((8, 2))
    assert steps_of_flow(np.stack([steady, still]), 2).tolist() == [[0, 3], [0, 5]]
    assert steps_of_flow(np.stack([still, steady]), 4).tolist() == [[1, 2], [1, 3], [1, 4], [1, 5]]
    # A jump is one state, however many shares it holds.
    assert steps_of_flow(np.array([[[0.0], [5.0], [5.0]]]), 3).tolist() == [[0, 1]]
    assert steps_of_flow(still[None], 3).shape == (0, 2)


def test_one_iteration_goes_the_way_of_the_elastic_displacement_of_what_is_out_of_balance() -> None:
    anchor, settings = anchored(), ReducedSettings(modes=3, enrichments=0, further=0)
    points = np.arange(anchor.system.volumes.size)
    found, forces = corrections(anchor, points, combined(settings), CorrectionSettings(iterations=1))
    assert found.shape[1] and np.abs(found).max() > 0
    # The forces that are handed back are those of the elastic stiffness.
    np.testing.assert_allclose(anchor.system.stiffness @ found, forces, rtol=0, atol=1e-8 * np.abs(forces).max())


def test_more_iterations_reach_farther_where_the_part_has_gone_soft() -> None:
    anchor, settings = anchored(), ReducedSettings(modes=3, enrichments=0, further=0)
    points = np.arange(anchor.system.volumes.size)
    sizes = []
    for iterations in (1, 4, 30, 60):
        found, forces = corrections(anchor, points, combined(settings), CorrectionSettings(iterations=iterations))
        sizes.append(np.sqrt((found * forces).sum(axis=0)))
    assert (sizes[1] > sizes[0]).all()
    np.testing.assert_allclose(sizes[3], sizes[2], rtol=1e-3)  # converged


def test_where_nothing_flows_there_is_nothing_to_add() -> None:
    anchor = anchored()
    calm = Combined(2, anchor.strain, 0.1 * SWING[None], np.zeros((len(anchor.unknowns), 0)))
    found, forces = corrections(anchor, np.arange(anchor.system.volumes.size), calm)
    assert found.shape == forces.shape == (len(anchor.unknowns), 0)
    assert leading(found, forces, 4, 0.7, 1e-6).shape[1] == 0


def test_leading_displacements_are_orthonormal_in_energy_and_span_the_given_ones() -> None:
    random = np.random.default_rng(0)
    stiffness = random.normal(size=(9, 9))
    stiffness = stiffness @ stiffness.T + np.eye(9)
    given = random.normal(size=(9, 2)) @ random.normal(size=(2, 6))
    found = leading(given, stiffness @ given, 5, 0.7, 1e-6)
    assert found.shape == (9, 2)
    np.testing.assert_allclose(found.T @ stiffness @ found, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(found @ (found.T @ stiffness @ given), given, atol=1e-8)


def test_iterations_end_where_what_was_out_of_balance_has_become_small() -> None:
    """A state that is asked for less gets fewer of them, and the others what they would get alone."""
    anchor, points, settings = (
        anchored(),
        np.arange(anchored().system.volumes.size),
        ReducedSettings(modes=4, further=0),
    )
    loose, tight = (
        corrections(anchor, points, combined(settings), CorrectionSettings(60, 0, accuracy))[0]
        for accuracy in (0.3, 1e-6)
    )
    fixed = corrections(anchor, points, combined(settings), CorrectionSettings(60, 60))[0]
    size = np.linalg.norm(fixed, axis=0)
    np.testing.assert_allclose(tight, fixed, atol=1e-4 * size.max())
    off = np.linalg.norm(loose - fixed, axis=0) / size
    assert (off > 1e-4).any() and (off < 0.7).all()
