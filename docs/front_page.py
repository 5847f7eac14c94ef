"""The accuracy-time front as tables and as a picture, from what front.py measured."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

SIZES = ("5k", "20k", "80k")
MANY, ONE = "200", "1"
OURS = "ours, quick"
WORST = 5
DECODED = f"ours, quick, {WORST} worst decoded"
CORRECTED = "ours, worst corrected"
# How many times faster ours has to be than the fastest classical method that is as accurate, and what is aimed at.
BARS: Mapping[str, tuple[int, int]] = {"5k": (10, 30), "20k": (40, 100), "80k": (150, 400)}
ALLOWED = 0.08


@dataclass(frozen=True)
class Judged:
    """How far the plastic strain at the end of each history is from the truth; errors are relative.

    Attributes:
        judged: histories that yield and have a truth.
        peak_median: error of the largest equivalent plastic strain.
        peak_p90: the same, 90th percentile.
        p999_median: error of its 99.9 percentile over the volume, None where the method does not look at all points.
        p999_p90: the same, 90th percentile.
        worst_found: how many of the five worst histories are among the five worst told, None where few have a truth.
    """

    judged: int
    peak_median: float
    peak_p90: float
    p999_median: float | None
    p999_p90: float | None
    worst_found: int | None


@dataclass(frozen=True)
class Spent:
    """What a method took.

    Attributes:
        points: of the mesh.
        seconds: wall clock for all histories, scaled from those measured.
        once_s: the share of it that does not grow with the histories: anchor and modes.
        measured: histories measured.
        cpu_s: processor seconds of both cores together, scaled alike.
        peak_gb: of the process.
    """

    points: int
    seconds: float
    once_s: float
    measured: int
    cpu_s: float
    peak_gb: float


@dataclass(frozen=True)
class Row(Judged, Spent):
    """What one process measured."""


class Measured(TypedDict):
    """The file of what is measured; the clock, "wall" or "processor", is the one whose seconds are told."""

    machine: str
    clock: str
    factors: dict[str, float]
    fitted_on: int
    rows: dict[str, dict[str, float | int | None]]


def read_rows(measured: Measured) -> dict[str, Row]:
    """The rows by key "size | method | histories", their seconds those of the clock that is told."""
    rows = {key: Row(**row) for key, row in measured["rows"].items()}  # type: ignore[arg-type]
    if measured["clock"] == "wall":
        return rows
    return {key: replace(row, seconds=row.cpu_s) for key, row in rows.items()}


def of_size(rows: Mapping[str, Row], size: str, histories: str) -> dict[str, Row]:
    """The rows of one size and number of histories by method, the fastest first."""
    split = {tuple(key.split(" | ")): row for key, row in rows.items()}
    found = {name: row for (at, name, count), row in split.items() if at == size and count == histories}
    return dict(sorted(found.items(), key=lambda item: item[1].seconds))


def on_front(rows: Mapping[str, Row]) -> set[str]:
    """The methods that no other beats in both seconds and median error."""
    return {
        name
        for name, row in rows.items()
        if not any(o.seconds < row.seconds and o.peak_median <= row.peak_median for o in rows.values())
    }


# Who competes: methods that go through every step, those too that jump from turning point to turning point, and the
# reduced anchor too, which is this program's own and not learned.
EVERY_STEP, TEXTBOOK, ALL = ("ours", "reduced", "jump"), ("ours", "reduced"), ("ours",)


def fastest(
    rows: Mapping[str, Row], median: float, p90: float = float("inf"), left_out: tuple[str, ...] = TEXTBOOK
) -> str | None:
    """The fastest method within an error in the median and at the 90th percentile, or None.

    Args:
        rows: by method.
        median: error allowed.
        p90: error allowed.
        left_out: how the names of those begin that do not compete.
    """
    able = [n for n, r in rows.items() if not n.startswith(left_out) and r.peak_median <= median and r.peak_p90 <= p90]
    return min(able, key=lambda name: rows[name].seconds, default=None)


def front_section(path: Path) -> str:
    """The section of the results page: every method at every size, speed-ups against the bars, one history.

    Args:
        path: of the measured figures.
    """
    measured: Measured = json.loads(path.read_text())
    rows = read_rows(measured)
    sizes = [size for size in SIZES if of_size(rows, size, MANY)]
    absent = ", ".join(size for size in SIZES if size not in sizes)
    parts = [
        _head(measured) + (f" **Not measured yet: the mesh of {absent} points.**" if absent else ""),
        "![accuracy-time front](images/front.png)",
        "### Speed-up",
        _speed_ups(rows, sizes),
    ]
    for size in sizes:
        own = of_size(rows, size, MANY)
        parts += [f"### {next(iter(own.values())).points} points", _table(own)]
    if any(of_size(rows, size, ONE) for size in sizes):
        parts += ["### One history", _single(rows, sizes)]
    return "\n\n".join(parts) + "\n"


def _head(measured: Measured) -> str:
    clock = {
        "wall": "wall clock on two cores",
        "processor": "processor seconds on one thread (the machine was busy, so the wall clock says nothing)",
    }[measured["clock"]]
    factors = ", ".join(f"{factor:g}" for factor in measured["factors"].values())
    return (
        f"Written by `make front` ({measured['machine']}, every row in a process of its own). The "
        "question: the largest plastic strain of each of 200 load histories of 20 steps on one part, the sample "
        "bracket of `meshes/`, loaded in three directions and meshed with three element sizes. Histories are "
        "drawn by the grammar of the training data (0.5 to 3 times first yield, collapse left out). Seconds are "
        f"{clock} from mesh and problem in memory to the numbers: the elastic factor and the encoding are in "
        "them, imports and the reading of weights are not (the classical rows of a size start from one anchor, "
        "timed once). A row measured on fewer than 200 histories (column *measured*; evenly spaced in the order "
        "of their plastic strain) is scaled: the seconds spent once for the part, plus 200 / measured times the "
        "rest. Errors are relative, of the histories that yield (more than 0.01 %), against FEM on the same "
        "mesh, tolerance 1e-5 (1e-4 above 5k points); column *judged* says of how many. *Hottest cells*: the "
        "local anchor, Neuber's or "
        f"Glinka's rule at the points of the largest elastic stress, times one factor each ({factors}), fitted to "
        f"{measured['fitted_on']} training parts. *Jump* solves only where a history turns. *Reduced* is the "
        "reduced anchor with plain rounds of twelve modes each, all histories integrated at few points (*every "
        "point*: at all that may yield) and read at the hottest. *Ours, quick* is the reduced anchor too: "
        "three such rounds, the last integrated at once at the points that count, and all points that flow reaches "
        "(decisions 16 and 20), without the network; *worst corrected* is screening as shipped, by Newton's "
        "corrections, with the 20 worst corrected at all points and the 12 worst answered again with few other "
        "histories at all points. All of this is this program's own, so the speed-ups"
        " are told without the reduced anchor and with it. *Iterated to 1 %* stops when the forces are out of "
        "balance by 1 % of the largest applied. *Solved* is `solve` at the tolerance of the training data, 1e-4. "
        "Bold: on the front, no other method is both faster and as accurate in the median."
    )


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _lines(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join([_line(*header), _line("---", *["---:"] * (len(header) - 1)), *(_line(*row) for row in rows)])


def seconds_text(value: float) -> str:
    """Three digits at most."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _errors(median: float | None, p90: float | None) -> str:
    return "" if median is None or p90 is None else f"{median:.1%} / {p90:.1%}"


