"""Turbine-blade root: a dovetail or fir tree with a platform and a stub of the airfoil."""

import numpy as np

from surrogate.data.occ_shapes import (
    Corner,
    Surface,
    at,
    extruded_outline,
    fuse,
    name_faces,
    over_edge,
    rounded_edges,
    surfaces,
)
from surrogate.data.part_family import LoadFaces, Parameters, PartFamily, SupportFaces, overall_size, whole
from surrogate.errors import GeometryError

_STATIONS = 7


def draw_dovetail(generator: np.random.Generator) -> Parameters:
    """Draws a blade root: broached along y, the blade's radial direction along z, the bottom at z = 0."""
    height = overall_size(generator)
    lobes = int(generator.integers(1, 4))
    root = height * generator.uniform(0.4, 0.54) * (1.0 if lobes > 1 else 0.75)
    pitch = root / (lobes + 0.35)
    neck = pitch * generator.uniform(0.42, 0.6) if lobes > 1 else root * generator.uniform(0.35, 0.5)
    taper = generator.uniform(0.15, 0.3)
    reach = pitch * generator.uniform(0.24, 0.34) * (1.0 if lobes > 1 else 0.7)
    widest = neck * (1 + taper * (lobes - 1)) + 2 * reach
    depth = height * generator.uniform(0.35, 0.6)
    return {
        "height": height,
        "lobes": float(lobes),
        "root_height": root,
        "lowest_neck": neck,
        "taper": taper,
        "lobe_reach": reach,
        "flank_angle": generator.uniform(np.radians(35), np.radians(55)),
        "fillet": generator.uniform(0.5, 0.95),
        "platform_width": max(widest * generator.uniform(1.1, 1.4), 0.3 * height),
        "platform_thickness": height * generator.uniform(0.05, 0.08),
        "depth": depth,
        "chord": generator.uniform(0.75, 0.9),
        "thickness": generator.uniform(0.16, 0.24),
        "camber": generator.uniform(0.05, 0.14),
        "stagger": generator.uniform(-0.35, 0.35),
        "twist": generator.uniform(-0.3, 0.3),
        "shrink": generator.uniform(0.75, 1.0),
        "blade_fillet": generator.uniform(0.12, 0.3),
    }


def build_dovetail(p: Parameters) -> float:
    """Builds and names a blade root; returns its plain element, m."""
    import gmsh

    right, flanks = _half_outline(p)
    top, close = right[-1][1], 0.02 * p["platform_thickness"]
    on_platform = at("z", top, close)
    _assemble(p, right, filleted=True)
    if not any(on_platform(surface) for surface in surfaces()):
        # OpenCASCADE now and then returns a fillet that has swallowed the platform instead of refusing it.
        gmsh.model.occ.remove(gmsh.model.occ.getEntities(3), recursive=True)
        _assemble(p, right, filleted=False)
    mirror = [((-start[0], start[1]), (-end[0], end[1])) for start, end in flanks]
    held = [over_edge(start, end, "xz", close) for start, end in [*flanks, *mirror]]
    in_front = at("y", 0.0, close)
    name_faces("flanks", lambda surface: any(matches(surface) for matches in held))
    name_faces("root_end", in_front)
    name_faces("bottom", at("z", 0.0, close))
    name_faces("tip", at("z", p["height"], close))
    name_faces("platform", on_platform)
    side = _pressure_side(p, top)
    name_faces("pressure_side", lambda surface: surface.tag == side)
    return min(_chord(p) * p["thickness"], p["lowest_neck"])


def _assemble(p: Parameters, right: list[Corner], filleted: bool) -> None:
    """Builds root, platform and airfoil as one solid, from the right half of the root's outline."""
    import gmsh

    top = right[-1][1]
    outline = [*right, *((-x, z, radius) for x, z, radius in reversed(right))]
    root = extruded_outline(outline, "xz", 0.0, p["depth"])
    body = fuse([root, _airfoil(p, top - 0.5 * p["platform_thickness"], p["height"])])
    gmsh.model.occ.synchronize()
    if filleted:
        _fillet_airfoil(body, p, top)


def _half_outline(p: Parameters) -> tuple[list[Corner], list[tuple[tuple[float, float], tuple[float, float]]]]:
    """Right half of the outline in xz from the bottom to the platform's top, and its bearing flanks (low, high)."""
    lobes, reach = whole(p, "lobes"), p["lobe_reach"]
    pitch, rise = p["root_height"] / (lobes + 0.35), reach * float(np.tan(p["flank_angle"]))
    # The bearing flanks stay plane over a third of their length at least.
    radius = p["fillet"] * min(0.28 * pitch, 0.6 * float(np.hypot(reach, rise)))
    land = 0.35 * (pitch - rise)
    outline: list[Corner] = []
    flanks = []
    z = 0.0
    for lobe in range(lobes):
        neck = 0.5 * p["lowest_neck"] * (1 + p["taper"] * lobe)
        widest = neck + reach
        if lobe == 0:
            outline.append((widest, 0.0, 0.5 * radius))
        else:
            z += pitch - rise - 2 * land
            outline.append((widest, z, radius))
        z += land
        flanks.append(((widest, z), (neck, z + rise)))
        outline += [(widest, z, radius), (neck, z + rise, radius)]
        z += rise + land
        if lobe < lobes - 1:
            outline.append((neck, z, radius))
    half, thick = p["platform_width"] / 2, p["platform_thickness"]
    z = max(z, p["root_height"])
    return [*outline, (outline[-1][0], z, radius), (half, z, 0.0), (half, z + thick, 0.0)], flanks


