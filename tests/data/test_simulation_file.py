"""A sample is the same whenever it is made, scaled as asked, and survives its file."""

import functools
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from surrogate.data.dataset import list_simulations, open_dataset
from surrogate.data.families import family_named, generate_mesh
from surrogate.data.sampling import SamplingRange, stress_level
from surrogate.data.simulate import RejectedSampleError, SampleSize, draw_anchored, simulate
from surrogate.data.simulation_file import Simulation, load_simulation, sample_name, save_simulation
from surrogate.errors import InputError
from surrogate.fields import StepScalars
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.invariants import von_mises

FAMILY = family_named("rib_web")
SEED = 0
SIZE = SampleSize(histories=2, steps=8)
ARRAYS = (
    "elastic_displacement", "elastic_stress", "displacement", "yielded",
    "plastic_strain", "equivalent_plastic_strain", "cell_von_mises",
)  # fmt: skip


@functools.cache
def _mesh() -> TetMesh:
    return generate_mesh(FAMILY, SEED)


@functools.cache
def _simulation() -> Simulation:
    return simulate(FAMILY, SEED, SIZE, mesh=_mesh())


def _assert_same(first: Simulation, second: Simulation) -> None:
    assert first.problem.mesh.content_hash == second.problem.mesh.content_hash
    assert first.problem.material == second.problem.material
    assert first.problem.supports == second.problem.supports
    assert first.problem.load_cases == second.problem.load_cases
    for one, other in zip(first.problem.load_histories, second.problem.load_histories, strict=True):
        assert one.name == other.name and np.array_equal(one.factors, other.factors)
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
        assert getattr(first, name).dtype == getattr(second, name).dtype, name
    for field in fields(StepScalars):
        assert np.array_equal(getattr(first.scalars, field.name), getattr(second.scalars, field.name)), field.name


def test_same_seed_gives_bit_identical_simulation() -> None:
    _assert_same(_simulation(), simulate(FAMILY, SEED, SIZE, mesh=_mesh()))


def test_file_gives_back_what_was_saved_and_saves_the_same_content_twice(tmp_path: Path) -> None:
    path = tmp_path / sample_name(FAMILY.name, SEED)
    save_simulation(_simulation(), path)
    again = load_simulation(path)
    _assert_same(_simulation(), again)
    assert (again.family, again.seed) == (FAMILY.name, SEED)
    assert again.statistics == dict(_simulation().statistics)
    first = path.read_bytes()
    save_simulation(again, path)
    assert path.read_bytes() == first
    assert [entry.path for entry in list_simulations(tmp_path)] == [path]
    assert len(open_dataset(tmp_path)) == 1


def test_plastic_strain_is_kept_where_the_part_yields_and_nowhere_else() -> None:
    simulation = _simulation()
    assert (simulation.equivalent_plastic_strain.max(axis=(0, 1)) > 0).all()
    peaks = simulation.equivalent_plastic_strain.max(axis=2)
    # Half a unit in the last place of single precision.
    assert np.allclose(peaks, simulation.scalars.peak_plastic_strain, rtol=1e-7)
    assert (np.diff(simulation.yielded) > 0).all()


def test_load_cases_and_histories_are_scaled_to_yield() -> None:
    ranges = SamplingRange()
    problem, anchor, _ = draw_anchored(FAMILY, SEED, _mesh(), SampleSize(12, 12), ranges)
    strength, volumes = problem.material.yield_strength_pa, anchor.system.volumes.ravel()
    for case in range(len(problem.load_cases)):
        # The scale is applied to the loads, so the level is met to round-off of the solve.
        assert stress_level(anchor.stress[:, :, case], volumes, ranges.quantile) == pytest.approx(strength, rel=1e-6)
    for history in problem.load_histories:
        states = [anchor.stress @ factors for factors in history.factors]
        level = max(stress_level(state, volumes, ranges.quantile) for state in states) / strength
        highest = max(von_mises(state).max() for state in states) / strength
        assert highest <= ranges.highest_point * (1 + 1e-9)
        assert level <= ranges.peak_level[1] * (1 + 1e-9)
        assert level >= ranges.peak_level[0] * (1 - 1e-9) or highest == pytest.approx(ranges.highest_point)


def test_a_part_that_collapses_under_every_history_is_rejected() -> None:
    beyond = SamplingRange(peak_level=(40.0, 50.0), highest_point=1e3)
    with pytest.raises(RejectedSampleError, match=r"collapsed|not converged"):
        simulate(FAMILY, SEED, SIZE, beyond, _mesh())


def test_a_file_that_is_no_simulation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / sample_name("rib_web", 1)
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = 1
    with pytest.raises(InputError, match="not a simulation file"):
        load_simulation(path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="not a simulation file"):
        load_simulation(path)
    with pytest.raises(InputError, match="campaign"):
        open_dataset(tmp_path / "nothing")
