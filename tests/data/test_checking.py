"""A check finds every fault that would teach a model something false, and only those."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surrogate.data.checking import check_dataset, check_lines
from surrogate.data.families import family_named
from surrogate.data.simulate import SampleSize, simulate
from surrogate.data.simulation_file import Simulation, sample_name, save_simulation


@pytest.fixture(scope="module")
def sample() -> Simulation:
    made = simulate(family_named("rib_web"), 0, SampleSize(histories=2, steps=8))
    assert made.plastic_strain.size
    return made


def _spoiled(array: np.ndarray, change: Callable[[np.ndarray], None]) -> np.ndarray:
    copy = array.copy()
    change(copy)
    return copy


def _store(simulation: Simulation, folder: Path, seed: int = 0) -> None:
    save_simulation(replace(simulation, seed=seed), folder / sample_name(simulation.family, seed))


def test_what_the_solver_found_passes(sample: Simulation, tmp_path: Path) -> None:
    _store(sample, tmp_path)
    report = check_dataset(tmp_path)
    assert report.passed, check_lines(report)
    assert (report.simulations, report.histories, report.steps) == (1, 2, 16)
    assert 0 < report.worst_imbalance < 2e-4 and report.worst_reaction < 1e-6


def test_each_fault_is_named(sample: Simulation, tmp_path: Path) -> None:
    def put_nan(values: np.ndarray) -> None:
        values.flat[0] = np.nan

    def swell(values: np.ndarray) -> None:
        values[..., 0] += 0.01 * np.abs(values).max()

    def heal(values: np.ndarray) -> None:
        values[:, -2] = 2 * values.max()

    def shift(values: np.ndarray) -> None:
        values += np.float16(0.01)

    def unbalance(values: np.ndarray) -> None:
        values.flat[-1] = 0.1

    scalars, balance = sample.scalars, sample.balance
    faults = {
        "elastic_stress has numbers": replace(sample, elastic_stress=_spoiled(sample.elastic_stress, put_nan)),
        "changes the volume": replace(sample, plastic_strain=_spoiled(sample.plastic_strain, swell)),
        "strain falls": replace(sample, equivalent_plastic_strain=_spoiled(sample.equivalent_plastic_strain, heal)),
        "moves where it is held": replace(
            sample, inelastic_displacement=_spoiled(sample.inelastic_displacement, shift)
        ),
        "energy out of balance": replace(
            sample, balance=replace(balance, energy_imbalance=_spoiled(balance.energy_imbalance, unbalance))
        ),
        "forces out of balance": replace(
            sample, scalars=replace(scalars, equilibrium_residual=_spoiled(scalars.equilibrium_residual, unbalance))
        ),
    }
    for number, (words, broken) in enumerate(faults.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        _store(broken, folder)
        report = check_dataset(folder)
        assert not report.passed and any(words in failure for failure in report.failures), (words, report.failures)
        assert len(report.failures) == 1, report.failures


def test_a_part_that_is_there_twice_and_a_damaged_file_are_found(sample: Simulation, tmp_path: Path) -> None:
    _store(sample, tmp_path, 0)
    _store(sample, tmp_path, 1)
    (tmp_path / sample_name(sample.family, 2)).write_bytes(b"not a simulation")
    report = check_dataset(tmp_path)
    assert report.duplicates == ((sample_name(sample.family, 0), sample_name(sample.family, 1)),)
    assert len(report.failures) == 1 and "not a simulation file" in report.failures[0]
    assert report.simulations == 2
