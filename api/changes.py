"""Tells listeners how a mesh or a prediction goes on, as server-sent events.

The table is looked at four times a second for all listeners of this process together, in one query; none holds a
thread. A listener that reads slowly skips states: only the newest one matters.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi.sse import format_sse_event
from sqlalchemy import select

from api.errors import TooManyError
from api.records import Records
from api.schemas import MeshStatus, PredictionStatus, ProgressView
from api.tables import UNFINISHED, MeshRow, PredictionRow, Row

# Proxies give a silent connection up after half a minute or more.
HEARTBEAT_S = 15.0
RETRY_MS = 2000
MOST_LISTENERS, MOST_OF_ONE_OWNER = 500, 100
_LOOK_EVERY_S = 0.25
_CHUNK = 500

log = structlog.get_logger()


@dataclass
class _Watched:
    """A row that somebody listens to: its newest state (None once it is deleted), and who wakes at the next one."""

    kind: type[Row]
    state: ProgressView | None
    listeners: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Changes:
    """The listeners of one process; for its event loop.

    Args:
        records: the tables.
        heartbeat_s: how long a listener hears nothing at most, s.
    """

    def __init__(self, records: Records, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._records = records
        self._heartbeat_s = heartbeat_s
        self._watched: dict[str, _Watched] = {}
        self._owners: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        # A slow database must not take threads from requests.
        self._thread = CapacityLimiter(1)

    def check_room(self, owner: str) -> None:
        """Whether one more may listen.

        Raises:
            TooManyError: too many do.
        """
        if self._owners[owner] >= MOST_OF_ONE_OWNER or self._owners.total() >= MOST_LISTENERS:
            raise TooManyError(
                f"{self._owners[owner]} connections listen for you and {self._owners.total()} in all, the limits are "
                f"{MOST_OF_ONE_OWNER} and {MOST_LISTENERS}; close some, or poll with `Prefer: wait=10`",
                retry_after_s=10,
            )

    def close(self) -> None:
        """Ends all streams, for the service is about to end; listeners come back with what they have seen."""
        self._closed = True
        for watched in self._watched.values():
            watched.changed.set()

    async def events(self, row: Row, owner: str, seen: int) -> AsyncIterator[bytes]:
        """The events of a row: `progress` for each state that is newer than a revision, `end` for the last one.

        Args:
            row: as it is now.
            owner: who listens.
            seen: the newest revision that the listener knows; -1 for none.
        """
        yield format_sse_event(retry=RETRY_MS)
        with self._listening(row, owner) as watched:
            while (state := watched.state) is not None and not self._closed:
                changed = watched.changed
                if state.status not in UNFINISHED:
                    yield _event("end", state)
                    return
                if state.revision > seen:
                    seen = state.revision
                    yield _event("progress", state)
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), self._heartbeat_s)
                except TimeoutError:
                    yield format_sse_event(comment="still here")

    @contextmanager
    def _listening(self, row: Row, owner: str) -> Iterator[_Watched]:
        watched = self._watched.setdefault(row.id, _Watched(type(row), progress_of(row)))
        watched.listeners += 1
        self._owners[owner] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield watched
        finally:
            watched.listeners -= 1
            self._owners[owner] -= 1
            if not watched.listeners:
                del self._watched[row.id]
            if not self._owners[owner]:
                del self._owners[owner]

    async def _look(self) -> None:
        """Looks at the watched rows as long as there are any."""
        while self._watched:
            await asyncio.sleep(_LOOK_EVERY_S)
            asked = {row_id: watched.kind for row_id, watched in self._watched.items()}
            try:
                found = await to_thread.run_sync(self._states, asked, limiter=self._thread)
            except Exception as error:
                # The database may be away for a while: listeners hear that they are not forgotten, and no more.
                log.warning("cannot look for changes", reason=str(error)[:200])
                continue
            for row_id in asked:
                watched = self._watched.get(row_id)
                if watched is not None and watched.state != found.get(row_id):
                    watched.state = found.get(row_id)
                    watched.changed.set()
                    watched.changed = asyncio.Event()

    def _states(self, asked: dict[str, type[Row]]) -> dict[str, ProgressView]:
        """The state of each row that is still there. Not the whole row: its request may be megabytes long."""
        found: dict[str, ProgressView] = {}
        with self._records.sessions() as session:
            for ids in _chunks(asked, MeshRow):
                meshes = select(MeshRow.id, MeshRow.status, MeshRow.revision).where(MeshRow.id.in_(ids))
                for row_id, status, revision in session.execute(meshes):
                    found[row_id] = _of_mesh(status, revision)
            for ids in _chunks(asked, PredictionRow):
                table = PredictionRow
                predictions = select(table.id, table.status, table.revision, table.stage, table.progress)
                for row_id, status, revision, stage, progress in session.execute(predictions.where(table.id.in_(ids))):
                    found[row_id] = _of_prediction(status, revision, stage, progress)
        return found


def progress_of(row: Row) -> ProgressView:
    """How far a row is."""
    if isinstance(row, PredictionRow):
        return _of_prediction(row.status, row.revision, row.stage, row.progress)
    return _of_mesh(row.status, row.revision)


def _of_mesh(status: str, revision: int) -> ProgressView:
    """A mesh has no stages: it is there or not."""
    progress = 0.0 if status in UNFINISHED else 1.0
    return ProgressView(status=cast(MeshStatus, status), progress=progress, revision=revision)


def _of_prediction(status: str, revision: int, stage: str | None, progress: float) -> ProgressView:
    return ProgressView(status=cast(PredictionStatus, status), stage=stage, progress=progress, revision=revision)


def _chunks(asked: dict[str, type[Row]], kind: type[Row]) -> Iterator[list[str]]:
    ids = [row_id for row_id, its in asked.items() if its is kind]
    for first in range(0, len(ids), _CHUNK):
        yield ids[first : first + _CHUNK]


def seen_revision(last_event_id: str | None, row: Row) -> int:
    """The revision that a listener has seen, -1 where it names none that this row can have had."""
    with suppress(ValueError):
        if last_event_id is not None and len(last_event_id) < 20 and 0 <= int(last_event_id) <= row.revision:
            return int(last_event_id)
    return -1


def _event(kind: str, state: ProgressView) -> bytes:
    return format_sse_event(event=kind, id=str(state.revision), data_str=state.model_dump_json())
