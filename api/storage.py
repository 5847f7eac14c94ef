"""What the service remembers: its own tables (apart from the job engine's) and blobs in a directory.

Rows say how far a mesh or a prediction is; blobs hold uploads, meshes and results. A blob is complete or absent, so a
job that runs twice does no harm.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import ClassVar, TypeVar

from sqlalchemy import Engine, String, Text, create_engine, event, select, tuple_, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.types import JSON

from api.errors import ConflictError, NotFoundError
from api.schemas import ProblemDetails
from surrogate import InfrastructureError

SCHEMA_VERSION = 1
UNFINISHED = ("queued", "meshing", "running")


def now() -> datetime:
    """The time, UTC, without a zone: SQLite keeps none."""
    return datetime.now(UTC).replace(tzinfo=None)


class Table(DeclarativeBase):
    """Base of the service's tables."""

    type_annotation_map: ClassVar = {dict[str, object]: JSON(none_as_null=True)}


class SchemaRow(Table):
    """The version of the tables, so that a newer service can tell what it found."""

    __tablename__ = "surrogate_schema"
    version: Mapped[int] = mapped_column(primary_key=True)


class Row(Table):
    """What a job finishes.

    Attributes:
        attempts: how often a job began to work on it.
        run: names the job that finishes it; another one when it is started anew on purpose.
        error: the problem details of a failure.
    """

    __abstract__ = True
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    status: Mapped[str] = mapped_column(String(16), default="queued", index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    run: Mapped[str] = mapped_column(String(32), default=lambda: uuid.uuid4().hex)
    error: Mapped[dict[str, object] | None]


class MeshRow(Row):
    """An uploaded part."""

    __tablename__ = "surrogate_meshes"
    name: Mapped[str] = mapped_column(String(255))
    suffix: Mapped[str] = mapped_column(String(16))
    length_unit: Mapped[str | None] = mapped_column(String(16))
    element_size_m: Mapped[float | None]
    facts: Mapped[dict[str, object] | None]


class PredictionRow(Row):
    """A prediction: what was asked and how far it is."""

    __tablename__ = "surrogate_predictions"
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    mesh_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(255))
    request: Mapped[str] = mapped_column(Text)
    fidelity: Mapped[str] = mapped_column(String(16))
    verifies: Mapped[str | None] = mapped_column(String(64), index=True)
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    stage: Mapped[str | None] = mapped_column(String(64))
    progress: Mapped[float] = mapped_column(default=0.0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)


RowT = TypeVar("RowT", bound=Row)


def open_database(url: str) -> Engine:
    """The engine, its tables made where they are missing.

    Raises:
        InfrastructureError: the tables are of another version of the service.
    """
    engine = create_engine(url, pool_pre_ping=True)
    if make_url(url).get_backend_name() == "sqlite":

        @event.listens_for(engine, "connect")
        def on_connect(connection: object, _record: object) -> None:
            # Readers do not block the writer, and a kill loses nothing that was committed.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    Table.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        found = session.scalars(select(SchemaRow.version)).all()
        if not found:
            session.add(SchemaRow(version=SCHEMA_VERSION))
        elif max(found) != SCHEMA_VERSION:
            raise InfrastructureError(
                f"the database has tables of version {max(found)}, this service knows {SCHEMA_VERSION}; "
                "start the version that made it, or point SURROGATE_DATABASE_URL at another one"
            )
    return engine


