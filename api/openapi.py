"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know: headers, and real examples.

The examples of answers are recorded from the service (`make api-examples`); those of requests are tried by the tests.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Literal, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.errors import CHALLENGE, PROBLEM_JSON
from api.schemas import ProblemDetails

Json = dict[str, object]
Document = dict[str, Json]
Method = Literal["get", "post", "delete"]

TAGS = {
    "meshes": "Parts: uploaded once, meshed once, known by their content.",
    "predictions": "Problems on a part, and how far their answers are.",
    "results": "What a finished prediction can be had as.",
    "catalogue": "Materials and models.",
    "operation": "What load balancers and operators ask.",
}
_HEADERS: Mapping[str, tuple[str, str]] = {
    "X-Request-ID": ("names the request in the logs; the one that was sent, or a new one", "5b0c7e1fd7a94b6f8c3d2e1a"),
    "RateLimit": (
        "requests that are left, and seconds until more are; where the key has a limit",
        '"requests";r=299;t=60',
    ),
    "RateLimit-Policy": ("how many requests in how many seconds", '"requests";q=300;w=60'),
    "Retry-After": ("seconds after which to ask again", "5"),
    "Location": ("address of what was made", "/v1/predictions/0f9b7c52a3e84d3c9c8a5b1f6f1d2e3a"),
    "Preference-Applied": ("the wait that was honoured", "wait=5"),
    "Link": ("address of the following page (RFC 8288)", '</v1/predictions?limit=50&after=0f9b>; rel="next"'),
    "ETag": ("changes with the content; send it as `If-None-Match`", '"9b1c7f5de0a24c3d8b6a5f4e3d2c1b0a"'),
    "Cache-Control": ("how long a copy is good; never in a shared cache", "private, max-age=31536000, immutable"),
    "Content-Disposition": ("name to save the file under", 'attachment; filename="bracket.vtu"'),
    "WWW-Authenticate": ("how to say who asks", CHALLENGE),
    "Allow": ("methods that there are", "GET"),
}
_SAVED = ("/content", "/result.vtu", "/series.zip")

# The name of the recorded answer of each operation, by status.
_ANSWERS: Mapping[tuple[Method, str], Mapping[int, str]] = {
    ("get", "/healthz"): {200: "health"},
    ("get", "/readyz"): {200: "ready", 503: "not_ready"},
    ("post", "/v1/meshes"): {200: "mesh", 201: "mesh", 202: "mesh_queued"},
    ("get", "/v1/meshes"): {200: "mesh_list"},
    ("get", "/v1/meshes/{mesh_id}"): {200: "mesh"},
    ("get", "/v1/meshes/{mesh_id}/faces"): {200: "faces"},
    ("post", "/v1/predictions"): {200: "prediction", 201: "prediction", 202: "prediction_queued"},
    ("get", "/v1/predictions"): {200: "prediction_list"},
    ("get", "/v1/predictions/{prediction_id}"): {200: "prediction"},
    ("post", "/v1/predictions/{prediction_id}/cancel"): {202: "prediction_cancelled"},
    ("post", "/v1/predictions/{prediction_id}/verification"): {
        200: "verification",
        201: "verification",
        202: "verification_queued",
    },
    ("get", "/v1/predictions/{prediction_id}/verification"): {200: "verification"},
    ("get", "/v1/predictions/{prediction_id}/summary"): {200: "summary"},
    ("get", "/v1/materials"): {200: "materials"},
    ("get", "/v1/models"): {200: "models"},
    ("get", "/v1/models/{name}"): {200: "model"},
}
# Kind and text of a typical error of each status.
_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "There was an error parsing the body"),
    401: ("unauthenticated", "this API key is unknown, revoked or expired"),
    403: ("forbidden", "POST /v1/predictions needs the scope 'run'; this key has read"),
    404: ("not-found", "no prediction '0f9b7c52a3e84d3c9c8a5b1f6f1d2e3a'; it may have been deleted"),
    405: ("method-not-allowed", "Method Not Allowed: PUT /v1/predictions"),
    409: ("conflict", "prediction 0f9b7c52a3e84d3c9c8a5b1f6f1d2e3a is running; poll it until it is done"),
    413: ("content-too-large", "the request is over the limit of 134217728 bytes (128 MiB); send a smaller file"),
    415: (
        "unsupported-format",
        "drawing.pdf: no reader for .pdf; give one of .step, .stl, .obj, .vtu, .msh, .inp, .bdf",
    ),
    421: ("misdirected", "without API keys this service answers to localhost and 127.0.0.1 only, not to 'example.org'"),
    422: ("selector", "supports[0]: selector cylinder of radius 3 mm matched 0 faces; this part has radii 4.25, 8 mm"),
    429: ("too-many", "more than 300 requests within a minute; try again in 4 s"),
    500: ("internal", "the service failed in a way that it should not; its log has the cause"),
    503: ("infrastructure", "256 problems are waiting for the model; try again in a few seconds"),
    507: (
        "storage-full",
        "the service has no room left for this; have its operator make room",
    ),
}


