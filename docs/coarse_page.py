"""The coarse anchor as a section of the results page, from what coarse.py measured."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

OURS = "coarse anchor, corrected on the fine mesh"
MIDDLE = "coarse anchor, 14 iterations and 5 modes"
QUICK = "coarse anchor, 16 iterations and 5 modes"
FEM_METHOD = "nonlinear FEM on the coarse mesh, interpolated"
REDUCED = "reduced anchor of the fine mesh itself"
METHODS = (OURS, MIDDLE, QUICK, FEM_METHOD, REDUCED)
METRICS = ("elastic stress", "peak plastic strain", "plastic strain", "displacement", "permanent set")
# The size whose row is the nonlinear FEM on the anchor's own mesh.
FEM = "5k"
BAR = 0.5
MEMORY_BAR_GB = 16.0
# Up to this ratio of seconds two methods are said to take equal time.
EQUAL_TIME = 1.1


@dataclass(frozen=True)
class PairRow:
    """One part: points of both meshes, histories, CPU seconds by method, errors of each history by method."""

    fine: int
    coarse: int
    histories: int
    seconds: dict[str, float]
    errors: dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class SizeRow:
    """One answer in a process of its own.

    Attributes:
        points: of the mesh.
        cells: of the mesh.
        stages: CPU seconds by stage.
        peak_gb: peak memory of the process.
        peak_plastic_strain: largest of all histories.
        residual: largest nodal force imbalance of a stored state over the largest load of its history.
    """

    points: int
    cells: int
    stages: dict[str, float]
    peak_gb: float
    peak_plastic_strain: float
    residual: float


class Measured(TypedDict):
    """The file of what is measured: parts by name, sizes by name."""

    test: dict[str, dict[str, object]]
    validation: dict[str, dict[str, object]]
    sizes: dict[str, dict[str, object]]


def coarse_section(path: Path) -> str:
    """The section of the results page: errors at the fine mesh's points, then time and memory by size.

    Args:
        path: of the measured figures.
    """
    measured: Measured = json.loads(path.read_text())
    parts = []
    if measured["test"]:
        rows = [PairRow(**row) for row in measured["test"].values()]  # type: ignore[arg-type]
        parts += [_pairs_head(rows), _pairs_table(rows), _pairs_verdict(rows)]
    if measured["sizes"]:
        sizes = {name: SizeRow(**row) for name, row in measured["sizes"].items()}  # type: ignore[arg-type]
        parts += [_sizes_head(sizes), _sizes_table(sizes), _sizes_verdict(sizes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def errors_of(rows: list[PairRow], method: str, metric: str) -> list[float]:
    """Errors of all histories of all parts."""
    return [errors[metric] for row in rows for errors in row.errors[method]]


def _pairs_head(rows: list[PairRow]) -> str:
    fine, coarse = (float(np.median([getattr(row, name) for row in rows])) for name in ("fine", "coarse"))
    histories = sum(len(row.errors[OURS]) for row in rows)
    return (
        f"{len(rows)} test parts with a second, coarse mesh (median {coarse:.0f} points against {fine:.0f}), "
        f"{histories} histories that yield. Everything is read at the points of the fine mesh and held against the FEM "
        "that was solved there: plastic strain and permanent set at the last step, displacement at the peak step. The "
        "FEM of the coarse mesh is the nonlinear reference solver on that mesh; its quadrature values are averaged at "
        "the points and read by the shape functions, its peak is that of its own quadrature points. Seconds are CPU "
        "seconds on one thread for all histories of a part. Median / 90th percentile of relative errors."
    )


def _pairs_table(rows: list[PairRow]) -> str:
    lines = [f"| method | CPU s | {' | '.join(METRICS)} |", f"| --- | ---: |{' ---: |' * len(METRICS)}"]
    for method in _measured(rows):
        cells = [_quantiles(errors_of(rows, method, metric)) for metric in METRICS]
        lines.append(f"| {method} | {_seconds(rows, method):.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pairs_verdict(rows: list[PairRow]) -> str:
    told = [_against_fem(rows, method) for method in _measured(rows) if method in (OURS, MIDDLE, QUICK)]
    return (
        "\n".join(told)
        + "\n\nOn parts this small the reduced anchor of the fine mesh itself is the better choice; the "
        "coarse anchor is for parts whose factor takes too long or does not fit."
    )


def _against_fem(rows: list[PairRow], method: str) -> str:
    """One line: errors and seconds over those of the FEM on the coarse mesh, and whether the bar is met."""
    ratios = {
        metric: float(np.median(errors_of(rows, method, metric)) / np.median(errors_of(rows, FEM_METHOD, metric)))
        for metric in METRICS
    }
    told = ", ".join(f"{metric} {ratio:.2f}" for metric, ratio in ratios.items())
    share = float(np.median([row.seconds[method] / row.seconds[FEM_METHOD] for row in rows]))
    missed = [metric for metric, ratio in ratios.items() if ratio > BAR]
    state = "met" if not missed else f"missed for {', '.join(missed)}"
    if share > EQUAL_TIME and not missed:
        state = "met by the errors, but not at equal time"
    return (
        f"- {method}: in {share:.2f} times the seconds of the FEM on the coarse mesh, median error over that FEM's: "
        f"{told}; the bar of {BAR:g} is {state}."
    )


def _sizes_head(sizes: Mapping[str, SizeRow]) -> str:
    text = (
        "Time and memory on finer and finer meshes of the sample bracket: 8 histories of 20 steps with two load cases, "
        "the anchor mesh at its default size, every row in a process of its own. CPU seconds on one thread, meshing "
        "left out."
    )
    if FEM in sizes:
        row = sizes[FEM]
        text += (
            f" The nonlinear FEM of the same histories on the anchor mesh ({row.points} points) takes "
            f"{sum(row.stages.values()):.1f} s and finds a peak plastic strain of {row.peak_plastic_strain:.3g}."
        )
    return text


def _sizes_table(sizes: Mapping[str, SizeRow]) -> str:
    rows = [row for name, row in sizes.items() if name != FEM]
    stages = list(dict.fromkeys(stage for row in rows for stage in row.stages))
    lines = [
        f"| points | {' | '.join(f'{stage}, s' for stage in stages)} | in all, s | s a million points | peak GB "
        "| GB a million points | peak plastic strain |",
        f"| ---: |{' ---: |' * (len(stages) + 5)}",
    ]
    for row in sorted(rows, key=lambda row: row.points):
        total = sum(row.stages.values())
        cells = [f"{row.stages.get(stage, 0.0):.1f}" for stage in stages]
        lines.append(
            f"| {row.points} | {' | '.join(cells)} | {total:.1f} | {total / row.points * 1e6:.0f} | {row.peak_gb:.2f} "
            f"| {row.peak_gb / row.points * 1e6:.1f} | {row.peak_plastic_strain:.3g} |"
        )
    return "\n".join(lines)


def _sizes_verdict(sizes: Mapping[str, SizeRow]) -> str:
    rows = sorted((row for name, row in sizes.items() if name != FEM), key=lambda row: row.points)
    if len(rows) < 2:
        return ""
    small, large = rows[-2], rows[-1]
    ratio = large.points / small.points
    time = sum(large.stages.values()) / sum(small.stages.values())
    memory = large.peak_gb / small.peak_gb
    state = "within" if large.peak_gb <= MEMORY_BAR_GB else "beyond"
    return (
        f"From {small.points} to {large.points} points, {ratio:.2f} times as many, time grows {time:.2f} times and "
        f"memory {memory:.2f} times; the largest takes {large.peak_gb:.1f} GB, {state} the {MEMORY_BAR_GB:g} GB asked "
        "for."
    )


def _measured(rows: list[PairRow]) -> list[str]:
    """The methods that every part was measured with."""
    return [method for method in METHODS if all(method in row.errors for row in rows)]


def _seconds(rows: list[PairRow], method: str) -> float:
    return float(np.median([row.seconds[method] for row in rows]))


def _quantiles(errors: list[float]) -> str:
    return f"{np.median(errors):.3f} / {np.quantile(errors, 0.9):.3f}"
