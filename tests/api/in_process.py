"""The application in this process, without a worker and without a socket: what is asked is answered at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from api.app import create_app
from api.settings import Settings

HERE = ("127.0.0.1", 50000)


class _InProcess(httpx.BaseTransport):
    """Hands requests of a client to an application in another thread."""

    def __init__(self, app: FastAPI, portal: BlockingPortal, address: tuple[str, int]) -> None:
        self._portal = portal
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=address)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.content, extensions=request.extensions
        )
        response = await self._transport.handle_async_request(asked)
        content = b"".join([chunk async for chunk in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class Service:
    """A started application and clients of it."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self.app = app
        self.portal = portal

    def client(
        self,
        key: str | None = None,
        *,
        address: tuple[str, int] = HERE,
        host: str = "127.0.0.1:8000",
        **headers: str,
    ) -> httpx.Client:
        """A client that sends a key, from an address, to a name of this machine."""
        sent = {**headers, **({} if key is None else {"X-API-Key": key})}
        return httpx.Client(
            base_url=f"http://{host}", headers=sent, transport=_InProcess(self.app, self.portal, address)
        )


@contextmanager
def started(directory: Path, **settings: object) -> Iterator[Service]:
    """The application with a data directory of its own and no worker."""
    chosen = Settings.model_validate({"data_directory": directory, "workers": 0, **settings})
    app = create_app(chosen)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Service(app, portal)
