"""Draws a problem on a family's part: material, supports, load cases, and histories scaled to reach yield.

Load values carry the scale, so that a load case at factor 1 alone is about to yield and factors are of order one.
Shape letters: P quadrature points, T steps, K load cases, L loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from surrogate.data.histories import DrawnHistory, draw_history
from surrogate.data.part_family import LoadFaces, PartFamily, log_uniform
from surrogate.errors import ProblemError
from surrogate.fields import FloatArray
from surrogate.geometry.selectors import NameSelector
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.elastic import ElasticSystem, solve_load_cases
from surrogate.physics.hardening import LinearHardening
from surrogate.physics.invariants import von_mises
from surrogate.physics.materials import Material, library
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


@dataclass(frozen=True)
class SamplingRange:
    """What problems are drawn.

    Attributes:
        spread: relative spread of yield strength and hardening about the library's values.
        hardening_share: share of the materials that get a hardening drawn apart from the library's.
        hardening_over_modulus: range of that hardening over Young's modulus.
        quantile: of the elastic von Mises stress over the volume, taken as a state's level.
        peak_level: range of a history's largest level over the yield strength.
        highest_point: largest elastic von Mises stress at any quadrature point over the yield strength.
        second_load_share: share of the load cases with two loads.
        acceleration_share: share of the load cases to which an acceleration is added.
    """

    spread: float = 0.1
    hardening_share: float = 0.35
    hardening_over_modulus: tuple[float, float] = (0.002, 0.05)
    quantile: float = 0.995
    peak_level: tuple[float, float] = (0.6, 1.9)
    highest_point: float = 3.5
    second_load_share: float = 0.25
    acceleration_share: float = 0.15


def draw_material(generator: np.random.Generator, ranges: SamplingRange) -> Material:
    """A library material with its strength and hardening moved within their scatter."""
    alloy = library()[generator.integers(len(library()))]
    strength, hardening = generator.uniform(1 - ranges.spread, 1 + ranges.spread, 2)
    modulus = alloy.hardening_modulus_pa * float(hardening)
    if generator.random() < ranges.hardening_share:
        modulus = alloy.youngs_modulus_pa * log_uniform(generator, *ranges.hardening_over_modulus)
    return replace(
        alloy,
        name=f"{alloy.name}, varied",
        yield_strength_pa=alloy.yield_strength_pa * float(strength),
        ultimate_strength_pa=alloy.ultimate_strength_pa * float(strength),
        hardening=LinearHardening(modulus),
    )


def draw_supports(generator: np.random.Generator, family: PartFamily) -> tuple[Support, ...]:
    """One of the ways in which parts of a family are held."""
    way = family.supports[generator.integers(len(family.supports))]
    return tuple(Support(NameSelector(faces.name), faces.fixed) for faces in way)


def draw_load_cases(
    generator: np.random.Generator, family: PartFamily, supports: tuple[Support, ...], ranges: SamplingRange
) -> tuple[LoadCase, ...]:
    """One to three load cases of unit loads on faces that no support holds."""
    held = {support.faces.name for support in supports if isinstance(support.faces, NameSelector)}
    faces = [faces for faces in family.loads if faces.name not in held]
    cases = []
    for number in range(int(generator.integers(1, 4))):
        count = 2 if generator.random() < ranges.second_load_share else 1
        chosen = generator.permutation(len(faces))[:count]
        loads = [_draw_load(generator, faces[i]) for i in chosen]
        if generator.random() < ranges.acceleration_share:
            loads.append(Acceleration(_direction(generator)))
        cases.append(LoadCase(f"case {number + 1}", tuple(loads)))
    return tuple(cases)


def _draw_load(generator: np.random.Generator, faces: LoadFaces) -> Load:
    """A unit load of a kind that the faces see, in a random direction, three in ten along an axis."""
    kind = faces.kinds[generator.integers(len(faces.kinds))]
    direction = _direction(generator)
    if generator.random() < 0.3:
        axis, sign = int(generator.integers(3)), float(generator.choice([-1.0, 1.0]))
        direction = (sign * (axis == 0), sign * (axis == 1), sign * (axis == 2))
    selector = NameSelector(faces.name)
    match kind:
        case "force":
            return Force(selector, direction)
        case "traction":
            return Traction(selector, direction)
        case "pressure":
            return Pressure(selector, float(generator.choice([-1.0, 1.0])))


def _direction(generator: np.random.Generator) -> Vector:
    x, y, z = generator.normal(size=3).tolist()
    length = float(np.hypot(np.hypot(x, y), z))
    return x / length, y / length, z / length


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
    values = von_mises(stress)
    order = np.argsort(values)
    cumulative = np.cumsum(volumes[order])
    return float(values[order[np.searchsorted(cumulative, quantile * cumulative[-1])]])


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
    states = [stress @ factors for factors in drawn.factors]
    level = max(stress_level(state, volumes, ranges.quantile) for state in states)
    highest = max(float(von_mises(state).max()) for state in states)
    wanted = log_uniform(generator, *ranges.peak_level) * strength / level
    return LoadHistory(name, drawn.factors * min(wanted, ranges.highest_point * strength / highest))


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
