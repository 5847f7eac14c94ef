"""Laws of the ten-node tetrahedron; round-off only, so 1e-10 of the quantity at hand.

The patch tests and the modes of a whole part are in tests/verification.
"""

import numpy as np
import pytest

from surrogate.errors import GeometryError
from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import StiffnessPattern, strain_operator
from surrogate.physics.plasticity import elastic_stress
from surrogate.physics.tet_element import (
    QUADRATURE_BARYCENTRIC,
    elastic_matrices,
    gradients_and_volumes,
    shape_functions,
    strain_matrices,
)
from tests.physics.meshes import STEEL, block, distorted_block, quarter_tube

LAMBDA, SHEAR = STEEL.lame_lambda_pa, STEEL.shear_modulus_pa


def rigid_motions(points: FloatArray) -> FloatArray:
    """The six rigid motions of points [N, 3] as displacements [3N, 6]."""
    turns = [np.cross(axis, points).ravel() for axis in np.eye(3)]
    return np.stack([*(np.tile(axis, len(points)) for axis in np.eye(3)), *turns], axis=1)


def element_matrices(mesh: TetMesh) -> FloatArray:
    gradients, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    return elastic_matrices(gradients, volumes, LAMBDA, SHEAR).reshape(len(mesh.cells), 30, 30)


def test_shape_functions_are_one_at_their_own_point_and_sum_to_one() -> None:
    corners = np.eye(4)
    middles = [(corners[i] + corners[j]) / 2 for i, j in ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))]
    np.testing.assert_allclose(shape_functions(np.vstack([corners, middles])), np.eye(10), atol=1e-14)
    np.testing.assert_allclose(shape_functions(QUADRATURE_BARYCENTRIC).sum(axis=-1), 1, rtol=1e-14)


def test_the_volumes_of_a_box_sum_to_its_volume() -> None:
    mesh = distorted_block((3, 3, 3), (2.0, 0.5, 1.5))
    assert gradients_and_volumes(mesh.points, mesh.cells)[1].sum() == pytest.approx(1.5, rel=1e-12)


def test_a_cell_that_is_inside_out_is_refused() -> None:
    mesh = block((1, 1, 1))
    with pytest.raises(GeometryError, match="inverted"):
        gradients_and_volumes(mesh.points * np.array([1, 1, -1]), mesh.cells)


def test_every_element_matrix_is_symmetric_with_six_zero_energy_modes_and_no_negative_ones() -> None:
    # Curved cells too: neither law depends on the shape.
    for mesh in (distorted_block((3, 3, 3)), quarter_tube(1, 3, 1, 1.0, 2.0, 1.0)):
        matrices = element_matrices(mesh)
        scale = np.abs(matrices).max(axis=(1, 2), keepdims=True)
        assert (np.abs(matrices - matrices.transpose(0, 2, 1)) <= 1e-10 * scale).all()
        values = np.linalg.eigvalsh(matrices)
        largest = values[:, -1:]
        # No spurious mode: 30 unknowns less 6 rigid motions are just the 4 points x 6 strains of the rule.
        assert (np.abs(values[:, :6]) < 1e-10 * largest).all()
        assert (values[:, 6:] > 1e-6 * largest).all()
        for matrix, cell in zip(matrices, mesh.cells, strict=True):
            assert np.abs(matrix @ rigid_motions(mesh.points[cell])).max() < 1e-10 * np.abs(matrix).max()


def test_the_stiffness_agrees_with_the_strain_operator() -> None:
    # Two routes to the internal force of a displacement: K u, and B^T D B u.
    mesh = quarter_tube(1, 3, 1, 1.0, 2.0, 1.0)
    gradients, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    matrices = elastic_matrices(gradients, volumes, LAMBDA, SHEAR)
    operator = strain_operator(gradients, mesh.cells, len(mesh.points))
    displacement = np.random.default_rng(0).normal(size=3 * len(mesh.points))
    stress = elastic_stress((operator @ displacement).reshape(6, -1), STEEL)
    internal = operator.T @ (stress * volumes.ravel()).ravel()
    direct = StiffnessPattern(mesh.cells, len(mesh.points)).assemble(matrices) @ displacement
    np.testing.assert_allclose(internal, direct, atol=1e-12 * np.abs(direct).max() * len(direct))
    local = np.einsum("cqsai,cai->cqs", strain_matrices(gradients), displacement.reshape(-1, 3)[mesh.cells])
    np.testing.assert_allclose(local.reshape(-1, 6).T.ravel(), operator @ displacement, atol=1e-11)


def test_some_cells_assemble_to_their_share_of_the_whole() -> None:
    mesh = distorted_block((2, 2, 2))
    matrices = element_matrices(mesh).reshape(-1, 10, 3, 10, 3)
    pattern = StiffnessPattern(mesh.cells, len(mesh.points))
    chosen = np.arange(0, len(mesh.cells), 3)
    rest = np.setdiff1d(np.arange(len(mesh.cells)), chosen)
    difference = pattern.assemble(matrices) - (
        pattern.assemble(matrices[chosen], chosen) + pattern.assemble(matrices[rest], rest)
    )
    assert np.abs(difference).max() < 1e-12 * np.abs(matrices).max()
