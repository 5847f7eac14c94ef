"""A wheel holds everything that the program reads at run time, and nothing that it does not need."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, so that no build folder of another run can slip in."""
    copy = tmp_path_factory.mktemp("sources")
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    for package in ("surrogate", "api"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", out, copy], check=True, capture_output=True, text=True)
    (built,) = out.glob("jepa_surrogate-*.whl")
    return zipfile.ZipFile(built)


def is_source_of_page(path: Path) -> bool:
    """The page is served as it was built; its sources and their tools are for those who change it."""
    inside = path.relative_to(ROOT).parts
    return inside[:2] == ("api", "web") and inside[2] != "dist"


@pytest.mark.slow
@pytest.mark.parametrize("package", ["surrogate", "api"])
def test_every_file_of_a_package_is_in_the_wheel(wheel: zipfile.ZipFile, package: str) -> None:
    """Templates, weights, model cards, the page: a package that is installed is the package that was tested."""
    tracked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not is_source_of_page(path)
    }
    assert tracked <= set(wheel.namelist()), sorted(tracked - set(wheel.namelist()))


@pytest.mark.slow
def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"surrogate", "api"}
    assert any(name.endswith("LICENSE") for name in wheel.namelist())


@pytest.mark.slow
def test_a_model_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    """`surrogate predict` works right after `pip install`: weights, configuration and card."""
    models = [name for name in wheel.namelist() if name.startswith("surrogate/serving/models/")]
    assert {Path(name).suffix for name in models} >= {".safetensors", ".json", ".md"}


def test_the_distribution_is_named_as_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "jepa-surrogate"
    assert project["scripts"] == {"surrogate": "surrogate.cli:app"}
    assert {"dev", "ray", "s3"} <= set(project["optional-dependencies"])
    assert "torch>=2.8,<2.14" in project["dependencies"]
    assert project["license"] == "Apache-2.0"


def test_make_test_is_what_ci_runs() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1].endswith("make --no-print-directory test")
    assert not [line for line in lines if "install" in line or "|| true" in line]
