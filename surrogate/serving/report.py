"""The answer as one file to read, print and archive: report.html with its pictures and charts inside.

No script and no address outside the file. Shape letters: T steps, K load cases.
"""

import base64
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from scipy.spatial import cKDTree

from surrogate.errors import InfrastructureError
from surrogate.fields import Fields, FloatArray, HistoryFields
from surrogate.geometry.tet_mesh import TetMesh
from surrogate.physics.problem import Problem
from surrogate.serving.chart import Line, line_chart
from surrogate.serving.fields_file import written_whole
from surrogate.serving.findings import hottest_step
from surrogate.serving.mesh_report import face_text, mesh_quality
from surrogate.serving.render import render_comparison, render_pictures
from surrogate.serving.report_format import FILTERS, balance_text, hardening_text
from surrogate.serving.setup_rows import load_rows, support_rows
from surrogate.serving.summary import compare_summary, summarize
from surrogate.serving.summary_schema import HistorySummary

_log = logging.getLogger(__name__)
# The table holds them all up to this; the worst are shown in detail.
MAX_ROWS = 200
DETAILED = 3


@dataclass(frozen=True)
class _Detail:
    """One history in detail: charts, and where its peak sits."""

    summary: HistorySummary
    charts: tuple[Markup, ...]
    place: str


def write_report(problem: Problem, fields: Fields, directory: Path, *, reference: Fields | None = None) -> Path:
    """Write report.html and its PNG pictures.

    Where no picture can be drawn the report says so and comes without them.

    Args:
        problem: what was asked.
        fields: the answer.
        directory: where the files go, made if needed.
        reference: the solved answer to compare with.

    Returns:
        The path of report.html.
    """
    summary = compare_summary(problem, fields, reference) if reference else summarize(problem, fields)
    pictures, missing = _pictures(problem, fields, reference, directory)
    by_name = {history.name: history for history in fields.histories}
    solved = {history.name: history for history in reference.histories} if reference else {}
    shown = {history.name: history for history in summary.histories}
    ranked = [shown[name] for name in summary.ranking]
    details = [
        _detail(problem, by_name[h.name], solved.get(h.name), h) for h in ranked[:DETAILED] if h.peak_step is not None
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(FILTERS)
    text = environment.get_template("report.html.j2").render(
        problem=problem,
        summary=summary,
        ranked=ranked[:MAX_ROWS],
        left_out=len(ranked) - len(ranked[:MAX_ROWS]),
        details=details,
        solved={h.name: h for h in summary.reference.histories} if summary.reference else {},
        worst=next((h for h in ranked if h.peak_step is not None), None),
        quality=mesh_quality(problem.mesh),
        supports=support_rows(problem),
        loads=load_rows(problem, fields),
        factor_ranges={h.name: _factor_ranges(problem, h.factors) for h in problem.load_histories},
        pictures=pictures,
        warnings=[*summary.warnings, *missing],
        hardening=hardening_text(problem.material.hardening),
        residual=_largest_residual(fields),
        balance=balance_text(summary),
        program=version("jepa-surrogate"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    path = directory / "report.html"
    with written_whole(path) as stream:
        stream.write(text.encode())
    return path


def place_text(mesh: TetMesh, position: FloatArray) -> str:
    """Where a point of the part is, in words: coordinates, the nearest face, the depth under it.

    Args:
        mesh: the part.
        position: [3], m.
    """
    points = np.unique(mesh.triangles)
    depth, nearest = cKDTree(mesh.points[points]).query(position)
    touching = (mesh.triangles == points[nearest]).any(axis=1)
    faces = [face_text(mesh.faces[i]) for i in np.unique(mesh.triangle_face[touching])]
    x, y, z = (1e3 * position).tolist()
    where = " and ".join(faces[:3])
    return f"({x:.4g}, {y:.4g}, {z:.4g}) mm, {1e3 * depth:.2g} mm from {'the edge between ' * (len(faces) > 1)}{where}"


def _pictures(
    problem: Problem, fields: Fields, reference: Fields | None, directory: Path
) -> tuple[dict[str, str], list[str]]:
    """PNG pictures as data addresses by name, and why some are missing."""
    directory.mkdir(parents=True, exist_ok=True)
    if not any(len(history.steps) for history in fields.histories):
        return {}, []
    try:
        drawn = render_pictures(
            problem, fields, directory, fields=("setup", "von_mises", "displacement", "plastic_strain")
        )
        if reference is not None:
            drawn += render_comparison(problem, fields, reference, directory)
    except InfrastructureError as error:
        _log.warning("report without pictures: %s", error)
        return {}, [f"This report comes without pictures: {error}"]
    return {path.stem: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() for path in drawn}, []


def _detail(problem: Problem, history: HistoryFields, solved: HistoryFields | None, summary: HistorySummary) -> _Detail:
    material = problem.material
    stress_limits = (
        ("yield", 1e-6 * material.yield_strength_pa),
        ("ultimate", 1e-6 * material.ultimate_strength_pa),
    )
    charts = (
        line_chart(
            "peak von Mises stress, MPa", _lines(history, solved, "peak_von_mises_pa", 1e-6), limits=stress_limits
        ),
        line_chart("peak equivalent plastic strain, %", _lines(history, solved, "peak_plastic_strain", 100.0)),
        line_chart("largest displacement, mm", _lines(history, solved, "max_displacement_m", 1e3)),
        line_chart(
            "load factors",
            [Line(case.name, history.factors[:, k].tolist()) for k, case in enumerate(problem.load_cases)],
        ),
    )
    return _Detail(summary, charts, place_text(problem.mesh, history.scalars.peak_at_m[hottest_step(history)]))


def _lines(history: HistoryFields, solved: HistoryFields | None, name: str, factor: float) -> list[Line]:
    def scaled(scalars: object) -> list[float]:
        return [factor * value for value in getattr(scalars, name).tolist()]

    low, high = history.scalars_low, history.scalars_high
    banded = low is not None and high is not None
    lines = [Line("answer", scaled(history.scalars), scaled(low) if banded else None, scaled(high) if banded else None)]
    if solved is not None:
        lines.append(Line("solved", scaled(solved.scalars), dashed=True))
    return lines


def _factor_ranges(problem: Problem, factors: FloatArray) -> str:
    acting = [
        f"{case.name} {factors[:, k].min():.3g} to {factors[:, k].max():.3g}"
        for k, case in enumerate(problem.load_cases)
        if factors[:, k].any()
    ]
    return ", ".join(acting) or "no load"


def _largest_residual(fields: Fields) -> float:
    return max((float(h.scalars.equilibrium_residual.max(initial=0.0)) for h in fields.histories), default=0.0)
