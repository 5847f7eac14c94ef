"""Scales what was drawn for a part so that it reaches yield: load cases to first yield, histories to a drawn level.

Load values carry the scale, so that a load case at factor 1 alone is about to yield and factors are of order one.
Shape letters: P quadrature points, T steps, K load cases, L loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from surrogate.data.drawn_loads import LoadRange
from surrogate.data.drawn_material import MaterialRange
from surrogate.data.histories import DrawnHistory, draw_history
from surrogate.data.part_family import log_uniform
from surrogate.errors import ProblemError
from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.elastic import ElasticSystem, solve_load_cases
from surrogate.physics.invariants import von_mises
from surrogate.physics.problem import (
    Acceleration,
    BearingForce,
    Force,
    Load,
    LoadCase,
    LoadHistory,
    Moment,
    Pressure,
    Problem,
    RemoteForce,
    Support,
    Traction,
    ramp,
)
from surrogate.physics.recorder import weighted_quantile, weighted_quantiles


@dataclass(frozen=True)
class SamplingRange:
    """What problems are drawn.

    First yield is meant of a small volume, not of the single hottest point: at the edge of a clamped face or a sharp
    corner the elastic stress grows with the density of the mesh. Three bounds hold a history's largest elastic state:
    what is drawn (the level of a notch of half a per cent of the volume), the hottest point, and a level of the bulk,
    since a section whose elastic stress is beyond yield over its whole thickness collapses.

    Attributes:
        material: alloys and hardening laws.
        loads: load cases.
        quantile: of the elastic von Mises stress over the volume, taken as a state's level.
        peak_level: range of a history's largest level over the yield strength.
        highest_point: largest elastic von Mises stress at any quadrature point over the yield strength.
        bulk_quantile: of the same stress, taken as a state's level in the bulk.
        bulk_level: largest level in the bulk over the yield strength.
        narrowest: least over largest level drawn where a bound leaves less than `peak_level` asks for.
    """

    material: MaterialRange = field(default_factory=MaterialRange)
    loads: LoadRange = field(default_factory=LoadRange)
    quantile: float = 0.995
    peak_level: tuple[float, float] = (0.5, 3.0)
    highest_point: float = 6.0
    bulk_quantile: float = 0.9
    bulk_level: float = 1.0
    narrowest: float = 0.7


def scaled_load(load: Load, scale: float) -> Load:
    """The same load, larger by a factor."""
    match load:
        case Force(force_n=(x, y, z)):
            return replace(load, force_n=(x * scale, y * scale, z * scale))
        case BearingForce(force_n=(x, y, z)) | RemoteForce(force_n=(x, y, z)):
            return replace(load, force_n=(x * scale, y * scale, z * scale))
        case Moment(moment_nm=(x, y, z)):
            return replace(load, moment_nm=(x * scale, y * scale, z * scale))
        case Traction(traction_pa=(x, y, z)):
            return replace(load, traction_pa=(x * scale, y * scale, z * scale))
        case Pressure():
            return replace(load, pressure_pa=load.pressure_pa * scale)
        case Acceleration(acceleration_m_s2=(x, y, z)):
            return replace(load, acceleration_m_s2=(x * scale, y * scale, z * scale))


def stress_level(stress: FloatArray, volumes: FloatArray, quantile: float) -> float:
    """Quantile over the volume of the von Mises stress of a stress [6, P] with volumes [P], Pa."""
    return weighted_quantile(von_mises(stress), volumes, quantile)


def scaled_load_cases(
    generator: np.random.Generator,
    mesh: TetMesh,
    system: ElasticSystem,
    supports: tuple[Support, ...],
    cases: Sequence[LoadCase],
    ranges: SamplingRange,
) -> tuple[LoadCase, ...]:
    """Load cases each of which, alone at factor 1, has the yield strength as its elastic level.

    Loads of one case are first made equally strong, then weighted at random, so that none drowns in another.

    Raises:
        ProblemError: a load strains nothing.
    """
    loads = [load for case in cases for load in case.loads]
    alone = tuple(LoadCase(f"load {number}", (load,)) for number, load in enumerate(loads))
    probe = Problem(mesh, system.material, supports, alone, (ramp(len(alone)),))
    stress = solve_load_cases(probe, system).stress  # [6, P, L]
    volumes, strength = system.volumes.ravel(), system.material.yield_strength_pa
    scaled, position = [], 0
    for case in cases:
        weights = []
        for number, load in enumerate(case.loads, start=position):
            level = stress_level(stress[:, :, number], volumes, ranges.quantile)
            if not level > 0:
                raise ProblemError(f"{type(load).__name__} in {case.name!r} strains nothing; load a face that is free")
            weights.append(strength / level * (generator.uniform(0.3, 1.0) if number > position else 1.0))
        together = stress[:, :, position : position + len(weights)] @ np.array(weights)
        factor = strength / stress_level(together, volumes, ranges.quantile)
        values = [scaled_load(load, weight * factor) for load, weight in zip(case.loads, weights, strict=True)]
        scaled.append(LoadCase(case.name, tuple(values)))
        position += len(weights)
    return tuple(scaled)


def scaled_history(
    generator: np.random.Generator,
    drawn: DrawnHistory,
    stress: FloatArray,
    volumes: FloatArray,
    strength: float,
    ranges: SamplingRange,
    name: str,
) -> LoadHistory:
    """The history scaled so that its largest elastic level is a drawn multiple of the yield strength.

    Args:
        generator: draws the multiple.
        drawn: factors [T, K].
        stress: elastic stress of each load case at factor 1 [6, P, K], Pa.
        volumes: [P], m^3.
        strength: yield strength, Pa.
        ranges: bounds on level and highest point.
        name: how the report calls it.
    """
    states = [von_mises(stress @ factors) for factors in _turning_states(drawn.factors)]
    highest = max(float(values.max()) for values in states)
    levels = [weighted_quantiles(values, volumes, (ranges.quantile, ranges.bulk_quantile)) for values in states]
    level, bulk = np.max(levels, axis=0)
    bounds = (ranges.peak_level[1] / level, ranges.highest_point / highest, ranges.bulk_level / max(bulk, 1e-300))
    most = min(bounds)
    least = min(ranges.peak_level[0] / level, ranges.narrowest * most)
    return LoadHistory(name, drawn.factors * (strength * log_uniform(generator, least, most)))


def _turning_states(factors: FloatArray) -> FloatArray:
    """The steps [W, K] of a history [T, K] at which it turns or ends.

    Along a straight stretch the von Mises stress of every point is convex, so it is largest at an end.
    """
    before = np.diff(factors, axis=0, prepend=0.0)
    after = np.diff(factors, axis=0, append=factors[-1:])
    turns = np.linalg.norm(after - before, axis=1) > 1e-9 * np.abs(factors).max()
    turns[-1] = True
    return factors[turns & factors.any(axis=1)]


def draw_histories(
    generator: np.random.Generator,
    stress: FloatArray,
    volumes: FloatArray,
    strength: float,
    counts: tuple[int, int],
    ranges: SamplingRange,
) -> tuple[LoadHistory, ...]:
    """H scaled histories of T steps, `counts` being (H, T)."""
    histories = []
    for number in range(counts[0]):
        drawn = draw_history(generator, counts[1], stress.shape[2])
        name = f"{number + 1} {drawn.kind}"
        histories.append(scaled_history(generator, drawn, stress, volumes, strength, ranges, name))
    return tuple(histories)
