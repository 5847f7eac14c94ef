"""Parts: upload, look at, delete."""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

from api import blobs as keys
from api.context import Context, ContextOf
from api.errors import ConflictError, DescribedError, declared
from api.makers import face_list
from api.naming import job_of, mesh_key, upload_key
from api.routes.caching import file_responses, has_already, made, tag_of, unchanged, whole
from api.routes.events import WATCHED, LastEventId, event_stream
from api.routes.paging import After, Limit, page_of
from api.routes.waiting import Prefer, finished, preferred_wait_s
from api.schemas import FaceList, MeshList, MeshView, ProblemDetails
from api.security import Caller, CallerOf
from api.tables import UNFINISHED, MeshRow
from api.telemetry import request_id
from surrogate import InputError, file_format

router = APIRouter(prefix="/v1/meshes", tags=["meshes"])

# Part of a mesh's identity: raised when the same file would be read or meshed differently.
READER_VERSION = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Upload:
    """An uploaded file that lies in scratch.

    Attributes:
        path: where it lies.
        name: as the user calls it, without a directory.
        suffix: of the formats that can be read, in small letters.
        digest: sha256 of the content, hexadecimal.
    """

    path: Path
    name: str
    suffix: str
    digest: str

    def mesh_id(self, owner: str, length_unit: str | None, element_size_m: float | None) -> str:
        """The same for the same part of the same owner read in the same way."""
        text = f"{owner} {self.digest} {self.suffix} {READER_VERSION} {length_unit} {element_size_m!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@router.post(
    "",
    status_code=201,
    response_model=MeshView,
    summary="Upload a part",
    responses={
        200: {"model": MeshView, "description": "The same part was uploaded before"},
        202: {"model": MeshView, "description": "Still being meshed; poll the Location"},
        **declared(400, 413, 415, 422, 503, 507),
    },
)
async def upload(
    context: ContextOf,
    caller: CallerOf,
    response: Response,
    file: Annotated[UploadFile, File(description="STEP, STL, OBJ, VTU, VTK, MSH, INP, BDF or NAS, also .gz")],
    length_unit: Annotated[
        str | None, Form(max_length=16, description="unit of the coordinates; needed where the format carries none")
    ] = None,
    element_size_m: Annotated[float | None, Form(description="wanted element size, m; default chosen")] = None,
    prefer: Prefer = None,
) -> MeshView:
    """Meshes a part. The same content, unit and element size again is answered with the mesh that there is."""
    if element_size_m is not None and not (math.isfinite(element_size_m) and element_size_m > 0):
        raise InputError(f"element_size_m = {element_size_m}: give a positive length in metres, or leave it out")
    name = _file_name(file.filename or "part")
    unit = (length_unit or "").strip() or None
    row, created = await run_in_threadpool(_take_in, context, caller, file.file, name, unit, element_size_m)
    wait_s = preferred_wait_s(prefer, context.settings.max_wait_s, response)
    patience_s = context.settings.mesh_wait_s if wait_s is None else wait_s
    row = await finished(lambda: context.records.mesh(row.id), patience_s)
    if row.status == "failed":
        raise DescribedError(ProblemDetails.model_validate(row.error))
    response.headers["Location"] = f"{router.prefix}/{row.id}"
    if row.status in UNFINISHED:
        response.status_code, response.headers["Retry-After"] = 202, "1"
    elif not created:
        response.status_code = 200
    return view(row)


@router.get("", responses=declared(404, 503), summary="List parts")
def list_all(
    context: ContextOf,
    caller: CallerOf,
    request: Request,
    response: Response,
    limit: Limit = 50,
    after: After = None,
) -> MeshList:
    """Newest first; `next` is the address of the following page."""
    rows = context.records.meshes(limit + 1, owner=caller.owner, after=after)
    shown, following = page_of(rows, limit, request, response)
    return MeshList(meshes=[view(row) for row in shown], next=following)


@router.get("/{mesh_id}", responses=declared(404, 503), summary="A part")
async def read(
    context: ContextOf, caller: CallerOf, mesh_id: str, response: Response, prefer: Prefer = None
) -> MeshView:
    """Status and sizes; `error` tells why a part could not be meshed."""
    wait_s = preferred_wait_s(prefer, context.settings.max_wait_s, response) or 0
    return view(await finished(lambda: context.records.mesh(mesh_id, caller.owner), wait_s))


@router.get(
    "/{mesh_id}/events",
    response_class=StreamingResponse,
    responses={**WATCHED, **declared(404, 429, 503)},
    summary="Watch a part being meshed",
)
async def events(context: ContextOf, caller: CallerOf, mesh_id: str, last_event_id: LastEventId = None) -> Response:
    """Server-sent events: `progress` when the status changes, `end` when it is ready or failed.

    The data are JSON {status, stage, progress, revision}, the id is the revision. A comment every 15 s keeps the
    connection open; the stream ends with `end`, and who has seen that is answered 204.
    """
    row = await run_in_threadpool(context.records.mesh, mesh_id, caller.owner)
    return event_stream(context, caller, row, last_event_id)


@router.get(
    "/{mesh_id}/faces",
    responses=declared(404, 409, 413, 415, 422, 503),
    summary="The faces that loads and supports can select",
)
def faces(context: ContextOf, caller: CallerOf, mesh_id: str) -> FaceList:
    """Every face with what was fitted to it: the values that selectors compare with."""
    row = context.records.mesh(mesh_id, caller.owner)
    path, points = ready_mesh(context, row)
    return context.makers.ask(partial(face_list, row.id, path), points=points)


