"""Nastran decks: grid points, solid elements and sets. Runs in an isolated child.

Case control, materials and loads are left aside: the problem file states them. Rigid elements, masses and springs too:
they carry loads and supports, which are given on faces here.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import CORNERS, VolumeCells
from surrogate.geometry.mesh_arrays import MOST_CELLS
from surrogate.geometry.shell_check import refuse_loose_facets

_SOLIDS = {
    "CTETRA": ("tetrahedron", 10), "CPYRAM": ("pyramid", 13), "CPYRA": ("pyramid", 13), "CPENTA": ("wedge", 15),
    "CHEXA": ("hexahedron", 20),
}  # fmt: skip
_STRUCTURE = {
    **dict.fromkeys(
        ("CTRIA3", "CTRIA6", "CTRIAR", "CQUAD4", "CQUAD8", "CQUADR", "CQUAD", "CSHEAR", "CTRIAX", "CTRIAX6"), "shell"
    ),
    **dict.fromkeys(("CBAR", "CBEAM", "CBEAM3", "CBEND", "CROD", "CONROD", "CTUBE"), "beam"),
}
# Numbers that the lists of one set may hold together.
_MOST_MEMBERS = 4 * MOST_CELLS
_MOST_DIGITS = 16
_BEGIN = re.compile(r"\s*BEGIN\s+BULK", re.IGNORECASE)
_SYSTEMS = ("CORD1R", "CORD1C", "CORD1S", "CORD2C", "CORD2S")


def read_bdf(file: Path) -> VolumeCells:
    """Read a deck; grid sets SET1 and SPC1 name faces ("SET1 4", "SPC1 2"), properties of solids too ("PSOLID 3").

    Raises:
        GeometryError: no solid elements, shells or beams, other files included, or damaged numbers.
    """
    grids: dict[int, list[float]] = {}
    systems_of: dict[int, int] = {}
    systems: dict[int, FloatArray] = {}
    solids: dict[str, list[list[int]]] = {kind: [] for kind in CORNERS}
    point_sets: dict[str, list[int]] = {}
    facets: dict[int, list[list[int]]] = {3: [], 4: []}
    refused: Counter[str] = Counter()
    with file.open(errors="replace") as lines:
        by_gmsh = "gmsh" in lines.read(2000).lower()
    for name, fields in _cards(file):
        try:
            if name == "GRID":
                number, system, *xyz = (fields + [""] * 5)[:5]
                grids[_label(number)] = [_real(item) for item in xyz]
                systems_of[int(number)] = _label(system or "0")
            elif name in _SOLIDS:
                kind, most = _SOLIDS[name]
                solids[kind].append([_label(item or "0") for item in (fields + [""] * (2 + most))[: 2 + most]])
            elif name == "CORD2R":
                systems[int(fields[0])] = _rectangular(fields)
            elif name in ("SET1", "SPC1"):
                items = fields[1:] if name == "SET1" else fields[2:]
                members = point_sets.setdefault(f"{name} {fields[0]}", [])
                members += _listed(items, _MOST_MEMBERS - len(members))
            elif name == "INCLUDE":
                raise GeometryError("it includes other files; paste them in, so that one file holds the mesh")
            elif by_gmsh and name in ("CTRIA3", "CQUAD4"):
                # gmsh writes its surfaces as shells and its curves as bars
                width = int(name[-1])
                facets[width].append([_label(fields[place]) for place in range(1, 2 + width)])
            elif name in _STRUCTURE and not by_gmsh:
                refused[name] += 1
        except (ValueError, IndexError, OverflowError) as error:
            raise GeometryError(f"its card {name} {', '.join(fields[:6])} is damaged ({error})") from error
    if refused:
        listed = ", ".join(f"{number} {name} ({_STRUCTURE[name]})" for name, number in refused.items())
        raise GeometryError(f"it holds {listed}; only solids {', '.join(_SOLIDS)} are read; remove them")
    if not grids or not any(solids.values()):
        raise GeometryError("it has no GRID points with solid elements; is it a Nastran deck of a solid?")
    return _assemble(grids, systems_of, systems, solids, point_sets, facets)


def _assemble(
    grids: dict[int, list[float]],
    systems_of: dict[int, int],
    systems: dict[int, FloatArray],
    solids: dict[str, list[list[int]]],
    point_sets: dict[str, list[int]],
    facets: dict[int, list[list[int]]],
) -> VolumeCells:
    """Number points and cells from zero."""
    labels = np.array(sorted(grids), np.int64)
    points = np.array([grids[label] for label in labels.tolist()], np.float64)
    for system in set(systems_of.values()) - {0}:
        if system not in systems:
            raise GeometryError(f"its grids stand in coordinate system {system}, which is no CORD2R; use the basic one")
        rows = np.array([systems_of[label] == system for label in labels.tolist()])
        frame = systems[system]
        points[rows] = frame[0] + points[rows] @ frame[1:]
    blocks: list[tuple[str, IntArray]] = []
    owners: list[IntArray] = []
    properties: list[IntArray] = []
    count = 0
    for kind, elements in solids.items():
        if not elements:
            continue
        table = np.array(elements, np.int64)
        width = CORNERS[kind] if kind != "tetrahedron" or (table[:, 6:] == 0).any() else 10
        blocks.append((kind, _indices(table[:, 2 : 2 + width], labels)))
        owners.append(np.arange(count, count + len(table), dtype=np.int32))
        properties.append(table[:, 1])
        count += len(table)
    sides: list[tuple[IntArray, IntArray]] = [
        (_indices(table[:, 1:], labels), table[:, 0].astype(np.int32))
        for rows in facets.values()
        if rows
        for table in [np.array(rows, np.int64)]
    ]
    refuse_loose_facets(blocks, [corners for corners, _ in sides], 0)
    which = np.concatenate(properties)
    cell_sets: dict[str, IntArray] = {
        f"PSOLID {p}": np.flatnonzero(which == p).astype(np.int32) for p in np.unique(which).tolist()
    }
    sets: dict[str, IntArray] = {
        name: np.flatnonzero(np.isin(labels, members)).astype(np.int32) for name, members in point_sets.items()
    }
    return VolumeCells(points, blocks, owners, sides, {}, sets, cell_sets if len(cell_sets) > 1 else {})


def _indices(nodes: IntArray, labels: IntArray) -> IntArray:
    """Point index of each grid number."""
    place = np.minimum(np.searchsorted(labels, nodes), len(labels) - 1)
    missing = labels[place] != nodes
    if missing.any():
        raise GeometryError(f"its elements name grid {nodes[missing][0]}, which it does not list; repair the file")
    return place.astype(np.int32)


def _cards(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Bulk data cards: name and fields, continuations joined."""
    with file.open(errors="replace") as lines:
        begin = next((number for number, line in enumerate(lines) if _BEGIN.match(line)), -1)
        lines.seek(0)
        yield from _joined(islice(lines, begin + 1, None))


