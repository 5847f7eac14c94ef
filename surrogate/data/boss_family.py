"""Flanged boss: a round bolted flange and a tube or solid boss with a fillet between them."""

import numpy as np

from surrogate.data.occ_shapes import Corner, at, cut, cylinder, hole_walls, name_faces, revolved_outline
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole


def draw_boss(generator: np.random.Generator) -> Parameters:
    """Draws a flanged boss about z; the flange lies on z = 0."""
    flange = 0.5 * overall_size(generator)
    bolts = int(generator.integers(3, 9))
    tube = flange * generator.uniform(0.35, 0.55)
    wall = flange * generator.uniform(0.1, 0.18)
    bolt = min(0.28 * (flange - tube), flange * generator.uniform(0.07, 0.11))
    return {
        "flange_radius": flange,
        "flange_thickness": flange * generator.uniform(0.12, 0.24),
        "tube_radius": tube,
        "bore_radius": tube - wall,
        "height": flange * generator.uniform(0.6, 1.6),
        "fillet": wall * generator.uniform(0.4, 1.0),
        "bolt_count": bolts,
        "bolt_radius": bolt,
        "blind": float(generator.integers(0, 2)),
    }


def build_boss(p: Parameters) -> float:
    """Builds and names a flanged boss; returns its wall thickness, m."""
    import gmsh

    flange, thick, tube, bore = p["flange_radius"], p["flange_thickness"], p["tube_radius"], p["bore_radius"]
    height, wall = p["height"], p["tube_radius"] - p["bore_radius"]
    upper: list[Corner] = [
        (flange, 0, 0), (flange, thick, 0), (tube, thick, p["fillet"]), (tube, height, 0), (bore, height, 0),
    ]  # fmt: skip
    # A blind bore ends on a floor as thick as the flange, rounded at its foot.
    floor = [(bore, thick, 0.5 * min(wall, bore)), (0.0, thick, 0.0), (0.0, 0.0, 0.0)]
    body = revolved_outline([*upper, *floor] if whole(p, "blind") else [*upper, (bore, 0.0, 0.0)])
    circle = max(flange - 2.0 * p["bolt_radius"], 0.5 * (flange + tube))
    angles = 2 * np.pi * (np.arange(whole(p, "bolt_count")) + 0.5) / whole(p, "bolt_count")
    bolts = [(circle * float(np.cos(a)), circle * float(np.sin(a))) for a in angles]
    cut(body, [cylinder((u, v, -thick), "z", p["bolt_radius"], 3 * thick) for u, v in bolts])
    gmsh.model.occ.synchronize()
    close = 0.02 * min(wall, thick)
    name_faces("bolt_holes", hole_walls(bolts, "xy", p["bolt_radius"], close))
    name_faces("bore", hole_walls([(0, 0)], "xy", bore, close))
    name_faces("tube", hole_walls([(0, 0)], "xy", tube, close))
    name_faces("base", at("z", 0.0, close))
    name_faces("tip", at("z", height, close))
    return min(wall, thick)


FLANGED_BOSS = PartFamily(
    name="flanged_boss",
    index=2,
    draw=draw_boss,
    build=build_boss,
    supports=(
        (SupportFaces("bolt_holes"),),
        (SupportFaces("base"),),
        (SupportFaces("bolt_holes"), SupportFaces("base", ("normal",))),
    ),
    loads=(
        LoadFaces("tip", ("force", "traction", "pressure")),
        LoadFaces("tube", ("force",)),
        LoadFaces("bore", ("pressure", "force")),
    ),
)
