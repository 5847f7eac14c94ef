"""Abaqus and CalculiX decks: the nodes, solid elements, sets and surfaces of one part. Runs in an isolated child.

Steps, materials and loads of the deck are left aside: the problem file states them.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.cell_conversion import VolumeCells
from surrogate.geometry.inp_deck import DeckScope, read_deck
from surrogate.geometry.shell_check import refuse_loose_facets

# Number of nodes: kind of cell. C3D10 numbers its nodes as VTK does.
_SOLIDS = {
    4: "tetrahedron", 10: "tetrahedron", 5: "pyramid", 13: "pyramid", 6: "wedge", 15: "wedge", 8: "hexahedron",
    20: "hexahedron",
}  # fmt: skip
# Sides S1, S2, … of each kind (Abaqus Analysis User's Guide, three-dimensional solid element library).
_SIDES: dict[str, tuple[tuple[int, ...], ...]] = {
    "tetrahedron": ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)),
    "pyramid": ((0, 1, 2, 3), (0, 4, 1), (1, 4, 2), (2, 4, 3), (3, 4, 0)),
    "wedge": ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (1, 4, 5, 2), (2, 5, 3, 0)),
    "hexahedron": ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)),
}
# Plane elements beside solids are the surface groups of mesh generators, not structure.
_PLANE = re.compile(r"(?:CP[SE]|S|M3D)(3|4|6|8)\w*")
_MOST_DIGITS = 18
_GMSH_ENTITY = re.compile(r"(Line|Surface|Volume)\d+")
_STRUCTURE = (
    (re.compile(r"S\d|STRI|SC\d|DS\d|SAX|SFM"), "shell"),
    (re.compile(r"B\d|PIPE|FRAME|ELBOW"), "beam"),
    (re.compile(r"T[23]D"), "truss"),
    (re.compile(r"M3D|MAX|MCL"), "membrane"),
    (re.compile(r"CP[SE]|CAX|CGAX"), "two-dimensional"),
)


def read_inp(file: Path) -> VolumeCells:
    """Read a deck.

    Raises:
        GeometryError: no solid elements, several parts, shells or beams, other files included, or damaged numbers.
    """
    with file.open(errors="replace") as lines:
        scope, motion = read_deck(lines)
    if not scope.nodes or not scope.elements:
        raise GeometryError("it has no *NODE and *ELEMENT data; is it an Abaqus or CalculiX deck?")
    table = np.concatenate(scope.nodes)
    labels, first = np.unique(table[:, 0].astype(np.int64), return_index=True)
    points = _moved(table[first, 1:4], motion)
    with file.open(errors="replace") as lines:
        by_gmsh = "gmsh" in lines.read(2000).lower()
    blocks, owners, numbers, facets = _elements(scope, labels, by_gmsh)
    refuse_loose_facets(blocks, [corners for corners, _ in facets], 0)
    if by_gmsh:
        # gmsh writes a set for each of its surfaces and volumes beside the named groups.
        scope.element_sets = {
            name: members for name, members in scope.element_sets.items() if not _GMSH_ENTITY.fullmatch(name)
        }
    sets = _Sets(scope, labels, np.concatenate(numbers))
    return sets.named(points, blocks, owners, facets)


def _moved(points: FloatArray, motion: list[list[float]]) -> FloatArray:
    """Points of an instance: translated, then turned about an axis through two points by an angle in degrees."""
    if motion and len(motion[0]) >= 3:
        points = points + np.array(motion[0][:3])
    if len(motion) > 1 and len(motion[1]) >= 7:
        a, b, angle = np.array(motion[1][:3]), np.array(motion[1][3:6]), np.radians(motion[1][6])
        k = (b - a) / np.linalg.norm(b - a)
        offset = points - a
        # Rodrigues' rotation formula
        points = a + offset * np.cos(angle) + np.cross(k, offset) * np.sin(angle)
        points = points + np.outer(offset @ k, k) * (1 - np.cos(angle))
    return points


def _elements(
    scope: DeckScope, labels: IntArray, by_gmsh: bool
) -> tuple[list[tuple[str, IntArray]], list[IntArray], list[IntArray], list[tuple[IntArray, IntArray]]]:
    """Solid blocks, the place of each cell in the deck, element numbers in that order, and facets by element number."""
    blocks: list[tuple[str, IntArray]] = []
    owners: list[IntArray] = []
    numbers: list[IntArray] = [np.zeros(0, np.int64)]
    facets: list[tuple[IntArray, IntArray]] = []
    refused: Counter[str] = Counter()
    count = 0
    for kind, table in scope.elements:
        solid = re.fullmatch(r"C3D(\d+)\w*", kind)
        plane = _PLANE.fullmatch(kind)
        if solid and int(solid[1]) in _SOLIDS:
            blocks.append((_SOLIDS[int(solid[1])], _indices(table[:, 1:], labels)))
            owners.append(np.arange(count, count + len(table), dtype=np.int32))
            numbers.append(table[:, 0])
            count += len(table)
        elif plane and (by_gmsh or kind.startswith("CP")):
            width = {"3": 3, "6": 3, "4": 4, "8": 4}[plane[1]]
            facets.append((_indices(table[:, 1 : 1 + width], labels), table[:, 0]))
        elif not (by_gmsh and kind.startswith("T3D")):
            title = next((word for sign, word in _STRUCTURE if sign.match(kind)), "other")
            refused[f"{kind or 'untyped'} ({title})"] += len(table)
    if refused:
        listed = ", ".join(f"{number} {kind}" for kind, number in refused.items())
        raise GeometryError(
            f"it holds elements {listed}; only solids C3D4, 5, 6, 8, 10, 13, 15, 20 are read; remove them"
        )
    return blocks, owners, numbers, facets


def _indices(nodes: IntArray, labels: IntArray) -> IntArray:
    """Point index of each node label."""
    place = np.minimum(np.searchsorted(labels, nodes), len(labels) - 1)
    missing = labels[place] != nodes
    if missing.any():
        raise GeometryError(f"its elements name node {nodes[missing][0]}, which it does not list; repair the file")
    return place.astype(np.int32)


def _numbers(items: list[str]) -> IntArray:
    """The numbers among the members of a set; those of more digits than a label has name nothing."""
    return np.array([int(item) for item in items if item.isdecimal() and len(item) <= _MOST_DIGITS], np.int64)


class _Sets:
    """Resolves set names to points and cells."""

    def __init__(self, scope: DeckScope, labels: IntArray, numbers: IntArray) -> None:
        self._scope, self._labels = scope, labels
        self._order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[self._order]
        self._resolved: dict[tuple[int, str], IntArray] = {}

    def named(
        self,
        points: FloatArray,
        blocks: list[tuple[str, IntArray]],
        owners: list[IntArray],
        facets: list[tuple[IntArray, IntArray]],
    ) -> VolumeCells:
        """The cells with their sets; helper sets of surfaces and the sets of whole sections are left out."""
        scope = self._scope
        helpers = {row[0].upper() for _, rows in scope.surfaces.values() for row in rows if row}
        cell_sets = {
            name: self._cells(self._resolve(name, scope.element_sets))
            for name in scope.element_sets
            if not name.startswith("_") and name.upper() not in helpers | scope.sections
        }
        point_sets = {
            name: self._points(self._resolve(name, scope.node_sets))
            for name in scope.node_sets
            if not name.startswith("_") and name.upper() not in helpers
        }
        sides: list[tuple[IntArray, IntArray]] = []
        names: dict[int, str] = {}
        for name, (kind, rows) in scope.surfaces.items():
            if kind == "NODE":
                members = [item for row in rows for item in self._resolve(row[0], scope.node_sets)]
                point_sets[name] = self._points(np.array(members, np.int64))
                continue
            names[len(names)] = name
            sides += [(corners, np.full(len(corners), len(names) - 1)) for corners in self._sides(rows, blocks, owners)]
        plane = [(corners, labels, len(names)) for corners, labels in facets]
        for name, items in scope.element_sets.items():
            wanted = _numbers(items)
            for corners, labels, _ in plane:
                held = np.isin(labels, wanted)
                if held.any():
                    names[len(names)] = name
                    sides.append((corners[held], np.full(int(held.sum()), len(names) - 1)))
        cell_sets = {name: members for name, members in cell_sets.items() if len(members)}
        return VolumeCells(points, blocks, owners, sides, names, point_sets, cell_sets)

    def _resolve(self, name: str, sets: dict[str, list[str]]) -> IntArray:
        """Numbers in a set [n], sets inside it resolved; a number stands for itself.

        Each set is resolved once: sets of sets of sets would take exponential time.
        """
        if name.isdigit():
            return _numbers([name])
        known = id(sets), name.rsplit(".", 1)[-1].upper()
        if known not in self._resolved:
            # Until it is known it is empty, so that a set which holds itself ends.
            self._resolved[known] = np.zeros(0, np.int64)
            found = next((items for key, items in sets.items() if key.upper() == known[1]), [])
            nested = [self._resolve(item, sets) for item in found if not item.isdigit()]
            self._resolved[known] = np.unique(np.concatenate([_numbers(found), *nested]))
        return self._resolved[known]

    def _points(self, labels: IntArray) -> IntArray:
        return np.flatnonzero(np.isin(self._labels, labels)).astype(np.int32)

    def _cells(self, numbers: IntArray) -> IntArray:
        return self._order[np.isin(self._numbers, numbers)].astype(np.int32)

    def _sides(
        self, rows: list[list[str]], blocks: list[tuple[str, IntArray]], owners: list[IntArray]
    ) -> Iterator[IntArray]:
        """Corners of the element sides that a surface lists; all sides where it lists elements only."""
        for row in rows:
            members = self._cells(self._resolve(row[0], self._scope.element_sets))
            side = re.fullmatch(r"S(\d)", row[1].upper()) if len(row) > 1 else None
            for (kind, cells), owner in zip(blocks, owners, strict=True):
                held = cells[np.isin(owner, members)]
                wanted = _SIDES[kind] if side is None else _SIDES[kind][int(side[1]) - 1 : int(side[1])]
                for corners in wanted:
                    if len(held):
                        yield held[:, corners]
