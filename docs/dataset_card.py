"""Writes the card of a dataset, docs/dataset.md, from a campaign's index and a check of every file in it.

python docs/dataset_card.py CAMPAIGN_DIRECTORY
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from surrogate.data.checking import CheckReport, check_dataset
from surrogate.data.splits import TRAIN_SHARE, VALIDATION_SHARE

PAGE = Path(__file__).with_name("dataset.md")
LEVELS = (0.0, 0.1, 0.5, 0.9, 1.0)
Row = dict[str, object]


def main(directory: Path) -> None:
    """Checks, counts, writes."""
    rows: list[Row] = pq.read_table(directory / "index.parquet").to_pylist()
    report = check_dataset(directory, progress=_show)
    PAGE.write_text(card(directory.name, rows, report))
    print(f"\nwritten: {PAGE}")
    if not report.passed:
        sys.exit(1)


def _show(done: float) -> None:
    print(f"\rcheck {done:.0%}", end="", file=sys.stderr, flush=True)


def card(name: str, rows: list[Row], report: CheckReport) -> str:
    """The page.

    Args:
        name: of the campaign.
        rows: of its index, one a sample.
        report: of the check.
    """
    stored = [row for row in rows if not row["reason"]]
    rejected = Counter(str(row["reason"]) for row in rows if row["reason"])
    lost = sum(_numbers(stored, "collapsed")), sum(_numbers(stored, "not_converged"))
    hours = sum(_numbers(rows, "seconds")) / 3600
    fine = [row for row in stored if 4500 <= float(str(row["points"])) <= 5500]
    paired = sum(bool(row["coarse"]) for row in stored)
    unpaired = sum(bool(row["coarse_failure"]) for row in stored)
    sections = [
        f"# The dataset `{name}`",
        "Written by `make dataset-card DATA=DIRECTORY` from the campaign's index and from a check of every file. The "
        "data themselves are not in the repository: `surrogate campaign` makes them again, each sample from its family "
        "and seed ([what the parts look like](images/family_sheet.png)).",
        f"**{len(stored)} parts, {report.histories} load histories, {report.steps} steps**, "
        f"{sum(_numbers(stored, 'bytes')) / 1e9:.1f} GB; {hours:.1f} hours of one core, median "
        f"{np.median(_numbers(stored, 'seconds')):.1f} s a part"
        + (f" ({np.median(_numbers(fine, 'seconds')):.1f} s at 4.5k to 5.5k points)" if fine else "")
        + f". {paired} parts have a coarse partner ({unpaired} more were drawn for one, and none could be meshed).",
        "## Checked",
        _check_text(report),
        "## Rejected",
        f"{len(rows)} samples were drawn, {len(rows) - len(stored)} of them rejected: "
        + (", ".join(f"{count} {reason}" for reason, count in rejected.most_common()) or "none")
        + f". Of the stored parts' histories, {lost[0]:.0f} were left out because the part collapsed on the way and "
        f"{lost[1]:.0f} because the solver did not converge: past collapse small-strain theory has no meaning.",
        "## Families",
        _family_table(stored),
        "## Materials, loads, histories",
        "Each material is an alloy of the library, its strength moved within 10 %, a part with another hardening law.",
        _count_table("alloy", Counter(str(row["alloy"]) for row in stored)),
        _count_table("hardening law", Counter(str(row["hardening"]) for row in stored)),
        _count_table("load kind (parts that have it)", _each(stored, "load_kinds"), len(stored)),
        _count_table("load cases a part", Counter(str(row["load_cases"]) for row in stored)),
        _count_table("history kind", _each_history(stored)),
        "## Distributions",
        _distributions(stored),
        "## Splits",
        f"By part, from a hash of family and seed ({TRAIN_SHARE:.0%} / {VALIDATION_SHARE:.0%} / rest), so a part that "
        "is added later never moves another: "
        + ", ".join(f"{count} {split}" for split, count in sorted(report.split_counts.items()))
        + ". By family: `--left-out-family NAME` puts all parts of one family into the test split and keeps them out "
        "of the other two.",
    ]
    return "\n\n".join(sections) + "\n"


def _check_text(report: CheckReport) -> str:
    """What the check found."""
    if not report.passed:
        return "**Failed**: " + "; ".join([*report.failures, *(f"same mesh: {names}" for names in report.duplicates)])
    return (
        "Every file was read: all numbers are finite, no mesh is there twice, plastic strain keeps the volume and "
        f"never falls, supports are at rest. Worst over all {report.steps} steps: nodal forces out of balance by "
        f"{report.worst_imbalance:.1e} (the solver's tolerance for labels is 1e-4), work neither stored nor dissipated "
        f"{report.worst_energy:.1e}, reactions against loads {report.worst_reaction:.1e}."
    )


def _numbers(rows: Iterable[Row], name: str) -> list[float]:
    return [float(str(row[name])) for row in rows]


def _each(rows: list[Row], name: str) -> Counter[str]:
    return Counter(kind for row in rows for kind in set(str(row[name]).split(",")))


def _each_history(rows: list[Row]) -> Counter[str]:
    return Counter(kind for row in rows for kind in str(row["history_kinds"]).split(","))


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _count_table(title: str, counts: Counter[str], total: int | None = None) -> str:
    total = total or sum(counts.values())
    return _table(
        (title, "number", "share"),
        [(name, str(count), f"{count / total:.1%}") for name, count in counts.most_common()],
    )


def _family_table(stored: list[Row]) -> str:
    lines = []
    for family in sorted({str(row["family"]) for row in stored}):
        own = [row for row in stored if row["family"] == family]
        medians = [float(np.median(_numbers(own, name))) for name in ("points", "seconds")]
        share, strain = (np.quantile(_numbers(own, name), (0.5, 0.9)) for name in ("yielded_share", "plastic_strain"))
        lines.append((
            family, str(len(own)), f"{sum(_numbers(own, 'histories')):.0f}", f"{medians[0]:.0f}", f"{medians[1]:.1f}",
            f"{share[0]:.1%} / {share[1]:.1%}", f"{strain[0]:.2%} / {strain[1]:.2%}",
        ))  # fmt: skip
    header = ("family", "parts", "histories", "points, median", "s a part", "yielded volume, median / p90",
              "peak plastic strain, median / p90")  # fmt: skip
    return _table(header, lines)


def _distributions(stored: list[Row]) -> str:
    """Quantiles over the parts of what spreads."""
    shown: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("largest dimension, mm", "size_m", lambda value: f"{1e3 * value:.0f}"),
        ("points", "points", lambda value: f"{value:.0f}"),
        ("largest yielded share of the volume", "yielded_share", lambda value: f"{value:.1%}"),
        ("largest equivalent plastic strain", "plastic_strain", lambda value: f"{value:.2%}"),
        ("seconds", "seconds", lambda value: f"{value:.1f}"),
        ("file, MB", "bytes", lambda value: f"{value / 1e6:.1f}"),
    )
    lines = [
        (title, *(text(float(value)) for value in np.quantile(_numbers(stored, name), LEVELS)))
        for title, name, text in shown
    ]
    return _table(("over the parts", "least", "10 %", "median", "90 %", "largest"), lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
