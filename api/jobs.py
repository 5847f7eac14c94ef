"""Jobs that survive the process: two small interfaces, and DBOS behind them.

The HTTP process has a queue and submits; workers have an engine and run. A job is a kind, the id of a row and a run;
what it does is a handler that the worker was given at the start. Jobs run at least once: a job whose worker died runs
again, in the worker that takes its place or in another. What is lost between a row and its job, or between a job and
its outcome, the sweeper of a worker finds.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from api.database import open_engine
from api.engine_log import take_over_log
from api.postgres_connection import postgres_arguments

JobKind = Literal["mesh", "predict", "solve"]
Handler = Callable[[str, str], None]

# What solves by FEM waits in a queue of its own.
_SOLVED = ("solved", "auto")

# Jobs of an older release must stay recoverable: raised only when a job's arguments change their meaning.
APPLICATION_VERSION = "1"
# The rows count attempts and give up first; this is the net below.
_RECOVERY_CAP = 50
# Where DBOS puts a job that had no queue; ours have one.
_ANY_QUEUE = "_dbos_internal_queue"
_WAITING = ("ENQUEUED", "DELAYED")
_CONNECTIONS = 10
_ASKED_AT_ONCE = 500
_LOOK_S = 0.05

log = structlog.get_logger()


def prediction_kind(fidelity: str) -> JobKind:
    """The queue of a prediction: long work must not hold up the model's."""
    return "solve" if fidelity in _SOLVED else "predict"


@dataclass(frozen=True)
class Job:
    """Work on one row.

    Attributes:
        kind: which queue and which handler.
        row_id: id of the mesh or the prediction.
        run: another one for each time that the row is worked on on purpose.
        turn: jobs of a smaller one are done first, of the same one the older.
    """

    kind: JobKind
    row_id: str
    run: str
    turn: int = field(default=1, compare=False)

    @property
    def id(self) -> str:
        """The same for the same work, so that submitting twice runs it once."""
        return f"{self.kind}:{self.row_id}:{self.run}"


class JobQueue(Protocol):
    """Takes jobs for the workers."""

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted.

        Where that cannot be stored now, a worker finds the row and submits its job within some seconds.
        """


class JobEngine(JobQueue, Protocol):
    """Runs jobs in the background and takes them up again after a crash."""

    def start(self) -> None:
        """Begins to work, the jobs that a crash interrupted included."""

    def over(self, jobs: Sequence[Job]) -> Mapping[Job, bool]:
        """Whether no worker will run these jobs any more; those that were never stored are left out."""

    def holders(self) -> set[str]:
        """Names of the workers that have jobs in hand."""

    def recover(self, workers: Collection[str]) -> int:
        """Puts the jobs that dead workers have in hand back into their queues; how many there were."""

    def readopt(self) -> int:
        """Puts jobs back that this worker took and then could not begin or end; how many there were."""

    def forget(self, age: timedelta) -> int:
        """Drops the notes of jobs that have been over for so long; how many there were."""

    def drain(self, patience_s: float, hurry: threading.Event) -> int:
        """Takes no more jobs and waits for those in hand; how many are not finished then.

        Args:
            patience_s: how long, s.
            hurry: ends the wait.
        """


class DbosQueue:
    """Submits jobs to the DBOS workers of a database; runs none.

    Args:
        database_url: of DBOS's own tables, which a worker makes when it first starts.
    """

    def __init__(self, database_url: str) -> None:
        # Of SQLite, DBOS wants an engine of its own making.
        bounded: Engine | None = None if database_url.startswith("sqlite") else open_engine(database_url)
        self._client = DBOSClient(
            system_database_url=database_url,
            system_database_engine=bounded,
            application_name="surrogate",
            lazy=True,
            retry_connection_errors=False,
        )

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted; a failure is left to the workers."""
        options: EnqueueOptions = {
            "workflow_name": "run_job",
            "queue_name": job.kind,
            "workflow_id": job.id,
            "app_version": APPLICATION_VERSION,
            "priority": job.turn,
        }
        try:
            self._client.enqueue(options, job.kind, job.row_id)
        except Exception as error:
            # The tables may not be there yet, or the database is away: the row is stored, and that is what counts.
            log.warning("a job is left for the workers to find", job=job.id, reason=str(error)[:200])

    def close(self) -> None:
        """Gives the connections back."""
        self._client.destroy()


