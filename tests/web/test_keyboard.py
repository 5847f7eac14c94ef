"""The trip without a mouse, on a real service: every step by tabulator, arrows, space and enter."""

import pytest
from playwright.sync_api import Browser, expect

from tests.api.service_process import PART, Server
from tests.web.browser import PageUser, changed


@pytest.mark.slow
def test_the_whole_trip_by_keyboard(browser: Browser, service: Server) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark", reduced_motion="reduce")
    user = PageUser.of(context.new_page(), service.url)
    page, press = user.page, user.page.keyboard.press
    # Watched from the beginning: a dialog that opens before it is watched would be lost.
    page.on("filechooser", lambda chooser: chooser.set_files(PART))

    user.tab_to(page.get_by_label("Element size, mm"))
    page.keyboard.type("15")
    user.tab_to(page.locator("#part-file"))
    press("Enter")
    expect(page.locator("#part-facts")).to_contain_text("bracket.step")

    user.tab_to(page.locator("#faces-details summary"))
    press("Enter")
    bar = page.locator("#selection-list-bar")
    user.tab_to(page.get_by_label("20 hole"))
    press("Space")
    user.tab_to(bar.get_by_role("button", name="Alike"))
    press("Enter")
    user.tab_to(bar.get_by_role("button", name="Support"))
    press("Enter")
    # The new support has the focus, so that its directions are at hand.
    assert page.evaluate("document.activeElement.closest('.support-card') !== null")
    user.tab_to(page.get_by_label("11 hole"))
    press("Space")
    user.tab_to(bar.get_by_role("button", name="Load", exact=True))
    press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Force x, N"
    press("Control+A")
    page.keyboard.type("9000")

    user.tab_to(page.get_by_label("Material", exact=True))
    page.keyboard.type("Al 7075")
    expect(page.get_by_label("Material", exact=True)).to_have_value("Al 7075-T6")
    user.tab_to(page.get_by_role("button", name="Ramp and unload"))
    press("Enter")
    expect(page.locator(".grid-table input")).to_have_count(6)
    user.tab_to(page.locator("#predict"))
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    press("Enter")
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator("#fields-busy")).to_be_hidden()

    user.tab_to(page.locator("#ranking-panel button"))
    press("Enter")
    user.tab_to(page.locator("#probe-hottest"))
    press("Enter")
    expect(page.locator("#probe-values")).to_contain_text("von Mises")
    user.tab_to(page.locator("#canvas"))
    still = user.view()
    press("ArrowRight")
    turned = user.view()
    press("+")
    assert changed(still, turned) > 0.01 and changed(turned, user.view()) > 0.01
    user.tab_to(page.get_by_role("button", name="Section"))
    press("Space")
    user.tab_to(page.get_by_label("Place of the section plane"))
    before = user.view()
    for _ in range(5):
        press("PageUp")
    assert changed(before, user.view()) > 0.01
    user.tab_to(page.locator("#time"))
    caption = page.locator(".step-caption").inner_text()
    press("Home")
    expect(page.locator(".step-caption")).not_to_have_text(caption)
    user.tab_to(page.locator("#field"))
    page.keyboard.type("plastic")
    expect(page.locator("#legend")).to_contain_text("plastic strain")
    user.tab_to(page.locator("#tab-results"))
    press("ArrowLeft")
    expect(page.locator("#setup")).to_be_visible()
    assert not user.troubles
    context.close()
