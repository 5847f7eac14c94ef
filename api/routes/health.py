"""What load balancers and operators ask."""

from importlib.metadata import version

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.backlog import BacklogCollector
from api.context import ContextOf
from api.heartbeat import SILENT_S
from api.metrics import exposition
from api.schemas import Health
from surrogate import InfrastructureError

router = APIRouter(tags=["operation"])

VERSION = version("jepa-surrogate")


@router.get("/healthz", summary="Alive")
async def alive() -> Health:
    """Answers as long as the event loop runs, whatever is being computed."""
    return Health(status="ok", version=VERSION)


@router.get("/readyz", summary="Ready", responses={503: {"model": Health}})
def ready(context: ContextOf, response: Response) -> Health:
    """Whether requests can be served: the database answers, a worker lives and files can be kept."""
    checks: dict[str, str] = {}
    try:
        context.records.check()
        checks["database"] = "ok"
        checks["workers"] = "ok" if context.records.living_workers(SILENT_S) else "none"
    except Exception as error:
        checks["database"] = type(error).__name__
    try:
        context.blobs.check()
        checks["files"] = "ok"
    except OSError as error:
        checks["files"] = error.strerror or type(error).__name__
    except InfrastructureError:
        checks["files"] = "no object store"
    well = all(state == "ok" for state in checks.values())
    response.status_code = 200 if well else 503
    return Health(status="ok" if well else "unavailable", version=VERSION, checks=checks)


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
def metrics(context: ContextOf) -> Response:
    """The text format of Prometheus: this process, its workers, and the queues in the database."""
    text = exposition(context.metrics, (BacklogCollector(context.backlog),), context.settings)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
