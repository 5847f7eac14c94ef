"""Stress at the points from stress at the quadrature points, to read it where textbooks give it: on the surface."""

import numpy as np

from surrogate.fields import BoolArray, FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC

_TO_CORNERS = np.linalg.inv(QUADRATURE_BARYCENTRIC)


def corner_stress(mesh: TetMesh, stress: FloatArray) -> FloatArray:
    """Linear extrapolation of [C, 4, 6] to the corners of each cell, averaged at points [N, 6]; nan at mid-edges."""
    corners = np.einsum("aq,cqs->cas", _TO_CORNERS, stress)
    total, count = np.zeros((len(mesh.points), 6)), np.zeros(len(mesh.points))
    np.add.at(total, mesh.cells[:, :4], corners)
    np.add.at(count, mesh.cells[:, :4], 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count[:, None])


def at_points(mesh: TetMesh, mask: BoolArray, stress: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and stress of the corner points that a mask chooses."""
    values = corner_stress(mesh, stress)
    chosen = mask & np.isfinite(values[:, 0])
    return mesh.points[chosen], values[chosen]
