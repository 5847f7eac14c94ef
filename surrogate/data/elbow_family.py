"""Pipe elbow: a tube with a bolted flange, a straight stub, a bend and a straight end, under pressure or pipe loads."""

import numpy as np

from surrogate.data.occ_fillets import remove_stray_faces
from surrogate.data.occ_shapes import (
    Corner,
    Surface,
    at,
    cut,
    cylinder,
    fuse,
    hole_walls,
    name_faces,
    revolved_outline,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole
from surrogate.fields import FloatArray


def draw_elbow(generator: np.random.Generator) -> Parameters:
    """Draws an elbow; the flange lies on z = 0, the tube rises along z and bends towards x."""
    size = overall_size(generator)
    tube = size * generator.uniform(0.12, 0.18)
    wall = tube * generator.uniform(0.2, 0.36)
    flange = tube * generator.uniform(1.75, 2.3)
    thick = tube * generator.uniform(0.25, 0.45)
    return {
        "tube_radius": tube,
        "wall": wall,
        "flange_radius": flange,
        "flange_thickness": thick,
        "fillet": wall * generator.uniform(0.6, 1.2),
        "stub": thick + tube * generator.uniform(0.5, 1.2),
        "bend_radius": tube * generator.uniform(1.5, 3.0),
        "angle": generator.uniform(np.radians(40), np.radians(95)),
        "straight": tube * generator.uniform(0.3, 2.0),
        "bolt_count": float(generator.choice([4, 6, 8], p=[0.45, 0.4, 0.15])),
        "bolt_radius": (flange - tube) * generator.uniform(0.17, 0.23),
    }


def build_elbow(p: Parameters) -> float:
    """Builds and names an elbow; returns its wall thickness, m."""
    import gmsh

    flange, thick, tube, wall = p["flange_radius"], p["flange_thickness"], p["tube_radius"], p["wall"]
    bore, stub = tube - wall, p["stub"]
    outline: list[Corner] = [
        (flange, 0, 0), (flange, thick, 0), (tube, thick, p["fillet"]), (tube, stub, 0), (bore, stub, 0), (bore, 0, 0),
    ]  # fmt: skip
    body = fuse([revolved_outline(outline), *_bend_and_straight(p)])
    circle = max(0.5 * (flange + tube + p["fillet"]), flange - 2 * p["bolt_radius"])
    angles = 2 * np.pi * (np.arange(whole(p, "bolt_count")) + 0.5) / whole(p, "bolt_count")
    bolts = [(circle * float(np.cos(a)), circle * float(np.sin(a))) for a in angles]
    cut(body, [cylinder((u, v, -thick), "z", p["bolt_radius"], 3 * thick) for u, v in bolts])
    gmsh.model.occ.synchronize()
    remove_stray_faces()
    close = 0.02 * min(wall, thick)
    name_faces("bolt_holes", hole_walls(bolts, "xy", p["bolt_radius"], close))
    name_faces("base", at("z", 0.0, close))
    name_faces("bore", lambda surface: abs(_distance_from_axis(surface, p) - bore) < close)
    name_faces("tube", lambda surface: abs(_distance_from_axis(surface, p) - tube) < close)
    name_faces("tip", lambda surface: _is_end(surface, p, close))
    return min(wall, thick)


def _bend_and_straight(p: Parameters) -> list[int]:
    """The ring at the stub's end, revolved about the bend's axis, then extruded along the tube's end."""
    import gmsh

    occ = gmsh.model.occ
    loops = [
        occ.addCurveLoop([occ.addCircle(0, 0, p["stub"], radius)])
        for radius in (p["tube_radius"], p["tube_radius"] - p["wall"])
    ]
    ring = occ.addPlaneSurface(loops)
    bent = occ.revolve([(2, ring)], p["bend_radius"], 0, p["stub"], 0, 1, 0, p["angle"])
    _, along = _end(p)
    # The first entity that a sweep returns is the face at its end.
    straight = occ.extrude(bent[:1], *(p["straight"] * along).tolist())
    return [tag for dimension, tag in [*bent, *straight] if dimension == 3]


def _end(p: Parameters) -> tuple[FloatArray, FloatArray]:
    """Where the bend ends on the tube's axis, m, and the axis' direction there."""
    bend, angle = p["bend_radius"], p["angle"]
    place = np.array([bend * (1 - np.cos(angle)), 0.0, p["stub"] + bend * np.sin(angle)])
    return place, np.array([np.sin(angle), 0.0, np.cos(angle)])


def _distance_from_axis(surface: Surface, p: Parameters) -> float:
    """Distance of a curved surface's middle from the tube's axis, m; infinite for a plane face."""
    import gmsh

    if surface.kind == "Plane":
        return np.inf
    low, high = (np.array(bound) for bound in gmsh.model.getParametrizationBounds(2, surface.tag))
    x, y, z = gmsh.model.getValue(2, surface.tag, (low + 0.45 * (high - low)).tolist())
    end, along = _end(p)
    beyond = np.array([x, y, z]) - end
    if z <= p["stub"] and x < p["bend_radius"]:
        return float(np.hypot(x, y))
    if beyond @ along >= 0:
        return float(np.linalg.norm(beyond - (beyond @ along) * along))
    from_centre = np.hypot(x - p["bend_radius"], z - p["stub"])
    return float(np.hypot(from_centre - p["bend_radius"], y))


def _is_end(surface: Surface, p: Parameters, tolerance: float) -> bool:
    """Whether a face is the ring at the free end of the tube."""
    import gmsh

    if surface.kind != "Plane":
        return False
    end, along = _end(p)
    middle = np.array(gmsh.model.occ.getCenterOfMass(2, surface.tag))
    return bool(np.abs(middle - end - p["straight"] * along).max() < tolerance)


PIPE_ELBOW = PartFamily(
    name="pipe_elbow",
    index=7,
    draw=draw_elbow,
    build=build_elbow,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
    ),
    loads=(
        LoadFaces("bore", ("pressure",)),
        LoadFaces("tip", ("force", "remote", "moment", "traction")),
        LoadFaces("tube", ("force", "pressure")),
    ),
)
