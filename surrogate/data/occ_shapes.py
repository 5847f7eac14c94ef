"""Solids of the current gmsh model (OpenCASCADE kernel), for the families' builders.

Only called inside the meshing subprocess: gmsh may abort the process, so it is imported where it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from surrogate.errors import GeometryError

Axis = Literal["x", "y", "z"]
Plane = Literal["xy", "xz", "yz"]
Corner = tuple[float, float, float]
_AXES: dict[Axis, int] = {"x": 0, "y": 1, "z": 2}
_PLANE_AXES: dict[Plane, tuple[int, int, int]] = {"xy": (0, 1, 2), "xz": (0, 2, 1), "yz": (1, 2, 0)}


@dataclass(frozen=True)
class Surface:
    """One CAD face: gmsh's tag and type, its bounding box, m."""

    tag: int
    kind: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def extruded_outline(corners: Sequence[Corner], plane: Plane, start: float, length: float) -> int:
    """A prism over a polygon with rounded corners.

    Args:
        corners: (u, v, radius) in order round the outline; u, v are the plane's two axes, m; radius 0 is sharp. A
            radius too large for its edges is reduced to what fits.
        plane: plane of the outline.
        start: position of the outline along the third axis, m.
        length: extrusion along the third axis, m.

    Returns:
        Tag of the volume.
    """
    import gmsh

    face = _outline_face(corners, plane, start)
    vector = np.zeros(3)
    vector[_PLANE_AXES[plane][2]] = length
    made = gmsh.model.occ.extrude([(2, face)], *vector.tolist())
    return next(tag for dimension, tag in made if dimension == 3)


def revolved_outline(corners: Sequence[Corner]) -> int:
    """A body of revolution about z over a rounded polygon of (radius, z, corner radius), m; returns its volume tag."""
    import gmsh

    face = _outline_face(corners, "xz", 0.0)
    made = gmsh.model.occ.revolve([(2, face)], 0, 0, 0, 0, 0, 1, 2 * np.pi)
    return next(tag for dimension, tag in made if dimension == 3)


def _outline_face(corners: Sequence[Corner], plane: Plane, start: float) -> int:
    import gmsh

    occ = gmsh.model.occ
    first, second, third = _PLANE_AXES[plane]
    scale = float(np.ptp(np.array(corners)[:, :2], axis=0).max())

    def add_point(uv: np.ndarray) -> int:
        xyz = np.zeros(3)
        xyz[[first, second, third]] = uv[0], uv[1], start
        return int(occ.addPoint(*xyz.tolist()))

    arcs = _corner_arcs(corners)
    curves: list[int] = []
    centres: list[int] = []
    begin = previous = add_point(arcs[0][2])
    previous_uv = arcs[0][2]
    for position, (enter, centre, leave) in enumerate([*arcs[1:], arcs[0]]):
        last = position == len(arcs) - 1
        straight = np.linalg.norm(enter - previous_uv) > 1e-6 * scale
        arc = centre is not None
        if straight:
            point = begin if last and not arc else add_point(enter)
            curves.append(occ.addLine(previous, point))
            previous = point
        if centre is not None:
            point = begin if last else add_point(leave)
            centres.append(add_point(centre))
            curves.append(occ.addCircleArc(previous, centres[-1], point))
            previous = point
        previous_uv = leave
    face = int(occ.addPlaneSurface([occ.addCurveLoop(curves)]))
    occ.remove([(0, tag) for tag in centres])  # else each would become a stray mesh point
    return face


