"""Length units: converted once, where a part comes in."""

import re

from surrogate.errors import GeometryError

METRES_PER_UNIT = {"m": 1.0, "mm": 1e-3, "cm": 1e-2, "in": 0.0254, "ft": 0.3048, "um": 1e-6}

# Statements of units are short; without a bound a file of nothing but "#1=" takes quadratic time.
_LONGEST = 1000
_PREFIXES = {
    "EXA": 1e18, "PETA": 1e15, "TERA": 1e12, "GIGA": 1e9, "MEGA": 1e6, "KILO": 1e3, "HECTO": 1e2, "DECA": 1e1,
    "DECI": 1e-1, "CENTI": 1e-2, "MILLI": 1e-3, "MICRO": 1e-6, "NANO": 1e-9, "PICO": 1e-12, "FEMTO": 1e-15,
    "ATTO": 1e-18,
}  # fmt: skip


def metres_per_unit(length_unit: str) -> float:
    """Factor of a unit's name.

    Raises:
        GeometryError: an unknown unit.
    """
    if length_unit not in METRES_PER_UNIT:
        raise GeometryError(f"length_unit {length_unit!r} is unknown; give one of {', '.join(METRES_PER_UNIT)}")
    return METRES_PER_UNIT[length_unit]


def unit_name(metres: float) -> str:
    """Name of a unit by its factor."""
    for name, factor in METRES_PER_UNIT.items():
        if abs(metres / factor - 1) < 1e-6:
            return name
    return f"{metres:g} m"


def step_scale(text: str, name: str, length_unit: str | None) -> float:
    """Metres per unit of a STEP model as gmsh reads it, which is millimetres by the file's unit.

    Args:
        text: the whole file.
        name: how messages call it.
        length_unit: what the user says; None leaves it to the file.

    Raises:
        GeometryError: neither of them says, or they contradict each other.
    """
    stated = step_length_unit(text)
    if stated is None:
        if length_unit is None:
            raise GeometryError(
                f"{name} states no length unit, or several; give the argument length_unit, one of "
                f"{', '.join(METRES_PER_UNIT)}"
            )
        return metres_per_unit(length_unit)
    if length_unit is not None and abs(metres_per_unit(length_unit) / stated - 1) > 1e-6:
        raise GeometryError(
            f"{name} is in {unit_name(stated)} by its own statement, but length_unit says {length_unit!r}; leave it out"
        )
    return 1e-3


def step_length_unit(text: str) -> float | None:
    """Metres per length unit of a STEP file (ISO 10303-41); None where it states none, or several.

    Args:
        text: the whole file.
    """
    statements = dict(re.findall(rf"#(\d+)\s*=\s*([^;]{{0,{_LONGEST}}}?LENGTH_UNIT[^;]{{0,{_LONGEST}}});", text))
    used: set[str] = set()
    for listed in re.findall(r"GLOBAL_UNIT_ASSIGNED_CONTEXT\s*\(\s*\(([^)]*)\)", text):
        used.update(re.findall(r"#(\d+)", listed))
    found = {
        round(factor, 15)
        for identifier, statement in statements.items()
        if identifier in used and (factor := _factor(text, statements, statement)) is not None
    }
    return found.pop() if len(found) == 1 else None


def _factor(text: str, statements: dict[str, str], statement: str, depth: int = 0) -> float | None:
    """Metres per unit of one LENGTH_UNIT statement, following conversion-based ones."""
    si = re.search(r"SI_UNIT\s*\(\s*(\$|\.\w+\.)\s*,\s*\.METRE\.\s*\)", statement)
    if si:
        return 1.0 if si[1] == "$" else _PREFIXES.get(si[1].strip("."))
    conversion = re.search(r"CONVERSION_BASED_UNIT\s*\(\s*'[^']*'\s*,\s*#(\d+)\s*\)", statement)
    if conversion is None or depth > 5:
        return None
    measure = re.search(
        rf"#{conversion[1]}\s*=[^;]{{0,{_LONGEST}}}?MEASURE\s*\(\s*([-+.\dEe]+)\s*\)\s*,\s*#(\d+)", text
    )
    if measure is None:
        return None
    base = _factor(text, statements, statements.get(measure[2], ""), depth + 1)
    return None if base is None else float(measure[1]) * base
