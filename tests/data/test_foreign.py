"""Results of another program become a simulation that is the one our own solver would have stored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surrogate.data.foreign import import_results, import_simulation
from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import Fields
from surrogate.physics.problem import Problem
from surrogate.physics.problem_file import load_problem
from surrogate.physics.solver import SolverSettings, solve
from surrogate.serving.series import write_series
from surrogate.serving.vtu import write_vtu
from tests.physics.meshes import block

PROBLEM = """
part = "bar.vtu"
length_unit = "mm"

[material]
youngs_modulus_pa = 200e9
poissons_ratio = 0.3
density_kg_m3 = 7800
yield_strength_pa = 250e6
ultimate_strength_pa = 400e6
hardening = {linear_modulus_pa = 2e9}

[[supports]]
faces = {plane = {normal = [-1, 0, 0], at = "min"}}

[[load_cases]]
name = "bend"
[[load_cases.loads]]
faces = {plane = {normal = [1, 0, 0], at = "max"}}
force_n = [0, 0, 600]

[[load_histories]]
name = "load and unload"
factors = {bend = [0.4, 0.7, 1.0, 0.5, 0.0]}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Problem, Fields]:
    """A problem file, its part, and the results of a solve as another program would leave them."""
    folder = tmp_path_factory.mktemp("foreign")
    write_vtu(folder / "bar.vtu", block((8, 2, 2), (60.0, 8.0, 8.0)), {}, {})
    (folder / "bar.toml").write_text(PROBLEM)
    problem = load_problem(folder / "bar.toml")
    fields = solve(problem, settings=SolverSettings(tolerance=1e-8))
    _write_in_millimetres(problem, fields, folder)
    return folder, problem, fields


def _write_in_millimetres(problem: Problem, fields: Fields, folder: Path) -> None:
    """The series in the unit of the part, as a program that knows no units writes it."""
    history = fields.histories[0]
    mesh = replace(problem.mesh, points=problem.mesh.points * 1e3)
    large = replace(fields, histories=(replace(history, displacement=history.displacement * 1e3),))
    write_series(replace(problem, mesh=mesh), large, folder)


def test_an_imported_result_is_what_the_solver_found(written: tuple[Path, Problem, Fields], tmp_path: Path) -> None:
    folder, problem, fields = written
    done = import_results(folder / "bar.toml", [folder / "results.pvd"], tmp_path, family="bar")
    simulation, history = load_simulation(done.path), fields.histories[0]
    assert done.yielded_share > 0.05
    plastic = history.plastic_strain.reshape(5, -1, 6)[:, simulation.yielded]
    # The series holds single precision: 6e-8 of the displacement over an element is about 1e-4 of the plastic strain.
    assert np.abs(simulation.plastic_strain[0] - plastic).max() < 1e-3 * np.abs(plastic).max()
    assert np.allclose(simulation.scalars.peak_von_mises_pa[0], history.scalars.peak_von_mises_pa, rtol=1e-3)
    assert simulation.problem.load_cases == problem.load_cases


def test_results_of_other_loads_are_refused(written: tuple[Path, Problem, Fields], tmp_path: Path) -> None:
    folder, _, _ = written
    other = folder / "other.toml"
    other.write_text(PROBLEM.replace("force_n = [0, 0, 600]", "force_n = [0, 0, 640]"))
    with pytest.raises(InputError, match="out of balance"):
        import_results(other, [folder / "results.pvd"], tmp_path, family="bar")
    assert not list(tmp_path.iterdir())


def test_results_of_another_unit_or_length_are_refused(written: tuple[Path, Problem, Fields], tmp_path: Path) -> None:
    folder, _, _ = written
    other = folder / "longer.toml"
    other.write_text(PROBLEM.replace("0.5, 0.0]", "0.5, 0.0, 0.5]"))
    with pytest.raises(InputError, match="6; give one file a step"):
        import_results(other, [folder / "results.pvd"], tmp_path, family="bar")
    with pytest.raises(InputError, match="lower-case"):
        import_results(folder / "bar.toml", [folder / "results.pvd"], tmp_path, family="../Bar")
    with pytest.raises(InputError, match="point fields: displacement_m"):
        import_results(folder / "bar.toml", [folder / "results.pvd"], tmp_path, family="bar", array="U")


def test_a_part_is_imported_once(written: tuple[Path, Problem, Fields], tmp_path: Path) -> None:
    folder, _, _ = written
    done = import_results(folder / "bar.toml", [folder / "results.pvd"], tmp_path, family="bar")
    with pytest.raises(InputError, match="imported before"):
        import_results(folder / "bar.toml", [folder / "results.pvd"], tmp_path, family="bar")
    # The same part keeps its number under another family, in another directory.
    again = import_simulation(done.path, tmp_path / "second", family="shelf")
    assert again.path.name == done.path.name.replace("bar", "shelf")
    assert load_simulation(again.path).family == "shelf"


def test_a_damaged_series_names_its_remedy(written: tuple[Path, Problem, Fields], tmp_path: Path) -> None:
    folder, _, _ = written
    empty = tmp_path / "empty.pvd"
    empty.write_text("<VTKFile/>")
    with pytest.raises(InputError, match="names no VTU file"):
        import_results(folder / "bar.toml", [empty], tmp_path, family="bar")
