"""Whether a problem looks like what the model was trained on.

Each problem is a point of a few dimensionless features. The score is the largest distance from the middle of the
training range over its half width, so 1 is the edge of the domain; the feature that decides is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from surrogate.fields import DomainVerdict, FloatArray
from surrogate.model.graph import PartGraph

FEATURES = (
    "largest elastic stress over yield",
    "share of the volume that may yield",
    "hardening over Young's modulus",
    "yield strain",
    "Poisson's ratio",
    "mesh fineness (cells)",
    "stockiness (volume over cube of the radius of gyration)",
    "largest predicted plastic strain over yield strain",
    "yield violation after equilibrium",
)
# A little outside of the range of the training parts is still interpolation between families.
_TOLERANCE = 1.1


@dataclass(frozen=True)
class Domain:
    """Range of the training problems.

    Attributes:
        low: lower end of each feature.
        high: upper end of each feature.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def verdict(self, features: FloatArray) -> DomainVerdict:
        """Judge a problem by its features, in the order of FEATURES."""
        low, high = np.array(self.low), np.array(self.high)
        half = np.maximum(0.5 * (high - low), 1e-6)
        scores = np.abs(features - 0.5 * (low + high)) / half
        # Less load than in training is easier, not stranger: only the upper end counts for these.
        for one_sided in (0, 1, 7, 8):
            if features[one_sided] < high[one_sided]:
                scores[one_sided] = min(scores[one_sided], 1.0)
        worst = int(scores.argmax())
        score = float(scores[worst])
        if score <= _TOLERANCE:
            return DomainVerdict(score, True, "all features within the range of the training parts")
        side = "above" if features[worst] > high[worst] else "below"
        return DomainVerdict(score, False, f"{FEATURES[worst]} is {side} the range of the training parts")

    def as_json(self) -> dict[str, list[float]]:
        """Plain numbers for the model's description."""
        return {"low": list(self.low), "high": list(self.high)}

    @staticmethod
    def from_json(values: Mapping[str, object]) -> "Domain":
        """The inverse of `as_json`."""
        low, high = values["low"], values["high"]
        assert isinstance(low, list) and isinstance(high, list)
        return Domain(tuple(map(float, low)), tuple(map(float, high)))


def domain_features(graph: PartGraph, stockiness: float, largest_plastic: float, violation: float) -> FloatArray:
    """Features of a problem in the order of FEATURES, logarithmic where they span decades.

    Args:
        graph: the part.
        stockiness: volume over the cube of the radius of gyration.
        largest_plastic: largest predicted equivalent plastic strain, in yield strains.
        violation: largest equilibrium residual of the decoded states.
    """
    cells = len(graph.cell_features)
    material = graph.material.cpu().numpy()
    return np.array(
        [
            np.log10(max(float(graph.cell_features[:, 1].max()), 0.1)),
            len(graph.active) / cells,
            np.log10(material[0] + 1e-4),
            float(material[1]),
            float(material[2]),
            np.log10(cells),
            np.log10(stockiness),
            np.log10(largest_plastic + 0.1),
            np.log10(violation + 1e-3),
        ]
    )


def fit_domain(features: FloatArray) -> Domain:
    """Range of some problems [S, features]: all but the outermost half per cent on either side."""
    low, high = np.quantile(features, [0.005, 0.995], axis=0)
    return Domain(tuple(low.tolist()), tuple(high.tolist()))
