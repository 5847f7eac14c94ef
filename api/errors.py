"""The one place where errors become HTTP: every error is `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.away import DatabaseAwayError, StorageFullError, is_full, storage_full
from api.schemas import ProblemDetails
from surrogate import (
    CheckpointError,
    InfrastructureError,
    InputError,
    SolveError,
    SurrogateError,
    TooLargeError,
    UnsupportedFormatError,
)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = "5"
# A key may also be sent as a bearer token, the one of both ways that is registered for a challenge.
CHALLENGE = 'Bearer realm="surrogate"'
_LONGEST_PATH = 120
# An error may quote what was sent, which may be megabytes.
_LONGEST_DETAIL = 4000

log = structlog.get_logger()


class NotFoundError(SurrogateError):
    """No such mesh or prediction."""


class ConflictError(SurrogateError):
    """The request does not fit the state of what it names."""


class UnauthenticatedError(SurrogateError):
    """No API key, or none that the service takes."""


class ForbiddenError(SurrogateError):
    """The caller may not do this."""


class MisdirectedError(SurrogateError):
    """The request names a host that this service is not."""


class TooManyError(SurrogateError):
    """More requests or jobs than the caller may have at once.

    Attributes:
        retry_after_s: when to try again, s.
    """

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class BusyError(InfrastructureError):
    """The service has as much to do as it takes.

    Attributes:
        retry_after_s: when to try again, s.
    """

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class StorageQuotaError(TooLargeError):
    """The caller's uploads and results take as much as they may."""


# The most derived class that is listed decides.
_STATUS: Mapping[type[SurrogateError], HTTPStatus] = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    TooLargeError: HTTPStatus.CONTENT_TOO_LARGE if hasattr(HTTPStatus, "CONTENT_TOO_LARGE") else HTTPStatus(413),
    UnsupportedFormatError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    MisdirectedError: HTTPStatus.MISDIRECTED_REQUEST,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    SolveError: HTTPStatus.UNPROCESSABLE_ENTITY,
    CheckpointError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    InfrastructureError: HTTPStatus.SERVICE_UNAVAILABLE,
    SurrogateError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class DescribedError(Exception):
    """An error that was described earlier, for example by a job that failed."""

    def __init__(self, problem: ProblemDetails) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def describe(error: BaseException) -> ProblemDetails:
    """The RFC 9457 body of an error; what was not raised on purpose keeps its text to itself."""
    if not isinstance(error, SurrogateError):
        return ProblemDetails(
            type="urn:surrogate:error:internal",
            title="Internal error",
            status=500,
            detail="the service failed in a way that it should not; its log has the cause",
        )
    kind = type(error)
    status = next(_STATUS[base] for base in kind.__mro__ if base in _STATUS)
    words = "".join(" " + letter.lower() if letter.isupper() else letter for letter in kind.__name__).split()
    words = [word for word in words if word != "error"]
    return ProblemDetails(
        type=f"urn:surrogate:error:{'-'.join(words)}",
        title=" ".join(words).capitalize(),
        status=int(status),
        detail=_shortened(str(error)),
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else f"{text[: _LONGEST_DETAIL - 1]}…"


def headers_of(error: SurrogateError) -> dict[str, str]:
    """The headers that go with an error."""
    if isinstance(error, UnauthenticatedError):
        return {"WWW-Authenticate": CHALLENGE}
    return {"Retry-After": str(error.retry_after_s)} if isinstance(error, (TooManyError, BusyError)) else {}


def respond(problem: ProblemDetails, request: Request, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response that carries a problem."""
    extra = dict(headers or {})
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", RETRY_AFTER_S)
    body = problem.model_copy(update={"instance": request.url.path}).model_dump(exclude_none=True)
    return JSONResponse(body, problem.status, extra, media_type=PROBLEM_JSON)


def _validation_problem(error: RequestValidationError) -> ProblemDetails:
    """FastAPI's 422, with the path of each finding and without the input, which may be large or secret."""
    findings = []
    for finding in error.errors():
        path = ""
        for part in finding["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        path = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
        findings.append({"path": path, "detail": _shortened(str(finding["msg"]))})
    shown = "; ".join(f"{finding['path']}: {finding['detail']}" for finding in findings[:5])
    return ProblemDetails(
        type="urn:surrogate:error:validation",
        title="Validation",
        status=422,
        detail=_shortened(shown) + (f"; and {len(findings) - 5} more" if len(findings) > 5 else ""),
        errors=findings[:50],
    )


def install(app: FastAPI) -> None:
    """Maps the error tree, FastAPI's own errors and everything unforeseen."""

    @app.exception_handler(SurrogateError)
    def on_known(request: Request, error: SurrogateError) -> JSONResponse:
        return respond(describe(error), request, headers_of(error))

    @app.exception_handler(DescribedError)
    def on_described(request: Request, error: DescribedError) -> JSONResponse:
        return respond(error.problem, request)

    @app.exception_handler(PoolTimeoutError)
    def on_busy(request: Request, error: PoolTimeoutError) -> JSONResponse:
        log.warning("no connection to the database is free", reason=str(error)[:200])
        return respond(describe(DatabaseAwayError("the database is too busy; try again in a few seconds")), request)

    @app.exception_handler(OSError)
    def on_system(request: Request, error: OSError) -> JSONResponse:
        if is_full(error):
            return respond(describe(storage_full()), request)
        return on_unforeseen(request, error)

    @app.exception_handler(RequestValidationError)
    def on_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return respond(_validation_problem(error), request)

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if is_full(error.__cause__):
            # The body is put aside on disk while it is read.
            return respond(describe(storage_full()), request)
        title = HTTPStatus(error.status_code).phrase
        detail = error.detail if error.detail != title else f"{title}: {request.method} {request.url.path}"
        kind = title.lower().replace(" ", "-")
        problem = ProblemDetails(
            type=f"urn:surrogate:error:{kind}", title=title, status=error.status_code, detail=detail
        )
        return respond(problem, request, error.headers)

    @app.exception_handler(Exception)
    def on_unforeseen(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        return respond(describe(error), request)


def declared(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Error responses of an endpoint for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in statuses
    }
