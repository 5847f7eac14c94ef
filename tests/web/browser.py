"""A person before the page: Debian's Chromium, driven by mouse and keyboard, with an eye on what must never happen."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
)
# A busy machine takes its time over a frame in software.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Chromium without a screen, until the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class PageUser:
    """One tab.

    Attributes:
        page: the tab.
        troubles: errors of the console and of scripts, and requests to other hosts.
    """

    page: Page
    troubles: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page, url: str) -> "PageUser":
        """Watches a tab that is to show the page of a service.

        Args:
            page: the tab.
            url: address of the service; a request to any other host is a trouble.
        """
        user, host = cls(page), urlsplit(url).netloc
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: user.troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: user.troubles.append(str(error)))

        def asked(address: str) -> None:
            if not address.startswith("blob:") and urlsplit(address).netloc != host:
                user.troubles.append(f"asked {address}")

        page.on("request", lambda request: asked(request.url))
        page.goto(url)
        return user

    def settle(self) -> None:
        """Waits until what was asked for is drawn."""
        self.page.evaluate(_FRAMES)

    def view(self) -> NDArray[np.uint8]:
        """What the view of the part shows [height, width, 3]."""
        # At rest all triangles are drawn.
        self.page.wait_for_timeout(300)
        self.settle()
        picture = Image.open(io.BytesIO(self.page.locator("#canvas").screenshot()))
        return np.asarray(picture.convert("RGB"))

    def point_at(self, title: str, near: tuple[float, float]) -> None:
        """Moves the mouse in the view until the face under it is called so.

        Args:
            title: regular expression.
            near: where to begin, in shares of the view.
        """
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        for radius in range(12):
            for angle in range(max(1, 6 * radius)):
                turn = 2 * np.pi * angle / max(1, 6 * radius)
                x = box["x"] + box["width"] * near[0] + 9 * radius * np.cos(turn)
                y = box["y"] + box["height"] * near[1] + 9 * radius * np.sin(turn)
                self.page.mouse.move(x, y)
                self.settle()
                if re.search(title, self.page.locator("#pointed").inner_text()):
                    return
        raise AssertionError(f"no face {title!r} near {near}")

    def click_here(self) -> None:
        """Clicks where the mouse is."""
        self.page.mouse.down()
        self.page.mouse.up()
        self.settle()

    def tab_to(self, target: Locator, *, most: int = 250) -> None:
        """Presses the tabulator until an element has the focus."""
        wanted = target.first.element_handle()
        for _ in range(most):
            if self.page.evaluate("(wanted) => document.activeElement === wanted", wanted):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the tabulator does not reach {target}")


def colourfulness(view: NDArray[np.uint8]) -> float:
    """Share of the pixels that are strongly coloured."""
    spread = view.max(axis=2).astype(int) - view.min(axis=2)
    return float((spread > 90).mean())


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Share of the pixels that differ visibly."""
    return float((np.abs(before.astype(int) - after).max(axis=2) > 24).mean())
