"""Makes the sample parts of this folder: `python meshes/make_parts.py [--out DIR]`.

Own geometry, drawn with the OpenCASCADE kernel of gmsh, in millimetres. It shares no code and no dimensions with the
parametric families in surrogate/data, so that no sample part is a training part. Prints name and volume of each.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import gmsh

occ = gmsh.model.occ
DimTag = tuple[int, int]
HERE = Path(__file__).parent


def prism(outline: Sequence[tuple[float, float]], plane: str, start: float, length: float) -> DimTag:
    """A polygon in plane "xz", "yz" or "xy", extruded along the third axis from `start` by `length`."""
    to_xyz: dict[str, Callable[[float, float], tuple[float, float, float]]] = {
        "xz": lambda u, v: (u, start, v),
        "yz": lambda u, v: (start, u, v),
        "xy": lambda u, v: (u, v, start),
    }
    along = {"xz": (0, length, 0), "yz": (length, 0, 0), "xy": (0, 0, length)}[plane]
    points = [occ.addPoint(*to_xyz[plane](u, v)) for u, v in outline]
    lines = [occ.addLine(a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
    face = occ.addPlaneSurface([occ.addCurveLoop(lines)])
    return next(made for made in occ.extrude([(2, face)], *along) if made[0] == 3)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> DimTag:
    """An axis-aligned box between two corners."""
    return 3, occ.addBox(*low, *(b - a for a, b in zip(low, high, strict=True)))


def cylinder(centre: tuple[float, float, float], along: tuple[float, float, float], radius: float) -> DimTag:
    """A cylinder from the centre of its first end; `along` carries direction and length."""
    return 3, occ.addCylinder(*centre, *along, radius)


def fuse(*bodies: DimTag) -> DimTag:
    """The union, without the seams between coplanar faces."""
    return occ.fuse([bodies[0]], list(bodies[1:]))[0][0]


def cut(body: DimTag, *tools: DimTag) -> DimTag:
    """What of the body is outside of the tools."""
    return occ.cut([body], list(tools))[0][0]


def round_edges(body: DimTag, radius: float, where: Callable[[Sequence[float]], bool]) -> DimTag:
    """Rounds the edges whose bounding box (xmin, ymin, zmin, xmax, ymax, zmax) satisfies `where`."""
    occ.synchronize()
    edges = gmsh.model.getBoundary([body], combined=False, oriented=False)
    curves = {tag for _, tag in gmsh.model.getBoundary(edges, combined=False, oriented=False)}
    chosen = sorted(tag for tag in curves if where(gmsh.model.occ.getBoundingBox(1, tag)))
    if not chosen:
        raise ValueError(f"no edge to round with radius {radius:g} mm; the condition fits none")
    return occ.fillet([body[1]], chosen, [radius])[0]


def is_near(value: float, *targets: float) -> bool:
    """Whether a coordinate of a bounding box, which OCC widens a little, is one of these."""
    return any(abs(value - target) < 1e-3 for target in targets)


def bracket() -> None:
    """An L-bracket: base 70 x 60 x 8 with four M8 holes, wall 62 high with a lug hole, a gusset between, fillets."""
    body = prism([(0, 0), (70, 0), (70, 8), (8, 8), (8, 62), (0, 62)], "xz", -30, 60)
    body = round_edges(
        body, 6, lambda b: is_near(b[0], 8) and is_near(b[3], 8) and is_near(b[2], 8) and is_near(b[5], 8)
    )
    body = round_edges(
        body, 10, lambda b: is_near(b[0], 70) and is_near(b[2], 0) and is_near(b[5], 8) and b[4] - b[1] < 1
    )
    body = round_edges(
        body, 14, lambda b: is_near(b[2], 62) and is_near(b[0], 0) and is_near(b[3], 8) and b[4] - b[1] < 1
    )
    gusset = prism([(2, 2), (52, 2), (52, 8), (8, 27), (2, 27)], "xz", -4, 8)
    body = fuse(body, gusset)
    # The gusset runs out smoothly at both ends: in a sharp corner the peak stress would only measure the mesh.
    body = round_edges(
        body, 8, lambda b: b[3] - b[0] < 1 and b[5] - b[2] < 1 and is_near(b[1], -4) and is_near(b[4], 4)
    )
    holes = [cylinder((x, y, -5), (0, 0, 20), 4.25) for x in (24, 56) for y in (-19, 19)]
    cut(body, *holes, cylinder((-5, 0, 44), (20, 0, 0), 8))


def clevis() -> None:
    """A clevis: foot 72 x 52 x 11 with four 7 mm holes, two ears 9 thick with a 15 mm pin hole, fillets at the foot."""
    foot = box((-36, -26, 0), (36, 26, 11))
    foot = round_edges(
        foot, 7, lambda b: is_near(b[2], 0) and is_near(b[5], 11) and b[3] - b[0] < 1 and b[4] - b[1] < 1
    )
    ears = []
    for low in (-18, 9):
        plate = box((-17, low, 5), (17, low + 9, 44))
        ears.append(fuse(plate, cylinder((0, low, 44), (0, 9, 0), 17)))
    body = fuse(foot, *ears)
    body = round_edges(
        body, 4, lambda b: is_near(b[2], 11) and is_near(b[5], 11) and b[3] - b[0] > 30 and b[3] - b[0] < 40
    )
    holes = [cylinder((x, y, -5), (0, 0, 30), 3.5) for x in (-27, 27) for y in (-17, 17)]
    cut(body, *holes, cylinder((0, -30, 44), (0, 60, 0), 7.5))


def flanged_boss() -> None:
    """A flanged boss: flange of 104 mm with six 9 mm holes, boss of 46 mm with a 26 mm blind bore, root fillet of 6."""
    flange = cylinder((0, 0, 0), (0, 0, 9), 52)
    body = fuse(flange, cylinder((0, 0, 0), (0, 0, 58), 23))
    body = round_edges(body, 6, lambda b: is_near(b[2], 9) and is_near(b[5], 9) and b[3] < 24)
    bore = round_edges(
        cylinder((0, 0, 7), (0, 0, 60), 13), 3, lambda b: is_near(b[2], 7) and is_near(b[5], 7) and b[3] - b[0] > 20
    )
    spokes = [(41 * c, 41 * s) for c, s in ((1, 0), (0.5, 0.75**0.5), (-0.5, 0.75**0.5))]
    spokes += [(-x, -y) for x, y in spokes]
    cut(body, bore, *[cylinder((x, y, -5), (0, 0, 20), 4.5) for x, y in spokes])


def rib_web() -> None:
    """A wing rib segment: web 190 x 64 x 3.2 between two caps, three lightening holes, two stiffeners, end lands."""
    web = box((0, -1.6, 0), (190, 1.6, 64))
    caps = [box((0, -13, z), (190, 13, z + 4)) for z in (0, 60)]
    stiffeners = [box((x - 1.6, -10, 2), (x + 1.6, 1, 62)) for x in (66, 124)]
    land = box((0, -6, 2), (9, 6, 62))
    body = fuse(web, *caps, *stiffeners, land)
    body = round_edges(
        body,
        3,
        lambda b: (
            is_near(b[1], 1.6) and is_near(b[4], 1.6) and (is_near(b[2], 4) or is_near(b[2], 60)) and b[3] - b[0] > 50
        ),
    )
    holes = [cylinder((x, -20, 32), (0, 40, 0), 17) for x in (38, 95, 154)]
    cut(body, *holes)


def c_clamp() -> None:
    """The frame of a screw clamp: a C of 16 mm thickness, a pad jaw, a screw boss with a 12 mm hole; of no family."""
    frame = box((0, -8, 0), (84, 8, 118))
    frame = round_edges(frame, 22, lambda b: is_near(b[0], 0) and is_near(b[3], 0) and b[5] - b[2] < 1)
    throat = box((21, -20, 24), (120, 20, 95))
    throat = round_edges(throat, 12, lambda b: is_near(b[0], 21) and is_near(b[3], 21) and b[5] - b[2] < 1)
    body = cut(frame, throat, box((74, -20, 90), (90, 20, 130)))
    pad = cylinder((70, 0, 20), (0, 0, 12), 8)
    boss = cylinder((70, 0, 90), (0, 0, 34), 14)
    cut(fuse(body, pad, boss), cylinder((70, 0, 80), (0, 0, 60), 6))


PARTS = (bracket, clevis, flanged_boss, rib_web, c_clamp)


def write_step(part: Callable[[], None], path: Path) -> float:
    """Builds one part alone in a new model, writes it, returns its volume, mm^3."""
    gmsh.clear()
    gmsh.model.add(part.__name__)
    part()
    occ.synchronize()
    volumes = gmsh.model.getEntities(3)
    if len(volumes) != 1:
        raise ValueError(f"{part.__name__} fell apart into {len(volumes)} solids; its bodies must overlap")
    gmsh.write(str(path))
    # The header holds the time of writing: fixed, so that an unchanged part is an unchanged file.
    stamped = re.sub(r"'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d'", "'2025-01-01T00:00:00'", path.read_text(), count=1)
    path.write_text(
        stamped.replace("Open CASCADE Shape Model", part.__name__).replace("'Author'", "'meshes/make_parts.py'")
    )
    return float(occ.getMass(*volumes[0]))


def main() -> None:
    """Makes all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the STEP files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        for part in PARTS:
            print(f"{part.__name__}.step {write_step(part, out / f'{part.__name__}.step'):.3f} mm3")
    finally:
        gmsh.finalize()


if __name__ == "__main__":
    main()
