"""Predictions: ask, wait, read, download, verify, cancel."""

import uuid
from datetime import UTC
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic_core import PydanticSerializationError

from api import blobs as keys
from api.context import Context, ContextOf
from api.errors import ConflictError, NotFoundError, declared
from api.makers import extent
from api.naming import job_of
from api.routes import meshes
from api.routes.events import WATCHED, LastEventId, event_stream
from api.routes.meshes import ready_mesh
from api.routes.paging import After, Limit, page_of
from api.routes.waiting import Prefer, finished, preferred_wait_s
from api.schemas import PredictionList, PredictionRequest, PredictionStatus, PredictionView
from api.security import Caller, CallerOf
from api.tables import UNFINISHED, PredictionRow
from api.telemetry import request_id
from surrogate import InputError, TooLargeError, list_models

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="the same key and body again answer with the first prediction; another body under the key is 422",
    ),
]


@router.post(
    "",
    status_code=202,
    summary="Ask for a prediction",
    responses={
        200: {"model": PredictionView, "description": "Finished earlier under the same Idempotency-Key"},
        201: {"model": PredictionView, "description": "Finished within the preferred wait"},
        **declared(400, 404, 409, 413, 415, 422, 503, 507),
    },
)
async def create(
    context: ContextOf,
    caller: CallerOf,
    request: PredictionRequest,
    response: Response,
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> PredictionView:
    """Checks the problem against the mesh, then answers it in the background: poll the Location."""
    row, created = await run_in_threadpool(_take_in, context, caller, request, idempotency_key)
    return await _answered(context, row, response, prefer, f"{router.prefix}/{row.id}", 201 if created else 200)


@router.get("", responses=declared(404, 503), summary="List predictions")
def list_all(
    context: ContextOf,
    caller: CallerOf,
    request: Request,
    response: Response,
    limit: Limit = 50,
    after: After = None,
    mesh: Annotated[str | None, Query(max_length=100, description="only those of this mesh")] = None,
    status: Annotated[PredictionStatus | None, Query(description="only those of this status")] = None,
) -> PredictionList:
    """Newest first, without summaries; `next` is the address of the following page."""
    rows = context.records.predictions(limit + 1, owner=caller.owner, after=after, mesh_id=mesh, status=status)
    shown, following = page_of(rows, limit, request, response)
    return PredictionList(predictions=[view(row) for row in shown], next=following)


@router.get("/{prediction_id}", responses=declared(404, 503), summary="A prediction")
async def read(
    context: ContextOf, caller: CallerOf, prediction_id: str, response: Response, prefer: Prefer = None
) -> PredictionView:
    """Status, stage and progress; the summary when done, the error when failed."""
    row = await run_in_threadpool(context.records.prediction, prediction_id, caller.owner)
    shown = await _answered(context, row, response, prefer, None, 200)
    response.status_code = 200
    return shown


@router.get(
    "/{prediction_id}/events",
    response_class=StreamingResponse,
    responses={**WATCHED, **declared(404, 429, 503)},
    summary="Watch a prediction",
)
async def events(
    context: ContextOf, caller: CallerOf, prediction_id: str, last_event_id: LastEventId = None
) -> Response:
    """Server-sent events: `progress` while it is queued and runs, `end` when it is done, failed or cancelled.

    The data are JSON {status, stage, progress, revision}, the id is the revision; the names of the stages stand at
    `stage` of the prediction. A listener that reads slowly skips states. A comment every 15 s keeps the connection
    open; the stream ends with `end`, and who has seen that is answered 204.
    """
    row = await run_in_threadpool(context.records.prediction, prediction_id, caller.owner)
    return event_stream(context, caller, row, last_event_id)


@router.post(
    "/{prediction_id}/cancel",
    status_code=202,
    responses=declared(404, 409, 503),
    summary="Cancel a prediction",
)
def cancel(context: ContextOf, caller: CallerOf, prediction_id: str) -> PredictionView:
    """A queued prediction ends at once, a running one at its next report of progress; a verification likewise."""
    return view(context.records.ask_to_cancel(prediction_id, caller.owner))


@router.post(
    "/{prediction_id}/verification",
    status_code=202,
    responses={
        200: {"model": PredictionView, "description": "Verified earlier"},
        201: {"model": PredictionView, "description": "Verified within the preferred wait"},
        **declared(404, 409, 413, 422, 503, 507),
    },
    summary="Verify a prediction by FEM",
)
async def verify(
    context: ContextOf, caller: CallerOf, prediction_id: str, response: Response, prefer: Prefer = None
) -> PredictionView:
    """Solves the same problem by FEM; the summary then has the difference of each history."""
    row, created = await run_in_threadpool(_take_in_verification, context, caller, prediction_id)
    location = f"{router.prefix}/{prediction_id}/verification"
    return await _answered(context, row, response, prefer, location, 201 if created else 200)


@router.get(
    "/{prediction_id}/verification",
    responses=declared(404, 503),
    summary="The verification of a prediction",
)
async def verification(
    context: ContextOf, caller: CallerOf, prediction_id: str, response: Response, prefer: Prefer = None
) -> PredictionView:
    """How far the newest verification is, and its differences when done."""
    row = await run_in_threadpool(_verification, context, caller, prediction_id)
    shown = await _answered(context, row, response, prefer, None, 200)
    response.status_code = 200
    return shown


@router.delete("/{prediction_id}", status_code=204, responses=declared(404, 409, 503), summary="Delete a prediction")
def delete(context: ContextOf, caller: CallerOf, prediction_id: str) -> Response:
    """Deletes a finished prediction, its verification and their files."""
    row = context.records.prediction(prediction_id, caller.owner)
    solved = context.records.verification_of(row.id)
    for each in (solved, row):
        if each is not None:
            context.records.delete(each)
            context.blobs.delete(keys.of_prediction(each.id))
    return Response(status_code=204)


def view(row: PredictionRow, context: Context | None = None) -> PredictionView:
    """A row as it goes over the wire; with its summary where a context is given."""
    address = f"{router.prefix}/{row.id}"
    done = row.status == "done"
    there = ["events", "cancel"] if row.status in UNFINISHED else ["events"]
    if done:
        there += ["summary", "fields", "report", "result.vtu", "series.zip", "render.png"]
        there += ["verification"] if row.fidelity != "solved" else []
    return PredictionView.model_validate(
        {
            "id": row.id,
            "mesh": row.mesh_id,
            "name": row.name,
            "fidelity": row.fidelity,
            "status": row.status,
            "stage": row.stage,
            "progress": row.progress,
            "revision": row.revision,
            "created_at": row.created_at.replace(tzinfo=UTC),
            "started_at": row.started_at and row.started_at.replace(tzinfo=UTC),
            "finished_at": row.finished_at and row.finished_at.replace(tzinfo=UTC),
            "verifies": row.verifies,
            "links": {
                "self": address,
                "mesh": f"{meshes.router.prefix}/{row.mesh_id}",
                **{name: f"{address}/{name}" for name in there},
            },
            "summary": context.downloads.summary(row) if context is not None and done else None,
            "error": row.error,
        }
    )


async def _answered(
    context: Context, row: PredictionRow, response: Response, prefer: str | None, location: str | None, done_status: int
) -> PredictionView:
    """The prediction after the preferred wait, with the headers that tell the client how to go on."""
    wait_s = preferred_wait_s(prefer, context.settings.max_wait_s, response)
    if wait_s is not None:
        row = await finished(lambda: context.records.prediction(row.id), wait_s)
    if location is not None:
        response.headers["Location"] = location
    if row.status in UNFINISHED:
        response.status_code, response.headers["Retry-After"] = 202, "1"
    else:
        response.status_code = done_status
    return await run_in_threadpool(view, row, context)


def _take_in(
    context: Context, caller: Caller, request: PredictionRequest, key: str | None
) -> tuple[PredictionRow, bool]:
    """The row of a request, and whether it is new; a new one is being answered."""
    try:
        text = request.model_dump_json()
    except PydanticSerializationError:
        raise InputError("the request holds text that is not Unicode (half of a surrogate pair); remove it") from None
    if key is not None and (earlier := context.records.prediction_of_key(key, caller.owner)) is not None:
        return _same(earlier, text, key), False
    mesh_row = context.records.mesh(request.mesh, caller.owner)
    _check_model(request.model)
    # Selectors, material and names are tried now, so that a mistake is told at once.
    path, points = ready_mesh(context, mesh_row)
    asked, most = context.makers.ask(partial(extent, request, path), points=points), context.settings.max_answer_bytes
    if asked.answer_bytes > most:
        raise TooLargeError(
            f"the answer of {asked.histories} load histories on {asked.cells} cells would take "
            f"{asked.answer_bytes / 1e6:.0f} MB, the limit is {most / 1e6:.0f} MB (SURROGATE_MAX_ANSWER_BYTES); split "
            "the histories over several predictions, or use a coarser mesh"
        )
    row = PredictionRow(
        id=uuid.uuid4().hex,
        owner=caller.owner,
        request_id=request_id(),
        mesh_id=mesh_row.id,
        name=request.name or mesh_row.name.split(".")[0] or "part",
        request=text,
        fidelity=request.fidelity,
        idempotency_key=key,
    )
    context.backlog.admit(row)
    with context.quotas.place(row, caller.limits):
        created = context.records.add(row)
    if not created:
        earlier = context.records.prediction_of_key(key, caller.owner) if key is not None else None
        assert earlier is not None, "only an idempotency key can collide"
        return _same(earlier, text, key), False
    context.queue.submit(job_of(row))
    return context.records.prediction(row.id), True


def _check_model(name: str | None) -> None:
    """Only installed models: the library would take a path too, and a request must not choose files of this machine."""
    known = [card.name for card in list_models()]
    if name is not None and name not in known:
        raise InputError(f"no model {name!r}; installed: {', '.join(known) or 'none'}")


def _same(earlier: PredictionRow, text: str, key: str | None) -> PredictionRow:
    if earlier.request != text:
        raise InputError(f"Idempotency-Key {key!r} was used for another request; give each request a key of its own")
    return earlier


def _take_in_verification(context: Context, caller: Caller, prediction_id: str) -> tuple[PredictionRow, bool]:
    """The row that verifies a prediction, and whether it was started now."""
    predicted = context.records.prediction(prediction_id, caller.owner)
    if predicted.status != "done":
        raise ConflictError(f"prediction {predicted.id} is {predicted.status}; verify it when it is done")
    request = PredictionRequest.model_validate_json(predicted.request)
    if predicted.fidelity == "solved":
        raise ConflictError(f"prediction {predicted.id} was solved by FEM already; there is nothing to verify it with")
    if not request.outputs:
        raise ConflictError(
            f'prediction {predicted.id} kept no fields to compare; predict again with outputs ["fields"]'
        )
    row = PredictionRow(
        # Made of the prediction's id, so that asking twice solves once.
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"{predicted.id}/verification").hex,
        owner=caller.owner,
        request_id=request_id(),
        mesh_id=predicted.mesh_id,
        name=predicted.name,
        request=request.model_copy(update={"fidelity": "solved"}).model_dump_json(),
        fidelity="solved",
        verifies=predicted.id,
    )
    context.backlog.admit(row)
    with context.quotas.place(row, caller.limits):
        created = context.records.add(row)
    row = context.records.prediction(row.id)
    if row.status in ("failed", "cancelled"):
        row, created = context.records.renew(row), True
    if row.status in UNFINISHED:
        context.queue.submit(job_of(row))
    return row, created


def _verification(context: Context, caller: Caller, prediction_id: str) -> PredictionRow:
    row = context.records.verification_of(context.records.prediction(prediction_id, caller.owner).id)
    if row is None:
        raise NotFoundError(
            f"prediction {prediction_id} is not verified; POST to {router.prefix}/{prediction_id}/verification"
        )
    return row
