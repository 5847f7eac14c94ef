"""The ten-node tetrahedron with four quadrature points.

Shape functions and the quadrature rule: Zienkiewicz, Taylor, Zhu, The Finite Element Method, 7th ed., sections 6.2.2
and table 6.3. Local corner coordinates are (0,0,0), (1,0,0), (0,1,0), (0,0,1); quadrature point q lies near corner q.
"""

import numpy as np

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TET_EDGES

_NEAR, _FAR = 0.5854101966249685, 0.1381966011250105
QUADRATURE_BARYCENTRIC = np.full((4, 4), _FAR) + (_NEAR - _FAR) * np.eye(4)
QUADRATURE_WEIGHT = 1 / 24
# Cells whose element matrices are made at a time.
_BATCH = 256
_CORNER_GRADIENT = np.array([[-1.0, -1, -1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def shape_functions(barycentric: FloatArray) -> FloatArray:
    """The ten shape functions at barycentric coordinates [..., 4]; returns [..., 10]."""
    corners = barycentric * (2 * barycentric - 1)
    edges = [4 * barycentric[..., i] * barycentric[..., j] for i, j in TET_EDGES]
    return np.concatenate([corners, np.stack(edges, axis=-1)], axis=-1)


def local_gradients(barycentric: FloatArray) -> FloatArray:
    """Derivatives of the ten shape functions by the local coordinates at points [P, 4]; returns [P, 10, 3]."""
    corners = (4 * barycentric - 1)[:, :, None] * _CORNER_GRADIENT
    edges = [
        4 * (barycentric[:, i, None] * _CORNER_GRADIENT[j] + barycentric[:, j, None] * _CORNER_GRADIENT[i])
        for i, j in TET_EDGES
    ]
    return np.concatenate([corners, np.stack(edges, axis=1)], axis=1)


def gradients_and_volumes(points: FloatArray, cells: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shape-function gradients and the volume of each quadrature point.

    Args:
        points: [N, 3], m.
        cells: [C, 10].

    Returns:
        Gradients [C, 4, 10, 3], 1/m, and volumes [C, 4], m^3.

    Raises:
        GeometryError: a cell whose Jacobian is not positive at a quadrature point.
    """
    local = local_gradients(QUADRATURE_BARYCENTRIC)  # [4, 10, 3]
    jacobian = np.einsum("qai,caj->cqij", local, points[cells], optimize=True)
    determinant = np.linalg.det(jacobian)
    inverted = np.flatnonzero((determinant <= 0).any(axis=1))
    if inverted.size:
        raise GeometryError(
            f"{inverted.size} cells are inverted (first: cell {inverted[0]}); repair or remesh the part"
        )
    gradients = np.einsum("cqij,qaj->cqai", np.linalg.inv(jacobian), local, optimize=True)
    return gradients, determinant * QUADRATURE_WEIGHT


def elastic_matrices(gradients: FloatArray, volumes: FloatArray, lame_lambda: float, shear: float) -> FloatArray:
    """Element stiffness matrices of isotropic elasticity [C, 10, 3, 10, 3], N/m."""
    result = np.empty((len(gradients), 10, 3, 10, 3))
    # In batches that stay in the processor's cache, several times faster than all at once.
    for first in range(0, len(gradients), _BATCH):
        cells = slice(first, first + _BATCH)
        stiffness, flat = result[cells], gradients[cells].reshape(-1, 4, 30)
        product = np.matmul((flat * volumes[cells, :, None]).transpose(0, 2, 1), flat).reshape(-1, 10, 3, 10, 3)
        dot = shear * np.einsum("caibi->cab", product)
        np.multiply(lame_lambda, product, out=stiffness)
        product *= shear
        stiffness += product.transpose(0, 1, 4, 3, 2)
        for i in range(3):
            stiffness[:, :, i, :, i] += dot
    return result


def strain_matrices(gradients: FloatArray) -> FloatArray:
    """Strain-displacement matrices of gradients [C, Q, 10, 3]; returns [C, Q, 6, 10, 3], engineering shear."""
    result = np.zeros((*gradients.shape[:2], 6, 10, 3))
    for component, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))):
        result[:, :, component, :, i] += gradients[..., j]
        if i != j:
            result[:, :, component, :, j] += gradients[..., i]
    return result


def matrices_of_moduli(gradients: FloatArray, moduli: FloatArray) -> FloatArray:
    """Element matrices of any material: the sum over the quadrature points of B^T D B.

    Args:
        gradients: [C, 4, 10, 3], 1/m.
        moduli: stress by engineering strain, times the volume of the point [C, 4, 6, 6], N m.

    Returns:
        [C, 10, 3, 10, 3], N/m.
    """
    result = np.empty((len(gradients), 30, 30))
    for first in range(0, len(gradients), _BATCH):
        cells = slice(first, first + _BATCH)
        strain = strain_matrices(gradients[cells]).reshape(-1, 4, 6, 30)
        stress = np.matmul(moduli[cells], strain).reshape(-1, 24, 30)
        np.matmul(strain.reshape(-1, 24, 30).transpose(0, 2, 1), stress, out=result[cells])
    return result.reshape(-1, 10, 3, 10, 3)