def _joined(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    """Cards of the lines of a bulk data section."""
    name, fields = "", list[str]()
    for raw in lines:
        line = raw.split("$", 1)[0].rstrip().expandtabs(8)
        if not line.strip():
            continue
        if line.strip().upper().startswith("ENDDATA"):
            break
        first, rest = _split(line)
        if first.strip("*") == "" or first.startswith(("+", "*")):
            fields += rest
            continue
        if name:
            yield name, _trimmed(fields)
        name, fields = first.rstrip("*").upper(), rest
    if name:
        yield name, _trimmed(fields)


def _split(line: str) -> tuple[str, list[str]]:
    """First field and the data fields of one line: free, small or large format."""
    if "," in line:
        first, *rest = [item.strip() for item in line.split(",")]
        return first, (rest + [""] * 8)[:4] if "*" in first else (rest + [""] * 8)[:8]
    first = line[:8].strip()
    if first.upper().startswith("INCLUDE"):
        return "INCLUDE", []
    width, count = (16, 4) if "*" in first else (8, 8)
    return first, [line[8 + i * width : 8 + (i + 1) * width].strip() for i in range(count)]


def _trimmed(fields: list[str]) -> list[str]:
    """Fields without empty ones at the end."""
    end = len(fields)
    while end and not fields[end - 1]:
        end -= 1
    return fields[:end]


def _label(text: str) -> int:
    """A number of a point or cell.

    Raises:
        ValueError: no number, or more digits than Nastran has.
    """
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:_MOST_DIGITS]}… is no label")
    return int(text)


def _real(text: str) -> float:
    """A Nastran real: 1.5, 1.5-3 for 1.5e-3, 1.5D0, or blank for zero."""
    plain = text.strip().upper().replace("D", "E")
    if not plain:
        return 0.0
    return float(re.sub(r"(?<=[\d.])([-+])(?=\d+$)", r"E\1", plain) if "E" not in plain else plain)


def _listed(items: list[str], most: int) -> list[int]:
    """Numbers of a list with THRU.

    Raises:
        GeometryError: more than a limit, as a damaged range has.
    """
    numbers: list[int] = []
    plain = [item.upper() for item in items if item]
    for index, item in enumerate(plain):
        if item == "THRU":
            between = range(int(plain[index - 1]) + 1, int(plain[index + 1]))
            if len(numbers) + len(between) > most:
                raise GeometryError(f"its sets list over {_MOST_MEMBERS} numbers, by a THRU; repair the file")
            numbers += between
        elif item.isdigit():
            numbers.append(int(item))
    return numbers


def _rectangular(fields: list[str]) -> FloatArray:
    """Origin and the three unit directions of a CORD2R in the basic system [4, 3]."""
    if int(fields[1] or 0) != 0:
        raise GeometryError("its coordinate systems refer to each other; export it in the basic system")
    a, b, c = np.array([_real(item) for item in (fields[2:] + [""] * 9)[:9]]).reshape(3, 3)
    z = (b - a) / np.linalg.norm(b - a)
    y = np.cross(z, c - a)
    y /= np.linalg.norm(y)
    return np.stack([a, np.cross(y, z), y, z])
