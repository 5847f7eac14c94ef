"""Who may do what: whose a request is, and what its key allows.

Three scopes: `read` asks (GET), `run` also makes and deletes, `admin` sees how the service fares (/metrics). Objects
belong to the key that made them, and no scope shows those of others. While there never was a key, the service is open
to the programs of this machine, and to nobody else: not to another machine, and not to a web page of a stranger that
is shown in a browser here.
"""

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast
from urllib.parse import urlsplit

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection

from api.errors import ForbiddenError, MisdirectedError, TooManyError, UnauthenticatedError
from api.keys import SCOPES, GivenKey, Keys, Scope, open_keys, taken_apart
from api.quotas import NO_LIMITS, Limits, MovingWindow
from api.settings import Settings
from api.tables import LOCAL_OWNER, KeyRow
from surrogate import InfrastructureError

# Whoever asks sees these: what tells that the service lives, and the page with what belongs to it, which holds no data.
PUBLIC_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
PUBLIC_FOLDERS = ("/page/",)
ADMIN_PATHS = frozenset({"/metrics"})
READING = frozenset({"GET", "HEAD"})
# A revoked key is refused after so long at the latest: until then the database is not asked again.
TRUST_S = 5.0
# Looking up a key must not wait for threads that requests hold.
_LOOKUPS = 4
# A proxy that says so brings in other machines, though it is on this one.
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_CREATE = "surrogate keys create --name NAME"

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        owner: id of the API key, which owns what it makes.
        scopes: what it may do.
        limits: how much it may have.
    """

    owner: str
    scopes: frozenset[Scope] = frozenset()
    limits: Limits = NO_LIMITS


# The operator of an open service sets no limits to himself.
LOCAL = Caller(LOCAL_OWNER, frozenset(SCOPES))
NOBODY = Caller("")


def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


CallerOf = Annotated[Caller, Depends(_caller)]


def needed_scope(method: str, path: str) -> Scope | None:
    """What a request needs; None where anybody may ask. What is listed nowhere is closed."""
    if path in ADMIN_PATHS:
        return "admin"
    if method in READING:
        return None if path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS) else "read"
    return "run"


def refuse_if_exposed(settings: Settings) -> None:
    """Keeps a service without keys from listening to other machines.

    Raises:
        InfrastructureError: it would.
    """
    if not _loops_back(settings.host) and not open_keys(settings).exist():
        raise InfrastructureError(
            f"refusing to listen on {settings.host}:{settings.port}, which other machines can reach, while there is no "
            f"API key: make one with `{_CREATE}`, or listen on 127.0.0.1"
        )


class Doorkeeper:
    """Tells whose a request is, or refuses it. For one event loop.

    Args:
        keys: the table.
        settings: as the operator chose.
    """

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys, self._settings = keys, settings
        self._seen: dict[str, tuple[KeyRow, float]] = {}
        self._wrong = MovingWindow()
        self._lookups = CapacityLimiter(_LOOKUPS)
        self._keys_exist, self._asked = False, -TRUST_S

    async def caller(self, request: HTTPConnection, method: str) -> Caller:
        """Who asks.

        Raises:
            UnauthenticatedError: no key, or none that holds.
            ForbiddenError: its scopes do not allow this; or the service is open, and this comes from elsewhere.
            MisdirectedError: the service is open, and the request takes it for another host.
            TooManyError: too many wrong keys from this address.
        """
        scope = needed_scope(method, request.scope["path"])
        if scope is None:
            return NOBODY
        text = _sent_key(request)
        if text is None and not await self._any_key():
            _check_it_is_local(request, self._settings.origins)
            return LOCAL
        if text is None:
            raise UnauthenticatedError(
                f"no API key; send yours in the header X-API-Key (the operator makes one with `{_CREATE}`)"
            )
        caller = await self._holder(text, address_of(request))
        if scope not in caller.scopes:
            has = ", ".join(sorted(caller.scopes))
            raise ForbiddenError(
                f"{method} {request.scope['path'][:100]} needs the scope {scope!r}; this key has {has}"
            )
        return caller

    async def _any_key(self) -> bool:
        """Whether there ever was a key; once there was, there is no need to ask again."""
        if not self._keys_exist and time.monotonic() - self._asked >= TRUST_S:
            self._keys_exist = await self._look_up(self._keys.exist)
            self._asked = time.monotonic()
        return self._keys_exist

    async def _holder(self, text: str, address: str) -> Caller:
        given = taken_apart(text)
        row, asked = self._seen.get(given.id, (None, 0.0)) if given else (None, 0.0)
        # Whoever uses a key that was good here a while ago is not kept out by the wrong keys of a neighbour.
        trusted = given is not None and given.opens(row)
        if not trusted:
            self._check_guesses(address)
        if given is not None and (not trusted or time.monotonic() - asked >= TRUST_S):
            row = await self._look_up(lambda: self._opened(given))
            if row is not None:
                self._seen[given.id] = (row, time.monotonic())
            elif trusted:
                del self._seen[given.id]
        if given is None or row is None:
            self._wrong.hit(address, self._settings.wrong_keys_per_minute)
            log.warning("wrong API key", address=address, key=given.id if given else None)
            raise UnauthenticatedError(
                "this API key is unknown, revoked or expired"
                if await self._any_key()
                else f"no API key exists: leave out the header X-API-Key, or make one with `{_CREATE}`"
            )
        return self._caller_of(row)

    def _opened(self, given: GivenKey) -> KeyRow | None:
        """The key's row, where it holds."""
        row = self._keys.find(given.id)
        if row is None or not given.opens(row):
            return None
        self._keys.note_use(row)
        return row

    async def _look_up(self, look: Callable[[], T]) -> T:
        try:
            return await to_thread.run_sync(look, limiter=self._lookups)
        except SQLAlchemyError as error:
            log.error("keys cannot be looked up", reason=type(error).__name__)
            raise InfrastructureError("the database does not answer; try again in a moment") from error

    def _check_guesses(self, address: str) -> None:
        most = self._settings.wrong_keys_per_minute
        rate = self._wrong.look(address, most)
        if most and rate.exceeded:
            raise TooManyError(
                f"{most} wrong API keys from {address} within a minute; try again in {rate.reset_s} s",
                retry_after_s=rate.reset_s,
            )

    def _caller_of(self, row: KeyRow) -> Caller:
        scopes = cast(list[Scope], row.scopes)
        own = self._settings

        def chosen(of_key: int | None, of_all: int) -> int:
            return of_all if of_key is None else of_key

        return Caller(
            row.id,
            frozenset(scopes) | (frozenset({"read"}) if "run" in scopes else frozenset()),
            Limits(
                chosen(row.requests_per_minute, own.requests_per_minute),
                chosen(row.unfinished_jobs, own.unfinished_jobs),
                chosen(row.stored_bytes, own.stored_bytes),
            ),
        )


