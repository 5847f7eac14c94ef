"""The page of the service, for people: HTML, script and style as they were built into `api/web/dist`."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from api.errors import NotFoundError
from api.routes.caching import has_already

router = APIRouter(include_in_schema=False)

MEDIA_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, as it is and compressed, with what its answers say of it."""

    content: bytes
    packed: bytes
    headers: dict[str, str]


@router.api_route("/", methods=["GET", "HEAD"])
def page(request: Request) -> Response:
    """The page."""
    return _served("index.html", request)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
def asset(request: Request, name: str) -> Response:
    """A file that the page loads."""
    if name not in MEDIA_TYPES:
        raise NotFoundError(f"the page has no file {name[:100]!r}; its files are {', '.join(MEDIA_TYPES)}")
    return _served(name, request)


@cache
def _asset(name: str) -> Asset:
    content = files("api").joinpath("web", "dist", name).read_bytes()
    # Asked for again each time, so that a browser never runs the script of one release against another's service.
    headers = {"ETag": f'"{sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    return Asset(content, gzip.compress(content, mtime=0), headers)


def _served(name: str, request: Request) -> Response:
    found = _asset(name)
    if has_already(request, found.headers["ETag"]):
        return Response(status_code=304, headers=found.headers)
    media_type = MEDIA_TYPES[name]
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, headers={**found.headers, "Content-Encoding": "gzip"}, media_type=media_type)
    return Response(found.content, headers=found.headers, media_type=media_type)
