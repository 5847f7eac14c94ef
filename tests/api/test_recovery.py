"""A killed process finishes its jobs after a restart, and ends each once."""

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.api.service_process import Server, problem, upload, wait_for_end


@pytest.mark.slow
def test_a_killed_server_finishes_its_prediction_after_a_restart(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    with server.client() as client:
        mesh = upload(client, element_size_m=0.006).json()["id"]
        many = [{"name": f"h{n}", "factors": {"pull": [0.3, 0.6, 1.0 + 0.02 * n, 0.0]}} for n in range(12)]
        made = client.post("/v1/predictions", json=problem(mesh, load_histories=many)).headers["Location"]
        waiting = client.post("/v1/predictions", json=problem(mesh)).headers["Location"]
        while client.get(made).json()["stage"] not in ("anchor", "solve"):
            time.sleep(0.02)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    with server.client() as client:
        for location in (made, waiting):
            body = wait_for_end(client, location)
            assert body["status"] == "done", body
        assert len(client.get(f"{made}/summary").json()["histories"]) == 12
        assert len(client.get("/v1/predictions").json()["predictions"]) == 2
    with sqlite3.connect(tmp_path / "data" / "service.sqlite") as database:
        attempts = dict(database.execute("select id, attempts from surrogate_predictions"))
    assert attempts == {made.split("/")[-1]: 2, waiting.split("/")[-1]: 1}
    kept = tmp_path / "data" / "blobs" / "predictions" / made.split("/")[-1]
    assert sorted(path.name for path in kept.iterdir()) == ["fields.npz", "summary.json"]
    assert server.end() == 0


@pytest.mark.slow
def test_a_part_that_kills_the_server_is_given_up(tmp_path: Path) -> None:
    """Attempts are counted: a poisonous job must not take the service down for ever."""
    server = Server(tmp_path, job_attempts="1")
    server.start()
    with server.client() as client:
        mesh = upload(client, element_size_m=0.006).json()["id"]
        many = [{"name": f"h{n}", "factors": {"pull": [0.3, 0.6, 1.0 + 0.02 * n, 0.0]}} for n in range(12)]
        made = client.post("/v1/predictions", json=problem(mesh, load_histories=many)).headers["Location"]
        while client.get(made).json()["status"] != "running":
            time.sleep(0.02)
    server.end(signal.SIGKILL)
    server.start()
    with server.client() as client:
        body = wait_for_end(client, made)
    assert body["status"] == "failed" and "died 1 times" in body["error"]["detail"]
    server.end()


@pytest.mark.slow
def test_two_services_do_not_share_sqlite(tmp_path: Path) -> None:
    server, second = Server(tmp_path), Server(tmp_path)
    server.start()
    with pytest.raises(RuntimeError, match="another service uses the data directory"):
        second.start()
    server.end()
