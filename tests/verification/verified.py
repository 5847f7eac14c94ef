"""What a verification case finds: a law, what it demands, what we get, and how far off that is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verified:
    """One law held against the program.

    Attributes:
        law: what is compared, in a few words.
        source: where the target comes from.
        target: what the law demands, in `unit`.
        result: what the program finds, in `unit`.
        error: how far the result is off: a share of the target, or in `unit`.
        bar: the largest error that passes.
        measure: whether error and bar are shares of the target or differences in `unit`.
        unit: of target and result; empty for a number.
        points: of the finest mesh.
        found: by-products in words, such as what a coarser mesh gives.
    """

    law: str
    source: str
    target: float
    result: float
    error: float
    bar: float
    measure: Literal["relative", "absolute"]
    unit: str
    points: int
    found: str = ""


def relative(
    law: str, source: str, target: float, result: float, bar: float, unit: str, points: int, found: str = ""
) -> Verified:
    """A result whose error is a share of its target."""
    error = abs(float(result) / float(target) - 1)
    return Verified(law, source, float(target), float(result), error, bar, "relative", unit, points, found)


def absolute(
    law: str, source: str, target: float, result: float, bar: float, unit: str, points: int, found: str = ""
) -> Verified:
    """A result whose error is its difference from the target."""
    error = abs(float(result) - float(target))
    return Verified(law, source, float(target), float(result), error, bar, "absolute", unit, points, found)


def vanishing(law: str, source: str, result: float, bar: float, points: int, found: str = "") -> Verified:
    """A relative difference that should be zero."""
    return Verified(law, source, 0.0, float(result), abs(float(result)), bar, "relative", "", points, found)


@dataclass(frozen=True)
class Case:
    """A verification case.

    Attributes:
        run: finds it; its docstring tells the mesh and the modelling, and stands on the page.
        slow: takes more than a few seconds.
        needs_calculix: needs the program `ccx`.
    """

    run: Callable[[], Verified]
    slow: bool = False
    needs_calculix: bool = False

    @property
    def name(self) -> str:
        """The function's name."""
        return self.run.__name__
