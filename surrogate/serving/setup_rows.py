"""Supports and loads as rows of a table: which faces, how much area, which resultant force."""

import json
from dataclasses import dataclass

import numpy as np

from surrogate.fields import Fields
from surrogate.geometry.selectors import Selector, select_faces, selector_spec
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.loads import nodal_load
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Support,
    Traction,
)
from surrogate.serving.mesh_report import face_text
from surrogate.serving.report_format import plain

_FACES_SHOWN = 6


@dataclass(frozen=True)
class FacesRow:
    """Faces that a selector found."""

    selector: str
    faces: tuple[str, ...]
    area_mm2: float


@dataclass(frozen=True)
class SupportRow:
    """A support."""

    faces: FacesRow
    fixed: str


@dataclass(frozen=True)
class LoadRow:
    """A load at factor 1, with its resultant force and moment about the origin."""

    case: str
    kind: str
    faces: FacesRow | None
    force_n: Vector
    moment_nm: Vector


def support_rows(problem: Problem) -> tuple[SupportRow, ...]:
    """All supports."""
    return tuple(SupportRow(faces_row(problem.mesh, s.faces), _fixed(problem.mesh, s)) for s in problem.supports)


def _fixed(mesh: TetMesh, support: Support) -> str:
    """The held directions, and the edge where only an edge is held."""
    text = ", ".join(support.fixed)
    if support.meeting is None:
        return text
    others = [str(face) for face in select_faces(mesh, support.meeting)]
    more = f" and {len(others) - _FACES_SHOWN} more" if len(others) > _FACES_SHOWN else ""
    return f"{text} on the edge with face {', '.join(others[:_FACES_SHOWN])}{more}"


def load_rows(problem: Problem, fields: Fields) -> tuple[LoadRow, ...]:
    """All loads, case by case; the resultants are those of the nodal forces that the solver applies."""
    mesh, density = problem.mesh, problem.material.density_kg_m3
    rows = []
    for case in problem.load_cases:
        for load in case.loads:
            forces = nodal_load(load, mesh, density, fields.quadrature_volume)
            moments = np.cross(mesh.points, forces)
            faces = None if isinstance(load, Acceleration) else faces_row(mesh, load.faces)
            rows.append(LoadRow(case.name, _kind(load), faces, _sum(forces), _sum(moments)))
    return tuple(rows)


def faces_row(mesh: TetMesh, selector: Selector) -> FacesRow:
    """The faces of a selector in words."""
    faces = [mesh.faces[i] for i in select_faces(mesh, selector)]
    shown = [face_text(face) for face in faces[:_FACES_SHOWN]]
    if len(faces) > _FACES_SHOWN:
        shown.append(f"and {len(faces) - _FACES_SHOWN} more")
    return FacesRow(json.dumps(selector_spec(selector)), tuple(shown), 1e6 * sum(face.area for face in faces))


def _kind(load: Load) -> str:
    match load:
        case Pressure():
            return f"pressure {1e-6 * load.pressure_pa:.4g} MPa"
        case Acceleration():
            return f"acceleration ({_numbers(load.acceleration_m_s2)}) m/s²"
        case Force():
            return f"force ({_numbers(load.force_n)}) N"
        case BearingForce():
            return f"bearing force ({_numbers(load.force_n)}) N"
        case RemoteForce():
            x, y, z = load.point_m
            return f"force ({_numbers(load.force_n)}) N at ({_numbers((1e3 * x, 1e3 * y, 1e3 * z))}) mm"
        case Moment():
            return f"moment ({_numbers(load.moment_nm)}) Nm"
        case Traction(traction_pa=(x, y, z)):
            return f"traction ({_numbers((1e-6 * x, 1e-6 * y, 1e-6 * z))}) MPa"


def _numbers(vector: Vector) -> str:
    return ", ".join(plain(value) for value in vector)


def _sum(vectors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    """Sum over the points; round-off of a balanced component shows as zero."""
    total = vectors.sum(axis=0)
    total[np.abs(total) < 1e-9 * np.abs(vectors).sum()] = 0.0
    x, y, z = total.tolist()
    return x, y, z
