"""The service's own tables, apart from the job engine's. Rows say how far a mesh or a prediction is."""

import uuid
from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import BigInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON

from api.tracing import current_traceparent

UNFINISHED = ("queued", "meshing", "running")
# Who owns what is made while no key is asked for: the service is open on loopback then.
LOCAL_OWNER = "local"


def now() -> datetime:
    """The time, UTC, without a zone: SQLite keeps none."""
    return datetime.now(UTC).replace(tzinfo=None)


class Table(DeclarativeBase):
    """Base of the service's tables."""

    type_annotation_map: ClassVar = {
        dict[str, object]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


class Row(Table):
    """What a job finishes.

    Attributes:
        owner: id of the API key that it belongs to.
        request_id: of the request that made it; the worker's log lines carry it.
        traceparent: of the span of that request, where requests are traced.
        attempts: how often a job began to work on it.
        worker: the one that works on it, or ended it.
        turn: when it is its turn in its queue; of the same turn, the older one.
        run: names the job that finishes it; another one when it is started anew on purpose.
        revision: how often it changed.
        error: the problem details of a failure.
    """

    __abstract__ = True
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(32), default=LOCAL_OWNER, index=True)
    request_id: Mapped[str | None] = mapped_column(String(64))
    traceparent: Mapped[str | None] = mapped_column(String(55), default=current_traceparent)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    status: Mapped[str] = mapped_column(String(16), default="queued", index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(100))
    turn: Mapped[int] = mapped_column(default=1)
    run: Mapped[str] = mapped_column(String(32), default=lambda: uuid.uuid4().hex)
    revision: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, object] | None]


class MeshRow(Row):
    """An uploaded part."""

    __tablename__ = "surrogate_meshes"
    name: Mapped[str] = mapped_column(String(255))
    suffix: Mapped[str] = mapped_column(String(16))
    upload_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    length_unit: Mapped[str | None] = mapped_column(String(16))
    element_size_m: Mapped[float | None]
    facts: Mapped[dict[str, object] | None]


class PredictionRow(Row):
    """A prediction: what was asked and how far it is."""

    __tablename__ = "surrogate_predictions"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key", name="one_prediction_a_key"),)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    mesh_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(255))
    request: Mapped[str] = mapped_column(Text)
    fidelity: Mapped[str] = mapped_column(String(16))
    verifies: Mapped[str | None] = mapped_column(String(64), index=True)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    stage: Mapped[str | None] = mapped_column(String(64))
    progress: Mapped[float] = mapped_column(default=0.0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    result_bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class KeyRow(Table):
    """An API key; only a hash of its secret is kept.

    Attributes:
        id: public part of the key, the owner of what it makes.
        secret_hash: sha256 of the secret, hexadecimal; the secret is random, so that a fast hash is enough.
        name: what the operator calls it.
        scopes: of read, run, admin.
        previous_hash: of the secret before the last rotation.
        previous_until: that secret is taken until then.
        requests_per_minute: None takes the service's own.
        unfinished_jobs: most that may wait or run at once; None takes the service's own.
        stored_bytes: most that its uploads and results may take; None takes the service's own.
        expires_at: it is refused from then on.
        revoked_at: it is refused from then on. The row stays: what was made with the key is still another's.
    """

    __tablename__ = "surrogate_keys"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]]
    previous_hash: Mapped[str | None] = mapped_column(String(64))
    previous_until: Mapped[datetime | None]
    requests_per_minute: Mapped[int | None]
    unfinished_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class WorkerRow(Table):
    """A worker that lives, or lived until its heart stopped.

    Attributes:
        id: its stable name, DBOS's executor id.
        host: where it runs, for people.
        place: names the data directory: in one, a held file tells whether a worker of a name lives.
        instance: names the process; the next one of the same name has another.
        beats: how often its heart beat; it lives as long as this changes.
        beat_at: when its heart last beat, by the clock of the database.
        version: of the service.
        facts: what it can do: device, isolation of readers, model.
    """

    __tablename__ = "surrogate_workers"
    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    place: Mapped[str] = mapped_column(String(32))
    instance: Mapped[str] = mapped_column(String(32))
    beats: Mapped[int] = mapped_column(default=0)
    version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(default=now)
    beat_at: Mapped[datetime] = mapped_column(default=now, index=True)
    facts: Mapped[dict[str, object] | None]
