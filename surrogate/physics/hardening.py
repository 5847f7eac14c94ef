"""Isotropic hardening: how the yield stress rises with the accumulated equivalent plastic strain p.

Every law answers the same four questions: the rise, its slope, the plastic multiplier of a radial return (the scalar
equation of Simo and Hughes, Computational Inelasticity, box 3.1), and itself with all stresses scaled. The equation is
solved exactly: by formula, by inverse interpolation, or by Newton's method from the side where it is monotone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from surrogate.errors import MaterialError
from surrogate.fields import FloatArray

SQRT_2_3 = np.sqrt(2 / 3)

# Newton's method stops when what is left of the equation is this share of the excess; it then takes one step more.
_NEWTON_RESIDUAL = 1e-14
# Far more than it takes: the steps grow like an exponential where the curve is steep and are quadratic at the end.
_NEWTON_STEPS = 60


@dataclass(frozen=True)
class LinearHardening:
    """The yield stress rises in proportion to the plastic strain; zero is perfectly plastic.

    Attributes:
        modulus_pa: slope of yield stress over equivalent plastic strain, Pa, not negative.

    Raises:
        MaterialError: the modulus is negative or not finite.
    """

    modulus_pa: float

    def __post_init__(self) -> None:
        _check_not_negative("hardening modulus_pa", self.modulus_pa)

    def yield_stress_rise(self, equivalent: FloatArray) -> FloatArray:
        """Yield stress above the initial one at p [...], Pa [...]."""
        return self.modulus_pa * equivalent

    def slope(self, equivalent: FloatArray) -> FloatArray:
        """Slope of the yield stress at p [...], Pa [...]."""
        return np.full_like(equivalent, self.modulus_pa)

    def multiplier(self, excess: FloatArray, equivalent: FloatArray, shear_modulus_pa: float) -> FloatArray:
        """Plastic multiplier of a radial return.

        Args:
            excess: norm of the trial deviator above the radius of the yield surface, zero where elastic [...], Pa.
            equivalent: p before the step [...].
            shear_modulus_pa: G, Pa.
        """
        return excess / (2 * shear_modulus_pa + 2 / 3 * self.modulus_pa)

    def equivalent_after(
        self, trial_equivalent_stress: FloatArray, previous: FloatArray, shear_modulus: float, yield_strength: float
    ) -> FloatArray:
        """p after a step: see `_equivalent_after`."""
        return _equivalent_after(self, trial_equivalent_stress, previous, shear_modulus, yield_strength)

    def scaled(self, factor: float) -> "LinearHardening":
        """The law with every stress times a positive factor."""
        return LinearHardening(factor * self.modulus_pa)


@dataclass(frozen=True)
class VoceHardening:
    """The yield stress saturates: sigma_y = sigma_0 + saturation (1 - exp(-rate p)).

    Source: E. Voce, The relationship between stress and strain for homogeneous deformation, J. Inst. Metals 74 (1948).

    Attributes:
        saturation_pa: rise of the yield stress in the limit of large strain, Pa, not negative.
        rate: how fast it is reached, per unit of plastic strain, not negative.

    Raises:
        MaterialError: a constant is negative or not finite.
    """

    saturation_pa: float
    rate: float

    def __post_init__(self) -> None:
        _check_not_negative("Voce saturation_pa", self.saturation_pa)
        _check_not_negative("Voce rate", self.rate)

    def yield_stress_rise(self, equivalent: FloatArray) -> FloatArray:
        """Yield stress above the initial one at p [...], Pa [...]."""
        return -self.saturation_pa * np.expm1(-self.rate * equivalent)

    def slope(self, equivalent: FloatArray) -> FloatArray:
        """Slope of the yield stress at p [...], Pa [...]."""
        return self.saturation_pa * self.rate * np.exp(-self.rate * equivalent)

    def multiplier(self, excess: FloatArray, equivalent: FloatArray, shear_modulus_pa: float) -> FloatArray:
        """Plastic multiplier of a radial return.

        Args:
            excess: norm of the trial deviator above the radius of the yield surface, zero where elastic [...], Pa.
            equivalent: p before the step [...].
            shear_modulus_pa: G, Pa.
        """
        result = np.zeros_like(excess)
        yielding = excess > 0
        over = excess[yielding] / SQRT_2_3
        room = self.saturation_pa * np.exp(-self.rate * equivalent[yielding])
        result[yielding] = self._increment(over, room, 3 * shear_modulus_pa) / SQRT_2_3
        return result

    def _increment(self, over: FloatArray, room: FloatArray, stiffness: float) -> FloatArray:
        """The increment of p [Y] that solves stiffness d + room (1 - exp(-rate d)) = over.

        The left side is concave and rises, so that Newton's method from below stays below and converges.

        Args:
            over: trial von Mises stress above the yield stress [Y], Pa.
            room: what the yield stress can still rise [Y], Pa.
            stiffness: 3 G, Pa.
        """
        # Two bounds from below: the curve with its first slope, and the curve with all of its rise at once.
        increment = np.maximum(over / (stiffness + self.rate * room), (over - room) / stiffness)
        for _ in range(_NEWTON_STEPS):
            fallen = np.expm1(-self.rate * increment)
            left = over - stiffness * increment + room * fallen
            increment += left / (stiffness + self.rate * room * (1 + fallen))
            if (np.abs(left) <= _NEWTON_RESIDUAL * over).all():
                break
        return increment

    def equivalent_after(
        self, trial_equivalent_stress: FloatArray, previous: FloatArray, shear_modulus: float, yield_strength: float
    ) -> FloatArray:
        """p after a step: see `_equivalent_after`."""
        return _equivalent_after(self, trial_equivalent_stress, previous, shear_modulus, yield_strength)

    def scaled(self, factor: float) -> "VoceHardening":
        """The law with every stress times a positive factor."""
        return VoceHardening(factor * self.saturation_pa, self.rate)


@dataclass(frozen=True)
class TabulatedHardening:
    """The yield stress follows a table, straight between its rows and constant beyond the last.

    Attributes:
        points: rows of (equivalent plastic strain, yield stress in Pa). The first strain is 0 and its stress the yield
            strength; strains increase, stresses never fall.

    Raises:
        MaterialError: the rows are not of that kind; the message names the row.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _check_table(self.points)

    def yield_stress_rise(self, equivalent: FloatArray) -> FloatArray:
        """Yield stress above the initial one at p [...], Pa [...]."""
        strains, rises = self._columns()
        return np.interp(equivalent, strains, rises)

    def slope(self, equivalent: FloatArray) -> FloatArray:
        """Slope of the yield stress at p [...], Pa [...]; at a row that of the piece that begins there."""
        strains, rises = self._columns()
        slopes = np.append(np.diff(rises) / np.diff(strains), 0.0)
        return slopes[np.searchsorted(strains, equivalent, side="right") - 1]

    def multiplier(self, excess: FloatArray, equivalent: FloatArray, shear_modulus_pa: float) -> FloatArray:
        """Plastic multiplier of a radial return.

        Args:
            excess: norm of the trial deviator above the radius of the yield surface, zero where elastic [...], Pa.
            equivalent: p before the step [...].
            shear_modulus_pa: G, Pa.
        """
        result = np.zeros_like(excess)
        yielding = excess > 0
        over, before, stiffness = excess[yielding] / SQRT_2_3, equivalent[yielding], 3 * shear_modulus_pa
        strains, rises = self._columns()
        # 3 G p + rise(p) rises strictly and is straight between the rows, so its inverse is one interpolation.
        wanted = over + stiffness * before + np.interp(before, strains, rises)
        rows = stiffness * strains + rises
        after = np.interp(wanted, rows, strains) + np.maximum(wanted - rows[-1], 0.0) / stiffness
        result[yielding] = np.maximum(after - before, 0.0) / SQRT_2_3
        return result

    def equivalent_after(
        self, trial_equivalent_stress: FloatArray, previous: FloatArray, shear_modulus: float, yield_strength: float
    ) -> FloatArray:
        """p after a step: see `_equivalent_after`."""
        return _equivalent_after(self, trial_equivalent_stress, previous, shear_modulus, yield_strength)

    def scaled(self, factor: float) -> "TabulatedHardening":
        """The law with every stress times a positive factor."""
        return TabulatedHardening(tuple((strain, factor * stress) for strain, stress in self.points))

    def _columns(self) -> tuple[FloatArray, FloatArray]:
        """Strains [R] and rises above the first stress [R]."""
        strains, stresses = np.array(self.points, dtype=float).T
        return strains, stresses - stresses[0]


