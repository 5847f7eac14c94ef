"""What stands around every job: it is begun once, tried again when something is away, and ends its row exactly once."""

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from api.away import AwayError
from api.errors import NotFoundError, describe
from api.jobs import JobKind
from api.metrics import WorkerMetrics
from api.patience import Patience
from api.quarantine import Quarantine
from api.records import Records
from api.schemas import ProblemDetails
from api.tables import MeshRow, PredictionRow, Row, now
from api.tracing import Tracing, current_span
from surrogate import InfrastructureError, SurrogateError

RowT = TypeVar("RowT", bound=Row)
Progress = Callable[[str, float], None]
Facts = dict[str, object] | None

_REPORT_EVERY_S = 0.25

log = structlog.get_logger()


class CancelledJob(SurrogateError):
    """The prediction was cancelled while it ran."""


class LostJob(SurrogateError):
    """This worker was taken for dead, and another works on the row now."""


@dataclass(frozen=True)
class Guard:
    """Stands around the jobs of one worker.

    Attributes:
        records: the rows.
        worker: the worker's name.
        attempts: how often a job may take its worker down before it is given up.
        patience: waits for what is away.
        quarantine: keeps jobs apart that may have killed a worker.
        metrics: counts them.
        tracing: traces them.
    """

    records: Records
    worker: str
    attempts: int
    patience: Patience
    quarantine: Quarantine
    metrics: WorkerMetrics
    tracing: Tracing

    def run(self, kind: JobKind, run: str, read: Callable[[], RowT], work: Callable[[RowT], Facts]) -> None:
        """Does the work of a job and ends its row with the outcome.

        Args:
            kind: of the job.
            run: of the row that the job was made for; another one is another job's.
            read: the row.
            work: what a mesh's row is told when it succeeds.
        """
        try:
            row = self.patience.until_done(read)
        except NotFoundError:
            return
        structlog.contextvars.bind_contextvars(request_id=row.request_id)
        if row.run != run:
            return
        with self.tracing.job(f"job {kind}", row.traceparent, _about(row)):
            if row.attempts >= self.attempts:
                self._do(kind, row, lambda: self._give_up(row))
                return
            # It was in hand when a worker died, and may have been why.
            with self.quarantine.room(suspect=row.attempts > 0):
                self._do(kind, row, lambda: work(row))

    def progress(self, row: PredictionRow) -> Progress:
        """Stores progress a few times a second; raises where the job is not to go on."""
        reported, known_stage = 0.0, ""
        # Of this thread: the model reports from another.
        span = current_span()

        def progress(stage: str, fraction: float) -> None:
            nonlocal reported, known_stage
            span.stage(stage)
            if stage == known_stage and time.monotonic() - reported < _REPORT_EVERY_S:
                return
            reported, known_stage = time.monotonic(), stage
            try:
                going = self.records.report(row, stage, fraction)
            except AwayError:
                # Nobody can look at it now; the work goes on.
                return
            if going == "cancelled":
                raise CancelledJob(f"prediction {row.id} was cancelled")
            if going == "lost":
                raise LostJob(f"prediction {row.id} is worked on by another worker")

        return progress

    def _do(self, kind: JobKind, row: Row, work: Callable[[], Facts]) -> None:
        if not self.patience.until_done(lambda: self.records.begin(row, self.worker)):
            return
        self.metrics.wait_seconds.labels(kind).observe(max((now() - row.created_at).total_seconds(), 0.0))
        started = time.perf_counter()
        facts: Facts = None
        problem: ProblemDetails | None = None
        status = "ready" if isinstance(row, MeshRow) else "done"
        try:
            facts = self.patience.until_done(work)
        except CancelledJob:
            status = "cancelled"
        except LostJob as error:
            log.warning("job left", reason=str(error))
            return
        except SurrogateError as error:
            status, problem = "failed", describe(error)
        except Exception as error:
            log.exception("job failed")
            status, problem = "failed", describe(error)
        if self._end(row, status, facts, problem):
            seconds = time.perf_counter() - started
            current_span().note({"surrogate.status": status})
            self.metrics.jobs.labels(kind, status).inc()
            self.metrics.job_seconds.labels(kind).observe(seconds)
            give_back_memory()
            log.info("job ended", status=status, seconds=round(seconds, 3), reason=problem.detail if problem else None)

    def _end(self, row: Row, status: str, facts: Facts, problem: ProblemDetails | None) -> bool:
        """Whether this attempt ended the row, with its outcome or because that cannot be stored."""
        try:
            return self.patience.until_done(lambda: self.records.finish(row, status, facts=facts, error=problem))
        except SQLAlchemyError as error:
            log.exception("the outcome of a job cannot be stored")
            unstorable = describe(error)
            return self.patience.until_done(lambda: self.records.finish(row, "failed", error=unstorable))

    def _give_up(self, row: Row) -> Facts:
        raise InfrastructureError(
            f"the worker died {row.attempts - 1} times while it worked on this, so it is given up. Use a coarser mesh "
            "(a larger element_size_m), fewer histories or steps, or give the service more memory"
        )


def _about(row: Row) -> dict[str, str | int]:
    """What a trace tells of a job."""
    facts: dict[str, str | int] = {"surrogate.id": row.id, "surrogate.attempt": row.attempts + 1}
    return facts | ({"surrogate.request_id": row.request_id} if row.request_id else {})


def give_back_memory() -> None:
    """Hands freed memory back: glibc keeps what many threads have freed, which adds up to gigabytes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
