"""CalculiX, an independent program, on the same mesh, loads and material: every field at every point and step.

Differences are over the largest value of the field in its step. CalculiX prints seven digits, so 1e-5 leaves room for
round-off; both programs iterate much tighter.
"""

import numpy as np

from surrogate.fields import FloatArray, HistoryFields
from surrogate.geometry.selectors import CylinderSelector, PlaneSelector
from surrogate.geometry.tet_mesh import Vector
from surrogate.physics.calculix import solve_with_calculix
from surrogate.physics.hardening import TabulatedHardening
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.materials import Material
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    LoadCase,
    LoadHistory,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Support,
    Traction,
)
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import (
    BOTTOM,
    LEFT,
    PERFECT,
    RIGHT,
    STEEL,
    TOP,
    block,
    distorted_block,
    full_tube,
    quarter_plate,
    rotation,
    symmetry_planes,
)
from tests.verification.verified import Verified, vanishing

TIGHT = SolverSettings(tolerance=1e-9)
_TABLE = ((0.0, 250e6), (0.002, 290e6), (0.01, 330e6), (0.05, 360e6))
TABULATED = Material("steel by table", 200e9, 0.3, 7800.0, 250e6, 400e6, TabulatedHardening(_TABLE))


def relative(actual: FloatArray, expected: FloatArray) -> float:
    """Largest difference over the largest value; zero where both vanish."""
    scale = float(np.abs(expected).max())
    return float(np.abs(actual - expected).max()) / scale if scale else float(np.abs(actual).max())


def differences(problem: Problem, *, yields: bool) -> dict[str, float]:
    """Largest relative difference of each field over the histories and steps.

    Args:
        problem: what both programs solve.
        yields: whether it must yield by more than a tenth of a per cent, or not at all.
    """
    worst = dict.fromkeys(("displacement", "von Mises", "stress", "plastic strain"), 0.0)

    def mises(stress: FloatArray) -> FloatArray:
        return von_mises(to_first(stress))

    def compare(ours: HistoryFields, theirs: HistoryFields, step: int) -> dict[str, float]:
        largest = np.abs(ours.plastic_strain).max()
        plastic = np.abs(theirs.plastic_strain[step] - ours.plastic_strain[step]).max()
        return {
            "displacement": relative(theirs.displacement[step], ours.displacement[step]),
            "von Mises": relative(mises(theirs.stress[step]), mises(ours.stress[step])),
            "stress": relative(theirs.stress[step], ours.stress[step]),
            "plastic strain": float(plastic / largest) if largest else float(plastic),
        }

    both = zip(solve(problem, settings=TIGHT).histories, solve_with_calculix(problem).histories, strict=True)
    for ours, theirs in both:
        assert ours.steps.tolist() == theirs.steps.tolist()
        # Otherwise the case would not verify what it says.
        assert (ours.equivalent_plastic_strain.max() > 1e-3) == yields
        for step in range(len(ours.steps)):
            found = compare(ours, theirs, step)
            worst = {field: max(value, found[field]) for field, value in worst.items()}
    return worst


def _verified(law: str, problem: Problem, *, yields: bool = True) -> Verified:
    worst = differences(problem, yields=yields)
    found = "Largest differences: " + ", ".join(f"{field} {value:.1e}" for field, value in worst.items()) + "."
    source = "CalculiX CrunchiX 2.20 (Dhondt), deck written by this program"
    return vanishing(f"CalculiX: {law}", source, max(worst.values()), 1e-5, len(problem.mesh.points), found)


def one_case(*factors: float) -> LoadHistory:
    """A history of a problem with one load case."""
    return LoadHistory("history", np.array(factors)[:, None])


def calculix_elastic() -> Verified:
    """Pressure, force, traction and body acceleration on a clamped box with moved inner points, two load cases."""
    mesh = distorted_block((3, 2, 2), (2.0, 1.0, 1.0))
    mixed = (Pressure(TOP, 1e6), Force(RIGHT, (1e5, 3e5, -2e5)), Acceleration((0.0, 90.0, 0.0)))
    cases = (LoadCase("mixed", mixed), LoadCase("pull", (Traction(RIGHT, (5e6, 0.0, 1e6)),)))
    history = LoadHistory("history", np.array([[1.0, 0.0], [-0.5, 2.0]]))
    return _verified("elastic", Problem(mesh, STEEL, (Support(LEFT),), cases, (history,)), yields=False)