def _profile(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Suction and pressure side of the airfoil from its leading to its trailing edge [S, 2], chord one, middle at 0.

    Thickness of the NACA four-digit sections, blunt at the trailing edge (Abbott and von Doenhoff 1959, eq. 6.2), about
    a parabolic camber line.
    """
    s = (1 - np.cos(np.linspace(0, np.pi, _STATIONS))) / 2
    half = 5 * p["thickness"] * (0.2969 * np.sqrt(s) - 0.126 * s - 0.3516 * s**2 + 0.2843 * s**3 - 0.06 * s**4)
    camber = 4 * p["camber"] * s * (1 - s)
    return np.column_stack([camber + half, s - 0.5]), np.column_stack([camber - half, s - 0.5])


def _turned(places: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return places @ np.array([[cosine, sine], [-sine, cosine]])


def _chord(p: Parameters) -> float:
    """The chord at which the airfoil fits on the platform, m."""
    extents = [
        np.ptp(np.concatenate([_turned(side, p["stagger"] + turn) for side in _profile(p)]), axis=0)
        for turn in (0.0, p["twist"])
    ]
    room = np.array([p["platform_width"], p["depth"]])
    return p["chord"] * float(np.min(room / np.max(extents, axis=0)))


def _section(p: Parameters, share: float) -> list[np.ndarray]:
    """Suction and pressure side of the airfoil at a share of its height, in place [S, 2], m."""
    scale, angle = _chord(p) * (1 + share * (p["shrink"] - 1)), p["stagger"] + share * p["twist"]
    sides = _profile(p)
    ends = np.concatenate([_turned(side, p["stagger"]) for side in sides])
    middle = (ends.max(axis=0) + ends.min(axis=0)) / 2
    return [scale * (_turned(side, angle) - middle) + [0.0, p["depth"] / 2] for side in sides]


def _airfoil(p: Parameters, low: float, high: float) -> int:
    """The airfoil's stub, turned and shrunk towards its tip."""
    import gmsh

    occ = gmsh.model.occ
    loops = []
    for share, z in ((0.0, low), (1.0, high)):
        suction, pressure = _section(p, share)
        leading = occ.addPoint(*suction[0].tolist(), z)
        upper = [leading, *(occ.addPoint(*place.tolist(), z) for place in suction[1:])]
        lower = [leading, *(occ.addPoint(*place.tolist(), z) for place in pressure[1:])]
        curves = [occ.addSpline(upper), occ.addLine(upper[-1], lower[-1]), occ.addSpline(lower[::-1])]
        loops.append(occ.addCurveLoop(curves))
    made = occ.addThruSections(loops, makeSolid=True, makeRuled=True)
    return next(tag for dimension, tag in made if dimension == 3)


def _fillet_airfoil(body: int, p: Parameters, top: float) -> None:
    """Rounds the airfoil's foot on the platform with the largest radius that OpenCASCADE accepts."""
    import gmsh

    occ = gmsh.model.occ
    close, half = 0.02 * p["platform_thickness"], p["platform_width"] / 2 - 1e-3 * p["height"]
    feet = []
    for _, tag in gmsh.model.getEntities(1):
        low, high = np.split(np.array(occ.getBoundingBox(1, tag)), 2)
        flat = abs(low[2] - top) < close and abs(high[2] - top) < close
        if flat and low[0] > -half and high[0] < half and low[1] > close and high[1] < p["depth"] - close:
            feet.append(tag)
    radius = p["blade_fillet"] * _chord(p) * p["thickness"]
    rounded_edges(body, feet, radius)
    occ.synchronize()


def _pressure_side(p: Parameters, top: float) -> int:
    """Tag of the airfoil's face on the inside of its camber."""

    share = 0.5
    low = top - 0.5 * p["platform_thickness"]
    wanted = np.array([*_section(p, share)[1][_STATIONS // 2], low + share * (p["height"] - low)])
    reaching = [face for face in surfaces() if face.low[2] > low and face.high[2] > top + 0.5 * (p["height"] - top)]
    misses = {face.tag: _distance(face, wanted) for face in reaching}
    if not misses:
        raise GeometryError("the airfoil has no sides; draw again")
    return min(misses, key=lambda tag: misses[tag])


def _distance(face: Surface, place: np.ndarray) -> float:
    import gmsh

    nearest, _ = gmsh.model.getClosestPoint(2, face.tag, place.tolist())
    return float(np.linalg.norm(np.array(nearest) - place))


DOVETAIL_ROOT = PartFamily(
    name="dovetail_root",
    index=13,
    draw=draw_dovetail,
    build=build_dovetail,
    supports=(
        (SupportFaces("flanks", ("normal",)), SupportFaces("root_end", ("normal",))),
        (SupportFaces("flanks", ("normal",)), SupportFaces("bottom", ("y",))),
        (SupportFaces("flanks"),),
    ),
    loads=(
        LoadFaces("tip", ("traction", "force", "moment", "remote")),
        LoadFaces("pressure_side", ("pressure", "force")),
        LoadFaces("platform", ("pressure", "force")),
    ),
)
