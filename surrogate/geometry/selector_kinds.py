"""The kinds of selectors: small frozen descriptions that `selectors.select_faces` resolves against a mesh."""

from dataclasses import dataclass
from typing import Literal

from surrogate.geometry.tet_mesh import Vector


@dataclass(frozen=True)
class NameSelector:
    """Faces that the file names so."""

    name: str
    expect: int | None = None


@dataclass(frozen=True)
class CylinderSelector:
    """Cylindrical faces.

    Attributes:
        radius_m: radius, m.
        tolerance: relative, on the radius.
        axis: direction within 5 degrees, either sense; None for any.
        hole: True for holes only, False for bosses only, None for both.
        expect: number of faces that must match, None for at least one.
    """

    radius_m: float
    tolerance: float = 0.02
    axis: Vector | None = None
    hole: bool | None = None
    expect: int | None = None


@dataclass(frozen=True)
class PlaneSelector:
    """Plane faces by outward normal (within 5 degrees).

    Attributes:
        normal: outward direction.
        at: "min" or "max" keeps the faces whose position along the normal's line is extreme; None keeps all. Positions
            are measured along the line's positive sense (its first non-zero component positive), so normal (0, 0, -1)
            at "min" is the lowest face.
        expect: number of faces that must match, None for at least one.
    """

    normal: Vector
    at: Literal["min", "max"] | None = None
    expect: int | None = None


@dataclass(frozen=True)
class BoxSelector:
    """Faces whose centroid lies in the axis-aligned box between two corners, m."""

    low: Vector
    high: Vector
    expect: int | None = None


@dataclass(frozen=True)
class FaceIdSelector:
    """Faces by id; ids change with the geometry, so only for one mesh."""

    face_ids: tuple[int, ...]
    expect: int | None = None


@dataclass(frozen=True)
class AnySelector:
    """Union."""

    of: tuple["Selector", ...]
    expect: int | None = None


@dataclass(frozen=True)
class AllSelector:
    """Intersection."""

    of: tuple["Selector", ...]
    expect: int | None = None


@dataclass(frozen=True)
class NotSelector:
    """Every face that the inner selector does not match."""

    of: "Selector"
    expect: int | None = None


Selector = (
    NameSelector
    | CylinderSelector
    | PlaneSelector
    | BoxSelector
    | FaceIdSelector
    | AnySelector
    | AllSelector
    | NotSelector
)
