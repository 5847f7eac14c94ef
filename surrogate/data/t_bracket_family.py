"""T-bracket: a bolted flange and a tapered web with a lug hole, filleted on both sides, gussets across it."""

import numpy as np

from surrogate.data.occ_fillets import lug_corner, mirrored
from surrogate.data.occ_shapes import (
    Corner,
    at,
    cut,
    cylinder,
    extruded_outline,
    fuse,
    hole_walls,
    intersect,
    name_faces,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_t_bracket(generator: np.random.Generator) -> Parameters:
    """Draws a T-bracket; the flange lies in xy, the web stands at x = 0, its hole runs along x."""
    size = overall_size(generator)
    width = size * generator.uniform(0.6, 1.0)
    flange = size * generator.uniform(0.55, 1.0)
    web = size * generator.uniform(0.07, 0.13)
    lug = min(width, flange) * generator.uniform(0.15, 0.25)
    return {
        "width": width,
        "flange": flange,
        "web_thickness": web,
        "flange_thickness": web * generator.uniform(0.8, 1.3),
        "lug_radius": lug,
        "hole_radius": lug * generator.uniform(0.4, 0.6),
        "pin_height": size * generator.uniform(0.4, 0.75),
        "web_share": generator.uniform(0.65, 1.0),
        "fillet": web * generator.uniform(0.5, 1.2),
        "corner_radius": min(width, flange) * generator.uniform(0.05, 0.12),
        "bolt_rows": float(generator.integers(2, 4)),
        "bolt_radius": min(width, flange) * generator.uniform(0.05, 0.075),
        "gusset": float(generator.integers(0, 2)),
        "gusset_thickness": web * generator.uniform(0.7, 1.0),
        "gusset_reach": generator.uniform(0.5, 0.75),
    }


def build_t_bracket(p: Parameters) -> float:
    """Builds and names a T-bracket; returns its wall thickness, m."""
    import gmsh

    flange, width, web, thick = p["flange"], p["width"], p["web_thickness"], p["flange_thickness"]
    half, top = web / 2, p["pin_height"] + p["lug_radius"]
    right: list[Corner] = [
        (flange / 2, 0, 0), (flange / 2, thick, 0), (half, thick, p["fillet"]), (half, top, 0),
    ]  # fmt: skip
    section = mirrored(right)
    body = intersect(
        extruded_outline(section, "xz", -width / 2, width), extruded_outline(_side(p), "yz", -flange, 2 * flange)
    )
    corners = [(sx * flange / 2, sy * width / 2, p["corner_radius"]) for sx, sy in ((1, -1), (1, 1), (-1, 1), (-1, -1))]
    body = intersect(body, extruded_outline(corners, "xy", -thick, top + 2 * thick))
    if whole(p, "gusset"):
        body = fuse([body, *_gussets(p)])
    bolt = p["bolt_radius"]
    x = max(flange / 2 - 2.2 * bolt, 0.5 * (flange / 2 + half + p["fillet"]))
    bolts = [(sign * x, float(y)) for sign in (-1, 1) for y in _bolt_places(p)]
    tools = [cylinder((u, v, -thick), "z", bolt, 3 * thick) for u, v in bolts]
    tools.append(cylinder((-web, 0, p["pin_height"]), "x", p["hole_radius"], 2 * web))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    close = 0.02 * min(web, thick)
    name_faces("bolt_holes", hole_walls(bolts, "xy", bolt, close))
    name_faces("lug_hole", hole_walls([(0, p["pin_height"])], "yz", p["hole_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("web", at("x", half, close))
    name_faces("flange_edge", at("x", flange / 2, close))
    return min(web, thick)


def _side(p: Parameters) -> list[Corner]:
    """Outline in yz: the flange, then the web that tapers to a lug about its hole."""
    thick, edge, foot = p["flange_thickness"], p["width"] / 2, p["width"] / 2 * p["web_share"]
    foot = max(foot, 1.05 * p["lug_radius"])
    right: list[Corner] = [
        (edge, 0, 0), (edge, thick, 0), (foot, thick, p["fillet"]),
        lug_corner((foot, thick), p["pin_height"], p["lug_radius"]),
    ]  # fmt: skip
    if foot > 0.9 * edge:
        right = [(edge, 0, 0), (edge, thick, 0), lug_corner((edge, thick), p["pin_height"], p["lug_radius"])]
    return mirrored(right)


def _bolt_places(p: Parameters) -> np.ndarray:
    """Positions of the bolts along y; an odd one in the middle would meet the gusset."""
    rows = 2 if whole(p, "gusset") else whole(p, "bolt_rows")
    reach = p["width"] / 2 - max(2.2 * p["bolt_radius"], p["corner_radius"])
    return np.linspace(-reach, reach, rows)


def _gussets(p: Parameters) -> list[int]:
    """A triangular plate across the web below its hole, on both sides, with fillets on flange and web."""
    thick, half, side = p["flange_thickness"], p["web_thickness"] / 2, p["gusset_thickness"] / 2
    root = 0.5 * p["fillet"]
    along = half + p["gusset_reach"] * (p["flange"] / 2 - half)
    upward = thick + p["gusset_reach"] * (p["pin_height"] - 1.5 * p["hole_radius"] - thick)
    on_flange: list[Corner] = [
        (side + 2 * root, 0.5 * thick, 0),
        (side + 2 * root, thick, 0),
        (side, thick, root),
        (side, upward, 0),
    ]
    on_web: list[Corner] = [(half, side + 2 * root, 0), (half, side, root), (along, side, 0)]
    on_web += [(x, -y, radius) for x, y, radius in reversed(on_web)]
    flank: list[Corner] = [(along, 0.5 * thick, 0), (along, thick, 0), (half, upward, 0)]
    made = []
    for foot in (
        extruded_outline(mirrored(on_flange), "yz", -along, 2 * along),
        extruded_outline(mirrored(on_web), "xy", 0.5 * thick, upward),
    ):
        prism = extruded_outline(mirrored(flank), "xz", -side - 3 * root, 2 * side + 6 * root)
        made.append(intersect(foot, prism))
    return made


T_BRACKET = PartFamily(
    name="t_bracket",
    index=5,
    draw=draw_t_bracket,
    build=build_t_bracket,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
        (SupportFaces("base"),),
    ),
    loads=(
        LoadFaces("lug_hole", ("bearing", "force", "remote")),
        LoadFaces("web", ("pressure", "force")),
        LoadFaces("flange_edge", ("force", "moment")),
    ),
)
