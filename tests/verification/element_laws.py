"""The element and the assembled matrix: patch test, zero-energy modes, symmetry, definiteness, convergence rates."""

from functools import cache

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from surrogate.fields import FloatArray
from surrogate.geometry.selectors import AnySelector, FaceIdSelector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.assembly import StiffnessPattern, strain_operator
from surrogate.physics.elastic import build_elastic_system
from surrogate.physics.problem import Pressure, Support, Traction
from surrogate.physics.tet_element import elastic_matrices, gradients_and_volumes, local_gradients, shape_functions
from tests.physics.meshes import BACK, LEFT, RIGHT, STEEL, TOP, block, distorted_block, gmsh_block, symmetry_planes
from tests.verification.benchmark_meshes import ELASTIC, solve_once
from tests.verification.verified import Verified, absolute, vanishing

_PATCH = "Irons and Razzaque 1972; Zienkiewicz, Taylor and Zhu, The Finite Element Method, chapter 8"
_BASIS = "Hughes, The Finite Element Method, chapter 4"


def free_stiffness(mesh: TetMesh) -> sp.csr_matrix:
    """Stiffness of a part that nothing holds [3N, 3N], N/m."""
    gradients, volumes = gradients_and_volumes(mesh.points, mesh.cells)
    matrices = elastic_matrices(gradients, volumes, STEEL.lame_lambda_pa, STEEL.shear_modulus_pa)
    return StiffnessPattern(mesh.cells, len(mesh.points)).assemble(matrices)


@cache
def small_part() -> TetMesh:
    """A box of 48 cells, its inner points moved and numbered at random."""
    return distorted_block((2, 2, 2))


@cache
def small_spectrum() -> FloatArray:
    """Eigenvalues of the small part's stiffness over the largest, ascending."""
    values = np.linalg.eigvalsh(free_stiffness(small_part()).toarray())
    return np.asarray(values / values[-1])


def patch_miss(mesh: TetMesh) -> float:
    """Largest error of the strain inside when the boundary follows a linear displacement, over the largest strain."""
    stiffness = free_stiffness(mesh)
    gradient = np.array([[1.0, 0.3, -0.2], [0.1, -0.7, 0.5], [0.4, 0.2, 0.6]]) * 1e-3
    held = np.zeros(len(mesh.points), bool)
    held[mesh.triangles] = True
    held = np.repeat(held, 3)
    u = (mesh.points @ gradient.T).ravel()
    u[~held] = spsolve(stiffness[~held][:, ~held].tocsc(), -stiffness[~held][:, held] @ u[held])
    gradients, _ = gradients_and_volumes(mesh.points, mesh.cells)
    strain = (strain_operator(gradients, mesh.cells, len(mesh.points)) @ u).reshape(6, -1)
    total = gradient + gradient.T
    expected = np.array([*np.diag(gradient), total[0, 1], total[1, 2], total[2, 0]])
    return float(np.abs(strain - expected[:, None]).max() / np.abs(expected).max())


def patch_test_strain() -> Verified:
    """A linear displacement on the boundary of a block, nothing prescribed inside: one strain everywhere.

    A box of 384 cells with its inner points moved by up to 22 % of a cell, and an unstructured gmsh mesh graded towards
    a corner; the worse of the two counts.
    """
    moved, unstructured = distorted_block((4, 4, 4)), gmsh_block()
    misses = patch_miss(moved), patch_miss(unstructured)
    found = f"Moved box {misses[0]:.1e}, gmsh {misses[1]:.1e}."
    return vanishing(
        "patch test: constant strain",
        _PATCH,
        max(misses),
        1e-10,
        max(len(moved.points), len(unstructured.points)),
        found,
    )


def patch_test_stress() -> Verified:
    """A block on three symmetry planes under two tractions, and another under pressure all around: one stress.

    Goes through supports, loads, factor and stress recovery of `solve`. Box with moved inner points and gmsh mesh.
    """
    moved, unstructured = distorted_block((3, 3, 3)), gmsh_block()
    pulls = (Traction(RIGHT, (100e6, 0, 0)), Traction(BACK, (0, -40e6, 0)))
    misses = []
    for mesh in (moved, unstructured):
        stress = solve_once(mesh, symmetry_planes(), *pulls).histories[0].stress[0]
        misses.append(float(np.abs(stress - np.array([100e6, -40e6, 0, 0, 0, 0])).max()) / 100e6)
    squeezed = solve_once(moved, symmetry_planes(), Pressure(AnySelector((RIGHT, BACK, TOP)), 70e6)).histories[0].stress
    misses.append(float(np.abs(squeezed - np.array([-70e6] * 3 + [0.0] * 3)).max()) / 70e6)
    found = f"Tractions on the moved box {misses[0]:.1e}, on gmsh's mesh {misses[1]:.1e}; pressure {misses[2]:.1e}."
    return vanishing(
        "patch test: constant stress",
        _PATCH,
        max(misses),
        1e-10,
        max(len(moved.points), len(unstructured.points)),
        found,
    )


def zero_energy_modes() -> Verified:
    """Eigenvalues below 1e-10 of the largest, of a part that nothing holds: the six rigid motions and no other."""
    values = small_spectrum()
    found = f"The sixth is {abs(values[5]):.1e} of the largest, the seventh {values[6]:.1e}."
    count = float((np.abs(values) < 1e-10).sum())
    return absolute("zero-energy modes of a free part", _BASIS, 6.0, count, 0.0, "", len(small_part().points), found)


