"""Every request passes here before anything reads it: who asks, how often, and the headers of the answer."""

from contextlib import suppress

import anyio
import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import NotFoundError, TooManyError, describe, headers_of, respond
from api.quotas import MovingWindow, Rate
from api.security import NOBODY, Caller, Doorkeeper, address_of, comes_from_here
from api.settings import Settings
from surrogate import InputError, SurrogateError

# How long the body of a refused request is received and thrown away, s.
_LINGER_S = 20.0
# Asked every few seconds by whoever watches the service; it reads nothing.
_NEVER_REFUSED = frozenset({"/healthz"})
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# The page loads what the service serves, and pictures and downloads that its own script made.
_PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "worker-src 'self' blob:; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# A report has its pictures and its style in itself, and no script; what else might have got into one does not run.
_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

# What a page of another origin may send and read, where one is let in.
ASKING_HEADERS = [
    "Content-Type", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "Prefer", "X-API-Key", "X-Request-ID",
]  # fmt: skip
ANSWERING_HEADERS = [
    "Content-Disposition", "ETag", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After",
    "X-Request-ID",
]  # fmt: skip

log = structlog.get_logger()


class Shield:
    """Gives every response the headers that keep browsers from misusing it, those of unforeseen errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                protect(MutableHeaders(scope=message), scope)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if begun:
                raise
            log.error("request failed", path=scope["path"], exc_info=error)
            await respond(describe(error), Request(scope))(scope, receive, answer)


def protect(headers: MutableHeaders, scope: Scope) -> None:
    """Adds to the headers of a response what it lacks; a route that knows better has its own already."""
    of_service = scope["path"].startswith("/v1/") or scope["path"] == "/metrics"
    html = headers.get("content-type", "").startswith("text/html")
    policy = (_REPORT_POLICY if html else _DATA_POLICY) if of_service else _PAGE_POLICY
    for name, value in {**_ALWAYS, "Content-Security-Policy": policy}.items():
        headers.setdefault(name, value)
    if of_service:
        headers.setdefault("Cache-Control", "no-store")
    if scope.get("scheme") == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class Gate:
    """Lets a request in with its caller, or refuses it before its body is read.

    Its doorkeeper is made when the application starts, and stands in the application's state.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._asked = MovingWindow()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # There is no web socket here; one that is opened by mistake must not be open to everybody.
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        try:
            caller = await self._caller(request)
        except SurrogateError as error:
            await self._refuse(respond(describe(error), request, headers_of(error)), scope, receive, send)
            return
        rate = self._rate(request, caller)
        own = {} if rate is None else rate.headers()
        refusal = _too_many(rate) if rate is not None and rate.exceeded else _unreadable(scope)
        if refusal is not None:
            headers = {**headers_of(refusal), **own}
            await self._refuse(respond(describe(refusal), request, headers), scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(own)
            await send(message)

        await self._app(scope, receive, answer)

    async def _refuse(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers at once, then lets the body run into nothing for a while.

        A connection that is closed while a proxy still sends is a broken one to it: it would answer 502 in place of
        the refusal.
        """

        async def held_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await response(scope, receive, held_open)
        left = self._settings.max_upload_bytes
        # What is over a limit ends this too: the refusal has been sent.
        with anyio.move_on_after(_LINGER_S), suppress(HTTPException):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) or 1
                if not message.get("more_body", False):
                    break
        await send({"type": "http.response.body", "body": b""})

    async def _caller(self, request: Request) -> Caller:
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        try:
            return await doorkeeper.caller(request, request.method)
        except SurrogateError:
            # Whoever is refused counts as a stranger: it costs something to refuse him too.
            rate = self._rate(request, NOBODY)
            if rate is not None and rate.exceeded:
                raise _too_many(rate) from None
            raise

    def _rate(self, request: Request, caller: Caller) -> Rate | None:
        """Counts a request; None where it is not limited, as those of this machine without a key."""
        if caller is NOBODY:
            most = self._settings.anonymous_requests_per_minute
            if not most or request.scope["path"] in _NEVER_REFUSED or comes_from_here(request):
                return None
            return self._asked.hit(f"address {address_of(request)}", most)
        most = caller.limits.requests_per_minute
        return self._asked.hit(f"key {caller.owner}", most) if most else None


def _unreadable(scope: Scope) -> SurrogateError | None:
    """Why an address cannot be looked up, if so: databases end a text at the character NUL, or refuse it."""
    if "\0" in scope["path"]:
        return NotFoundError("there is no such address: it holds the character NUL")
    if b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        return InputError("the query holds the character NUL; remove it")
    return None


def _too_many(rate: Rate) -> TooManyError:
    return TooManyError(
        f"more than {rate.limit} requests within a minute; try again in {rate.reset_s} s", retry_after_s=rate.reset_s
    )
