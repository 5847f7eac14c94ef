"""Beams and plates: Timoshenko's cantilever, a plate with a hole, and the NAFEMS benchmarks LE1 and LE10.

Stress at a point: extrapolated linearly from the four quadrature points to the corners of each cell, averaged over the
cells that meet at the point; no smoothing beyond that.
"""

from functools import cache

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.selectors import AnySelector, FaceIdSelector, NameSelector
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import Force, Pressure, Support, Traction
from tests.physics.meshes import LEFT, RIGHT, block, quarter_plate, symmetry_planes
from tests.physics.nodal_values import at_points
from tests.verification.benchmark_meshes import (
    ELASTIC,
    LE10_THICKNESS,
    NAFEMS,
    elliptic_block,
    le10_plate,
    solve_once,
)
from tests.verification.verified import Verified, relative

_STANDARD = "NAFEMS, The Standard NAFEMS Benchmarks, 1990, test"


def cantilever_ratio(slenderness: int) -> tuple[float, float, int]:
    """Tip deflection over Timoshenko's and over Euler and Bernoulli's, and the points of the mesh."""
    length, width, force = float(slenderness), 1.0, 1e5
    mesh = block((2 * slenderness, 3, 3), (length, width, width))
    tip = solve_once(mesh, (Support(LEFT),), Force(RIGHT, (0, 0, -force))).histories[0].displacement[0]
    end = np.abs(mesh.points[:, 0] - length) < 1e-9
    nu, inertia = ELASTIC.poissons_ratio, width**4 / 12
    shear_share = 10 * (1 + nu) / (12 + 11 * nu)
    bending = force * length**3 / (3 * ELASTIC.youngs_modulus_pa * inertia)
    shearing = force * length / (shear_share * ELASTIC.shear_modulus_pa * width**2)
    deflection = -float(tip[end, 2].mean())
    return deflection / (bending + shearing), deflection / bending, len(mesh.points)


def cantilever_deflection() -> Verified:
    """Tip deflection of a square cantilever with L / h = 15 under an end force, over Timoshenko's.

    Two cells a width along the beam, three across. One end is clamped in all directions, which holds back the Poisson
    effect that beam theory leaves free: a stiffening over about one width, so its share of the deflection falls with
    the slenderness.
    """
    ratios = {slenderness: cantilever_ratio(slenderness) for slenderness in (5, 10, 15, 20)}
    spoken = ", ".join(f"{ratio:.4f} at L / h = {s}" for s, (ratio, _, _) in ratios.items())
    found = f"Over Timoshenko's: {spoken}. Over Euler and Bernoulli's, at 5: {ratios[5][1]:.3f}."
    return relative(
        "cantilever: tip deflection over Timoshenko's", "Timoshenko 1921, shear coefficient of Cowper 1966", 1.0,
        ratios[15][0], 0.01, "", ratios[15][2], found,
    )  # fmt: skip


@cache
def hole_stresses() -> tuple[FloatArray, int]:
    """Stress along the pull at the hole's flank through half the thickness over the far stress, and the points."""
    mesh = quarter_plate(12, 16, 2, 1.0, 20.0, 0.25)
    fields = solve_once(mesh, symmetry_planes(), Traction(RIGHT, (1e6, 0, 0)))
    x, y, _ = mesh.points.T
    _, stress = at_points(mesh, (np.abs(x) < 1e-9) & (np.abs(y - 1) < 1e-9), fields.histories[0].stress[0])
    return stress[:, 0] / 1e6, len(mesh.points)


def _concentration(law: str, result: float, bar: float) -> Verified:
    values, points = hole_stresses()
    source = "Kirsch 1898; Howland 1930 for the finite width; Sternberg and Sadowsky 1949 through the thickness"
    spoken = ", ".join(f"{value:.3f}" for value in values)
    return relative(law, source, 3.0, result, bar, "", points, f"From the middle plane to the free surface: {spoken}.")


def hole_largest_concentration() -> Verified:
    """Largest stress concentration through the thickness at a hole, an eighth of a square plate under tension.

    The half width is 20 radii (Howland: 3.01), the half thickness a quarter of a radius; 12 cells outwards, growing,
    16 around the quarter and 2 through the half thickness. In three dimensions the concentration is a little above the
    plane value 3 in the middle plane and falls towards the free surface; the bars of this row and the next are the
    ends of a band from 2.91 to 3.08.
    """
    return _concentration("plate with a hole: largest concentration", float(hole_stresses()[0].max()), 0.08 / 3)


