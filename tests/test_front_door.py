"""The public names are decided, not accidental."""

import ast
import inspect
import os
import subprocess
import sys
import types
from pathlib import Path

import surrogate

FRONT_DOOR = Path(surrogate.__file__)


def names_brought_in() -> set[str]:
    """Every name without a leading underscore that the front door binds, read from its source.

    Reading the source leaves out the rooms that Python adds as attributes when they are imported.
    """
    bound: set[str] = set()
    tree = ast.parse(FRONT_DOOR.read_text())
    for_types = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
    for node in [*tree.body, *for_types]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign):
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
    return {name for name in bound if not name.startswith("_")}


def test_exported_and_declared_names_agree() -> None:
    assert names_brought_in() == {name for name in surrogate.__all__ if not name.startswith("_")}


def test_declared_names_are_sorted_and_exist() -> None:
    assert list(surrogate.__all__) == sorted(surrogate.__all__)
    assert not [name for name in surrogate.__all__ if not hasattr(surrogate, name)]


def test_no_module_passes_the_front_door() -> None:
    assert not [name for name in surrogate.__all__ if isinstance(getattr(surrogate, name), types.ModuleType)]


def test_every_noun_and_verb_is_documented() -> None:
    nouns_and_verbs = {
        name: getattr(surrogate, name)
        for name in surrogate.__all__
        if inspect.isfunction(getattr(surrogate, name)) or inspect.isclass(getattr(surrogate, name))
    }
    assert nouns_and_verbs
    # A dataclass without a docstring is given its signature as one, which tells nothing.
    bare = [name for name, it in nouns_and_verbs.items() if not it.__doc__ or it.__doc__.startswith(f"{name}(")]
    assert not bare, f"without a docstring: {bare}"


def test_solve_and_predict_are_two_ends_of_one_seam() -> None:
    """Whatever takes the one takes the other: a Problem in, Fields out."""
    solve, predict = inspect.signature(surrogate.solve), inspect.signature(surrogate.predict)
    assert next(iter(solve.parameters)) == next(iter(predict.parameters)) == "problem"
    assert solve.return_annotation == predict.return_annotation
    assert "progress" in solve.parameters and "progress" in predict.parameters


def test_importing_the_library_loads_no_mesher_and_no_renderer() -> None:
    """gmsh and VTK may abort the process that imports them; they live in child processes."""
    code = (
        "import sys; from surrogate import *\n"
        "print(sorted({'gmsh', 'vtk', 'vtkmodules', 'pyvista', 'meshio'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}
    ).stdout
    assert printed.strip() == "[]"
