"""What is read of a history before anything is solved: where it turns, which points it heats, and the rules at those.

Shape letters: H histories, T steps, W turning points, K load cases, P quadrature points, Y hottest points.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from front_problem import YIELDS

from surrogate.data.dataset import open_dataset
from surrogate.fields import FloatArray, IntArray
from surrogate.model.anchor_path import elastic_von_mises, elastic_von_mises_squares
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.materials import Material
from surrogate.physics.plasticity import elastic_strain
from surrogate.physics.problem import LoadHistory
from surrogate.training.notch_rules import NOTCH_RULES, NotchRule

# States whose stress at all points exists at a time, over the points.
_TOGETHER = 4_000_000
HOTTEST = 4


def jumping(factors: FloatArray) -> list[FloatArray]:
    """The factors of each history [H, T, K] at its turning points alone, each [W, K]."""
    return [LoadHistory("", history).turning_points().factors for history in factors]


def padded(histories: Sequence[FloatArray]) -> FloatArray:
    """Histories of unequal length as one array; the last factors are repeated, which is no further action."""
    longest = max(map(len, histories))
    return np.stack([np.concatenate([h, np.repeat(h[-1:], longest - len(h), axis=0)]) for h in histories])


def hottest_points(stress: FloatArray, turned: FloatArray, count: int = HOTTEST) -> IntArray:
    """The points [Y] of the `count` largest elastic von Mises stresses in any of the states [H, W, K] of a part.

    Args:
        stress: of each load case [6, P, K], Pa.
        turned: factors [H, W, K].
        count: points of each state.
    """
    form, states = elastic_von_mises_squares(stress), turned.reshape(-1, turned.shape[-1])
    states = states / np.maximum(np.abs(states).max(axis=1, keepdims=True), 1e-300)
    states = np.unique(states.round(6), axis=0)
    found: list[IntArray] = []
    for chunk in np.array_split(states, max(1, len(states) * form.shape[1] // _TOGETHER)):
        level = elastic_von_mises(form, chunk)
        found.append(np.unique(np.argpartition(level, -count, axis=1)[:, -count:]))
    return np.unique(np.concatenate(found))


def local_peak(stress: FloatArray, factors: FloatArray, material: Material) -> FloatArray:
    """Largest equivalent plastic strain [H] of the local anchor at the end of histories [H, W, K].

    Args:
        stress: elastic stress of each load case [6, Y, K], Pa.
        factors: [H, W, K].
        material: the law.
    """
    peak = np.zeros(len(factors))
    for state in deviatoric_path(elastic_strain(stress, material), factors, material):
        peak = state.equivalent.max(axis=1)
    return peak


def notch_peak(rule: NotchRule, stress: FloatArray, factors: FloatArray, material: Material) -> FloatArray:
    """Plastic strain [H] by Neuber's or Glinka's rule from the largest elastic stress; arguments as in `local_peak`."""
    form = elastic_von_mises_squares(stress)
    level = elastic_von_mises(form, factors.reshape(-1, factors.shape[-1]))
    return rule(level.max(axis=1).reshape(len(factors), -1).max(axis=1), material)


RULES: dict[str, Callable[[FloatArray, FloatArray, Material], FloatArray]] = {
    "local": local_peak,
    **{name: partial(notch_peak, rule) for name, rule in NOTCH_RULES.items()},
}


def fitted_factors(campaign: Path, parts: int) -> dict[str, float]:
    """The factor on each law's peak plastic strain with the smallest median error over some training parts.

    Args:
        campaign: directory of simulations.
        parts: how many, evenly spaced over its training split.
    """
    entries, true = open_dataset(campaign).split("train"), []
    told: dict[str, list[FloatArray]] = {rule: [] for rule in RULES}
    for position in np.linspace(0, len(entries) - 1, parts).astype(int).tolist():
        simulation = entries[position]
        stress = simulation.elastic_stress.reshape(len(simulation.elastic_stress), -1, 6).transpose(2, 1, 0)
        turned = padded(jumping(padded([history.factors for history in simulation.problem.load_histories])))
        hottest = stress[:, hottest_points(stress.astype(np.float64), turned)].astype(np.float64)
        true.append(simulation.scalars.peak_plastic_strain.max(axis=1))
        for rule, law in RULES.items():
            told[rule].append(law(hottest, turned, simulation.problem.material))
    return {rule: best_factor(np.concatenate(true), np.concatenate(found)) for rule, found in told.items()}


def best_factor(true: FloatArray, told: FloatArray) -> float:
    """The factor with the smallest median of |factor * told - true| / true over the histories that yield."""
    yields = true > YIELDS
    ratio = told[yields] / true[yields]
    candidates = np.linspace(0.2, 3.0, 281)
    return float(candidates[np.median(np.abs(candidates[:, None] * ratio - 1), axis=1).argmin()])
