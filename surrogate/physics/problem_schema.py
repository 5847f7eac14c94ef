"""The structure of a problem file, checked by pydantic: every key it may have, with its unit and its limits.

`ProblemSpec` is what REST takes as JSON; `ProblemFile` adds the part, its unit and a CSV of histories.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    JsonValue,
    Tag,
    ValidationError,
    model_validator,
)

from surrogate.physics.problem import Direction

# What a request may ask for at most; far above what a part is sized against, far below what exhausts memory.
MAX_CASES = 50
MAX_HISTORIES = 2000
MAX_STEPS = 5000
MAX_FACTORS = 5_000_000
MAX_TABLE_ROWS = 1000
_MOST_KEYS = 100

LOAD_KINDS = ("force_n", "bearing_force_n", "moment_nm", "traction_pa", "pressure_pa", "acceleration_m_s2")
HARDENING_LAWS = ("linear_modulus_pa", "voce", "table")

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NumberVector = tuple[Number, Number, Number]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, data: object) -> object:
        """One error where each of a million unknown keys would be one."""
        if isinstance(data, Mapping) and len(data) > _MOST_KEYS:
            raise ValueError(f"{len(data)} keys, where there are {len(cls.model_fields)}; remove the unknown ones")
        return data


class VoceSpec(_Spec):
    """Saturating hardening: yield strength + saturation_pa (1 - exp(-rate p))."""

    saturation_pa: Number = Field(ge=0)
    rate: Number = Field(ge=0)


class HardeningSpec(_Spec):
    """Isotropic hardening, exactly one of three laws of the equivalent plastic strain p.

    Attributes:
        linear_modulus_pa: slope; zero is perfectly plastic.
        voce: saturating.
        table: rows [p, yield stress in Pa], the first one [0, yield strength].
    """

    linear_modulus_pa: Annotated[Number, Field(ge=0)] | None = None
    voce: VoceSpec | None = None
    table: Annotated[tuple[tuple[Number, Number], ...], Field(min_length=2, max_length=MAX_TABLE_ROWS)] | None = None

    @model_validator(mode="after")
    def _one_law(self) -> "HardeningSpec":
        given = [law for law in HARDENING_LAWS if getattr(self, law) is not None]
        if len(given) != 1:
            laws = ", ".join(HARDENING_LAWS)
            raise ValueError(f"hardening has exactly one of {laws}; given: {', '.join(given) or 'none'}")
        return self


class MaterialSpec(_Spec):
    """Material constants in SI."""

    name: Name = "custom"
    youngs_modulus_pa: Number
    poissons_ratio: Number
    density_kg_m3: Number
    yield_strength_pa: Number
    ultimate_strength_pa: Number
    hardening: HardeningSpec
    source: Annotated[str, Field(max_length=500)] = "given with the problem"


def _material_kind(value: object) -> str:
    return "library" if isinstance(value, str) else "table"


MaterialChoice = Annotated[
    Annotated[Name, Tag("library")] | Annotated[MaterialSpec, Tag("table")], Discriminator(_material_kind)
]


class SupportSpec(_Spec):
    """Faces that cannot move in some directions: any of x, y, z, or "normal".

    With `meeting`, another selector, only the edge is held where both sets of faces meet.
    """

    faces: dict[str, JsonValue]
    fixed: Annotated[tuple[Direction, ...], BeforeValidator(_listed), Field(min_length=1, max_length=3)] = (
        "x",
        "y",
        "z",
    )
    meeting: dict[str, JsonValue] | None = None


class LoadSpec(_Spec):
    """Exactly one of force_n, bearing_force_n, moment_nm, traction_pa, pressure_pa (each on faces) and
    acceleration_m_s2 (whole part).

    force_n is a total, spread evenly; with point_m it acts at that point and carries its moment to the faces.
    bearing_force_n presses on the walls of holes as a pin does, across their axes; several holes take equal shares.
    moment_nm has no total force. A positive pressure pushes into the part.
    """

    faces: dict[str, JsonValue] | None = None
    force_n: NumberVector | None = None
    point_m: NumberVector | None = None
    bearing_force_n: NumberVector | None = None
    moment_nm: NumberVector | None = None
    traction_pa: NumberVector | None = None
    pressure_pa: Number | None = None
    acceleration_m_s2: NumberVector | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "LoadSpec":
        given = [kind for kind in LOAD_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a load has exactly one of {', '.join(LOAD_KINDS)}; given: {', '.join(given) or 'none'}")
        if self.point_m is not None and self.force_n is None:
            raise ValueError(f"point_m is where a force_n acts, but the load is {given[0]}; remove point_m")
        if self.acceleration_m_s2 is None and self.faces is None:
            raise ValueError(f"{given[0]} needs faces to act on; add faces = {{…}}")
        if self.acceleration_m_s2 is not None and self.faces is not None:
            raise ValueError("acceleration_m_s2 acts on the whole part; remove faces")
        return self


class LoadCaseSpec(_Spec):
    """A load pattern: loads that act together."""

    name: Name
    loads: Annotated[tuple[LoadSpec, ...], Field(min_length=1, max_length=100)]


class LoadHistorySpec(_Spec):
    """Factors over the steps by load case; a case that is left out stays at zero."""

    name: Name
    factors: Annotated[
        dict[str, Annotated[tuple[Number, ...], FailFast(), Field(min_length=1, max_length=MAX_STEPS)]],
        Field(max_length=MAX_CASES),
    ]

    @model_validator(mode="after")
    def _same_length(self) -> "LoadHistorySpec":
        lengths = {case: len(values) for case, values in self.factors.items()}
        if not lengths:
            raise ValueError("factors names no load case; give factors = {case = [0.5, 1.0, …]}")
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{case}: {count}" for case, count in lengths.items())
            raise ValueError(f"the cases have different numbers of steps ({counts}); give each one factor a step")
        return self


class ProblemSpec(_Spec):
    """Material, supports, load cases and load histories of a part that is given elsewhere."""

    material: MaterialChoice
    supports: Annotated[tuple[SupportSpec, ...], Field(min_length=1, max_length=100)]
    load_cases: Annotated[tuple[LoadCaseSpec, ...], Field(min_length=1, max_length=MAX_CASES)]
    load_histories: Annotated[tuple[LoadHistorySpec, ...], Field(max_length=MAX_HISTORIES)] = ()


class ProblemFile(ProblemSpec):
    """A problem file: a problem with its part.

    Attributes:
        part: path of the part, relative to the file.
        length_unit: unit of the part's coordinates, needed where its format carries none.
        element_size_m: wanted element size, m; None chooses it from the part.
        histories: path of a CSV with the load histories, relative to the file: one column a load case, one row a step,
            an optional `history` column.
    """

    part: Name
    length_unit: str | None = None
    element_size_m: Annotated[Number, Field(gt=0)] | None = None
    histories: Name | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "ProblemFile":
        if self.histories is not None and self.load_histories:
            raise ValueError("histories (a CSV) and load_histories exclude each other; keep one")
        return self


def describe_validation(error: ValidationError) -> str:
    """Readable text of a validation error: path, what, value and remedy of up to five findings."""
    found = error.errors(include_url=False)
    # A wrong item is also missing from its list; the item says it all.
    findings = [
        f for f in found if f["type"] != "too_short" or not any(_within(other["loc"], f["loc"]) for other in found)
    ]
    lines = [_finding(f["loc"], f["type"], f["msg"], f["input"], f.get("ctx", {})) for f in findings[:5]]
    if len(findings) > 5:
        lines.append(f"and {len(findings) - 5} more")
    return "; ".join(lines)


_KNOWN_KEYS = sorted(
    {
        key
        for model in (HardeningSpec, MaterialSpec, SupportSpec, LoadSpec, LoadCaseSpec, LoadHistorySpec, ProblemFile)
        for key in model.model_fields
    }
)


def _within(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _finding(loc: tuple[int | str, ...], kind: str, message: str, value: object, context: Mapping[str, object]) -> str:
    path = ""
    for before, part in zip((None, *loc), loc, strict=False):
        if isinstance(part, int):
            path += f"[{part}]"
        elif before != "material" or part not in ("library", "table"):  # these two name the branch, not a key
            path += f".{part}" if path else part
    if kind == "missing":
        return f"{path} is missing; add it"
    if kind == "extra_forbidden":
        close = get_close_matches(str(loc[-1]), _KNOWN_KEYS, n=1)
        return f"{path} is not a known key; " + (f"did you mean {close[0]}?" if close else "remove it")
    if kind == "value_error":
        return f"{path}: {context.get('error', message)}" if path else str(context.get("error", message))
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    return f"{path} = {shown}: {message[:1].lower()}{message[1:]}"