def calculix_load_unload() -> Verified:
    """Quarter of a plate with a hole, linear hardening: three levels up, unloading, reverse yield, unloading.

    Curved cells.
    """
    mesh = quarter_plate(4, 4, 1, 1.0, 4.0, 1.0)
    case = LoadCase("pull", (Traction(RIGHT, (100e6, 0, 0)),))
    problem = Problem(mesh, STEEL, symmetry_planes(), (case,), (one_case(0.8, 1.2, 1.5, 0.4, -1.0, 0.2),))
    return _verified("loading, unloading and reverse yield", problem)


def calculix_tabulated() -> Verified:
    """The same plate with a table of four rows, one path up, down and further up."""
    mesh = quarter_plate(4, 4, 1, 1.0, 4.0, 1.0)
    case = LoadCase("pull", (Traction(RIGHT, (100e6, 0, 0)),))
    problem = Problem(mesh, TABULATED, symmetry_planes(), (case,), (one_case(1.0, 1.6, -0.2, 1.8),))
    return _verified("tabulated hardening", problem)


def calculix_two_histories() -> Verified:
    """Two load cases that do not rise together, no hardening, two histories solved in one block by this program."""
    mesh = quarter_plate(4, 6, 2, 1.0, 4.0, 1.0)
    cases = (LoadCase("pull", (Traction(RIGHT, (80e6, 0, 0)),)), LoadCase("press", (Pressure(TOP, 80e6),)))
    swing = LoadHistory("swing", np.array([[0.8, 0.0], [1.4, 0.3], [1.0, -0.7], [0.2, -1.2], [0, 0]]))
    push = LoadHistory("push", np.array([[0.0, 2.0], [-1.5, 1.6]]))
    return _verified(
        "two histories that are not proportional", Problem(mesh, PERFECT, symmetry_planes(), cases, (swing, push))
    )


def calculix_bearing_and_remote() -> Verified:
    """Bearing force in the bore of a tube, remote force and moment on its upper end, its lower end clamped.

    Each of the three alone, then all together past yield. Nodal forces in the deck are those of this program, so this
    verifies how it answers them; that total force and moment are exact has its own tests.
    """
    mesh = full_tube(2, 10, 3, 1.0, 1.6, 2.0)
    bore = CylinderSelector(1.0, hole=True)
    cases = (
        LoadCase("bearing", (BearingForce(bore, (12e7, 9e7, 0.0)),)),
        LoadCase("remote", (RemoteForce(TOP, (0.0, 6e7, -12e7), (0.5, -1.0, 5.0)),)),
        LoadCase("moment", (Moment(TOP, (9e7, -6e7, 18e7)),)),
    )
    history = LoadHistory("history", np.concatenate([np.eye(3), [[1.0, 1.0, 1.0], [2.0, 1.9, 1.9], [0.3, 0.5, -0.2]]]))
    return _verified("bearing force, remote force, moment", Problem(mesh, STEEL, (Support(BOTTOM),), cases, (history,)))


def calculix_skew_planes() -> Verified:
    """A block turned in space on three frictionless planes, none along an axis, pulled and sheared past yield.

    Here the supports are a basis of the free motions; in the deck they are equations between displacements.
    """
    turn = rotation((1.0, 2.0, 3.0), 0.7)

    def turned(*vector: float) -> Vector:
        x, y, z = (turn @ np.array(vector)).tolist()
        return x, y, z

    mesh = block((3, 2, 2), (2.0, 1.0, 1.0), lambda x: x @ turn.T)
    planes = [PlaneSelector(turned(*normal), "max") for normal in ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (1, 0, 0))]
    case = LoadCase("pull", (Traction(planes[3], turned(100e6, 0.0, -60e6)),))
    problem = Problem(mesh, STEEL, symmetry_planes(*planes[:3]), (case,), (one_case(1.0, 2.1),))
    return _verified("skew frictionless planes", problem)
