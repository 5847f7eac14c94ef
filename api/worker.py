"""A worker takes jobs from the database and does them. `surrogate serve` starts its own; `surrogate worker` is one."""

import os
import signal
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import structlog

from api.batching import ByteBudget, MicroBatcher, ModelFidelity, Progress
from api.blobs import open_blobs
from api.database import open_database
from api.downloads import Downloads
from api.heartbeat import Heart
from api.jobs import DbosEngine, JobKind
from api.locking import hold
from api.metrics import start_sampling, start_worker_metrics
from api.records import Records
from api.settings import Settings
from api.telemetry import configure_logs
from api.work import Work, job_of
from surrogate import Fields, Problem, predict_many

log = structlog.get_logger()


@dataclass(frozen=True)
class Worker:
    """What a running worker holds."""

    engine: DbosEngine
    heart: Heart
    batcher: MicroBatcher
    lock: IO[str] | None


def run_worker(settings: Settings) -> None:
    """Works until it is told to stop by SIGTERM or SIGINT; what is being computed then is left to the next start."""
    configure_logs(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    worker = start_worker(settings)
    parent = os.getppid()
    # A worker that `surrogate serve` started ends with it, however that died.
    while not stopping.wait(0.5):
        if settings.supervised and os.getppid() != parent:
            log.warning("the service that started this worker is gone")
            break
    worker.heart.stop()
    worker.engine.stop()
    if worker.lock is not None:
        worker.lock.close()
    log.info("worker stopped", worker=settings.worker_id)
    # A solver in a thread cannot be interrupted; without this the process would wait for it to end.
    os._exit(0)


def start_worker(settings: Settings) -> Worker:
    """Starts to take jobs.

    Raises:
        InfrastructureError: no database, or another worker uses the SQLite one.
    """
    lock = hold(settings, "worker")
    engine = open_database(settings.metadata_url)
    records = Records(engine)
    blobs = open_blobs(settings, "worker")
    downloads = Downloads(records, blobs, threading.BoundedSemaphore(settings.concurrent_renders))

    def ask(
        problems: Sequence[Problem], *, fidelity: ModelFidelity, model: str | None, progress: Progress
    ) -> Sequence[Fields]:
        return predict_many(problems, fidelity=fidelity, device=settings.device, model=model, progress=progress)

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
    work = Work(settings, records, blobs, batcher, ByteBudget(settings.max_answer_bytes), downloads, metrics)
    concurrency: dict[JobKind, int] = {"mesh": 2, "predict": settings.concurrent_predictions, "solve": 1}
    jobs = DbosEngine(
        {"mesh": work.mesh, "predict": work.predict, "solve": work.predict},
        concurrency,
        database_url=settings.jobs_url,
        worker_id=settings.worker_id,
        poll_s=settings.job_poll_s,
    )
    jobs.start()
    heart = Heart(records, jobs, settings.worker_id, host=socket.gethostname())
    heart.start()
    resumed = _resume(records, jobs)
    log.info("worker started", worker=settings.worker_id, device=settings.device, unfinished_jobs=resumed)
    return Worker(jobs, heart, batcher, lock)


def _resume(records: Records, jobs: DbosEngine) -> int:
    """Submits what is not finished: a crash may have fallen between a row and its job."""
    rows = records.unfinished()
    for row in rows:
        if jobs.is_over(job_of(row)):
            row = records.renew(row)
        jobs.submit(job_of(row))
    return len(rows)


if __name__ == "__main__":
    run_worker(Settings())
