"""Runs the notebooks of this folder and stores their outputs: `make notebooks`.

Cells run in this folder, as they do when the notebook is opened here. Time stamps and version details of the machine
are left out of the stored file, so that a run that changes nothing changes little.
"""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
TIMEOUT_S = 900


def executed(path: Path, directory: Path = HERE) -> nbformat.NotebookNode:
    """A notebook with the outputs of a new run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the text holds its traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(directory)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        # What libraries warn of tells of this machine, not of the notebook.
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def main() -> None:
    """Runs all notebooks in place."""
    for path in sorted(HERE.glob("*.ipynb")):
        print(f"running {path.name} ...", flush=True)
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main()
