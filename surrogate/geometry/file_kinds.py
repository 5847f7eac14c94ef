"""Which format a file has: by its suffix, checked against its first bytes."""

import re
from dataclasses import dataclass
from pathlib import Path

from surrogate.errors import GeometryError, UnsupportedFormatError


@dataclass(frozen=True)
class Format:
    """A format that parts come in.

    Attributes:
        title: what people call it.
        suffixes: lower case.
        meshed: whether it holds a geometry to be meshed, not a volume mesh.
    """

    title: str
    suffixes: tuple[str, ...]
    meshed: bool


FORMATS = {
    "step": Format("STEP", (".step", ".stp"), True),
    "stl": Format("STL", (".stl",), True),
    "obj": Format("Wavefront OBJ", (".obj",), True),
    "vtu": Format("VTK XML unstructured grid", (".vtu",), False),
    "vtk": Format("VTK legacy", (".vtk",), False),
    "msh": Format("gmsh MSH", (".msh",), False),
    "inp": Format("Abaqus or CalculiX deck", (".inp",), False),
    "bdf": Format("Nastran deck", (".bdf", ".nas"), False),
}

# What the first bytes of a file say it is, whatever its suffix. Repeated groups are atomic, (?>…), and so tried in one
# way only: a head of many comments would take exponential time.
_SIGNS: tuple[tuple[str, bytes], ...] = (
    ("STEP", rb"\s*(?>/\*.*?\*/\s*)*ISO-10303-21"),
    ("gmsh MSH", rb"\s*\$(MeshFormat|Comments|NOD|PhysicalNames)"),
    ("FrontISTR mesh", rb"\s*(?>#[^\n]*\n\s*)*!(HEADER|NODE|ELEMENT)"),
    ("ANSYS Fluent mesh", rb"\s*\(\s*0\s+\""),
    ("VTK XML", rb"\s*(<\?xml[^>]*>\s*)?(?><!--.*?-->\s*)*<VTKFile"),
    ("XML", rb"\s*<[?!a-zA-Z]"),
    ("VTK legacy", rb"# vtk DataFile"),
    ("gzip", rb"\x1f\x8b"),
    ("zip", rb"PK\x03\x04"),
    ("PDF", rb"%PDF"),
    ("HDF5", rb"\x89HDF"),
    ("IGES", rb".{72}S\s{0,6}\d"),
)
_EXPECTED = {"step": "STEP", "vtu": "VTK XML", "vtk": "VTK legacy", "msh": "gmsh MSH"}


def file_format(path: Path) -> str:
    """Key in `FORMATS` of a file by its suffix, without .gz.

    Raises:
        UnsupportedFormatError: no such format.
    """
    name = path.name.lower().removesuffix(".gz")
    for key, format_ in FORMATS.items():
        if name.endswith(format_.suffixes):
            return key
    known = ", ".join(suffix for format_ in FORMATS.values() for suffix in format_.suffixes[:2])
    raise UnsupportedFormatError(f"{path.name}: no reader for this suffix; give one of {known}, each also with .gz")


def check_content(file: Path, kind: str, name: str) -> None:
    """Refuse a file whose content is another format than its suffix says.

    Raises:
        UnsupportedFormatError: it is another format, which the message names.
        GeometryError: it is empty.
    """
    with file.open("rb") as stream:
        head = stream.read(4096)
        stream.seek(max(0, file.stat().st_size - 4096))
        tail = stream.read()
    if not head.strip():
        raise GeometryError(f"{name} is empty; export it again")
    found = next((title for title, sign in _SIGNS if re.match(sign, head, re.DOTALL)), None)
    expected = _EXPECTED.get(kind)
    if found is not None and found != expected:
        raise UnsupportedFormatError(
            f"{name} is a {found} file, not {FORMATS[kind].title} as its suffix says; "
            "give it its right suffix, or export it in a format that is read"
        )
    if expected is not None and found is None:
        raise UnsupportedFormatError(f"{name} is not a {FORMATS[kind].title} file; its first bytes are {head[:24]!r}")
    if kind == "step" and b"END-ISO-10303-21" not in tail:
        raise GeometryError(f"{name} is cut off: its last line END-ISO-10303-21 is missing; export it again")
