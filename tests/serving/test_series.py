"""What ParaView reads is what was written. VTK reads in a process of its own, as everywhere."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from surrogate.errors import ProblemError
from surrogate.serving import series
from surrogate.serving.point_data import averaged_at_points
from surrogate.serving.series import write_series, write_step
from tests.serving.answers import beam, beam_solved

READ = """
import json, sys
import numpy as np, pyvista as pv
reader = pv.PVDReader(sys.argv[1])
reader.set_active_time_value(reader.time_values[int(sys.argv[2])])
grid = reader.read()[0]
np.savez(sys.argv[3], points=grid.points, cells=grid.cells_dict[24],
         **{"p_" + k: grid.point_data[k] for k in grid.point_data},
         **{"c_" + k: grid.cell_data[k] for k in grid.cell_data})
print(json.dumps({"times": reader.time_values, "volume": float(grid.compute_cell_sizes()["Volume"].sum())}))
"""


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """The third time of the series: step 3 of the worst history."""
    directory = tmp_path_factory.mktemp("series")
    path = write_series(beam(), beam_solved(), directory)
    arrays = directory / "arrays.npz"
    command = [sys.executable, "-c", READ, str(path), "2", str(arrays)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with np.load(arrays) as file:
        return json.loads(printed), dict(file)


def test_the_mesh_is_read_back_as_quadratic_tetrahedra(
    read_back: tuple[dict[str, object], dict[str, np.ndarray]],
) -> None:
    facts, arrays = read_back
    np.testing.assert_array_equal(arrays["points"], beam().mesh.points)
    np.testing.assert_array_equal(arrays["cells"], beam().mesh.cells)
    # VTK takes the points in the order that we mean: wrong mid-edge points would tangle the cells.
    assert facts["volume"] == pytest.approx(0.08 * 0.02 * 0.02, rel=1e-6)


def test_the_fields_are_read_back(read_back: tuple[dict[str, object], dict[str, np.ndarray]]) -> None:
    _, arrays = read_back
    answer, history = beam_solved(), beam_solved().histories[1]
    # Stored in single precision: 6e-8 of the largest value.
    for name, wanted in (
        ("p_displacement_m", history.displacement[2]),
        ("p_stress_pa", averaged_at_points(beam().mesh, history.stress[2], answer.quadrature_volume)),
        ("c_plastic_strain", history.plastic_strain[2].mean(axis=1)),
    ):
        np.testing.assert_allclose(arrays[name], wanted, rtol=0, atol=1e-7 * np.abs(wanted).max(), err_msg=name)


def test_the_series_runs_through_all_histories_worst_first(
    read_back: tuple[dict[str, object], dict[str, np.ndarray]], tmp_path: Path
) -> None:
    assert read_back[0]["times"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    path = write_series(beam(), beam_solved(), tmp_path)
    files = [entry.attrib["file"] for entry in ElementTree.parse(path).iter("DataSet")]
    assert [file.split("/")[1][:6] for file in files] == ["002_be"] * 4 + ["001_mi"] * 2
    assert all((tmp_path / file).is_file() for file in files)
    own = ElementTree.parse(tmp_path / "001_mild.pvd").iter("DataSet")
    assert [float(entry.attrib["timestep"]) for entry in own] == [1.0, 2.0]


def test_only_the_worst_histories_are_written_where_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MAX_FILES", 5)
    write_series(beam(), beam_solved(), tmp_path)
    assert {path.name[:3] for path in (tmp_path / "steps").glob("*.vtu")} == {"002"}


def test_one_step_is_written_alone(tmp_path: Path) -> None:
    write_step(beam(), beam_solved(), tmp_path / "one.vtu", history="mild", step=1)
    assert (tmp_path / "one.vtu").read_bytes().startswith(b'<?xml version="1.0"?>')


def test_a_history_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="'calm' with results; choose one of: bend & unload, mild"):
        write_step(beam(), beam_solved(), tmp_path / "one.vtu", history="calm")


def test_a_hostile_name_cannot_leave_the_directory(tmp_path: Path) -> None:
    history = replace(beam_solved().histories[0], name="../../<evil>&")
    path = write_series(beam(), replace(beam_solved(), histories=(history,)), tmp_path / "out")
    files = [entry.attrib["file"] for entry in ElementTree.parse(path).iter("DataSet")]
    assert files == ["steps/001_evil_0001.vtu", "steps/001_evil_0002.vtu"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