Hardening = LinearHardening | VoceHardening | TabulatedHardening


def _equivalent_after(
    law: Hardening, trial: FloatArray, previous: FloatArray, shear_modulus: float, yield_strength: float
) -> FloatArray:
    """The p that solves 3 G p + sigma_y(p) = trial + 3 G p_previous, or p_previous where the trial is elastic.

    Args:
        law: the law.
        trial: trial von Mises stress [...], Pa.
        previous: p before the step [...].
        shear_modulus: G, Pa.
        yield_strength: initial yield stress, Pa.
    """
    excess = np.maximum(SQRT_2_3 * (trial - yield_strength - law.yield_stress_rise(previous)), 0.0)
    return previous + SQRT_2_3 * law.multiplier(excess, previous, shear_modulus)


def _check_not_negative(name: str, value: float) -> None:
    if not 0 <= value < inf:
        raise MaterialError(f"{name} = {value:g}: softening is not modelled; give zero or a positive finite number")


def _check_table(points: Sequence[tuple[float, float]]) -> None:
    if len(points) < 2:
        raise MaterialError(f"a hardening table of {len(points)} rows; give two or more rows (plastic strain, stress)")
    if not np.isfinite(np.array(points, dtype=float)).all():
        raise MaterialError("a hardening table with a number that is not finite; correct it or leave that row out")
    if points[0][0] != 0:
        raise MaterialError(
            f"the hardening table begins at plastic strain {points[0][0]:g}; begin with 0 and the yield strength"
        )
    for row, ((strain, stress), (next_strain, next_stress)) in enumerate(pairwise(points), start=2):
        if not next_strain > strain:
            raise MaterialError(
                f"hardening table, row {row}: plastic strain {next_strain:g} after {strain:g}; sort the rows by strain"
            )
        if not next_stress >= stress:
            raise MaterialError(
                f"hardening table, row {row}: stress {next_stress:g} Pa after {stress:g} Pa; softening is not "
                "modelled, end the table at its largest stress"
            )
