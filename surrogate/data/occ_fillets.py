"""Fillets on the re-entrant edges of a built solid, and the outlines of lugs.

Only called inside the meshing subprocess, like `occ_shapes`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from surrogate.data.occ_shapes import Plane
from surrogate.errors import GeometryError

SHARP_ANGLE = np.radians(20.0)
RADIUS_SHARES = (1.0, 0.6, 0.35)


@dataclass(frozen=True)
class Edge:
    """One CAD edge: gmsh's tag, a point in its middle, its bounding box, m."""

    tag: int
    middle: tuple[float, float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]


def fillet_reentrant(
    volume: int,
    radius: float,
    chosen: Callable[[Edge], bool] = lambda edge: True,
    shares: Sequence[float] = RADIUS_SHARES,
) -> int:
    """Rounds the sharp edges at which a solid is re-entrant.

    Args:
        volume: tag of the only volume of the model.
        radius: of the fillet, m.
        chosen: which of the re-entrant edges; all by default.
        shares: of the radius, tried in order, since OpenCASCADE refuses a fillet that does not fit.

    Returns:
        Tag of the rounded volume; the same one if no edge is sharp.

    Raises:
        GeometryError: OpenCASCADE refused every radius.
    """
    import gmsh

    gmsh.model.occ.synchronize()
    edges = [edge.tag for edge in reentrant_edges(volume, 0.02 * radius) if chosen(edge)]
    if not edges:
        return volume
    for share in shares:
        try:
            made = gmsh.model.occ.fillet([volume], edges, [radius * share])
        except Exception:  # gmsh raises plain Exception for what OpenCASCADE refuses
            continue
        volumes = [tag for dimension, tag in made if dimension == 3]
        if len(volumes) == 1:
            return volumes[0]
    raise GeometryError(f"OpenCASCADE made no fillet of {radius:.3g} m or less on {len(edges)} edges; draw again")


def reentrant_edges(volume: int, step: float) -> tuple[Edge, ...]:
    """The sharp edges of a synchronised volume that have material on more than half of their surroundings.

    With outward normals n1, n2 of the two faces, the direction n1 - n2 points into the solid at a re-entrant edge
    and out of it at a convex one.

    Args:
        volume: tag.
        step: how far from the edge the solid is probed, m; small against every feature.
    """
    import gmsh

    found = []
    for _, tag in gmsh.model.getBoundary([(3, volume)], combined=False, oriented=False):
        found += [abs(curve) for _, curve in gmsh.model.getBoundary([(2, tag)], combined=False, oriented=False)]
    edges = []
    for curve in sorted(set(found)):
        faces, _ = gmsh.model.getAdjacencies(1, curve)
        if len(faces) != 2:
            continue  # the seam of a closed face
        low, high = gmsh.model.getParametrizationBounds(1, curve)
        middle = np.array(gmsh.model.getValue(1, curve, [0.5 * (low[0] + high[0])]))
        first, second = (_outward(volume, int(face), middle, step) for face in faces)
        if np.arccos(np.clip(first @ second, -1, 1)) < SHARP_ANGLE:
            continue
        if gmsh.model.isInside(3, volume, (middle + step * (first - second)).tolist()):
            bounds = gmsh.model.occ.getBoundingBox(1, curve)
            x, y, z = middle.tolist()
            edges.append(Edge(curve, (x, y, z), bounds[:3], bounds[3:]))
    return tuple(edges)


def _outward(volume: int, face: int, point: np.ndarray, step: float) -> np.ndarray:
    """Unit normal of a face at a point of it, out of the volume."""
    import gmsh

    normal = np.array(gmsh.model.getNormal(face, gmsh.model.getParametrization(2, face, point.tolist())))
    low, high = gmsh.model.getParametrizationBounds(2, face)
    parameters = gmsh.model.getParametrization(2, face, point.tolist())
    # A little inwards of the face, where both sides are told apart safely.
    for share in (0.02, 0.1, 0.3):
        inner = parameters + share * (0.5 * (np.array(low) + np.array(high)) - parameters)
        place = np.array(gmsh.model.getValue(2, face, inner.tolist()))
        there = np.array(gmsh.model.getNormal(face, inner.tolist()))
        ahead, behind = (gmsh.model.isInside(3, volume, (place + sign * step * there).tolist()) for sign in (1, -1))
        if bool(ahead) != bool(behind):
            return -normal if ahead else normal
    return normal


