"""On Postgres the service runs on many machines, and the database may be away for a while."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from api import postgres_connection
from api.away import DatabaseAwayError
from api.database import newest_revision, open_database, open_engine
from api.tables import PredictionRow, WorkerRow
from surrogate import InfrastructureError
from tests.api.chaos_parts import long_prediction, part, prediction
from tests.api.postgres_server import PostgresServer
from tests.api.service_process import Server, WorkerAlone, refused, wait_for_end
from tests.processes import children

SILENCE_S = 4.0
Start = Callable[..., Server]


class Rows:
    """Looks into the tables of a service."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def prediction(self, name: str) -> PredictionRow:
        with Session(self._engine) as session:
            return session.get_one(PredictionRow, name)

    def in_hand(self) -> dict[str, str]:
        """Which worker works on which prediction."""
        with Session(self._engine) as session:
            running = select(PredictionRow).where(PredictionRow.status == "running")
            return {str(row.worker): row.id for row in session.scalars(running)}

    def workers(self) -> set[str]:
        """Names of those that take jobs."""
        with Session(self._engine) as session:
            return set(session.scalars(select(WorkerRow.id).where(WorkerRow.facts.is_not(None))))

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def rows(url: str) -> Iterator[Rows]:
    opened = Rows(url)
    yield opened
    opened.close()


@pytest.fixture
def begun(tmp_path: Path, url: str) -> Iterator[Callable[..., Server | WorkerAlone]]:
    """Starts services and workers on one database, none of which outlives the test."""
    alive: list[Server | WorkerAlone] = []
    shared = {
        "data_directory": str(tmp_path / "data"),
        "database_url": url,
        "worker_silence_s": str(SILENCE_S),
        "worker_nice": "0",
    }

    def begin(kind: type[Server] | type[WorkerAlone], *names: str, **settings: str) -> Server | WorkerAlone:
        directory = tmp_path / f"{kind.__name__}-{len(alive)}"
        directory.mkdir()
        alive.append(
            Server(directory, **{**shared, **settings})
            if kind is Server
            else WorkerAlone(*names, directory, **{**shared, **settings})
        )
        return alive[-1]

    yield begin
    for each in alive:
        each.kill()


def until(met: Callable[[], object], seconds: float = 180) -> float:
    """How long it took, s."""
    started = time.monotonic()
    while not met():
        assert time.monotonic() - started < seconds, "it takes too long"
        time.sleep(0.02)
    return time.monotonic() - started


def bar(client: httpx.Client) -> str:
    """The id of a small part that is meshed."""
    sent = part(0)
    response = client.post(
        "/v1/meshes",
        files={"file": (sent.name, sent.content)},
        data={"length_unit": "mm"},
        headers={"Prefer": "wait=60"},
    )
    assert response.status_code in (200, 201), response.text
    return str(response.json()["id"])


def ask(client: httpx.Client, body: dict[str, object]) -> str:
    response = client.post("/v1/predictions", json=body)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def test_processes_that_start_together_migrate_one_after_the_other(url: str) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        try:
            open_database(url).dispose()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.scalar(text("select version_num from alembic_version")) == newest_revision()
    engine.dispose()


def test_a_service_starts_when_its_database_does(postgres: PostgresServer) -> None:
    """A machine that is switched on starts both in any order."""
    late = PostgresServer()
    try:
        with pytest.raises(InfrastructureError, match="is it running"):
            open_database(late.url("postgres"))
        waiting = threading.Thread(target=lambda: open_database(late.url("postgres"), patience_s=120).dispose())
        waiting.start()
        time.sleep(0.5)
        assert waiting.is_alive()
        late.start()
        waiting.join(120)
        with open_engine(late.url("postgres")).connect() as connection:
            assert connection.scalar(text("select count(*) from surrogate_workers")) == 0
    finally:
        late.remove()


def test_a_database_that_says_nothing_is_not_waited_for(
    postgres: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection, "_ANSWER_S", 1.0)
    engine = open_engine(url)

    def ask_it(statement: str) -> object:
        with engine.connect() as connection:
            return connection.scalar(text(statement))

    assert ask_it("select 1") == 1
    started = time.monotonic()
    with pytest.raises(DatabaseAwayError):
        ask_it("select 1 from pg_sleep(600)")
    assert ask_it("select 2") == 2, "a slow statement costs its connection, and no more"
    postgres.freeze()
    try:
        with pytest.raises(DatabaseAwayError):
            ask_it("select 3")
    finally:
        postgres.thaw()
    assert time.monotonic() - started < 60
    until(lambda: ask_it("select 4") == 4, 30)
    # A pooled connection that a restart has closed is replaced, and nobody notices.
    postgres.stop()
    postgres.start()
    assert ask_it("select 5") == 5
    engine.dispose()


def _outage(client: httpx.Client, mesh: str) -> None:
    """What a service does while its database is away."""
    for method, path, body in (
        ("GET", "/v1/predictions", None),
        ("POST", "/v1/predictions", prediction(9, mesh, "solved")),
    ):
        asked = time.monotonic()
        response = client.request(method, path, json=body)
        assert time.monotonic() - asked < 40, "not a hang"
        assert "database" in refused(response, 503) and int(response.headers["Retry-After"]) > 0
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503 and ready.json()["checks"]["database"] in ("away", "no answer")


