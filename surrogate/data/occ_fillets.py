"""Rounded shapes for the families' builders: lugs, arcs in outlines, blocks with rounded corners.

Only called inside the meshing subprocess, like `occ_shapes`.
"""

from collections.abc import Sequence

import numpy as np

from surrogate.data.occ_shapes import Plane


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
