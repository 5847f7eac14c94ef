"""The command line: what goes to which stream, which exit code, and that asking for help costs nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from surrogate.cli import app
from surrogate.errors import CheckpointError, InfrastructureError
from surrogate.fields import Fields
from surrogate.physics import problem_file
from surrogate.physics import solver as solver_room
from surrogate.physics.problem import Problem
from surrogate.physics.solver import SolverName, solve
from surrogate.serving import service
from tests.serving.answers import beam, beam_predicted, beam_solved

MESHES = Path(__file__).parent.parent / "meshes"
RUN = CliRunner()
VERBS = [
    "mesh", "solve", "predict", "compare",
    "campaign", "import", "check", "train", "evaluate", "calibrate", "publish",
    "serve", "worker", "materials", "models",
]  # fmt: skip


@pytest.fixture
def beam_file(monkeypatch: pytest.MonkeyPatch) -> str:
    """A problem file that reads as the small beam, so that no part is meshed."""
    monkeypatch.setattr(problem_file, "load_problem", lambda path: beam())
    return "beam.toml"


def test_help_does_not_load_the_heavy_libraries() -> None:
    code = (
        "import sys; from surrogate.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'scipy', 'pyvista', 'gmsh', 'fastapi') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"


def test_the_verbs_stand_in_pipeline_order() -> None:
    assert [command.name for command in app.registered_commands] == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str) -> None:
    result = RUN.invoke(app, [verb, "--help"])
    assert result.exit_code == 0 and f"surrogate {verb}" in result.output.split("Example:")[1]


def test_a_solved_summary_is_json_on_standard_output_alone(beam_file: str) -> None:
    result = RUN.invoke(app, ["solve", beam_file, "--json"])
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["method"] == "solved" and "mesh" in summary["timings_s"]
    assert result.stderr == ""


def test_the_solver_is_chosen_by_name_and_a_missing_one_is_three_with_the_remedy(
    beam_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def recorded(problem: Problem, *, solver: SolverName = "own", **options: object) -> Fields:
        asked.append(solver)
        return beam_solved() if solver == "own" else solve(problem, solver=solver)

    monkeypatch.setattr(solver_room, "solve", recorded)
    monkeypatch.setenv("PATH", "")
    assert RUN.invoke(app, ["solve", beam_file, "--json"]).exit_code == 0
    result = RUN.invoke(app, ["solve", beam_file, "--solver", "calculix"])
    assert result.exit_code == 3 and "apt-get install calculix-ccx" in result.stderr
    monkeypatch.setattr(service, "predict", lambda *given, **options: beam_predicted())
    result = RUN.invoke(app, ["compare", beam_file, "--reference", "calculix"])
    assert result.exit_code == 3 and "apt-get install calculix-ccx" in result.stderr
    assert asked == ["own", "calculix", "calculix"]
    assert RUN.invoke(app, ["solve", beam_file, "--solver", "other"]).exit_code == 2


def test_people_get_a_table_worst_first(beam_file: str) -> None:
    printed = RUN.invoke(app, ["solve", beam_file]).stdout
    assert "MS ultimate" in printed and "warning:" in printed
    table = printed[printed.index("MS ultimate") :]
    assert table.index("bend & unload") < table.index("mild")


@pytest.mark.slow
def test_out_holds_summary_series_and_report(beam_file: str, tmp_path: Path) -> None:
    result = RUN.invoke(app, ["solve", beam_file, "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0
    assert {"summary.json", "results.pvd", "report.html", "steps"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(result.stdout)


def test_wrong_input_is_two_with_the_message_on_standard_error(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["solve", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "cannot read the problem file" in result.stderr and result.stdout == ""


def test_with_json_an_error_is_a_problem_body(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["solve", str(tmp_path / "none.toml"), "--json"])
    body = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (body["type"], body["title"], body["status"]) == ("urn:surrogate:error:problem", "Problem", 422)
    assert "cannot read the problem file" in body["detail"]


@pytest.mark.parametrize("error", [InfrastructureError("no gmsh"), CheckpointError("torn"), RuntimeError("bug")])
def test_what_is_not_the_users_fault_is_three(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr(problem_file, "load_problem", fail)
    result = RUN.invoke(app, ["solve", "any.toml"])
    assert result.exit_code == 3 and str(error) in result.stderr


def test_a_wrong_option_is_two() -> None:
    assert RUN.invoke(app, ["predict", "any.toml", "--fidelity", "magic"]).exit_code == 2


def test_the_materials_are_listed() -> None:
    assert "Ti-6Al-4V" in RUN.invoke(app, ["materials"]).stdout
    names = [material["name"] for material in json.loads(RUN.invoke(app, ["materials", "--json"]).stdout)]
    assert "Al 7075-T6" in names


def test_a_part_is_meshed_from_the_shell(tmp_path: Path) -> None:
    out = tmp_path / "clevis.vtu"
    command = [sys.executable, "-m", "surrogate.cli", "mesh", str(MESHES / "clevis.step"), "--faces", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "ten-node tetrahedra" in done.stdout and "hole of radius" in done.stdout
    assert out.stat().st_size > 10_000
