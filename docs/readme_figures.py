"""Measures what the README's first screen shows: `make readme-figures`.

Predicts and solves the sample parts, draws the comparison of one of them, stores the figures in docs/measured.json and
writes the table made of them into README.md. The README never holds a figure that this script did not measure.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from surrogate import Fields, Problem, compare_summary, load_problem, predict, render_comparison, solve

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "docs" / "measured.json"
PICTURE = ROOT / "docs" / "images" / "predicted_beside_solved.png"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PARTS = ("bracket", "clevis", "flanged_boss", "rib_web", "c_clamp")
PICTURED = "bracket"
SPECTRUM = "bracket_spectrum"
WORST = 5


@dataclass(frozen=True)
class PartFigures:
    """One sample part: medians over its load histories at the FEM solution's peak step, and seconds for all of them.

    Differences are relative L2 over the volume, None where no history yields; `peak_von_mises` is the worst history's.
    """

    part: str
    points: int
    histories: int
    von_mises: float
    displacement: float
    plastic_strain: float | None
    peak_von_mises: float
    inside_domain: bool
    predict_s: float
    solve_s: float


@dataclass(frozen=True)
class SpectrumFigures:
    """Many histories on one part: seconds for all, and how many of the worst were found."""

    part: str
    points: int
    histories: int
    predict_s: float
    solve_s: float
    worst_asked: int
    worst_found: int


@dataclass(frozen=True)
class Measured:
    """Everything that the README's table shows."""

    model: str
    machine: str
    parts: list[PartFigures]
    spectrum: SpectrumFigures | None


def timed(call: Callable[[Problem], Fields], problem: Problem) -> tuple[Fields, float]:
    """An answer and the seconds that it took."""
    start = time.perf_counter()
    answer = call(problem)
    return answer, time.perf_counter() - start


def part_figures(name: str, picture: Path | None) -> tuple[PartFigures, str]:
    """Figures of one part, and the model's name; draws the comparison where a path is given."""
    problem = load_problem(ROOT / "meshes" / f"{name}.toml")
    predicted, predict_s = timed(predict, problem)
    solved, solve_s = timed(solve, problem)
    if picture is not None:
        draw(problem, predicted, solved, picture)
    histories = [
        history.difference.peak
        for history in compare_summary(problem, predicted, solved).histories
        if history.difference
    ]
    assert histories, "the two answers have no history to compare"
    plastic = [d.plastic_strain_rel_l2 for d in histories if d.plastic_strain_rel_l2]
    figures = PartFigures(
        part=name,
        points=len(problem.mesh.points),
        histories=len(problem.load_histories),
        von_mises=statistics.median(d.von_mises_rel_l2 or 0.0 for d in histories),
        displacement=statistics.median(d.displacement_rel_l2 or 0.0 for d in histories),
        plastic_strain=statistics.median(plastic) if plastic else None,
        peak_von_mises=max(abs(d.peak_von_mises_rel or 0.0) for d in histories),
        inside_domain=predicted.domain is not None and predicted.domain.inside,
        predict_s=predict_s,
        solve_s=solve_s,
    )
    return figures, f"{predicted.model.name} {predicted.model.version}" if predicted.model else "no model"


def draw(problem: Problem, predicted: Fields, solved: Fields, picture: Path) -> None:
    """Von Mises stress predicted, solved, and their difference, side by side."""
    with tempfile.TemporaryDirectory() as scratch:
        (drawn,) = render_comparison(problem, predicted, solved, Path(scratch), fields=("von_mises",))
        picture.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn, picture)


def worst_names(fields: Fields, count: int) -> set[str]:
    """The histories of the largest plastic strain."""
    ranked = sorted(fields.histories, key=lambda history: -float(history.scalars.peak_plastic_strain.max()))
    return {history.name for history in ranked[:count]}


def spectrum_figures() -> SpectrumFigures:
    """A hundred histories: the job that the model is for."""
    problem = load_problem(ROOT / "meshes" / f"{SPECTRUM}.toml")
    predicted, predict_s = timed(predict, problem)
    solved, solve_s = timed(solve, problem)
    return SpectrumFigures(
        part=SPECTRUM.removesuffix("_spectrum"),
        points=len(problem.mesh.points),
        histories=len(problem.load_histories),
        predict_s=predict_s,
        solve_s=solve_s,
        worst_asked=WORST,
        worst_found=len(worst_names(predicted, WORST) & worst_names(solved, WORST)),
    )


def percent(share: float | None) -> str:
    """A share in percent, a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f} %"


def table_text(measured: Measured) -> str:
    """The README's table and the sentences that go with it."""
    rows: list[Sequence[str]] = [
        (
            "part",
            "points",
            "histories",
            "von Mises",
            "displacement",
            "plastic strain",
            "worst peak",
            "predict",
            "solve",
        ),
        ("---", *["---:"] * 8),
    ]
    for part in measured.parts:
        mark = "" if part.inside_domain else " \\*"
        rows.append(
            (
                part.part + mark,
                f"{part.points}",
                f"{part.histories}",
                percent(part.von_mises),
                percent(part.displacement),
                percent(part.plastic_strain),
                percent(part.peak_von_mises),
                f"{part.predict_s:.1f} s",
                f"{part.solve_s:.1f} s",
            )
        )
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [
        "",
        f"Difference of {measured.model} to the FEM solution on the sample parts, none of which it was trained on: "
        "relative L2 over the volume at the peak step, median over the load histories; “worst peak” is the largest "
        f"error of the peak von Mises stress. Seconds for all histories on {measured.machine}; the FEM starts with the "
        "elastic factor that the prediction made.",
    ]
    if not all(part.inside_domain for part in measured.parts):
        lines[-1] += " \\* the model says itself that this part lies outside of its training domain."
    if measured.spectrum is not None:
        many = measured.spectrum
        lines += [
            "",
            f"With {many.histories} load histories on the {many.part} ({many.points} points): {many.predict_s:.0f} s "
            f"predicted, {many.solve_s:.0f} s solved; {many.worst_found} of the {many.worst_asked} worst are found.",
        ]
    return "\n".join(lines)


def readme_with(table: str, readme: str) -> str:
    """The README with another table between its two marks."""
    head, rest = readme.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def load_measured(path: Path = MEASURED) -> Measured:
    """What was measured last."""
    raw = json.loads(path.read_text())
    spectrum = SpectrumFigures(**raw["spectrum"]) if raw["spectrum"] else None
    return Measured(raw["model"], raw["machine"], [PartFigures(**part) for part in raw["parts"]], spectrum)


def main() -> None:
    """Measures, draws, stores, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-spectrum", action="store_true", help="leave out the hundred histories (minutes)")
    given = parser.parse_args()
    parts = []
    for name in PARTS:
        figures, model = part_figures(name, PICTURE if name == PICTURED else None)
        print(figures, flush=True)
        parts.append(figures)
    spectrum = None if given.without_spectrum else spectrum_figures()
    print(spectrum, flush=True)
    measured = Measured(model, f"{os.cpu_count()} cores ({platform.machine()}), no GPU", parts, spectrum)
    MEASURED.write_text(json.dumps(asdict(measured), indent=2) + "\n")
    readme = ROOT / "README.md"
    readme.write_text(readme_with(table_text(measured), readme.read_text()))


if __name__ == "__main__":
    main()
