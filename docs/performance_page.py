"""Writes docs/performance.md from what solver_benchmark.py measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True)
class Row:
    """What one process measured; medians where it ran several times."""

    points: int
    wall_s: float
    cpu_s: float
    peak_gb: float
    repeats: int = 1
    note: str = ""


class Measured(TypedDict):
    """The file of what is measured."""

    machine: str
    rows: dict[str, dict[str, float | int | str]]
    differences: dict[str, dict[str, float]]


Figures = Mapping[str, Mapping[str, float]]

HEAD = """# Performance of the solver

Written by `make solver-benchmark`; do not edit. Every row ran in a process of its own on one thread
({machine}).
CPU seconds are the figure to compare, since a busy machine stretches the wall clock; peak memory is that of the
process. Rows under {below} s are medians of {repeats} runs. Own figures include imports, assembly, factor and results;
CalculiX's CPU seconds and memory are those of its process alone, its wall seconds include writing the deck and
reading the results.

The part is the sample bracket (`meshes/bracket.step`), held at four holes and pulled at the lug, in aluminium with
linear hardening (which both programs describe exactly).
"""

AGAINST = """
## Against CalculiX

*history*: 20 steps, up to 2.1 times the limit load, down to nothing and up again, with plastic flow. *few steps*:
four steps of it. *elastic*: one step, CalculiX without a plastic law. *default* is each program's own tolerance (here
1e-6 of the applied force, CalculiX 0.5 % of the average force), *tight* 1e-9 here and 1e-8 in CalculiX; answers are
compared at *tight*. CalculiX runs with the direct solver that its package is built with (SPOOLES).

| | points | program | CPU s | wall s | peak GB | CPU s of CalculiX over ours |
| --- | ---: | --- | ---: | ---: | ---: | ---: |
"""

SAME = """
Largest difference over the largest value, all points and steps:

| | displacement | von Mises stress | equivalent plastic strain |
| --- | ---: | ---: | ---: |
"""

MANY = """
## Many histories on one part

Histories that share a part share its factor, and each back-substitution serves all of them at once.

| | points | CPU s | a history |
| --- | ---: | ---: | ---: |
"""

PATTERN = """
## Where element matrices go in the global matrix

CPU seconds to find the pattern by counting (`StiffnessPattern`) and by sorting all keys (`np.unique`), same mesh.

| points | np.unique | counting | ratio |
| ---: | ---: | ---: | ---: |
"""

LARGE = """
## Large parts

Over the memory limit of `FactorSettings` (6 GB, or half of the machine's memory) the factor gives way to conjugate
gradients with an algebraic multigrid preconditioner. Set-up and two load cases, all of assembly included:

| points | by | CPU s | wall s | peak GB | difference in displacement |
| ---: | --- | ---: | ---: | ---: | ---: |
"""

FIELDS = ("displacement", "von Mises stress", "equivalent plastic strain")


def page(rows: Figures, differences: Figures, machine: str, below: float = 30, repeats: int = 3) -> str:
    """The whole page.

    Args:
        rows: figures by key "what | size | by what".
        differences: of fields, by "key against by what".
        machine: what the rows were taken on.
        below: wall seconds under which a row is repeated.
        repeats: how often.
    """
    parts = [HEAD.format(machine=machine, below=f"{below:g}", repeats=repeats)]
    parts += [AGAINST, *_against(rows), SAME, *_same(differences), MANY, *_many(rows)]
    return "".join([*parts, PATTERN, *_pattern(rows), LARGE, *_large(rows, differences)])


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _against(rows: Figures) -> Iterable[str]:
    for key, row in rows.items():
        what, _, program = key.split(" | ")
        if what not in ("elastic", "history", "few steps") or "multigrid" in program:
            continue
        other = rows.get(key.replace("own", "CalculiX")) if program.startswith("own") else None
        ratio = _number(other["cpu_s"] / row["cpu_s"]) if other and not other["note"] else ""
        seconds = (
            (_number(row["cpu_s"]), _number(row["wall_s"])) if not row["note"] else ("over", _number(row["wall_s"]))
        )
        yield _line(
            what, f"{row['points']:.0f}", program.replace("1e-9", "tight"), *seconds, _number(row["peak_gb"]), ratio
        )


def _same(differences: Figures) -> Iterable[str]:
    for key, found in differences.items():
        if "multigrid" not in key:
            name = key.replace(" | ", ", ").replace("1e-9", "tight")
            yield _line(name, *(f"{found[field]:.1e}" if field in found else "" for field in FIELDS))


def _many(rows: Figures) -> Iterable[str]:
    for key, row in rows.items():
        if key.startswith("many"):
            name = key.split(" | ")[2]
            count = int(name.split()[0]) if name[0].isdigit() else 1
            yield _line(name, f"{row['points']:.0f}", _number(row["cpu_s"]), f"{row['cpu_s'] / count:.2f}")


def _pattern(rows: Figures) -> Iterable[str]:
    for key, row in rows.items():
        before = rows.get(key.replace("counting", "np.unique"))
        if key.startswith("pattern") and key.endswith("counting") and before:
            ratio = before["cpu_s"] / row["cpu_s"]
            yield _line(f"{row['points']:.0f}", f"{before['cpu_s']:.3f}", f"{row['cpu_s']:.3f}", f"{ratio:.1f}")


def _large(rows: Figures, differences: Figures) -> Iterable[str]:
    for key, row in rows.items():
        what, _, program = key.split(" | ")
        if what == "elastic" and program.startswith("own"):
            by = "multigrid" if "multigrid" in program else "factor"
            difference = differences.get(f"{key} against own", {}).get("displacement")
            shown = "" if difference is None else f"{difference:.0e}"
            yield _line(f"{row['points']:.0f}", by, *map(_number, (row["cpu_s"], row["wall_s"], row["peak_gb"])), shown)
