"""A sample is the same whenever it is made, scaled as asked, and survives its file."""

import functools
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from surrogate.data import mesh_pair
from surrogate.data.dataset import list_simulations, open_dataset
from surrogate.data.families import family_named
from surrogate.data.mesh_pair import generate_mesh, generate_mesh_pair, has_coarse_pair
from surrogate.data.sample_process import SampleProcess
from surrogate.data.sampling import SamplingRange, stress_level
from surrogate.data.simulate import RejectedSampleError, SampleSize, draw_anchored, simulate
from surrogate.data.simulation_file import SCHEMA_VERSION, Simulation, load_simulation, sample_name, save_simulation
from surrogate.errors import InputError
from surrogate.fields import StepBalance, StepScalars
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.invariants import von_mises

FAMILY = family_named("rib_web")
SEED = 0
SIZE = SampleSize(histories=2, steps=8, coarse_share=1.0)
ARRAYS = (
    "elastic_displacement", "elastic_stress", "inelastic_displacement", "inelastic_scale", "yielded",
    "plastic_strain", "equivalent_plastic_strain", "cell_von_mises",
)  # fmt: skip


@functools.cache
def _mesh() -> TetMesh:
    return generate_mesh(FAMILY, SEED)


@functools.cache
def _simulation() -> Simulation:
    return simulate(FAMILY, SEED, SIZE)


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
    for field in fields(StepBalance):
        assert np.array_equal(getattr(first.balance, field.name), getattr(second.balance, field.name)), field.name


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_whatever_the_worker_did_before(tmp_path: Path) -> None:
    files = []
    for name, seeds in (("fresh", [SEED]), ("used", [SEED + 1, SEED])):
        directory = tmp_path / name
        directory.mkdir()
        process = SampleProcess(directory, SIZE)
        outcomes = [process.run(FAMILY.name, seed, timeout_s=100) for seed in seeds]
        process.close()
        assert not any(outcome.reason for outcome in outcomes)
        files.append((directory / sample_name(FAMILY.name, SEED)).read_bytes())
    assert files[0] == files[1]


def test_file_gives_back_what_was_saved_and_saves_the_same_content_twice(tmp_path: Path) -> None:
    path = tmp_path / sample_name(FAMILY.name, SEED)
    save_simulation(_simulation(), path)
    again = load_simulation(path)
    _assert_same(_simulation(), again)
    assert (again.family, again.seed) == (FAMILY.name, SEED)
    assert again.statistics == dict(_simulation().statistics)
    one, other = _simulation().coarse, again.coarse
    assert one is not None and other is not None
    assert one.mesh.content_hash == other.mesh.content_hash and one.mesh.faces == other.mesh.faces
    assert np.array_equal(one.elastic_displacement, other.elastic_displacement)
    assert np.array_equal(one.elastic_stress, other.elastic_stress)
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


def test_stored_displacement_is_that_of_the_solver_to_half_precision_of_what_yielding_adds() -> None:
    simulation = _simulation()
    largest = np.sqrt((simulation.displacement.astype(float) ** 2).sum(axis=-1)).max(axis=-1)
    # Half precision of each component, of what is added only: 2^-11 of the scale, in three directions.
    bound = 2**-11 * 3**0.5 * simulation.inelastic_scale
    elastic_rounding = 1e-6 * largest
    assert (np.abs(largest - simulation.scalars.max_displacement_m) <= bound + elastic_rounding).all()
    virgin = simulation.scalars.peak_plastic_strain == 0
    assert not simulation.inelastic_displacement[virgin].any()


