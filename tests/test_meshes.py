"""The sample parts are what their scripts make, and their problem files ask what they say they ask."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from surrogate.physics.problem_file import load_problem

MESHES = Path(__file__).parent.parent / "meshes"
PARTS = sorted(path.stem for path in MESHES.glob("*.step"))
PROBLEMS = sorted(path.stem for path in MESHES.glob("*.toml"))
# The part of the README stands for all where seconds count.
FIRST = "bracket"


def written_volumes(directory: Path) -> dict[str, float]:
    """Volumes of STEP files as gmsh reads them, in a process of its own, mm^3."""
    code = (
        "import sys, gmsh, pathlib\n"
        "gmsh.initialize(); gmsh.option.setNumber('General.Terminal', 0)\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).glob('*.step')):\n"
        "    gmsh.clear(); solids = gmsh.model.occ.importShapes(str(path))\n"
        "    print('volume', path.stem, len(solids), gmsh.model.occ.getMass(*solids[0]))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in printed.stdout.splitlines() if line.startswith("volume ")]
    assert all(row[2] == "1" for row in rows), "a part of several solids"
    return {row[1]: float(row[3]) for row in rows}


def test_there_are_at_least_four_parts_each_with_a_problem() -> None:
    assert len(PARTS) >= 4
    assert set(PARTS) <= set(PROBLEMS)


def test_the_script_makes_the_parts_that_are_committed(tmp_path: Path) -> None:
    """The volume at 1e-9: the same geometry, whatever the order in which another OCC version writes it."""
    subprocess.run([sys.executable, MESHES / "make_parts.py", "--out", tmp_path], check=True, capture_output=True)
    made = written_volumes(tmp_path)
    assert made == pytest.approx(written_volumes(MESHES), rel=1e-9)
    assert sorted(made) == PARTS


def test_the_step_files_are_in_millimetres() -> None:
    for part in PARTS:
        assert "SI_UNIT(.MILLI.,.METRE.)" in (MESHES / f"{part}.step").read_text()


def test_the_script_makes_the_spectrum_that_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, MESHES / "make_spectrum.py", "--out", tmp_path / "again.csv"], check=True)
    assert (tmp_path / "again.csv").read_text() == (MESHES / "bracket_spectrum.csv").read_text()


def test_the_spectrum_has_a_hundred_histories_that_end_unloaded() -> None:
    with (MESHES / "bracket_spectrum.csv").open() as file:
        rows = list(csv.DictReader(file))
    last = {row["history"]: row for row in rows}
    assert len(last) == 100 and len(rows) == 1200
    assert all(float(row["pull"]) == float(row["side"]) == 0 for row in last.values())


@pytest.mark.parametrize(
    "name", [name if name == FIRST else pytest.param(name, marks=pytest.mark.slow) for name in PROBLEMS]
)
def test_a_problem_file_resolves_against_its_part(name: str) -> None:
    """Every selector matches what it expects; two cases and several histories, each with an unloading."""
    problem = load_problem(MESHES / f"{name}.toml")
    assert len(problem.load_cases) == 2
    assert len(problem.load_histories) >= 2
    for history in problem.load_histories:
        assert abs(history.factors[-1]).max() < abs(history.factors).max(), f"{history.name} does not unload"


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_every_part_yields_locally_in_some_history_and_bears_it(name: str) -> None:
    """Local yielding is what the model learns; more than a tenth of the volume would be a collapsing part."""
    from surrogate import solve

    answer = solve(load_problem(MESHES / f"{name}.toml"))
    yielded = [float(history.scalars.yielded_volume_fraction.max()) for history in answer.histories]
    assert 0 < max(yielded) < 0.1
    assert min(yielded) < max(yielded)
    assert all(history.collapse is None for history in answer.histories)
