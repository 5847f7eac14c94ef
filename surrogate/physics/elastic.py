"""The elastic anchor: one factor that serves every load case, every equilibrium correction and every request.

Shape letters: N points, C cells, P = 4 C quadrature points, K load cases, R right-hand sides, n free unknowns.
Unknowns q live in the basis that the supports leave free: displacement u = freedom @ q.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import StiffnessPattern, strain_operator, unknown_layout
from surrogate.physics.loads import nodal_forces
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.problem import Problem, Support
from surrogate.physics.sparse_factor import FactorSettings, SparseFactor, factorize
from surrogate.physics.supports import freedom_basis
from surrogate.physics.tet_element import elastic_matrices, gradients_and_volumes, matrices_of_moduli

# Cells whose element matrices exist at a time: 120 MB with a copy.
_CELLS_TOGETHER = 8192


@dataclass(frozen=True, eq=False)
class ElasticSystem:
    """Everything about a held part that does not depend on its loads.

    Attributes:
        mesh: the part.
        material: its material.
        gradients: shape-function gradients [C, 4, 10, 3], 1/m.
        volumes: of the quadrature points [C, 4], m^3.
        pattern: where element matrices go.
        freedom: basis of the free displacements [3N, n].
        operator: strain of the unknowns [6P, n].
        stiffness: elastic stiffness [n, n], N/m.
        factor: its factor.
    """

    mesh: TetMesh
    material: Material
    gradients: FloatArray
    volumes: FloatArray
    pattern: StiffnessPattern
    freedom: sp.csr_matrix
    operator: sp.csr_matrix
    stiffness: sp.csr_matrix
    factor: SparseFactor

    def strain(self, unknowns: FloatArray) -> FloatArray:
        """Strain [6, P, ...] of unknowns [n, ...]."""
        return np.asarray(self.operator @ unknowns).reshape(6, -1, *unknowns.shape[1:])

    def internal_force(self, stress: FloatArray) -> FloatArray:
        """Forces [n, ...] in balance with a stress [6, P, ...], N."""
        weighted = stress * self.volumes.reshape(-1, *([1] * (stress.ndim - 2)))
        return np.asarray(self.operator.T @ weighted.reshape(-1, *stress.shape[2:]))

    def displacement(self, unknowns: FloatArray) -> FloatArray:
        """Displacement of the points [..., N, 3] of unknowns [n, ...], m."""
        full = np.asarray(self.freedom @ unknowns)
        return np.ascontiguousarray(np.moveaxis(full.reshape(-1, 3, *unknowns.shape[1:]), (0, 1), (-2, -1)))

    def tangent(self, cell_ids: IntArray, change: FloatArray) -> sp.csr_matrix:
        """The stiffness with other moduli at some cells [n, n], N/m; its pattern is that of `stiffness`.

        Args:
            cell_ids: the cells [C'].
            change: their moduli minus the elastic ones, stress by engineering strain [C', 4, 6, 6], Pa.
        """
        blocks = np.zeros(1)
        for first in range(0, len(cell_ids), _CELLS_TOGETHER):
            part = slice(first, first + _CELLS_TOGETHER)
            cells = cell_ids[part]
            weighted = change[part] * self.volumes[cells][..., None, None]
            blocks = blocks + self.pattern.sums(matrices_of_moduli(self.gradients[cells], weighted), cells)
        added, known = self.pattern.free_matrix(blocks, self.freedom), self.stiffness
        return sp.csr_matrix((known.data + added.data, known.indices, known.indptr), shape=known.shape)

    @property
    def size_bytes(self) -> int:
        """Memory held, bytes, for the cache."""
        matrices = (self.operator, self.stiffness, self.freedom)
        sparse = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in matrices)
        mesh = self.mesh.points.nbytes + self.mesh.cells.nbytes + self.mesh.triangles.nbytes
        dense = self.gradients.nbytes + self.volumes.nbytes + mesh
        return int(sparse + dense + self.pattern.size_bytes + self.factor.size_bytes)


@dataclass(frozen=True, eq=False)
class ElasticAnchor:
    """Elastic answer to each load case at factor 1.

    Attributes:
        system: the held part.
        forces: nodal forces in the free basis [n, K], N.
        unknowns: [n, K].
        strain: [6, P, K], engineering shear.
        stress: [6, P, K], Pa.
    """

    system: ElasticSystem
    forces: FloatArray
    unknowns: FloatArray
    strain: FloatArray
    stress: FloatArray


def build_elastic_system(
    mesh: TetMesh, material: Material, supports: tuple[Support, ...], settings: FactorSettings | None = None
) -> ElasticSystem:
    """Assemble and factor.

    Args:
        mesh: the part.
        material: its material.
        supports: what holds it.
        settings: when to iterate instead of factoring.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        GeometryError: an inverted cell.
    """
    freedom = freedom_basis(mesh, supports)
    gradients, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    pattern = StiffnessPattern(mesh.cells, len(mesh.points))
    stiffness = pattern.free_matrix(_elastic_blocks(pattern, gradients, volumes, material), freedom)
    # The factor takes the most memory, so what does not help to make it comes later.
    factor = factorize(stiffness, unknown_layout(mesh.points, freedom), settings)
    operator = sp.csr_matrix(strain_operator(gradients, mesh.cells, len(mesh.points)) @ freedom)
    return ElasticSystem(mesh, material, gradients, volumes, pattern, freedom, operator, stiffness, factor)


def _elastic_blocks(
    pattern: StiffnessPattern, gradients: FloatArray, volumes: FloatArray, material: Material
) -> FloatArray:
    """Elastic stiffness on the blocks of the pattern [B, 3, 3], N/m."""
    lame, shear, blocks = material.lame_lambda_pa, material.shear_modulus_pa, np.zeros(1)
    for first in range(0, len(gradients), _CELLS_TOGETHER):
        cells = slice(first, first + _CELLS_TOGETHER)
        ids = np.arange(len(gradients))[cells]
        blocks = blocks + pattern.sums(elastic_matrices(gradients[cells], volumes[cells], lame, shear), ids)
    return blocks


def solve_load_cases(problem: Problem, system: ElasticSystem) -> ElasticAnchor:
    """Elastic answer to each load case of a problem."""
    nodal = nodal_forces(problem.load_cases, problem.mesh, problem.material.density_kg_m3, system.volumes)
    forces = np.asarray(system.freedom.T @ nodal.reshape(len(nodal), -1).T)
    unknowns = system.factor.solve(forces)
    strain = system.strain(unknowns)
    return ElasticAnchor(system, forces, unknowns, strain, elastic_stress(strain, problem.material))


class SystemCache:
    """Keeps the most recently used systems under a byte limit; the last one is kept whatever its size."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held: OrderedDict[tuple[str, Material, tuple[Support, ...]], ElasticSystem] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Memory of all systems kept, bytes."""
        return sum(system.size_bytes for system in self._held.values())

    def get(self, problem: Problem) -> ElasticSystem:
        """The system of a problem's held part, built where it is not kept."""
        key = (problem.mesh.content_hash, problem.material, problem.supports)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        system = build_elastic_system(problem.mesh, problem.material, problem.supports)
        with self._lock:
            self._held[key] = system
            self._held.move_to_end(key)
            while len(self._held) > 1 and self.held_bytes > self._limit:
                self._held.popitem(last=False)
        return system


_CACHE = SystemCache(limit_bytes=1_000_000_000)


def elastic_anchor(problem: Problem) -> ElasticAnchor:
    """Elastic answer to each load case; the factor is kept for the next request on the same held part.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
    """
    return solve_load_cases(problem, _CACHE.get(problem))
