"""L-bracket: a bolted foot, an upright with a hole, a fillet between them, gussets across it."""

import numpy as np

from surrogate.data.occ_shapes import at, cut, cylinder, extruded_outline, fuse, hole_walls, intersect, name_faces
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_bracket(generator: np.random.Generator) -> Parameters:
    """Draws an L-bracket; the foot lies in xy, the upright stands at x = 0."""
    size = overall_size(generator)
    foot = size * generator.uniform(0.6, 1.0)
    upright = size * generator.uniform(0.6, 1.0)
    width = size * generator.uniform(0.35, 0.8)
    thickness = size * generator.uniform(0.07, 0.14)
    return {
        "foot": foot,
        "upright": upright,
        "width": width,
        "thickness": thickness,
        "fillet": thickness * generator.uniform(0.5, 1.5),
        "corner_radius": min(foot, upright, width) * generator.uniform(0.05, 0.2),
        "bolt_radius": min(width, foot) * generator.uniform(0.06, 0.1),
        "hole_radius": min(width, upright) * generator.uniform(0.09, 0.16),
        "gusset_count": float(generator.integers(0, 3)),
        "gusset_thickness": thickness * generator.uniform(0.7, 1.2),
        "gusset_reach": generator.uniform(0.3, 0.5),
    }


def build_bracket(p: Parameters) -> float:
    """Builds and names an L-bracket; returns its wall thickness, m."""
    import gmsh

    foot, upright, width, t = p["foot"], p["upright"], p["width"], p["thickness"]
    outline = [(0, 0, 0.5 * t), (foot, 0, 0), (foot, t, 0), (t, t, p["fillet"]), (t, upright, 0), (0, upright, 0)]
    body = extruded_outline(outline, "xz", 0.0, width)
    round_corner = p["corner_radius"]
    plan = [(0, 0, 0), (foot, 0, round_corner), (foot, width, round_corner), (0, width, 0)]
    body = intersect(body, extruded_outline(plan, "xy", 0.0, upright))
    body = fuse([body, *_gussets(p)])
    bolts = [(foot * 0.8, width * share) for share in (0.22, 0.78)]
    hole = (width * 0.5, upright - 2.2 * p["hole_radius"])
    tools = [cylinder((u, v, -t), "z", p["bolt_radius"], 3 * t) for u, v in bolts]
    tools.append(cylinder((-t, *hole), "x", p["hole_radius"], 3 * t))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    close = 0.02 * t
    name_faces("bolt_holes", hole_walls(bolts, "xy", p["bolt_radius"], close))
    name_faces("lug_hole", hole_walls([hole], "yz", p["hole_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("tip", at("z", upright, close))
    name_faces("back", at("x", 0.0, close))
    return t


def _gussets(p: Parameters) -> list[int]:
    count = whole(p, "gusset_count")
    t, thick = p["thickness"], p["gusset_thickness"]
    # The hole in the upright and the bolts bound how far a gusset may reach.
    along = min(p["gusset_reach"] * p["foot"], 0.8 * p["foot"] - 2 * p["bolt_radius"])
    upward = min(p["gusset_reach"] * p["upright"], p["upright"] - 4 * p["hole_radius"])
    places = {0: (), 1: (0.5,), 2: (0.2, 0.8)}[count]
    corners = [(0.5 * t, 0.5 * t, 0.0), (along, 0.5 * t, 0), (along, t, 0), (t, upward, 0), (0.5 * t, upward, 0)]
    return [extruded_outline(corners, "xz", p["width"] * place - thick / 2, thick) for place in places]


L_BRACKET = PartFamily(
    name="l_bracket",
    index=0,
    draw=draw_bracket,
    build=build_bracket,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
    ),
    loads=(
        LoadFaces("lug_hole", ("force", "traction")),
        LoadFaces("tip", ("force", "traction", "pressure")),
        LoadFaces("back", ("pressure", "force")),
    ),
)
