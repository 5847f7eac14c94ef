"""How the files of the page are served: compressed, asked for again, to GET and HEAD, and nothing but the page."""

import asyncio
import gzip
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api import errors
from api.routes import page

DIST = Path(__file__).parents[2] / "api" / "web" / "dist"


def ask(path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    """The answer of a service that has nothing but the page."""
    app = FastAPI()
    errors.install(app)
    app.include_router(page.router)

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return asyncio.run(once())


def test_the_page_is_at_the_root() -> None:
    response = ask("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == (DIST / "index.html").read_bytes()


@pytest.mark.parametrize("name", sorted(path.name for path in DIST.iterdir()))
def test_every_built_file_is_served(name: str) -> None:
    packed = ask(f"/page/{name}", accept_encoding="gzip")
    plain = ask(f"/page/{name}", accept_encoding="identity")
    assert packed.content == plain.content == (DIST / name).read_bytes()
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.headers["vary"] == "Accept-Encoding"


def test_the_script_is_small_on_the_wire() -> None:
    """As three.js alone is 140 kB."""
    assert len(gzip.compress((DIST / "app.js").read_bytes())) < 200_000


def test_who_has_it_already_is_told_so() -> None:
    first = ask("/page/app.js")
    again = ask("/page/app.js", if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache", "a browser must not run an old script against a new service"


def test_head_tells_of_it_alone() -> None:
    assert ask("/", method="HEAD").headers["etag"] == ask("/").headers["etag"]


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fsettings.py", "index.html%00"])
def test_nothing_else_is_served(name: str) -> None:
    response = ask(f"/page/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
