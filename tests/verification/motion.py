"""Dynamics: order of Newmark's scheme, energy, and the frequencies of a cantilever."""

from functools import cache

import numpy as np
from scipy.optimize import brentq

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.dynamics import Modes, Motion, free_frequencies, natural_frequencies, newmark
from surrogate.physics.elastic import ElasticAnchor, build_elastic_system, elastic_anchor
from surrogate.physics.problem import Force, LoadCase, LoadHistory, Problem, Support
from tests.physics.meshes import LEFT, RIGHT, STEEL, block
from tests.verification.verified import Verified, absolute, relative, vanishing

_NEWMARK = "Newmark 1959; Hughes, The Finite Element Method, section 9.1"
# The beams are square, 1 m wide, this many metres long.
SHORT, LONG = 6, 20


@cache
def swinging_beam() -> tuple[TetMesh, ElasticAnchor, Modes]:
    """A short cantilever and its first five modes."""
    mesh = block((SHORT, 2, 2), (float(SHORT), 1.0, 1.0))
    tip = LoadCase("tip", (Force(RIGHT, (0.0, 0.0, -1e5)),))
    anchor = elastic_anchor(Problem(mesh, STEEL, (Support(LEFT),), (tip,), (LoadHistory("once", np.ones((1, 1))),)))
    return mesh, anchor, natural_frequencies(anchor.system, 5)


def newmark_error(steps: int, alpha: float) -> float:
    """Largest error over time of a swing in the first and third mode, over its start, with so many steps a period."""
    mesh, anchor, modes = swinging_beam()
    first = 1 / float(modes.frequencies_hz[0])
    shapes = modes.shapes[[0, 2]] / np.abs(modes.shapes[[0, 2]]).max(axis=(1, 2), keepdims=True)
    start = Motion(shapes[0] + 0.2 * shapes[1], np.zeros_like(mesh.points))
    found = newmark(anchor, np.zeros((steps + 1, 1)), first / steps, start=start, alpha=alpha)
    phase = 2 * np.pi * np.outer(found.times_s, modes.frequencies_hz[[0, 2]])
    exact = np.einsum("tm,mni->tni", np.cos(phase) * [1.0, 0.2], shapes)
    return float(np.abs(found.displacement - exact).max())


def _order(law: str, alpha: float) -> Verified:
    coarse, middle, fine = (newmark_error(steps, alpha) for steps in (200, 400, 800))
    rate, before = np.log2(middle / fine), np.log2(coarse / middle)
    found = f"Error with 800 steps a period {fine:.1e}; between 200 and 400 steps the order is {before:.3f}."
    return absolute(law, _NEWMARK, 2.0, float(rate), 0.1, "", len(swinging_beam()[0].points), found)


def newmark_order() -> Verified:
    """Order in the time step of Newmark's average acceleration.

    A cantilever is let go from its first and third mode; the exact motion of the discrete part is known from its modes.
    One period, 400 and 800 steps.
    """
    return _order("Newmark: order in the time step", 0.0)


def alpha_method_order() -> Verified:
    """Order of the alpha method with alpha = -0.1: the numerical damping leaves it at two."""
    return _order("alpha method: order in the time step", -0.1)


def newmark_energy() -> Verified:
    """Kinetic plus strain energy over 500 steps of a free swing without damping.

    The cantilever is let go from a bent and twisted shape that holds all modes, with ten steps a first period, so that
    the higher modes are not resolved at all: their energy stays too.
    """
    mesh, anchor, modes = swinging_beam()
    bent = np.random.default_rng(0).normal(size=mesh.points.shape) * 1e-5
    start = Motion(bent, 0.1 * modes.shapes[1])
    found = newmark(anchor, np.zeros((501, 1)), 0.1 / float(modes.frequencies_hz[0]), start=start)
    total = found.kinetic_energy_j + found.strain_energy_j
    drift = float(np.abs(total / total[0] - 1).max())
    return vanishing("Newmark: energy kept without damping", _NEWMARK, drift, 1e-8, len(mesh.points))