def symmetry_of_the_stiffness() -> Verified:
    """Largest entry of K less its transpose, over the largest of K; the box with moved inner points."""
    stiffness = free_stiffness(small_part())
    miss = np.abs((stiffness - stiffness.T).toarray()).max() / np.abs(stiffness).max()
    return vanishing("symmetric K", _BASIS, float(miss), 1e-10, len(small_part().points))


def definiteness_of_the_stiffness() -> Verified:
    """The most negative eigenvalue over the largest: of the free part, and none at all once one face is held."""
    held = build_elastic_system(small_part(), STEEL, (Support(LEFT),)).stiffness.toarray()
    values = np.linalg.eigvalsh(held)
    negative = max(0.0, -float(small_spectrum()[0])) + (0.0 if values[0] > 0 else 1.0)
    found = f"With one face held the smallest eigenvalue is {values[0] / values[-1]:.1e} of the largest."
    return vanishing("positive K", _BASIS, negative, 1e-10, len(small_part().points), found)


def duffy_rule(order: int) -> tuple[FloatArray, FloatArray]:
    """Barycentric points [P, 4] and weights [P] of a tensor Gauss rule on the collapsed cube; weights sum to 1/6."""
    x, w = np.polynomial.legendre.leggauss(order)
    x, w = (x + 1) / 2, w / 2
    a, b, c = (g.ravel() for g in np.meshgrid(x, x, x, indexing="ij"))
    first, second, third = a, b * (1 - a), c * (1 - a) * (1 - b)
    weights = np.einsum("i,j,k->ijk", w, w, w).ravel() * (1 - a) ** 2 * (1 - b)
    return np.stack([1 - first - second - third, first, second, third], axis=1), weights


@cache
def manufactured_errors(divisions: int) -> tuple[float, float, int]:
    """L2 error of the displacement, energy error, and points: u = c sin(pi x) sin(pi y) sin(pi z) on a clamped cube."""
    mesh = block((divisions,) * 3)
    system = build_elastic_system(mesh, ELASTIC, (Support(FaceIdSelector(tuple(range(6)))),))
    shear, lame, vector = ELASTIC.shear_modulus_pa, ELASTIC.lame_lambda_pa, np.array([1.0, -0.5, 0.7])
    barycentric, weights = duffy_rule(4)
    shape, local = shape_functions(barycentric), local_gradients(barycentric)
    nodes = mesh.points[mesh.cells]
    x = np.einsum("pa,cai->cpi", shape, nodes)
    jacobian = np.einsum("pai,caj->cpij", local, nodes)
    volume = weights * np.linalg.det(jacobian)
    sine, cosine = np.sin(np.pi * x), np.cos(np.pi * x)
    wave = sine.prod(axis=-1)
    slope = np.stack([np.pi * cosine[..., i] * np.delete(sine, i, -1).prod(axis=-1) for i in range(3)], axis=-1)
    hessian = -(np.pi**2) * wave[..., None, None] * np.eye(3)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        mixed = np.pi**2 * cosine[..., i] * cosine[..., j] * sine[..., 3 - i - j]
        hessian[..., i, j] = hessian[..., j, i] = mixed
    body = 3 * np.pi**2 * shear * wave[..., None] * vector - (lame + shear) * hessian @ vector
    forces = np.zeros_like(mesh.points)
    np.add.at(forces, mesh.cells, np.einsum("cp,pa,cpi->cai", volume, shape, body))
    displacement = system.displacement(system.factor.solve(np.asarray(system.freedom.T @ forces.ravel())))
    own = displacement[mesh.cells]
    miss = np.einsum("pa,cai->cpi", shape, own) - wave[..., None] * vector
    gradient = np.einsum("cpij,paj,cak->cpki", np.linalg.inv(jacobian), local, own)
    strain_miss = gradient - vector[:, None] * slope[..., None, :]
    strain_miss = (strain_miss + strain_miss.swapaxes(-1, -2)) / 2
    energy = 2 * shear * (strain_miss**2).sum(axis=(-1, -2)) + lame * np.trace(strain_miss, axis1=-2, axis2=-1) ** 2
    l2 = float(np.sqrt((volume * (miss**2).sum(axis=-1)).sum()))
    return l2, float(np.sqrt((volume * energy).sum())), len(mesh.points)


def _rate(index: int, law: str, target: float) -> Verified:
    coarse, middle, fine = (manufactured_errors(n) for n in (4, 6, 8))
    rate = float(np.log(middle[index] / fine[index]) / np.log(8 / 6))
    before = float(np.log(coarse[index] / middle[index]) / np.log(6 / 4))
    source = "Strang and Fix, An Analysis of the Finite Element Method; method of manufactured solutions, Roache 1998"
    return absolute(
        law, source, target, rate, 0.15, "", fine[2], f"Between 4 and 6 divisions the rate is {before:.3f}."
    )


def convergence_in_l2() -> Verified:
    """Rate at which the L2 error of the displacement falls with the cell size.

    u = c sin(pi x) sin(pi y) sin(pi z) on a clamped cube with the body force that makes it the solution; 6 and 8
    divisions an edge, errors integrated with 64 points a cell.
    """
    return _rate(0, "convergence: displacement in L2", 3.0)


def convergence_in_energy() -> Verified:
    """Rate at which the error falls in the energy norm; the same solution and meshes."""
    return _rate(1, "convergence: energy norm", 2.0)
