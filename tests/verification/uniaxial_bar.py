"""A bar pulled, pushed and pulled again past yield follows its closed-form stress-strain path, for each hardening law.

Isotropic hardening under prescribed stress: the accumulated plastic strain p is where the yield stress has reached the
largest stress so far, in tension or compression, and each rise of p is a plastic strain in the direction of the stress.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from surrogate.fields import FloatArray, HistoryFields
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.materials import Material
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Traction
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import RIGHT, STEEL, distorted_block, symmetry_planes
from tests.verification.verified import Verified, vanishing

YIELD = STEEL.yield_strength_pa
# Each level is above, within or below what yield has been raised to; compression goes beyond what tension reached.
STRESSES = YIELD * np.array([0.5, 1.2, 0.1, -1.15, -1.3, 0.4, 1.5, -1.5, 0.0])
TIGHT = SolverSettings(tolerance=1e-12, collapse_displacement=10.0)
_SOURCE = "closed form; Simo and Hughes, Computational Inelasticity, section 1.4"


def bar_history(material: Material) -> tuple[TetMesh, HistoryFields]:
    """A bar of 2 x 1 x 1 m, free to contract, its cells' inner points moved, under the stresses."""
    mesh = distorted_block((3, 2, 2), (2.0, 1.0, 1.0))
    pull = LoadCase("pull", (Traction(RIGHT, (1.0, 0, 0)),))
    history = LoadHistory("cycle", STRESSES[:, None])
    problem = Problem(mesh, material, symmetry_planes(), (pull,), (history,))
    return mesh, solve(problem, settings=TIGHT).histories[0]


def closed_form(strain_at: Callable[[float], float]) -> tuple[FloatArray, FloatArray]:
    """Plastic strain along the bar and accumulated plastic strain at each step [T], from p of a yield stress, Pa."""
    plastic, accumulated, path = 0.0, 0.0, []
    for stress in STRESSES:
        flow = max(strain_at(max(abs(stress), YIELD)) - accumulated, 0.0)
        plastic, accumulated = plastic + np.sign(stress) * flow, accumulated + flow
        path.append((plastic, accumulated))
    return np.array(path)[:, 0], np.array(path)[:, 1]


def _verified(name: str, hardening: Hardening, strain_at: Callable[[float], float]) -> Verified:
    """The largest error of any component at any quadrature point and step, over the largest value of its field."""
    mesh, found = bar_history(replace(STEEL, hardening=hardening))
    plastic, accumulated = closed_form(strain_at)
    zero, nu, modulus = np.zeros_like(plastic), STEEL.poissons_ratio, STEEL.youngs_modulus_pa
    tensor = np.stack([plastic, -plastic / 2, -plastic / 2, zero, zero, zero], axis=1)
    stress = np.stack([STRESSES, zero, zero, zero, zero, zero], axis=1)
    along, across = STRESSES / modulus + plastic, -nu * STRESSES / modulus - plastic / 2
    displacement = mesh.points * np.stack([along, across, across], axis=1)[:, None, :]
    pairs = (
        (found.stress, stress[:, None, None]),
        (found.plastic_strain, tensor[:, None, None]),
        (found.equivalent_plastic_strain, accumulated[:, None, None]),
        (found.displacement, displacement),
    )
    misses = [float(np.abs(actual - expected).max() / np.abs(expected).max()) for actual, expected in pairs]
    spoken = ", ".join(
        f"{field} {miss:.1e}"
        for field, miss in zip(("stress", "plastic strain", "its sum", "displacement"), misses, strict=True)
    )
    text = f"Largest errors: {spoken}. The bar has seen {accumulated[-1]:.3f} plastic strain in the end."
    return vanishing(f"cyclic bar, {name} hardening: whole path", _SOURCE, max(misses), 1e-8, len(mesh.points), text)


def cyclic_bar_linear() -> Verified:
    """Nine stress levels up to 1.5 times yield both ways, linear hardening of 2 GPa.

    Stress, plastic strain tensor, accumulated plastic strain and displacement at every point and step, each over its
    largest value; the solver iterates to 1e-12.
    """
    modulus = 2e9
    return _verified("linear", LinearHardening(modulus), lambda stress: (stress - YIELD) / modulus)


def cyclic_bar_voce() -> Verified:
    """The same path with Voce hardening, saturation 150 MPa and rate 20; the path is the logarithm that inverts it."""
    saturation, rate = 150e6, 20.0
    inverse = lambda stress: float(-np.log1p(-(stress - YIELD) / saturation) / rate)  # noqa: E731
    return _verified("Voce", VoceHardening(saturation, rate), inverse)


def cyclic_bar_tabulated() -> Verified:
    """The same path with a table of four rows; steps end within rows, and one step passes over a row."""
    rows = ((0.0, YIELD), (0.01, 290e6), (0.05, 350e6), (0.12, 390e6))
    strains, stresses = zip(*rows, strict=True)
    return _verified("tabulated", TabulatedHardening(rows), lambda stress: float(np.interp(stress, stresses, strains)))
