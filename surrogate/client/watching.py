"""Following a job until it ends: by its events where they come through, by asking again where they do not.

The stream is taken up where it broke (`Last-Event-ID`); a proxy that keeps events back, or a service that has no place
for one more listener, is asked every few seconds instead. A service that is away for two minutes is waited for.
"""

import time
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError
from pydantic import ValidationError

from surrogate.client.connection import Connection
from surrogate.client.errors import (
    RateLimitedError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
)
from surrogate.client.wire import UNFINISHED, ProgressView

# The service sends a sign of life at least every 15 s.
_SILENCE_S = 40.0
_BROKEN_STREAMS = 3
_FIRST_PAUSE_S = 0.5
# Toward its end a wait is held to the second by asking; events may be silent for as long as this.
_LAST_S = 20.0
_ASK_S, _SHORTEST_ASK_S = 2.0, 0.2
# A service that is started again, or whose database is, is waited for: its jobs outlive it.
_PATIENCE_S = 120.0


def follow(connection: Connection, path: str, *, timeout_s: float | None) -> Iterator[ProgressView]:
    """Every change that is seen of a mesh or a prediction; the last one tells how it ended.

    Args:
        connection: to the service.
        path: of the mesh or the prediction.
        timeout_s: how long at most, s; None for as long as it takes.

    Raises:
        WaitTimeoutError: it has not ended by then.
        ClientError: refused or unreachable.
    """
    deadline = time.monotonic() + (float("inf") if timeout_s is None else timeout_s)
    last_id: str | None = None
    broken = 0
    while broken < _BROKEN_STREAMS and deadline - time.monotonic() > _LAST_S:
        try:
            for event_id, progress, ended in _events(connection, f"{path}/events", last_id):
                if deadline - time.monotonic() <= _LAST_S:
                    break
                if progress is None:
                    continue
                last_id, broken = event_id, 0
                yield progress
                if ended:
                    return
        except (RefusedError, SSEError):
            break
        except httpx.TransportError:
            broken += 1
            time.sleep(_FIRST_PAUSE_S * 2 ** (broken - 1))
        else:
            # Ended without having said how: a service that shut down.
            broken += 1
    yield from _asking(connection, path, deadline)


def _events(connection: Connection, path: str, last_id: str | None) -> Iterator[tuple[str, ProgressView | None, bool]]:
    """Id, data and whether it is the last one; None for a sign of life."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    with connection.stream(path, headers=headers, silence_s=_SILENCE_S) as response:
        for event in EventSource(response).iter_sse():
            if event.event not in ("progress", "end"):
                yield event.id, None, False
                continue
            try:
                progress = ProgressView.model_validate_json(event.data)
            except ValidationError as error:
                raise UnexpectedAnswerError(f"{path} sent an event of another kind: {event.data[:200]}") from error
            yield event.id, progress, event.event == "end"


def _asking(connection: Connection, path: str, deadline: float) -> Iterator[ProgressView]:
    seen: ProgressView | None = None
    heard = time.monotonic()
    while True:
        asked = time.monotonic()
        wait_s = max(min(_ASK_S, deadline - asked), 0.0)
        try:
            found = connection.read(
                ProgressView,
                "GET",
                path,
                headers={"Prefer": f"wait={wait_s:.0f}"},
                silence_s=wait_s + connection.timeout_s,
            )
        except (UnreachableError, UnavailableError, RateLimitedError):
            if time.monotonic() - heard > _PATIENCE_S or time.monotonic() >= deadline:
                raise
            continue
        heard = time.monotonic()
        if found != seen:
            seen = found
            yield found
        if found.status not in UNFINISHED:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(f"{path} is {found.status} and not finished in time; it goes on, wait again")
        # A service that does not honour the preference is not asked without pause.
        time.sleep(min(max(asked + _SHORTEST_ASK_S - time.monotonic(), 0.0), left))
