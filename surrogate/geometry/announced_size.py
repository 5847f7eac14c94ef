"""The size that a mesh file announces, checked before the file is read: a forged or huge count costs nothing then.

Runs in an isolated child. What a file hides from these searches meets the limits of the child, and the count
of what was read.
"""

import mmap
import re
from pathlib import Path

from surrogate.errors import GeometryError, TooLargeError
from surrogate.geometry.mesh_arrays import MOST_CELLS, MOST_POINTS

_VTK_TYPE = re.compile(rb"<VTKFile\b[^>]{0,500}?\btype\s*=\s*[\"']([^\"']{1,40})")
_VTK_SIZE = re.compile(rb"\bNumberOf(Points|Cells)\s*=\s*[\"']\s*(\d{1,20})")
_LEGACY_SIZE = re.compile(rb"^[ \t]*(POINTS|CELLS)[ \t]+(\d{1,20})", re.IGNORECASE | re.MULTILINE)
_MSH_START = re.compile(rb"\$(MeshFormat|Comments|NOD)")
_MSH_FORMAT = re.compile(rb"\$MeshFormat\s+([\d.]+)\s+(\d)")
_MSH_SECTION = re.compile(rb"\$(Nodes|NOD|Elements|ELM)\r?\n")
_GRID = re.compile(rb"^GRID\b", re.IGNORECASE | re.MULTILINE)


def check_announced_size(file: Path, kind: str) -> None:
    """Refuse a volume mesh file that announces more than is read, or holds an index of other files.

    Args:
        file: not empty.
        kind: key of `FORMATS`.

    Raises:
        TooLargeError: too many points or cells.
        GeometryError: no mesh in this file itself.
    """
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if kind == "vtu":
            _check_vtk_type(data)
            found = [(title.decode().lower(), int(count)) for title, count in _VTK_SIZE.findall(data)]
        elif kind == "vtk":
            found = [(title.decode().lower(), int(count)) for title, count in _LEGACY_SIZE.findall(data)]
        elif kind == "msh":
            found = _msh_sizes(data)
        elif kind == "bdf":
            found = [("points", sum(1 for _ in _GRID.finditer(data)))]
        else:
            found = []
    for title, most in (("points", MOST_POINTS), ("cells", MOST_CELLS)):
        check_count(title, sum(count for name, count in found if name == title), most)


def check_count(title: str, count: int, most: int) -> None:
    """Refuse more than a limit.

    Raises:
        TooLargeError: too many.
    """
    if count > most:
        raise TooLargeError(f"it has {count} {title}, the limit is {most}; use larger elements")


def _check_vtk_type(data: mmap.mmap) -> None:
    """Refuse other data sets, above all indices of pieces in other files."""
    found = _VTK_TYPE.search(data, 0, 1 << 16)
    if found and found[1] != b"UnstructuredGrid":
        title = found[1].decode(errors="replace")
        others = ", which names other files" if title.startswith("P") and title != "PolyData" else ""
        raise GeometryError(f"it holds {title}{others}; save the mesh as one UnstructuredGrid in a file of its own")


def _msh_sizes(data: mmap.mmap) -> list[tuple[str, int]]:
    """Points and cells of gmsh's format; versions 4 tell the number of blocks first, in binary files as size_t."""
    # gmsh takes any other beginning for a script in its own language, and runs it.
    if _MSH_START.match(data) is None:
        raise GeometryError("it does not begin with $MeshFormat; remove what stands before it, or write it again")
    stated = _MSH_FORMAT.search(data, 0, 1 << 16)
    fourth, binary = (stated[1].startswith(b"4"), stated[2] == b"1") if stated else (False, False)
    found: list[tuple[str, int]] = []
    for section in _MSH_SECTION.finditer(data):
        title = "points" if section[1] in (b"Nodes", b"NOD") else "cells"
        head = data[section.end() : section.end() + 200]
        if fourth and binary:
            count = int.from_bytes(head[8:16], "little")
        else:
            numbers = re.findall(rb"\d{1,20}", head.split(b"\n", 1)[0])
            count = int(numbers[1 if fourth and len(numbers) > 1 else 0]) if numbers else 0
        found.append((title, count))
    return found
