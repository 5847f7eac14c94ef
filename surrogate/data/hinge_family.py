"""Hinge half: knuckles with a pin bore on a leaf with screw holes, the barrel filleted into the leaf."""

import numpy as np

from surrogate.data.occ_fillets import extruded_path
from surrogate.data.occ_shapes import at, cut, cylinder, extruded_outline, hole_walls, intersect, name_faces
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_hinge(generator: np.random.Generator) -> Parameters:
    """Draws a hinge half; the leaf lies in xy on z = 0, the pin runs along y at x = 0."""
    size = overall_size(generator)
    knuckles = int(generator.integers(1, 3))
    leaf = size * generator.uniform(0.55, 1.0)
    width = leaf * generator.uniform(0.45, 0.85)
    sheet = leaf * generator.uniform(0.07, 0.12)
    barrel = max(sheet * generator.uniform(1.0, 1.6), 0.12 * width)
    return {
        "leaf": leaf,
        "width": width,
        "sheet": sheet,
        "barrel_radius": barrel,
        "bore_radius": barrel * generator.uniform(0.45, 0.6),
        "centred": float(generator.integers(0, 2)),
        "fillet": sheet * generator.uniform(0.5, 1.2),
        "knuckle_count": float(knuckles),
        "outer_knuckles": float(generator.integers(0, 2)),
        "slot_gap": sheet * generator.uniform(0.1, 0.4),
        "corner_radius": min(width, leaf) * generator.uniform(0.08, 0.25),
        "screw_rows": float(generator.integers(1, 3)),
        "screw_columns": float(generator.integers(2, 4) if width > 0.65 * leaf else 2),
        "screw_radius": min(width, leaf) * generator.uniform(0.06, 0.085),
    }


def build_hinge(p: Parameters) -> float:
    """Builds and names a hinge half; returns the wall of its leaf or of its barrel, whichever is thinner, m."""
    import gmsh

    leaf, width, sheet, barrel = p["leaf"], p["width"], p["sheet"], p["barrel_radius"]
    height = _pin_height(p)
    corner = p["corner_radius"]
    plan = [(-2 * barrel, 0, 0), (leaf, 0, corner), (leaf, width, corner), (-2 * barrel, width, 0)]
    body = intersect(_profile(p), extruded_outline(plan, "xy", -3 * barrel, 6 * barrel))
    screws = _screw_places(p)
    tools = [cylinder((x, y, -sheet), "z", p["screw_radius"], 3 * sheet) for x, y in screws]
    tools.append(cylinder((0, -width, height), "y", p["bore_radius"], 3 * width))
    cut(body, [*tools, *_slots(p)])
    gmsh.model.occ.synchronize()
    close = 0.02 * min(sheet, barrel - p["bore_radius"])
    name_faces("screw_holes", hole_walls(screws, "xy", p["screw_radius"], close))
    name_faces("pin_bore", hole_walls([(0.0, height)], "xz", p["bore_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("leaf", at("z", sheet, close))
    name_faces("edge", at("x", leaf, close))
    return min(sheet, 1.5 * (barrel - p["bore_radius"]))


def _pin_height(p: Parameters) -> float:
    return p["sheet"] / 2 if whole(p, "centred") else p["barrel_radius"]


def _profile(p: Parameters) -> int:
    """The barrel and the leaf, with a fillet wherever the leaf meets the barrel at an angle."""
    leaf, sheet, barrel, fillet, height = p["leaf"], p["sheet"], p["barrel_radius"], p["fillet"], _pin_height(p)
    # The fillet's centre is `fillet` above the leaf and barrel + fillet from the pin's axis.
    rise = sheet + fillet - height
    run = float(np.sqrt(max((barrel + fillet) ** 2 - rise**2, 0.0)))
    touch = barrel / (barrel + fillet)
    axis, upper = (0.0, height), (run, height + rise)
    on_barrel = (run * touch, height + rise * touch)
    path: list[tuple[tuple[float, float], tuple[float, float] | None]] = [
        ((leaf, sheet), None), ((run, sheet), None), (on_barrel, upper), ((-barrel, height), axis),
    ]  # fmt: skip
    if whole(p, "centred"):
        mirror = 2 * height
        path += [((on_barrel[0], mirror - on_barrel[1]), axis), ((run, 0.0), (run, mirror - upper[1]))]
    else:
        path += [((0.0, 0.0), axis)]
    return extruded_path([*path, ((leaf, 0.0), None)], "xz", 0.0, p["width"])


def _slots(p: Parameters) -> list[int]:
    """What the other half's knuckles take away, with rounded inner corners."""
    pitch = p["width"] / (2 * whole(p, "knuckle_count") + 1)
    first = 1 if whole(p, "outer_knuckles") else 0
    barrel, gap = p["barrel_radius"], p["slot_gap"]
    depth, radius = 1.1 * barrel + gap, 0.3 * min(pitch, barrel)
    slots = []
    for number in range(first, 2 * whole(p, "knuckle_count") + 1, 2):
        # A slot at an end of the barrel runs out of the part, and the gap lets both halves turn.
        low = -pitch if number == 0 else number * pitch - 0.5 * min(gap, 0.1 * pitch)
        high = p["width"] + pitch if number == 2 * whole(p, "knuckle_count") else (number + 1) * pitch
        corners = [(-3 * barrel, low, 0), (depth, low, radius), (depth, high, radius), (-3 * barrel, high, 0)]
        slots.append(extruded_outline(corners, "xy", -3 * barrel, 6 * barrel))
    return slots


def _screw_places(p: Parameters) -> list[tuple[float, float]]:
    """Screw centres in rows along the pin, the first row clear of slots and fillet."""
    near = 1.1 * p["barrel_radius"] + p["slot_gap"] + p["fillet"] + 2 * p["screw_radius"]
    far = p["leaf"] - max(2.2 * p["screw_radius"], 0.6 * p["corner_radius"])
    rows = [far] if whole(p, "screw_rows") == 1 or far - near < 4 * p["screw_radius"] else [near, far]
    margin = max(2.5 * p["screw_radius"], 0.9 * p["corner_radius"])
    return [(x, float(y)) for x in rows for y in np.linspace(margin, p["width"] - margin, whole(p, "screw_columns"))]


HINGE = PartFamily(
    name="hinge",
    index=4,
    draw=draw_hinge,
    build=build_hinge,
    supports=(
        (SupportFaces("screw_holes"),),
        (SupportFaces("screw_holes"), SupportFaces("base", ("normal",))),
        (SupportFaces("pin_bore"),),
    ),
    loads=(
        LoadFaces("pin_bore", ("bearing", "force", "remote")),
        LoadFaces("edge", ("force", "traction", "moment")),
        LoadFaces("leaf", ("pressure", "force")),
        LoadFaces("screw_holes", ("bearing", "force")),
    ),
)
