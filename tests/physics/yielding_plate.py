"""A notched plate and load histories for laws that are asked of many of them at once."""

from functools import cache

import numpy as np

from surrogate.fields import FloatArray
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.elastic import ElasticAnchor, elastic_anchor
from surrogate.physics.materials import Material
from surrogate.physics.problem import LoadCase, LoadHistory, Pressure, Problem, Traction
from tests.physics.meshes import RIGHT, STEEL, TOP, quarter_plate, symmetry_planes

# Loading in one direction, turned, reversed and taken off.
SWING = np.array([[0.8, 0.0], [1.6, 0.6], [1.2, -1.0], [0.2, -1.6], [-1.4, 0.3], [0, 0]])


@cache
def plate() -> TetMesh:
    return quarter_plate(4, 6, 1, 1.0, 4.0, 1.0)


def problem(factors: FloatArray, material: Material = STEEL) -> Problem:
    """Quarter of a plate with a hole, pulled and pressed, with histories of factors [H, T, 2]."""
    cases = (LoadCase("pull", (Traction(RIGHT, (80e6, 0, 0)),)), LoadCase("press", (Pressure(TOP, 80e6),)))
    histories = tuple(LoadHistory(f"history {i}", own) for i, own in enumerate(factors))
    return Problem(plate(), material, symmetry_planes(), cases, histories)


@cache
def anchored(material: Material = STEEL) -> ElasticAnchor:
    return elastic_anchor(problem(SWING[None], material))


def drawn(count: int, steps: int = 6) -> FloatArray:
    """Histories that go out in a random direction, turn, and come back [H, T, 2]."""
    random = np.random.default_rng(7)
    first, second = random.normal(size=(2, count, 1, 2))
    first /= np.linalg.norm(first, axis=2, keepdims=True)
    rise = np.linspace(1 / (steps - 1), 1, steps - 1)[None, :, None]
    path = random.uniform(0.8, 2.2, (count, 1, 1)) * (rise * first + 0.3 * rise**3 * second)
    return np.concatenate([path, np.zeros((count, 1, 2))], axis=1)
