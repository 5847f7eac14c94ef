"""An answer in numbers: summary.json.

Shape letters: T steps, K load cases.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace

from surrogate.errors import ProblemError
from surrogate.fields import Collapse, Fields, FloatArray, HistoryFields, HistoryScalars, StepBalance
from surrogate.physics.balance import worst_balance
from surrogate.physics.error_norms import HistoryDifference, StepDifference, history_difference
from surrogate.physics.materials import Material
from surrogate.physics.peak import peak_step
from surrogate.physics.problem import Problem
from surrogate.serving.findings import findings
from surrogate.serving.summary_schema import (
    BalanceSummary,
    CollapseSummary,
    DifferenceSummary,
    DomainSummary,
    HistoryDifferenceSummary,
    HistorySummary,
    Interval,
    LastDifferenceSummary,
    MaterialSummary,
    ModelSummary,
    PartSummary,
    Position,
    Quantity,
    StepSummary,
    Summary,
    Value,
)


def summarize(problem: Problem, fields: Fields) -> Summary:
    """The answer in numbers, with its warnings.

    Args:
        problem: what was asked.
        fields: the answer, from `solve` or `predict`.
    """
    mesh, volume = problem.mesh, float(fields.quadrature_volume.sum())
    case_names = [case.name for case in problem.load_cases]
    domain = fields.domain
    return Summary(
        part=PartSummary(
            name=problem.name,
            points=len(mesh.points),
            cells=len(mesh.cells),
            volume_m3=volume,
            mass_kg=volume * problem.material.density_kg_m3,
            size_m=mesh.size,
            faces=len(mesh.faces),
        ),
        material=_material(problem.material),
        method=fields.method,
        model=ModelSummary(name=fields.model.name, version=fields.model.version) if fields.model else None,
        histories=tuple(_history(history, case_names) for history in fields.histories),
        ranking=rank(fields.histories),
        domain=DomainSummary(score=_finite(domain.score), inside=domain.inside, reason=domain.reason)
        if domain
        else None,
        warnings=findings(problem, fields),
        timings_s=dict(fields.timings_s),
    )


def compare_summary(problem: Problem, predicted: Fields, solved: Fields) -> Summary:
    """Summary of the predicted answer with the difference to the solved one on each history.

    Raises:
        ProblemError: the answers do not belong to the same histories.
    """
    names = [history.name for history in predicted.histories]
    if names != [history.name for history in solved.histories]:
        raise ProblemError("the two answers have different load histories; compare answers of one problem")
    summary = summarize(problem, predicted)
    compared = []
    for shown, mine, theirs in zip(summary.histories, predicted.histories, solved.histories, strict=True):
        found = history_difference(mine, theirs, solved.quadrature_volume, problem.mesh.cells)
        compared.append(shown.model_copy(update={"difference": _difference(found) if found else None}))
    return summary.model_copy(update={"histories": tuple(compared), "reference": summarize(problem, solved)})


def rank(histories: Sequence[HistoryFields]) -> tuple[str, ...]:
    """History names, worst first: collapsed ones, then by peak plastic strain, then by peak von Mises stress."""

    def severity(history: HistoryFields) -> tuple[bool, float, float]:
        scalars = history.scalars
        return (
            history.collapse is not None,
            float(scalars.peak_plastic_strain.max(initial=0.0)),
            float(scalars.peak_von_mises_pa.max(initial=0.0)),
        )

    return tuple(history.name for history in sorted(histories, key=severity, reverse=True))


def with_timing(fields: Fields, stage: str, seconds: float) -> Fields:
    """The same answer with one more timed stage, counted in the total."""
    timings = dict(fields.timings_s)
    timings[stage] = timings.get(stage, 0.0) + seconds
    if "total" in timings:
        timings["total"] += seconds
    return replace(fields, timings_s=timings)


def _material(material: Material) -> MaterialSummary:
    constants = {name: getattr(material, name) for name in MaterialSummary.model_fields}
    return MaterialSummary.model_validate(constants)


def _history(history: HistoryFields, case_names: list[str]) -> HistorySummary:
    collapse = history.collapse
    return HistorySummary(
        name=history.name,
        steps=tuple(_step(history, step, case_names) for step in range(len(history.factors))),
        peak_step=peak_step(history.scalars) if len(history.factors) else None,
        safety_factor_yield=_total(history, "safety_factor_yield"),
        safety_factor_ultimate=_total(history, "safety_factor_ultimate"),
        permanent_set_m=_total(history, "permanent_set_m"),
        max_residual_von_mises_pa=_total(history, "max_residual_von_mises_pa"),
        collapse=_collapse(collapse, case_names) if collapse else None,
        balance=_balance(history.balance) if history.balance else None,
    )


def _collapse(collapse: Collapse, case_names: list[str]) -> CollapseSummary:
    return CollapseSummary(
        step=collapse.step,
        fraction=collapse.fraction,
        reason=collapse.reason,
        factors=dict(zip(case_names, collapse.factors, strict=True)),
        load_factor=collapse.load_factor,
    )


def _balance(balance: StepBalance) -> BalanceSummary:
    energy, reaction = worst_balance(balance)
    return BalanceSummary(
        external_work_j=float(balance.external_work_j[-1]),
        elastic_energy_j=float(balance.elastic_energy_j[-1]),
        plastic_work_j=float(balance.plastic_work_j[-1]),
        energy_imbalance=_finite(energy),
        reaction_imbalance=_finite(reaction),
    )


def _step(history: HistoryFields, step: int, case_names: list[str]) -> StepSummary:
    scalars, low, high = history.scalars, history.scalars_low, history.scalars_high

    def quantity(name: str) -> Quantity:
        value = _at(getattr(scalars, name), step)
        if low is None or high is None:
            return Value(value=value)
        return Interval(value=value, low=_at(getattr(low, name), step), high=_at(getattr(high, name), step))

    return StepSummary(
        factors=dict(zip(case_names, history.factors[step].tolist(), strict=True)),
        peak_von_mises_pa=quantity("peak_von_mises_pa"),
        p999_von_mises_pa=quantity("p999_von_mises_pa"),
        peak_at_m=_position(scalars.peak_at_m[step]),
        max_displacement_m=quantity("max_displacement_m"),
        peak_plastic_strain=quantity("peak_plastic_strain"),
        yielded_volume_fraction=quantity("yielded_volume_fraction"),
        equilibrium_residual=float(scalars.equilibrium_residual[step]),
    )


def _total(history: HistoryFields, name: str) -> Quantity:
    def read(totals: HistoryScalars) -> float | None:
        return _finite(float(getattr(totals, name)))

    if history.totals_low is None or history.totals_high is None:
        return Value(value=read(history.totals))
    return Interval(value=read(history.totals), low=read(history.totals_low), high=read(history.totals_high))


def _difference(found: HistoryDifference) -> HistoryDifferenceSummary:
    peak, last = _finite_numbers(found.peak), _finite_numbers(found.last)
    return HistoryDifferenceSummary(
        peak=DifferenceSummary(step=found.peak.step, **peak),
        last=LastDifferenceSummary(step=found.last.step, permanent_set_rel=_finite(found.permanent_set_rel), **last),
    )


def _finite_numbers(difference: StepDifference) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in asdict(difference).items() if name != "step"}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _at(values: FloatArray, step: int) -> float | None:
    return _finite(float(values[step]))


def _position(point: FloatArray) -> Position:
    x, y, z = point.tolist()
    return x, y, z
