"""Consistent nodal forces of loads. Total force and moment of every load are those asked for, to round-off.

Shape letters: N points, C cells, F triangles, K load cases.
"""

from functools import singledispatch

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.selectors import Selector, select_faces
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.bearing import bearing_forces
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    LoadCase,
    Moment,
    Pressure,
    RemoteForce,
    Traction,
)
from surrogate.physics.surface_rule import (
    SurfacePoints,
    consistent_forces,
    spread_wrench,
    surface_points,
    weighted_middle,
)
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions


@singledispatch
def nodal_load(load: Load, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    """Consistent nodal forces of one load [N, 3], N.

    Args:
        load: the load.
        mesh: the part.
        density: kg/m^3.
        volumes: of the quadrature points [C, 4], m^3.

    Raises:
        SelectorError: the load's faces are not on the part.
        ProblemError: a bearing force that its holes cannot take.
    """
    raise TypeError(f"no nodal forces for a load of type {type(load).__name__}")


@nodal_load.register
def _(load: Pressure, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    surface = _surface(mesh, load.faces)
    return consistent_forces(mesh, surface, -load.pressure_pa * surface.normals)


@nodal_load.register
def _(load: Traction, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    surface = _surface(mesh, load.faces)
    return consistent_forces(mesh, surface, surface.areas[..., None] * np.asarray(load.traction_pa))


@nodal_load.register
def _(load: Force, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    surface = _surface(mesh, load.faces)
    shares = surface.areas / surface.areas.sum()
    return consistent_forces(mesh, surface, shares[..., None] * np.asarray(load.force_n))


@nodal_load.register
def _(load: BearingForce, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    return bearing_forces(mesh, load)


@nodal_load.register
def _(load: RemoteForce, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    surface = _surface(mesh, load.faces)
    force = np.asarray(load.force_n, dtype=np.float64)
    arm = np.asarray(load.point_m) - weighted_middle(surface.places, surface.areas)
    spread = spread_wrench(surface.places, surface.areas, force, np.cross(arm, force))
    return consistent_forces(mesh, surface, spread)


@nodal_load.register
def _(load: Moment, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    surface = _surface(mesh, load.faces)
    spread = spread_wrench(surface.places, surface.areas, np.zeros(3), np.asarray(load.moment_nm, dtype=np.float64))
    return consistent_forces(mesh, surface, spread)


@nodal_load.register
def _(load: Acceleration, mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    shape = shape_functions(QUADRATURE_BARYCENTRIC)
    mass = np.einsum("cq,qa->ca", density * volumes, shape)
    lumped = np.bincount(mesh.cells.ravel(), mass.ravel(), minlength=len(mesh.points))
    return lumped[:, None] * np.asarray(load.acceleration_m_s2)


def nodal_forces(cases: tuple[LoadCase, ...], mesh: TetMesh, density: float, volumes: FloatArray) -> FloatArray:
    """Nodal forces of each load case at factor 1 [K, N, 3], N."""
    return np.stack([sum(nodal_load(load, mesh, density, volumes) for load in case.loads) for case in cases])


def _surface(mesh: TetMesh, faces: Selector) -> SurfacePoints:
    return surface_points(mesh.points, mesh.face_triangles(select_faces(mesh, faces)))
