"""The HTTP process of the service: an application of FastAPI, and the process that runs it. It computes nothing."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import IO

import structlog
import uvicorn
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware

from api import errors
from api.allocator import use_few_arenas
from api.backlog import Backlog
from api.blobs import open_blobs
from api.context import Context
from api.database import open_database
from api.downloads import Downloads
from api.gate import ANSWERING_HEADERS, ASKING_HEADERS, Gate, Shield
from api.jobs import DbosQueue
from api.keys import Keys
from api.locking import check_layout, clear_scratch, hold
from api.makers import Makers
from api.metrics import ServiceMetrics, clear_worker_files
from api.openapi import Document, document_of, operation_id
from api.quotas import Quotas
from api.records import Records
from api.roll import Roll
from api.routes import catalogue, health, meshes, page, predictions, results
from api.security import Doorkeeper, declare, refuse_if_exposed
from api.settings import Settings
from api.supervisor import DATABASE_PATIENCE_S, Supervisor, workers_of
from api.telemetry import RequestMonitor, configure_logs, watch_loop
from api.tracing import open_tracing

log = structlog.get_logger()

_SHUTDOWN_S = 5
# Longer than clients and proxies keep a connection: one that is closed just when a request is sent loses that request.
_KEEP_ALIVE_S = 75
_CANNOT_RUN = 3
_DOWNLOAD_THREADS = 12


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its database and workers come up when it starts.

    Args:
        settings: as the operator chose; None reads the environment.
    """
    chosen = settings or Settings()
    configure_logs(chosen)
    metrics, tracing = ServiceMetrics.create(), open_tracing(chosen, "service")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.context, app.state.doorkeeper, app.state.supervisor, lock = await run_in_threadpool(
            _start, chosen, metrics
        )
        watch = asyncio.create_task(watch_loop(metrics))
        try:
            yield
        finally:
            watch.cancel()
            await run_in_threadpool(tracing.stop)
            await run_in_threadpool(_stop, app.state.context, app.state.supervisor, lock)

    app = FastAPI(
        title="Engineering-simulation surrogate",
        version=health.VERSION,
        description="Elastic-plastic answers for parts and load histories, with intervals. JSON in SI units; "
        "errors are application/problem+json.",
        lifespan=lifespan,
        responses=errors.declared(405, 421, 422, 429, 500),
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    errors.install(app)
    # The last one added is the first that a request meets.
    app.add_middleware(Gate, settings=chosen)
    if chosen.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=chosen.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=ASKING_HEADERS,
            expose_headers=ANSWERING_HEADERS,
        )
    app.add_middleware(Shield)
    app.add_middleware(RequestMonitor, settings=chosen, metrics=metrics, tracing=tracing)
    for routes in (health, meshes, predictions, results, catalogue, page):
        app.include_router(routes.router, responses=None if routes is health else errors.declared(401, 403))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def serve(settings: Settings) -> None:
    """Runs the service until it is told to end; the second time it is told, it ends at once.

    Requests are answered and short jobs are finished first. Longer ones are left to the next start: jobs outlive the
    process.

    Raises:
        InfrastructureError: other machines could reach it, and there is no API key.
    """
    refuse_if_exposed(settings)
    use_few_arenas()
    # uvicorn raises the signal that ended it once more when it is done; the jobs are safe by then.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    server = _Server(config)
    server.run()
    supervisor: Supervisor | None = getattr(app.state, "supervisor", None)
    if supervisor is not None:
        # Not only where the end was orderly.
        supervisor.stop()
    if supervisor is None or supervisor.is_refused:
        sys.stderr.flush()
        os._exit(_CANNOT_RUN)
    # A picture that is being made in a thread cannot be interrupted; without this the process would wait for it.
    os._exit(0)


class _Server(uvicorn.Server):
    """Ends the streams of events at the first signal, and the workers' patience at the second."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGTERM and SIGINT."""
        context = getattr(self.config.app.state, "context", None) if isinstance(self.config.app, FastAPI) else None
        if isinstance(context, Context):
            # Who listens would keep the service waiting until its patience ends.
            context.changes.close()
        if self.should_exit:
            self.force_exit = True
            app = self.config.app
            supervisor = getattr(app.state, "supervisor", None) if isinstance(app, FastAPI) else None
            if supervisor is not None:
                supervisor.hurry()
        self.should_exit = True


def _start(settings: Settings, metrics: ServiceMetrics) -> tuple[Context, Doorkeeper, Supervisor, IO[str]]:
    check_layout(settings)
    lock = hold(settings, "service")
    clear_scratch(settings, "service")
    engine = open_database(settings.metadata_url, patience_s=DATABASE_PATIENCE_S)
    records = Records(engine)
    blobs = open_blobs(settings, "service")
    makers = Makers(settings, metrics)
    downloads = Downloads(records, blobs, threading.BoundedSemaphore(settings.concurrent_renders), makers.file)
    queue = DbosQueue(settings.jobs_url)
    clear_worker_files(settings)
    supervisor = Supervisor(settings, Roll(engine), workers_of(settings, metrics), _end_this_process)
    supervisor.start()
    backlog, quotas = Backlog(engine, settings.max_unfinished, metrics), Quotas(engine)
    threads = CapacityLimiter(_DOWNLOAD_THREADS)
    context = Context(settings, records, blobs, queue, downloads, quotas, backlog, metrics, makers, threads)
    log.info("service started", directory=str(settings.directory), workers=settings.workers)
    return context, Doorkeeper(Keys(engine), settings), supervisor, lock


def _end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(context: Context, supervisor: Supervisor, lock: IO[str]) -> None:
    context.makers.stop()
    supervisor.stop()
    lock.close()
    log.info("service stopped")


def _openapi(app: FastAPI) -> Document:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = document_of(app)
        declare(document)
        app.openapi_schema = document
    return app.openapi_schema
