"""The notebooks run as they are, and what is stored in them is small and tells nothing of a machine."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from notebooks.run_notebooks import executed

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_the_tutorials_are_there() -> None:
    assert {"01_from_step_to_margin.ipynb", "02_train_your_own.ipynb"} <= {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stored_and_small(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "run `make notebooks`"
    kinds = {key for cell in code for output in cell.outputs for key in output.get("data", {})}
    assert "image/png" in kinds
    assert path.stat().st_size < 1_000_000
    text = json.dumps(notebook)
    assert not [word for word in ("/home/", "/root/", "/work/", "/tmp/", "Traceback") if word in text]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    """In a copy of its folder; its last cell asserts what the text claims."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "meshes").symlink_to(ROOT / "meshes")
    copy = shutil.copy(path, tmp_path / "notebooks")
    notebook = executed(Path(copy), tmp_path / "notebooks")
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
