"""Files that clients may keep: an entity tag each, and no second copy for who has it already (RFC 9110, 9111)."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Literal

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.errors import NotFoundError

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


class WholeFile(FileResponse):
    """A file, all of it: a range may be ignored (RFC 9110), and one that is wrong is no error then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        wanted = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"range", b"if-range")]
        await super().__call__({**scope, "headers": wanted}, receive, send)


async def made(context: Context, make: Callable[[], Path]) -> Path:
    """A file that is made, or fetched, in a thread.

    Raises:
        NotFoundError: what it is made of was deleted meanwhile.
    """
    try:
        return await to_thread.run_sync(make, limiter=context.download_threads)
    except FileNotFoundError:
        raise NotFoundError("it was deleted meanwhile") from None


def whole(path: Path, tag: str, freshness: Freshness, media_type: str, filename: str | None = None) -> WholeFile:
    """200 with the file; with a file name it is saved, without one it is shown."""
    headers = {**_headers(tag, freshness), "Accept-Ranges": "none"}
    return WholeFile(path, media_type=media_type, filename=filename, headers=headers)


def file_responses(media_type: str, description: str) -> dict[int | str, dict[str, object]]:
    """What the OpenAPI document says of such a file."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": description, "content": content},
        304: {"description": "The copy that `If-None-Match` names is good"},
    }


def _headers(tag: str, freshness: Freshness) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": _CONTROL[freshness]}
