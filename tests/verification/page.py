"""The page docs/verification.md as text, from what the cases found."""

import platform
import sys
from collections.abc import Sequence
from inspect import cleandoc

import numpy as np
import scipy

from tests.verification.verified import Case, Verified

Run = tuple[Case, Verified, float]

_HEAD = """# Verification of the reference solver

Made by `make verification`, which runs every case below and writes this page; `make test` runs the same cases and fails
where one misses its bar. {count} cases, {seconds:.0f} s of one core. {versions}.

An error in per cent is a share of the target; one without is a difference in the unit of the target, or, where the
target is zero, a share of what the case's paragraph says. Points are those of the finest mesh. Cases that share a
solution are charged with it once, in the first row. Seconds are of one core, other programs' included.

| law | target | our result | error | bar | source | points | seconds |
| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |
"""

_TAIL = """
## What is not verified here

- **NAFEMS LE11** (cylinder, taper and sphere under a temperature field): there is no thermal strain in the solver.
- Kinematic hardening, contact and large displacement are not modelled.
- A CalculiX deck holds Voce hardening as a table, within 1e-5 of its saturation; so that law is held to its closed form
  (cyclic bar), and the table to CalculiX.
- These benchmarks verify the program, not the choice of a material or of a load: that takes tests of the part.
"""


def format_number(value: float) -> str:
    """Four digits, without zeros that say nothing."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")


def format_share(value: float, found: Verified) -> str:
    """An error or a bar: in per cent where it is a share of a target that is not zero."""
    if found.measure == "relative" and found.target != 0:
        # Two digits tell how close it is; the bar keeps what it was given.
        return f"{100 * value:.2g} %"
    return f"{value:.2g}".replace("e-0", "e-")


def _row(case: Case, found: Verified, seconds: float) -> str:
    cells = (
        f"[{found.law}](#{case.name})",
        f"{format_number(found.target)} {found.unit}".strip(),
        f"{format_number(found.result)} {found.unit}".strip(),
        format_share(found.error, found),
        format_share(found.bar, found),
        found.source,
        str(found.points),
        f"{seconds:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def _title(module: str) -> str:
    """The paragraph that a file of cases starts with."""
    return cleandoc(sys.modules[module].__doc__ or "")


def render(runs: Sequence[Run]) -> str:
    """The page of some cases with what they found and the seconds they took."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, CalculiX 2.20"
    total = sum(seconds for _, _, seconds in runs)
    lines = [_HEAD.format(count=len(runs), seconds=total, versions=versions).rstrip()]
    lines += [_row(*run) for run in runs]
    lines += ["", "## Mesh and modelling"]
    last = ""
    for case, found, _ in runs:
        module = case.run.__module__
        if module != last:
            lines += ["", "---", "", _title(module)]
            last = module
        paragraph = cleandoc(case.run.__doc__ or "")
        lines += ["", f'<a id="{case.name}"></a>', "", f"**{found.law[0].upper()}{found.law[1:]}.** {paragraph}"]
        lines += ["", f"*Found:* {found.found}"] if found.found else []
    return "\n".join(lines) + "\n" + _TAIL
