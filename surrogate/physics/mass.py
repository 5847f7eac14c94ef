"""The consistent mass matrix (Hughes, The Finite Element Method, 1987, section 7.2).

Shape letters: N points, C cells.
"""

import numpy as np
import scipy.sparse as sp
from scipy.special import roots_jacobi

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.tet_element import local_gradients, shape_functions

# Cells whose mass is integrated together, so that memory stays bounded on large parts.
_CELLS_AT_ONCE = 20_000


def _mass_rule() -> tuple[FloatArray, FloatArray]:
    """Barycentric points [64, 4] and weights [64], sum 1/6, of Gauss-Jacobi rules on the collapsed cube.

    Exact to degree seven: two shape functions times the Jacobian of a curved cell.
    """
    axes = []
    for power in (2, 1, 0):
        x, w = roots_jacobi(4, power, 0)
        axes.append(((x + 1) / 2, w / 2.0 ** (power + 1)))
    a, b, c = (grid.ravel() for grid in np.meshgrid(*(x for x, _ in axes), indexing="ij"))
    first, second, third = a, b * (1 - a), c * (1 - a) * (1 - b)
    weights = np.einsum("i,j,k->ijk", *(w for _, w in axes)).ravel()
    return np.stack([1 - first - second - third, first, second, third], axis=1), weights


def mass_matrix(mesh: TetMesh, density_kg_m3: float) -> sp.csr_matrix:
    """Consistent mass of all points [3N, 3N], kg; exact on curved cells."""
    barycentric, weights = _mass_rule()
    shape, local = shape_functions(barycentric), local_gradients(barycentric)
    products = (shape[:, :, None] * shape[:, None, :]).reshape(len(weights), 100)
    blocks = []
    for first in range(0, len(mesh.cells), _CELLS_AT_ONCE):
        nodes = mesh.points[mesh.cells[first : first + _CELLS_AT_ONCE]]
        jacobian = np.einsum("pai,caj->cpij", local, nodes, optimize=True)
        blocks.append((density_kg_m3 * weights * np.linalg.det(jacobian)) @ products)
    rows, columns = np.repeat(mesh.cells, 10, axis=1).ravel(), np.tile(mesh.cells, (1, 10)).ravel()
    size = (len(mesh.points), len(mesh.points))
    scalar = sp.coo_matrix((np.concatenate(blocks).ravel(), (rows, columns)), shape=size).tocsr()
    return sp.csr_matrix(sp.kron(scalar, sp.identity(3), format="csr"))
