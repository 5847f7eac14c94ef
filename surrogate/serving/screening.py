"""Histories ranked by what the tokens and the hottest points tell of them; no field is decoded.

Of many histories the worst are read once more with few others.

Shape letters: H histories, T steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from surrogate.errors import InputError
from surrogate.fields import FloatArray, HistoryFields
from surrogate.model.anchor_path import anchor_fields, anchor_path, pad_factors
from surrogate.model.anchor_state import largest_displacements
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.hottest import peaks_at
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.reduced import reduced_anchor
from surrogate.physics.reduced_span import CrowdSettings, ReducedSettings
from surrogate.physics.solver import solve
from surrogate.physics.solver_settings import SolverSettings
from surrogate.physics.tangent_modes import CorrectionSettings
from surrogate.serving.answer import elastic_peaks
from surrogate.serving.prepared import LoadedModel, loaded_model, prepare
from surrogate.serving.token_reading import read_tokens
from surrogate.serving.worst_again import is_crowd, worst_again

# Three rounds of the elastic displacement of plastic strain; none of the worst is corrected at all points.
QUICK = ReducedSettings(crowd=CrowdSettings(modes=12, correction=CorrectionSettings(iterations=0)), worst=0)


@dataclass(frozen=True)
class ScreenedHistory:
    """What is told of a history to rank it.

    Attributes:
        name: of the history.
        peak_plastic_strain: largest equivalent plastic strain; infinite where FEM was asked and found a collapse.
        peak_von_mises_pa: largest von Mises stress.
        permanent_set_m: largest displacement that stays after unloading.
    """

    name: str
    peak_plastic_strain: float
    peak_von_mises_pa: float
    permanent_set_m: float


def screen(
    problem: Problem, *, quick: bool = False, solved: int = 0, device: str = "auto", model: str | None = None
) -> tuple[ScreenedHistory, ...]:
    """Read every history's peaks straight from tokens and hottest points, to rank them before any is decoded.

    Args:
        problem: a part with its histories.
        quick: three rounds of modes for many histories, none of the worst asked again and no network: several times
            faster and some per cent further off (docs/results.md).
        solved: so many of the worst are then solved by FEM: near collapse their order is certain only so.
        device: "auto", "cpu" or "cuda".
        model: name of a shipped model or a model's folder; None for the newest shipped one.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        CheckpointError: no such model.
        InputError: fewer than no histories to solve.
    """
    if solved < 0:
        raise InputError(f"solved = {solved}: give how many of the worst histories FEM is asked of, zero or more")
    found = _at_hottest(problem) if quick else _read(problem, loaded_model(model, device))
    return _with_solved(problem, found, solved) if solved else found


def _read(problem: Problem, model: LoadedModel) -> tuple[ScreenedHistory, ...]:
    """From tokens and hottest points; the worst of a crowd once more with few others."""
    found = _at_tokens(problem, model)
    if not is_crowd(len(found)):
        return found
    return worst_again(found, _badness, lambda few: _at_tokens(_some(problem, few), model))


def _with_solved(problem: Problem, found: tuple[ScreenedHistory, ...], count: int) -> tuple[ScreenedHistory, ...]:
    """The worst so many as FEM answers them."""
    worst = sorted(range(len(found)), key=lambda place: -_badness(found[place]))[:count]
    answers = solve(_some(problem, worst), settings=SolverSettings(stored_steps=0)).histories
    told = dict(zip(worst, map(_of_solved, answers), strict=True))
    return tuple(told.get(place, history) for place, history in enumerate(found))


def _of_solved(answer: HistoryFields) -> ScreenedHistory:
    plastic = float(answer.scalars.peak_plastic_strain.max())
    return ScreenedHistory(
        answer.name,
        plastic if answer.collapse is None else np.inf,
        float(answer.scalars.peak_von_mises_pa.max()),
        answer.totals.permanent_set_m,
    )


def _badness(history: ScreenedHistory) -> float:
    return history.peak_plastic_strain


def _some(problem: Problem, places: Sequence[int]) -> Problem:
    return replace(problem, load_histories=tuple(problem.load_histories[place] for place in places))


def _at_tokens(problem: Problem, model: LoadedModel) -> tuple[ScreenedHistory, ...]:
    item = prepare(problem, model, lambda stage, done: None)
    read = item.at_tokens(read_tokens([item], model)[0].scalars)
    material, factors = problem.material, item.path.factors
    elastic = elastic_peaks(item.fields, factors)
    exact = np.maximum.accumulate(elastic, axis=1) <= material.yield_strength_pa
    plastic = read.plastic.amax(-1).double().numpy() * ~exact * material.yield_strength_pa / material.youngs_modulus_pa
    stress = np.where(exact, elastic, read.von_mises.amax(-1).double().numpy() * material.yield_strength_pa)
    permanent = read.permanent_set.double().numpy() * ~exact * item.reference
    return _screened(problem.load_histories, plastic, stress, permanent)


def _at_hottest(problem: Problem) -> tuple[ScreenedHistory, ...]:
    factors = pad_factors([history.factors for history in problem.load_histories])
    anchor = elastic_anchor(problem)
    fields, reduced = anchor_fields(anchor), reduced_anchor(anchor, factors, QUICK)
    peaks = peaks_at(anchor, factors, reduced)
    elastic = elastic_peaks(fields, factors)
    exact = np.maximum.accumulate(elastic, axis=1) <= problem.material.yield_strength_pa
    _, permanent = largest_displacements(fields, anchor_path(anchor, factors, reduced))
    stress = np.where(exact, elastic, peaks.von_mises)
    return _screened(problem.load_histories, peaks.plastic * ~exact, stress, permanent * ~exact)


def _screened(
    histories: tuple[LoadHistory, ...], plastic: FloatArray, stress: FloatArray, permanent: FloatArray
) -> tuple[ScreenedHistory, ...]:
    """What each history tells, of values at its steps [H, T]."""
    return tuple(
        ScreenedHistory(
            history.name,
            float(plastic[i, : len(history.factors)].max()),
            float(stress[i, : len(history.factors)].max()),
            float(permanent[i, len(history.factors) - 1]),
        )
        for i, history in enumerate(histories)
    )
