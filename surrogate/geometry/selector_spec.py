"""Selectors as plain data, as problem files and requests write them, and back.

{name: "lug"} | {cylinder: {radius_m, tolerance, axis, hole}} | {plane: {normal, at}} | {box: [[x, y, z], [x, y, z]]}
| {face_ids: [3, 7]} | {any: [...]} | {all: [...]} | {not: {...}}, each with an optional expect
"""

import math
from collections.abc import Callable, Mapping, Sequence

from surrogate.errors import SelectorError
from surrogate.geometry.selector_kinds import (
    AllSelector,
    AnySelector,
    BoxSelector,
    CylinderSelector,
    FaceIdSelector,
    NameSelector,
    NotSelector,
    PlaneSelector,
    Selector,
)
from surrogate.geometry.tet_mesh import Vector

_DEEPEST = 20
# Selectors in a selector, at any depth.
_MOST_SELECTORS = 500


def parse_selector(spec: Mapping[str, object]) -> Selector:
    """Build a selector from plain data.

    Raises:
        SelectorError: not one of the forms; the message names the allowed keys.
    """
    if _selectors_in(spec, 0) > _MOST_SELECTORS:
        raise SelectorError(f"a selector of more than {_MOST_SELECTORS} selectors; give a box, or face_ids")
    return _parse(spec, 0)


def _selectors_in(spec: object, depth: int) -> int:
    """How many selectors a selector consists of, as far down as they may be nested."""
    if not isinstance(spec, Mapping) or depth > _DEEPEST:
        return 1
    members = [spec.get("not"), *(item for key in ("any", "all") for item in _sequence(spec.get(key)))]
    return 1 + sum(_selectors_in(member, depth + 1) for member in members if member is not None)


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _parse(spec: object, depth: int) -> Selector:
    allowed = ", ".join(_PARSERS)
    table = _table(spec, "a selector")
    if depth > _DEEPEST:
        raise SelectorError(f"selectors are nested deeper than {_DEEPEST}; flatten them")
    kinds = [key for key in table if key != "expect"]
    if len(kinds) != 1 or kinds[0] not in _PARSERS:
        given = ", ".join(repr(key) for key in table) or "nothing"
        raise SelectorError(f"a selector has exactly one of the keys {allowed}, and optionally expect; got {given}")
    expect = table.get("expect")
    if expect is not None and (not isinstance(expect, int) or isinstance(expect, bool) or expect < 1):
        raise SelectorError(f"expect must be a whole number of faces, at least 1; got {expect!r}")
    return _PARSERS[kinds[0]](table[kinds[0]], expect, depth)


def _parse_name(value: object, expect: int | None, depth: int) -> Selector:
    if not isinstance(value, str) or not value:
        raise SelectorError(f"name must be a non-empty text, got {value!r}")
    return NameSelector(value, expect)


def _parse_cylinder(value: object, expect: int | None, depth: int) -> Selector:
    table = _table(value, "cylinder", ("radius_m", "tolerance", "axis", "hole"))
    if "radius_m" not in table:
        raise SelectorError("cylinder needs radius_m, its radius in metres")
    radius = _number(table["radius_m"], "radius_m")
    tolerance = _number(table.get("tolerance", 0.02), "tolerance")
    if radius <= 0 or not 0 < tolerance < 1:
        raise SelectorError(f"cylinder needs radius_m > 0 and 0 < tolerance < 1, got {radius:g} and {tolerance:g}")
    axis, hole = table.get("axis"), table.get("hole")
    if hole is not None and not isinstance(hole, bool):
        raise SelectorError(f"hole must be true or false, got {hole!r}")
    return CylinderSelector(radius, tolerance, None if axis is None else _direction(axis, "axis"), hole, expect)


def _parse_plane(value: object, expect: int | None, depth: int) -> Selector:
    table = _table(value, "plane", ("normal", "at"))
    if "normal" not in table:
        raise SelectorError("plane needs normal, its outward direction [x, y, z]")
    normal, at = _direction(table["normal"], "normal"), table.get("at")
    if at is None:
        return PlaneSelector(normal, None, expect)
    if at == "min":
        return PlaneSelector(normal, "min", expect)
    if at == "max":
        return PlaneSelector(normal, "max", expect)
    raise SelectorError(f'at must be "min" or "max", got {at!r}')


