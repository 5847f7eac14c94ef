"""Random solid: blocks and cylinders fused, pockets and holes cut, some edges rounded; held and loaded where it falls.

Stands for no part: it keeps a model from knowing only the shapes of the other families.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from surrogate.data.occ_shapes import Axis, Surface, box, cut, cylinder, fuse, name_faces, rounded_edges, surfaces
from surrogate.data.part_family import LoadFaces, LoadKind, Parameters, PartFamily, SupportFaces, overall_size, whole
from surrogate.errors import GeometryError

_AXES: tuple[Axis, ...] = ("x", "y", "z")
_FACES = ("held", "loaded_1", "loaded_2", "held_2", "loaded_3")
# Over the largest dimension and its square: shorter edges and smaller faces are slivers, which spoil the mesh.
_LEAST_EDGE, _LEAST_AREA = 0.012, 1.2e-3
_LEAST_SHARE = 0.015  # of the area, for a face to be held or loaded
_LEAST_EXTENT = 0.6  # of what is left over the drawn size
_ELEMENT = 0.12  # plain element over the largest dimension
_KINDS: tuple[LoadKind, ...] = ("force", "traction", "pressure", "remote", "moment")


@dataclass(frozen=True, eq=False)
class Primitive:
    """A block between two corners [3], or the cylinder along an axis that just fits into it."""

    low: np.ndarray
    high: np.ndarray
    axis: int | None


def draw_random_solid(generator: np.random.Generator) -> Parameters:
    """Draws two to five solids, each of which begins inside an earlier one, and what is cut and rounded.

    All sides lie on a grid, so that two of them coincide or are well apart; curved walls lie half a step off it, so
    that they never just touch a side.
    """
    size = overall_size(generator)
    solids = [_primitive(np.zeros(3), generator.integers(5, 13, 3), _drawn_axis(generator))]
    for _ in range(int(generator.integers(1, 5))):
        solids.append(_grown(generator, solids[int(generator.integers(len(solids)))]))
    cuts = [
        _drawn_cut(generator, solids[int(generator.integers(len(solids)))])
        for _ in range(int(generator.integers(0, 5)))
    ]
    origin = np.min([solid.low for solid in solids], axis=0)
    step = size / float(np.max(np.max([solid.high for solid in solids], axis=0) - origin))
    parameters = {"size": size, "solid_count": float(len(solids)), "cut_count": float(len(cuts))}
    for kind, primitives in (("solid", solids), ("cut", cuts)):
        for number, primitive in enumerate(primitives):
            corners = zip(_AXES, (primitive.low - origin) * step, (primitive.high - origin) * step, strict=True)
            for axis, low, high in corners:
                parameters[f"{kind}_{number}_low_{axis}"] = float(low)
                parameters[f"{kind}_{number}_high_{axis}"] = float(high)
            parameters[f"{kind}_{number}_axis"] = -1.0 if primitive.axis is None else float(primitive.axis)
    return parameters | {
        "fillet": size * generator.uniform(0.015, 0.04),
        "rounded_share": generator.uniform(0.0, 0.5),
        "rounded_seed": float(generator.integers(2**31)),
        **{f"pick_{name}": generator.uniform() for name in _FACES},
    }


def _drawn_axis(generator: np.random.Generator) -> int | None:
    return int(generator.integers(3)) if generator.random() < 0.35 else None


def _primitive(low: np.ndarray, spans: np.ndarray, axis: int | None) -> Primitive:
    """A block of these spans, or a cylinder half a step inside it."""
    low, high = low.astype(np.float64), (low + spans).astype(np.float64)
    if axis is not None:
        across = np.arange(3) != axis
        radius, middle = 0.5 * float(spans[across].min()) - 0.5, (low + high) / 2
        low, high = np.where(across, middle - radius, low), np.where(across, middle + radius, high)
    return Primitive(low, high, axis)


def _grown(generator: np.random.Generator, onto: Primitive) -> Primitive:
    """A solid that shares at least three steps with another one, and the middle of what is round."""
    spans, axis = generator.integers(4, 11, 3), _drawn_axis(generator)
    shared = np.full(3, 3.0)
    for solid_axis, extents in ((onto.axis, onto.high - onto.low), (axis, spans)):
        if solid_axis is not None:
            shared = np.where(np.arange(3) != solid_axis, np.maximum(shared, 0.5 * extents + 1.5), shared)
    shared = np.minimum(shared, np.minimum(spans, onto.high - onto.low))
    first, last = np.ceil(onto.low - spans + shared), np.floor(onto.high - shared)
    low = generator.integers(first.astype(int), np.maximum(first, last).astype(int), endpoint=True)
    return _primitive(low, spans, axis)


def _drawn_cut(generator: np.random.Generator, solid: Primitive) -> Primitive:
    """A pocket or a hole from one side of a solid, a step at least from its other sides, right through or blind."""
    axis, round_walls = int(generator.integers(3)), bool(generator.random() < 0.6)
    extents = solid.high - solid.low
    spans = np.minimum(generator.integers(2, 6, 3), np.maximum(np.floor(extents) - 2, 1)).astype(np.float64)
    if round_walls:
        across = np.arange(3) != axis
        spans[across] = max(min(0.5 * float(extents[across].min()), float(spans[across].min())), 1.5)
    room = np.maximum(extents - 2 - spans, 0.0)
    low = np.round(solid.low + 1 + generator.uniform(0, 1, 3) * room) + 0.25 * round_walls
    deep = extents[axis] if generator.random() < 0.6 else np.round(generator.uniform(0.35, 0.7) * extents[axis])
    # A step beyond the side, so that the cut never ends on it.
    low[axis], spans[axis] = solid.high[axis] - deep - (deep == extents[axis]), deep + 1 + (deep == extents[axis])
    return Primitive(low, low + spans, axis if round_walls else None)


def build_random_solid(p: Parameters) -> float:
    """Builds and names a random solid; returns its plain element, m."""
    import gmsh

    body = _assembled(p, careful=False)
    if not _can_be_meshed(_extent(body)):
        gmsh.model.occ.remove(gmsh.model.occ.getEntities(3), recursive=True)
        gmsh.model.occ.synchronize()
        body = _assembled(p, careful=True)
    if _extent(body) < _LEAST_EXTENT * p["size"]:
        raise GeometryError(f"what is left of the drawn solid is {_extent(body):.3g} m large; draw again")
    for name, tag in _picked_faces(p).items():
        name_faces(name, partial(_is_face, tag))
    return _ELEMENT * p["size"]


def _assembled(p: Parameters, careful: bool) -> int:
    """The solid with all that is drawn, but for what leaves slivers or, if careful, what gmsh cannot mesh."""
    body = _built(p, "solid_0")
    for number in range(1, whole(p, "solid_count")):
        body, _ = _tried(body, partial(_with_solid, p=p, name=f"solid_{number}"), careful)
    for number in range(whole(p, "cut_count")):
        body, _ = _tried(body, partial(_with_cut, p=p, name=f"cut_{number}"), careful)
    for share in (1.0, 0.5, 0.25):
        body, rounded = _tried(body, partial(_rounded, p=p, share=share), careful)
        if rounded:
            break
    return body


def _built(p: Parameters, name: str) -> int:
    low = np.array([p[f"{name}_low_{axis}"] for axis in _AXES])
    high = np.array([p[f"{name}_high_{axis}"] for axis in _AXES])
    along = whole(p, f"{name}_axis")
    if along < 0:
        return box(low.tolist(), high.tolist())
    start = (low + high) / 2
    start[along] = low[along]
    radius = 0.5 * float(np.delete(high - low, along).min())
    return cylinder(start.tolist(), _AXES[along], radius, float(high[along] - low[along]))


def _with_solid(body: int, p: Parameters, name: str) -> int:
    return fuse([body, _built(p, name)])


def _with_cut(body: int, p: Parameters, name: str) -> int:
    return cut(body, [_built(p, name)])


def _is_face(tag: int, surface: Surface) -> bool:
    return surface.tag == tag


def _tried(body: int, change: Callable[[int], int], careful: bool) -> tuple[int, bool]:
    """A solid after a change, or as it was; and whether the change was kept."""
    import gmsh

    occ = gmsh.model.occ
    spare = occ.copy([(3, body)])[0][1]
    made = body
    try:
        made = change(body)
        occ.synchronize()
        sound = _is_free_of_slivers(made)
    except Exception:  # gmsh raises plain Exception for what OpenCASCADE refuses
        sound = False
    if sound and careful:
        gmsh.model.setVisibility([(3, spare)], 0, recursive=True)
        sound = _can_be_meshed(_extent(made))
        gmsh.model.setVisibility([(3, spare)], 1, recursive=True)
    kept = made if sound else spare
    occ.remove([entity for entity in occ.getEntities(3) if entity[1] != kept], recursive=True)
    occ.synchronize()
    return kept, sound


def _can_be_meshed(extent: float) -> bool:
    """Whether gmsh fills what is visible with coarse tetrahedra."""
    import gmsh

    settings = {
        "General.NumThreads": 1, "Mesh.RandomSeed": 1, "Mesh.MeshOnlyVisible": 1, "Mesh.Algorithm3D": 1,
        "Mesh.MeshSizeMax": 1.8 * _ELEMENT * extent, "Mesh.MeshSizeMin": 0.5 * _ELEMENT * extent,
        "Mesh.MeshSizeFromCurvature": 10,
    }  # fmt: skip
    for name, value in settings.items():
        gmsh.option.setNumber(name, value)
    try:
        gmsh.model.mesh.generate(3)
        return len(gmsh.model.mesh.getElementsByType(4)[0]) > 0
    except Exception:  # gmsh raises plain Exception where its mesher gives up
        return False
    finally:
        gmsh.model.mesh.clear()
        gmsh.option.setNumber("Mesh.MeshOnlyVisible", 0)


def _is_free_of_slivers(body: int) -> bool:
    import gmsh

    occ, extent = gmsh.model.occ, _extent(body)
    faces = [tag for _, tag in gmsh.model.getBoundary([(3, body)], oriented=False)]
    return (
        min(occ.getMass(1, tag) for tag in _edges(body)) > _LEAST_EDGE * extent
        and min(occ.getMass(2, tag) for tag in faces) > _LEAST_AREA * extent**2
    )


def _edges(body: int) -> list[int]:
    import gmsh

    faces = gmsh.model.getBoundary([(3, body)], oriented=False)
    return sorted({tag for _, tag in gmsh.model.getBoundary(faces, combined=False, oriented=False)})


def _extent(body: int) -> float:
    import gmsh

    low, high = np.split(np.array(gmsh.model.occ.getBoundingBox(3, body)), 2)
    return float((high - low).max())


def _rounded(body: int, p: Parameters, share: float) -> int:
    """Rounds some straight edges, no two of which meet, since fillets leave slivers in a corner.

    Raises:
        GeometryError: no edge is chosen, or OpenCASCADE refuses them together.
    """
    import gmsh

    gmsh.model.occ.synchronize()
    generator = np.random.default_rng(whole(p, "rounded_seed"))
    chosen: list[int] = []
    taken: set[int] = set()
    for tag in _edges(body):
        ends = {point for _, point in gmsh.model.getBoundary([(1, tag)], oriented=False)}
        straight = gmsh.model.getType(1, tag) == "Line" and gmsh.model.occ.getMass(1, tag) > 5 * p["fillet"]
        if straight and generator.random() < share * p["rounded_share"] and not ends & taken:
            chosen.append(tag)
            taken |= ends
    made = rounded_edges(body, chosen, p["fillet"], (1.0, 0.6))
    if made == body:
        raise GeometryError(f"{len(chosen)} edges of the drawn solid cannot be rounded; leave them sharp")
    return made


def _picked_faces(p: Parameters) -> dict[str, int]:
    """Tags of the faces that are held and loaded: plane or round, none small, the first load far from the hold."""
    import gmsh

    areas = {face.tag: gmsh.model.occ.getMass(2, face.tag) for face in surfaces()}
    left = [
        face
        for face in surfaces()
        if face.kind in ("Plane", "Cylinder") and areas[face.tag] > _LEAST_SHARE * sum(areas.values())
    ]
    if len(left) < len(_FACES):
        raise GeometryError(
            f"the drawn solid has {len(left)} faces to hold or load, {len(_FACES)} are needed; draw again"
        )
    left.sort(key=lambda face: _middle(face, p["size"]))
    picked: dict[str, int] = {}
    held = left[0]
    for name in _FACES:
        face = left.pop(int(p[f"pick_{name}"] * len(left) * (0.5 if name == "loaded_1" else 1.0)))
        picked[name] = face.tag
        if name == "held":
            held = face
            left.sort(key=lambda other: (-_apart(other, held, p["size"]), _middle(other, p["size"])))
    return picked


def _middle(face: Surface, size: float) -> tuple[float, ...]:
    """The middle of a face's bounding box over the largest dimension, rounded so that it sorts alike everywhere."""
    middle: list[float] = np.round((np.array(face.low) + np.array(face.high)) / (2 * size), 4).tolist()
    return tuple(middle)


def _apart(one: Surface, other: Surface, size: float) -> float:
    return round(float(np.linalg.norm(np.subtract(_middle(one, size), _middle(other, size)))), 4)


RANDOM_SOLID = PartFamily(
    name="random_solid",
    index=14,
    draw=draw_random_solid,
    build=build_random_solid,
    supports=(
        (SupportFaces("held"),),
        (SupportFaces("held"), SupportFaces("held_2", ("normal",))),
        (SupportFaces("held"), SupportFaces("held_2")),
    ),
    loads=(LoadFaces("loaded_1", _KINDS), LoadFaces("loaded_2", _KINDS), LoadFaces("loaded_3", _KINDS)),
)
