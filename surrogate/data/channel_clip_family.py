"""Channel clip: a sheet bent into a U or a hat, with bolt holes in its flanges and a hole in its web."""

import numpy as np

from surrogate.data.occ_fillets import mirrored
from surrogate.data.occ_shapes import (
    Corner,
    Plane,
    at,
    cut,
    cylinder,
    extruded_outline,
    hole_walls,
    intersect,
    name_faces,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_channel_clip(generator: np.random.Generator) -> Parameters:
    """Draws a clip of length along x whose web lies on top; a hat's flanges stand outwards on z = 0."""
    size = overall_size(generator)
    hat = float(generator.integers(0, 2))
    height = size * generator.uniform(0.35, 0.6)
    web = size * generator.uniform(0.4, 0.7)
    length = size * generator.uniform(0.4, 1.0)
    foot = size * generator.uniform(0.2, 0.3)
    sheet = size * generator.uniform(0.035, 0.07)
    return {
        "web_width": web,
        "height": height,
        "length": length,
        "foot": foot,
        "hat": hat,
        "sheet": sheet,
        "bend_radius": sheet * generator.uniform(1.0, 2.2),
        "corner_radius": foot * generator.uniform(0.2, 0.4),
        "bolt_count": float(generator.integers(1, 4) if length > 0.7 * size else generator.integers(1, 3)),
        "bolt_radius": min(foot, length) * generator.uniform(0.12, 0.17),
        "web_hole": min(web, length) * generator.uniform(0.1, 0.18),
    }


def build_channel_clip(p: Parameters) -> float:
    """Builds and names a clip; returns its sheet's thickness, m."""
    import gmsh

    height, length, sheet, half, hat = p["height"], p["length"], p["sheet"], p["web_width"] / 2, whole(p, "hat")
    body = extruded_outline(_section(p), "yz", 0.0, length)
    body = intersect(body, _trimmed(p))
    bolts = _bolt_places(p)
    reach = half + p["foot"] + sheet
    plane: Plane = "xy" if hat else "xz"
    if hat:
        tools = [cylinder((x, y, -sheet), "z", p["bolt_radius"], 3 * sheet) for x, y in bolts]
    else:
        tools = [cylinder((x, -reach, z), "y", p["bolt_radius"], 2 * reach) for x, z in bolts]
    tools.append(cylinder((length / 2, 0, height - 2 * sheet), "z", p["web_hole"], 4 * sheet))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    close = 0.02 * sheet
    name_faces("bolt_holes", hole_walls(bolts, plane, p["bolt_radius"], close))
    name_faces("web_hole", hole_walls([(length / 2, 0.0)], "xy", p["web_hole"], close))
    name_faces("web", at("z", height, close))
    name_faces("web_inside", at("z", height - sheet, close))
    if hat:
        name_faces("mount", at("z", 0.0, close))
    else:
        name_faces("mount", lambda surface: at("y", half, close)(surface) or at("y", -half, close)(surface))
    name_faces("tip", at("x", length, close))
    return sheet


def _section(p: Parameters) -> list[Corner]:
    """Outline in yz of the bent sheet, every bend with its inner and outer radius."""
    half, height, sheet, inner = p["web_width"] / 2, p["height"], p["sheet"], p["bend_radius"]
    outer = inner + sheet
    under, web = (half - sheet, height - sheet, inner), (half, height, outer)
    if whole(p, "hat"):
        edge = half + p["foot"]
        right = [(half - sheet, 0, outer), (edge, 0, 0), (edge, sheet, 0), (half, sheet, inner), web]
        return mirrored([under, *right])
    return mirrored([under, (half - sheet, 0, 0), (half, 0, 0), web])


def _trimmed(p: Parameters) -> int:
    """The blank's trim: rounded free corners of the flanges, seen from above (hat) or from the side (U)."""
    length, height, half = p["length"], p["height"], p["web_width"] / 2
    radius = min(p["corner_radius"], 0.45 * length)
    if whole(p, "hat"):
        edge = half + p["foot"]
        corners = [(0, -edge, radius), (length, -edge, radius), (length, edge, radius), (0, edge, radius)]
        return extruded_outline(corners, "xy", -height, 3 * height)
    corners = [(0, 0, radius), (length, 0, radius), (length, 2 * height, 0), (0, 2 * height, 0)]
    return extruded_outline(corners, "xz", -2 * half, 4 * half)


def _bolt_places(p: Parameters) -> list[tuple[float, float]]:
    """Centres in the plane of the flanges: (x, y) of a hat, (x, z) of a U, whose bolts run through both sides."""
    count, length, half = whole(p, "bolt_count"), p["length"], p["web_width"] / 2
    along = [length * (i + 0.5) / count for i in range(count)]
    if whole(p, "hat"):
        # Between the end of the bend and the flange's edge.
        y = half + 0.5 * (p["foot"] + p["bend_radius"])
        return [(x, side * y) for side in (-1, 1) for x in along]
    return [(x, 0.5 * (p["height"] - p["sheet"] - p["bend_radius"]) * 0.9) for x in along]


CHANNEL_CLIP = PartFamily(
    name="channel_clip",
    index=6,
    draw=draw_channel_clip,
    build=build_channel_clip,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("mount"),),
        (SupportFaces("bolt_holes"), SupportFaces("mount", ("normal",))),
    ),
    loads=(
        LoadFaces("web", ("pressure", "force", "remote")),
        LoadFaces("web_inside", ("pressure",)),
        LoadFaces("web_hole", ("bearing", "force", "moment")),
        LoadFaces("tip", ("force", "traction")),
    ),
)
