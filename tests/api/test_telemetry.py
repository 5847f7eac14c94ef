"""One id follows a request to the worker that does its job."""

import json
import time
from collections.abc import Callable

import httpx
import pytest

from tests.api.service_process import Server, problem, wait_for_end

Line = dict[str, object]


def lines_with(server: Server, name: str, enough: Callable[[list[Line]], bool]) -> list[Line]:
    """The log lines of a request id, once they are enough or some seconds have passed."""
    deadline = time.monotonic() + 10
    while True:
        lines = [json.loads(line) for line in (server.directory / "log.txt").read_text().splitlines() if name in line]
        if enough(lines) or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def test_the_id_of_a_request_is_in_the_lines_of_its_job(server: Server, client: httpx.Client, mesh_id: str) -> None:
    name = "client-chosen.id_1"
    made = client.post("/v1/predictions", json=problem(mesh_id, name="followed"), headers={"X-Request-ID": name})
    assert made.headers["X-Request-ID"] == name
    assert wait_for_end(client, made.headers["Location"])["status"] == "done"
    lines = lines_with(server, name, lambda found: len(found) >= 2)
    assert all(line["request_id"] == name and line["level"] and line["timestamp"] for line in lines)
    request, ended = (next(line for line in lines if line["event"] == event) for event in ("request", "job ended"))
    assert request["path"] == "/v1/predictions" and request["status"] == 202
    assert ended["job"] == "solve" and ended["id"] == made.headers["Location"].split("/")[-1]
    # The next request of the same worker or connection has nothing of it.
    assert client.get(made.headers["Location"]).headers["X-Request-ID"] != name


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "a\\nb", '"quoted"', "semi;colon"])
def test_an_id_that_could_forge_a_log_line_is_replaced(client: httpx.Client, given: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert answered != given and len(answered) == 32


def test_errors_carry_the_id_too(client: httpx.Client) -> None:
    response = client.get("/v1/meshes/none", headers={"X-Request-ID": "lost"})
    assert response.status_code == 404 and response.headers["X-Request-ID"] == "lost"
