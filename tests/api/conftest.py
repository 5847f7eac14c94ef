"""One server for all tests that leave it running."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from surrogate.model.checkpoint import save_checkpoint
from surrogate.model.jepa import GraphJepa, ModelConfig
from tests.api.postgres_server import INSTALLED, PostgresServer
from tests.api.service_process import Server, problem, upload, wait_for_end


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server; tests that stop it start it again."""
    if not INSTALLED:
        pytest.skip("Postgres is not installed (apt-get install postgresql)")
    running = PostgresServer()
    running.start()
    yield running
    running.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    return str(request.getfixturevalue("postgres").new_database())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("server")
    # Of the real kind but untrained: what is tested here is the way of a problem, not its answer.
    save_checkpoint(directory / "untrained", GraphJepa(ModelConfig()), {"version": "0"})
    running = Server(
        directory, model=str(directory / "untrained"), max_upload_bytes="2000000", max_answer_bytes="60000000"
    )
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="session")
def mesh_id(client: httpx.Client) -> str:
    response = upload(client)
    assert response.status_code in (200, 201), response.text
    return str(response.json()["id"])


@pytest.fixture(scope="session")
def solved(client: httpx.Client, mesh_id: str) -> dict[str, object]:
    """A finished prediction of the sample problem."""
    response = client.post("/v1/predictions", json=problem(mesh_id, name="Bracket 7/3 \u00e4"))
    assert response.status_code == 202, response.text
    assert response.headers["Retry-After"]
    body = wait_for_end(client, response.headers["Location"])
    assert body["status"] == "done", body
    return body
