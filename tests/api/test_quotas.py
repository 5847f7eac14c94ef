"""How much one key may have: requests, jobs, bytes; each refusal says when or how to go on."""

import threading
from pathlib import Path

import pytest

from api.database import open_database
from api.errors import StorageQuotaError, TooManyError
from api.keys import KeyQuotas, open_keys
from api.quotas import NO_LIMITS, Limits, MovingWindow, Quotas
from api.records import Records
from api.settings import Settings
from api.tables import MeshRow, PredictionRow
from tests.api.in_process import started
from tests.api.service_process import refused


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_window_holds_any_minute_to_its_limit() -> None:
    """Not the minutes of the clock: twice as many would go through around a full one."""
    clock = Clock()
    window = MovingWindow(clock)
    passed = []
    for _ in range(1000):
        if not window.hit("a", 7).exceeded:
            passed.append(clock.time)
        clock.time += 0.5
    assert len(passed) == 7 * 9
    assert all(late - early >= 60 for early, late in zip(passed, passed[7:], strict=False))


def test_what_is_refused_does_not_count() -> None:
    """Whoever keeps asking too early is let in as soon as whoever waits."""
    clock = Clock()
    window = MovingWindow(clock)
    for _ in range(3):
        assert not window.hit("a", 3).exceeded
    for _ in range(100):
        assert window.hit("a", 3).exceeded
    clock.time += 60
    assert not window.hit("a", 3).exceeded
    assert not window.hit("b", 3).exceeded


def test_the_headers_say_what_is_left_and_when_there_is_more() -> None:
    clock = Clock()
    window = MovingWindow(clock)
    assert (window.hit("a", 2).left, window.look("a", 2).left) == (1, 1)
    clock.time += 20.5
    rate = window.hit("a", 2)
    assert (rate.left, rate.reset_s, rate.exceeded) == (0, 40, False)
    assert rate.headers() == {"RateLimit-Policy": '"requests";q=2;w=60', "RateLimit": '"requests";r=0;t=40'}
    assert window.look("a", 2).exceeded


def test_strangers_cannot_fill_the_memory() -> None:
    """They choose their addresses: what is over is forgotten."""
    clock = Clock()
    window = MovingWindow(clock)
    for number in range(20_000):
        window.hit(f"address {number}", 5)
        clock.time += 0.1
    assert len(window._events) < 6000


def test_a_key_has_its_own_requests_or_those_of_all(tmp_path: Path) -> None:
    settings = {"requests_per_minute": 3}
    keys = open_keys(Settings(data_directory=tmp_path))
    usual, more = keys.create("usual", ["read"]), keys.create("more", ["read"], quotas=KeyQuotas(requests_per_minute=5))
    unlimited = keys.create("unlimited", ["read"], quotas=KeyQuotas(requests_per_minute=0))
    with started(tmp_path, **settings) as service:
        for text, most in ((usual.text, 3), (more.text, 5)):
            with service.client(text) as client:
                for left in reversed(range(most)):
                    answer = client.get("/v1/predictions/x")
                    assert answer.status_code == 404
                    assert answer.headers["RateLimit"].startswith(f'"requests";r={left};t=')
                response = client.get("/v1/predictions/x")
                assert f"more than {most} requests" in refused(response, 429)
                assert 0 < int(response.headers["Retry-After"]) <= 60
                assert response.headers["RateLimit-Policy"] == f'"requests";q={most};w=60'
        with service.client(unlimited.text) as client:
            assert {client.get("/v1/predictions/x").status_code for _ in range(10)} == {404}


def test_who_has_no_key_is_limited_by_address(tmp_path: Path) -> None:
    open_keys(Settings(data_directory=tmp_path)).create("one", ["read"])
    with started(tmp_path, anonymous_requests_per_minute=4) as service:
        with service.client(address=("192.0.2.7", 1)) as client:
            assert [client.get("/readyz").status_code for _ in range(2)] == [503, 503]
            assert [client.get("/v1/materials").status_code for _ in range(2)] == [401, 401]
            for path in ("/readyz", "/v1/materials", "/"):
                response = client.get(path)
                refused(response, 429)
                assert response.headers["Retry-After"]
            # Whoever watches the service must not take it for dead.
            assert client.get("/healthz").status_code == 200
        with service.client(address=("192.0.2.8", 1)) as client:
            assert client.get("/openapi.json").status_code == 200


def test_the_operator_of_an_open_service_has_no_limit(tmp_path: Path) -> None:
    tight = {"requests_per_minute": 1, "anonymous_requests_per_minute": 1, "unfinished_jobs": 1, "stored_bytes": 1}
    with started(tmp_path, **tight) as service, service.client() as client:
        assert {client.get("/v1/predictions").status_code for _ in range(5)} == {200}
        assert {client.get("/openapi.json").status_code for _ in range(5)} == {200}


