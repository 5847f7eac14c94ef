"""docs/verification.md shows the cases that exist, and only figures within their bars."""

import re
from pathlib import Path

from tests.verification.cases import CASES
from tests.verification.page import format_number, render
from tests.verification.verified import relative

PAGE = (Path(__file__).parents[2] / "docs" / "verification.md").read_text()
ROW = re.compile(r"^\| \[[^\]]+\]\(#(?P<name>\w+)\) \|(?P<cells>.*)\|$", re.MULTILINE)


def test_the_rows_name_just_the_cases_that_exist() -> None:
    assert [row["name"] for row in ROW.finditer(PAGE)] == [case.name for case in CASES]


def test_every_case_has_its_paragraph() -> None:
    anchors = re.findall(r'<a id="(\w+)"></a>', PAGE)
    assert anchors == [case.name for case in CASES]


def test_the_paragraphs_are_those_of_the_cases() -> None:
    flat = " ".join(PAGE.split())
    for case in CASES:
        assert " ".join((case.run.__doc__ or "missing").split()) in flat, f"{case.name} changed: run make verification"


def test_no_figure_on_the_page_is_over_its_bar() -> None:
    for row in ROW.finditer(PAGE):
        _, _, error, bar, *_ = (cell.strip() for cell in row["cells"].split("|"))
        numbers = [float(text.split()[0]) for text in (error, bar)]
        assert ("%" in error) == ("%" in bar)
        assert numbers[0] <= numbers[1], row["name"]


def test_a_row_shows_what_was_found() -> None:
    found = relative("law", "source", 2.0, 2.01, 0.01, "MPa", 12345, "More.")
    page = render([(CASES[0], found, 1.26)])
    assert f"| [law](#{CASES[0].name}) | 2 MPa | 2.01 MPa | 0.5 % | 1 % | source | 12345 | 1.3 |" in page
    assert "More." in page


def test_numbers_are_short_and_never_rounded_to_nothing() -> None:
    assert [format_number(value) for value in (0.0, 6.0, -5.38, 1e-10, 3.0511)] == ["0", "6", "-5.38", "1e-10", "3.051"]
