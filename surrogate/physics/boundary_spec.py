"""Supports and loads between their descriptions in a problem file and a part: every selector is tried on the mesh."""

from collections.abc import Mapping

from surrogate.errors import InputError, ProblemError, SelectorError
from surrogate.geometry.selectors import Selector, parse_selector, select_faces, selector_spec
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.bearing import bearing_forces
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    Moment,
    Pressure,
    RemoteForce,
    Support,
    Traction,
)
from surrogate.physics.problem_schema import LOAD_KINDS, LoadSpec, SupportSpec
from surrogate.physics.supports import held_points


def build_support(spec: SupportSpec, mesh: TetMesh, where: str) -> Support:
    """The support of a description.

    Args:
        spec: the description.
        mesh: the part.
        where: how a message calls its place in the file.

    Raises:
        SelectorError: a selector is wrong on this part.
        ProblemError: the two sets of faces of an edge have nothing in common.
    """
    meeting = None if spec.meeting is None else _faces(spec.meeting, mesh, f"{where}.meeting")
    support = Support(_faces(spec.faces, mesh, f"{where}.faces"), spec.fixed, meeting)
    try:
        held_points(mesh, support)
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from None
    return support


def support_spec(support: Support) -> dict[str, object]:
    """The description that builds this support again."""
    table: dict[str, object] = {"faces": selector_spec(support.faces), "fixed": support.fixed}
    if support.meeting is not None:
        table["meeting"] = selector_spec(support.meeting)
    return table


def build_load(spec: LoadSpec, mesh: TetMesh, where: str) -> Load:
    """The load of a description.

    Args:
        spec: the description.
        mesh: the part.
        where: how a message calls its place in the file.

    Raises:
        SelectorError: the selector is wrong on this part.
        ProblemError: a bearing force that its faces cannot take.
    """
    if spec.acceleration_m_s2 is not None:
        return Acceleration(spec.acceleration_m_s2)
    faces = _faces(spec.faces or {}, mesh, f"{where}.faces")
    if spec.force_n is not None:
        return Force(faces, spec.force_n) if spec.point_m is None else RemoteForce(faces, spec.force_n, spec.point_m)
    if spec.bearing_force_n is not None:
        load = BearingForce(faces, spec.bearing_force_n)
        try:
            bearing_forces(mesh, load)
        except ProblemError as error:
            raise ProblemError(f"{where}: {error}") from None
        return load
    if spec.moment_nm is not None:
        return Moment(faces, spec.moment_nm)
    if spec.traction_pa is not None:
        return Traction(faces, spec.traction_pa)
    if spec.pressure_pa is not None:
        return Pressure(faces, spec.pressure_pa)
    raise InputError(f"{where} has no kind; give one of {', '.join(LOAD_KINDS)}")


def load_spec(load: Load) -> dict[str, object]:
    """The description that builds this load again."""
    if isinstance(load, Acceleration):
        return {"acceleration_m_s2": load.acceleration_m_s2}
    return {"faces": selector_spec(load.faces), **_values(load)}


def _values(load: Force | RemoteForce | BearingForce | Moment | Traction | Pressure) -> dict[str, object]:
    match load:
        case Force():
            return {"force_n": load.force_n}
        case RemoteForce():
            return {"force_n": load.force_n, "point_m": load.point_m}
        case BearingForce():
            return {"bearing_force_n": load.force_n}
        case Moment():
            return {"moment_nm": load.moment_nm}
        case Traction():
            return {"traction_pa": load.traction_pa}
        case Pressure():
            return {"pressure_pa": load.pressure_pa}


def _faces(spec: Mapping[str, object], mesh: TetMesh, where: str) -> Selector:
    try:
        selector = parse_selector(spec)
        select_faces(mesh, selector)
    except SelectorError as error:
        raise SelectorError(f"{where}: {error}") from None
    return selector