def operation_id(route: APIRoute) -> str:
    """`meshes_upload`: what generated clients call an operation."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def document_of(app: FastAPI) -> Document:
    """The OpenAPI document of an application."""
    document: Document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Elastic-plastic answers for parts and load histories, with intervals",
        description=app.description,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = cast(dict[str, Json], document.setdefault("components", {}))
    components.setdefault("schemas", {})["ProblemDetails"] = ProblemDetails.model_json_schema()
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}, "example": example}
        for name, (text, example) in _HEADERS.items()
    }
    for path, method, operation in operations(document):
        responses = cast(dict[str, Json], operation["responses"])
        for status, response in responses.items():
            _describe(response, path, method, int(status))
            names = _header_names(path, method, int(status), waits="prefer" in _sent_headers(operation))
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        _show_requests(operation, path, method)
    return document


def operations(document: Document) -> Iterator[tuple[str, Method, Json]]:
    """Path, method and description of every operation of a document."""
    for path, methods in cast(dict[str, dict[Method, Json]], document["paths"]).items():
        for method, operation in methods.items():
            yield path, method, operation


@cache
def example(name: str) -> object:
    """A recorded answer, or the requests that are shown."""
    found: object = json.loads(files("api").joinpath("examples", f"{name}.json").read_text(encoding="utf-8"))
    return found


def _describe(response: Json, path: str, method: Method, status: int) -> None:
    """Puts an example into a response."""
    content = cast(dict[str, Json], response.get("content", {}))
    if PROBLEM_JSON in content:
        kind, detail = _ERRORS[status]
        title = kind.replace("-", " ").capitalize()
        shown = ProblemDetails(type=f"urn:surrogate:error:{kind}", title=title, status=status, detail=detail)
        content[PROBLEM_JSON]["example"] = shown.model_dump(exclude_none=True)
    name = _ANSWERS.get((method, path), {}).get(status)
    if name is not None:
        content["application/json"]["example"] = example(name)


def _show_requests(operation: Json, path: str, method: Method) -> None:
    if (method, path) not in (("post", "/v1/meshes"), ("post", "/v1/predictions")):
        return
    content = cast(dict[str, Json], cast(Json, operation["requestBody"])["content"])
    (body,) = content.values()
    body["examples"] = example("mesh_requests" if path == "/v1/meshes" else "prediction_requests")


def _sent_headers(operation: Json) -> set[object]:
    parameters = cast(list[Json], operation.get("parameters", []))
    return {str(each["name"]).lower() for each in parameters if each["in"] == "header"}


def _header_names(path: str, method: Method, status: int, *, waits: bool) -> Iterator[str]:
    """The headers of a response, beside those of every HTTP response."""
    yield "X-Request-ID"
    if path.startswith("/v1/") and status not in (401, 403, 421):
        yield from ("RateLimit", "RateLimit-Policy")
    by_status = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}
    yield from by_status.get(status, ())
    made = method == "post" and status < 300 and not path.endswith("/cancel")
    if made:
        yield from ("Location", "Retry-After") if status == HTTPStatus.ACCEPTED else ("Location",)
    if waits and status < 300:
        yield "Preference-Applied"
    if (method, path) in (("get", "/v1/meshes"), ("get", "/v1/predictions")) and status == HTTPStatus.OK:
        yield "Link"
    if _is_file(path) and status in (200, 304):
        yield from ("ETag", "Cache-Control")
        if status == HTTPStatus.OK and path.endswith(_SAVED):
            yield "Content-Disposition"


def _is_file(path: str) -> bool:
    return path.endswith((*_SAVED, "/surface", "/fields", "/render.png", "/report"))
