"""Rib web: a plate with lightening holes between two flanges, filleted at the web."""

import numpy as np

from surrogate.data.occ_shapes import (
    Corner,
    at,
    cut,
    cylinder,
    extruded_outline,
    hole_walls,
    name_faces,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_rib(generator: np.random.Generator) -> Parameters:
    """Draws a rib of length along x, height along z; the web lies in xz."""
    length = overall_size(generator)
    height = length * generator.uniform(0.25, 0.5)
    web = height * generator.uniform(0.08, 0.16)
    holes = int(generator.integers(1, 5))
    room = min(height, length / holes)
    return {
        "length": length,
        "height": height,
        "web": web,
        "flange_thickness": web * generator.uniform(0.8, 1.4),
        "flange_reach": height * generator.uniform(0.15, 0.35),
        "channel": float(generator.integers(0, 2)),
        "fillet": web * generator.uniform(0.5, 1.2),
        "hole_count": holes,
        "hole_radius": room * generator.uniform(0.2, 0.3),
    }


def build_rib(p: Parameters) -> float:
    """Builds and names a rib web; returns its wall thickness, m."""
    import gmsh

    length, height, web = p["length"], p["height"], p["web"]
    count = whole(p, "hole_count")
    body = extruded_outline(_section(p), "yz", 0.0, length)
    holes = [(length * (i + 0.5) / count, height / 2) for i in range(count)]
    cut(body, [cylinder((u, -height, v), "y", p["hole_radius"], 2 * height) for u, v in holes])
    gmsh.model.occ.synchronize()
    close = 0.02 * web
    name_faces("lightening_holes", hole_walls(holes, "xz", p["hole_radius"], close))
    name_faces("base", at("x", 0.0, close))
    name_faces("tip", at("x", length, close))
    name_faces("upper_flange", at("z", height, close))
    name_faces("lower_flange", at("z", 0.0, close))
    name_faces("web", at("y", web / 2, close))
    return min(web, p["flange_thickness"])


def _section(p: Parameters) -> list[Corner]:
    """Outline in yz of a channel (flanges on one side) or of an I."""
    height, half, thick, fillet = p["height"], p["web"] / 2, p["flange_thickness"], p["fillet"]
    reach = half + p["flange_reach"]
    right = [
        (reach, 0.0, 0.0), (reach, thick, 0.0), (half, thick, fillet),
        (half, height - thick, fillet), (reach, height - thick, 0.0), (reach, height, 0.0),
    ]  # fmt: skip
    if whole(p, "channel"):
        return [*right, (-half, height, 0.0), (-half, 0.0, 0.0)]
    return right + [(-y, z, radius) for y, z, radius in reversed(right)]


RIB_WEB = PartFamily(
    name="rib_web",
    index=3,
    draw=draw_rib,
    build=build_rib,
    supports=(
        (SupportFaces("base"),),
        (SupportFaces("base"), SupportFaces("tip", ("y", "z"))),
        (SupportFaces("base"), SupportFaces("lower_flange", ("normal",))),
    ),
    loads=(
        LoadFaces("tip", ("force", "traction")),
        LoadFaces("upper_flange", ("pressure", "force")),
        LoadFaces("web", ("pressure",)),
        LoadFaces("lightening_holes", ("force",)),
    ),
)
