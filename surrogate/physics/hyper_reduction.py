"""Many histories in the span of modes at the price of a few: all points for some histories, few points for all.

Source: Hernandez, Caicedo and Ferrer, Comput. Methods Appl. Mech. Eng. 313 (2017): snapshots of the full integration
choose the points of the reduced one. Since most histories are none of the snapshots', the choice is made twice: what
the first finds tells which further histories go through fields of their own.
Shape letters: A points, J modes, H histories, T steps, K load cases, S snapshots.
"""

from dataclasses import dataclass

import numpy as np

from surrogate.fields import FloatArray, IntArray
from surrogate.physics.cubature import CubatureSettings, at_points, few_points
from surrogate.physics.deviatoric import deviatoric_path
from surrogate.physics.galerkin import ReducedProblem, integrate

# Points times histories of which fields are made at once.
_TOGETHER = 400_000
# A history's direction counts less where its coordinates are below this share of the largest.
_FLOOR = 0.1
_FIRST, _LAST = CubatureSettings(tolerance=1e-2, points=300), CubatureSettings()


@dataclass(frozen=True)
class HyperSettings:
    """How the points are chosen.

    Attributes:
        first: the first choice, from the histories that are known.
        last: the choice that counts.
        further: histories that the second choice looks at beside the known ones.
        steps: of each of them.
    """

    first: CubatureSettings = _FIRST
    last: CubatureSettings = _LAST
    further: int = 48
    steps: int = 2


@dataclass(frozen=True, eq=False)
class KnownHistories:
    """Histories that were integrated at all points.

    Attributes:
        indices: which [C].
        plastic: deviators of their plastic strain at some steps [S, 5, A].
    """

    indices: IntArray
    plastic: FloatArray


def chosen_points(
    problem: ReducedProblem, factors: FloatArray, known: KnownHistories, settings: HyperSettings | None = None
) -> ReducedProblem:
    """The problem at few points that stand for all of them.

    Args:
        problem: with all points.
        factors: of all histories [H, T, K].
        known: some of them.
        settings: how the points are chosen.
    """
    settings = settings or HyperSettings()
    first = at_points(problem, few_points(problem, known.plastic, settings.first))
    coordinates = integrate(first, factors).coordinates
    further = unlike(coordinates, known.indices, settings.further)
    if not len(further):
        return first
    strain = np.concatenate([problem.case_strain, problem.mode_strain], axis=-1)
    path = np.concatenate([factors[further], coordinates[further]], axis=-1)
    more = plastic_fields(strain, path, problem, settings.steps)
    return at_points(problem, few_points(problem, np.concatenate([known.plastic, more]), settings.last))


def plastic_fields(strain: FloatArray, path: FloatArray, problem: ReducedProblem, count: int) -> FloatArray:
    """Deviators of plastic strain at steps evenly spread up to the last [S, 5, A], single precision.

    Args:
        strain: of load cases and modes [6, A, K + J].
        path: how much of each acts [H, T, K + J].
        problem: whose material it is.
        count: steps of each history, at most.
    """
    steps, size = path.shape[1], max(1, _TOGETHER // max(1, strain.shape[1]))
    kept = {round(steps * (i + 1) / count) - 1 for i in range(count)}
    found = []
    for first in range(0, len(path), size):
        states = enumerate(deviatoric_path(strain, path[first : first + size], problem.material))
        found += [state.plastic.astype(np.float32) for step, state in states if step in kept]
    return np.concatenate(found)


def unlike(coordinates: FloatArray, known: IntArray, count: int) -> IntArray:
    """Histories that go farthest from the known ones and from each other, told by their largest and last coordinates.

    Args:
        coordinates: [H, T, J].
        known: indices.
        count: how many, at most.
    """
    largest = np.linalg.norm(coordinates, axis=2).argmax(axis=1)
    told = np.concatenate([coordinates[np.arange(len(largest)), largest], coordinates[:, -1]], axis=1)
    size = np.linalg.norm(told, axis=1)
    told = told / np.maximum(size, max(_FLOOR * float(size.max(initial=0.0)), 1e-300))[:, None]
    distance = np.linalg.norm(told[:, None] - told[known], axis=2).min(axis=1)
    chosen: list[int] = []
    while len(chosen) < count and distance.max(initial=0.0) > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(told - told[chosen[-1]], axis=1))
    return np.array(sorted(chosen), dtype=np.int64)
