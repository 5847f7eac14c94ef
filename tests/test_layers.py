"""Imports point down: the layout of the packages is a law, not a habit.

The imports are read from the syntax tree, so those inside functions count as much as those at the top.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Lowest first. Rooms of one rank are siblings and never import each other.
RANKS = (
    {"errors"},
    {"fields"},
    {"geometry"},
    {"physics"},
    {"model", "data"},
    {"serving"},
    {"training", "screening", "client"},
    {"__init__"},
    {"cli", "__main__"},
)
RANK_OF = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}


def imported_modules(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything a file imports; `from a import b` gives `a.b` too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def room_of(dotted: str) -> str:
    """The room of `surrogate` that a dotted name lies in; a name of the front door itself gives `__init__`."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK_OF else "__init__"


def upward_imports(source: str, path: Path) -> list[str]:
    """Imports of a file of `surrogate` that do not point down."""
    room = path.parts[1].removesuffix(".py")
    package = ".".join(path.parent.parts)
    found = []
    for line, name in imported_modules(source, package):
        if name.split(".")[0] == "api" and room != "cli":
            found.append(f"{path}:{line} surrogate.{room} imports {name}: the service is above the library")
        if name.split(".")[0] != "surrogate":
            continue
        target = room_of(name)
        if target != room and RANK_OF[target] >= RANK_OF[room]:
            found.append(f"{path}:{line} {room} imports {name}")
    return found


def rooms_behind_the_front_door(source: str, path: Path) -> list[str]:
    """Imports of a file of `api` that reach past `from surrogate import ...`.

    The client is the service's other half: what goes over the wire is written down once, with it.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
            if node.module == "surrogate":
                names += [f"surrogate.{alias.name}" for alias in node.names if alias.name in RANK_OF]
        past = [name for name in names if name.startswith("surrogate.") and room_of(name) != "client"]
        found += [f"{path}:{node.lineno} imports {name}" for name in past]
    return found


def sources(package: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def test_imports_of_the_library_point_down() -> None:
    upward = [line for path in sources("surrogate") for line in upward_imports((ROOT / path).read_text(), path)]
    assert not upward, "\n".join(upward)


def test_the_service_uses_the_front_door_only() -> None:
    past = [line for path in sources("api") for line in rooms_behind_the_front_door((ROOT / path).read_text(), path)]
    assert not past, "\n".join(past)


def test_every_room_has_a_rank() -> None:
    rooms = {path.parts[1].removesuffix(".py") for path in sources("surrogate")}
    assert rooms <= set(RANK_OF), f"give these a rank in RANKS: {sorted(rooms - set(RANK_OF))}"


@pytest.mark.parametrize("package", ["surrogate", "api"])
def test_there_are_two_levels_and_no_third(package: str) -> None:
    deep = [str(path) for path in sources(package) if len(path.parts) > 3]
    assert not deep, f"modules below the second level: {deep}"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("surrogate/physics/solver.py", "from surrogate.serving.service import predict"),
        ("surrogate/physics/solver.py", "def f():\n    import surrogate.model.jepa"),
        ("surrogate/model/graph.py", "from surrogate.data import dataset"),
        ("surrogate/data/dataset.py", "from ..model import graph"),
        ("surrogate/geometry/faces.py", "from surrogate import solve"),
        ("surrogate/errors.py", "from surrogate.fields import Fields"),
        ("surrogate/serving/service.py", "from api.app import app"),
        ("surrogate/client/client.py", "from api.schemas import MeshView"),
        ("surrogate/serving/service.py", "from surrogate.client import Client"),
    ],
)
def test_an_arrow_that_points_up_is_found(path: str, source: str) -> None:
    assert upward_imports(source, Path(path))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("surrogate/physics/solver.py", "from surrogate.geometry.tet_mesh import TetMesh\nfrom . import elastic"),
        ("surrogate/training/trainer.py", "from surrogate.serving import service\nimport numpy"),
        ("surrogate/__init__.py", "from surrogate.serving.service import predict"),
        ("surrogate/cli.py", "from surrogate import solve\nfrom surrogate.training import trainer"),
        ("surrogate/cli.py", "def serve():\n    from api.app import serve"),
    ],
)
def test_an_arrow_that_points_down_is_not(path: str, source: str) -> None:
    assert not upward_imports(source, Path(path))


def test_a_room_behind_the_front_door_is_found() -> None:
    path = Path("api/app.py")
    assert rooms_behind_the_front_door("from surrogate.serving.service import predict", path)
    assert rooms_behind_the_front_door("def f():\n    from surrogate import physics", path)
    assert not rooms_behind_the_front_door("from surrogate.client.wire import MeshView", path)
    assert not rooms_behind_the_front_door("from surrogate import predict\nfrom api.settings import Settings", path)