def _corner_arcs(corners: Sequence[Corner]) -> list[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Where each corner's rounding begins, its centre (None when sharp) and where it ends."""
    places = np.array(corners, dtype=np.float64)[:, :2]
    count = len(places)
    arcs: list[tuple[np.ndarray, np.ndarray | None, np.ndarray]] = []
    for i, (_, _, radius) in enumerate(corners):
        back, ahead = places[i - 1] - places[i], places[(i + 1) % count] - places[i]
        lengths = np.linalg.norm(back), np.linalg.norm(ahead)
        back, ahead = back / lengths[0], ahead / lengths[1]
        half = np.arccos(np.clip(back @ ahead, -1, 1)) / 2
        if radius <= 0 or np.isclose(half, np.pi / 2):
            arcs.append((places[i], None, places[i]))
            continue
        tangent = min(radius / np.tan(half), 0.5 * float(min(lengths)))
        bisector = (back + ahead) / np.linalg.norm(back + ahead)
        centre = places[i] + bisector * tangent / np.cos(half)
        arcs.append((places[i] + back * tangent, centre, places[i] + ahead * tangent))
    return arcs


def box(low: Sequence[float], high: Sequence[float]) -> int:
    """A block between two corners, m."""
    import gmsh

    return int(gmsh.model.occ.addBox(*low, *(np.array(high) - np.array(low)).tolist()))


def cylinder(through: Sequence[float], axis: Axis, radius: float, length: float) -> int:
    """A cylinder that starts at a point and runs along an axis, m."""
    import gmsh

    vector = np.zeros(3)
    vector[_AXES[axis]] = length
    return int(gmsh.model.occ.addCylinder(*through, *vector.tolist(), radius))


def fuse(volumes: Sequence[int]) -> int:
    """One solid from several that touch."""
    import gmsh

    if len(volumes) == 1:
        return volumes[0]
    parts = [(3, tag) for tag in volumes]
    return _single(gmsh.model.occ.fuse(parts[:1], parts[1:])[0], "fuse")


def cut(volume: int, tools: Sequence[int]) -> int:
    """A solid less some others."""
    import gmsh

    if not tools:
        return volume
    return _single(gmsh.model.occ.cut([(3, volume)], [(3, tag) for tag in tools])[0], "cut")


def intersect(first: int, second: int) -> int:
    """What two solids share."""
    import gmsh

    return _single(gmsh.model.occ.intersect([(3, first)], [(3, second)])[0], "intersect")


def _single(made: Sequence[tuple[int, int]], operation: str) -> int:
    volumes = [tag for dimension, tag in made if dimension == 3]
    if len(volumes) != 1:
        raise GeometryError(f"{operation} of a family's solids left {len(volumes)} bodies instead of one; draw again")
    return volumes[0]


def surfaces() -> tuple[Surface, ...]:
    """The faces of the model after `synchronize`."""
    import gmsh

    found = []
    for _, tag in gmsh.model.getBoundary(gmsh.model.getEntities(3), oriented=False):
        bounds = gmsh.model.occ.getBoundingBox(2, tag)
        found.append(Surface(tag, gmsh.model.getType(2, tag), bounds[:3], bounds[3:]))
    return tuple(found)


def name_faces(name: str, matches: Callable[[Surface], bool]) -> None:
    """Gives a name to the faces that match.

    Raises:
        GeometryError: none does.
    """
    import gmsh

    tags = [surface.tag for surface in surfaces() if matches(surface)]
    if not tags:
        raise GeometryError(f"no face of the family matches {name!r}; draw again")
    gmsh.model.addPhysicalGroup(2, tags, name=name)


def at(axis: Axis, value: float, tolerance: float) -> Callable[[Surface], bool]:
    """Matches plane faces perpendicular to an axis at a position, m."""
    i = _AXES[axis]
    return lambda surface: max(abs(surface.low[i] - value), abs(surface.high[i] - value)) < tolerance


def hole_walls(
    centres: Sequence[tuple[float, float]], plane: Plane, radius: float, tolerance: float
) -> Callable[[Surface], bool]:
    """Matches cylindrical faces of a radius about any of some centres in a plane, m."""
    first, second, _ = _PLANE_AXES[plane]

    def matches(surface: Surface) -> bool:
        if surface.kind != "Cylinder":
            return False
        spread = [surface.high[i] - surface.low[i] for i in (first, second)]
        middle = [(surface.high[i] + surface.low[i]) / 2 for i in (first, second)]
        if max(abs(extent - 2 * radius) for extent in spread) > tolerance:
            return False
        return any(max(abs(middle[0] - u), abs(middle[1] - v)) < tolerance for u, v in centres)

    return matches


def over_edge(
    start: tuple[float, float], end: tuple[float, float], plane: Plane, tolerance: float
) -> Callable[[Surface], bool]:
    """Matches the plane face that an outline's edge sweeps, whatever its rounded ends left of it, m."""
    axes = _PLANE_AXES[plane][:2]
    low, high = np.minimum(start, end) - tolerance, np.maximum(start, end) + tolerance

    def matches(surface: Surface) -> bool:
        if surface.kind != "Plane":
            return False
        inside = [low[k] < surface.low[i] and surface.high[i] < high[k] for k, i in enumerate(axes)]
        spread = max(surface.high[i] - surface.low[i] for i in axes)
        return all(inside) and spread > 0.2 * float(np.max(high - low))

    return matches


def within(axis: Axis, low: float, high: float, kind: str, tolerance: float) -> Callable[[Surface], bool]:
    """Matches faces of a gmsh type ("Plane", "Cylinder", …) that lie between two positions along an axis, m."""
    i = _AXES[axis]
    return lambda surface: (
        surface.kind == kind and surface.low[i] > low - tolerance and surface.high[i] < high + tolerance
    )


def rounded_edges(volume: int, edges: Sequence[int], radius: float, shares: Sequence[float] = (1.0, 0.6, 0.35)) -> int:
    """Rounds edges of a synchronised solid with the largest of some radii that OpenCASCADE accepts.

    Args:
        volume: tag of the solid.
        edges: tags of its edges.
        radius: wanted, m.
        shares: of the radius, tried in order.

    Returns:
        Tag of the rounded solid; the solid itself, with its edges sharp, if every radius is refused.
    """
    import gmsh

    occ = gmsh.model.occ
    for share in shares if edges else ():
        try:
            # A refused fillet would take the solid along if it were asked to replace it.
            made = [tag for dimension, tag in occ.fillet([volume], edges, [share * radius], False) if dimension == 3]
        except Exception:  # gmsh raises plain Exception for what OpenCASCADE refuses
            continue
        if len(made) == 1 and occ.getMass(3, made[0]) > 0:
            occ.remove([(3, volume)], recursive=True)
            return made[0]
        occ.remove([(3, tag) for tag in made], recursive=True)
    return volume
