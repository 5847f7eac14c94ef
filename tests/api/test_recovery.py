"""What a killed process was doing goes on, and ends once; who kills workers is found and given up, nobody else."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.chaos_parts import long_prediction, part, prediction
from tests.api.service_process import PART, Server, wait_for_end

pytestmark = pytest.mark.slow

# Load histories of a problem that is long enough to be met while it is solved, on a fast machine too.
MANY = 4


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers on one directory, none of which outlives the test."""
    servers: list[Server] = []

    def make(**settings: str) -> Server:
        servers.append(Server(tmp_path, **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


def rows(server: Server, columns: str = "status, attempts") -> dict[str, tuple[object, ...]]:
    """Columns of all rows, by id."""
    found = {}
    with sqlite3.connect(server.directory / "data" / "service.sqlite", timeout=30) as database:
        for table in ("surrogate_meshes", "surrogate_predictions"):
            found |= {row[0]: row[1:] for row in database.execute(f"select id, {columns} from {table}")}
    return found


def until(met: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def ask(client: httpx.Client, body: dict[str, object]) -> str:
    response = client.post("/v1/predictions", json=body)
    assert response.status_code == 202, response.text
    return response.headers["Location"].rpartition("/")[2]


def bar(client: httpx.Client) -> str:
    """The id of a small part that is meshed."""
    sent, form = part(0), {"length_unit": "mm"}
    files = {"file": (sent.name, sent.content)}
    response = client.post("/v1/meshes", files=files, data=form, headers={"Prefer": "wait=60"})
    assert response.status_code in (200, 201), response.text
    return str(response.json()["id"])


def worked_on(server: Server, row: str, attempt: int) -> Callable[[], bool]:
    return lambda: rows(server)[row] in (("running", attempt), ("meshing", attempt))


def test_what_was_running_goes_on_whichever_process_is_killed(made: Callable[..., Server], tmp_path: Path) -> None:
    server = made()
    server.start()
    with server.client() as client:
        mesh = bar(client)
        long = ask(client, long_prediction(1, mesh, histories=MANY))
        short = ask(client, prediction(2, mesh, "solved"))
        until(worked_on(server, long, 1))
        server.kill_workers()
        until(worked_on(server, long, 2))
    # The worker ends with the service, and leaves the job as it leaves it at a planned end: that is no failed attempt.
    server.end(signal.SIGKILL)
    server.start()
    until(worked_on(server, long, 2))
    workers = server.workers()
    server.end(signal.SIGKILL)
    for number in workers:
        os.kill(number, signal.SIGKILL)
    server.start()
    with server.client() as client:
        for row in (long, short):
            body = wait_for_end(client, f"/v1/predictions/{row}")
            assert body["status"] == "done", body
        assert len(client.get(f"/v1/predictions/{long}/summary").json()["histories"]) == MANY
        assert len(client.get("/v1/predictions").json()["predictions"]) == 2
    assert rows(server) == {mesh: ("ready", 1), long: ("done", 3), short: ("done", 1)}
    kept = tmp_path / "data" / "blobs" / "predictions" / long
    assert sorted(path.name for path in kept.iterdir()) == ["fields.npz", "summary.json"]
    assert not list((tmp_path / "data" / "blobs" / "incoming").glob("*/*")), "no scratch is left"
    assert server.end() == 0


def test_only_what_kills_its_worker_is_given_up(made: Callable[..., Server]) -> None:
    """The job is killed whenever it is begun. Its neighbour dies with it once, and then runs when it is alone."""
    server = made()
    server.start()
    with server.client() as client:
        mesh = bar(client)
        killer = ask(client, long_prediction(1, mesh, histories=MANY))
        until(worked_on(server, killer, 1))
        neighbour = upload_at_once(client)
        until(worked_on(server, neighbour, 1))
        for attempt in (1, 2, 3):
            until(lambda attempt=attempt: rows(server)[killer] == ("running", attempt))
            server.kill_workers()
        body = wait_for_end(client, f"/v1/predictions/{killer}", 300)
        assert body["status"] == "failed" and body["error"]["status"] == 503
        assert "the worker died 3 times" in body["error"]["detail"], body
        until(lambda: rows(server)[neighbour][0] == "ready")
        assert rows(server)[neighbour][1] == 2
        # And the service goes on.
        assert wait_for_end(client, f"/v1/predictions/{ask(client, prediction(2, mesh, 'solved'))}")["status"] == "done"
    server.end()


def upload_at_once(client: httpx.Client) -> str:
    """A part that takes a while to mesh, not waited for."""
    form = {"element_size_m": "0.004"}
    with PART.open("rb") as stream:
        files = {"file": (PART.name, stream)}
        response = client.post("/v1/meshes", files=files, data=form, headers={"Prefer": "wait=0"})
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def test_a_planned_end_finishes_what_is_short_and_leaves_the_rest(made: Callable[..., Server]) -> None:
    """However often the service is restarted, a long job is not given up for it."""
    server = made(drain_s="1", job_attempts="1")
    server.start()
    with server.client() as client:
        long = ask(client, long_prediction(1, bar(client), histories=MANY))
        until(worked_on(server, long, 1))
    started = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - started < 25, "docker kills after 30 s"
    assert rows(server, "status, attempts, worker")[long] == ("queued", 0, None)
    server.start()
    until(worked_on(server, long, 1))
    # The second signal ends at once: not even the drain time is waited for.
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - started < 20
    assert rows(server)[long] == ("queued", 0)
    server.environment["SURROGATE_DRAIN_S"] = "60"
    server.start()
    until(worked_on(server, long, 1))
    # With enough time it is finished before the end.
    assert server.end(patience_s=90) == 0
    assert rows(server)[long] == ("done", 1)


def test_two_services_do_not_share_sqlite(made: Callable[..., Server]) -> None:
    server, second = made(), made()
    server.spawn()
    until(lambda: "service started" in server.log())
    with pytest.raises(RuntimeError, match="another service uses the data directory"):
        second.start()
