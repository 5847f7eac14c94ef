"""What to solve: a mesh, a material, supports, load cases and load histories.

Shape letters: T steps, K load cases.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from surrogate.errors import ProblemError
from surrogate.fields import FloatArray, IntArray
from surrogate.geometry.selectors import Selector
from surrogate.geometry.tet_mesh import TetMesh, Vector
from surrogate.physics.materials import Material

Direction = Literal["x", "y", "z", "normal"]


@dataclass(frozen=True)
class Support:
    """Faces that cannot move in some directions.

    Attributes:
        faces: which faces.
        fixed: any of "x", "y", "z", or only "normal" (frictionless or symmetry plane).
        meeting: hold only the points that `faces` share with these faces, an edge; None holds all points of `faces`.
    """

    faces: Selector
    fixed: tuple[Direction, ...] = ("x", "y", "z")
    meeting: Selector | None = None

    def __post_init__(self) -> None:
        if not self.fixed:
            raise ProblemError("a support fixes no direction; give fixed = [...] with x, y, z, or normal")
        if "normal" in self.fixed and len(self.fixed) > 1:
            raise ProblemError("a support is fixed either along its normal or along x, y, z; give two supports")


@dataclass(frozen=True)
class Pressure:
    """Pressure on faces, Pa; positive pushes into the part."""

    faces: Selector
    pressure_pa: float


@dataclass(frozen=True)
class Traction:
    """Force per area on faces, Pa."""

    faces: Selector
    traction_pa: Vector


@dataclass(frozen=True)
class Force:
    """Total force spread evenly over the area of the faces, N."""

    faces: Selector
    force_n: Vector


@dataclass(frozen=True)
class BearingForce:
    """Total force of a pin or bolt on the walls of its holes, N.

    A cosine pressure on the half of each wall towards which the force points; several holes take equal shares. Each
    share acts through the middle of its hole's axis; a component along an axis is refused.
    """

    faces: Selector
    force_n: Vector


@dataclass(frozen=True)
class RemoteForce:
    """Force that acts at a point in space, spread over the faces with its moment.

    Attributes:
        faces: what carries it.
        force_n: N.
        point_m: where it acts, m; total force and moment of the spread traction are those of the force there.
    """

    faces: Selector
    force_n: Vector
    point_m: Vector


@dataclass(frozen=True)
class Moment:
    """Moment spread over the faces without a total force, Nm."""

    faces: Selector
    moment_nm: Vector


@dataclass(frozen=True)
class Acceleration:
    """Body load density * acceleration on the whole part, m/s^2 (gravity along -z is (0, 0, -9.81))."""

    acceleration_m_s2: Vector


Load = Pressure | Traction | Force | BearingForce | RemoteForce | Moment | Acceleration


@dataclass(frozen=True)
class LoadCase:
    """A load pattern: loads that act together."""

    name: str
    loads: tuple[Load, ...]

    def __post_init__(self) -> None:
        if not self.loads:
            raise ProblemError(f"load case {self.name!r} has no loads; add at least one")


@dataclass(frozen=True)
class LoadHistory:
    """Factors of the load cases over the steps; the part starts unloaded and virgin.

    Attributes:
        name: how the report calls it.
        factors: [T, K], in the order of the problem's load cases.
    """

    name: str
    factors: FloatArray

    def __post_init__(self) -> None:
        held = np.array(self.factors, dtype=np.float64)
        if held.ndim != 2 or held.shape[0] == 0:
            raise ProblemError(f"history {self.name!r} has no steps; give at least one factor a load case")
        if not np.isfinite(held).all():
            raise ProblemError(f"history {self.name!r} has a factor that is not a finite number")
        held.setflags(write=False)
        object.__setattr__(self, "factors", held)

    def turning_steps(self) -> IntArray:
        """Steps at which the factors change direction, and the last one [W]."""
        before = np.diff(self.factors, axis=0, prepend=0.0)
        after = np.diff(self.factors, axis=0, append=self.factors[-1:])
        size = np.maximum(np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1), 1e-300)
        turns = (before * after).sum(axis=1) < (1 - 1e-9) * size
        turns[-1] = True
        return np.flatnonzero(turns)

    def turning_points(self) -> "LoadHistory":
        """The same history at its turning steps alone."""
        return LoadHistory(self.name, self.factors[self.turning_steps()])


@dataclass(frozen=True)
class Problem:
    """One part, K load cases and H load histories.

    Attributes:
        mesh: the part.
        material: what it is made of.
        supports: at least one.
        load_cases: at least one, names unique.
        load_histories: at least one, names unique, each of K factors a step.
        name: how the report calls it.

    Raises:
        ProblemError: nothing held, nothing loaded, names repeated, or factors that do not fit the cases.
    """

    mesh: TetMesh
    material: Material
    supports: tuple[Support, ...]
    load_cases: tuple[LoadCase, ...]
    load_histories: tuple[LoadHistory, ...]
    name: str = "part"

    def __post_init__(self) -> None:
        if not self.supports:
            raise ProblemError("no supports; add at least one, or the part is free to move")
        if not self.load_cases:
            raise ProblemError("no load cases; add at least one")
        if not self.load_histories:
            raise ProblemError("no load histories; add at least one")
        for kind, names in (
            ("load case", [case.name for case in self.load_cases]),
            ("load history", [history.name for history in self.load_histories]),
        ):
            repeated = {name for name in names if names.count(name) > 1}
            if repeated:
                raise ProblemError(f"{kind} names must be unique; repeated: {', '.join(sorted(repeated))}")
        for history in self.load_histories:
            if history.factors.shape[1] != len(self.load_cases):
                raise ProblemError(
                    f"history {history.name!r} has {history.factors.shape[1]} factors a step for "
                    f"{len(self.load_cases)} load cases; give one factor a load case"
                )


def ramp(case_count: int, step_count: int = 10, name: str = "ramp") -> LoadHistory:
    """The default history: every case from zero to one in equal steps."""
    levels = np.linspace(0.0, 1.0, step_count + 1)[1:]
    return LoadHistory(name, np.repeat(levels[:, None], case_count, axis=1))
