"""The hardening curve that a CalculiX deck holds, and that CalculiX follows it."""

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from surrogate.errors import MaterialError
from surrogate.physics.calculix import solve_with_calculix
from surrogate.physics.calculix_deck import hardening_rows
from surrogate.physics.hardening import Hardening, LinearHardening, TabulatedHardening, VoceHardening
from surrogate.physics.problem import LoadCase, LoadHistory, Problem, Traction
from surrogate.physics.solver import SolverSettings, solve
from tests.physics.meshes import PERFECT, RIGHT, STEEL, quarter_plate, symmetry_planes

TABLE = TabulatedHardening(((0.0, 250e6), (0.003, 250e6), (0.02, 320e6), (0.1, 380e6)))


@pytest.mark.parametrize("rate", [1e-3, 0.5, 5.0, 30.0, 400.0])
def test_the_straight_pieces_of_a_voce_curve_keep_to_it_within_the_bound(rate: float) -> None:
    saturation = 180e6
    material = replace(STEEL, hardening=VoceHardening(saturation, rate))
    strains, stresses = np.array(hardening_rows(material)).T
    assert strains[0] == 0.0 and strains[-1] == 10.0 and len(strains) == 200
    assert (np.diff(strains) > 0).all()
    assert stresses[0] == STEEL.yield_strength_pa
    fine = np.concatenate([np.linspace(a, b, 9) for a, b in pairwise(strains)])
    off = material.yield_stress(fine) - np.interp(fine, strains, stresses)
    # Round-off of the stress is 6e-8 Pa.
    assert np.abs(off).max() <= 2 * saturation / 199**2 + 1e-6
    # Sag grows from piece to piece by the ratio of its ends: to 1 + 3 d / u where u = 1/4, which is where 94 % of the
    # saturation are reached.
    early = (fine > strains[1]) & (fine < strains[150])
    assert np.abs(off[early]).max() <= 1.1 * saturation / 199**2 / 3 + 1e-6
    assert np.abs(off[early].mean()) <= 0.1 * saturation / 199**2 + 1e-6


def test_lines_and_tables_are_written_as_they_are() -> None:
    assert hardening_rows(replace(STEEL, hardening=TABLE)) == TABLE.points
    assert hardening_rows(PERFECT) == ((0.0, 250e6),)
    (_, first), (strain, stress) = hardening_rows(STEEL)
    assert first == 250e6
    assert stress == 250e6 + 2e9 * strain


def test_a_longer_table_than_calculix_holds_is_refused() -> None:
    long = TabulatedHardening(tuple((0.001 * i, 250e6 + 1e5 * i) for i in range(201)))
    with pytest.raises(MaterialError, match="201 rows and CalculiX holds 200; thin it out"):
        hardening_rows(replace(STEEL, hardening=long))


@pytest.mark.skipif(shutil.which("ccx") is None, reason="CalculiX is not installed")
@pytest.mark.parametrize("law", [LinearHardening(1e9), VoceHardening(180e6, 25.0), TABLE], ids=repr)
def test_calculix_hardens_by_the_same_law(law: Hardening) -> None:
    material = replace(STEEL, hardening=law)
    case = LoadCase("pull", (Traction(RIGHT, (100e6, 0, 0)),))
    history = LoadHistory("cycle", np.array([0.8, 1.2, 1.5, 1.75, 0.4, -1.0])[:, None])
    problem = Problem(quarter_plate(4, 4, 1, 1.0, 4.0, 1.0), material, symmetry_planes(), (case,), (history,))
    ours = solve(problem, settings=SolverSettings(tolerance=1e-9)).histories[0]
    theirs = solve_with_calculix(problem).histories[0]
    assert ours.equivalent_plastic_strain.max() > 0.005
    # Lines and tables are exact up to the seven digits that are printed; the pieces of a Voce curve are 1e-5 off.
    bar = 1.5e-5 if isinstance(law, VoceHardening) else 1e-6
    for step in range(len(ours.stress)):
        assert np.linalg.norm(ours.stress[step] - theirs.stress[step]) < bar * np.linalg.norm(ours.stress[step])
        assert np.linalg.norm(ours.displacement[step] - theirs.displacement[step]) < bar * np.linalg.norm(
            ours.displacement[step]
        )
