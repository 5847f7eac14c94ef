"""Run every verification case and write docs/verification.md: `make verification`.

Ends with exit code 1, and leaves the page as it was, where a case misses its bar.
"""

import os
import sys
from pathlib import Path

from tests.verification.cases import CASES
from tests.verification.page import Run, format_share, render

PAGE = Path(__file__).with_name("verification.md")


def _processor_seconds() -> float:
    """Seconds of one core spent so far, CalculiX and gmsh included; other work on the machine does not count."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> int:
    """Run the cases, print them, write the page; returns the exit code."""
    runs: list[Run] = []
    for case in CASES:
        start = _processor_seconds()
        found = case.run()
        runs.append((case, found, _processor_seconds() - start))
        verdict = "ok" if found.error <= found.bar else "MISSES ITS BAR"
        print(
            f"{verdict:>4}  {found.law}: {format_share(found.error, found)} of {format_share(found.bar, found)}",
            flush=True,
        )
    missed = [case.name for case, found, _ in runs if not found.error <= found.bar]
    if missed:
        print(f"{', '.join(missed)}: over the bar; {PAGE.name} is left as it was", file=sys.stderr)
        return 1
    PAGE.write_text(render(runs))
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
