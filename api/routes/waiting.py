"""Waiting for a row to be finished without holding a thread or the event loop."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Header, Response
from fastapi.concurrency import run_in_threadpool

from api.tables import UNFINISHED, Row

RowT = TypeVar("RowT", bound=Row)

Prefer = Annotated[str | None, Header(description="`wait=5` answers with the result if it is there in 5 s (RFC 7240)")]

_FIRST_LOOK_S = 0.02
_LONGEST_PAUSE_S = 0.25
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)


async def finished(read: Callable[[], RowT], seconds: float) -> RowT:
    """The row as soon as it is finished, or as it is after some seconds.

    The table is asked, not the job: the job may run in another process.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_LOOK_S
    while True:
        row = await run_in_threadpool(read)
        left = deadline - time.monotonic()
        if row.status not in UNFINISHED or left <= 0:
            return row
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.3, _LONGEST_PAUSE_S)


def preferred_wait_s(prefer: str | None, most_s: float, response: Response) -> float | None:
    """Seconds of `Prefer: wait=5` (RFC 7240) up to a limit, told in the response; None where there is none."""
    found = _WAIT.search(prefer or "")
    if found is None:
        return None
    wait_s = min(float(found[1]), most_s)
    response.headers["Preference-Applied"] = f"wait={wait_s:g}"
    return wait_s
