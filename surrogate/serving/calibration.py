"""90 % intervals by split conformal prediction on parts that were never trained on.

The score of a scalar is |log((true + floor) / (predicted + floor))|; its conformal quantile makes an interval around
any prediction. Quantiles are kept apart by how far the decoded states are out of balance once their stress is brought
back to yield (Mondrian bins): that needs no label and tells how wrong an answer is. Source: Angelopoulos and Bates, A
gentle introduction to conformal prediction, sections 1 and 4.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from surrogate.fields import BoolArray, FloatArray, HistoryFields, HistoryScalars, StepScalars
from surrogate.physics.materials import Material

LEVEL = 0.9
# The bins' edges are these quantiles of the imbalance of the histories that yield: finer where answers are worse.
_EDGE_QUANTILES = (0.2, 0.4, 0.6, 0.75, 0.9)
# A bin of fewer scores takes the quantile of all.
_ENOUGH = 30
STEP_SCALARS = (
    "peak_von_mises_pa",
    "p999_von_mises_pa",
    "max_displacement_m",
    "peak_plastic_strain",
    "yielded_volume_fraction",
)
# A score below this is that of an exact step: round-off of the direct solves.
_EXACT = 1e-8
TOTALS = ("safety_factor_ultimate", "permanent_set_m", "max_residual_von_mises_pa")


@dataclass(frozen=True)
class Floors:
    """What counts as zero of each kind of scalar, so that ratios of tiny numbers do not rule."""

    stress_pa: float
    displacement_m: float
    strain: float

    def of(self, name: str) -> float:
        """The floor of a scalar."""
        if name.endswith("_pa"):
            return self.stress_pa
        if name.endswith("_m"):
            return self.displacement_m
        if name == "peak_plastic_strain":
            return self.strain
        return 0.01


def floors(material: Material, elastic_displacement_m: float) -> Floors:
    """Floors of a problem: 2 % of yield, 0.5 % of the largest elastic displacement, 10 % of the yield strain."""
    yield_strain = material.yield_strength_pa / material.youngs_modulus_pa
    return Floors(0.02 * material.yield_strength_pa, 0.005 * elastic_displacement_m, 0.1 * yield_strain)


@dataclass(frozen=True)
class Calibration:
    """Conformal quantiles of the log ratio.

    Attributes:
        edges: between the bins, in imbalance (see `imbalance_of`).
        decoded: of each scalar in each bin, for steps whose fields are decoded.
        read: of each step scalar in each bin, for steps read from the tokens.
    """

    edges: tuple[float, ...]
    decoded: Mapping[str, tuple[float, ...]]
    read: Mapping[str, tuple[float, ...]]

    def place(self, history: HistoryFields) -> int:
        """The bin of a predicted history."""
        return int(np.searchsorted(self.edges, imbalance_of(history)))

    def as_json(self) -> dict[str, object]:
        """Plain numbers for the model's description."""
        return {
            "edges": list(self.edges),
            "decoded": {name: list(q) for name, q in self.decoded.items()},
            "read": {name: list(q) for name, q in self.read.items()},
        }

    @staticmethod
    def from_json(values: Mapping[str, object]) -> "Calibration":
        """The inverse of `as_json`."""

        def table(name: str) -> dict[str, tuple[float, ...]]:
            held = values[name]
            assert isinstance(held, dict)
            return {key: tuple(map(float, quantiles)) for key, quantiles in held.items()}

        edges = values["edges"]
        assert isinstance(edges, list)
        return Calibration(tuple(map(float, edges)), table("decoded"), table("read"))


def log_ratio(true: FloatArray, predicted: FloatArray, floor: float) -> FloatArray:
    """The conformal score."""
    return np.abs(np.log((true + floor) / (predicted + floor)))


def conformal_quantile(scores: FloatArray) -> float:
    """The quantile that covers a further score with probability LEVEL."""
    if not len(scores):
        return 2.0
    level = min(1.0, np.ceil((len(scores) + 1) * LEVEL) / len(scores))
    return float(np.quantile(scores, level, method="higher"))


def imbalance_of(history: HistoryFields) -> float:
    """Largest imbalance of a history's decoded states over its largest applied force."""
    return float(history.scalars.equilibrium_residual[history.steps].max())


