"""One part answered by every method, and how far each answer is from the stored FEM answer.

Classical methods depend on the part alone, those of the world model on its weights too, so they are kept apart.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from surrogate.data.simulation_file import load_simulation
from surrogate.errors import InputError
from surrogate.fields import DomainVerdict, Fields, FloatArray, HistoryFields, IntArray
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.error_norms import history_difference
from surrogate.physics.problem import Problem
from surrogate.physics.reduced_span import plain_rounds
from surrogate.serving import screening, service
from surrogate.serving.calibration import STEP_SCALARS, TOTALS
from surrogate.training.baselines import elastic_only, local_anchor, reduced_histories, stored_truth, with_passes

METRICS = (
    "plastic strain, peak",
    "plastic strain, last",
    "stress, peak",
    "stress, last",
    "residual stress",
    "displacement, peak",
    "peak von Mises",
    "99.9 % von Mises",
    "peak plastic strain",
    "permanent set",
)
PASSES = (1, 2, 3, 5)
ENRICHMENTS = (0, 1, 2)
AT_REST = "reduced anchor, until at rest"
MODEL, TOKENS, REFINED = "world model", "world model, straight from tokens", "world model, refined"
SOLVED = "solved"
# A history counts where its true plastic strain reaches this share of the yield strain; others are exact anyway.
PLASTIC_SHARE = 0.05
# Permanent sets below this share of the largest displacement are compared as if they were this large.
_SET_FLOOR = 0.005
# A peak plastic strain this far off is a failure; silent where nothing warned of it.
_FAILURE = 0.2
# An interval that reaches this many times the value warns: with it `fidelity="auto"` solves instead.
_WIDE = 2.0


def reduced_name(enrichments: int) -> str:
    """How the reduced anchor with some enrichments is called."""
    return "reduced anchor" + ("" if not enrichments else f" + {enrichments} enrichment{'s' * (enrichments > 1)}")


CLASSICAL = (
    "elastic anchor",
    "local anchor",
    "local anchor, one fitted factor",
    *(f"local anchor + {k} passes" for k in PASSES),
    *(reduced_name(k) for k in ENRICHMENTS),
    AT_REST,
)
METHODS = (*CLASSICAL, MODEL, TOKENS, REFINED)
# Each takes nearly as long as the solver: they answer some of the parts only.
SLOW = tuple(f"local anchor + {k} passes" for k in PASSES if k > 1)


@dataclass(frozen=True)
class MethodErrors:
    """What one method gets wrong on one part.

    Attributes:
        errors: of each history that yields, the relative error of each of METRICS that the method tells.
        seconds: of processor time for all histories of the part, the anchor not counted.
        worst: largest equivalent plastic strain over the histories, by which variants of a part are ranked.
    """

    errors: list[dict[str, float]]
    seconds: float
    worst: float


@dataclass(frozen=True)
class Trust:
    """Whether the world model's answer to one part says how far it can be believed.

    Attributes:
        covered: of each scalar, how many true values lay in their 90 % interval; exact ones are not counted.
        judged: of each scalar, how many there were.
        inside: whether the domain check took the part as inside.
        failures: histories whose peak plastic strain is more than 20 % off.
        silent: those of them with neither a wide interval nor a part outside of the domain; None without intervals.
    """

    covered: dict[str, int]
    judged: dict[str, int]
    inside: bool
    failures: int
    silent: int | None


@dataclass(frozen=True)
class PartEvaluation:
    """One part.

    Attributes:
        name: of the part.
        family: of the part.
        methods: errors of each method that answered.
        trust: None where the world model did not answer.
    """

    name: str
    family: str
    methods: dict[str, MethodErrors]
    trust: Trust | None = None


def evaluate_part(
    path: Path, methods: Iterable[str], model: str | None = None, local_factor: float = 1.0
) -> PartEvaluation:
    """Some methods on one simulated part.

    Args:
        path: of the simulation.
        methods: of METHODS.
        model: name of a shipped model, or a folder.
        local_factor: of the local anchor with one fitted factor.
    """
    simulation = load_simulation(path)
    problem = simulation.problem
    anchor = elastic_anchor(problem)
    started = time.process_time()
    elastic_anchor(problem)
    # A prediction makes its own anchor, of the factor that is kept; the other methods are given theirs.
    anchored = time.process_time() - started
    truth = stored_truth(anchor, simulation)
    yields = _yields(truth, problem)
    found = {SOLVED: MethodErrors([], 0.0, _worst(history.scalars.peak_plastic_strain.max() for history in truth))}
    trust = None
    for name in methods:
        if name == TOKENS:
            found[name] = _token_errors(problem, truth, yields, model, anchored)
            continue
        started = time.process_time()
        answer = _answer(name, anchor, problem, model, local_factor)
        seconds = time.process_time() - started
        if name in (MODEL, REFINED):
            seconds = max(0.0, seconds - anchored)
        errors = [
            _errors(mine, true, anchor.system.volumes, problem.mesh.cells)
            for mine, true, plastic in zip(answer.histories, truth, yields, strict=True)
            if plastic
        ]
        worst = _worst(history.scalars.peak_plastic_strain.max() for history in answer.histories)
        found[name] = MethodErrors(errors, seconds, worst)
        if name == MODEL:
            trust = _trust(answer, truth, yields)
    return PartEvaluation(path.stem, simulation.family, found, trust)


def _answer(name: str, anchor: ElasticAnchor, problem: Problem, model: str | None, local_factor: float) -> Fields:
    classical: dict[str, Callable[[], tuple[HistoryFields, ...]]] = {
        "elastic anchor": lambda: elastic_only(anchor, problem),
        "local anchor": lambda: local_anchor(anchor, problem),
        "local anchor, one fitted factor": lambda: local_anchor(anchor, problem, local_factor),
        **{f"local anchor + {k} passes": partial(with_passes, anchor, problem, k) for k in PASSES},
        **{reduced_name(k): partial(reduced_histories, anchor, problem, plain_rounds(k)) for k in ENRICHMENTS},
        AT_REST: lambda: reduced_histories(anchor, problem),
    }
    if name in classical:
        return Fields("solved", classical[name](), anchor.system.volumes)
    if name == MODEL:
        return service.predict(problem, model=model)
    if name == REFINED:
        return service.predict(problem, model=model, fidelity="refined")
    raise InputError(f"no method {name!r}; there are {', '.join(METHODS)}")


def _yields(truth: Iterable[HistoryFields], problem: Problem) -> list[bool]:
    least = PLASTIC_SHARE * problem.material.yield_strength_pa / problem.material.youngs_modulus_pa
    return [bool(history.scalars.peak_plastic_strain.max() > least) for history in truth]


def _worst(values: Iterable[float]) -> float:
    return max(map(float, values))


def _errors(mine: HistoryFields, true: HistoryFields, volume: FloatArray, cells: IntArray) -> dict[str, float]:
    difference = history_difference(mine, true, volume, cells)
    assert difference is not None
    found = {
        "plastic strain, peak": difference.peak.plastic_strain_rel_l2,
        "plastic strain, last": difference.last.plastic_strain_rel_l2,
        "stress, peak": difference.peak.stress_rel_l2,
        "stress, last": difference.last.stress_rel_l2,
        "displacement, peak": difference.peak.displacement_rel_l2,
        "peak von Mises": difference.peak.peak_von_mises_rel,
        "99.9 % von Mises": difference.peak.p999_von_mises_rel,
        "peak plastic strain": _off(
            float(mine.scalars.peak_plastic_strain.max()), float(true.scalars.peak_plastic_strain.max())
        ),
        "permanent set": abs(mine.totals.permanent_set_m - true.totals.permanent_set_m) / _set_scale(true),
    }
    if np.abs(true.factors[-1]).max() <= 1e-9 * np.abs(true.factors).max():
        # What is left of the stress when all loads are gone.
        found["residual stress"] = difference.last.stress_rel_l2
    return found


def _token_errors(
    problem: Problem, truth: tuple[HistoryFields, ...], yields: list[bool], model: str | None, anchored: float
) -> MethodErrors:
    """The three scalars that the world model reads from its tokens without decoding any field.

    `anchored` are the seconds that its own anchor takes.
    """
    started = time.process_time()
    screened = screening.screen(problem, model=model)
    seconds = max(0.0, time.process_time() - started - anchored)
    errors = [
        {
            "peak von Mises": _off(mine.peak_von_mises_pa, float(true.scalars.peak_von_mises_pa.max())),
            "peak plastic strain": _off(mine.peak_plastic_strain, float(true.scalars.peak_plastic_strain.max())),
            "permanent set": abs(mine.permanent_set_m - true.totals.permanent_set_m) / _set_scale(true),
        }
        for mine, true, plastic in zip(screened, truth, yields, strict=True)
        if plastic
    ]
    return MethodErrors(errors, seconds, _worst(history.peak_plastic_strain for history in screened))


def _off(value: float, true: float) -> float:
    return abs(value - true) / true


def _set_scale(true: HistoryFields) -> float:
    return max(true.totals.permanent_set_m, _SET_FLOOR * float(true.scalars.max_displacement_m.max()))


def _trust(answer: Fields, truth: tuple[HistoryFields, ...], yields: list[bool]) -> Trust:
    covered, judged = _coverage(answer.histories, truth)
    failures, silent = 0, 0
    known = all(history.scalars_high is not None for history in answer.histories)
    for mine, true, plastic in zip(answer.histories, truth, yields, strict=True):
        value, real = (float(each.scalars.peak_plastic_strain.max()) for each in (mine, true))
        if plastic and _off(value, real) > _FAILURE:
            failures += 1
            silent += not _warned(mine, answer.domain)
    return Trust(covered, judged, _inside(answer.domain), failures, silent if known else None)


def _inside(verdict: DomainVerdict | None) -> bool:
    return verdict is None or verdict.inside


def _warned(mine: HistoryFields, verdict: DomainVerdict | None) -> bool:
    if mine.scalars_high is None or not _inside(verdict):
        return True
    top = float(mine.scalars_high.peak_plastic_strain.max())
    return top > _WIDE * float(mine.scalars.peak_plastic_strain.max())


def _coverage(
    answers: Iterable[HistoryFields], truth: Iterable[HistoryFields]
) -> tuple[dict[str, int], dict[str, int]]:
    covered, judged = dict.fromkeys((*STEP_SCALARS, *TOTALS), 0), dict.fromkeys((*STEP_SCALARS, *TOTALS), 0)
    for mine, true in zip(answers, truth, strict=True):
        groups = ((STEP_SCALARS, mine.scalars_low, mine.scalars_high, true.scalars),)
        for names, low, high, value in (*groups, (TOTALS, mine.totals_low, mine.totals_high, true.totals)):
            if low is None or high is None:
                continue
            for name in names:
                real, least, most = (np.atleast_1d(getattr(scalars, name)) for scalars in (value, low, high))
                # Elastic steps are exact and have intervals without width; counting them would flatter the others.
                uncertain = most > least
                # The labels themselves are solved to 1e-4.
                slack = 1e-4 * np.abs(real).max() + 1e-15
                within = (real >= least - slack) & (real <= most + slack)
                covered[name] += int((within & uncertain).sum())
                judged[name] += int(uncertain.sum())
    return covered, judged
