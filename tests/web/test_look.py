"""The page on a phone, in the dark, and for those who cannot see or point: laws that hold for every control."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser import PageUser
from tests.web.fake_service import URL, FakeService

pytestmark = pytest.mark.slow

PHONE, DESK = {"width": 375, "height": 760}, {"width": 1280, "height": 800}
# WCAG 2.2, 1.4.3; of large or bold text less is asked.
CONTRAST, CONTRAST_LARGE = 4.5, 3.0

_NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, a[href], summary')]
    .filter((it) => it.checkVisibility() && !it.getAttribute('aria-label')?.trim() && !it.textContent.trim()
        && ![...(it.labels ?? [])].some((label) => label.textContent.trim()))
    .map((it) => it.outerHTML.slice(0, 120))"""

# Texts against the nearest opaque background behind them.
_CONTRASTS = """() => {
    const numbers = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let it = element; it; it = it.parentElement) {
            const found = numbers(getComputedStyle(it).backgroundColor);
            if (found.length === 3 || found[3] > 0.8) return found;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const it of document.querySelectorAll('body *')) {
        const text = [...it.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
        if (!text || !it.checkVisibility() || it.closest('svg, :disabled, option, .stage')) continue;
        if (it.matches('input:disabled + label')) continue;
        const style = getComputedStyle(it);
        const [a, b] = [light(numbers(style.color)), light(behind(it))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const large = parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700;
        if (ratio < (large ? LARGE : NORMAL)) poor.push(`${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
    }
    return poor;
}""".replace("LARGE", str(CONTRAST_LARGE)).replace("NORMAL", str(CONTRAST))


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page with an answer; a test may ask for a size and a scheme."""
    options: dict[str, object] = getattr(request, "param", {})
    context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **options})
    opened = context.new_page()
    FakeService().with_answer(opened)
    yield opened
    context.close()


def sideways(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_a_phone_shows_the_whole_width(page: Page) -> None:
    for tab in ("results", "setup"):
        page.locator(f"#tab-{tab}").click()
        page.locator("#faces-details").evaluate("(details) => { details.open = true; }")
        assert sideways(page) == 0, f"{tab} scrolls sideways"
        box = page.locator("#canvas").bounding_box()
        assert box is not None and box["width"] == PHONE["width"] and box["height"] > 180
        # What a finger must hit is large enough: WCAG 2.2, 2.5.8.
        low = page.evaluate(
            "() => [...document.querySelectorAll('button, select')].filter((it) => it.checkVisibility())"
            ".map((it) => [it.textContent, it.className, it.getBoundingClientRect()])"
            ".filter(([, , box]) => box.height < 24 || box.width < 24)"
            ".map(([text, name, box]) => `${text} ${name} ${box.width} x ${box.height}`)"
        )
        assert low == []


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_a_finger_probes_the_part(page: Page) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    # The ring is open in the middle.
    for share in (0.3, 0.25, 0.2, 0.35):
        page.touchscreen.tap(box["x"] + share * box["width"], box["y"] + 0.45 * box["height"])
        if "von Mises" in page.locator("#probe-values").inner_text():
            break
    expect(page.locator("#probe-values")).to_contain_text("von Mises")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str) -> None:
    context = browser.new_context(viewport=DESK, color_scheme=scheme)
    page = context.new_page()
    FakeService().with_answer(page)
    page.locator("#probe-hottest").click()
    for tab in ("results", "setup"):
        page.locator(f"#tab-{tab}").click()
        page.mouse.move(1270, 790)
        poor = page.evaluate(_CONTRASTS)
        assert not poor, f"{tab}, {scheme}: {poor}"
    context.close()


def test_every_control_has_a_name(page: Page) -> None:
    page.locator("#section").click()
    assert not page.evaluate(_NAMELESS)
    page.locator("#tab-setup").click()
    page.locator("#faces-details summary").click()
    page.locator("#face-list input").first.check()
    assert not page.evaluate(_NAMELESS)
    page.get_by_role("button", name="API key").click()
    assert not page.evaluate(_NAMELESS)


def test_light_and_dark_follow_the_system_until_chosen(page: Page) -> None:
    def back() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = back()
    page.emulate_media(color_scheme="dark")
    dark = back()
    assert dark != light
    page.get_by_role("button", name="Change to light").click()
    assert back() == light
    page.reload()
    assert back() == light, "the choice is remembered"
    page.get_by_role("button", name="Change to dark").click()
    page.emulate_media(color_scheme="light")
    assert back() == dark


def test_the_part_can_be_read_without_a_graphics_library(browser: Browser) -> None:
    """Where WebGL is not to be had, numbers, warnings and downloads still are."""
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    service = FakeService()
    service.serve(page)
    user = PageUser.of(page, URL)
    page.set_input_files("#part-file", {"name": "torus.step", "mimeType": "", "buffer": b"x"})
    expect(page.locator("#part-facts")).to_contain_text("torus.step")
    expect(page.locator("#view-hint")).to_contain_text("cannot draw in 3D")
    assert not [trouble for trouble in user.troubles if "WebGL" not in trouble]
    page.close()