def mesh(name: str, *, size: int = 0, status: str = "ready") -> MeshRow:
    return MeshRow(id=name, owner="one", name=name, suffix=".step", upload_bytes=size, status=status)


def prediction(name: str, *, size: int = 0, status: str = "done") -> PredictionRow:
    return PredictionRow(
        id=name, owner="one", mesh_id="m", name=name, request="{}", fidelity="solved", status=status, result_bytes=size
    )


@pytest.fixture
def records(database_url: str) -> Records:
    return Records(open_database(database_url))


@pytest.fixture
def quotas(records: Records, database_url: str) -> Quotas:
    return Quotas(open_database(database_url))


def test_uploads_and_results_count_together(records: Records, quotas: Quotas) -> None:
    limits = Limits(stored_bytes=1000)
    records.add(mesh("m", size=300))
    records.add(prediction("p"))
    records.weigh("p", 400)
    assert quotas.stored_bytes("one") == 700 and quotas.stored_bytes("other") == 0
    with quotas.place(mesh("n", size=300), limits):
        pass
    with pytest.raises(StorageQuotaError, match="DELETE /v1/predictions"), quotas.place(mesh("n", size=301), limits):
        pass
    records.weigh("p", 700)
    with pytest.raises(StorageQuotaError), quotas.place(prediction("q"), limits):
        pass
    records.delete(prediction("p"))
    with quotas.place(prediction("q"), limits):
        pass


def test_what_is_stored_already_needs_no_room(records: Records, quotas: Quotas) -> None:
    """The same part again is answered with the one that there is."""
    records.add(mesh("m", size=1000, status="queued"))
    with quotas.place(mesh("m", size=1000), Limits(unfinished_jobs=1, stored_bytes=1)):
        pass


def test_meshes_and_predictions_that_are_not_finished_count_together(records: Records, quotas: Quotas) -> None:
    limits = Limits(unfinished_jobs=3)
    for row in (mesh("a", status="queued"), mesh("b"), prediction("c", status="running"), prediction("d")):
        records.add(row)
    with quotas.place(prediction("e", status="queued"), limits):
        records.add(prediction("e", status="queued"))
    with pytest.raises(TooManyError, match="cancel") as caught, quotas.place(mesh("f"), limits):
        pass
    assert caught.value.retry_after_s > 0
    records.ask_to_cancel("e")
    with quotas.place(mesh("f"), limits):
        pass
    with quotas.place(mesh("g"), NO_LIMITS):
        pass


def test_the_last_place_is_taken_once(records: Records, quotas: Quotas) -> None:
    """Requests that arrive together, each before the other's row is stored."""
    limits, inside, left = Limits(unfinished_jobs=1), threading.Barrier(2, timeout=20), []

    def ask(name: str) -> None:
        try:
            with quotas.place(mesh(name, status="queued"), limits):
                inside.wait()
                records.add(mesh(name, status="queued"))
        except TooManyError:
            left.append(name)
            inside.wait()

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 1 and len(records.unfinished()) == 1


def test_a_place_that_was_not_used_is_free_again(quotas: Quotas) -> None:
    limits = Limits(unfinished_jobs=1, stored_bytes=10)
    for _ in range(3):
        with pytest.raises(RuntimeError), quotas.place(mesh("a", size=10), limits):
            raise RuntimeError


def test_an_upload_over_the_quota_is_refused_over_http_and_leaves_nothing(tmp_path: Path) -> None:
    keys = open_keys(Settings(data_directory=tmp_path))
    small = keys.create("small", ["run"], quotas=KeyQuotas(stored_bytes=100))
    busy = keys.create("busy", ["run"], quotas=KeyQuotas(unfinished_jobs=1))
    records = Records(open_database(Settings(data_directory=tmp_path).metadata_url))
    records.add(MeshRow(id="waits", owner=busy.row.id, name="x", suffix=".step", status="queued"))
    part = {"file": ("part.step", b"x" * 101)}
    with started(tmp_path) as service, service.client(small.text) as one, service.client(busy.text) as other:
        assert "0 MB of 0.0001 MB" in refused(one.post("/v1/meshes", files=part), 413)
        response = other.post("/v1/meshes", files=part)
        assert "its limit is 1" in refused(response, 429) and response.headers["Retry-After"]
    assert len(records.unfinished()) == 1
    assert not list((tmp_path / "blobs" / "meshes").glob("*"))