def with_intervals(
    history: HistoryFields, calibration: Calibration, bounds: Floors, exact_steps: BoolArray
) -> HistoryFields:
    """The history with 90 % intervals; what is exact gets none.

    Args:
        history: predicted.
        calibration: the model's.
        bounds: floors of the problem.
        exact_steps: whether each step is exactly elastic [T].
    """
    place = calibration.place(history)
    stored = np.isin(np.arange(len(history.factors)), history.steps)
    low, high = {}, {}
    for name in STEP_SCALARS:
        value = getattr(history.scalars, name)
        width = np.where(stored, calibration.decoded[name][place], calibration.read[name][place])
        width = np.where(exact_steps, 0.0, width)
        low[name], high[name] = _interval(value, width, bounds.of(name))
    # More than the whole volume cannot yield.
    high["yielded_volume_fraction"] = np.minimum(high["yielded_volume_fraction"], 1.0)
    totals_low, totals_high = {}, {}
    for name in TOTALS:
        value = np.array(getattr(history.totals, name))
        width = np.array(0.0 if exact_steps.all() else calibration.decoded[name][place])
        ends = _interval(value, width, bounds.of(name))
        totals_low[name], totals_high[name] = float(ends[0]), float(ends[1])
    return replace(
        history,
        scalars_low=replace(history.scalars, **low),
        scalars_high=replace(history.scalars, **high),
        totals_low=replace(history.totals, **totals_low),
        totals_high=replace(history.totals, **totals_high),
    )


def _interval(value: FloatArray, width: FloatArray, floor: float) -> tuple[FloatArray, FloatArray]:
    # An infinite safety factor has no width.
    shifted = np.where(width > 0, value + floor, 0.0)
    # By what the value is moved, so that no width moves it by nothing, to the last digit.
    low = np.maximum(value + shifted * np.expm1(-width), 0.0)
    return np.minimum(low, value), np.maximum(value + shifted * np.expm1(width), value)


def fit_calibration(scores: Mapping[str, Mapping[str, list[tuple[float, float]]]]) -> Calibration:
    """Quantiles from scores.

    Args:
        scores: for "decoded" and "read", of each scalar the (imbalance, score) pairs.
    """
    seen = [pair for pairs in scores["decoded"].values() for pair in pairs if pair[1] > _EXACT]
    imbalances = np.unique([imbalance for imbalance, _ in seen])
    edges = tuple(np.quantile(imbalances, _EDGE_QUANTILES).tolist()) if len(imbalances) else ()

    def table(entries: Mapping[str, list[tuple[float, float]]]) -> dict[str, tuple[float, ...]]:
        return {name: _by_bin(pairs, edges) for name, pairs in entries.items()}

    return Calibration(edges, table(scores["decoded"]), table(scores["read"]))


def _by_bin(pairs: list[tuple[float, float]], edges: tuple[float, ...]) -> tuple[float, ...]:
    """Quantile of each bin; a bin of too few scores takes that of all.

    Exact steps get no interval, so they have no say in how wide the interval of the others must be.
    """
    pairs = [pair for pair in pairs if pair[1] > _EXACT]
    bins = np.searchsorted(edges, [imbalance for imbalance, _ in pairs])
    values = np.array([score for _, score in pairs])
    everything = conformal_quantile(values)
    chosen = [values[bins == place] for place in range(len(edges) + 1)]
    return tuple(conformal_quantile(v) if len(v) >= _ENOUGH else everything for v in chosen)


def history_scores(
    predicted: HistoryFields, true_steps: StepScalars, true_totals: HistoryScalars, bounds: Floors
) -> dict[str, FloatArray]:
    """Scores of every scalar of a history: [T] for step scalars, [1] for totals."""
    found = {}
    for name in STEP_SCALARS:
        found[name] = log_ratio(getattr(true_steps, name), getattr(predicted.scalars, name), bounds.of(name))
    for name in TOTALS:
        true, value = np.array([getattr(true_totals, name)]), np.array([getattr(predicted.totals, name)])
        found[name] = log_ratio(true, value, bounds.of(name))
    return found