@router.get(
    "/{mesh_id}/surface",
    response_class=FileResponse,
    responses={
        **file_responses("application/octet-stream", "The arrays"),
        **declared(404, 409, 413, 415, 422, 503),
    },
    summary="The surface, for drawing",
)
async def surface(context: ContextOf, caller: CallerOf, request: Request, mesh_id: str) -> Response:
    """The boundary triangles with their face, and the lines where faces meet.

    A [safetensors](https://huggingface.co/docs/safetensors) file: `points` F32 [N, 3] m, `triangles` U32 [F, 3]
    (counter-clockwise seen from outside, one from corner to corner of each boundary triangle), `triangle_face` U32 [F]
    (ids of `/faces`), `edges` U32 [L, 2], `point_ids` U32 [N] (index into the points of the mesh).
    """
    row = await run_in_threadpool(_ready, context, caller, mesh_id)
    # A deleted part that is uploaded again has the same id, and perhaps other points.
    tag = tag_of(row.id, row.run, "surface")
    if has_already(request, tag):
        return unchanged(tag, "ask")
    path = await made(context, lambda: context.downloads.surface(row))
    return whole(path, tag, "ask", "application/octet-stream")


@router.get(
    "/{mesh_id}/content",
    response_class=FileResponse,
    responses={**file_responses("application/octet-stream", "The file"), **declared(404, 503)},
    summary="The file as it was uploaded",
)
async def content(context: ContextOf, caller: CallerOf, request: Request, mesh_id: str) -> Response:
    """Bit for bit what was uploaded."""
    row = await run_in_threadpool(context.records.mesh, mesh_id, caller.owner)
    # The id is made of the content, so that one address never holds another file.
    tag = tag_of(row.id, "content")
    if has_already(request, tag):
        return unchanged(tag, "forever")
    path = await made(context, lambda: context.blobs.path(upload_key(row)))
    # Always as a download: a part may hold markup that a browser would run.
    return whole(path, tag, "forever", "application/octet-stream", row.name)


@router.delete("/{mesh_id}", status_code=204, responses=declared(404, 409, 503), summary="Delete a part")
def delete(context: ContextOf, caller: CallerOf, mesh_id: str) -> Response:
    """Deletes a part that no prediction needs."""
    row = context.records.mesh(mesh_id, caller.owner)
    context.records.delete(row)
    context.blobs.delete(keys.of_mesh(row.id))
    return Response(status_code=204)


def ready_mesh(context: Context, row: MeshRow) -> tuple[Path, int]:
    """The file of a part's mesh, and how many points it has.

    Raises:
        ConflictError: it is still being meshed.
        DescribedError: it could not be meshed.
    """
    path = context.blobs.path(mesh_key(_meshed(row).id))
    return path, int(str((row.facts or {}).get("points", 0)))


def _ready(context: Context, caller: Caller, mesh_id: str) -> MeshRow:
    return _meshed(context.records.mesh(mesh_id, caller.owner))


def _meshed(row: MeshRow) -> MeshRow:
    if row.status in UNFINISHED:
        raise ConflictError(f"mesh {row.id} is still {row.status}; poll {router.prefix}/{row.id} until it is ready")
    if row.status == "failed":
        raise DescribedError(ProblemDetails.model_validate(row.error))
    return row


def view(row: MeshRow) -> MeshView:
    """A row as it goes over the wire."""
    facts = row.facts or {}
    address = f"{router.prefix}/{row.id}"
    there = ("faces", "surface", "content", "events") if row.status == "ready" else ("content", "events")
    return MeshView.model_validate(
        {
            "id": row.id,
            "status": row.status,
            "name": row.name,
            "length_unit": row.length_unit,
            "requested_element_size_m": row.element_size_m,
            "revision": row.revision,
            "created_at": row.created_at.replace(tzinfo=UTC),
            "links": {"self": address, **{name: f"{address}/{name}" for name in there}},
            "error": row.error,
            **facts,
        }
    )


def _take_in(
    context: Context, caller: Caller, stream: BinaryIO, name: str, length_unit: str | None, element_size_m: float | None
) -> tuple[MeshRow, bool]:
    """The row of a part, and whether it is new; a new one is being meshed."""
    suffix = _suffix(name)
    with context.blobs.scratch() as scratch:
        path = scratch / "upload"
        digest = hashlib.sha256()
        with path.open("wb") as copy:
            for chunk in iter(lambda: stream.read(_CHUNK), b""):
                digest.update(chunk)
                copy.write(chunk)
        part = Upload(path, name, suffix, digest.hexdigest())
        row = MeshRow(
            id=part.mesh_id(caller.owner, length_unit, element_size_m),
            owner=caller.owner,
            request_id=request_id(),
            name=name,
            suffix=suffix,
            upload_bytes=path.stat().st_size,
            length_unit=length_unit,
            element_size_m=element_size_m,
        )
        context.backlog.admit(row)
        with context.quotas.place(row, caller.limits):
            context.blobs.keep(path, upload_key(row))
            created = context.records.add(row)
    row = context.records.mesh(row.id)
    if row.status == "failed" and row.error is not None and int(str(row.error["status"])) >= 500:
        # Not the part's fault: it deserves another attempt.
        row = context.records.renew(row)
    if row.status == "queued":
        context.queue.submit(job_of(row))
    return row, created


def _file_name(given: str) -> str:
    """The last part of what a client calls a file, without characters that screens and databases take for commands."""
    last = PurePosixPath(given.replace("\\", "/")).name[-255:]
    return "".join(letter if letter.isprintable() else "_" for letter in last)


def _suffix(name: str) -> str:
    """Raises UnsupportedFormatError where no reader takes it."""
    return f".{file_format(Path(name))}" + (".gz" if name.lower().endswith(".gz") else "")
