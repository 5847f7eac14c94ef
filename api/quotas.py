"""How much one caller may have: requests a minute, jobs at once, bytes kept.

Requests are counted in the memory of one HTTP process, so that no request waits for the database; N such processes
together let N times as many through. Jobs and bytes are counted in the database, across all processes.
"""

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import sessionmaker

from api.errors import StorageQuotaError, TooManyError
from api.tables import UNFINISHED, MeshRow, PredictionRow, Row

_WINDOW_S = 60.0
# So many names are kept before those whose window is empty are forgotten: strangers choose their addresses.
_MANY_NAMES, _FORGET_EVERY_S = 4096, 1.0
_JOBS_RETRY_S = 10


@dataclass(frozen=True)
class Limits:
    """What one caller may have; 0 sets no limit.

    Attributes:
        requests_per_minute: in any 60 s.
        unfinished_jobs: most meshes and predictions that wait or run at once.
        stored_bytes: most that uploads and results take.
    """

    requests_per_minute: int = 0
    unfinished_jobs: int = 0
    stored_bytes: int = 0


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Rate:
    """How a caller stands after a request.

    Attributes:
        limit: requests in any minute.
        left: that may follow at once.
        reset_s: until one more may follow, s.
        exceeded: this request was one too many, and was not counted.
    """

    limit: int
    left: int
    reset_s: int
    exceeded: bool

    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={_WINDOW_S:.0f}',
            "RateLimit": f'"requests";r={self.left};t={self.reset_s}',
        }


class MovingWindow:
    """Counts what happened within the last minute, by name.

    It reads a clock that nobody sets: where the time of day jumps back, a window of it would refuse everybody until the
    hour has come again. For one thread, that of the event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._events: dict[str, deque[float]] = {}
        self._forgot = clock()

    def hit(self, name: str, limit: int) -> Rate:
        """Counts one event, unless there were as many as the limit."""
        rate = self.look(name, limit)
        if rate.exceeded:
            return rate
        self._events.setdefault(name, deque()).append(self._clock())
        return self.look(name, limit, counted=True)

    def look(self, name: str, limit: int, *, counted: bool = False) -> Rate:
        """How a name stands, without counting anything."""
        time = self._clock()
        self._forget(time)
        events = self._events.get(name, deque())
        while events and events[0] <= time - _WINDOW_S:
            events.popleft()
        if not events:
            self._events.pop(name, None)
        reset = math.ceil(events[0] + _WINDOW_S - time) if events else 0
        return Rate(limit, max(limit - len(events), 0), reset, not counted and len(events) >= limit)

    def _forget(self, time: float) -> None:
        """Drops empty windows, seldom, for each has to be looked at."""
        if len(self._events) > _MANY_NAMES and time - self._forgot > _FORGET_EVERY_S:
            self._forgot = time
            self._events = {name: events for name, events in self._events.items() if events[-1] > time - _WINDOW_S}


@dataclass
class _Held:
    """Places that requests hold whose rows are not stored yet."""

    jobs: int = 0
    size: int = 0


class Quotas:
    """Jobs and bytes of each owner. May be used from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = sessionmaker(engine)
        self._turn = threading.Lock()
        self._held: defaultdict[str, _Held] = defaultdict(_Held)

    @contextmanager
    def place(self, row: Row, limits: Limits) -> Iterator[None]:
        """Room for the job of a row, and for an upload: whoever asks stores it inside. What is stored needs no room.

        Raises:
            TooManyError: as many jobs wait or run as may.
            StorageQuotaError: what is kept leaves no room.
        """
        if not (limits.unfinished_jobs or limits.stored_bytes) or self._is_stored(row):
            yield
            return
        size = row.upload_bytes if isinstance(row, MeshRow) else 0
        with self._turn:
            held = self._held[row.owner]
            self._check_jobs(row.owner, limits.unfinished_jobs, held.jobs)
            self._check_bytes(row.owner, limits.stored_bytes, held.size, size)
            # Counted until the row is there, so that two requests do not both take the last place.
            held.jobs, held.size = held.jobs + 1, held.size + size
        try:
            yield
        finally:
            with self._turn:
                held.jobs, held.size = held.jobs - 1, held.size - size
                if not held.jobs:
                    del self._held[row.owner]

    def stored_bytes(self, owner: str) -> int:
        """What the uploads and the results of an owner take."""
        with self._sessions() as session:
            uploads = session.scalar(select(func.sum(MeshRow.upload_bytes)).where(MeshRow.owner == owner))
            results = session.scalar(select(func.sum(PredictionRow.result_bytes)).where(PredictionRow.owner == owner))
        return int(uploads or 0) + int(results or 0)

    def _is_stored(self, row: Row) -> bool:
        with self._sessions() as session:
            return session.get(type(row), row.id) is not None

    def _check_jobs(self, owner: str, most: int, held: int) -> None:
        if not most:
            return
        count = held
        with self._sessions() as session:
            for table in (MeshRow, PredictionRow):
                of_owner = (table.owner == owner) & table.status.in_(UNFINISHED)
                count += session.scalar(select(func.count()).select_from(table).where(of_owner)) or 0
        if count >= most:
            raise TooManyError(
                f"{count} meshes and predictions of this key wait or run, its limit is {most}; wait until some are "
                "done, or cancel some (POST /v1/predictions/{id}/cancel)",
                retry_after_s=_JOBS_RETRY_S,
            )

    def _check_bytes(self, owner: str, most: int, held: int, wanted: int) -> None:
        if not most:
            return
        taken = self.stored_bytes(owner) + held
        if taken + wanted > most or taken >= most:
            more = f", and this upload would take {wanted / 1e6:.4g} MB more" if wanted else ""
            raise StorageQuotaError(
                f"uploads and results of this key take {taken / 1e6:.4g} MB of {most / 1e6:.4g} MB{more}; delete what "
                "is no longer needed (DELETE /v1/predictions/{id}, then DELETE /v1/meshes/{id})"
            )
