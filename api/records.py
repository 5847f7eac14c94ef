"""Reads and writes of the service's own tables.

Every method is one transaction and may be called from any thread. What requests ask for is looked up with its owner, so
that nobody learns even the existence of another's objects; jobs look up without one.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import Literal, TypeVar

from sqlalchemy import Engine, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer, sessionmaker

from api.errors import ConflictError, NotFoundError
from api.schemas import ProblemDetails
from api.tables import UNFINISHED, MeshRow, PredictionRow, Row, now

RowT = TypeVar("RowT", bound=Row)
# How a job is to go on: its prediction was cancelled, or is no longer its own.
Going = Literal["on", "cancelled", "lost"]


class Records:
    """The tables of meshes and predictions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self._reading = sessionmaker(engine.execution_options(reads=True), expire_on_commit=False)

    def check(self) -> None:
        """Raises where the database does not answer."""
        with self._reading() as session:
            session.execute(select(1))

    def add(self, row: Row) -> bool:
        """Whether the row was new; one with its id or idempotency key is left as it is."""
        try:
            with self.sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    def mesh(self, mesh_id: str, owner: str | None = None) -> MeshRow:
        """Raises NotFoundError where there is none, or it is another's."""
        return self._get(MeshRow, mesh_id, "mesh", owner)

    def prediction(self, prediction_id: str, owner: str | None = None) -> PredictionRow:
        """Raises NotFoundError where there is none, or it is another's."""
        return self._get(PredictionRow, prediction_id, "prediction", owner)

    def prediction_of_key(self, key: str, owner: str) -> PredictionRow | None:
        """The prediction that an owner made under an idempotency key."""
        query = select(PredictionRow).where(PredictionRow.idempotency_key == key, PredictionRow.owner == owner)
        with self._reading() as session:
            return session.scalars(query).one_or_none()

    def verification_of(self, prediction_id: str) -> PredictionRow | None:
        """The newest solution that was asked for to verify a prediction."""
        newest = PredictionRow.created_at.desc()
        query = select(PredictionRow).where(PredictionRow.verifies == prediction_id).order_by(newest).limit(1)
        with self._reading() as session:
            return session.scalars(query).one_or_none()

    def meshes(self, limit: int, *, owner: str | None = None, after: str | None = None) -> Sequence[MeshRow]:
        """Newest first, those that follow the mesh `after`."""
        return self._page(MeshRow, limit, owner, self.mesh(after, owner) if after is not None else None, {})

    def predictions(
        self,
        limit: int,
        *,
        owner: str | None = None,
        after: str | None = None,
        mesh_id: str | None = None,
        status: str | None = None,
    ) -> Sequence[PredictionRow]:
        """Newest first, those that follow the prediction `after`."""
        last = self.prediction(after, owner) if after is not None else None
        return self._page(PredictionRow, limit, owner, last, {"mesh_id": mesh_id, "status": status})

    def unfinished(self) -> Sequence[Row]:
        """Meshes and predictions that some job still has to finish; what was asked is left out, for it may be long."""
        with self._reading() as session:
            meshes = session.scalars(select(MeshRow).where(MeshRow.status.in_(UNFINISHED))).all()
            light = select(PredictionRow).options(defer(PredictionRow.request, raiseload=True))
            predictions = session.scalars(light.where(PredictionRow.status.in_(UNFINISHED))).all()
        return [*meshes, *predictions]

    def unfinished_count(self, owner: str | None = None) -> int:
        """How many meshes and predictions are queued or worked on."""
        count = 0
        with self._reading() as session:
            for table in (MeshRow, PredictionRow):
                query = select(func.count()).select_from(table).where(table.status.in_(UNFINISHED))
                count += session.scalar(query if owner is None else query.where(table.owner == owner)) or 0
        return count

    def begin(self, row: Row, worker: str) -> bool:
        """Marks an unfinished row as being worked on and counts the attempt; False where there is nothing to do.

        From now on only this attempt may report and finish: whoever worked on the row before was taken for dead.
        """
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None or held.run != row.run or held.status not in UNFINISHED:
                return False
            held.attempts += 1
            held.revision += 1
            row.attempts, row.worker = held.attempts, worker
            held.worker = worker
            if isinstance(held, PredictionRow):
                held.status, held.started_at = "running", held.started_at or now()
            else:
                held.status = "meshing"
        return True

    def report(self, row: PredictionRow, stage: str, progress: float) -> Going:
        """Stores how far a prediction is, and tells whether to go on."""
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None or (held.run, held.attempts, held.worker) != (row.run, row.attempts, row.worker):
                return "lost"
            if held.cancel_requested:
                return "cancelled"
            held.stage, held.progress = stage[:64], min(max(progress, 0.0), 1.0)
            held.revision += 1
        return "on"

    def weigh(self, prediction_id: str, size: int) -> None:
        """Stores what the files of a prediction take, bytes: they count for its owner's quota."""
        with self.sessions.begin() as session:
            session.execute(update(PredictionRow).where(PredictionRow.id == prediction_id).values(result_bytes=size))

    def finish(
        self, row: Row, status: str, *, facts: dict[str, object] | None = None, error: ProblemDetails | None = None
    ) -> bool:
        """Ends an unfinished row once; False where it had been ended already, or another attempt works on it."""
        table = type(row)
        values: dict[str, object] = {"status": status, "error": error.model_dump(exclude_none=True) if error else None}
        if isinstance(row, PredictionRow):
            values |= {"finished_at": now(), "stage": None}
            if status == "done":
                values["progress"] = 1.0
        else:
            values["facts"] = facts
        same = (
            table.id == row.id,
            table.run == row.run,
            table.attempts == row.attempts,
            table.worker.is_not_distinct_from(row.worker),
        )
        with self.sessions.begin() as session:
            changed = session.execute(
                update(table).where(*same, table.status.in_(UNFINISHED)).values(revision=table.revision + 1, **values)
            )
            return bool(changed.rowcount)  # type: ignore[attr-defined]

    def release(self, workers: Collection[str], *, planned: bool) -> int:
        """Puts what workers had in hand back into the queue, when they ended; how many rows there were.

        Args:
            workers: names of workers that no longer work.
            planned: they were told to end, so the attempt does not count.
        """
        count = 0
        for table in (MeshRow, PredictionRow):
            values: dict[str, object] = {"status": "queued", "worker": None, "revision": table.revision + 1}
            if planned:
                values["attempts"] = table.attempts - 1
            if table is PredictionRow:
                values |= {"stage": None, "progress": 0.0}
            in_hand = (table.status.in_(UNFINISHED), table.status != "queued", table.worker.in_(workers))
            with self.sessions.begin() as session:
                changed = session.execute(update(table).where(*in_hand).values(**values))
                count += changed.rowcount  # type: ignore[attr-defined]
        return count

    def ask_to_cancel(self, prediction_id: str, owner: str | None = None) -> PredictionRow:
        """A queued prediction is cancelled at once, a running one at its next report of progress.

        Raises:
            ConflictError: it is finished.
        """
        row = self.prediction(prediction_id, owner)
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None:
                raise NotFoundError(f"no prediction {prediction_id!r}; it may have been deleted")
            if held.status not in UNFINISHED and held.status != "cancelled":
                raise ConflictError(f"prediction {prediction_id} is {held.status} and cannot be cancelled")
            held.cancel_requested = True
            held.revision += 1
            if held.status == "queued":
                held.status, held.finished_at = "cancelled", now()
        return held

    def renew(self, row: RowT) -> RowT:
        """Starts a row again from the queue, with a new run."""
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None:
                raise NotFoundError(f"{row.id!r} was deleted meanwhile")
            held.run = uuid.uuid4().hex
            held.status, held.error, held.attempts, held.worker = "queued", None, 0, None
            held.revision += 1
            if isinstance(held, PredictionRow):
                held.cancel_requested, held.finished_at = False, None
                held.stage, held.progress = None, 0.0
        return held

    def rerun(self, row: RowT) -> RowT | None:
        """Gives an unfinished row whose job is over another job; None where it ended or another process was quicker."""
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None or held.run != row.run or held.status not in UNFINISHED:
                return None
            held.run, held.status, held.worker = uuid.uuid4().hex, "queued", None
            held.revision += 1
        return held

    def delete(self, row: Row) -> None:
        """Forgets a row; a mesh only while no prediction needs it.

        Raises:
            ConflictError: predictions of the mesh exist, or the row is being worked on.
        """
        if isinstance(row, MeshRow) and self.predictions(1, mesh_id=row.id):
            raise ConflictError(f"mesh {row.id} has predictions; delete them first (GET /v1/predictions?mesh={row.id})")
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is not None and held.status in UNFINISHED:
                remedy = "cancel it first" if isinstance(row, PredictionRow) else "meshing ends in time; try again then"
                raise ConflictError(f"{row.id} is {held.status}; {remedy}")
            if held is not None:
                session.delete(held)

    def _get(self, table: type[RowT], row_id: str, what: str, owner: str | None) -> RowT:
        with self._reading() as session:
            found = session.get(table, row_id)
        if found is None or owner not in (None, found.owner):
            raise NotFoundError(f"no {what} {row_id[:100]!r}; it may have been deleted")
        return found

    def _page(
        self, table: type[RowT], limit: int, owner: str | None, last: Row | None, equal: dict[str, str | None]
    ) -> Sequence[RowT]:
        query = select(table).order_by(table.created_at.desc(), table.id.desc()).limit(limit)
        for column, value in {"owner": owner, **equal}.items():
            if value is not None:
                query = query.where(getattr(table, column) == value)
        if last is not None:
            query = query.where(tuple_(table.created_at, table.id) < (last.created_at, last.id))
        with self._reading() as session:
            return session.scalars(query).all()


def _held(session: Session, row: RowT) -> RowT | None:
    """The row, locked until the transaction ends."""
    return session.get(type(row), row.id, with_for_update=True)
