"""Solved histories beyond a campaign's: drawn alike, kept, and read back as they were."""

from pathlib import Path

import numpy as np
import pytest

from surrogate.data.histories import DrawnHistory
from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.peak import peak_step
from surrogate.physics.plasticity import elastic_stress
from surrogate.training.drawn_truth import DrawnTruth, horizon_truth, in_a_row, ranked_truth
from tests.training.wedges import STEPS


@pytest.fixture(scope="module")
def long(campaign: Path, tmp_path_factory: pytest.TempPathFactory) -> DrawnTruth:
    (drawn,) = horizon_truth(campaign, tmp_path_factory.mktemp("long"), parts=1, histories=2, steps=STEPS)
    return drawn


def test_many_histories_of_a_part_are_solved_once_and_read_then(
    campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = ranked_truth(campaign, tmp_path, parts=1, histories=6, steps=STEPS)
    monkeypatch.setattr("surrogate.training.drawn_truth._solved", None)
    (again,) = ranked_truth(campaign, tmp_path, parts=1, histories=6, steps=STEPS)
    assert first.factors.shape[:2] == (6, STEPS) == first.scalars.peak_plastic_strain.shape
    np.testing.assert_array_equal(first.factors, again.factors)
    np.testing.assert_array_equal(first.scalars.peak_plastic_strain, again.scalars.peak_plastic_strain)
    # Levels from half to three times the first yield: some histories yield, and no two are alike.
    assert (first.scalars.peak_plastic_strain[:, -1] > 0).any()
    assert len(np.unique(first.factors[:, -2], axis=0)) == 6
    assert len(first.problem(load_simulation(first.path).problem).load_histories) == 6


def test_fields_are_kept_at_the_peak_and_the_end_of_both_horizons(long: DrawnTruth) -> None:
    assert long.factors.shape[:2] == (2, 3 * STEPS)
    for index, steps in enumerate(long.steps):
        wanted = {peak_step(long.first_steps(index, end)) for end in (STEPS, 3 * STEPS)} | {STEPS - 1, 3 * STEPS - 1}
        assert set(steps.tolist()) == wanted


def test_a_stored_state_is_in_equilibrium_with_its_loads_and_within_yield(long: DrawnTruth) -> None:
    anchor = elastic_anchor(load_simulation(long.path).problem)
    system, material = anchor.system, anchor.system.material
    last = 3 * STEPS - 1
    for index in range(len(long.factors)):
        state = long.state(index, last, system.volumes.size)
        assert state.equivalent.max() == pytest.approx(long.scalars.peak_plastic_strain[index, last], rel=1e-6)
        forces = anchor.forces @ long.factors[index, last]
        initial = system.internal_force(elastic_stress(state.plastic_strain[:, :, None], material))[:, 0]
        unknowns = system.factor.solve(forces + initial)
        stress = elastic_stress(system.strain(unknowns) - state.plastic_strain, material)
        shape = stress - np.array([1, 1, 1, 0, 0, 0])[:, None] * stress[:3].mean(axis=0)
        von_mises = np.sqrt(1.5 * ((shape[:3] ** 2).sum(axis=0) + 2 * (shape[3:] ** 2).sum(axis=0)))
        # The labels are solved to 1e-4 of the applied force; their stress overshoots yield by about that much.
        assert (von_mises <= material.yield_stress(state.equivalent) * (1 + 1e-2)).all()


def test_histories_in_a_row_fade_what_the_earlier_one_leaves() -> None:
    first, second = np.full((8, 1), 0.6), np.linspace(0.125, 1.0, 8)[:, None]
    joined = in_a_row([DrawnHistory("ramp", first), DrawnHistory("ramp", second)]).factors
    np.testing.assert_allclose(joined[:8], first)
    np.testing.assert_allclose(joined[8:, 0], second[:, 0] + np.array([0.4, 0.2, 0, 0, 0, 0, 0, 0]), atol=1e-15)


def test_a_campaign_without_test_parts_is_told(campaign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for path in campaign.glob("blade-*.h5"):
        (folder / path.name).symlink_to(path)
    with pytest.raises(InputError, match="no test parts in 'few'"):
        next(iter(ranked_truth(folder, tmp_path / "truth")))
    with pytest.raises(InputError, match="no test parts in 'few'"):
        next(iter(horizon_truth(folder, tmp_path / "truth")))
