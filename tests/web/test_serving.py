"""How the files of the page are served: compressed, asked for again, to GET and HEAD, and nothing else from the folder."""

import gzip
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import errors
from api.routes import page

DIST = Path(__file__).parents[2] / "api" / "web" / "dist"


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.include_router(page.router)
    return TestClient(app)


def test_the_page_is_at_the_root(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.content == (DIST / "index.html").read_bytes()


@pytest.mark.parametrize("name", sorted(path.name for path in DIST.iterdir()))
def test_every_built_file_is_served(client: TestClient, name: str) -> None:
    packed = client.get(f"/page/{name}", headers={"accept-encoding": "gzip"})
    plain = client.get(f"/page/{name}", headers={"accept-encoding": "identity"})
    assert packed.content == plain.content == (DIST / name).read_bytes()
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.headers["vary"] == "Accept-Encoding"


def test_the_script_is_small_on_the_wire() -> None:
    """As three.js alone is 140 kB."""
    assert len(gzip.compress((DIST / "app.js").read_bytes())) < 200_000


def test_who_has_it_already_is_told_so(client: TestClient) -> None:
    first = client.get("/page/app.js")
    again = client.get("/page/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache", "a browser must not run an old script against a new service"


def test_head_tells_of_it_alone(client: TestClient) -> None:
    assert client.head("/").headers["etag"] == client.get("/").headers["etag"]


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fsettings.py", "index.html%00"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    response = client.get(f"/page/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
