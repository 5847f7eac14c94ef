"""How a mesh or a prediction goes on, as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from api.changes import seen_revision
from api.context import Context
from api.schemas import ProgressView
from api.security import Caller
from api.tables import UNFINISHED, Row

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        max_length=100,
        description="id of the last event that was seen: only newer ones follow; one that cannot be is ignored",
    ),
]
EVENT_STREAM = "text/event-stream"
WATCHED: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The events, until the last one",
        "content": {
            EVENT_STREAM: {
                # Of each event: OpenAPI 3.1 has no word for a stream of them.
                "schema": {
                    "type": "object",
                    "required": ["event", "data", "id"],
                    "properties": {
                        "event": {"enum": ["progress", "end"]},
                        "data": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": ProgressView.model_json_schema(),
                        },
                        "id": {"type": "string", "description": "the revision"},
                        "retry": {"type": "integer", "description": "when to come back after a break, ms"},
                    },
                },
                "example": "retry: 2000\n\nevent: progress\n"
                'data: {"status":"running","stage":"solve","progress":0.5,"revision":7}\nid: 7\n\n'
                'event: end\ndata: {"status":"done","stage":null,"progress":1.0,"revision":9}\nid: 9\n\n',
            }
        },
    },
    204: {"description": "The last event was seen already; do not come back"},
}
# What lies between must neither keep the events nor change them.
_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


def event_stream(context: Context, caller: Caller, row: Row, last_event_id: str | None) -> Response:
    """The events of a row; 204, which tells browsers not to come back, for who has seen the last one.

    Raises:
        TooManyError: too many listen already.
    """
    seen = seen_revision(last_event_id, row)
    if row.status not in UNFINISHED and seen == row.revision:
        return Response(status_code=204)
    context.changes.check_room(caller.owner)
    stream: AsyncIterator[bytes] = context.changes.events(row, caller.owner, seen)
    return StreamingResponse(stream, media_type=EVENT_STREAM, headers=_HEADERS)
