"""Answering a large part from a second mesh by the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from surrogate.cli import app
from surrogate.physics import coarse_answer as room
from surrogate.physics import problem_file
from surrogate.serving.vtu import write_vtu
from tests.physics.meshes import block
from tests.serving.answers import beam

RUN = CliRunner()
PROBLEM = """
part = "fine.vtu"
length_unit = "m"
material = "Al 7075-T6"
[[supports]]
faces = {plane = {normal = [-1, 0, 0]}}
fixed = ["x", "y", "z"]
[[load_cases]]
name = "bend"
loads = [{faces = {plane = {normal = [1, 0, 0]}}, force_n = [0.0, 0.0, 150000.0]}]
[[load_histories]]
name = "over"
factors = {bend = [0.5, 1.0, 0.0]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A problem on a mesh of a beam, and a coarser mesh of it."""
    for name, divisions in (("fine", (8, 3, 3)), ("coarse", (4, 2, 2))):
        write_vtu(tmp_path / f"{name}.vtu", block(divisions, (0.4, 0.1, 0.1)), {}, {})
    (tmp_path / "beam.toml").write_text(PROBLEM)
    return tmp_path


@pytest.mark.slow
def test_a_mesh_is_answered_from_a_coarser_one(folder: Path) -> None:
    result = RUN.invoke(
        app, ["predict", str(folder / "beam.toml"), "--anchor-mesh", str(folder / "coarse.vtu"), "--json"]
    )
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["method"] == "coarse"
    assert any("anchor mesh" in warning for warning in summary["warnings"])
    assert {"anchor", "transfer", "fields"} <= set(summary["timings_s"])


@pytest.fixture
def read_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem_file, "load_problem", lambda path: beam())


@pytest.mark.usefixtures("read_beam")
def test_a_mesh_cannot_be_meshed_again_and_the_remedy_is_named(folder: Path) -> None:
    result = RUN.invoke(app, ["predict", str(folder / "beam.toml"), "--anchor-size", "0.1"])
    assert result.exit_code == 2 and "--anchor-mesh" in result.stderr


@pytest.mark.usefixtures("read_beam")
def test_two_anchor_meshes_are_one_too_many(folder: Path) -> None:
    both = ["--anchor-size", "0.1", "--anchor-mesh", str(folder / "coarse.vtu")]
    result = RUN.invoke(app, ["predict", str(folder / "beam.toml"), *both])
    assert result.exit_code == 2 and "give one of them" in result.stderr


@pytest.mark.usefixtures("read_beam")
def test_a_large_part_is_told_of_the_other_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LARGE_PART", 10)
    result = RUN.invoke(app, ["predict", str(folder / "beam.toml"), "--fidelity", "solved", "--json"])
    assert result.exit_code == 0 and "--anchor-size" in result.stderr
    assert json.loads(result.stdout)["method"] == "solved"
