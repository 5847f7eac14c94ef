"""A full disk is told, kills nothing, loses nothing, and needs nobody when there is room again."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.chaos_parts import long_prediction, part, prediction
from tests.api.service_process import Server, refused, wait_for_end

SIZE_MB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is quickly filled."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"may not mount a small file system here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path) -> Path:
    """Takes all room that is left."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return filler


def sent(client: httpx.Client, number: int, **headers: str) -> httpx.Response:
    bar = part(number)
    files = {"file": (bar.name, bar.content)}
    return client.post("/v1/meshes", files=files, data={"length_unit": "mm"}, headers=headers)


@pytest.mark.slow
def test_a_full_disk_is_waited_for(small_disk: Path, tmp_path: Path) -> None:
    server = Server(tmp_path, data_directory=str(small_disk / "data"), drain_s="1")
    server.start()
    try:
        with server.client() as client:
            mesh = sent(client, 0, Prefer="wait=60").json()["id"]
            running = client.post("/v1/predictions", json=long_prediction(1, mesh, histories=2)).json()["id"]
            while client.get(f"/v1/predictions/{running}").json()["status"] == "queued":
                time.sleep(0.02)
            workers = server.workers()
            filler = fill(small_disk)
            _full(client, mesh)
            # The job that runs is computed to its end, and waits for room to keep what it found.
            deadline = time.monotonic() + 180
            while '"event": "waiting"' not in server.log():
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.1)
            assert client.get(f"/v1/predictions/{running}").json()["status"] == "running"
            assert server.workers() == workers and server.process is not None and server.process.poll() is None
            filler.unlink()
            body = wait_for_end(client, f"/v1/predictions/{running}")
            assert body["status"] == "done", body
            assert len(client.get(f"/v1/predictions/{running}/summary").json()["histories"]) == 2
            assert sent(client, 2, Prefer="wait=60").status_code in (200, 201)
            asked = client.post("/v1/predictions", json=prediction(3, mesh, "solved")).json()["id"]
            assert wait_for_end(client, f"/v1/predictions/{asked}")["status"] == "done"
            assert client.get("/readyz").status_code == 200 and server.workers() == workers
        assert server.end(patience_s=60) == 0
    finally:
        server.kill()
    assert not list((small_disk / "data" / "blobs" / "incoming").glob("*/*"))
    kept = small_disk / "data" / "blobs" / "meshes"
    assert {(path / "part.inp").read_bytes() for path in kept.iterdir()} == {part(0).content, part(2).content}


def _full(client: httpx.Client, mesh: str) -> None:
    """What is refused, and what is said."""
    for response in (sent(client, 2), client.post("/v1/predictions", json=prediction(3, mesh, "solved"))):
        assert response.status_code in (503, 507), response.text
        assert "disk is full" in refused(response, response.status_code)
    ready = client.get("/readyz")
    assert ready.status_code == 503 and ready.json()["checks"]["files"] == os.strerror(errno.ENOSPC)
    assert client.get("/healthz").status_code == 200
