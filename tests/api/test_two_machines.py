"""An HTTP process and a worker of two machines share an object store and a Postgres database, and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.object_server import CREDENTIALS, ObjectServer, running_object_server
from tests.api.postgres_server import PostgresServer
from tests.api.service_process import Server, problem, upload, wait_for_end


@contextmanager
def running_worker(directory: Path, settings: dict[str, str]) -> Iterator[Path]:
    """`surrogate worker` with a data directory of its own; the path of its log."""
    directory.mkdir()
    environment = {**os.environ, **{f"SURROGATE_{name.upper()}": value for name, value in settings.items()}}
    options = ["--name", "elsewhere", "--data", str(directory / "data")]
    command = [sys.executable, "-m", "surrogate.cli", "worker", *options]
    with (directory / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
    try:
        yield directory / "log.txt"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_machines_share_the_store_and_the_database_alone(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_object_server() as store:
        shared = {
            "database_url": postgres.new_database(),
            "blob_url": "s3://bucket/parts",
            "blob_endpoint": store.endpoint,
        }
        (tmp_path / "front").mkdir()
        server = Server(tmp_path / "front", **shared, workers="0", worker_id="front")
        port = free_port()
        with running_worker(tmp_path / "back", {**shared, "metrics_port": str(port)}) as worker_log:
            try:
                server.start()
                with server.client() as client:
                    made = _used(client, store, tmp_path)
                    told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
                    assert 'surrogate_jobs_total{kind="solve",status="done"} 1.0' in told
                    assert "process_resident_memory_bytes" in told
                    assert "surrogate_jobs_total" not in client.get("/metrics").text
                    assert "surrogate_workers 1.0" in client.get("/metrics").text
                    _store_away(client, store, server, made)
            finally:
                server.end()
    assert '"worker started"' in worker_log.read_text()
    front = (tmp_path / "front" / "log.txt").read_text()
    assert '"worker started"' not in front and '"job ended"' not in front


def _used(client: httpx.Client, store: ObjectServer, tmp_path: Path) -> str:
    """The whole trip; the address of the prediction."""
    mesh = upload(client).json()["id"]
    made = client.post("/v1/predictions", json=problem(mesh)).headers["Location"]
    assert wait_for_end(client, made, 300)["status"] == "done"
    for file in ("summary", "result.vtu", "render.png", "report", "fields"):
        answer = client.get(f"{made}/{file}", timeout=300)
        assert answer.status_code == 200 and answer.content, file
    name = made.split("/")[-1]
    kept = {key.removeprefix("parts/") for key in store.all_keys()}
    assert {f"meshes/{mesh}/part.step", f"meshes/{mesh}/mesh.npz"} <= kept
    assert {f"predictions/{name}/fields.npz", f"predictions/{name}/made/report.html"} <= kept
    # Each machine has copies of what it used: only the worker read the upload of the other one.
    back = files_below(tmp_path / "back" / "data" / "cache" / "kept")
    front = files_below(tmp_path / "front" / "data" / "cache" / "kept")
    assert any(path.startswith(f"meshes/{mesh}/part.step/") for path in back & front)
    assert any("/made/report.html/" in path for path in front - back)
    assert not (tmp_path / "front" / "data" / "blobs").exists()
    # A deleted prediction leaves nothing behind.
    gone = client.post("/v1/predictions", json=problem(mesh, fidelity="surrogate")).headers["Location"]
    assert wait_for_end(client, gone, 300)["status"] == "done"
    assert client.delete(gone).status_code == 204
    assert not any(gone.split("/")[-1] in key for key in store.all_keys())
    return made


def _store_away(client: httpx.Client, store: ObjectServer, server: Server, made: str) -> None:
    """A store that does not answer is said, and the service lives on."""
    store.stop()
    started = time.monotonic()
    answer = client.get(f"{made}/render.png", params={"field": "plastic_strain"}, timeout=120)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert "object store does not answer" in answer.json()["detail"]
    # What lies between must not give up first; the last pause may reach beyond the patience.
    assert time.monotonic() - started < 60
    assert client.get("/readyz", timeout=120).json()["checks"]["files"] == "no object store"
    assert client.get("/healthz").status_code == 200
    store.start()
    # It is empty now, for moto keeps its objects in memory; the service works all the same.
    assert client.get("/readyz", timeout=120).json()["checks"]["files"] == "ok"
    assert upload(client, element_size_m=0.013).status_code in (200, 201)
    assert server.process is not None and server.process.poll() is None
