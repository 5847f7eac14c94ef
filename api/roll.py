"""The table of workers. Whether one lives is told by its beats, never by comparing the clocks of two machines."""

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, DateTime, Delete, Engine, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import sessionmaker

from api.away import RefusedError
from api.tables import WorkerRow

_LOOKS = 10


class Roll:
    """Who works.

    Args:
        engine: of the service's own tables.
        clock: seconds that only ever grow; only their differences count.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._reading = sessionmaker(engine.execution_options(reads=True), expire_on_commit=False)
        self._database_time = _time_of_the_database(engine.dialect.name)
        self._clock, self._sleep = clock, sleep

    def workers(self) -> list[WorkerRow]:
        """All that joined and did not leave."""
        with self._reading() as session:
            return list(session.scalars(select(WorkerRow).order_by(WorkerRow.id)).all())

    def living(self, silence_s: float) -> int:
        """How many workers take jobs and were heard of within some seconds, by the clock of the database."""
        with self._reading() as session:
            # What a worker can do is noted when it begins to take jobs.
            begun = WorkerRow.facts.is_not(None)
            times = session.execute(select(WorkerRow.beat_at, self._database_time).where(begun)).all()
        # A beat of the future is one from before the clock was set back.
        return sum(abs((time_now - beat_at).total_seconds()) < silence_s for beat_at, time_now in times)

    def silence_of(self, worker_id: str) -> float | None:
        """How long ago a worker was heard of, or one that a service of that name keeps alive, s; None where never."""
        own = or_(WorkerRow.id == worker_id, WorkerRow.id.startswith(f"{worker_id}-", autoescape=True))
        with self._reading() as session:
            times = session.execute(select(WorkerRow.beat_at, self._database_time).where(own)).all()
        return min((abs((time_now - beat_at).total_seconds()) for beat_at, time_now in times), default=None)

    def join(self, row: WorkerRow, silence_s: float) -> None:
        """Takes a worker in, in place of a dead one of its name.

        Raises:
            RefusedError: a worker of its name lives.
        """
        with self._reading() as session:
            held = session.get(WorkerRow, row.id)
        # Who starts a worker holds a file of the data directory: in the same one, the other is dead.
        if held is not None and held.place != row.place and self._beats_within(held, silence_s):
            raise _name_taken(held)
        try:
            with self._sessions.begin() as session:
                if held is not None:
                    session.execute(_same_beat(held))
                session.add(row)
        except IntegrityError:
            raise _name_taken(held or row) from None

    def beat(self, worker_id: str, instance: str) -> bool:
        """Says that a worker lives; False where it is not on the roll."""
        mine = (WorkerRow.id == worker_id, WorkerRow.instance == instance)
        with self._sessions.begin() as session:
            changed = session.execute(
                update(WorkerRow).where(*mine).values(beats=WorkerRow.beats + 1, beat_at=self._database_time)
            )
            return bool(changed.rowcount)  # type: ignore[attr-defined]

    def begin(self, worker_id: str, instance: str, facts: dict[str, object]) -> None:
        """Notes that a worker takes jobs, and what it can do."""
        mine = (WorkerRow.id == worker_id, WorkerRow.instance == instance)
        with self._sessions.begin() as session:
            session.execute(update(WorkerRow).where(*mine).values(facts=facts, beat_at=self._database_time))

    def leave(self, worker_id: str, instance: str) -> None:
        """Takes a worker off that ends."""
        with self._sessions.begin() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id, WorkerRow.instance == instance))

    def dismiss(self, row: WorkerRow) -> bool:
        """Takes off a worker whose heart stopped; False where it beat again, or another process was quicker."""
        with self._sessions.begin() as session:
            return bool(session.execute(_same_beat(row)).rowcount)  # type: ignore[attr-defined]

    def _beats_within(self, row: WorkerRow, silence_s: float) -> bool:
        deadline = self._clock() + silence_s
        while self._clock() < deadline:
            self._sleep(silence_s / _LOOKS)
            with self._reading() as session:
                now = session.get(WorkerRow, row.id)
            if now is None:
                return False
            if (now.instance, now.beats) != (row.instance, row.beats):
                return True
        return False


class Watch:
    """Tells whose heart stopped: the beats are counted by the worker, the seconds by who watches.

    Args:
        roll: who works.
        silence_s: who does not beat for so long while the database answers is dead.
        clock: seconds that only ever grow.
    """

    def __init__(self, roll: Roll, silence_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._roll, self._silence_s, self._clock = roll, silence_s, clock
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._looked_at = clock()

    def look(self) -> tuple[list[WorkerRow], list[WorkerRow]]:
        """Who lives and who does not."""
        try:
            rows = self._roll.workers()
        except Exception:
            # Nobody can beat while the database is away.
            self._seen.clear()
            raise
        now = self._clock()
        if now - self._looked_at > self._silence_s:
            # It was this process that stood still.
            self._seen.clear()
        self._looked_at = now
        dead = []
        for row in rows:
            instance, beats, since = self._seen.get(row.id, ("", -1, now))
            if (instance, beats) != (row.instance, row.beats):
                self._seen[row.id] = (row.instance, row.beats, now)
            elif now - since > self._silence_s:
                dead.append(row)
        self._seen = {row.id: self._seen[row.id] for row in rows}
        return [row for row in rows if row not in dead], dead


def _name_taken(row: WorkerRow) -> RefusedError:
    return RefusedError(
        f"a worker called {row.id!r} lives on {row.host}; give each a name of its own (SURROGATE_WORKER_ID, or "
        "surrogate worker --name)"
    )


def _same_beat(row: WorkerRow) -> Delete:
    """Removes a row only as it was seen."""
    return delete(WorkerRow).where(
        WorkerRow.id == row.id, WorkerRow.instance == row.instance, WorkerRow.beats == row.beats
    )


def _time_of_the_database(dialect: str) -> ColumnElement[datetime]:
    """UTC without a zone, to the microsecond, as the tables keep it."""
    if dialect == "sqlite":
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=DateTime())
    return func.timezone("utc", func.clock_timestamp(), type_=DateTime())