def _table(rows: Mapping[str, Row]) -> str:
    best = on_front(rows)
    return _lines(
        (
            "method",
            "seconds",
            "peak, median / p90",
            "99.9 %, median / p90",
            "measured",
            "judged",
            "5 worst found",
            "peak GB",
        ),
        (
            (
                f"**{name}**" if name in best else name,
                seconds_text(row.seconds),
                _errors(row.peak_median, row.peak_p90),
                _errors(row.p999_median, row.p999_p90),
                f"{row.measured}",
                f"{row.judged}",
                "" if row.worst_found is None else f"{row.worst_found}",
                f"{row.peak_gb:.1f}",
            )
            for name, row in rows.items()
        ),
    )


def _against(rows: Mapping[str, Row], name: str | None, ours: Row) -> str:
    if name is None:
        return "none is"
    return f"{name}: {seconds_text(rows[name].seconds)} s, **{rows[name].seconds / ours.seconds:.1f}x**"


def _speed_ups(rows: Mapping[str, Row], sizes: list[str]) -> str:
    lines: list[tuple[str, ...]] = []
    for size in sizes:
        own = of_size(rows, size, MANY)
        if OURS not in own:
            continue
        ours = own[OURS]
        missed = "" if ours.peak_median <= ALLOWED else " (ours is not)"
        decoded = seconds_text(own[DECODED].seconds) if DECODED in own else "not measured"
        lines.append((
            f"{ours.points}", f"{seconds_text(ours.seconds)} ({decoded})", _errors(ours.peak_median, ours.peak_p90),
            _against(own, fastest(own, ours.peak_median, left_out=EVERY_STEP), ours),
            _against(own, fastest(own, ours.peak_median), ours),
            _against(own, fastest(own, ours.peak_median, ours.peak_p90), ours),
            _against(own, fastest(own, ALLOWED, left_out=EVERY_STEP), ours) + missed,
            _against(own, fastest(own, ALLOWED), ours) + missed,
            _against(own, fastest(own, ours.peak_median, left_out=ALL), ours),
            f"{BARS[size][0]}x ({BARS[size][1]}x)",
        ))  # fmt: skip
    header = (
        "points", "ours, s (5 worst decoded)", "error, median / p90", "as accurate in the median, every step",
        "the same, jumps too", "in median and p90, jumps too", "within 8 %, every step", "within 8 %, jumps too",
        "as accurate in the median, reduced anchor too", "bar (aim)",
    )  # fmt: skip
    return _lines(header, lines) if lines else "Ours is not measured yet."


