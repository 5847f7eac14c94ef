"""Takes the pictures of the page in docs/images/, from a real service: `make page-pictures`."""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.api.service_process import PART, Server
from tests.web.browser import PageUser, opened_browser

IMAGES = Path(__file__).parent / "images"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 760}
WIDEST = 1040
ELEMENT_SIZE_MM = "4"
HISTORIES = """history, pull, side
limit then unload, 0.5, 0
limit then unload, 1, 0
limit then unload, 0, 0
ultimate with side load, 0.75, 0.25
ultimate with side load, 1.5, 0.5
ultimate with side load, 0, 0
hard landing, 0.7, 0
hard landing, 1.4, 0.5
hard landing, 2.1, 0.5
hard landing, 1, -0.5
hard landing, 0, 0
"""


def take(page: Page, name: str) -> None:
    """Taken finer than it is kept, so that edges are smooth although software draws them."""
    page.mouse.move(2, 2)
    page.wait_for_timeout(1500)
    fine = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    kept = min(fine.width // 2, WIDEST)
    picture = fine.resize((kept, fine.height * kept // fine.width), Image.Resampling.LANCZOS)
    picture.save(IMAGES / name, optimize=True)


def set_up(page: Page) -> None:
    """The bracket, bolted down, pulled and pushed at its lug."""
    page.get_by_label("Element size, mm").fill(ELEMENT_SIZE_MM)
    page.set_input_files("#part-file", PART)
    expect(page.locator("#part-facts")).to_contain_text("bracket.step")
    page.locator("#faces-details summary").click()
    filtered, bar = page.get_by_label("Filter the faces"), page.locator("#selection-list-bar")
    filtered.fill("hole 4.25")
    page.locator("#face-list input:visible").first.check()
    bar.get_by_role("button", name="Alike").click()
    bar.get_by_role("button", name="Support").click()
    for name, component, newtons in (("pull", "x", "6500"), ("side", "y", "3000")):
        filtered.fill("hole 8 mm")
        page.locator("#face-list input:visible").first.check()
        bar.get_by_role("button", name="Load", exact=True).click()
        card = page.locator(".case-card").last
        card.get_by_label("Name of load case").fill(name)
        card.get_by_label(f"Force {component}, N").fill(newtons)
    filtered.fill("")
    page.locator("#faces-details summary").click()
    page.get_by_label("Material", exact=True).select_option("Al 7075-T6")
    page.locator("#history-text").evaluate("(text, table) => { text.value = table; }", HISTORIES)
    page.locator("#paste-histories summary").click()
    page.get_by_role("button", name="Use this table").click()
    page.locator("#faces-title").scroll_into_view_if_needed()


def pictures(browser: Browser, url: str) -> None:
    context = browser.new_context(viewport=DESK, device_scale_factor=2, color_scheme="light")
    page = PageUser.of(context.new_page(), url).page
    set_up(page)
    page.locator("#faces-title").evaluate("(title) => title.scrollIntoView({block: 'start'})")
    take(page, "page_setup.png")
    page.locator("#predict").click()
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator("#fields-busy")).to_be_hidden()
    take(page, "page_light.png")
    page.get_by_role("button", name="Solve by FEM").click()
    expect(page.locator("#source-difference")).to_be_enabled()
    page.emulate_media(color_scheme="dark")
    page.locator("#field").select_option("plastic_strain")
    page.locator("#probe-hottest").click()
    page.get_by_role("button", name="Section").click()
    page.get_by_label("Place of the section plane").fill("380")
    page.locator("label[for=source-solved]").click()
    page.locator("#margins-title").evaluate("(title) => title.scrollIntoView({block: 'start'})")
    take(page, "page_dark.png")
    page.get_by_role("button", name="Section").click()
    page.locator("label[for=source-predicted]").click()
    page.locator("#field").select_option("von_mises")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Look from a corner").click()
    page.evaluate("scrollTo(0, 0)")
    take(page, "page_phone.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, opened_browser() as browser:
        service = Server(Path(folder))
        service.start()
        try:
            pictures(browser, service.url)
        finally:
            service.end()


if __name__ == "__main__":
    main()