def timoshenko_frequencies(length: float, width: float, count: int) -> FloatArray:
    """Bending frequencies of a square clamped-free beam, Hz: roots of Huang's frequency equation (1961)."""
    modulus, nu, density = STEEL.youngs_modulus_pa, STEEL.poissons_ratio, STEEL.density_kg_m3
    area, inertia, shear_share = width**2, width**4 / 12, 10 * (1 + nu) / (12 + 11 * nu)
    rotary = inertia / (area * length**2)
    shear = modulus * inertia / (shear_share * area * STEEL.shear_modulus_pa * length**2)
    speed = np.sqrt(modulus * inertia / (density * area * length**4))

    def equation(b: float) -> float:
        root = np.sqrt((rotary - shear) ** 2 + 4 / b**2)
        a, c = np.sqrt((root - rotary - shear) / 2), np.sqrt((root + rotary + shear) / 2)
        mixed = (rotary + shear) * b / np.sqrt(1 - b**2 * rotary * shear) * np.sinh(b * a) * np.sin(b * c)
        return float(2 + (b**2 * (rotary - shear) ** 2 + 2) * np.cosh(b * a) * np.cos(b * c) - mixed)

    # Timoshenko's roots lie below Euler and Bernoulli's, in slender beams by little.
    above = np.array([1.8751, 4.6941, 7.8548][:count]) ** 2
    roots = [brentq(equation, 0.6 * value, value) for value in above]
    return np.array(roots) * speed / (2 * np.pi)


@cache
def long_beam() -> tuple[FloatArray, int]:
    """Frequencies of a long cantilever, Hz, and the points of its mesh."""
    mesh = block((2 * LONG, 3, 3), (float(LONG), 1.0, 1.0))
    return natural_frequencies(build_elastic_system(mesh, STEEL, (Support(LEFT),)), 4).frequencies_hz, len(mesh.points)


def first_bending_frequency() -> Verified:
    """First bending frequency of a square cantilever with L / h = 20 against Timoshenko's beam.

    Two cells a width along the beam, three across; consistent mass. The clamped end, held in all directions, makes it a
    little too stiff.
    """
    frequencies, points = long_beam()
    exact = timoshenko_frequencies(float(LONG), 1.0, 1)[0]
    euler = 1.8751**2 / (2 * np.pi * LONG**2) * np.sqrt(STEEL.youngs_modulus_pa / STEEL.density_kg_m3 / 12)
    apart = frequencies[1] / frequencies[0] - 1
    found = f"{frequencies[0] / euler:.4f} of Euler and Bernoulli's; the two planes of bending differ by {apart:.1e}."
    return relative(
        "cantilever: first bending frequency", "Huang, J. Appl. Mech. 28 (1961) 579", exact, frequencies[0], 0.01, "Hz",
        points, found,
    )  # fmt: skip


def second_bending_frequency() -> Verified:
    """Second bending frequency of the same cantilever."""
    frequencies, points = long_beam()
    exact = timoshenko_frequencies(float(LONG), 1.0, 2)[1]
    return relative(
        "cantilever: second bending frequency", "Huang, J. Appl. Mech. 28 (1961) 579", exact, frequencies[2], 0.01,
        "Hz", points,
    )  # fmt: skip


def rigid_modes() -> Verified:
    """Modes below a ten-thousandth of the first elastic frequency, of a beam that nothing holds."""
    mesh = block((SHORT, 2, 2), (float(SHORT), 1.0, 1.0))
    frequencies = free_frequencies(mesh, STEEL, 8).frequencies_hz
    count = float((frequencies < 1e-4 * frequencies[6]).sum())
    found = f"The sixth is {frequencies[5]:.1e} Hz, the seventh {frequencies[6]:.2f} Hz."
    source = "Hughes, The Finite Element Method, chapter 7"
    return absolute("free part: modes without frequency", source, 6.0, count, 0.0, "", len(mesh.points), found)
