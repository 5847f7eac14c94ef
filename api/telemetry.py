"""What an operator sees of each request: a structured log line with its id, and its share of the numbers."""

import asyncio
import logging
import re
import sys
import time
import uuid
from contextlib import AbstractContextManager

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import ServiceMetrics
from api.settings import Settings
from api.tracing import NoTracing, Span, Tracing

# A client may send any word as its method, and each would be a time series of its own.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_LOOK_EVERY_S = 0.25
_PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


def configure_logs(settings: Settings) -> None:
    """One event a line on standard error, with what the context binds (request id, job, id)."""
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [
            _printable,
            # Without the local variables, which hold what must not be logged: an API key, say.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        # A line in one piece: the workers write to the same place.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def _printable(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Text for a terminal, which clients must not command: control characters become what they are written as."""
    return {
        name: repr(value) if isinstance(value, str) and not value.isprintable() else value
        for name, value in event.items()
    }


def request_id() -> str | None:
    """The id of the request that is being answered."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return found if isinstance(found, str) else None


async def watch_loop(metrics: ServiceMetrics) -> None:
    """Measures, until it is cancelled, how late the event loop wakes up: whoever holds it up holds up everybody."""
    while True:
        due = time.perf_counter() + _LOOK_EVERY_S
        await asyncio.sleep(_LOOK_EVERY_S)
        metrics.loop_delay_seconds.observe(max(time.perf_counter() - due, 0.0))


class BodyTooLarge(HTTPException):
    """The request's body is over the limit."""

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(
            413, f"the request is over the limit of {limit} bytes ({limit / 2**20:.4g} MiB); send a smaller {what}"
        )


class RequestMonitor:
    """Gives each request an id, bounds its body, logs and counts it."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: ServiceMetrics, tracing: Tracing) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        name = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = name
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=name),
            self._metrics.open_requests.track_inprogress(),
            self._traced(scope, headers) as span,
        ):
            try:
                await self._app(scope, self._bounded(headers, receive), answer)
            finally:
                seconds = time.perf_counter() - started
                # The route's pattern, not the path: ids would make a counter each.
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                span.name(f"{method} {route}")
                span.note({"http.response.status_code": status, "http.route": route, "surrogate.request_id": name})
                self._metrics.requests.labels(method, route, status).inc()
                self._metrics.request_seconds.labels(method, route).observe(seconds)
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    milliseconds=round(seconds * 1000, 1),
                )

    def _traced(self, scope: Scope, headers: Headers) -> AbstractContextManager[Span]:
        """What asks every few seconds whether the service is well is not worth a trace."""
        tracing = NoTracing() if scope["path"] in _PROBES else self._tracing
        return tracing.request(scope["method"], headers.get("traceparent"))

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        announced, received = headers.get("content-length", ""), 0
        is_upload = headers.get("content-type", "").lower().startswith("multipart/")
        most, what = self._settings.max_upload_bytes, "file"
        if not is_upload:
            most, what = min(most, self._settings.max_json_bytes), "body, by several requests"

        async def bounded() -> Message:
            nonlocal received
            # Cut to the digits that a number has: what is longer is too large already.
            if announced.isdecimal() and int(announced[:20]) > most:
                raise BodyTooLarge(most, what)
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise BodyTooLarge(most, what)
            return message

        return bounded
