"""The text of an Abaqus or CalculiX deck: keyword blocks, parts and instances. No meaning of elements here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.announced_size import check_count
from surrogate.geometry.mesh_arrays import MOST_CELLS, MOST_POINTS

# Solid elements C3D<nodes>.
SOLID_NODES = (4, 5, 6, 8, 10, 13, 15, 20)
# Members that generated sets may list together.
_MOST_MEMBERS = 4 * MOST_CELLS


@dataclass
class DeckScope:
    """What one part, or the deck outside parts, defines."""

    nodes: list[FloatArray] = field(default_factory=list)
    elements: list[tuple[str, IntArray]] = field(default_factory=list)
    node_sets: dict[str, list[str]] = field(default_factory=dict)
    element_sets: dict[str, list[str]] = field(default_factory=dict)
    surfaces: dict[str, tuple[str, list[list[str]]]] = field(default_factory=dict)
    sections: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Block:
    """A keyword line with the data lines under it."""

    keyword: str
    parameters: dict[str, str]
    rows: list[list[str]]


def read_deck(lines: Iterable[str]) -> tuple[DeckScope, list[list[float]]]:
    """The one part of a deck, merged with what stands outside parts, and the motion of its instance.

    Raises:
        TooLargeError: more points or cells than are read.
        GeometryError: several parts, other files included, or damaged numbers.
    """
    scopes: dict[str, DeckScope] = {"": DeckScope()}
    instances: list[tuple[str, list[list[float]]]] = []
    current = ""
    for block in _blocks(lines):
        match block.keyword:
            case "PART":
                current = block.parameters.get("NAME", "part").upper()
                scopes.setdefault(current, DeckScope())
            case "END PART":
                current = ""
            case "INSTANCE":
                motion = [[float(item) for item in row if item] for row in block.rows]
                instances.append((block.parameters.get("PART", "").upper(), motion))
            case "INCLUDE":
                raise GeometryError("it includes other files; paste them in, so that one file holds the mesh")
            case "SYSTEM":
                raise GeometryError(
                    "it gives nodes in another coordinate system (*SYSTEM); export it in the global one"
                )
            case _:
                _store(scopes[current], block)
    parts = [name for name, scope in scopes.items() if name and scope.elements]
    if len(instances) > 1:
        raise GeometryError(f"it assembles {len(instances)} instances; give one part a file")
    if len(parts) > 1 and not instances:
        raise GeometryError(f"it holds {len(parts)} parts ({', '.join(parts[:6])}); give one part a file")
    chosen = instances[0][0] if instances else (parts[0] if parts else "")
    outside, part = scopes[""], scopes.get(chosen, DeckScope())
    if part is outside:
        return outside, []
    merged = DeckScope(
        outside.nodes + part.nodes if not part.nodes else part.nodes,
        part.elements or outside.elements,
        outside.node_sets | part.node_sets,
        outside.element_sets | part.element_sets,
        outside.surfaces | part.surfaces,
        outside.sections | part.sections,
    )
    return merged, instances[0][1] if instances else []


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    """Keyword blocks of a deck, comments left out, keywords in capitals."""
    block: _Block | None = None
    pending = ""
    for raw in lines:
        line = raw.strip()
        if not line or line.startswith("**"):
            continue
        if line.startswith("*") or pending:
            pending += line
            if pending.endswith(","):
                continue
            if block is not None:
                yield block
            keyword, *items = [item.strip() for item in pending[1:].split(",")]
            pairs = (item.partition("=") for item in items if item)
            parameters = {key.strip().upper(): value.strip().strip('"') for key, _, value in pairs}
            block, pending = _Block(" ".join(keyword.upper().split()), parameters, []), ""
        elif block is not None:
            block.rows.append([item.strip() for item in line.split(",")])
            if len(block.rows) > MOST_POINTS:
                _check_rows(block)
    if block is not None:
        yield block


def _check_rows(block: _Block) -> None:
    """Stop reading where there are more points or cells than are read; a cell of 20 points takes two rows."""
    title, most = {"NODE": ("points", MOST_POINTS)}.get(block.keyword, ("rows of cells or sets", 2 * MOST_CELLS))
    check_count(title, len(block.rows), most)


def _store(scope: DeckScope, block: _Block) -> None:
    """Keep what a block defines."""
    parameters = block.parameters
    try:
        match block.keyword:
            case "NODE":
                rows = [[float(item or 0) for item in [*row, "0", "0", "0"][:4]] for row in block.rows]
                scope.nodes.append(np.array(rows, np.float64).reshape(-1, 4))
                check_count("points", sum(len(table) for table in scope.nodes), MOST_POINTS)
                if "NSET" in parameters:
                    scope.node_sets.setdefault(parameters["NSET"], []).extend(row[0] for row in block.rows)
            case "ELEMENT":
                _store_elements(scope, block)
            case "NSET":
                scope.node_sets.setdefault(parameters.get("NSET", "nset"), []).extend(_members(block))
            case "ELSET":
                scope.element_sets.setdefault(parameters.get("ELSET", "elset"), []).extend(_members(block))
            case "SURFACE":
                kind = parameters.get("TYPE", "ELEMENT").upper()
                scope.surfaces[parameters.get("NAME", "surface")] = (kind, block.rows)
            case keyword if keyword.endswith("SECTION"):
                scope.sections.add(parameters.get("ELSET", "").upper())
    except (ValueError, OverflowError) as error:
        raise GeometryError(f"its *{block.keyword} data is damaged ({error}); repair the file") from error


def _store_elements(scope: DeckScope, block: _Block) -> None:
    """Elements of one type; a row may go on over several lines."""
    kind = block.parameters.get("TYPE", "").upper()
    numbers = np.array([int(item) for row in block.rows for item in row if item], np.int64)
    width = 1 + _node_count(kind, block.rows)
    if len(numbers) % width:
        raise GeometryError(f"its *ELEMENT, TYPE={kind} rows do not hold {width} numbers each; repair the file")
    table = numbers.reshape(-1, width)
    scope.elements.append((kind, table))
    if "ELSET" in block.parameters:
        members = scope.element_sets.setdefault(block.parameters["ELSET"], [])
        members.extend(str(number) for number in table[:, 0].tolist())


def _node_count(kind: str, rows: list[list[str]]) -> int:
    """Nodes of an element type; of those that are no solids, what the first row holds."""
    solid = re.fullmatch(r"C3D(\d+)\w*", kind)
    if solid and int(solid[1]) in SOLID_NODES:
        return int(solid[1])
    return max(len([item for item in rows[0] if item]) - 1, 1) if rows else 1


def _members(block: _Block) -> list[str]:
    """Members of a set: numbers, or names of other sets."""
    if "GENERATE" not in block.parameters:
        return [item for row in block.rows for item in row if item]
    members: list[str] = []
    for row in block.rows:
        start, stop, *step = [int(item) for item in row if item]
        numbers = range(start, stop + 1, step[0] if step else 1)
        if len(members) + len(numbers) > _MOST_MEMBERS:
            raise GeometryError(f"its *{block.keyword}, GENERATE lists over {_MOST_MEMBERS} numbers; repair the file")
        members += [str(number) for number in numbers]
    return members