def _parse_box(value: object, expect: int | None, depth: int) -> Selector:
    corners = _list(value, "box")
    if len(corners) != 2:
        raise SelectorError(f"box has two corners [[x, y, z], [x, y, z]] in metres, got {len(corners)}")
    first, second = _vector(corners[0], "box"), _vector(corners[1], "box")
    (x0, x1), (y0, y1), (z0, z1) = (sorted(pair) for pair in zip(first, second, strict=True))
    return BoxSelector((x0, y0, z0), (x1, y1, z1), expect)


def _parse_face_ids(value: object, expect: int | None, depth: int) -> Selector:
    ids = _list(value, "face_ids")
    if not ids or not all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in ids):
        raise SelectorError(f"face_ids is a list of at least one whole number, not negative; got {value!r}")
    return FaceIdSelector(tuple(item for item in ids if isinstance(item, int)), expect)


def _parse_any(value: object, expect: int | None, depth: int) -> Selector:
    return AnySelector(_members(value, "any", depth), expect)


def _parse_all(value: object, expect: int | None, depth: int) -> Selector:
    return AllSelector(_members(value, "all", depth), expect)


def _parse_not(value: object, expect: int | None, depth: int) -> Selector:
    return NotSelector(_parse(value, depth + 1), expect)


_PARSERS: dict[str, Callable[[object, int | None, int], Selector]] = {
    "name": _parse_name,
    "cylinder": _parse_cylinder,
    "plane": _parse_plane,
    "box": _parse_box,
    "face_ids": _parse_face_ids,
    "any": _parse_any,
    "all": _parse_all,
    "not": _parse_not,
}


def _members(value: object, what: str, depth: int) -> tuple[Selector, ...]:
    members = tuple(_parse(item, depth + 1) for item in _list(value, what))
    if not members:
        raise SelectorError(f"{what} needs at least one selector")
    return members


def _table(value: object, what: str, allowed: Sequence[str] = ()) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise SelectorError(f"{what} must be a table of keys, got {value!r}")
    table = {str(key): item for key, item in value.items()}
    unknown = [key for key in table if allowed and key not in allowed]
    if unknown:
        raise SelectorError(f"{what} has no key {unknown[0]!r}; allowed are {', '.join(allowed)}")
    return table


def _list(value: object, what: str) -> list[object]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SelectorError(f"{what} must be a list, got {value!r}")
    return list(value)


def _number(value: object, what: str) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        # A whole number of more digits than a float has.
        value = math.inf
    raise SelectorError(f"{what} must be a finite number, got {value!r}")


def _vector(value: object, what: str) -> Vector:
    items = _list(value, what)
    if len(items) != 3:
        raise SelectorError(f"{what} needs three numbers [x, y, z], got {value!r}")
    x, y, z = (_number(item, what) for item in items)
    return x, y, z


def _direction(value: object, what: str) -> Vector:
    vector = _vector(value, what)
    if math.hypot(*vector) == 0:
        raise SelectorError(f"{what} must not be the zero vector")
    return vector


def selector_spec(selector: Selector) -> dict[str, object]:
    """Plain data of a selector; `parse_selector` of it gives an equal selector."""
    spec: dict[str, object]
    match selector:
        case NameSelector():
            spec = {"name": selector.name}
        case CylinderSelector():
            cylinder: dict[str, object] = {"radius_m": selector.radius_m, "tolerance": selector.tolerance}
            if selector.axis is not None:
                cylinder["axis"] = list(selector.axis)
            if selector.hole is not None:
                cylinder["hole"] = selector.hole
            spec = {"cylinder": cylinder}
        case PlaneSelector():
            plane: dict[str, object] = {"normal": list(selector.normal)}
            if selector.at is not None:
                plane["at"] = selector.at
            spec = {"plane": plane}
        case BoxSelector():
            spec = {"box": [list(selector.low), list(selector.high)]}
        case FaceIdSelector():
            spec = {"face_ids": list(selector.face_ids)}
        case AnySelector():
            spec = {"any": [selector_spec(member) for member in selector.of]}
        case AllSelector():
            spec = {"all": [selector_spec(member) for member in selector.of]}
        case NotSelector():
            spec = {"not": selector_spec(selector.of)}
    if selector.expect is not None:
        spec["expect"] = selector.expect
    return spec