def hole_smallest_concentration() -> Verified:
    """Smallest stress concentration through the thickness of the same plate."""
    return _concentration("plate with a hole: smallest concentration", float(hole_stresses()[0].min()), 0.03)


def le1_stress(divisions: tuple[int, int]) -> tuple[float, int]:
    """Mean stress yy at point D of LE1, Pa, and the points of the mesh."""
    mesh = elliptic_block((*divisions, 1), 0.05)
    curved = [face for face in mesh.faces if face.normal is None]
    outer = max(curved, key=lambda face: float(np.linalg.norm(face.centroid)))
    pull = Pressure(FaceIdSelector((outer.id,)), -10e6)
    stress = solve_once(mesh, symmetry_planes(), pull, material=NAFEMS).histories[0].stress[0]
    _, at_d = at_points(mesh, np.linalg.norm(mesh.points[:, :2] - [2.0, 0.0], axis=1) < 1e-9, stress)
    return float(at_d[:, 1].mean()), len(mesh.points)


def nafems_le1() -> Verified:
    """Elliptic membrane under outward pressure of 10 MPa on the outer ellipse, stress yy at D = (2, 0).

    A strip 0.1 m thick, half of it modelled with one cell on a symmetry plane, its other side free: plane stress. The
    points on both ellipses are exact. Mean of the two corner points through the half thickness at D. 16 cells outwards
    and 24 around.
    """
    coarse, points = le1_stress((8, 12))
    fine, fine_points = le1_stress((16, 24))
    found = f"{coarse / 1e6:.2f} MPa with 8 by 12 cells, {points} points."
    return relative(
        "NAFEMS LE1, elliptic membrane: stress yy at D", f"{_STANDARD} LE1", 92.7, fine / 1e6, 0.02, "MPa",
        fine_points, found,
    )  # fmt: skip


def le10_stress(mesh: TetMesh) -> float:
    """Stress yy at point D of LE10, Pa."""
    outer = AnySelector((NameSelector("outer above"), NameSelector("outer below")))
    supports = (
        Support(NameSelector("x = 0"), ("normal",)),
        Support(NameSelector("y = 0"), ("normal",)),
        Support(outer, ("x", "y")),
        Support(NameSelector("outer above"), ("z",), meeting=NameSelector("outer below")),
    )
    stress = solve_once(mesh, supports, Pressure(NameSelector("top"), 1e6), material=NAFEMS).histories[0].stress[0]
    _, at_d = at_points(mesh, np.linalg.norm(mesh.points - [2.0, 0.0, LE10_THICKNESS], axis=1) < 1e-9, stress)
    return float(at_d[0, 1])


def nafems_le10() -> Verified:
    """Thick elliptic plate under pressure of 1 MPa on its upper face, stress yy at D = (2, 0, 0.6).

    Symmetry on x = 0 and y = 0; the outer face is held along x and y, and along z on its middle line only: the face is
    cut into an upper and a lower half, and the support names the edge where they meet. The points on both ellipses are
    exact. 12 cells outwards, 20 around and 6 through the thickness.

    D is a corner of the part, so its value rests on the few cells that meet there, and how the blocks are split into
    tetrahedra shows: the same mesh split the other way gives a larger value, which falls on refinement.
    """
    coarse, fine = le10_plate((8, 12, 4)), le10_plate((12, 20, 6))
    mirrored = le10_plate((12, 20, 6), mirrored=True)
    values = [le10_stress(mesh) / 1e6 for mesh in (coarse, fine, mirrored)]
    found = (
        f"{values[0]:.3f} MPa with 8 by 12 by 4 cells, {len(coarse.points)} points; split the other way, "
        f"12 by 20 by 6 cells give {values[2]:.3f} MPa."
    )
    return relative(
        "NAFEMS LE10, thick plate: stress yy at D", f"{_STANDARD} LE10", -5.38, values[1], 0.02, "MPa",
        len(fine.points), found,
    )  # fmt: skip
