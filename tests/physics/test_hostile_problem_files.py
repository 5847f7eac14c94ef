"""Problem files, histories and series meant to do harm: a readable error of our own, and no file outside the folder."""

import time
from pathlib import Path

import pytest

from surrogate.data.result_series import read_series, series_files
from surrogate.errors import InputError, ProblemError
from surrogate.physics.problem_file import load_problem, read_histories, read_problem_file

PLAIN = """
part = "PART"
material = "steel_s355"
histories = "HISTORIES"
[[supports]]
faces = {name = "a"}
[[load_cases]]
name = "a"
loads = [{acceleration_m_s2 = [0, 0, 9.81]}]
"""

FILES = {
    "deep.toml": ("a = " + "[" * 100_000, "nested too deeply"),
    "deep.json": ("[" * 50_000 + "]" * 50_000, "nested too deeply"),
    "objects.json": ('{"a":' * 100_000, "nested too deeply"),
    "digits.toml": ("a = " + "9" * 100_000, "is not valid TOML"),
    "digits.json": ("9" * 100_000, "is not valid JSON"),
    "keys.toml": ("a." * 5000 + "b = 1", "a is not a known key"),
    "nan.json": ('{"part": NaN, "supports": Infinity}', "supports = inf"),
    "noise.toml": ("\x00\x01\x02", "is not valid TOML"),
    "nul.toml": (PLAIN.replace("HISTORIES", r"a\u0000.csv"), "check the path"),
}
HISTORIES = {
    "field.csv": ("a,b\n" + "1" * 200_000 + ",2\n", "field larger than field limit"),
    "nul.csv": ("a,b\n1,\0\n", "is not a number"),
    "quote.csv": ('a,b\n"1,2\n', "1 cells for 2 columns"),
    "overflow.csv": ("a\n1e999\n", "is not finite"),
    "names.csv": ("history,a\n" + "\n".join(f"h{index},1" for index in range(100_000)), "split the file"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_problem_file_is_refused(tmp_path: Path, name: str) -> None:
    text, says = FILES[name]
    (tmp_path / name).write_text(text)
    start = time.monotonic()
    with pytest.raises(ProblemError, match=says):
        read_problem_file(tmp_path / name)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("name", HISTORIES)
def test_hostile_histories_are_refused(tmp_path: Path, name: str) -> None:
    text, says = HISTORIES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ProblemError, match=says) as caught:
        read_histories(tmp_path / name)
    assert name in str(caught.value)


def test_a_part_with_an_impossible_name_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "problem.toml").write_text(PLAIN.replace("HISTORIES", "a.csv").replace("PART", r"b\u0000.step"))
    with pytest.raises(InputError, match="no such file; check the path"):
        load_problem(tmp_path / "problem.toml")


@pytest.mark.parametrize("name", ["../outside.vtu", "/etc/passwd", "a/../../outside.vtu", "a&#0;.vtu", "a\0.vtu"])
def test_a_series_reads_its_own_folder_only(tmp_path: Path, name: str) -> None:
    """A PVD file names its steps; a forged one must not reach other files."""
    folder = tmp_path / "series"
    folder.mkdir()
    (tmp_path / "outside.vtu").write_text("a secret")
    (folder / "a.pvd").write_text(f'<VTKFile><Collection><DataSet timestep="0" file="{name}"/></Collection></VTKFile>')
    with pytest.raises(InputError, match=r"keep the files together|names no VTU file"):
        read_series(folder / "a.pvd", "displacement")


def test_a_series_of_beginnings_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.pvd").write_text("<DataSet " * 1_000_000)
    start = time.monotonic()
    with pytest.raises(InputError, match="names no VTU file"):
        series_files(tmp_path / "a.pvd")
    assert time.monotonic() - start < 20
    (tmp_path / "a.pvd").write_text('<DataSet timestep="soon" file="a.vtu"/>')
    with pytest.raises(InputError, match="is no number; export the series again"):
        series_files(tmp_path / "a.pvd")
