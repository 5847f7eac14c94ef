"""Files that clients may keep: an entity tag each, and no second copy for who has it already (RFC 9110, 9111)."""

from hashlib import sha256
from pathlib import Path
from typing import Literal

from fastapi import Request, Response
from fastapi.responses import FileResponse

Freshness = Literal["forever", "ask"]
# Never in a shared cache: objects belong to their key.
_CONTROL = {"forever": "private, max-age=31536000, immutable", "ask": "private, no-cache"}


def tag_of(*parts: object) -> str:
    """A strong entity tag of what makes a file what it is."""
    return f'"{sha256(repr(parts).encode()).hexdigest()[:32]}"'


def has_already(request: Request, tag: str) -> bool:
    """Whether the client says that it has the file (`If-None-Match`)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in given.split(",")}


def unchanged(tag: str, freshness: Freshness) -> Response:
    """304: the client's copy is good."""
    return Response(status_code=304, headers=_headers(tag, freshness))


def whole(path: Path, tag: str, freshness: Freshness, media_type: str, filename: str | None = None) -> FileResponse:
    """200 with the file; with a file name it is saved, without one it is shown."""
    return FileResponse(path, media_type=media_type, filename=filename, headers=_headers(tag, freshness))


def _headers(tag: str, freshness: Freshness) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _CONTROL[freshness]}
