"""Stiffened panel segment: a skin with blade, L or T stiffeners that run out before its ends."""

import numpy as np

from surrogate.data.occ_shapes import Corner, at, cut, cylinder, extruded_outline, intersect, name_faces
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_panel(generator: np.random.Generator) -> Parameters:
    """Draws a panel; the skin lies in xy, the stiffeners run along x and stand along z."""
    length = overall_size(generator)
    width = length * generator.uniform(0.45, 1.0)
    count = int(generator.integers(1, 5))
    pitch = width / count
    skin = length * generator.uniform(0.018, 0.035)
    blade = skin * generator.uniform(0.8, 1.6)
    height = min(pitch * generator.uniform(0.4, 0.75), length * generator.uniform(0.1, 0.22))
    flange = min(height * generator.uniform(0.35, 0.7), 0.3 * pitch)
    return {
        "length": length,
        "width": width,
        "stiffener_count": count,
        "profile": float(generator.integers(0, 3)),
        "skin": skin,
        "blade": blade,
        "height": max(height, 4 * skin),
        "flange_reach": max(flange, 1.5 * blade),
        "flange_thickness": blade * generator.uniform(0.8, 1.2),
        "fillet": skin * generator.uniform(0.4, 1.0),
        "run_out": float(generator.integers(0, 2)),
        "run_out_gap": length * generator.uniform(0.04, 0.1),
        "run_out_slope": generator.uniform(0.5, 2.0),
        "cut_out": float(generator.integers(0, 2)),
        "cut_out_share": generator.uniform(0.45, 0.8),
        "cut_out_stretch": generator.uniform(0.0, 1.5),
    }


def build_panel(p: Parameters) -> float:
    """Builds and names a stiffened panel; returns its wall thickness, m."""
    import gmsh

    length, width, skin = p["length"], p["width"], p["skin"]
    top = skin + p["height"]
    body = extruded_outline(_section(p), "yz", 0.0, length)
    if whole(p, "run_out"):
        body = intersect(body, extruded_outline(_side_view(p), "xz", -width, 3 * width))
    if whole(p, "cut_out"):
        body = cut(body, [_cut_out(p)])
    gmsh.model.occ.synchronize()
    close = 0.02 * skin
    name_faces("end", at("x", 0.0, close))
    name_faces("far_end", at("x", length, close))
    name_faces("sides", lambda surface: at("y", 0.0, close)(surface) or at("y", width, close)(surface))
    name_faces("outer_skin", at("z", 0.0, close))
    name_faces("stiffener_tops", at("z", top, close))
    # A segment is wide and thin: elements of about twice its thickness meet the wanted count at once.
    return 2.0 * min(skin, p["blade"])


def _places(p: Parameters) -> list[float]:
    """Where the stiffeners stand along y, m."""
    count = whole(p, "stiffener_count")
    return [p["width"] * (i + 0.5) / count for i in range(count)]


def _section(p: Parameters) -> list[Corner]:
    """Outline in yz of the skin with its stiffeners; run from the right, as the outline turns."""
    skin, half, fillet = p["skin"], p["blade"] / 2, p["fillet"]
    top, under = skin + p["height"], skin + p["height"] - p["flange_thickness"]
    reach, profile = half + p["flange_reach"], whole(p, "profile")
    outline: list[Corner] = [(0.0, 0.0, 0.0), (p["width"], 0.0, 0.0), (p["width"], skin, 0.0)]
    for y in reversed(_places(p)):
        outline.append((y + half, skin, fillet))
        if profile:
            outline += [(y + half, under, fillet), (y + reach, under, 0.0), (y + reach, top, 0.0)]
        else:
            outline.append((y + half, top, 0.0))
        if profile == 2:
            outline += [(y - reach, top, 0.0), (y - reach, under, 0.0), (y - half, under, fillet)]
        else:
            outline.append((y - half, top, 0.0))
        outline.append((y - half, skin, fillet))
    return [*outline, (0.0, skin, 0.0)]


def _side_view(p: Parameters) -> list[Corner]:
    """Outline in xz of the skin with stiffeners that start at a low nose and slope up to their height."""
    length, skin, top, gap = p["length"], p["skin"], p["skin"] + p["height"], p["run_out_gap"]
    nose = skin + 0.3 * p["height"]
    rise = gap + min((top - nose) / p["run_out_slope"], 0.3 * length)
    left: list[Corner] = [(0.0, skin, 0.0), (gap, skin, 2 * p["fillet"]), (gap, nose, 0.0), (rise, top, p["height"])]
    right = [(length - x, z, radius) for x, z, radius in reversed(left)]
    return [(0.0, 0.0, 0.0), *left, *right, (length, 0.0, 0.0)]


def _cut_out(p: Parameters) -> int:
    """A round or long hole through the skin in the middle of a bay."""
    places = _places(p)
    near = places[0] + p["blade"] / 2 + p["fillet"]
    far = places[1] - p["blade"] / 2 - p["fillet"] if len(places) > 1 else p["width"]
    middle, radius = (near + far) / 2, min((far - near) / 2, 0.25 * p["length"]) * p["cut_out_share"]
    reach = radius + min(p["cut_out_stretch"] * radius, 0.15 * p["length"])
    if reach < 1.2 * radius:
        return cylinder((p["length"] / 2, middle, -p["skin"]), "z", radius, 3 * p["skin"])
    u, v = (p["length"] / 2 - reach, p["length"] / 2 + reach), (middle - radius, middle + radius)
    corners = [(u[0], v[0], radius), (u[1], v[0], radius), (u[1], v[1], radius), (u[0], v[1], radius)]
    return extruded_outline(corners, "xy", -p["skin"], 2.5 * p["skin"])


STIFFENED_PANEL = PartFamily(
    name="stiffened_panel",
    index=10,
    draw=draw_panel,
    build=build_panel,
    supports=(
        (SupportFaces("end"),),
        (SupportFaces("end"), SupportFaces("far_end", ("y", "z"))),
        (SupportFaces("end"), SupportFaces("sides", ("z",))),
    ),
    loads=(
        LoadFaces("far_end", ("force", "traction", "remote")),
        LoadFaces("outer_skin", ("pressure",)),
        LoadFaces("stiffener_tops", ("pressure", "force")),
    ),
)
