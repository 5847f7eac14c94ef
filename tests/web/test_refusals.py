"""What the page says when the service refuses, breaks off or wants a key."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.web.fake_service import URL, FakeService, Said, events, problem, said

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def opened(page: Page, service: FakeService) -> None:
    service.serve(page)
    page.goto(URL)


def give(page: Page, name: str) -> None:
    page.set_input_files("#part-file", {"name": name, "mimeType": "", "buffer": b"content"})


def set_up(page: Page) -> None:
    """A whole problem, by the list of faces."""
    give(page, "torus.step")
    page.locator("#faces-details summary").click()
    bar = page.locator("#selection-list-bar")
    for face, action in ((0, "Support"), (1, "Load")):
        page.locator("#face-list input").nth(face).check()
        bar.get_by_role("button", name=action, exact=True).click()
    page.get_by_label("Force z, N").fill("100")
    page.get_by_label("Material", exact=True).select_option("steel")


def test_the_service_s_own_words_are_shown(page: Page) -> None:
    words = "half.step is cut off: its last line END-ISO-10303-21 is missing; export it again"
    opened(page, FakeService(answers={"POST /v1/meshes": lambda request: problem(422, words)}))
    give(page, "half.step")
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_file_may_be_dropped_anywhere(page: Page) -> None:
    service = FakeService()
    opened(page, service)
    page.locator("#viewer").evaluate(
        """(target) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(['content'], 'torus.step'));
            target.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
        }"""
    )
    expect(page.locator("#part-facts")).to_contain_text("torus.step")


def test_markup_in_an_error_stays_text(page: Page) -> None:
    words = "no reader for <img src=x onerror=document.title='broken'>"
    opened(page, FakeService(answers={"POST /v1/meshes": lambda request: problem(415, words)}))
    give(page, "part.stp")
    expect(page.get_by_role("alert")).to_contain_text(words)
    assert page.title() != "broken"


def test_a_file_that_nobody_reads_is_not_sent(page: Page) -> None:
    service = FakeService()
    opened(page, service)
    give(page, "drawing.pdf")
    expect(page.get_by_role("alert")).to_contain_text("STEP")
    assert not [request for request in service.asked if request.method == "POST"]


def test_a_format_without_a_unit_asks_for_one(page: Page) -> None:
    service = FakeService()
    opened(page, service)
    give(page, "torus.stl")
    expect(page.get_by_role("button", name="Mesh the part")).to_be_disabled()
    page.get_by_label("Length unit of the file").select_option("mm")
    page.get_by_role("button", name="Mesh the part").click()
    expect(page.locator("#part-facts")).to_be_visible()
    (sent,) = [request for request in service.asked if request.method == "POST"]
    assert b'name="length_unit"\r\n\r\nmm' in (sent.post_data_buffer or b"")


def test_a_key_is_asked_for_and_sent(page: Page) -> None:
    """It lies in this tab's storage alone, and goes along with every request from then on."""

    def materials(request: Request) -> Said:
        return said({"materials": []}) if request.headers.get("x-api-key") == "secret" else problem(401, "give a key")

    service = FakeService(answers={"GET /v1/materials": materials})
    opened(page, service)
    expect(page.get_by_role("dialog")).to_contain_text("give a key")
    page.get_by_label("Key", exact=True).fill("secret")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    give(page, "torus.step")
    expect(page.locator("#part-facts")).to_be_visible()
    assert {request.headers.get("x-api-key") for request in service.asked[-3:]} == {"secret"}
    assert page.evaluate("[JSON.stringify(localStorage).includes('secret'), document.cookie]") == [False, ""]


def test_a_stream_that_breaks_is_taken_up_where_it_was(page: Page) -> None:
    """No EventSource, which could not send a key: the page itself remembers the last event that it saw."""
    seen: list[str | None] = []

    def stream(request: Request) -> Said:
        seen.append(request.headers.get("last-event-id"))
        told = {"status": "running", "stage": f"stage {len(seen)}", "progress": 0.5, "revision": 6 + len(seen)}
        return events(("progress", told)) if len(seen) < 3 else events(("end", {**told, "status": "done"}))

    service = FakeService(answers={"GET /v1/predictions/p/events": stream})
    answers = iter(["running", "running", "done"])
    service.answers["GET /v1/predictions/p"] = lambda request: said(service.prediction(next(answers)))
    opened(page, service)
    set_up(page)
    page.locator("#predict").click()
    expect(page.locator("#results")).to_be_visible()
    assert seen == [None, "7", "8"]


def test_a_failed_prediction_tells_why(page: Page) -> None:
    service = FakeService()
    error = {"type": "about:blank", "title": "Rigid body", "status": 422, "detail": "the part can still turn about z"}
    failed = {**service.prediction("failed"), "error": error}
    service.answers["GET /v1/predictions/p"] = lambda request: said(failed)
    opened(page, service)
    set_up(page)
    page.locator("#predict").click()
    expect(page.get_by_role("alert")).to_contain_text("the part can still turn about z")
    expect(page.locator("#predict")).to_be_enabled()


def test_a_service_that_is_gone_is_told_in_words(page: Page) -> None:
    service = FakeService()
    opened(page, service)
    set_up(page)
    page.route(f"{URL}/v1/**", lambda route: route.abort())
    page.locator("#predict").click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")


def test_a_reload_loses_nothing(page: Page) -> None:
    service = FakeService()
    opened(page, service)
    set_up(page)
    page.reload()
    expect(page.locator(".support-card")).to_have_count(1)
    expect(page.get_by_label("Force z, N")).to_have_value("100")
    page.locator("#predict").click()
    expect(page.locator("#results")).to_be_visible()
    page.reload()
    expect(page.locator("#tab-results")).to_be_enabled()


def test_an_answer_to_another_set_up_says_so(page: Page) -> None:
    opened(page, FakeService())
    set_up(page)
    page.locator("#predict").click()
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator("#stale")).to_be_hidden()
    page.locator("#tab-setup").click()
    page.get_by_label("Force z, N").fill("200")
    page.locator("#tab-results").click()
    expect(page.locator("#stale")).to_be_visible()


def test_a_collapse_is_told_where_margins_are_looked_for(page: Page) -> None:
    service = FakeService()
    done = service.prediction("done")
    history = done["summary"]["histories"][0]
    history["collapse"] = {"step": 3, "fraction": 0.5, "reason": "the load cannot be carried", "load_factor": 0.7}
    service.answers["GET /v1/predictions/p"] = lambda request: said(done)
    opened(page, service)
    set_up(page)
    page.locator("#predict").click()
    expect(page.locator("#margins-panel")).to_contain_text("Plastic collapse in step 4, at 70 % of the largest load")
    expect(page.locator("#margins tr", has_text="ultimate").locator("td").first).to_have_text("\u2013")
