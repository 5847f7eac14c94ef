"""Draws how a part is held and loaded: supports and unit loads on the faces that its family names."""

from dataclasses import dataclass

import numpy as np

from surrogate.data.part_family import LoadFaces, LoadKind, PartFamily
from surrogate.fields import FloatArray
from surrogate.geometry.selectors import NameSelector, select_faces
from surrogate.geometry.tet_mesh import Face, TetMesh, Vector
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    LoadCase,
    Moment,
    Pressure,
    RemoteForce,
    Support,
    Traction,
)

# Cylinders of one name take one bearing force only where their axes agree, up to this.
_PARALLEL = 1e-6


@dataclass(frozen=True)
class LoadRange:
    """What loads are drawn.

    Attributes:
        most_cases: load cases of a problem, at most.
        second_load_share: share of the load cases with two loads.
        acceleration_share: share of the load cases to which an acceleration is added.
        along_axis_share: share of the loads that point along x, y or z.
        remote_distance: range of a remote force's distance from its faces over the part's size.
    """

    most_cases: int = 3
    second_load_share: float = 0.25
    acceleration_share: float = 0.15
    along_axis_share: float = 0.3
    remote_distance: tuple[float, float] = (0.3, 1.5)


def draw_supports(generator: np.random.Generator, family: PartFamily) -> tuple[Support, ...]:
    """One of the ways in which parts of a family are held."""
    way = family.supports[generator.integers(len(family.supports))]
    return tuple(Support(NameSelector(faces.name), faces.fixed) for faces in way)


def draw_load_cases(
    generator: np.random.Generator,
    family: PartFamily,
    mesh: TetMesh,
    supports: tuple[Support, ...],
    ranges: LoadRange,
) -> tuple[LoadCase, ...]:
    """One to three load cases of unit loads on faces that no support holds.

    The mesh gives holes' axes and distances only, and CAD gives those, so that they do not depend on its density.
    """
    held = {support.faces.name for support in supports if isinstance(support.faces, NameSelector)}
    faces = [faces for faces in family.loads if faces.name not in held]
    cases = []
    for number in range(int(generator.integers(1, ranges.most_cases + 1))):
        count = 2 if generator.random() < ranges.second_load_share else 1
        chosen = generator.permutation(len(faces))[:count]
        loads = [_draw_load(generator, faces[i], mesh, ranges) for i in chosen]
        if generator.random() < ranges.acceleration_share:
            loads.append(Acceleration(_direction(generator)))
        cases.append(LoadCase(f"case {number + 1}", tuple(loads)))
    return tuple(cases)


def _draw_load(generator: np.random.Generator, faces: LoadFaces, mesh: TetMesh, ranges: LoadRange) -> Load:
    """A unit load of a kind that the faces see."""
    kind: LoadKind = faces.kinds[generator.integers(len(faces.kinds))]
    direction = _direction(generator)
    if generator.random() < ranges.along_axis_share:
        axis, sign = int(generator.integers(3)), float(generator.choice([-1.0, 1.0]))
        direction = (sign * (axis == 0), sign * (axis == 1), sign * (axis == 2))
    selector = NameSelector(faces.name)
    fitted = [mesh.faces[i] for i in select_faces(mesh, selector)]
    match kind:
        case "force":
            return Force(selector, direction)
        case "traction":
            return Traction(selector, direction)
        case "pressure":
            return Pressure(selector, float(generator.choice([-1.0, 1.0])))
        case "moment":
            return Moment(selector, direction)
        case "remote":
            reach = float(generator.uniform(*ranges.remote_distance)) * max(mesh.size)
            towards = np.array(_direction(generator))
            return RemoteForce(selector, direction, _vector(_middle(fitted) + reach * towards))
        case "bearing":
            across = _across_holes(generator, fitted)
            # Where no hole was recognised, the force is spread evenly.
            return Force(selector, direction) if across is None else BearingForce(selector, across)


def _middle(faces: list[Face]) -> FloatArray:
    areas = np.array([face.area for face in faces])
    return np.asarray(areas @ np.array([face.centroid for face in faces]) / areas.sum())


def _across_holes(generator: np.random.Generator, faces: list[Face]) -> Vector | None:
    """A random unit direction perpendicular to the axis that all holes share, None where they share none."""
    axes = np.array([face.axis for face in faces if face.axis is not None and face.hole])
    drawn = np.array(_direction(generator))
    if len(axes) != len(faces) or (np.abs(axes @ axes[0]) < 1 - _PARALLEL).any():
        return None
    across = drawn - (drawn @ axes[0]) * axes[0]
    length = float(np.linalg.norm(across))
    return None if length == 0 else _vector(across / length)


def _direction(generator: np.random.Generator) -> Vector:
    drawn = generator.normal(size=3)
    return _vector(drawn / np.linalg.norm(drawn))


def _vector(values: FloatArray) -> Vector:
    x, y, z = values.tolist()
    return x, y, z


def load_kind(load: Load) -> str:
    """One word for a load."""
    match load:
        case Pressure():
            return "pressure"
        case Traction():
            return "traction"
        case Force():
            return "force"
        case BearingForce():
            return "bearing"
        case RemoteForce():
            return "remote"
        case Moment():
            return "moment"
        case Acceleration():
            return "acceleration"
