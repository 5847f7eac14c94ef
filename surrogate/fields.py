"""What a result is: the fields that both `solve` and `predict` return.

Shape letters: N points, C cells, Q = 4 quadrature points a cell, T steps, S stored steps, K load cases.
Units are SI. Symmetric tensors are stored as xx yy zz xy yz zx; stress holds the shear components, strain holds
the *engineering* shear (twice the tensor component), so that stress : strain is a plain dot product.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
Method = Literal["surrogate", "refined", "coarse", "solved"]


@dataclass(frozen=True)
class StepScalars:
    """Scalars of one history at each of its T steps.

    Attributes:
        peak_von_mises_pa: largest von Mises stress over the quadrature points [T], Pa.
        p999_von_mises_pa: volume-weighted 99.9 percentile of the von Mises stress [T], Pa.
        peak_at_m: where the peak von Mises stress sits [T, 3], m.
        max_displacement_m: largest displacement magnitude over the points [T], m.
        peak_plastic_strain: largest equivalent plastic strain [T], 1.
        yielded_volume_fraction: share of the volume with equivalent plastic strain above zero [T], 1.
        equilibrium_residual: norm of the nodal force imbalance after a return map of the answer's own strain,
            over the norm of the applied nodal forces at full load [T], 1; zero where the answer is in equilibrium.
    """

    peak_von_mises_pa: FloatArray
    p999_von_mises_pa: FloatArray
    peak_at_m: FloatArray
    max_displacement_m: FloatArray
    peak_plastic_strain: FloatArray
    yielded_volume_fraction: FloatArray
    equilibrium_residual: FloatArray


@dataclass(frozen=True)
class HistoryScalars:
    """Scalars of one history as a whole.

    Attributes:
        safety_factor_yield: factor on the whole history at which the first quadrature point yields, 1.
        safety_factor_ultimate: ultimate strength over the largest von Mises stress of the history, 1.
        permanent_set_m: largest displacement magnitude after elastic unloading from the last step, m.
        max_residual_von_mises_pa: largest von Mises stress after elastic unloading from the last step, Pa.
    """

    safety_factor_yield: float
    safety_factor_ultimate: float
    permanent_set_m: float
    max_residual_von_mises_pa: float


@dataclass(frozen=True)
class Collapse:
    """Where the plastic collapse was met.

    The history's arrays end with the last state in equilibrium. Where a share of the step was carried, and always in
    the first step, that state is an entry of its own at index `step`, with the load factors `factors`; else the arrays
    end at the step before. So there is at least one entry.

    Attributes:
        step: index of the step during which it was met.
        fraction: share of that step's load increment that was still carried, in [0, 1), from below.
        reason: the limit that was passed, in words.
        factors: load factor of each case in the last state that was carried [K].
        load_factor: norm of the nodal forces in that state over the largest of the history as asked, 1.
    """

    step: int
    fraction: float
    reason: str
    factors: tuple[float, ...]
    load_factor: float


@dataclass(frozen=True)
class StepBalance:
    """Checks of a solved history that use neither the solver's residual nor its tolerance; T steps.

    Sums over the increments are by the trapezoidal rule, which is exact for states in equilibrium at both ends of an
    increment (virtual work), so what does not close is an error of the solution.

    Attributes:
        external_work_j: work of the applied forces since the virgin part [T], J.
        elastic_energy_j: elastic energy stored [T], J.
        plastic_work_j: work spent in plastic flow since the virgin part [T], J.
        energy_imbalance: what is left of work less energy less plastic work, over the largest sum of their sizes up to
            the end of the history [T], 1.
        reaction_imbalance: what the support forces leave of the total applied force and of its moment about the part's
            middle, the larger of the two, over the size of the forces and of their moments [T], 1.
    """

    external_work_j: FloatArray
    elastic_energy_j: FloatArray
    plastic_work_j: FloatArray
    energy_imbalance: FloatArray
    reaction_imbalance: FloatArray


@dataclass(frozen=True)
class HistoryFields:
    """The answer for one load history; T counts the states reached (fewer than asked after a collapse).

    Attributes:
        name: name of the load history.
        factors: load factor of each case at each step [T, K].
        steps: indices of the steps whose fields are stored, ascending, the last step included [S].
        displacement: [S, N, 3], m.
        stress: Cauchy stress at the quadrature points [S, C, Q, 6], Pa, order xx yy zz xy yz zx.
        plastic_strain: [S, C, Q, 6], 1, engineering shear.
        equivalent_plastic_strain: accumulated equivalent plastic strain [S, C, Q], 1.
        scalars: scalars at every step.
        totals: scalars of the whole history.
        scalars_low: lower end of the 90 % interval of each scalar, None for a solved answer.
        scalars_high: upper end of the 90 % interval.
        totals_low: lower end of the 90 % interval of each whole-history scalar.
        totals_high: upper end.
        collapse: where plastic collapse stopped the history, or None.
        balance: energy and reaction balance at every step, None for a predicted answer.
    """

    name: str
    factors: FloatArray
    steps: IntArray
    displacement: FloatArray
    stress: FloatArray
    plastic_strain: FloatArray
    equivalent_plastic_strain: FloatArray
    scalars: StepScalars
    totals: HistoryScalars
    scalars_low: StepScalars | None = None
    scalars_high: StepScalars | None = None
    totals_low: HistoryScalars | None = None
    totals_high: HistoryScalars | None = None
    collapse: Collapse | None = None
    balance: StepBalance | None = None


@dataclass(frozen=True)
class DomainVerdict:
    """Whether the model should be believed here.

    Attributes:
        score: distance from the training parts; 1 is the edge of the domain, smaller is inside.
        inside: whether the problem lies inside the training domain.
        reason: the feature that decides, in words.
    """

    score: float
    inside: bool
    reason: str


@dataclass(frozen=True)
class ModelIdentity:
    """Which model answered."""

    name: str
    version: str


@dataclass(frozen=True)
class Fields:
    """The answer to a problem, from either `solve` or `predict`.

    Attributes:
        method: how it was found.
        histories: one entry a load history, in the problem's order.
        quadrature_volume: volume that each quadrature point stands for [C, Q], m^3.
        timings_s: seconds by stage (mesh, anchor, encode, rollout, decode, equilibrium, solve, total), where spent.
        warnings: sentences that the reader must see.
        domain: verdict of the model's domain check, None for a solved answer.
        model: the model that answered, None for a solved answer.
    """

    method: Method
    histories: tuple[HistoryFields, ...]
    quadrature_volume: FloatArray
    timings_s: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    domain: DomainVerdict | None = None
    model: ModelIdentity | None = None