@pytest.mark.slow
def test_jobs_outlive_a_database_that_is_away(
    begun: Callable[..., Server], postgres: PostgresServer, rows: Rows, outage_s: float = 2 * SILENCE_S
) -> None:
    """Nothing is lost, no worker is taken for dead, nobody has to do anything; health answers all the time."""
    server = begun(Server, drain_s="1")
    server.start()
    with server.client() as client:
        mesh = bar(client)
        long = ask(client, long_prediction(1, mesh, histories=3))
        until(lambda: rows.prediction(long).status == "running")
        workers = server.workers()
        slowest, over = _watch_health(server.url), threading.Event()
        postgres.stop()
        try:
            _outage(client, mesh)
            over.wait(outage_s)
        finally:
            postgres.start()
        back = until(lambda: client.get("/readyz").status_code == 200, 60)
        body = wait_for_end(client, f"/v1/predictions/{long}")
        assert body["status"] == "done" and rows.prediction(long).attempts == 1, body
        assert server.workers() == workers, "the worker is the same process"
        postgres.freeze()
        try:
            _outage(client, mesh)
        finally:
            postgres.thaw()
        until(lambda: client.get("/readyz").status_code == 200, 120)
        assert wait_for_end(client, f"/v1/predictions/{ask(client, prediction(2, mesh, 'solved'))}")["status"] == "done"
        health = max(slowest())
    print(f"ready {back:.1f} s after the database came back; slowest /healthz {health:.3f} s")
    assert health < 5
    assert server.end(patience_s=60) == 0


def _watch_health(url: str) -> Callable[[], list[float]]:
    """Asks for health from now on; ends and tells how long each answer took, s."""
    took: list[float] = []
    ending = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not ending.wait(0.2):
                asked = time.monotonic()
                try:
                    well = client.get("/healthz").status_code == 200
                except httpx.TransportError:
                    well = False
                took.append(time.monotonic() - asked if well else math.inf)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()

    def end() -> list[float]:
        ending.set()
        thread.join(60)
        return took

    return end


@pytest.mark.slow
def test_three_workers_share_the_work_and_one_is_switched_off(
    begun: Callable[..., Server | WorkerAlone], rows: Rows, tmp_path: Path
) -> None:
    service = begun(Server, workers="0")
    assert isinstance(service, Server)
    workers = {name: begun(WorkerAlone, name) for name in ("w1", "w2", "w3")}
    service.start()
    until(lambda: rows.workers() == set(workers))
    # The name of one that lives is refused on another machine.
    second = begun(WorkerAlone, "w1", data_directory=str(tmp_path / "elsewhere"))
    assert isinstance(second, WorkerAlone)
    assert second.process.wait(120) == 3 and "'w1' lives on" in second.log(), second.log()
    with service.client() as client:
        mesh = bar(client)
        made = [ask(client, long_prediction(number, mesh, histories=2)) for number in range(5)]
        until(lambda: set(rows.in_hand()) == set(workers))
        lost = rows.in_hand()["w2"]
        # All of one machine: nobody there is left to say anything.
        workers["w2"].kill()
        seconds = until(lambda: rows.prediction(lost).worker != "w2", 60)
        # One process of another dies; what watches over it knows at once.
        (process,) = children(workers["w3"].process.pid)
        further = [ask(client, long_prediction(number, mesh, histories=4)) for number in range(5, 8)]
        made += further
        until(lambda: rows.in_hand().get("w3") in further)
        hit = rows.in_hand()["w3"]
        os.kill(process, signal.SIGKILL)
        at_once = until(lambda: rows.prediction(hit).attempts == 2, 120)
        ends = [wait_for_end(client, f"/v1/predictions/{name}", 300) for name in made]
    print(f"requeued {seconds:.1f} s after a machine died; begun again {at_once:.1f} s after a process died")
    assert [end["status"] for end in ends] == ["done"] * len(made)
    assert seconds < 3 * SILENCE_S + 10
    found = {name: rows.prediction(name) for name in made}
    assert sum(row.attempts for row in found.values()) == len(made) + 2
    assert {row.worker for row in found.values()} >= {"w1", "w3"} and found[lost].attempts == 2
    assert rows.workers() == {"w1", "w3"}
    for name in ("w1", "w3"):
        assert workers[name].end() == 0
    assert rows.workers() == set()


@pytest.mark.slow
def test_two_services_share_a_database(begun: Callable[..., Server], rows: Rows) -> None:
    """One is asked, the other answers; when a whole machine dies, the other does its jobs."""
    first, second = begun(Server, worker_id="a"), begun(Server, worker_id="b")
    first.start()
    second.start()
    with first.client() as one, second.client() as other:
        mesh = bar(one)
        made = [ask(other, long_prediction(number, mesh, histories=2)) for number in range(2)]
        until(lambda: set(rows.in_hand()) == {"a-0", "b-0"})
        lost = rows.in_hand()["a-0"]
        numbers = first.workers()
        first.end(signal.SIGKILL)
        for number in numbers:
            os.kill(number, signal.SIGKILL)
        assert [wait_for_end(other, f"/v1/predictions/{name}")["status"] for name in made] == ["done"] * 2
    assert (rows.prediction(lost).worker, rows.prediction(lost).attempts) == ("b-0", 2)
    assert second.end(patience_s=60) == 0
