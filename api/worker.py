"""The process that takes jobs from the database and does them; a supervisor starts it, and starts it again."""

import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import structlog

import surrogate
from api.allocator import use_few_arenas
from api.away import RefusedError
from api.batching import ByteBudget, MicroBatcher, ModelFidelity, Progress
from api.blobs import open_blobs
from api.database import open_database
from api.downloads import Downloads
from api.guard import Guard
from api.jobs import DbosEngine, JobKind
from api.locking import clear_scratch, hold, place_of
from api.metrics import start_sampling, start_worker_metrics
from api.patience import Patience
from api.quarantine import Quarantine
from api.records import Records
from api.roll import Roll
from api.settings import Settings
from api.supervisor import REFUSED
from api.sweeper import Sweeper
from api.tables import WorkerRow
from api.telemetry import configure_logs
from api.tracing import Tracing, open_tracing
from api.work import Work
from surrogate import Fields, Problem, SurrogateError

# A worker of the same name that was told to end, or whose supervisor died, is given so long to be gone.
_PREDECESSOR_S = 30.0
# Tidying up needs the database, which may be away.
_TIDYING_S = 5.0
# Of those that could make room, the kernel is to choose a worker: its jobs run again.
_OOM_SCORE = "300"

log = structlog.get_logger()


@dataclass(frozen=True)
class Worker:
    """What a running worker holds."""

    name: str
    instance: str
    records: Records
    roll: Roll
    engine: DbosEngine
    sweeper: Sweeper
    tracing: Tracing
    lock: IO[str]

    def stop(self, patience_s: float, hurry: threading.Event) -> int:
        """Finishes what is short and leaves the rest to others; how many jobs these were.

        Args:
            patience_s: how long jobs may take to end, s.
            hurry: ends the wait.
        """
        left = self.engine.drain(patience_s, hurry)
        self.sweeper.stop()
        # A planned end is not the jobs' fault, so that the attempt does not count.
        self.records.release([self.name], planned=True)
        self.engine.recover([self.name])
        self.roll.leave(self.name, self.instance)
        self.tracing.stop()
        self.lock.close()
        return left


def start_worker(settings: Settings) -> Worker:
    """Starts to take jobs.

    Raises:
        RefusedError: a worker of this name lives, or another one uses the SQLite database.
        InfrastructureError: no database, or its tables are of a newer release.
    """
    lock = hold(settings, "worker", patience_s=_PREDECESSOR_S)
    clear_scratch(settings, "worker")
    engine = open_database(settings.metadata_url)
    records, roll = Records(engine), Roll(engine)
    name, instance = settings.worker_id, settings.instance or uuid.uuid4().hex
    row = WorkerRow(
        id=name,
        instance=instance,
        host=socket.gethostname(),
        place=place_of(settings.directory),
        version=version("jepa-surrogate"),
    )
    roll.join(row, settings.worker_silence_s)
    # What the last one of this name had in hand when it died; its engine's part is done when the engine starts.
    records.release([name], planned=False)
    tracing = open_tracing(settings, "worker")
    jobs = _engine(settings, records, tracing)
    jobs.start()
    roll.begin(name, instance, {"device": settings.device, "model": settings.model})
    sweeper = Sweeper(
        records, jobs, roll, name, instance, silence_s=settings.worker_silence_s, deposed=_end_as_one_deposed
    )
    found = sweeper.resubmit()
    sweeper.start()
    log.info("worker started", worker=name, device=settings.device, jobs_found=found)
    return Worker(name, instance, records, roll, jobs, sweeper, tracing, lock)


def _engine(settings: Settings, records: Records, tracing: Tracing) -> DbosEngine:
    blobs = open_blobs(settings, "worker")
    downloads = Downloads(records, blobs, threading.BoundedSemaphore(settings.concurrent_renders))

    def ask(
        problems: Sequence[Problem], *, fidelity: ModelFidelity, model: str | None, progress: Progress
    ) -> Sequence[Fields]:
        # Found when it is first used: torch takes seconds to load, and a new worker has other jobs too.
        return surrogate.predict_many(
            problems, fidelity=fidelity, device=settings.device, model=model, progress=progress
        )

    metrics = start_worker_metrics(settings)
    batcher = MicroBatcher(
        ask,
        window_s=settings.batch_window_s,
        size=settings.batch_size,
        capacity=settings.batch_capacity,
        batch_points=settings.batch_points,
        observe=metrics.note_batch,
    )
    start_sampling(metrics, lambda: batcher.waiting)
    guard = Guard(records, settings.worker_id, settings.job_attempts, Patience(), Quarantine(), metrics, tracing)
    work = Work(settings, records, blobs, batcher, ByteBudget(settings.max_answer_bytes), downloads, guard, metrics)
    concurrency: dict[JobKind, int] = {"mesh": 2, "predict": settings.concurrent_predictions, "solve": 1}
    return DbosEngine(
        {"mesh": work.mesh, "predict": work.predict, "solve": work.solve},
        concurrency,
        database_url=settings.jobs_url,
        worker_id=settings.worker_id,
        poll_s=settings.job_poll_s,
    )


def main(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, or until the supervisor is gone; at the second signal it waits for nothing."""
    use_few_arenas()
    configure_logs(settings)
    stopping, hurry = threading.Event(), threading.Event()

    def end(_number: int, _frame: object) -> None:
        (hurry if stopping.is_set() else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if settings.supervised:
        os.nice(settings.worker_nice)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    try:
        worker = start_worker(settings)
    except SurrogateError as error:
        log.critical("worker cannot start", worker=settings.worker_id, reason=str(error))
        sys.exit(REFUSED if isinstance(error, RefusedError) else 1)
    patience_s = settings.drain_s
    while not stopping.wait(0.5):
        # Also one that died before this process came so far.
        if settings.supervisor is not None and os.getppid() != settings.supervisor:
            log.warning("the supervisor of this worker is gone", worker=worker.name)
            # The next one waits for the name.
            patience_s = 0.0
            break
    threading.Thread(target=_end_anyway, args=(patience_s + _TIDYING_S,), daemon=True).start()
    try:
        left = worker.stop(patience_s, hurry)
        log.info("worker stopped", worker=worker.name, jobs_left=left)
    except Exception as error:
        log.warning("worker ends without tidying up", worker=worker.name, reason=str(error)[:200])
    # A solver in a thread cannot be interrupted; without this the process would wait for it to end.
    os._exit(0)


def _end_anyway(seconds: float) -> None:
    """Ends a process whose database is away: what it leaves is found by others."""
    threading.Event().wait(seconds)
    log.warning("worker ends without tidying up")
    os._exit(0)


def _end_as_one_deposed() -> None:
    log.error("this worker was taken for dead and starts anew")
    os._exit(1)


if __name__ == "__main__":
    main(Settings())