def _single(rows: Mapping[str, Row], sizes: list[str]) -> str:
    lines: list[tuple[str, ...]] = []
    for size in sizes:
        own = of_size(rows, size, ONE)
        ours = own.get(OURS)
        for name, row in own.items():
            ratio = f"{row.seconds / ours.seconds:.1f}x" if ours else ""
            lines.append((f"{row.points}", name, seconds_text(row.seconds), f"{row.peak_median:.1%}", ratio))
    text = "The history of median plastic strain alone; the error is of this one history. Ratio: its seconds over ours."
    return text + "\n\n" + _lines(("points", "method", "seconds", "peak", "ratio"), lines)


_STYLES: tuple[tuple[str, Callable[[str], bool], str, str], ...] = (
    ("local anchor, notch rules", lambda name: name.startswith(("local, ", "Neuber", "Glinka")), "v", "#888888"),
    ("reduced anchor", lambda name: name.startswith("reduced"), "s", "#1f77b4"),
    ("equilibrium passes", lambda name: name.startswith("local +"), "o", "#2ca02c"),
    ("passes at turning points", lambda name: name.startswith("jump"), "^", "#9467bd"),
    ("solved", lambda name: name == "solved", "D", "#222222"),
    ("ours", lambda name: name.startswith("ours"), "*", "#d62728"),
)


def draw(measured: Measured, picture: Path) -> None:
    """One panel a size: median error (bar up to the 90th percentile) against seconds, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = read_rows(measured)
    sizes = [size for size in SIZES if of_size(rows, size, MANY)]
    if not sizes:
        return
    shape = (5.5 * len(sizes), 5)
    figure, grid = pyplot.subplots(1, len(sizes), figsize=shape, sharey=True, squeeze=False, layout="constrained")
    axes = grid[0]
    least = 1e-3  # what is solved has next to no error against itself
    for axis, size in zip(axes, sizes, strict=True):
        own = of_size(rows, size, MANY)
        for label, belongs, marker, colour in _STYLES:
            chosen = {name: row for name, row in own.items() if belongs(name)}
            if not chosen:
                continue
            seconds = [row.seconds for row in chosen.values()]
            median = [max(row.peak_median, least) for row in chosen.values()]
            above = [max(row.peak_p90, m) - m for row, m in zip(chosen.values(), median, strict=True)]
            axis.errorbar(
                seconds, median, yerr=[[0.0] * len(above), above], fmt=marker, color=colour, label=label,
                markersize=13 if marker == "*" else 7, elinewidth=0.8, alpha=0.9,
            )  # fmt: skip
        front = sorted((row.seconds, max(row.peak_median, least)) for n, row in own.items() if n in on_front(own))
        axis.plot(*zip(*front, strict=True), color="#bbbbbb", linewidth=1, zorder=0)
        axis.axhline(ALLOWED, color="#d62728", linewidth=0.8, linestyle=":")
        axis.set(xscale="log", yscale="log", xlabel="seconds for 200 histories of 20 steps")
        axis.set_title(f"{next(iter(own.values())).points} points")
        axis.grid(True, which="both", linewidth=0.3)
    axes[0].set_ylabel("error of the peak plastic strain, median to p90")
    axes[0].legend(loc="lower left", fontsize=8)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)
