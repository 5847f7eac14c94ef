"""What load balancers and operators ask."""

from importlib.metadata import version

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.away import AwayError, StorageFullError
from api.backlog import BacklogCollector
from api.context import Context, ContextOf
from api.errors import RETRY_AFTER_S
from api.metrics import exposition
from api.roll import Roll
from api.schemas import Health
from surrogate import InfrastructureError

router = APIRouter(tags=["operation"])

VERSION = version("jepa-surrogate")

_PATIENCE_S = 4.0
_threads = CapacityLimiter(4)


@router.get("/healthz", summary="Alive")
async def alive() -> Health:
    """Answers as long as the event loop runs, whatever is being computed."""
    return Health(status="ok", version=VERSION)


@router.get("/readyz", summary="Ready", responses={503: {"model": Health}})
async def ready(context: ContextOf, response: Response) -> Health:
    """Whether requests can be served: the database answers, a worker lives and files can be kept."""
    checks: dict[str, str] = {}
    try:
        with fail_after(_PATIENCE_S):
            # Threads of its own: those of requests may all be waiting for the database.
            await to_thread.run_sync(_look, context, checks, limiter=_threads, abandon_on_cancel=True)
    except TimeoutError:
        checks.setdefault("database", "no answer")
        checks.setdefault("files", "unknown")
    well = all(state == "ok" for state in checks.values())
    if not well:
        response.status_code, response.headers["Retry-After"] = 503, RETRY_AFTER_S
    return Health(status="ok" if well else "unavailable", version=VERSION, checks=dict(checks))


def _look(context: Context, checks: dict[str, str]) -> None:
    """Notes what it finds as it goes, for it may take too long."""
    try:
        context.blobs.check()
        checks["files"] = "ok"
    except OSError as error:
        checks["files"] = error.strerror or type(error).__name__
    except InfrastructureError:
        checks["files"] = "no object store"
    try:
        living = Roll(context.records.engine).living(context.settings.worker_silence_s)
        checks["database"], checks["workers"] = "ok", "ok" if living else "none"
    except AwayError as error:
        checks["database"] = "full" if isinstance(error, StorageFullError) else "away"
    except Exception as error:
        checks["database"] = type(error).__name__


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"description": "The counters", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(context: ContextOf) -> Response:
    """The text format of Prometheus: this process, its workers, and the queues in the database."""
    backlog = BacklogCollector(context.backlog, Roll(context.records.engine), context.settings.worker_silence_s)
    text = exposition(context.metrics, (backlog,), context.settings)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
