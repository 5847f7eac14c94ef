"""Jobs that survive the process: two small interfaces, and DBOS behind them.

The HTTP process has a queue and submits; workers have an engine and run. A job is a kind, the id of a row and a run;
what it does is a handler that the worker was given at the start. Jobs run at least once: a job whose worker died runs
again, in the worker that takes its place or in another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog
from dbos import DBOS, DBOSClient, EnqueueOptions, SetWorkflowID

JobKind = Literal["mesh", "predict", "solve"]
Handler = Callable[[str], None]

# What solves by FEM waits in a queue of its own.
_SOLVED = ("solved", "auto")

# Jobs of an older release must stay recoverable: raised only when a job's arguments change their meaning.
APPLICATION_VERSION = "1"
# The rows count attempts and give up first; this is the net below.
_RECOVERY_CAP = 50

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
    """

    kind: JobKind
    row_id: str
    run: str

    @property
    def id(self) -> str:
        """The same for the same work, so that submitting twice runs it once."""
        return f"{self.kind}:{self.row_id}:{self.run}"


class JobQueue(Protocol):
    """Takes jobs for the workers."""

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted; returns when the job is stored."""

    def is_over(self, job: Job) -> bool:
        """Whether no worker will run this job any more."""


class JobEngine(JobQueue, Protocol):
    """Runs jobs in the background and takes them up again after a crash."""

    def start(self) -> None:
        """Begins to work, the jobs that a crash interrupted included."""

    def recover(self, worker_ids: list[str]) -> int:
        """Puts the running jobs of dead workers back into their queues; how many there were."""

    def stop(self) -> None:
        """Takes no more jobs; those that are running are taken up again at the next start."""


class DbosQueue:
    """Submits jobs to the DBOS workers of a database; runs none.

    Args:
        database_url: of DBOS's own tables, which a worker makes when it first starts.
    """

    def __init__(self, database_url: str) -> None:
        self._client = DBOSClient(
            system_database_url=database_url, application_name="surrogate", lazy=True, retry_connection_errors=False
        )

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted; returns when the job is stored."""
        options: EnqueueOptions = {
            "workflow_name": "run_job",
            "queue_name": job.kind,
            "workflow_id": job.id,
            "app_version": APPLICATION_VERSION,
        }
        self._client.enqueue(options, job.kind, job.row_id)

    def is_over(self, job: Job) -> bool:
        """Whether no worker will run this job any more."""
        found = self._client.list_workflows(workflow_ids=[job.id], load_input=False, load_output=False)
        return bool(found) and found[0].status not in ("PENDING", "ENQUEUED", "DELAYED")

    def close(self) -> None:
        """Gives the connections back."""
        self._client.destroy()


class DbosEngine:
    """Jobs on DBOS; one a process, for DBOS is a singleton.

    Args:
        handlers: what to do for each kind of job, called with the row's id.
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

    def start(self) -> None:
        """Begins to work, the jobs that a crash interrupted included."""
        global _active
        _active = self
        DBOS(
            config={
                "name": "surrogate",
                "system_database_url": self._database_url,
                "executor_id": self._worker_id,
                "application_version": APPLICATION_VERSION,
                "log_level": "WARNING",
            }
        )
        DBOS.launch()
        for kind, count in self._concurrency.items():
            DBOS.register_queue(
                kind, worker_concurrency=count, polling_interval_sec=self._poll_s, on_conflict="always_update"
            )

    def submit(self, job: Job) -> None:
        """Runs a job once, however often it is submitted; returns when the job is stored."""
        with SetWorkflowID(job.id):
            DBOS.enqueue_workflow(job.kind, run_job, job.kind, job.row_id)

    def is_over(self, job: Job) -> bool:
        """Whether no worker will run this job any more."""
        status = DBOS.get_workflow_status(job.id)
        return status is not None and status.status not in ("PENDING", "ENQUEUED", "DELAYED")

    def recover(self, worker_ids: list[str]) -> int:
        """Puts the running jobs of dead workers back into their queues; how many there were."""
        return len(DBOS._recover_pending_workflows(worker_ids))

    def stop(self) -> None:
        """Takes no more jobs; those that are running are taken up again at the next start."""
        global _active
        DBOS.destroy()
        _active = None

    def handle(self, kind: JobKind, row_id: str) -> None:
        """Does the work of a job in this thread."""
        with structlog.contextvars.bound_contextvars(job=kind, id=row_id):
            self._handlers[kind](row_id)


_active: DbosEngine | None = None


@DBOS.step(name="work")
def _work(kind: JobKind, row_id: str) -> None:
    assert _active is not None, "a job runs only while an engine is started"
    _active.handle(kind, row_id)


@DBOS.workflow(name="run_job", max_recovery_attempts=_RECOVERY_CAP)
def run_job(kind: JobKind, row_id: str) -> None:
    """The one durable workflow; its arguments are names only, so that they stay readable across releases."""
    _work(kind, row_id)
