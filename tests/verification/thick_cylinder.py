"""A thick cylinder under internal pressure: elastic, at first yield, fully plastic, and unloaded.

Bore 1 m, outer radius 2 m, von Mises yield without hardening. A wedge of 30 degrees between two frictionless planes,
one of them skew; frictionless planes at both ends too, so that the axial strain is zero: plane strain in the elastic
and in the plastic range.
"""

from functools import cache

import numpy as np

from surrogate.fields import FloatArray, HistoryFields
from surrogate.geometry.selectors import CylinderSelector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import LoadCase, LoadHistory, Pressure, Problem
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import BOTTOM, FRONT, PERFECT, TOP, symmetry_planes
from tests.physics.nodal_values import at_points
from tests.verification.benchmark_meshes import far_side, wedge_of_tube
from tests.verification.verified import Verified, relative

INNER, OUTER, ANGLE = 1.0, 2.0, np.pi / 6
YIELD, NU, MODULUS = PERFECT.yield_strength_pa, PERFECT.poissons_ratio, PERFECT.youngs_modulus_pa
# Hill 1950, chapter V.2, for von Mises yield: the radial and hoop stress differ by 2 / root(3) of the yield stress.
LIMIT = 2 / np.sqrt(3) * YIELD * np.log(OUTER / INNER)
UNLOADED_FROM = 0.85
_SQUARES = OUTER**2 - INNER**2
_HILL = "Hill, The Mathematical Theory of Plasticity, 1950, chapter V"
_LAME = "Lame 1852; Timoshenko and Goodier, Theory of Elasticity, section 28"


@cache
def wedge() -> TetMesh:
    """The mesh that all laws of this part share: the cells at the bore are a fiftieth of its radius deep."""
    return wedge_of_tube(14, 5, INNER, OUTER, ANGLE, grading=2.0)


def under_pressure(pressures: tuple[float, ...], settings: SolverSettings | None = None) -> HistoryFields:
    """The history of a pressure in the bore, Pa."""
    case = LoadCase("bore", (Pressure(CylinderSelector(INNER, hole=True), 1.0),))
    history = LoadHistory("pressure", np.array(pressures)[:, None])
    supports = symmetry_planes(FRONT, far_side(ANGLE), BOTTOM, TOP)
    return solve(Problem(wedge(), PERFECT, supports, (case,), (history,)), settings=settings).histories[0]


@cache
def up_and_down() -> HistoryFields:
    """A tenth of the limit, 85 % of it, and back to nothing."""
    return under_pressure((0.1 * LIMIT, UNLOADED_FROM * LIMIT, 0.0))


def hoop_stress(stress: FloatArray, radius: float) -> FloatArray:
    """Hoop stress at the corner points of a radius, extrapolated from the quadrature points and averaged, Pa."""
    mesh = wedge()
    where, found = at_points(mesh, np.abs(np.hypot(mesh.points[:, 0], mesh.points[:, 1]) - radius) < 1e-9, stress)
    c, s = where[:, 0] / radius, where[:, 1] / radius
    return np.asarray(s**2 * found[:, 0] + c**2 * found[:, 1] - 2 * s * c * found[:, 3])


def lame_hoop_stress() -> Verified:
    """Elastic hoop stress at the bore, 10 % of the fully plastic pressure.

    The stress is extrapolated linearly from the quadrature points to the corners of each cell, averaged at the points,
    and averaged again over the bore.
    """
    pressure = 0.1 * LIMIT
    hoop = hoop_stress(up_and_down().stress[0], INNER)
    expected = pressure * (INNER**2 + OUTER**2) / _SQUARES
    outside = hoop_stress(up_and_down().stress[0], OUTER).mean() / (2 * pressure * INNER**2 / _SQUARES)
    found = (
        f"Single points of the bore lie between {hoop.min() / expected:.4f} and {hoop.max() / expected:.4f} of the "
        f"target; the mean on the outside is {outside:.4f} of its own."
    )
    return relative(
        "thick cylinder: elastic hoop stress at the bore", _LAME, expected / 1e6, hoop.mean() / 1e6, 0.01, "MPa",
        len(wedge().points), found,
    )  # fmt: skip


