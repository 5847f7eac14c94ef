"""Histories ranked by what the tokens and the hottest points tell of them; no field is decoded.

Of many histories the worst are read once more with few others.

Shape letters: H histories, T steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from surrogate.fields import FloatArray
from surrogate.model.anchor_path import anchor_fields, anchor_path, pad_factors
from surrogate.model.anchor_state import largest_displacements
from surrogate.physics.elastic import elastic_anchor
from surrogate.physics.hottest import peaks_at
from surrogate.physics.problem import LoadHistory, Problem
from surrogate.physics.reduced import reduced_anchor
from surrogate.physics.reduced_span import CrowdSettings, ReducedSettings
from surrogate.physics.tangent_modes import CorrectionSettings
from surrogate.serving.answer import elastic_peaks
from surrogate.serving.prepared import LoadedModel, loaded_model, prepare
from surrogate.serving.token_reading import read_tokens
from surrogate.serving.worst_again import is_crowd, worst_again

# Three rounds of the elastic displacement of plastic strain; none of the worst is corrected at all points.
QUICK = ReducedSettings(crowd=CrowdSettings(modes=12, correction=CorrectionSettings(iterations=0)), worst=0)
# The worst, which are asked again, go on until a round moves them by no more than 1 %.
WORST = ReducedSettings(tolerance=0.01, further=8)


@dataclass(frozen=True)
class ScreenedHistory:
    """What the tokens tell of a history; no field is decoded for it.

    Attributes:
        name: of the history.
        peak_plastic_strain: largest equivalent plastic strain.
        peak_von_mises_pa: largest von Mises stress.
        permanent_set_m: largest displacement that stays after unloading.
    """

    name: str
    peak_plastic_strain: float
    peak_von_mises_pa: float
    permanent_set_m: float


def screen(
    problem: Problem, *, quick: bool = False, device: str = "auto", model: str | None = None
) -> tuple[ScreenedHistory, ...]:
    """Read every history's peaks straight from tokens and hottest points, to rank them before any is decoded.

    Args:
        problem: a part with its histories.
        quick: three rounds of modes for many histories, none of the worst asked again and no network: several times
            faster and some per cent further off (docs/results.md).
        device: "auto", "cpu" or "cuda".
        model: name of a shipped model or a model's folder; None for the newest shipped one.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        CheckpointError: no such model.
    """
    if quick:
        return _at_hottest(problem)
    loaded = loaded_model(model, device)
    found = _at_tokens(problem, loaded)
    if not is_crowd(len(found)):
        return found

    def ask(few: Sequence[int]) -> tuple[ScreenedHistory, ...]:
        asked = replace(problem, load_histories=tuple(problem.load_histories[i] for i in few))
        return _at_tokens(asked, loaded, WORST)

    return worst_again(found, lambda history: history.peak_plastic_strain, ask)


def _at_tokens(
    problem: Problem, model: LoadedModel, settings: ReducedSettings | None = None
) -> tuple[ScreenedHistory, ...]:
    item = prepare(problem, model, lambda stage, done: None, settings)
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
