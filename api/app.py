"""The service: an application of FastAPI, and the process that runs it."""

import fcntl
import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO

import structlog
import uvicorn
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi

from api import errors
from api.batching import ByteBudget, MicroBatcher, ModelFidelity, Progress
from api.context import Context
from api.downloads import Downloads
from api.jobs import DbosEngine, JobKind
from api.routes import catalogue, health, meshes, predictions, results
from api.schemas import ProblemDetails
from api.settings import Settings
from api.storage import Blobs, Records, open_database
from api.telemetry import BATCH_SIZE, RequestMonitor, configure_logs
from api.work import Work, job_of
from surrogate import Fields, InfrastructureError, Problem, predict_many

log = structlog.get_logger()

_SHUTDOWN_S = 5
_DOWNLOAD_THREADS = 12


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its database, model and jobs come up when it starts.

    Args:
        settings: as the operator chose; None reads the environment.
    """
    chosen = settings or Settings()
    configure_logs(chosen)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.context, lock = await run_in_threadpool(_start, chosen)
        try:
            yield
        finally:
            await run_in_threadpool(_stop, app.state.context, lock)

    app = FastAPI(
        title="Engineering-simulation surrogate",
        version=health.VERSION,
        description="Elastic-plastic answers for parts and load histories, with intervals. JSON in SI units; "
        "errors are application/problem+json.",
        lifespan=lifespan,
        responses=errors.declared(405, 422, 500),
    )
    errors.install(app)
    app.add_middleware(RequestMonitor, max_bytes=chosen.max_upload_bytes)
    for routes in (health, meshes, predictions, results, catalogue):
        app.include_router(routes.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def serve(settings: Settings) -> None:
    """Runs the service until it is interrupted.

    What is being computed then is left to the next start: jobs outlive the process.
    """
    # uvicorn raises the signal that ended it once more when it is done; the jobs are safe by then.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    # A solver in a thread cannot be interrupted; without this the process would wait for it to end.
    os._exit(0)


def _start(settings: Settings) -> tuple[Context, IO[str] | None]:
    directory = settings.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot make the data directory {directory}: {error.strerror}; set SURROGATE_DATA_DIRECTORY"
        ) from error
    lock = _lock(settings) if settings.single_process else None
    records = Records(open_database(settings.metadata_url))
    blobs = Blobs(directory / "blobs", settings.worker_id)
    downloads = Downloads(records, blobs, threading.BoundedSemaphore(settings.concurrent_renders))

    def ask(
        problems: Sequence[Problem], *, fidelity: ModelFidelity, model: str | None, progress: Progress
    ) -> Sequence[Fields]:
        return predict_many(problems, fidelity=fidelity, device=settings.device, model=model, progress=progress)

    batcher = MicroBatcher(
        ask,
        window_s=settings.batch_window_s,
        size=settings.batch_size,
        capacity=settings.batch_capacity,
        observe=BATCH_SIZE.observe,
    )
    work = Work(settings, records, blobs, batcher, ByteBudget(settings.max_answer_bytes), downloads)
    concurrency: dict[JobKind, int] = {"mesh": 2, "predict": settings.concurrent_predictions, "solve": 1}
    engine = DbosEngine(
        {"mesh": work.mesh, "predict": work.predict, "solve": work.predict},
        concurrency,
        database_url=settings.jobs_url,
        worker_id=settings.worker_id,
        poll_s=settings.job_poll_s,
    )
    engine.start()
    context = Context(settings, records, blobs, batcher, engine, downloads, CapacityLimiter(_DOWNLOAD_THREADS))
    resumed = _resume(context)
    log.info("service started", directory=str(directory), device=settings.device, unfinished_jobs=resumed)
    return context, lock


def _stop(context: Context, lock: IO[str] | None) -> None:
    context.engine.stop()
    if lock is not None:
        lock.close()
    log.info("service stopped")


def _resume(context: Context) -> int:
    """Submits what is not finished: a crash may have fallen between a row and its job."""
    rows = context.records.unfinished()
    for row in rows:
        if context.engine.is_over(job_of(row)):
            row = context.records.renew(row)
        context.engine.submit(job_of(row))
    return len(rows)


def _lock(settings: Settings) -> IO[str]:
    """Holds the data directory for this process; a kill releases it."""
    path = settings.directory / "lock"
    stream = path.open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise InfrastructureError(
            f"another service uses the data directory {settings.directory}; SQLite serves one process: stop it, choose "
            "another SURROGATE_DATA_DIRECTORY, or set SURROGATE_DATABASE_URL to a Postgres database"
        ) from error
    return stream


def _openapi(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document, with the schema that all error responses refer to."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
        app.openapi_schema = document
    return app.openapi_schema
