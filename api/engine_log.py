"""What the job engine says goes the way of our own logs, and seldom: while its database is away it looks several times
a second, and would say so each time."""

import logging
import threading
import time
from collections.abc import Callable

import structlog

_EVERY_S = 30.0
# What differs from one time to the next comes later: addresses, ids, seconds.
_SAME = 60
_LONGEST = 500

log = structlog.get_logger()


class Seldom(logging.Filter):
    """Lets a message pass once in a while.

    Args:
        every_s: how long it is silent about the same, s.
        clock: seconds that only ever grow.
    """

    def __init__(self, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s, self._clock = every_s, clock
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it was not said lately."""
        key, now = record.getMessage()[:_SAME], self._clock()
        with self._lock:
            lately = now - self._said.get(key, -self._every_s) < self._every_s
            if not lately:
                self._said = {known: said for known, said in self._said.items() if now - said < self._every_s}
                self._said[key] = now
        return not lately


class _Ours(logging.Handler):
    """Hands on to our logs what others say."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of ours for each of theirs."""
        log.log(record.levelno, "job engine", text=" ".join(record.getMessage().split())[:_LONGEST])


def take_over_log() -> None:
    """Once the engine has set up its logger."""
    logger = logging.getLogger("dbos")
    logger.handlers[:] = [_Ours()]
    logger.propagate = False
    if not any(isinstance(known, Seldom) for known in logger.filters):
        logger.addFilter(Seldom())