def lame_displacement() -> Verified:
    """Elastic widening of the bore under the same pressure, plane strain: the mean over the points of the bore."""
    mesh, pressure = wedge(), 0.1 * LIMIT
    bore = np.abs(np.hypot(mesh.points[:, 0], mesh.points[:, 1]) - INNER) < 1e-9
    moved = np.linalg.norm(up_and_down().displacement[0][bore, :2], axis=1)
    factor = pressure * INNER**2 / _SQUARES
    expected = factor * (1 + NU) / MODULUS * ((1 - 2 * NU) * INNER + OUTER**2 / INNER)
    spread = np.abs(moved / expected - 1).max()
    return relative(
        "thick cylinder: elastic widening of the bore", _LAME, expected * 1e6, moved.mean() * 1e6, 0.01, "um",
        len(mesh.points), f"The point that is furthest off is {spread:.1e} off.",
    )  # fmt: skip


def first_yield_pressure() -> Verified:
    """Pressure at which the first quadrature point yields: the safety factor against yield times the pressure.

    Nothing is extrapolated, so the result lies above the target by what the stress falls between the bore and the first
    quadrature points, 14 % of a cell away; that is why the cells at the bore are small. The target is the von Mises
    stress of Lame's solution at the bore with the axial stress of plane strain.
    """
    axial = (1 - 2 * NU) * INNER**2 / _SQUARES
    expected = YIELD / np.sqrt(3 * (OUTER**2 / _SQUARES) ** 2 + axial**2)
    result = up_and_down().totals.safety_factor_yield * UNLOADED_FROM * LIMIT
    return relative(
        "thick cylinder: pressure at first yield", f"{_LAME}, with von Mises yield", expected / 1e6, result / 1e6, 0.01,
        "MPa", len(wedge().points),
    )  # fmt: skip


def fully_plastic_pressure() -> Verified:
    """The largest pressure without hardening, 2 / root(3) yield ln(b / a).

    Loaded to 0.9, 0.95 and 1.06 of the target. The last step finds no equilibrium; the solver halves it down to a
    sixteenth, so that the pressure that was carried is known to 0.7 %. At collapse the elastic strain rates vanish and
    the closed form is exact for any Poisson's ratio.
    """
    last, over = 0.95, 1.06
    collapse = under_pressure((0.9 * LIMIT, last * LIMIT, over * LIMIT)).collapse
    carried = LIMIT * (over if collapse is None else last + (over - last) * collapse.fraction)
    return relative(
        "thick cylinder: fully plastic pressure", _HILL, LIMIT / 1e6, carried / 1e6, 0.03, "MPa", len(wedge().points)
    )


def residual_hoop_stress() -> Verified:
    """Hoop stress left at the bore after unloading from 85 % of the fully plastic pressure.

    The closed form subtracts Lame's solution from the elastic-plastic one. It takes the axial stress as the mean of the
    other two, which holds in plane strain where the plastic strain is much larger than the elastic one; the model, with
    Poisson's ratio 0.3 and no such assumption, comes close to it. At this pressure unloading is elastic.
    """
    pressure = UNLOADED_FROM * LIMIT
    expected = 2 / np.sqrt(3) * YIELD - pressure - pressure * (OUTER**2 + INNER**2) / _SQUARES
    history = up_and_down()
    hoop = hoop_stress(history.stress[2], INNER)
    again = history.equivalent_plastic_strain[2].max() - history.equivalent_plastic_strain[1].max()
    found = f"The plastic strain grows by {again:.1e} while the pressure is taken off."
    return relative(
        "thick cylinder: residual hoop stress at the bore", _HILL, expected / 1e6, hoop.mean() / 1e6, 0.03, "MPa",
        len(wedge().points), found,
    )  # fmt: skip
