"""The parts that the users bring: the sample parts, in several sizes and file formats."""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from surrogate import load_part

MESHES = Path(__file__).parents[2] / "meshes"
# As coarse as they may be: a mixture of parts that take tenths of a second to seconds each.
SIZES_M = {"bracket": 0.015, "c_clamp": 0.0083, "clevis": 0.02, "flanged_boss": 0.025, "rib_web": 0.02}
# Sample part, suffix of its copy, how meshio calls the format.
COPIES = (("bracket", ".vtu", "vtu"), ("c_clamp", ".inp", "abaqus"), ("rib_web", ".msh", "gmsh"))


@dataclass(frozen=True)
class LoadPart:
    """A file to upload and the problem that goes with it.

    Attributes:
        path: the file.
        length_unit: to send with it, where the format carries none.
        element_size_m: to send with it, where it is still to be meshed, m.
        problem: body of a prediction, but for the mesh.
    """

    path: str
    length_unit: str | None
    element_size_m: float | None
    problem: dict[str, object]


def prepare(directory: Path) -> Path:
    """Writes the files and their list, and returns the list's path."""
    import meshio

    parts = []
    for name, size in SIZES_M.items():
        parts.append(LoadPart(str(MESHES / f"{name}.step"), None, size, _problem(name)))
    for name, suffix, form in COPIES:
        mesh = load_part(MESHES / f"{name}.step", element_size_m=SIZES_M[name])
        copy = directory / f"{name}{suffix}"
        meshio.Mesh(mesh.points, [("tetra10", mesh.cells)]).write(copy, file_format=form)
        parts.append(LoadPart(str(copy), "m", None, _problem(name)))
    listed = directory / "parts.json"
    listed.write_text(json.dumps([asdict(part) for part in parts]))
    return listed


def read(listed: Path) -> list[LoadPart]:
    """The parts of a list."""
    return [LoadPart(**entry) for entry in json.loads(listed.read_text())]


def _problem(name: str) -> dict[str, object]:
    """Material, supports and loads of a sample part, with two histories at most."""
    body = tomllib.loads((MESHES / f"{name}.toml").read_text())
    kept = {key: body[key] for key in ("material", "supports", "load_cases", "load_histories")}
    return {**kept, "load_histories": kept["load_histories"][:2]}
