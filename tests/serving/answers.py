"""A small cantilever, its solved answer, and a made-up prediction of it, for the tests of what is shown to people."""

from dataclasses import fields, replace
from functools import cache

import numpy as np

from surrogate.fields import DomainVerdict, Fields, HistoryFields, HistoryScalars, ModelIdentity, StepScalars
from surrogate.physics.problem import Force, LoadCase, LoadHistory, Pressure, Problem, Support
from surrogate.physics.solver import solve
from tests.physics.meshes import LEFT, RIGHT, STEEL, TOP, block


@cache
def beam() -> Problem:
    """A cantilever of steel with two load cases: bent beyond yield and unloaded, and a mild one."""
    cases = (
        LoadCase("down", (Force(RIGHT, (0.0, 0.0, -4500.0)),)),
        LoadCase("press", (Pressure(TOP, 1e6),)),
    )
    histories = (
        LoadHistory("mild", np.array([[0.2, 0.0], [0.4, 0.5]])),
        LoadHistory("bend & unload", np.array([[0.5, 0.0], [1.0, 0.0], [1.2, 0.0], [0.0, 0.0]])),
    )
    return Problem(block((8, 2, 2), (0.08, 0.02, 0.02)), STEEL, (Support(LEFT),), cases, histories, "beam")


@cache
def beam_solved() -> Fields:
    """The reference answer."""
    return solve(beam())


@cache
def beam_predicted() -> Fields:
    """The reference answer with 3 % more stress and 5 % more plastic strain, with intervals of 10 %."""
    answer = beam_solved()
    return replace(
        answer,
        method="surrogate",
        histories=tuple(_predicted(history) for history in answer.histories),
        domain=DomainVerdict(1.4, False, "the part is thinner than those of the training"),
        model=ModelIdentity("jepa-test", "3"),
    )


def _predicted(history: HistoryFields) -> HistoryFields:
    return replace(
        history,
        stress=1.03 * history.stress,
        plastic_strain=1.05 * history.plastic_strain,
        scalars=replace(history.scalars, peak_von_mises_pa=1.03 * history.scalars.peak_von_mises_pa),
        scalars_low=_scaled_steps(history.scalars, 0.9),
        scalars_high=_scaled_steps(history.scalars, 1.1),
        totals_low=_scaled_totals(history.totals, 0.9),
        totals_high=_scaled_totals(history.totals, 1.1),
        balance=None,
    )


def _scaled_steps(scalars: StepScalars, factor: float) -> StepScalars:
    return StepScalars(*(factor * getattr(scalars, entry.name) for entry in fields(StepScalars)))


def _scaled_totals(totals: HistoryScalars, factor: float) -> HistoryScalars:
    return HistoryScalars(*(factor * getattr(totals, entry.name) for entry in fields(HistoryScalars)))
