"""The whole trip of the bracket on a real service: from the STEP file to margins, verification and files, by mouse.

Each stage is a fixture that goes on where the last one stopped, so that every law can be asked for alone.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Download, expect
from safetensors.numpy import load

from surrogate import load_problem
from surrogate.geometry.selectors import select_faces
from tests.api.service_process import PART, Server
from tests.web.browser import PageUser, changed, colourfulness

pytestmark = pytest.mark.slow

HISTORIES = """history\tpull\tside
limit\t0.5\t0
limit\t1\t0
limit\t0\t0
hard landing\t0.7\t0
hard landing\t1.8\t1
hard landing\t2.1\t0.5
hard landing\t0\t0
"""
# Where the faces lie in the view when the part has been opened, in shares of the view.
LUG, BOLT_HOLE = (0.36, 0.36), (0.55, 0.80)


@pytest.fixture(scope="module")
def user(browser: Browser, service: Server) -> PageUser:
    context = browser.new_context(viewport={"width": 1360, "height": 860}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service.url)
    return PageUser.of(context.new_page(), service.url)


@pytest.fixture(scope="module")
def meshed(user: PageUser) -> PageUser:
    page = user.page
    page.get_by_label("Element size, mm").fill("15")
    page.set_input_files("#part-file", PART)
    expect(page.locator("#part-facts")).to_contain_text("bracket.step")
    return user


@pytest.fixture(scope="module")
def loaded(meshed: PageUser) -> PageUser:
    """Faces clicked in the view: the four bolt holes are held, the lug is pulled along x and pushed along y."""
    page, bar = meshed.page, meshed.page.locator("#selection-view-bar")
    meshed.point_at("hole, radius 4.25 mm", BOLT_HOLE)
    meshed.click_here()
    bar.get_by_role("button", name="Alike").click()
    expect(bar).to_contain_text("4 faces")
    bar.get_by_role("button", name="Support").click()
    for name, component, newtons in (("pull", "x", "6500"), ("side", "y", "3000")):
        meshed.point_at("hole, radius 8 mm", LUG)
        meshed.click_here()
        bar.get_by_role("button", name="Load", exact=True).click()
        card = page.locator(".case-card").last
        card.get_by_label("Name of load case").fill(name)
        card.get_by_label(f"Force {component}, N").fill(newtons)
    return meshed


@pytest.fixture(scope="module")
def predicted(loaded: PageUser) -> PageUser:
    page = loaded.page
    page.get_by_label("Material", exact=True).select_option("Al 7075-T6")
    page.locator("#paste-histories summary").click()
    page.evaluate("(text) => navigator.clipboard.writeText(text)", HISTORIES)
    page.locator("#history-text").focus()
    page.keyboard.press("Control+V")
    page.get_by_role("button", name="Use this table").click()
    expect(page.locator("#todo")).to_be_hidden()
    page.evaluate("""() => {
        window.stagesSeen = [];
        const stage = document.querySelector('#run-panel .progress strong');
        new MutationObserver(() => window.stagesSeen.push(stage.textContent)).observe(stage, {childList: true});
    }""")
    page.locator("#predict").click()
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator("#fields-busy")).to_be_hidden()
    return loaded


@pytest.fixture(scope="module")
def solved(predicted: PageUser) -> PageUser:
    page = predicted.page
    page.get_by_role("button", name="Solve by FEM").click()
    expect(page.locator("#source-difference")).to_be_enabled()
    return predicted


def to_step(user: PageUser, number: int) -> None:
    """Moves the time slider, as a mouse does."""
    move = "(slider, row) => { slider.value = row; slider.dispatchEvent(new Event('input')); }"
    user.page.locator("#time").evaluate(move, number - 1)


def client_of(service: Server) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=60)


def answer_of(service: Server, fidelity: str) -> dict[str, object]:
    """The only prediction of a fidelity that the service has."""
    with client_of(service) as client:
        listed = client.get("/v1/predictions").json()["predictions"]
        (found,) = [each for each in listed if each["fidelity"] == fidelity]
        return client.get(f"/v1/predictions/{found['id']}").json()


def test_the_part_is_drawn(meshed: PageUser) -> None:
    view = meshed.view()
    assert len(np.unique(view.reshape(-1, 3), axis=0)) > 50
    assert colourfulness(view) < 0.01


def test_a_face_lights_up_under_the_mouse(meshed: PageUser) -> None:
    meshed.page.mouse.move(1340, 840)
    before = meshed.view()
    meshed.point_at("hole, radius 8 mm", LUG)
    assert 0.001 < changed(before, meshed.view()) < 0.1


def test_supports_and_loads_are_shown_where_they_act(loaded: PageUser) -> None:
    page = loaded.page
    expect(page.locator(".support-card")).to_contain_text("concave cylinders of radius 4.25 mm, 4 expected")
    tags = page.locator("#tags .tag").all_inner_texts()
    assert tags == ["support 1", "pull: 6500 N", "side: 3000 N"]
    assert colourfulness(loaded.view()) > 0.004, "arrows and held faces are coloured"


def test_the_stages_are_told_as_they_pass(predicted: PageUser) -> None:
    """The stage names come by server-sent events, not from a clock of the page."""
    stages = set(predicted.page.evaluate("window.stagesSeen"))
    assert stages & {"anchor", "encode", "rollout", "decode", "equilibrium"}, stages


def test_the_answer_is_shown_in_colours(predicted: PageUser) -> None:
    assert colourfulness(predicted.view()) > 0.08
    expect(predicted.page.locator("#legend")).to_contain_text("von Mises stress, MPa")


def test_the_time_slider_moves_through_the_history(predicted: PageUser) -> None:
    page = predicted.page
    to_step(predicted, 3)
    last = predicted.view()
    to_step(predicted, 1)
    expect(page.locator(".step-caption")).to_have_text("Step 1 of 4 · pull 0.7 · side 0")
    assert changed(last, predicted.view()) > 0.02


def test_play_runs_through_the_steps(predicted: PageUser) -> None:
    page = predicted.page
    page.get_by_role("button", name="Play").click()
    seen = set()
    for _ in range(60):
        seen.add(page.locator(".step-caption").inner_text())
        if len(seen) == 4:
            break
        page.wait_for_timeout(150)
    page.get_by_role("button", name="Pause").click()
    assert len(seen) == 4


def test_the_colours_of_each_field_have_a_scale(predicted: PageUser) -> None:
    page, pictures = predicted.page, []
    for field, title in (("plastic_strain", "plastic strain, %"), ("interval", "interval width, MPa")):
        page.locator("#field").select_option(field)
        expect(page.locator("#legend")).to_contain_text(title)
        pictures.append(predicted.view())
    expect(page.locator("#legend")).to_contain_text("not calibrated point by point")
    assert changed(*pictures) > 0.02
    page.locator("#field").select_option("von_mises")


def test_the_deformation_can_be_drawn_larger(predicted: PageUser) -> None:
    page = predicted.page
    to_step(predicted, 3)
    before = predicted.view()
    page.locator("#scale").fill("12")
    assert changed(before, predicted.view()) > 0.05
    page.locator("#scale").fill("")


def test_a_probe_reads_the_service_s_values(predicted: PageUser, service: Server) -> None:
    page = predicted.page
    page.locator("#probe-hottest").click()
    step = int(re.findall(r"\d+", page.locator(".step-caption").inner_text())[0]) - 1
    with client_of(service) as client:
        address = f"/v1/predictions/{answer_of(service, 'surrogate')['id']}/fields"
        fields = load(client.get(address, params={"history": "hard landing", "step": step}).content)
    largest = fields["von_mises"][0].max() / 1e6
    text = page.locator('#probe-values [data-field="von_mises"] td').inner_text()
    assert float(text) == pytest.approx(largest, rel=1e-3)


def test_a_click_on_the_part_probes_it(predicted: PageUser) -> None:
    page = predicted.page
    page.get_by_role("button", name="Clear").last.click()
    expect(page.locator("#probe-values")).to_contain_text("Click the part")
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.42 * box["width"], box["y"] + 0.62 * box["height"])
    expect(page.locator("#probe-values")).to_contain_text("displacement")


def test_a_section_opens_the_part(predicted: PageUser) -> None:
    page, whole = predicted.page, predicted.view()
    page.get_by_role("button", name="Section").click()
    half = predicted.view()
    page.get_by_label("Place of the section plane").fill("800")
    further = predicted.view()
    page.get_by_role("button", name="Show the other side").click()
    other = predicted.view()
    assert min(changed(whole, half), changed(half, further), changed(further, other)) > 0.03
    page.get_by_role("button", name="Section").click()
    # But for the button, which has the focus now.
    assert changed(whole, predicted.view()) < 0.004, "closed again, it is the same part"


def test_the_ranking_leads_to_each_history(predicted: PageUser, service: Server) -> None:
    page = predicted.page
    summary = answer_of(service, "surrogate")["summary"]
    rows = page.locator("#ranking-panel tbody tr")
    assert [row.get_attribute("data-history") for row in rows.all()] == summary["ranking"]
    worst = page.locator("#margins").inner_text()
    rows.nth(1).get_by_role("button").click()
    expect(page.locator("#margins-title")).to_have_text("Margins: limit")
    expect(page.locator("#fields-busy")).to_be_hidden()
    assert page.locator("#margins").inner_text() != worst
    rows.nth(0).get_by_role("button").click()
    expect(page.locator("#margins-title")).to_have_text("Margins: hard landing")


def test_margins_stand_beside_their_intervals(predicted: PageUser, service: Server) -> None:
    summary = answer_of(service, "surrogate")["summary"]
    history = next(each for each in summary["histories"] if each["name"] == "hard landing")
    peak = max((step["peak_von_mises_pa"] for step in history["steps"]), key=lambda each: each["value"])
    row = predicted.page.locator("#margins tr", has_text="peak von Mises").inner_text()
    numbers = [float(number) for number in re.findall(r"[\d.]+", row)]
    assert numbers == pytest.approx([each / 1e6 for each in (peak["value"], peak["low"], peak["high"])], rel=5e-3)


def test_the_verdict_on_the_domain_is_shown(predicted: PageUser, service: Server) -> None:
    summary = answer_of(service, "surrogate")["summary"]
    said = "Inside the training domain" if summary["domain"]["inside"] else summary["domain"]["reason"]
    expect(predicted.page.locator("#domain")).to_contain_text(said)


def test_predicted_and_solved_can_be_told_apart(solved: PageUser, service: Server) -> None:
    page = solved.page
    before = solved.view()
    page.locator("label[for=source-difference]").click()
    expect(page.locator("#legend")).to_contain_text("predicted less solved")
    expect(page.locator("#fields-busy")).to_be_hidden()
    assert changed(before, solved.view()) > 0.05
    summary = answer_of(service, "solved")["summary"]
    history = next(each for each in summary["histories"] if each["name"] == "hard landing")
    expected = 100 * history["difference"]["peak"]["displacement_rel_l2"]
    told = re.search(r"displacement ([\d.]+) %", page.locator("#differences").inner_text())
    assert told is not None and float(told[1]) == pytest.approx(expected, rel=0.06)
    page.locator("label[for=source-solved]").click()
    expect(page.locator("#legend")).not_to_contain_text("less solved")
    page.locator("label[for=source-predicted]").click()


def saved(user: PageUser, button: str, folder: Path) -> Path:
    with user.page.expect_download() as waiting:
        user.page.locator(button).click()
    download: Download = waiting.value
    path = folder / download.suggested_filename
    download.save_as(path)
    return path


def test_report_and_paraview_files_can_be_taken_along(solved: PageUser, tmp_path: Path) -> None:
    assert "<html" in saved(solved, "#download-report", tmp_path).read_text(encoding="utf-8")
    assert b"VTKFile" in saved(solved, "#download-vtu", tmp_path).read_bytes()[:200]


def test_the_problem_file_gives_the_same_answer_on_the_command_line(
    predicted: PageUser, service: Server, tmp_path: Path
) -> None:
    """What was clicked together runs as a file: same mesh, same faces, same model, so the same numbers."""
    path = saved(predicted, "#download-problem", tmp_path)
    shutil.copy(PART, tmp_path)
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))) >= {"part", "element_size_m", "supports", "load_cases"}
    command = [sys.executable, "-m", "surrogate.cli", "predict", path, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    mine, theirs = json.loads(done.stdout), answer_of(service, "surrogate")["summary"]
    assert mine["ranking"] == theirs["ranking"]
    for here, there in zip(mine["histories"], theirs["histories"], strict=True):
        assert here["permanent_set_m"]["value"] == pytest.approx(there["permanent_set_m"]["value"], rel=1e-6, abs=1e-12)
        peaks = [[step["peak_von_mises_pa"]["value"] for step in each["steps"]] for each in (here, there)]
        assert peaks[0] == pytest.approx(peaks[1], rel=1e-6)


def test_the_problem_file_finds_the_faces_that_were_clicked(predicted: PageUser, tmp_path: Path) -> None:
    path = saved(predicted, "#download-problem", tmp_path)
    shutil.copy(PART, tmp_path)
    problem = load_problem(path)
    faces = {face.id: face for face in problem.mesh.faces}
    held = [faces[id] for id in select_faces(problem.mesh, problem.supports[0].faces)]
    assert len(held) == 4 and all(face.hole and abs(face.radius - 0.00425) < 1e-5 for face in held)


def test_nothing_went_wrong_on_the_way(solved: PageUser) -> None:
    """No error in the console, no refusal by the security headers, no request to another host."""
    assert not solved.troubles
