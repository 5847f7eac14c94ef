"""How far one answer is from another: relative norms, volume-weighted over the quadrature points.

Shape letters: N points, C cells, Q quadrature points a cell.
"""

import math
from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, HistoryFields, IntArray
from surrogate.physics.invariants import to_first, von_mises
from surrogate.physics.peak import peak_step
from surrogate.physics.tet_element import QUADRATURE_BARYCENTRIC, shape_functions

# A field this small against its largest value in the history is round-off (an elastic part after unloading) and
# counts as zero. Direct solves leave 1e-12 to 1e-10.
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class StepDifference:
    """Relative differences of two answers at one step, 1; infinite where only the reference vanishes.

    Attributes:
        step: index of the compared step.
        stress_rel_l2: of the stress tensor.
        von_mises_rel_l2: of the von Mises stress.
        displacement_rel_l2: of the displacement.
        plastic_strain_rel_l2: of the plastic strain tensor.
        peak_von_mises_rel: magnitude, of the largest von Mises stress.
        p999_von_mises_rel: magnitude, of the 99.9 percentile of the von Mises stress.
    """

    step: int
    stress_rel_l2: float
    von_mises_rel_l2: float
    displacement_rel_l2: float
    plastic_strain_rel_l2: float
    peak_von_mises_rel: float
    p999_von_mises_rel: float


@dataclass(frozen=True)
class HistoryDifference:
    """Differences of two answers for one history.

    Attributes:
        peak: at the reference's peak step, or at the nearest step that both answers store.
        last: at the last step that both store.
        permanent_set_rel: magnitude, of the permanent set.
    """

    peak: StepDifference
    last: StepDifference
    permanent_set_rel: float


def relative_l2(field: FloatArray, reference: FloatArray, weight: FloatArray, *, floor: float = 0.0) -> float:
    """sqrt(sum w |a - b|^2 / sum w |b|^2); 0 where both vanish, infinite where only the reference does.

    Args:
        field: [..., d] with the weight's leading shape, or that shape alone.
        reference: same shape.
        weight: volumes, m^3.
        floor: root-mean-square magnitude up to which a field counts as vanishing, in the field's unit.
    """
    total = float(weight.sum())
    scale = _square(reference, weight)
    if math.sqrt(scale / total) <= floor:
        return 0.0 if math.sqrt(_square(field, weight) / total) <= floor else math.inf
    return math.sqrt(_square(field - reference, weight) / scale)


def relative_magnitude(value: float, reference: float, *, floor: float = 0.0) -> float:
    """|a - b| / |b|; 0 where both are within the floor, infinite where only the reference is."""
    if abs(reference) <= floor:
        return 0.0 if abs(value) <= floor else math.inf
    return abs(value - reference) / abs(reference)


def history_difference(
    history: HistoryFields, reference: HistoryFields, quadrature_volume: FloatArray, cells: IntArray
) -> HistoryDifference | None:
    """Differences of two answers for the same history.

    Args:
        history: the answer that is judged.
        reference: the answer it is held against.
        quadrature_volume: [C, Q], m^3.
        cells: [C, 10].

    Returns:
        None where the answers share no stored step (one of them ended early by collapse). The state in which a
        history collapsed, within its step, is shared only by an answer that ends there too; where the last states
        differ so does what is left after unloading, and the difference of the permanent set is infinite.
    """
    stored = np.intersect1d(history.steps, reference.steps)
    same = [np.allclose(history.factors[step], reference.factors[step], rtol=1e-9, atol=0.0) for step in stored]
    common = stored[np.array(same, dtype=bool)]
    if common.size == 0:
        return None
    wanted = peak_step(reference.scalars)
    peak = int(common[np.argmin(np.abs(common - wanted))])
    floor = ROUND_OFF * float(reference.scalars.max_displacement_m.max())
    last = int(common[-1])
    ends_alike = last == len(history.factors) - 1 == len(reference.factors) - 1
    at_peak = _step_difference(history, reference, peak, quadrature_volume, cells)
    return HistoryDifference(
        at_peak,
        at_peak if last == peak else _step_difference(history, reference, last, quadrature_volume, cells),
        relative_magnitude(history.totals.permanent_set_m, reference.totals.permanent_set_m, floor=floor)
        if ends_alike
        else math.inf,
    )


def stored_index(history: HistoryFields, step: int) -> int:
    """Index into the stored steps of the one nearest to a step."""
    return int(np.argmin(np.abs(history.steps - step)))


def _square(field: FloatArray, weight: FloatArray) -> float:
    squared = field * field
    return float(np.sum(weight * (squared.sum(axis=-1) if field.ndim > weight.ndim else squared)))


def _at_quadrature(displacement: FloatArray, cells: IntArray) -> FloatArray:
    shape = shape_functions(QUADRATURE_BARYCENTRIC)  # [Q, 10]
    return np.asarray(np.einsum("qa,cai->cqi", shape, displacement[cells], optimize=True))


def _step_difference(
    history: HistoryFields, reference: HistoryFields, step: int, volume: FloatArray, cells: IntArray
) -> StepDifference:
    mine, theirs = stored_index(history, step), stored_index(reference, step)
    stress_floor = ROUND_OFF * float(reference.scalars.peak_von_mises_pa.max())
    displacement_floor = ROUND_OFF * float(reference.scalars.max_displacement_m.max())
    stress, true_stress = history.stress[mine], reference.stress[theirs]
    shape = volume.shape
    return StepDifference(
        step=step,
        stress_rel_l2=relative_l2(stress, true_stress, volume, floor=stress_floor),
        von_mises_rel_l2=relative_l2(
            von_mises(to_first(stress)).reshape(shape),
            von_mises(to_first(true_stress)).reshape(shape),
            volume,
            floor=stress_floor,
        ),
        displacement_rel_l2=relative_l2(
            _at_quadrature(history.displacement[mine], cells),
            _at_quadrature(reference.displacement[theirs], cells),
            volume,
            floor=displacement_floor,
        ),
        plastic_strain_rel_l2=relative_l2(history.plastic_strain[mine], reference.plastic_strain[theirs], volume),
        peak_von_mises_rel=relative_magnitude(
            float(history.scalars.peak_von_mises_pa[step]),
            float(reference.scalars.peak_von_mises_pa[step]),
            floor=stress_floor,
        ),
        p999_von_mises_rel=relative_magnitude(
            float(history.scalars.p999_von_mises_pa[step]),
            float(reference.scalars.p999_von_mises_pa[step]),
            floor=stress_floor,
        ),
    )
