"""Elastic load cases on a fine mesh from their answer on a coarse one, in memory and time that grow with the points.

The fine stiffness is never assembled: it is applied cell by cell from the gradients of the shape functions. Conjugate
gradients start from the interpolated coarse answer; the preconditioner adds the coarse mesh's factor, which knows
what reaches across the part, to the blocks of the diagonal, which know what is local, and to those of the linear
tetrahedra of the same cells, which stand between.
Sources: Bramble, Pasciak, Xu, Math. Comp. 55 (1990) 1 (additive preconditioner of grids); Saad, Iterative Methods
for Sparse Linear Systems, 2nd ed., algorithm 9.1.
Shape letters: N points, C cells, R right-hand sides.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TET_EDGES, TetMesh
from surrogate.physics.elastic import ElasticSystem
from surrogate.physics.interpolation import interpolation, locate
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import Support
from surrogate.physics.supports import freedom_basis
from surrogate.physics.tet_element import gradients_and_volumes

SingleArray = NDArray[np.float32]
# Cells whose element arrays exist at a time.
_TOGETHER = 8192
# Place of each entry of a tensor among its six components.
_TENSOR = np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2]])
# From the ten shape functions to the four linear ones, in the columns of the corners [10, 10].
_LINEAR = np.zeros((10, 10), dtype=np.float32)
_LINEAR[:4, :4] = np.eye(4)
_LINEAR[np.repeat(np.arange(4, 10), 2), np.array(TET_EDGES).ravel()] = 0.5


@dataclass(frozen=True, eq=False)
class CellGroup:
    """Cells that are worked on together.

    Attributes:
        cells: which.
        points: of the mesh, that the cells touch [N'].
        sums: adds what each cell gives each of its points [N', 10 C'].
    """

    cells: slice
    points: IntArray
    sums: sp.csr_matrix


@dataclass(frozen=True, eq=False)
class MatrixFreeStiffness:
    """The elastic stiffness of a mesh as a product.

    Attributes:
        material: of the part.
        mesh: the part.
        gradients: of the shape functions [C, 4, 3, 10] in single precision, 1/m.
        volumes: of the quadrature points [C, 4], m^3.
        groups: all cells, a group at a time.
    """

    material: Material
    mesh: TetMesh
    gradients: SingleArray
    volumes: FloatArray
    groups: tuple[CellGroup, ...]

    def strain(self, displacement: FloatArray | SingleArray, cells: slice) -> SingleArray:
        """Strain [6, P', R] of a displacement [N, 3, R] in some cells, engineering shear."""
        slopes = self._slopes(displacement, cells).reshape(-1, 3, 3, displacement.shape[2])
        normal = [slopes[:, i, i] for i in range(3)]
        shear = [slopes[:, i, j] + slopes[:, j, i] for i, j in ((0, 1), (1, 2), (2, 0))]
        return np.stack([*normal, *shear])

    def force(self, displacement: FloatArray) -> FloatArray:
        """Nodal forces [N, 3, R] of a displacement [N, 3, R], N."""
        total = np.zeros(displacement.shape)
        for group in self.groups:
            slopes = self._slopes(displacement, group.cells)
            stress = self.material.shear_modulus_pa * (slopes + slopes.transpose(0, 1, 3, 2, 4))
            bulk = self.material.lame_lambda_pa * (slopes[:, :, 0, 0] + slopes[:, :, 1, 1] + slopes[:, :, 2, 2])
            for i in range(3):
                stress[:, :, i, i] += bulk
            total[group.points] += self._balanced(stress, group)
        return total

    def force_of_stress(self, stress: SingleArray, group: CellGroup) -> FloatArray:
        """What a stress [6, P', S] of a group's cells adds to the forces of its points [N', 3, S], N."""
        tensor = np.moveaxis(stress[_TENSOR], 2, 0).reshape(-1, 4, 3, 3, stress.shape[2])
        return self._balanced(tensor, group)

    def diagonal(self, *, linear: bool = False) -> FloatArray:
        """Blocks of the points on the diagonal [N, 3, 3], N/m.

        Args:
            linear: of the linear tetrahedra on the cells' corners instead; zero at mid-edge points.
        """
        lame, shear = self.material.lame_lambda_pa, self.material.shear_modulus_pa
        total = np.zeros((len(self.mesh.points), 9))
        for group in self.groups:
            slopes = self.gradients[group.cells]
            slopes = np.moveaxis(slopes @ _LINEAR if linear else slopes, 3, 1)  # [C', 10, 4, 3]
            weighted = slopes * self.volumes[group.cells, None, :, None].astype(np.float32)
            blocks = (lame + shear) * (weighted.transpose(0, 1, 3, 2) @ slopes)
            laplace = shear / (lame + shear) * np.trace(blocks, axis1=2, axis2=3)
            for i in range(3):
                blocks[..., i, i] += laplace
            total[group.points] += group.sums @ blocks.reshape(-1, 9)
        return total.reshape(-1, 3, 3)

    def _slopes(self, displacement: FloatArray | SingleArray, cells: slice) -> SingleArray:
        """Derivatives of a displacement [C', 4, 3 (by), 3 (of), R]."""
        values = displacement[self.mesh.cells[cells]]  # [C', 10, 3, R]
        # Without the motion of the cell as a whole, much larger than what strains it, single precision is enough.
        values = (values - values[:, :1]).astype(np.float32)
        count = len(values)
        found = self.gradients[cells].reshape(count, 12, 10) @ values.reshape(count, 10, -1)
        return np.asarray(found.reshape(count, 4, 3, 3, -1))

    def _balanced(self, stress: SingleArray, group: CellGroup) -> FloatArray:
        """Forces [N', 3, S] of a stress tensor [C', 4, 3, 3, S]."""
        count, states = len(stress), stress.shape[4]
        weighted = stress * self.volumes[group.cells, :, None, None, None].astype(np.float32)
        turned = self.gradients[group.cells].reshape(count, 12, 10).transpose(0, 2, 1)
        values = (turned @ weighted.reshape(count, 12, -1)).reshape(10 * count, -1)
        return np.asarray(group.sums @ values).reshape(-1, 3, states)


def single_stress(strain: SingleArray, material: Material) -> SingleArray:
    """Hooke's law in single precision: stress [6, ...] of an elastic strain [6, ...], Pa."""
    return cast(SingleArray, elastic_stress(cast(FloatArray, strain), material))


def matrix_free_stiffness(mesh: TetMesh, material: Material) -> MatrixFreeStiffness:
    """Gradients and volumes of a mesh, made a group at a time.

    Raises:
        GeometryError: an inverted cell.
    """
    gradients, volumes = np.empty((len(mesh.cells), 4, 3, 10), dtype=np.float32), np.empty((len(mesh.cells), 4))
    groups = []
    for first in range(0, len(mesh.cells), _TOGETHER):
        cells = slice(first, min(first + _TOGETHER, len(mesh.cells)))
        found, volumes[cells] = gradients_and_volumes(mesh.points, mesh.cells[cells])
        gradients[cells] = found.transpose(0, 1, 3, 2)
        points, number = np.unique(mesh.cells[cells], return_inverse=True)
        ones, pointer = np.ones(number.size, dtype=np.float32), np.arange(number.size + 1)
        sums = sp.csc_matrix((ones, number.ravel(), pointer), shape=(len(points), number.size)).tocsr()
        groups.append(CellGroup(cells, points, sums))
    return MatrixFreeStiffness(material, mesh, gradients, volumes, tuple(groups))


@dataclass(frozen=True, eq=False)
class TwoGrid:
    """A fine mesh's stiffness with a coarse mesh's factor to precondition it.

    Attributes:
        stiffness: of the fine mesh.
        freedom: basis of its free displacements [3N, n], orthonormal.
        coarse: the coarse part, held and factored.
        prolongation: from the coarse mesh's points to the fine mesh's [N, N_coarse].
        inverse: of the diagonal's blocks [N, 3, 3], m/N.
        corners: from the fine mesh's V corner points to all its points, linear within each cell [N, V].
        corner_inverse: of the blocks of the linear tetrahedra's diagonal [V, 3, 3], m/N.
    """

    stiffness: MatrixFreeStiffness
    freedom: sp.csr_matrix
    coarse: ElasticSystem
    prolongation: sp.csr_matrix
    inverse: FloatArray
    corners: sp.csr_matrix
    corner_inverse: FloatArray

    @cached_property
    def _projector(self) -> sp.csr_matrix:
        """Takes out of a field what the supports hold [3N, 3N]."""
        return sp.csr_matrix(self.freedom @ self.freedom.T)

    @cached_property
    def _lift(self) -> sp.csr_matrix:
        """From the coarse part's unknowns to the fine mesh's displacement [3N, n_coarse]."""
        return sp.csr_matrix(sp.kron(self.prolongation, sp.identity(3), format="csr") @ self.coarse.freedom)

    # Views, made once: each costs as much as a product with a small mesh's matrix.
    @cached_property
    def _lowered(self) -> sp.csc_matrix:
        return self._lift.T

    @cached_property
    def _to_corners(self) -> sp.csc_matrix:
        return self.corners.T

    def free(self, field: FloatArray) -> FloatArray:
        """A displacement or force [N, 3, R] without what the supports hold."""
        return np.asarray(self._projector @ field.reshape(-1, field.shape[2])).reshape(field.shape)

    def interpolated(self, coarse: FloatArray) -> FloatArray:
        """A displacement of the coarse mesh's points [N_coarse, 3, R] at the fine mesh's [N, 3, R]."""
        found = self.prolongation @ coarse.reshape(len(coarse), -1)
        return self.free(np.asarray(found).reshape(-1, *coarse.shape[1:]))

    def preconditioned(self, residual: FloatArray) -> FloatArray:
        """Roughly the displacement that removes nodal forces [N, 3, R]."""
        count, states = len(residual), residual.shape[2]
        local = self.inverse @ residual
        across = self.coarse.factor.solve(np.asarray(self._lowered @ residual.reshape(-1, states)))
        local += np.asarray(self._lift @ across).reshape(local.shape)
        between = np.asarray(self._to_corners @ residual.reshape(count, -1)).reshape(-1, 3, states)
        between = (self.corner_inverse @ between).reshape(-1, 3 * states)
        local += np.asarray(self.corners @ between).reshape(local.shape)
        return self.free(local)


def two_grid(mesh: TetMesh, coarse: ElasticSystem, supports: tuple[Support, ...]) -> TwoGrid:
    """Set up a fine mesh of the solid that a coarse system is of.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        GeometryError: an inverted cell.
    """
    stiffness = matrix_free_stiffness(mesh, coarse.material)
    prolongation = interpolation(coarse.mesh, locate(coarse.mesh, mesh.points))
    corners, points = _from_corners(mesh)
    inverse = np.asarray(np.linalg.inv(stiffness.diagonal()), dtype=np.float64)
    between = np.asarray(np.linalg.inv(stiffness.diagonal(linear=True)[points]), dtype=np.float64)
    return TwoGrid(stiffness, freedom_basis(mesh, supports), coarse, prolongation, inverse, corners, between)


def _from_corners(mesh: TetMesh) -> tuple[sp.csr_matrix, IntArray]:
    """The matrix that takes values at the corner points to linear ones at all points [N, V], and those points [V]."""
    corners, own = np.unique(mesh.cells[:, :4]), np.full(len(mesh.points), -1)
    own[corners] = np.arange(len(corners))
    middles, first = np.unique(mesh.cells[:, 4:], return_index=True)
    cell, edge = np.divmod(first, 6)
    ends = own[mesh.cells[cell[:, None], np.array(TET_EDGES)[edge]]]
    rows = np.concatenate([corners, np.repeat(middles, 2)])
    columns = np.concatenate([np.arange(len(corners)), ends.ravel()])
    values = np.concatenate([np.ones(len(corners)), np.full(ends.size, 0.5)])
    return sp.csr_matrix((values, (rows, columns)), shape=(len(mesh.points), len(corners))), corners


def conjugate_gradients(
    grids: TwoGrid, forces: FloatArray, start: FloatArray, iterations: int, tolerance: float
) -> FloatArray:
    """Displacement [N, 3, R] towards equilibrium with nodal forces [N, 3, R].

    Args:
        grids: both meshes.
        forces: N.
        start: displacement to start from, m.
        iterations: at most.
        tolerance: on the energy norm of the error, as the preconditioner sees it, over that of the answer.
    """
    forces, found = grids.free(forces), start.copy()
    residual = forces - grids.free(grids.stiffness.force(found)) if start.any() else forces.copy()
    direction, before = np.zeros_like(found), np.full(found.shape[2], np.inf)
    for _ in range(iterations):
        step = grids.preconditioned(residual)
        now = _products(residual, step)
        if (now <= tolerance**2 * np.abs(_products(forces, found))).all():
            break
        direction = step + now / before * direction
        image = grids.free(grids.stiffness.force(direction))
        length = now / np.maximum(_products(direction, image), 1e-300)
        found += length * direction
        residual -= length * image
        before = np.maximum(now, 1e-300)
    return found


def _products(one: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("nir,nir->r", one, other))
