"""Clevis or single lug: one or two ears with a pin hole on a bolted base, filleted both ways."""

import numpy as np

from surrogate.data.occ_shapes import at, cut, cylinder, extruded_outline, hole_walls, intersect, name_faces
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_clevis(generator: np.random.Generator) -> Parameters:
    """Draws a clevis; the base lies in xy, the ears stand along z, the pin runs along y."""
    size = overall_size(generator)
    ears = int(generator.integers(1, 3))
    ear_radius = size * generator.uniform(0.16, 0.26)
    thickness = size * generator.uniform(0.08, 0.14)
    return {
        "length": size,
        "ears": ears,
        "ear_radius": ear_radius,
        "ear_thickness": thickness * (1.0 if ears == 2 else generator.uniform(1.2, 2.0)),
        "gap": size * generator.uniform(0.14, 0.24),
        "base_thickness": thickness * generator.uniform(0.8, 1.4),
        "pin_height": size * generator.uniform(0.35, 0.6),
        "pin_radius": ear_radius * generator.uniform(0.35, 0.55),
        "fillet": thickness * generator.uniform(0.3, 0.7),
        "bolt_radius": size * generator.uniform(0.035, 0.055),
        "wing": size * generator.uniform(0.16, 0.24),
    }


def build_clevis(p: Parameters) -> float:
    """Builds and names a clevis; returns its wall thickness, m."""
    import gmsh

    base, fillet = p["base_thickness"], p["fillet"]
    half_length = p["length"] / 2
    top = p["pin_height"] + p["ear_radius"]
    inner = p["gap"] / 2 if whole(p, "ears") == 2 else 0.0
    outer = inner + p["ear_thickness"] if inner else p["ear_thickness"] / 2
    half_width = outer + p["wing"]
    across = _cross_section(inner, outer, half_width, base, top, fillet)
    ear = p["ear_radius"]
    side = [
        (-half_length, 0, 0), (half_length, 0, 0), (half_length, base, 0), (ear, base, fillet),
        (ear, top, ear), (-ear, top, ear), (-ear, base, fillet), (-half_length, base, 0),
    ]  # fmt: skip
    body = intersect(
        extruded_outline(across, "yz", -half_length, 2 * half_length),
        extruded_outline(side, "xz", -half_width, 2 * half_width),
    )
    bolt = p["bolt_radius"]
    x, y = half_length - 2.2 * bolt, half_width - min(2.2 * bolt, 0.5 * p["wing"])
    bolts = [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]
    tools = [cylinder((u, v, -base), "z", bolt, 3 * base) for u, v in bolts]
    tools.append(cylinder((0, -2 * half_width, p["pin_height"]), "y", p["pin_radius"], 4 * half_width))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    close = 0.02 * base
    name_faces("bolt_holes", hole_walls(bolts, "xy", bolt, close))
    name_faces("lug_hole", hole_walls([(0, p["pin_height"])], "xz", p["pin_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("cheeks", lambda surface: at("y", outer, close)(surface) or at("y", -outer, close)(surface))
    return min(base, p["ear_thickness"])


def _cross_section(
    inner: float, outer: float, half_width: float, base: float, top: float, fillet: float
) -> list[tuple[float, float, float]]:
    """Outline in yz: the base with one ear (inner = 0) or two, a fillet at each root."""
    right = [(half_width, 0.0, 0.0), (half_width, base, 0.0), (outer, base, fillet), (outer, top, 0.0)]
    if inner:
        right += [(inner, top, 0.0), (inner, base, fillet)]
    return right + [(-y, z, radius) for y, z, radius in reversed(right)]


CLEVIS = PartFamily(
    name="clevis",
    index=1,
    draw=draw_clevis,
    build=build_clevis,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
    ),
    loads=(LoadFaces("lug_hole", ("force", "traction")), LoadFaces("cheeks", ("force", "pressure"))),
)
