"""Histories typed or pasted, and the problem file that comes of them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from surrogate.physics.problem_file import read_problem_file
from tests.web.fake_service import FakeService

pytestmark = pytest.mark.slow

# What a name of a load case may hold: quotes, separators, other scripts, control characters.
NAMES = ('say "go", now', "Böe #1 = 火\x7f")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """Set up with one face held and two loaded; the cases have awkward names."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    FakeService().with_answer(opened)
    opened.locator("#tab-setup").click()
    opened.locator("#faces-details summary").click()
    opened.locator("#face-list input").nth(2).check()
    opened.locator("#selection-list-bar").get_by_role("button", name="Load", exact=True).click()
    opened.get_by_label("Force z, N").nth(1).fill("-0.000001")
    for number, name in enumerate(NAMES):
        opened.get_by_label(f"Name of load case {number + 1}").fill(name)
    opened.locator("#paste-histories summary").click()
    yield opened
    context.close()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def use(page: Page, text: str) -> str:
    """What the page says to a table."""
    page.locator("#history-text").fill(text)
    page.get_by_role("button", name="Use this table").click()
    return page.locator("#paste-histories .notice").inner_text()


def file_of(page: Page, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.locator("#save-problem").click()
    path = folder / "problem.toml"
    waiting.value.save_as(path)
    return path


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a, b\n1, 2", "“a” is no load case"),
        ("{0}\n", "no steps"),
        ("{0}, {1}\n1, 2\n1", "Row 3 has 1 cells for 2 columns"),
        ("{0}, {1}\n1, x", "Row 2, column"),
        ("{0}, {0}\n1, 2", "Two columns have the same name"),
        ("history, {0}\n, 1", "Row 2 has no history name"),
        ("history\nfirst", "no column of a load case"),
        ("{0}\n1e999", "not a number"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(page: Page, table: str, said: str) -> None:
    assert said in use(page, table.format(*map(quoted, NAMES)))


def test_tables_of_all_separators_mean_the_same(page: Page, tmp_path: Path) -> None:
    """As spreadsheets copy, and as they save where commas part the decimals."""
    found = []
    for separator, decimal in ((",", "."), ("\t", "."), (";", ","), ("\t", ",")):
        rows = [["history", *map(quoted, NAMES)], ["up, down", f"0{decimal}5", "1"], ["up, down", "-1", "1e-3"]]
        rows = [[quoted(cell) if "up" in cell else cell for cell in row] for row in rows]
        use(page, "\r\n".join(separator.join(row) for row in rows) + "\r\n\r\n")
        found.append(tomllib.loads(file_of(page, tmp_path).read_text(encoding="utf-8"))["load_histories"])
    assert found[0] == [{"name": "up, down", "factors": {NAMES[0]: [0.5, -1], NAMES[1]: [1, 0.001]}}]
    assert all(each == found[0] for each in found)


def test_what_is_shown_as_text_can_be_pasted_again(page: Page, tmp_path: Path) -> None:
    use(page, f"history,{quoted(NAMES[0])}\nfirst,0.1\nfirst,0.25\nsecond,-3")
    before = file_of(page, tmp_path).read_text(encoding="utf-8")
    page.get_by_role("button", name="Show the present ones").click()
    use(page, page.locator("#history-text").input_value())
    after = tomllib.loads(file_of(page, tmp_path).read_text(encoding="utf-8"))
    # A case that was left out is written down as the zeros that it means.
    for history in tomllib.loads(before)["load_histories"]:
        (found,) = [each for each in after["load_histories"] if each["name"] == history["name"]]
        steps = len(history["factors"][NAMES[0]])
        assert found["factors"] == {NAMES[1]: [0.0] * steps, **history["factors"]}


def test_cells_pasted_into_the_table_fill_it(page: Page, tmp_path: Path) -> None:
    use(page, f"history,{quoted(NAMES[0])},{quoted(NAMES[1])}\nfirst,0,0\nfirst,0,0")
    cells = page.locator(".grid-table input")
    cells.nth(2).evaluate(
        """(cell) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData('text/plain', '1\\t2\\n3\\t4\\n5\\t6');
            cell.dispatchEvent(new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}));
        }"""
    )
    expect(cells).to_have_count(8)
    factors = tomllib.loads(file_of(page, tmp_path).read_text(encoding="utf-8"))["load_histories"][0]["factors"]
    assert factors == {NAMES[0]: [0, 1, 3, 5], NAMES[1]: [0, 2, 4, 6]}


def test_the_problem_file_is_one_for_the_command_line(page: Page, tmp_path: Path) -> None:
    """Read by the reader that `surrogate predict` uses, with every awkward name as it was typed."""
    file = read_problem_file(file_of(page, tmp_path))
    assert file.part == "torus.step" and file.material == "steel"
    assert [case.name for case in file.load_cases] == list(NAMES)
    assert file.load_cases[1].loads[0].force_n == (0, 0, -1e-6)
    assert file.load_cases[1].loads[0].faces == {"face_ids": [2]}
    assert file.supports[0].faces == {"face_ids": [0]} and file.supports[0].fixed == ("x",)


def test_hundreds_of_histories_are_taken_at_once(page: Page, tmp_path: Path) -> None:
    rows = [f"h{number},{0.01 * step:g}" for number in range(300) for step in range(1, 11)]
    table = f"history,{quoted(NAMES[0])}\n" + "\n".join(rows)
    page.set_input_files("#history-file", {"name": "spectrum.csv", "mimeType": "text/csv", "buffer": table.encode()})
    expect(page.locator("#paste-histories .notice")).to_contain_text("300 histories")
    assert len(read_problem_file(file_of(page, tmp_path)).load_histories) == 300
    expect(page.locator("#history-list option")).to_have_count(300)


def test_a_material_of_ones_own_goes_along_as_a_table(page: Page, tmp_path: Path) -> None:
    page.get_by_label("Material", exact=True).select_option("own constants")
    page.get_by_label("Yield strength, MPa").fill("250")
    page.get_by_label("Hardening modulus, MPa").fill("0")
    file = read_problem_file(file_of(page, tmp_path))
    assert not isinstance(file.material, str)
    assert file.material.yield_strength_pa == 250e6 and file.material.hardening.linear_modulus_pa == 0
    page.get_by_label("Material", exact=True).select_option("steel")
