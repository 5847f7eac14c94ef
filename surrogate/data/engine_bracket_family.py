"""Engine bracket: four bolted feet, a waisted body hollowed from below, and two tapered lugs for a pin above."""

import numpy as np

from surrogate.data.occ_fillets import lug_corner, mirrored
from surrogate.data.occ_shapes import Corner, at, cut, cylinder, extruded_outline, hole_walls, intersect, name_faces
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_engine_bracket(generator: np.random.Generator) -> Parameters:
    """Draws a bracket centred on z, its feet on z = 0, its pin along y."""
    size = overall_size(generator)
    half = size / 2
    lug_radius = half * generator.uniform(0.19, 0.27)
    lug = size * generator.uniform(0.07, 0.11)
    gap = size * generator.uniform(0.1, 0.18)
    plate = size * generator.uniform(0.06, 0.09)
    foot = half * generator.uniform(0.16, 0.22)
    flare = lug * generator.uniform(0.2, 0.7)
    # Wide enough for the lugs with their flare, and for two feet.
    least = gap / 2 + lug + flare + 0.3 * foot
    return {
        "length": size,
        "half_width": max(half * generator.uniform(0.55, 0.85), least),
        "plate": plate,
        "foot_radius": foot,
        "bolt_radius": foot * generator.uniform(0.38, 0.5),
        "lug_radius": lug_radius,
        "hole_radius": lug_radius * generator.uniform(0.45, 0.6),
        "lug": lug,
        "gap": gap,
        "flare": flare,
        "root": lug_radius * generator.uniform(1.3, 2.1),
        "pin_height": size * generator.uniform(0.32, 0.5),
        "floor": plate * generator.uniform(1.3, 2.2),
        "fillet": plate * generator.uniform(0.9, 1.8),
        "arch": plate * generator.uniform(0.25, 0.45),
        "waist_x": generator.uniform(0.25, 0.6),
        "waist_y": generator.uniform(0.2, 0.6),
        "pocket": float(generator.integers(0, 2)),
    }


def build_engine_bracket(p: Parameters) -> float:
    """Builds and names an engine bracket; returns its wall thickness, m."""
    import gmsh

    half, half_width, plate, foot = p["length"] / 2, p["half_width"], p["plate"], p["foot_radius"]
    inner, top = p["gap"] / 2, p["pin_height"] + p["lug_radius"]
    body = intersect(
        extruded_outline(_across(p), "yz", -half, 2 * half),
        extruded_outline(_along(p), "xz", -half_width, 2 * half_width),
    )
    body = intersect(body, extruded_outline(_plan(p), "xy", -plate, top + 2 * plate))
    bolts = [(sx * (half - foot), sy * (half_width - foot)) for sx in (-1, 1) for sy in (-1, 1)]
    tools = [cylinder((x, y, -plate), "z", p["bolt_radius"], 3 * plate) for x, y in bolts]
    tools.append(cylinder((0, -half_width, p["pin_height"]), "y", p["hole_radius"], 2 * half_width))
    if whole(p, "pocket"):
        tools.append(_pocket(p))
    cut(body, tools)
    gmsh.model.occ.synchronize()
    close = 0.02 * p["arch"]
    outer = inner + p["lug"]
    name_faces("bolt_holes", hole_walls(bolts, "xy", p["bolt_radius"], close))
    name_faces("pin_holes", hole_walls([(0, p["pin_height"])], "xz", p["hole_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("cheeks", lambda surface: at("y", outer, close)(surface) or at("y", -outer, close)(surface))
    name_faces("inner_cheeks", lambda surface: at("y", inner, close)(surface) or at("y", -inner, close)(surface))
    return min(plate, p["lug"])


def _across(p: Parameters) -> list[Corner]:
    """Outline in yz: plate, flared flanks, two lugs with a round floor between them, hollow between the feet."""
    edge, plate, arch, inner = p["half_width"], p["plate"], p["arch"], p["gap"] / 2
    outer, top = inner + p["lug"], p["pin_height"] + p["lug_radius"]
    knee = p["floor"] + 0.35 * (p["pin_height"] - p["floor"])
    instep = edge - 2 * p["foot_radius"]
    right: list[Corner] = [
        (instep - 3 * arch, arch, 20 * arch), (instep, 0, 0), (edge, 0, 0), (edge, plate, 0),
        (outer + p["flare"], plate, p["fillet"]), (outer, knee, 20 * p["fillet"]), (outer, top, 0),
        (inner, top, 0), (inner, p["floor"], 0.8 * inner),
    ]  # fmt: skip
    if instep - 5 * arch < 0:
        right = [(edge, 0.0, 0.0), *right[3:]]
    return mirrored(right)


def _along(p: Parameters) -> list[Corner]:
    """Outline in xz: plate, tapered lugs rounded about the pin, hollow between the feet."""
    edge, plate, arch = p["length"] / 2, p["plate"], p["arch"]
    instep = edge - 2 * p["foot_radius"]
    return mirrored([
        (instep - 3 * arch, arch, 20 * arch), (instep, 0, 0), (edge, 0, 0), (edge, plate, 0),
        (_root(p), plate, 1.5 * p["fillet"]), lug_corner((_root(p), plate), p["pin_height"], p["lug_radius"]),
    ])  # fmt: skip


def _root(p: Parameters) -> float:
    """Half the lugs' length along x where they stand on the plate."""
    return min(p["root"], 0.6 * (p["length"] / 2 - p["foot_radius"]))


def _plan(p: Parameters) -> list[Corner]:
    """Outline in xy: four round feet, waisted on all four sides."""
    half, edge, foot = p["length"] / 2, p["half_width"], p["foot_radius"]
    outer = p["gap"] / 2 + p["lug"] + p["flare"]
    inward_x = p["waist_x"] * (half - _root(p) - p["fillet"])
    inward_y = min(max(p["waist_y"] * (edge - outer), 0.25 * foot), foot)
    waist_x, waist_y = half - inward_x, edge - inward_y
    right: list[Corner] = [
        (half - 2 * foot - inward_y, waist_y, foot), (half - 2 * foot, edge, foot), (half, edge, foot),
        (half, edge - 2 * foot, 0.8 * foot),
    ]  # fmt: skip
    right += [(waist_x, 0, 6 * foot), *((x, -y, radius) for x, y, radius in reversed(right))]
    return mirrored(right)


def _pocket(p: Parameters) -> int:
    """What is milled out from below under the lugs, rounded in plan and at its ceiling."""
    wall = 0.6 * p["plate"]
    ceiling = max(p["floor"] - wall, p["arch"] + 0.3 * p["plate"])
    long, wide = _root(p) - 0.3 * wall, p["gap"] / 2 + 0.3 * p["lug"]
    radius = 0.45 * ceiling
    below = -p["plate"]
    side = mirrored([(long, below, 0.0), (long, ceiling, radius)])
    plan = mirrored([(long, -wide, wide), (long, wide, wide)])
    return intersect(
        extruded_outline(side, "xz", -wide, 2 * wide), extruded_outline(plan, "xy", below, 2 * ceiling - below)
    )


ENGINE_BRACKET = PartFamily(
    name="engine_bracket",
    index=9,
    draw=draw_engine_bracket,
    build=build_engine_bracket,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
    ),
    loads=(
        LoadFaces("pin_holes", ("bearing", "force", "remote", "moment")),
        LoadFaces("cheeks", ("force", "pressure")),
        LoadFaces("inner_cheeks", ("pressure", "force")),
    ),
)
