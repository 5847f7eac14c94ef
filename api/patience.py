"""A job does not fail because its database or its disk is away for a while: it tries again until that is back."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.away import AwayError, StorageFullError, StoreAwayError, telling_full_disk

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0

T = TypeVar("T")

log = structlog.get_logger()


class Patience:
    """Tries again.

    Args:
        sleep: waits some seconds.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep

    def until_done(self, work: Callable[[], T], waiting: Callable[[str], None] = lambda stage: None) -> T:
        """What some work returns when nothing it stands on is away.

        Args:
            work: may be done more than once.
            waiting: told what is waited for; it may end the wait by an error of its own.
        """
        pause_s, was_away = _FIRST_PAUSE_S, False
        while True:
            try:
                with telling_full_disk():
                    done = work()
            except (AwayError, PoolTimeoutError) as error:
                what = _missing(error)
                if not was_away:
                    log.warning("waiting", until=f"there is {what}", reason=str(error)[:200])
                was_away = True
            else:
                if was_away:
                    log.info("going on")
                return done
            waiting(f"waiting for {what}")
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _missing(error: Exception) -> str:
    if isinstance(error, StorageFullError):
        return "room on the disk"
    return "the object store" if isinstance(error, StoreAwayError) else "the database"
