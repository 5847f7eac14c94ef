"""Lists in pages: newest first, each with the address of the one that follows (also as `Link`, RFC 8288)."""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from api.tables import Row

RowT = TypeVar("RowT", bound=Row)

Limit = Annotated[int, Query(ge=1, le=200, description="most entries of a page")]
After = Annotated[str | None, Query(max_length=100, description="id that the page follows")]


def page_of(
    rows: Sequence[RowT], limit: int, request: Request, response: Response
) -> tuple[Sequence[RowT], str | None]:
    """The rows of a page and the address of the next one.

    Args:
        rows: of the page, and one more where there is a next page.
        limit: most rows of a page.
        request: for the page; its filters hold for the next one.
        response: gets the header.
    """
    if len(rows) <= limit:
        return rows, None
    following = f"{request.url.path}?{urlencode({**request.query_params, 'after': rows[limit - 1].id})}"
    response.headers["Link"] = f'<{following}>; rel="next"'
    return rows[:limit], following
