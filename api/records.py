"""Reads and writes of the service's own tables.

Every method is one transaction and may be called from any thread. What requests ask for is looked up with its owner, so
that nobody learns even the existence of another's objects; jobs look up without one.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Engine, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from api.errors import ConflictError, NotFoundError
from api.schemas import ProblemDetails
from api.tables import UNFINISHED, MeshRow, PredictionRow, Row, WorkerRow, now

RowT = TypeVar("RowT", bound=Row)


class Records:
    """The tables of meshes and predictions."""

    def __init__(self, engine: Engine) -> None:
        self.sessions = sessionmaker(engine, expire_on_commit=False)

    def check(self) -> None:
        """Raises where the database does not answer."""
        with self.sessions() as session:
            session.execute(select(1))

    def add(self, row: Row) -> bool:
        """Whether the row was new; one with its id or idempotency key is left as it is."""
        try:
            with self.sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    def living_workers(self, silent_s: float) -> int:
        """How many workers were heard of within some seconds."""
        query = (
            select(func.count()).select_from(WorkerRow).where(WorkerRow.beat_at > now() - timedelta(seconds=silent_s))
        )
        with self.sessions() as session:
            return session.scalar(query) or 0

    def mesh(self, mesh_id: str, owner: str | None = None) -> MeshRow:
        """Raises NotFoundError where there is none, or it is another's."""
        return self._get(MeshRow, mesh_id, "mesh", owner)

    def prediction(self, prediction_id: str, owner: str | None = None) -> PredictionRow:
        """Raises NotFoundError where there is none, or it is another's."""
        return self._get(PredictionRow, prediction_id, "prediction", owner)

    def prediction_of_key(self, key: str, owner: str) -> PredictionRow | None:
        """The prediction that an owner made under an idempotency key."""
        query = select(PredictionRow).where(PredictionRow.idempotency_key == key, PredictionRow.owner == owner)
        with self.sessions() as session:
            return session.scalars(query).one_or_none()

    def verification_of(self, prediction_id: str) -> PredictionRow | None:
        """The newest solution that was asked for to verify a prediction."""
        newest = PredictionRow.created_at.desc()
        query = select(PredictionRow).where(PredictionRow.verifies == prediction_id).order_by(newest).limit(1)
        with self.sessions() as session:
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
        """Meshes and predictions that some job still has to finish."""
        with self.sessions() as session:
            meshes = session.scalars(select(MeshRow).where(MeshRow.status.in_(UNFINISHED))).all()
            predictions = session.scalars(select(PredictionRow).where(PredictionRow.status.in_(UNFINISHED))).all()
        return [*meshes, *predictions]

    def unfinished_count(self, owner: str | None = None) -> int:
        """How many meshes and predictions are queued or worked on."""
        count = 0
        with self.sessions() as session:
            for table in (MeshRow, PredictionRow):
                query = select(func.count()).select_from(table).where(table.status.in_(UNFINISHED))
                count += session.scalar(query if owner is None else query.where(table.owner == owner)) or 0
        return count

    def begin(self, row: Row) -> bool:
        """Marks an unfinished row as being worked on and counts the attempt; False where there is nothing to do."""
        with self.sessions.begin() as session:
            held = _held(session, row)
            if held is None or held.status not in UNFINISHED:
                return False
            held.attempts += 1
            held.revision += 1
            row.attempts = held.attempts
            if isinstance(held, PredictionRow):
                held.status, held.started_at = "running", held.started_at or now()
            else:
                held.status = "meshing"
        return True

    def report(self, prediction_id: str, stage: str, progress: float) -> bool:
        """Stores how far a prediction is; False where it was cancelled meanwhile or deleted."""
        with self.sessions.begin() as session:
            held = session.get(PredictionRow, prediction_id)
            if held is None or held.cancel_requested:
                return False
            held.stage, held.progress = stage[:64], min(max(progress, 0.0), 1.0)
            held.revision += 1
        return True

    def weigh(self, prediction_id: str, size: int) -> None:
        """Stores what the files of a prediction take, bytes: they count for its owner's quota."""
        with self.sessions.begin() as session:
            session.execute(update(PredictionRow).where(PredictionRow.id == prediction_id).values(result_bytes=size))

    def finish(
        self, row: Row, status: str, *, facts: dict[str, object] | None = None, error: ProblemDetails | None = None
    ) -> bool:
        """Ends an unfinished row once; False where it had been ended already."""
        table = type(row)
        values: dict[str, object] = {"status": status, "error": error.model_dump(exclude_none=True) if error else None}
        if isinstance(row, PredictionRow):
            values |= {"finished_at": now(), "stage": None}
            if status == "done":
                values["progress"] = 1.0
        else:
            values["facts"] = facts
        with self.sessions.begin() as session:
            changed = session.execute(
                update(table)
                .where(table.id == row.id, table.status.in_(UNFINISHED))
                .values(revision=table.revision + 1, **values)
            )
            return bool(changed.rowcount)  # type: ignore[attr-defined]

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
            held.status, held.error, held.attempts = "queued", None, 0
            held.revision += 1
            if isinstance(held, PredictionRow):
                held.cancel_requested, held.finished_at = False, None
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
                raise ConflictError(f"{row.id} is {held.status}; cancel it or wait until it is finished")
            if held is not None:
                session.delete(held)

    def _get(self, table: type[RowT], row_id: str, what: str, owner: str | None) -> RowT:
        with self.sessions() as session:
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
        with self.sessions() as session:
            return session.scalars(query).all()


def _held(session: Session, row: RowT) -> RowT | None:
    """The row, locked until the transaction ends."""
    return session.get(type(row), row.id, with_for_update=True)