def address_of(request: HTTPConnection) -> str:
    """Where a request comes from, as far as one person's line: an IPv6 line has 2^64 addresses."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:100]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def comes_from_here(request: HTTPConnection) -> bool:
    """Whether a program of this machine asks."""
    return request.client is not None and _loops_back(request.client.host)


def declare(document: dict[str, dict[str, object]]) -> None:
    """Writes into the OpenAPI document how callers say who they are, and what each operation needs."""
    document["components"]["securitySchemes"] = {
        "ApiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "made with `surrogate keys create`; also taken as `Authorization: Bearer KEY`. While there "
            "is no key, the service answers this machine without one.",
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in cast(dict[str, dict[str, object]], operations).items():
            scope = needed_scope(method.upper(), path)
            if scope is not None:
                # `{}`: an open service asks for none.
                operation["security"] = [{"ApiKey": []}, {}]
                operation["x-scope"] = scope


def _sent_key(request: HTTPConnection) -> str | None:
    own = request.headers.get("x-api-key")
    if own is not None:
        return own.strip()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # Others, such as Basic, are a proxy's business.
    return token.strip() if scheme.lower() == "bearer" else None


def _check_it_is_local(request: HTTPConnection, origins: Sequence[str]) -> None:
    """An open service trusts this machine, but neither its browser's other pages nor names that lead here."""
    if not comes_from_here(request) or any(name in request.headers for name in _OF_PROXIES):
        raise ForbiddenError(f"without API keys this service answers its own machine only; make one with `{_CREATE}`")
    host = request.headers.get("host", "")
    if not _loops_back(urlsplit(f"//{host}").hostname or ""):
        raise MisdirectedError(
            f"without API keys this service answers to localhost and 127.0.0.1 only, not to {host[:100]!r}; make a key "
            f"with `{_CREATE}`"
        )
    origin = request.headers.get("origin")
    if origin is not None and origin in (f"{request.url.scheme}://{host}", *origins):
        return
    # A browser sends no origin with what a page of another site merely shows, a picture say.
    if origin is not None or request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise ForbiddenError(
            f"the request comes from a page of {(origin or 'another site')[:100]!r}; without API keys only the "
            "service's own page may ask"
        )


def _loops_back(host: str) -> bool:
    """Whether a name or address is this machine's loopback; names other than localhost lead wherever they like."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
