"""What a finished prediction can be had as: numbers, files for ParaView, pictures, a report."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from api.context import Context, ContextOf
from api.errors import ConflictError, declared
from api.routes.caching import file_responses, has_already, made, tag_of, unchanged, whole
from api.schemas import PictureField
from api.security import Caller, CallerOf
from api.tables import PredictionRow
from surrogate import Summary

router = APIRouter(prefix="/v1/predictions", tags=["results"])

History = Annotated[str | None, Query(max_length=200, description="name of a load history; default the worst")]
Step = Annotated[int | None, Query(ge=0, le=10**9, description="index of a stored step; default the peak step")]
EveryStep = Annotated[int | None, Query(ge=0, le=10**9, description="index of a stored step; default all of them")]


@router.get("/{prediction_id}/summary", responses=declared(404, 409, 503), summary="summary.json")
def summary(context: ContextOf, caller: CallerOf, prediction_id: str) -> Summary:
    """The answer in numbers alone."""
    return context.downloads.summary(_done(context, prediction_id, caller))


@router.get(
    "/{prediction_id}/fields",
    response_class=FileResponse,
    responses={**file_responses("application/octet-stream", "The arrays"), **declared(404, 409, 422, 503)},
    summary="The fields on the surface",
)
async def surface_fields(
    context: ContextOf,
    caller: CallerOf,
    request: Request,
    prediction_id: str,
    history: History = None,
    step: EveryStep = None,
) -> Response:
    """Displacement, von Mises stress and plastic strain at the points of the mesh's `/surface`, in their order.

    A [safetensors](https://huggingface.co/docs/safetensors) file: `steps` U32 [S], `displacement` F32 [S, N, 3] m,
    `von_mises` F32 [S, N] Pa, `plastic_strain` F32 [S, N] (equivalent) and, for answers of a calibrated model,
    `von_mises_interval` F32 [S, N] Pa, the width of the 90 % interval of the step's peak scaled to each point.
    """

    def make(row: PredictionRow) -> Path:
        return context.downloads.fields(row, history=history, step=step)

    return await _file(context, caller, request, prediction_id, make, "application/octet-stream", None)


@router.get(
    "/{prediction_id}/result.vtu",
    response_class=FileResponse,
    responses={**file_responses("application/octet-stream", "The VTU file"), **declared(404, 409, 422, 503)},
    summary="One step for ParaView",
)
async def result(
    context: ContextOf,
    caller: CallerOf,
    request: Request,
    prediction_id: str,
    history: History = None,
    step: Step = None,
) -> Response:
    """Quadratic tetrahedra with displacement, stress and plastic strain of one stored step."""

    def make(row: PredictionRow) -> Path:
        return context.downloads.vtu(row, history=history, step=step)

    return await _file(context, caller, request, prediction_id, make, "application/octet-stream", ".vtu")


@router.get(
    "/{prediction_id}/series.zip",
    response_class=FileResponse,
    responses={**file_responses("application/zip", "The archive"), **declared(404, 409, 503)},
    summary="All stored steps for ParaView",
)
async def series(context: ContextOf, caller: CallerOf, request: Request, prediction_id: str) -> Response:
    """A ZIP of a PVD series: the stored steps of the load histories, the worst 200 steps where there are more."""
    return await _file(context, caller, request, prediction_id, context.downloads.series, "application/zip", ".zip")


@router.get(
    "/{prediction_id}/render.png",
    response_class=FileResponse,
    responses={**file_responses("image/png", "The picture"), **declared(404, 409, 422, 503)},
    summary="A picture",
)
async def render(
    context: ContextOf,
    caller: CallerOf,
    request: Request,
    prediction_id: str,
    field: Annotated[PictureField, Query(description="what is shown; setup: supports and loads")] = "von_mises",
    history: History = None,
    step: Step = None,
) -> Response:
    """One field of one stored step on the part."""

    def make(row: PredictionRow) -> Path:
        return context.downloads.picture(row, field, history=history, step=step)

    return await _file(context, caller, request, prediction_id, make, "image/png", None)


@router.get(
    "/{prediction_id}/report",
    response_class=FileResponse,
    responses={**file_responses("text/html", "The report"), **declared(404, 409, 503)},
    summary="The report",
)
async def report(context: ContextOf, caller: CallerOf, request: Request, prediction_id: str) -> Response:
    """One HTML file with the pictures in it; with the differences once the prediction is verified."""
    row = await run_in_threadpool(_done, context, prediction_id, caller)
    path = await made(context, lambda: context.downloads.report(row))
    # Another file once the prediction is verified; its name says which.
    tag = tag_of(row.id, row.run, path.name)
    return unchanged(tag, "ask") if has_already(request, tag) else whole(path, tag, "ask", "text/html")


def _done(context: Context, prediction_id: str, caller: Caller) -> PredictionRow:
    row = context.records.prediction(prediction_id, caller.owner)
    if row.status != "done":
        raise ConflictError(f"prediction {row.id} is {row.status}; poll {router.prefix}/{row.id} until it is done")
    return row


async def _file(
    context: Context,
    caller: Caller,
    request: Request,
    prediction_id: str,
    make: Callable[[PredictionRow], Path],
    media_type: str,
    suffix: str | None,
) -> Response:
    """A file of a result, which never changes; with a suffix it is saved under the problem's name."""
    row = await run_in_threadpool(_done, context, prediction_id, caller)
    tag = tag_of(row.id, row.run, request.url.path, request.url.query)
    if has_already(request, tag):
        return unchanged(tag, "forever")
    path = await made(context, lambda: make(row))
    return whole(path, tag, "forever", media_type, f"{row.name}{suffix}" if suffix else None)
