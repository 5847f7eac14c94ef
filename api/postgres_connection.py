"""A connection to Postgres that waits for an answer for some seconds, not for ever.

libpq knows no limit for a server that accepts a statement and then says nothing: a frozen machine, a stopped process.
"""

import time
from collections.abc import Generator
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow
from psycopg.waiting import Ready, Wait

_CONNECT_S = 3
_ANSWER_S = 10.0
# Of psycopg: how often it looks whether it should go on waiting.
_LOOK_S = 0.1

T = TypeVar("T")


def postgres_arguments() -> dict[str, object]:
    """Arguments of a connection that notices within half a minute that the other machine is gone."""
    return {
        "connect_timeout": _CONNECT_S,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
    }


class BoundedConnection(psycopg.Connection[TupleRow]):
    """Closes itself when the server does not answer in time."""

    def wait(self, gen: PQGen[T], interval: float = _LOOK_S, timeout: float | None = None) -> T:
        """The outcome of what psycopg asks of the server.

        Raises:
            OperationalError: no answer in time; the connection is closed.
        """
        try:
            # Older versions of psycopg know no timeout here.
            return super().wait(_within(gen, _ANSWER_S if timeout is None else timeout), interval)
        except _NoAnswer as error:
            self.close()
            raise psycopg.OperationalError(str(error)) from None


class _NoAnswer(Exception):
    pass


def _within(steps: PQGen[T], seconds: float) -> Generator[Wait, Ready | int, T]:
    """The same steps, ended when they take too long; psycopg resumes them often while it waits."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if ready == Ready.NONE and time.monotonic() > deadline:
                raise _NoAnswer(f"Postgres did not answer within {seconds:g} s")
            wanted = steps.send(ready)
    except StopIteration as ended:
        result: T = ended.value
        return result