def lug_corner(foot: tuple[float, float], centre_height: float, radius: float) -> tuple[float, float, float]:
    """Outline corner that rounds a tapered lug concentrically with its hole.

    Args:
        foot: (u, v) with u > 0, where the lug's straight flank ends, m.
        centre_height: v of the hole's centre, at u = 0, m.
        radius: of the lug about the hole, m.

    Returns:
        (u, v, radius) where the tangent from the foot meets the lug's top line.
    """
    u, v = foot
    away = np.hypot(u, centre_height - v)
    slope = np.arctan2(centre_height - v, -u) - np.arcsin(min(radius / away, 1.0))
    top = centre_height + radius
    return u + (top - v) / float(np.tan(slope)), top, radius


def mirrored(right: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """An outline from its half at positive u and that half's mirror image."""
    return [*right, *((-u, v, radius) for u, v, radius in reversed(right))]


def extruded_path(
    path: Sequence[tuple[tuple[float, float], tuple[float, float] | None]], plane: Plane, start: float, length: float
) -> int:
    """A prism over a closed path of straight lines and arcs.

    Args:
        path: (end, centre) of each piece in order round the outline, m; the first piece begins at the last one's end;
            centre None is a straight line, else an arc of less than half a turn.
        plane: plane of the path.
        start: position of the path along the third axis, m.
        length: extrusion along the third axis, m.

    Returns:
        Tag of the volume.
    """
    import gmsh

    occ = gmsh.model.occ

    def add_point(uv: tuple[float, float]) -> int:
        u, v = uv
        places = {"xy": (u, v, start), "xz": (u, start, v), "yz": (start, u, v)}
        return int(occ.addPoint(*places[plane]))

    ends = [add_point(end) for end, _ in path]
    centres = [None if centre is None else add_point(centre) for _, centre in path]
    curves = [
        occ.addLine(ends[i - 1], end) if centre is None else occ.addCircleArc(ends[i - 1], centre, end)
        for i, (end, centre) in enumerate(zip(ends, centres, strict=True))
    ]
    face = occ.addPlaneSurface([occ.addCurveLoop(curves)])
    occ.remove([(0, tag) for tag in centres if tag is not None])  # else each would become a stray mesh point
    vector = {"xy": (0, 0, length), "xz": (0, length, 0), "yz": (length, 0, 0)}[plane]
    return next(tag for dimension, tag in occ.extrude([(2, face)], *vector) if dimension == 3)


def filleted_box(low: Sequence[float], size: Sequence[float], near_radius: float, far_radius: float) -> int:
    """A block whose three edges at its lowest corner are rounded, and the three at its highest one.

    Args:
        low: the lowest corner, m.
        size: along x, y and z, m.
        near_radius: at the lowest corner, m.
        far_radius: at the highest corner, m; 0 leaves it sharp.

    Returns:
        Tag of the volume.
    """
    import gmsh

    occ = gmsh.model.occ
    volume = occ.addBox(*low, *size)
    occ.synchronize()
    ends = np.array(low), np.array(low) + np.array(size)
    tolerance = 1e-3 * min(size)
    groups: list[list[int]] = [[], []]
    for _, tag in gmsh.model.getBoundary(
        gmsh.model.getBoundary([(3, volume)], oriented=False), combined=False, oriented=False
    ):
        bounds = np.array(occ.getBoundingBox(1, tag)).reshape(2, 3)
        for end, group in zip(ends, groups, strict=True):
            # An edge that reaches the corner lies on it in two axes and touches it in the third.
            if tag not in group and (np.abs(bounds - end).min(0) < tolerance).all():
                group.append(tag)
    radii = [near_radius] * len(groups[0]) + ([far_radius] * len(groups[1]) if far_radius else [])
    edges = groups[0] + (groups[1] if far_radius else [])
    made = occ.fillet([volume], edges, radii)
    return next(tag for dimension, tag in made if dimension == 3)


def remove_stray_faces() -> None:
    """Removes the faces of a synchronised model that bound no volume, such as one that was revolved a full turn."""
    import gmsh

    bounding = {tag for _, tag in gmsh.model.getBoundary(gmsh.model.getEntities(3), combined=False, oriented=False)}
    stray = [(2, tag) for _, tag in gmsh.model.getEntities(2) if tag not in bounding]
    gmsh.model.occ.remove(stray, recursive=True)
    gmsh.model.occ.synchronize()
