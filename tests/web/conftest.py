"""A browser, and a service as it is installed."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.api.service_process import Server
from tests.web.browser import CHROMIUM, opened_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module, as Playwright's event loop runs in this thread until it is closed."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the model that is shipped: the page shows its real answers."""
    running = Server(tmp_path_factory.mktemp("service"))
    running.start()
    yield running
    running.end()
