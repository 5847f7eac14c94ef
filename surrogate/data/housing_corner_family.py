"""Housing corner: three walls that meet in rounded edges, with mounting pads, gussets and a bearing bore."""

import numpy as np

from surrogate.data.occ_fillets import filleted_box, mirrored, remove_stray_faces
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
    revolved_outline,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_housing_corner(generator: np.random.Generator) -> Parameters:
    """Draws a corner whose walls lie on x = 0, y = 0 and z = 0, the material on their positive sides."""
    size = overall_size(generator)
    length, depth, height = (size * generator.uniform(0.6, 1.0) for _ in range(3))
    wall = size * generator.uniform(0.06, 0.1)
    pads = float(generator.integers(2, 4))
    bolt = min(length, depth) * generator.uniform(0.05, 0.07)
    return {
        "length": length,
        "depth": depth,
        "height": height,
        "wall": wall,
        "inner_radius": wall * generator.uniform(0.5, 1.2),
        "corner_radius": min(length, depth, height) * generator.uniform(0.15, 0.35),
        "pad_count": pads,
        "pad_height": wall * generator.uniform(0.4, 0.9),
        "bolt_radius": bolt,
        "pad_radius": bolt * generator.uniform(1.7, 2.1),
        "bore_radius": min(depth, height) * generator.uniform(0.12, 0.2),
        "rib_thickness": wall * generator.uniform(0.7, 1.0),
        "rib": float(generator.integers(0, 2)),
        "rib_reach": generator.uniform(0.35, 0.5),
    }


def build_housing_corner(p: Parameters) -> float:
    """Builds and names a corner; returns its wall thickness, m."""
    import gmsh

    length, depth, height, wall = p["length"], p["depth"], p["height"], p["wall"]
    sizes = (length, depth, height)
    shell = filleted_box((0, 0, 0), sizes, p["inner_radius"] + wall, p["corner_radius"])
    room = filleted_box((wall, wall, wall), tuple(3 * size for size in sizes), p["inner_radius"], 0.0)
    body = cut(shell, [room])
    bolts = _pad_places(p)
    pads = [_pad(p, place) for place in bolts]
    ribs = [_rib(p)] if whole(p, "rib") else []
    body = fuse([body, *pads, *ribs])
    bore = (0.55 * depth, 0.6 * height)
    tools = [cylinder((x, y, -wall), "z", p["bolt_radius"], 5 * wall) for x, y in bolts]
    tools.append(cylinder((-wall, *bore), "x", p["bore_radius"], 3 * wall))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    remove_stray_faces()
    close = 0.02 * wall
    name_faces("bolt_holes", hole_walls(bolts, "xy", p["bolt_radius"], close))
    name_faces("bore", hole_walls([bore], "yz", p["bore_radius"], close))
    name_faces("pads", at("z", wall + p["pad_height"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("side", at("y", 0.0, close))
    name_faces("inside", lambda surface: at("x", wall, close)(surface) or at("y", wall, close)(surface))
    name_faces("rim", at("z", height, close))
    return wall


def _pad_places(p: Parameters) -> list[tuple[float, float]]:
    """Bolt centres on the floor: at its far corner and beside the two walls, clear of their fillets."""
    near = p["wall"] + p["inner_radius"] + 1.6 * p["pad_radius"]
    edge = 1.4 * p["pad_radius"]
    # The corner's rounding moves the pad inwards along the diagonal.
    inward = max(edge, 0.3 * p["corner_radius"] + 0.8 * p["pad_radius"])
    far_x, far_y = p["length"] - inward, p["depth"] - inward
    places = [(far_x, near), (near, far_y), (far_x, far_y)]
    return places[: whole(p, "pad_count")]


def _pad(p: Parameters, place: tuple[float, float]) -> int:
    """A round pad on the floor with a fillet at its foot."""
    import gmsh

    wall, radius, top = p["wall"], p["pad_radius"], p["wall"] + p["pad_height"]
    root = min(0.5 * p["pad_height"], 0.2 * radius)
    outline: list[Corner] = [
        (radius + 2 * root, 0.5 * wall, 0), (radius + 2 * root, wall, 0), (radius, wall, root),
        (radius, top, 0), (0, top, 0), (0, 0.5 * wall, 0),
    ]  # fmt: skip
    pad = revolved_outline(outline)
    gmsh.model.occ.translate([(3, pad)], *place, 0)
    return pad


def _rib(p: Parameters) -> int:
    """A gusset in the plane y = const between the floor and the wall x = 0, rooted on both with fillets."""
    wall, side, root, centre = p["wall"], p["rib_thickness"] / 2, 0.4 * p["rib_thickness"], 0.55 * p["depth"]
    along = p["rib_reach"] * p["length"]
    upward = min(p["rib_reach"] * p["height"], 0.6 * p["height"] - p["bore_radius"] - 0.3 * wall)
    # It starts inside the walls, yet clear of the rounding outside.
    inside = 0.75 * wall
    half = [(side + 2 * root, inside, 0.0), (side + 2 * root, wall, 0.0), (side, wall, root)]
    on_floor = [(centre + y, z, r) for y, z, r in mirrored([*half, (side, upward, 0.0)])]
    on_wall = [(x, centre + y, r) for y, x, r in mirrored([*half, (side, along, 0.0)])]
    flank = [
        (inside, inside, 0.0),
        (along, inside, 0.0),
        (along, wall, 0.0),
        (wall, upward, 0.0),
        (inside, upward, 0.0),
    ]
    made = []
    for foot in (extruded_outline(on_floor, "yz", inside, along), extruded_outline(on_wall, "xy", inside, upward)):
        prism = extruded_outline(flank, "xz", centre - side - 3 * root, 2 * side + 6 * root)
        made.append(intersect(foot, prism))
    return fuse(made)


HOUSING_CORNER = PartFamily(
    name="housing_corner",
    index=8,
    draw=draw_housing_corner,
    build=build_housing_corner,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
        (SupportFaces("base", ("normal",)), SupportFaces("pads")),
    ),
    loads=(
        LoadFaces("bore", ("bearing", "force", "remote")),
        LoadFaces("inside", ("pressure",)),
        LoadFaces("side", ("pressure", "force")),
        LoadFaces("rim", ("force", "traction", "moment")),
    ),
)
