"""What a family of parametric parts is: how to draw it, how to build it, where it is held and loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from surrogate.physics.problem import Direction

Parameters = Mapping[str, float]
# What is drawn on the faces: a total force spread evenly, a force per area, a pressure, a force on a hole's wall across
# its axis, a force acting at a point away from the faces, a moment without a force.
LoadKind = Literal["force", "traction", "pressure", "bearing", "remote", "moment"]
FULLY_FIXED: tuple[Direction, ...] = ("x", "y", "z")
SMALLEST_PART_M = 0.01
LARGEST_PART_M = 1.0


@dataclass(frozen=True)
class SupportFaces:
    """Faces of one name and the directions in which they are held."""

    name: str
    fixed: tuple[Direction, ...] = FULLY_FIXED


@dataclass(frozen=True)
class LoadFaces:
    """Faces of one name and the kinds of load that real parts see there."""

    name: str
    kinds: tuple[LoadKind, ...]


@dataclass(frozen=True)
class PartFamily:
    """A parametric component.

    Attributes:
        name: unique, goes into file names.
        index: unique and never reused, seeds the parameters together with the sample's seed.
        draw: draws the parameters, lengths in m, counts as whole numbers.
        build: builds the solid in the current gmsh model, names its faces, returns its wall thickness, m.
        supports: the ways in which it is held; each alone stops every rigid motion.
        loads: where it is loaded.
    """

    name: str
    index: int
    draw: Callable[[np.random.Generator], Parameters]
    build: Callable[[Parameters], float]
    supports: tuple[tuple[SupportFaces, ...], ...]
    loads: tuple[LoadFaces, ...]

    @property
    def face_names(self) -> tuple[str, ...]:
        """Every face name that supports or loads rely on, sorted."""
        held = {faces.name for way in self.supports for faces in way}
        return tuple(sorted(held | {faces.name for faces in self.loads}))


def log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    """A number between two positive bounds, every factor equally likely."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def overall_size(generator: np.random.Generator) -> float:
    """The largest dimension of a part, 10 mm to 1 m, every factor equally likely, m."""
    return log_uniform(generator, SMALLEST_PART_M, LARGEST_PART_M)


def whole(parameters: Parameters, name: str) -> int:
    """A parameter that counts something."""
    return round(parameters[name])
