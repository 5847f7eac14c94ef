"""The report is one file that says what an engineer must know, and nothing in it comes from outside."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from surrogate.errors import InfrastructureError
from surrogate.fields import Collapse
from surrogate.serving import report
from surrogate.serving.chart import Line, line_chart
from surrogate.serving.console import print_summary
from surrogate.serving.report import place_text, write_report
from surrogate.serving.report_format import balance_text, margin, plain, scaled
from surrogate.serving.setup_rows import load_rows, support_rows
from surrogate.serving.summary import compare_summary, summarize
from surrogate.serving.summary_schema import BalanceSummary, Interval, Value
from tests.serving.answers import beam, beam_predicted, beam_solved


def no_pictures(*arguments: object, **options: object) -> tuple[Path, ...]:
    raise InfrastructureError("libEGL is not installed; apt-get install libegl1")


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The report of a prediction compared with its solution, without pictures (they have tests of their own)."""
    monkeypatch.setattr(report, "render_pictures", no_pictures)
    return write_report(beam(), beam_predicted(), tmp_path, reference=beam_solved()).read_text()


def test_the_report_is_well_formed(text: str) -> None:
    """Every element that is opened is closed, in order."""
    void = {"meta", "img", "br", "line", "polyline", "polygon", "circle"}
    stack: list[str] = []

    class Reader(HTMLParser):
        def handle_startendtag(self, tag: str, attrs: object) -> None:
            assert tag in void

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in void:
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Reader().feed(text)
    assert stack == []


def test_nothing_comes_from_outside(text: str) -> None:
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)


@pytest.mark.parametrize(
    "fact",
    [
        "80, 20, 20 mm",  # size
        "ten-node tetrahedra",
        "mean ratio",  # quality
        "steel",
        "250 MPa, 400 MPa",  # yield and ultimate
        "x, y, z",  # fixed
        "plane facing (-1, 0, 0)",
        "force (0, 0, -4500) N",
        "0, 0, -4500",  # resultant of the nodal forces
        "margin of safety, yield",
        "permanent set, mm",
        "residual von Mises, MPa",
        "equilibrium residual",
        "the part is thinner than those of the training",
        "jepa-test, version 3",
        "90 % intervals",
        "Comparison with the solved answer",
        "no Bauschinger effect",
        "contact",
        "large displacement",
        "This report comes without pictures: libEGL is not installed",
        "edge of a support face",
    ],
)
def test_the_report_says(text: str, fact: str) -> None:
    assert fact in text


def test_names_are_escaped(text: str) -> None:
    assert "bend &amp; unload" in text and "bend & unload" not in text


def test_the_worst_history_is_shown_first(text: str) -> None:
    assert text.index("Worst history: bend &amp; unload") < text.index("Next: mild")


def test_a_collapse_has_no_ultimate_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "render_pictures", no_pictures)
    bend = replace(beam_solved().histories[1], collapse=Collapse(4, 0.5, "plastic strain over 20 %", (1.0, 0.5), 0.75))
    answer = replace(beam_solved(), histories=(beam_solved().histories[0], bend))
    text = write_report(beam(), answer, tmp_path).read_text()
    assert '<td class="bad">collapse</td>' in text
    assert "margin of safety, ultimate" not in text
    assert "plastic collapse during step 5, with 50% of its load increment and 75% of the history" in text
    assert "(plastic collapse in step 5 at down 1, press 0.5)" in text


def test_the_balance_is_one_line_in_the_report_and_in_the_terminal() -> None:
    summary = compare_summary(beam(), beam_predicted(), beam_solved())
    line = balance_text(summary)
    assert line is not None and re.fullmatch(r"energy balance \d+e-\d\d, reactions \d+e-\d\d", line)
    assert balance_text(summarize(beam(), beam_predicted())) is None
    console = Console(width=300, record=True, file=StringIO())
    print_summary(summary, console)
    assert line in console.export_text()
    unknown = summary.histories[0].model_copy(
        update={"balance": BalanceSummary(external_work_j=1, elastic_energy_j=1, plastic_work_j=0,
                                          energy_imbalance=None, reaction_imbalance=0.0)}
    )  # fmt: skip
    broken = balance_text(summary.model_copy(update={"histories": (unknown,), "reference": None}))
    assert broken == "energy balance not a number, reactions 0e+00"


def test_the_report_of_a_solved_answer_shows_its_balance(text: str) -> None:
    assert "energy balance" in text


@pytest.mark.slow
def test_the_pictures_are_within_the_file(tmp_path: Path) -> None:
    text = write_report(beam(), beam_predicted(), tmp_path, reference=beam_solved()).read_text()
    if "comes without pictures" in text:
        pytest.skip("no OpenGL here")
    assert text.count('src="data:image/png;base64,') == 6


def test_resultants_are_those_of_the_applied_loads() -> None:
    down, press = load_rows(beam(), beam_solved())
    # The nodal forces are consistent, so force and moment are exact up to rounding.
    assert down.force_n == pytest.approx((0.0, 0.0, -4500.0), abs=1e-8)
    assert down.moment_nm == pytest.approx((-45.0, 360.0, 0.0), abs=1e-9)
    assert press.force_n == pytest.approx((0.0, 0.0, -1e6 * 0.08 * 0.02), abs=1e-8)
    assert press.faces is not None and press.faces.area_mm2 == pytest.approx(1600, rel=1e-12)


def test_supports_name_their_faces() -> None:
    (row,) = support_rows(beam())
    assert row.fixed == "x, y, z"
    assert len(row.faces.faces) == 1 and "plane facing (-1, 0, 0)" in row.faces.faces[0]


def test_a_place_is_told_by_its_nearest_face() -> None:
    place = place_text(beam().mesh, np.array([0.04, 0.01, 0.0195]))
    assert place.startswith("(40, 10, 19.5) mm, 0.5 mm from face")
    assert "plane facing (0, 0, 1)" in place


def test_the_intervals_are_drawn_as_bands() -> None:
    chart = line_chart("stress, MPa", [Line("answer", [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])], limits=(("yield", 2.2),))
    assert chart.count("<polygon") == 1 and chart.count("<polyline") == 1 and "yield" in chart


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [5.0], [-1.0, 1.0], [1e-12, 2e-12], [1e9] * 300])
def test_a_chart_stays_within_its_frame(values: list[float]) -> None:
    chart = line_chart("any", [Line("answer", values)])
    for points in re.findall(r'points="([^"]*)"', chart):
        for pair in points.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 560 and 0 <= y <= 250


def test_numbers_are_written_as_engineers_write_them() -> None:
    assert [plain(x) for x in (503.0, 26000.0, 0.00123456, -250000.0, 1.23e9, 0.0)] == [
        "503",
        "26000",
        "0.001235",
        "-250000",
        "1.23e+09",
        "0",
    ]
    assert margin(Value(value=1.25)) == "+0.25"
    assert "-0.20 to +0.10" in margin(Interval(value=0.95, low=0.8, high=1.1))
    assert scaled(Value(value=None), 1.0) == "unbounded"