class Records:
    """Reads and writes of the tables; every method is one transaction and may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    def check(self) -> None:
        """Raises where the database does not answer."""
        with self._sessions() as session:
            session.execute(select(SchemaRow.version))

    def add(self, row: Row) -> bool:
        """Whether the row was new; one with its id or idempotency key is left as it is."""
        try:
            with self._sessions.begin() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    def mesh(self, mesh_id: str) -> MeshRow:
        """Raises NotFoundError where there is none."""
        return self._get(MeshRow, mesh_id, "mesh")

    def prediction(self, prediction_id: str) -> PredictionRow:
        """Raises NotFoundError where there is none."""
        return self._get(PredictionRow, prediction_id, "prediction")

    def prediction_of_key(self, key: str) -> PredictionRow | None:
        """The prediction that was made under an idempotency key."""
        with self._sessions() as session:
            return session.scalars(select(PredictionRow).where(PredictionRow.idempotency_key == key)).one_or_none()

    def verification_of(self, prediction_id: str) -> PredictionRow | None:
        """The newest solution that was asked for to verify a prediction."""
        newest = PredictionRow.created_at.desc()
        query = select(PredictionRow).where(PredictionRow.verifies == prediction_id).order_by(newest).limit(1)
        with self._sessions() as session:
            return session.scalars(query).one_or_none()

    def predictions(
        self, limit: int, *, after: str | None = None, mesh_id: str | None = None, status: str | None = None
    ) -> Sequence[PredictionRow]:
        """Newest first, those that follow the prediction `after`."""
        query = select(PredictionRow).order_by(PredictionRow.created_at.desc(), PredictionRow.id.desc()).limit(limit)
        if mesh_id is not None:
            query = query.where(PredictionRow.mesh_id == mesh_id)
        if status is not None:
            query = query.where(PredictionRow.status == status)
        if after is not None:
            last = self.prediction(after)
            query = query.where(tuple_(PredictionRow.created_at, PredictionRow.id) < (last.created_at, last.id))
        with self._sessions() as session:
            return session.scalars(query).all()

    def unfinished(self) -> Sequence[Row]:
        """Meshes and predictions that some job still has to finish."""
        with self._sessions() as session:
            meshes = session.scalars(select(MeshRow).where(MeshRow.status.in_(UNFINISHED))).all()
            predictions = session.scalars(select(PredictionRow).where(PredictionRow.status.in_(UNFINISHED))).all()
        return [*meshes, *predictions]

    def begin(self, row: Row) -> bool:
        """Marks an unfinished row as being worked on and counts the attempt; False where there is nothing to do."""
        table = type(row)
        with self._sessions.begin() as session:
            held = session.get(table, row.id, with_for_update=True)
            if held is None or held.status not in UNFINISHED:
                return False
            held.attempts += 1
            row.attempts = held.attempts
            if isinstance(held, PredictionRow):
                held.status, held.started_at = "running", held.started_at or now()
            else:
                held.status = "meshing"
        return True

    def report(self, prediction_id: str, stage: str, progress: float) -> bool:
        """Stores how far a prediction is; False where it was cancelled meanwhile or deleted."""
        with self._sessions.begin() as session:
            held = session.get(PredictionRow, prediction_id)
            if held is None or held.cancel_requested:
                return False
            held.stage, held.progress = stage[:64], min(max(progress, 0.0), 1.0)
        return True

    def finish(
        self, row: Row, status: str, *, facts: dict[str, object] | None = None, error: ProblemDetails | None = None
    ) -> bool:
        """Ends an unfinished row once; False where it had been ended already."""
        values: dict[str, object] = {"status": status, "error": error.model_dump(exclude_none=True) if error else None}
        if isinstance(row, PredictionRow):
            values |= {"finished_at": now(), "stage": None}
            if status == "done":
                values["progress"] = 1.0
        else:
            values["facts"] = facts
        table = type(row)
        with self._sessions.begin() as session:
            changed = session.execute(
                update(table).where(table.id == row.id, table.status.in_(UNFINISHED)).values(**values)
            )
            return bool(changed.rowcount)  # type: ignore[attr-defined]

    def ask_to_cancel(self, prediction_id: str) -> PredictionRow:
        """A queued prediction is cancelled at once, a running one at its next report of progress.

        Raises:
            ConflictError: it is finished.
        """
        with self._sessions.begin() as session:
            held = session.get(PredictionRow, prediction_id, with_for_update=True)
            if held is None:
                raise NotFoundError(f"no prediction {prediction_id!r}; it may have been deleted")
            if held.status not in UNFINISHED and held.status != "cancelled":
                raise ConflictError(f"prediction {prediction_id} is {held.status} and cannot be cancelled")
            held.cancel_requested = True
            if held.status == "queued":
                held.status, held.finished_at = "cancelled", now()
        return held

    def renew(self, row: RowT) -> RowT:
        """Starts an ended row again from the queue, with a new run."""
        with self._sessions.begin() as session:
            held = session.get(type(row), row.id, with_for_update=True)
            if held is None:
                raise NotFoundError(f"{row.id!r} was deleted meanwhile")
            held.run = uuid.uuid4().hex
            held.status, held.error, held.attempts = "queued", None, 0
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
        with self._sessions.begin() as session:
            held = session.get(type(row), row.id, with_for_update=True)
            if held is not None and held.status in UNFINISHED:
                raise ConflictError(f"{row.id} is {held.status}; cancel it or wait until it is finished")
            if held is not None:
                session.delete(held)

    def _get(self, table: type[RowT], row_id: str, what: str) -> RowT:
        with self._sessions() as session:
            found = session.get(table, row_id)
        if found is None:
            raise NotFoundError(f"no {what} {row_id[:100]!r}; it may have been deleted")
        return found


class Blobs:
    """Files of meshes and predictions; paths are made of ids that the service itself chose."""

    def __init__(self, directory: Path, worker_id: str) -> None:
        self._directory = directory
        self._incoming = directory / "incoming" / worker_id
        # What this worker was writing when it died is of no use to anybody.
        rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def of_mesh(self, mesh_id: str) -> Path:
        """The directory of a mesh."""
        return self._directory / "meshes" / mesh_id

    def of_prediction(self, prediction_id: str) -> Path:
        """The directory of a prediction."""
        return self._directory / "predictions" / prediction_id

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory that is gone afterwards; rename what should stay out of it."""
        path = self._incoming / uuid.uuid4().hex
        path.mkdir()
        try:
            yield path
        finally:
            rmtree(path, ignore_errors=True)

    def keep(self, made: Path, kept: Path) -> Path:
        """Moves a finished file from scratch to its place, atomically."""
        kept.parent.mkdir(parents=True, exist_ok=True)
        return made.replace(kept)

    def delete(self, directory: Path) -> None:
        """Removes a directory of a mesh or a prediction."""
        rmtree(directory, ignore_errors=True)
