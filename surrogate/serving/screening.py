"""Histories ranked by what the tokens and the hottest points tell of them; no field is decoded.

Shape letters: H histories, T steps.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.physics.problem import Problem
from surrogate.serving.answer import elastic_peaks
from surrogate.serving.prepared import loaded_model, prepare
from surrogate.serving.token_reading import read_tokens


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


def screen(problem: Problem, *, device: str = "auto", model: str | None = None) -> tuple[ScreenedHistory, ...]:
    """Read every history's peaks straight from tokens and hottest points, to rank them before any is decoded.

    Raises:
        RigidBodyError: the supports leave a rigid motion free.
        CheckpointError: no such model.
    """
    loaded = loaded_model(model, device)
    item = prepare(problem, loaded, lambda stage, done: None)
    read = item.at_tokens(read_tokens([item], loaded)[0].scalars)
    material, factors = problem.material, item.path.factors
    elastic = elastic_peaks(item.fields, factors)
    exact = np.maximum.accumulate(elastic, axis=1) <= material.yield_strength_pa
    plastic = read.plastic.amax(-1).double().numpy() * ~exact * material.yield_strength_pa / material.youngs_modulus_pa
    stress = np.where(exact, elastic, read.von_mises.amax(-1).double().numpy() * material.yield_strength_pa)
    permanent = read.permanent_set.double().numpy() * ~exact * item.reference
    return tuple(
        ScreenedHistory(
            history.name,
            float(plastic[i, : len(history.factors)].max()),
            float(stress[i, : len(history.factors)].max()),
            float(permanent[i, len(history.factors) - 1]),
        )
        for i, history in enumerate(problem.load_histories)
    )