class DbosEngine:
    """Jobs on DBOS; one a process, for DBOS is a singleton.

    Args:
        handlers: what to do for each kind of job, called with the row's id and run.
        concurrency: jobs of a kind that run at the same time in this process.
        database_url: of DBOS's own tables.
        worker_id: stable name of this process.
        poll_s: how often a queue is looked at, s.
    """

    def __init__(
        self,
        handlers: Mapping[JobKind, Handler],
        concurrency: Mapping[JobKind, int],
        *,
        database_url: str,
        worker_id: str,
        poll_s: float,
    ) -> None:
        self._handlers = handlers
        self._concurrency = concurrency
        self._database_url = database_url
        self._worker_id = worker_id
        self._poll_s = poll_s
        self._in_hand: set[str] = set()
        self._forlorn: set[str] = set()
        self._stopping = False

    def start(self) -> None:
        """Begins to work, the jobs that a crash interrupted included."""
        global _active
        _active = self
        config: DBOSConfig = {
            "name": "surrogate",
            "system_database_url": self._database_url,
            "sys_db_pool_size": _CONNECTIONS,
            "executor_id": self._worker_id,
            "application_version": APPLICATION_VERSION,
            "log_level": "WARNING",
        }
        if self._database_url.startswith("sqlite"):
            _write_ahead(self._database_url)
        else:
            config["db_engine_kwargs"] = {"connect_args": postgres_arguments()}
        self._dbos = DBOS(config=config)
        take_over_log()
        DBOS.launch()
        for kind, count in self._concurrency.items():
            DBOS.register_queue(
                kind, worker_concurrency=count, polling_interval_sec=self._poll_s, on_conflict="always_update"
            )

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted."""
        with SetWorkflowID(job.id), SetEnqueueOptions(priority=job.turn):
            DBOS.enqueue_workflow(job.kind, run_job, job.kind, job.row_id)

    def over(self, jobs: Sequence[Job]) -> Mapping[Job, bool]:
        """Whether no worker will run these jobs any more; those that were never stored are left out."""
        by_id, found = {job.id: job for job in jobs}, {}
        ids = list(by_id)
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            for status in DBOS.list_workflows(
                workflow_ids=ids[start : start + _ASKED_AT_ONCE], load_input=False, load_output=False
            ):
                found[by_id[status.workflow_id]] = status.status not in ("PENDING", *_WAITING)
        return found

    def holders(self) -> set[str]:
        """Names of the workers that have jobs in hand."""
        # Those of another version can only be run by workers of that version.
        running = DBOS.list_workflows(
            status="PENDING", app_version=APPLICATION_VERSION, load_input=False, load_output=False
        )
        return {status.executor_id for status in running if status.executor_id}

    def recover(self, workers: Collection[str]) -> int:
        """Puts the jobs that dead workers have in hand back into their queues; how many there were."""
        return len(DBOS._recover_pending_workflows(list(workers)))

    def readopt(self) -> int:
        """Puts jobs back that this worker took and then could not begin or end; how many there were.

        The database went away in between. A job is taken for such when two calls in a row find it in nobody's hand.
        """
        mine = DBOS.list_workflows(status="PENDING", executor_id=self._worker_id, load_input=False, load_output=False)
        forlorn = {status.workflow_id for status in mine} - self._in_hand
        again, self._forlorn = forlorn & self._forlorn, forlorn
        return sum(self._dbos._sys_db.reenqueue_for_recovery(job_id, [self._worker_id], _ANY_QUEUE) for job_id in again)

    def forget(self, age: timedelta) -> int:
        """Drops the notes of jobs that have been over for so long; how many there were."""
        before, count = (datetime.now(UTC) - age).isoformat(), 0
        while old := DBOS.list_workflows(
            completed_before=before, limit=_ASKED_AT_ONCE, load_input=False, load_output=False
        ):
            for status in old:
                DBOS.delete_workflow(status.workflow_id)
            count += len(old)
        return count

    def drain(self, patience_s: float, hurry: threading.Event) -> int:
        """Takes no more jobs and waits for those in hand; how many are not finished then."""
        for looking in self._dbos.background_thread_stop_events:
            looking.set()
        deadline = time.monotonic() + patience_s
        while self._in_hand and time.monotonic() < deadline and not hurry.wait(_LOOK_S):
            pass
        self._stopping = True
        return len(self._in_hand)

    def handle(self, kind: JobKind, row_id: str, job_id: str) -> None:
        """Does the work of a job in this thread."""
        with self._holding(job_id), structlog.contextvars.bound_contextvars(job=kind, id=row_id):
            self._handlers[kind](row_id, job_id.rpartition(":")[2])

    @contextmanager
    def _holding(self, job_id: str) -> Iterator[None]:
        if self._stopping:
            # Taken in the last moment; it is in nobody's hand, and the process ends.
            threading.Event().wait()
        self._in_hand.add(job_id)
        try:
            yield
        finally:
            self._in_hand.discard(job_id)


_active: DbosEngine | None = None


@DBOS.step(name="work")
def _work(kind: JobKind, row_id: str) -> None:
    assert _active is not None and DBOS.workflow_id is not None, "a job runs only while an engine is started"
    _active.handle(kind, row_id, DBOS.workflow_id)


@DBOS.workflow(name="run_job", max_recovery_attempts=_RECOVERY_CAP)
def run_job(kind: JobKind, row_id: str) -> None:
    """The one durable workflow; its arguments are names only, so that they stay readable across releases."""
    _work(kind, row_id)


def _write_ahead(database_url: str) -> None:
    """Lets SQLite append to a log, which its file remembers: one sync for a transaction, readers beside the writer."""
    path = make_url(database_url).database
    assert path is not None, "a database in memory is nobody's"
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
