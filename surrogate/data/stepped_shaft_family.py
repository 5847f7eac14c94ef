"""Stepped shaft: two to four diameters with shoulder fillets, a keyway or a cross hole, a bore in some."""

from collections.abc import Callable

import numpy as np

from surrogate.data.occ_shapes import (
    Corner,
    Surface,
    at,
    cut,
    cylinder,
    extruded_outline,
    name_faces,
    revolved_outline,
    within,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_shaft(generator: np.random.Generator) -> Parameters:
    """Draws a shaft along z: diameters grow towards the middle, as shoulders locate bearings and wheels."""
    length = overall_size(generator)
    steps = int(generator.integers(2, 5))
    largest = length * generator.uniform(0.07, 0.17)
    seat = int(generator.integers(0, steps)) if steps > 2 else int(generator.integers(0, 2))
    radii, radius = {seat: largest}, largest
    for step in range(seat - 1, -1, -1):
        radius *= generator.uniform(0.68, 0.88)
        radii[step] = radius
    radius = largest
    for step in range(seat + 1, steps):
        radius *= generator.uniform(0.68, 0.88)
        radii[step] = radius
    shares = generator.uniform(0.6, 1.4, steps)
    lengths = length * shares / shares.sum()
    smallest = min(radii.values())
    return {
        "length": length,
        "step_count": steps,
        **{f"radius_{step}": radii[step] for step in range(steps)},
        **{f"length_{step}": float(lengths[step]) for step in range(steps)},
        "fillet_share": generator.uniform(0.35, 0.85),
        "chamfer": smallest * generator.uniform(0.06, 0.14),
        "bore_radius": smallest * generator.uniform(0.3, 0.6) * float(generator.random() < 0.4),
        "cross_hole": float(generator.integers(0, 2)),
        "feature_step": float(generator.choice([0, steps - 1])),
        "feature_width": generator.uniform(0.45, 0.65),
        "feature_depth": generator.uniform(0.2, 0.3),
        "feature_reach": generator.uniform(0.5, 0.75),
    }


def build_shaft(p: Parameters) -> float:
    """Builds and names a stepped shaft; returns its plain element, m."""
    import gmsh

    ends = _ends(p)
    radii = [p[f"radius_{step}"] for step in range(len(ends) - 1)]
    body = revolved_outline(_half_section(p, radii, ends))
    cut(body, [_feature(p, radii, ends)])
    gmsh.model.occ.synchronize()
    close = 0.02 * p["chamfer"]
    last, feature = len(radii) - 1, whole(p, "feature_step")
    for name, step in (("journal", 0), ("far_journal", last)):
        name_faces(name, _journal(radii[step], ends[step], ends[step + 1], close))
    name_faces("end", at("z", 0.0, close))
    name_faces("far_end", at("z", p["length"], close))
    name_faces("driven", _feature_walls(p, radii[feature], ends[feature], ends[feature + 1], close))
    name_faces("shoulder", at("z", ends[max(int(np.argmax(radii)), 1)], close))
    return 0.7 * min(radii) if not p["bore_radius"] else max(min(radii) - p["bore_radius"], 0.4 * min(radii))


def _ends(p: Parameters) -> list[float]:
    """Where the steps begin and end along z, m."""
    lengths = [p[f"length_{step}"] for step in range(whole(p, "step_count"))]
    return [0.0, *np.cumsum(lengths).tolist()]


def _half_section(p: Parameters, radii: list[float], ends: list[float]) -> list[Corner]:
    """Outline in (radius, z): a chamfer at both ends, a fillet in the corner of every shoulder."""
    bore, chamfer, length = p["bore_radius"], p["chamfer"], ends[-1]
    outline: list[Corner] = [(bore, 0.0, 0.0), (radii[0] - chamfer, 0.0, 0.0), (radii[0], chamfer, 0.0)]
    for below, above, z in zip(radii, radii[1:], ends[1:], strict=False):
        fillet = p["fillet_share"] * abs(above - below)
        outline += [(below, z, fillet * (above > below)), (above, z, fillet * (above < below))]
    return [*outline, (radii[-1], length - chamfer, 0.0), (radii[-1] - chamfer, length, 0.0), (bore, length, 0.0)]


def _feature(p: Parameters, radii: list[float], ends: list[float]) -> int:
    """What is cut from one end step: a hole right through along y, or a round-ended keyway on its upper side."""
    step = whole(p, "feature_step")
    radius, low, high = radii[step], ends[step], ends[step + 1]
    middle = (low + high) / 2
    if whole(p, "cross_hole"):
        hole = min(0.5 * p["feature_width"] * radius, 0.3 * (high - low))
        return cylinder((0.0, -2 * radius, middle), "y", hole, 4 * radius)
    half = 0.5 * p["feature_width"] * radius
    reach = max(0.5 * p["feature_reach"] * (high - low), 1.2 * half)
    corners = [(x, z, half) for x, z in _rectangle(half, middle - reach, middle + reach)]
    return extruded_outline(corners, "xz", radius - _keyway_depth(p, radius), radius)


def _rectangle(half: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(-half, low), (half, low), (half, high), (-half, high)]


def _keyway_depth(p: Parameters, radius: float) -> float:
    return min(p["feature_depth"] * radius, 0.6 * (radius - p["bore_radius"]))


def _journal(radius: float, low: float, high: float, close: float) -> Callable[[Surface], bool]:
    """Matches the outside of a step, also where a keyway or a hole took its upper side."""
    between = within("z", low, high, "Cylinder", close)
    return lambda surface: between(surface) and abs(surface.high[0] - surface.low[0] - 2 * radius) < 0.05 * radius


def _feature_walls(p: Parameters, radius: float, low: float, high: float, close: float) -> Callable[[Surface], bool]:
    """Matches the walls of the cross hole or of the keyway in the step between two positions."""
    if whole(p, "cross_hole"):
        between = within("z", low, high, "Cylinder", close)
        return lambda surface: between(surface) and surface.high[0] - surface.low[0] < radius
    floor = radius - _keyway_depth(p, radius)
    return lambda surface: surface.low[1] > floor - close


STEPPED_SHAFT = PartFamily(
    name="stepped_shaft",
    index=11,
    draw=draw_shaft,
    build=build_shaft,
    supports=(
        (SupportFaces("end"),),
        (SupportFaces("journal"),),
        (SupportFaces("end"), SupportFaces("far_journal", ("normal",))),
        (SupportFaces("journal", ("normal",)), SupportFaces("far_journal", ("normal",)), SupportFaces("driven")),
    ),
    loads=(
        LoadFaces("far_end", ("moment", "force", "remote", "pressure")),
        LoadFaces("far_journal", ("force", "moment", "remote")),
        LoadFaces("shoulder", ("force", "pressure", "moment")),
        LoadFaces("driven", ("force", "moment")),
    ),
)