def test_the_coarse_pair_is_the_same_solid_under_the_same_loads() -> None:
    simulation = _simulation()
    fine, coarse = simulation.problem.mesh, simulation.coarse
    assert coarse is not None
    # The fine mesh is the same with and without a coarse one beside it.
    assert fine.content_hash == _mesh().content_hash
    assert len(coarse.mesh.points) < 0.6 * len(fine.points)
    assert {face.name for face in coarse.mesh.faces} == {face.name for face in fine.faces}
    # Extents of the same solid, up to the sagitta of coarse arcs at its outside.
    assert coarse.mesh.size == pytest.approx(fine.size, rel=1e-3)
    for one, other in zip(simulation.elastic_displacement, coarse.elastic_displacement, strict=True):
        sizes = [float(np.linalg.norm(field, axis=1).max()) for field in (one, other)]
        # The same part under the same loads: quadratic elements three times as large are somewhat stiffer.
        assert 0.8 < sizes[1] / sizes[0] < 1.02


def test_a_coarse_mesh_that_cannot_be_made_is_told_and_the_part_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_pair, "COARSE_POINTS_AT_MOST", 0.0)
    pair = generate_mesh_pair(FAMILY, SEED, coarse=True)
    assert pair.coarse is None and "not much fewer" in pair.coarse_failure
    assert pair.fine.content_hash == _mesh().content_hash


def test_the_share_of_pairs_is_as_asked_and_belongs_to_the_part() -> None:
    drawn = np.array([has_coarse_pair("clevis", seed, 0.25) for seed in range(4000)])
    # Four standard deviations of a share of 0.25 over 4000 parts are 2.7 %.
    assert abs(drawn.mean() - 0.25) < 0.028
    assert not any(has_coarse_pair("clevis", seed, 0.0) for seed in range(100))


def test_load_cases_and_histories_are_scaled_to_yield() -> None:
    ranges = SamplingRange()
    problem, anchor, _ = draw_anchored(FAMILY, SEED, _mesh(), SampleSize(12, 20), ranges)
    strength, volumes = problem.material.yield_strength_pa, anchor.system.volumes.ravel()
    for case in range(len(problem.load_cases)):
        # The scale is applied to the loads, so the level is met to round-off of the solve.
        assert stress_level(anchor.stress[:, :, case], volumes, ranges.quantile) == pytest.approx(strength, rel=1e-6)
    for history in problem.load_histories:
        states = [anchor.stress @ factors for factors in history.factors]
        level = max(stress_level(state, volumes, ranges.quantile) for state in states) / strength
        bulk = max(stress_level(state, volumes, ranges.bulk_quantile) for state in states) / strength
        highest = max(von_mises(state).max() for state in states) / strength
        # Convexity of the von Mises stress bounds the hottest point by the turning steps, and levels nearly.
        assert highest <= ranges.highest_point * (1 + 1e-9)
        assert level <= ranges.peak_level[1] * 1.02 and bulk <= ranges.bulk_level * 1.02
        held = highest > 0.69 * ranges.highest_point or bulk > 0.69 * ranges.bulk_level
        assert level >= ranges.peak_level[0] * (1 - 1e-9) or held


@pytest.mark.slow
def test_a_part_that_collapses_under_every_history_is_rejected() -> None:
    beyond = SamplingRange(peak_level=(40.0, 50.0), highest_point=1e3, bulk_level=1e3)
    with pytest.raises(RejectedSampleError, match=r"collapsed|not converged"):
        simulate(FAMILY, SEED, SIZE, beyond, _mesh())


def test_a_file_of_another_schema_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / sample_name("rib_web", 1)
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = 1
    with pytest.raises(InputError, match="schema 1, this version reads schema 2"):
        load_simulation(path)
    (tmp_path / "campaign.json").write_text('{"schema": 1}')
    with pytest.raises(InputError, match="schema 1, this version reads 2"):
        open_dataset(tmp_path)


def test_a_file_that_is_no_simulation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / sample_name("rib_web", 1)
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = SCHEMA_VERSION
    with pytest.raises(InputError, match="not a simulation file"):
        load_simulation(path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="not a simulation file"):
        load_simulation(path)
    with pytest.raises(InputError, match="campaign"):
        open_dataset(tmp_path / "nothing")
