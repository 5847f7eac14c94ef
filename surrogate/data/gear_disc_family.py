"""Gear-like disc: hub, web with lightening holes, and a rim with trapezoidal teeth."""

import numpy as np

from surrogate.data.occ_shapes import (
    Corner,
    at,
    cut,
    cylinder,
    extruded_outline,
    hole_walls,
    intersect,
    name_faces,
    over_edge,
    revolved_outline,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_gear(generator: np.random.Generator) -> Parameters:
    """Draws a gear about z; its faces lie across z, its first tooth points along x."""
    tip = 0.5 * overall_size(generator)
    teeth = int(generator.integers(6, 13))
    # Stub teeth: about one and a half modules high, the module being the tip diameter over teeth and two.
    root = tip * (1 - generator.uniform(2.6, 3.4) / (teeth + 2))
    rim = root - tip * generator.uniform(0.08, 0.13)
    hub = min(tip * generator.uniform(0.2, 0.38), 0.6 * rim)
    width = tip * generator.uniform(0.16, 0.4)
    return {
        "tip_radius": tip,
        "teeth": float(teeth),
        "root_radius": root,
        "rim_radius": rim,
        "hub_radius": hub,
        "bore_radius": hub * generator.uniform(0.55, 0.75),
        "rim_width": width,
        "hub_reach": width * generator.uniform(0.2, 0.7) * float(generator.random() < 0.6),
        "web": min(width * generator.uniform(0.3, 0.6), 0.14 * tip),
        "web_offset": generator.uniform(-0.4, 0.4),
        "fillet": generator.uniform(0.3, 0.7),
        "root_share": generator.uniform(0.56, 0.66),
        "tip_share": generator.uniform(0.26, 0.36),
        "root_fillet": generator.uniform(0.3, 0.5),
        "hole_count": float(generator.integers(3, 8)),
        "hole_share": generator.uniform(0.6, 0.85),
    }


def build_gear(p: Parameters) -> float:
    """Builds and names a gear-like disc; returns its wall thickness, m."""
    import gmsh

    half, low, rim = p["rim_width"] / 2, -p["rim_width"] / 2 - p["hub_reach"], p["rim_radius"]
    teeth = extruded_outline(_tooth_outline(p), "xy", 2 * low, 4 * p["rim_width"] + 2 * p["hub_reach"])
    body = intersect(revolved_outline(_half_section(p)), teeth)
    holes, radius = _web_holes(p)
    cut(body, [cylinder((u, v, 2 * low), "z", radius, -4 * low) for u, v in holes])
    gmsh.model.occ.synchronize()
    close = 0.02 * p["web"]
    in_low, in_high = at("z", low, close), at("z", half, close)
    name_faces("bore", hole_walls([(0.0, 0.0)], "xy", p["bore_radius"], close))
    name_faces("web_holes", hole_walls(holes, "xy", radius, close))
    name_faces("hub_face", lambda surface: in_low(surface) and surface.high[0] < rim - close)
    name_faces("rim_face", lambda surface: in_high(surface) and surface.high[0] > rim + close)
    name_faces("tooth_flank", over_edge(*_flank(p, 0), "xy", close))
    name_faces("far_flank", over_edge(*_flank(p, whole(p, "teeth") // 2), "xy", close))
    return p["web"]


def _half_section(p: Parameters) -> list[Corner]:
    """Outline in (radius, z), beyond the teeth: hub, web and rim, filleted at the web."""
    half, web, hub, rim = p["rim_width"] / 2, p["web"] / 2, p["hub_radius"], p["rim_radius"]
    middle = p["web_offset"] * (half - web)
    fillet = p["fillet"] * _least_recess(p)
    bore, outer = p["bore_radius"], 1.1 * p["tip_radius"]
    return [
        (bore, -half - p["hub_reach"], 0.0), (hub, -half - p["hub_reach"], 0.0), (hub, middle - web, fillet),
        (rim, middle - web, fillet), (rim, -half, 0.0), (outer, -half, 0.0), (outer, half, 0.0), (rim, half, 0.0),
        (rim, middle + web, fillet), (hub, middle + web, fillet), (hub, half, 0.0), (bore, half, 0.0),
    ]  # fmt: skip


def _least_recess(p: Parameters) -> float:
    """What bounds a fillet: how deep the web lies under the rim's face, and a share of its reach, m."""
    depth = (1 - abs(p["web_offset"])) * (p["rim_width"] - p["web"]) / 2
    return min(depth, p["web"], 0.25 * (p["rim_radius"] - p["hub_radius"]))


def _web_holes(p: Parameters) -> tuple[list[tuple[float, float]], float]:
    """Centres and radius of the lightening holes, clear of the fillets and of each other, m."""
    count, circle = whole(p, "hole_count"), (p["hub_radius"] + p["rim_radius"]) / 2
    across = p["rim_radius"] - p["hub_radius"] - 2 * p["fillet"] * _least_recess(p)
    radius = 0.5 * p["hole_share"] * min(across, 2 * circle * float(np.sin(np.pi / count)))
    angles = 2 * np.pi * (np.arange(count) + 0.5) / count
    return [(circle * float(np.cos(a)), circle * float(np.sin(a))) for a in angles], radius


def _tooth(p: Parameters, number: int) -> list[tuple[float, float]]:
    """Root, tip, tip, root of a tooth, counter-clockwise."""
    pitch = 2 * np.pi / whole(p, "teeth")
    root, tip = (p["root_radius"], p["root_share"] / 2), (p["tip_radius"], p["tip_share"] / 2)
    corners = [(*root, -1), (*tip, -1), (*tip, 1), (*root, 1)]
    angles = [pitch * (number + side * share) for _, share, side in corners]
    return [(r * float(np.cos(a)), r * float(np.sin(a))) for (r, _, _), a in zip(corners, angles, strict=True)]


def _tooth_outline(p: Parameters) -> list[Corner]:
    """All teeth in xy, filleted at their roots, their tips flat."""
    gap = (1 - p["root_share"]) * 2 * np.pi / whole(p, "teeth") * p["root_radius"]
    radii = (p["root_fillet"] * gap, 0.0, 0.0, p["root_fillet"] * gap)
    return [
        (u, v, radius)
        for number in range(whole(p, "teeth"))
        for (u, v), radius in zip(_tooth(p, number), radii, strict=True)
    ]


def _flank(p: Parameters, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Root and tip of the flank of a tooth that turns ahead, m."""
    corners = _tooth(p, number)
    return corners[3], corners[2]


GEAR_DISC = PartFamily(
    name="gear_disc",
    index=12,
    draw=draw_gear,
    build=build_gear,
    supports=(
        (SupportFaces("bore"),),
        (SupportFaces("hub_face"),),
        (SupportFaces("web_holes"),),
        (SupportFaces("bore", ("normal",)), SupportFaces("hub_face")),
    ),
    loads=(
        LoadFaces("tooth_flank", ("force", "pressure")),
        LoadFaces("far_flank", ("force", "pressure")),
        LoadFaces("rim_face", ("force", "pressure", "moment", "remote")),
        LoadFaces("web_holes", ("force", "moment")),
    ),
)
