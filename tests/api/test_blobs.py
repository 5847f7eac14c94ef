"""A kept file is whole or absent, on the machine that made it and on every other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.blobs import Blobs
from api.object_store import ObjectStore
from surrogate import InfrastructureError
from tests.api.object_server import CREDENTIALS, ObjectServer, running_object_server
from tests.api.service_process import ROOT

KEY = "predictions/p1/fields.npz"


@pytest.fixture(scope="module")
def object_server() -> Iterator[ObjectServer]:
    with running_object_server() as server:
        yield server


@pytest.fixture
def store(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    """A prefix of its own for each test."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return ObjectStore(f"s3://bucket/{tmp_path.name}", endpoint=object_server.endpoint, patience_s=2)


@pytest.fixture(params=["directory", "store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    store = request.getfixturevalue("store") if request.param == "store" else None
    return Blobs(tmp_path / "blobs", "one", store)


def kept(blobs: Blobs, content: bytes, key: str = KEY) -> Path:
    with blobs.scratch() as scratch:
        (scratch / "made").write_bytes(content)
        return blobs.keep(scratch / "made", key)


def test_what_is_kept_is_found_until_it_is_deleted(blobs: Blobs) -> None:
    assert not blobs.exists(KEY)
    with pytest.raises(FileNotFoundError):
        blobs.path(KEY)
    assert kept(blobs, b"first").read_bytes() == b"first"
    assert blobs.exists(KEY) and blobs.path(KEY).read_bytes() == b"first"
    kept(blobs, b"neighbour", "predictions/p10/fields.npz")
    blobs.delete("predictions/p1")
    assert not blobs.exists(KEY)
    assert blobs.path("predictions/p10/fields.npz").read_bytes() == b"neighbour"
    blobs.check()


def test_scratch_is_gone_afterwards_and_after_a_crash(blobs: Blobs, tmp_path: Path) -> None:
    with blobs.scratch() as scratch:
        (scratch / "half").touch()
    assert not scratch.exists()
    left = tmp_path / "blobs" / "incoming" / "one" / "left"
    left.mkdir()
    other = Blobs(tmp_path / "blobs", "two")
    assert left.exists(), "the scratch of another process is its own"
    Blobs(tmp_path / "blobs", "one")
    assert not left.exists()
    del other


def test_machines_share_nothing_but_the_store(store: ObjectStore, tmp_path: Path) -> None:
    one, two = (Blobs(tmp_path / name, "process", store) for name in ("one", "two"))
    # Above the size from which it goes in parts.
    content = os.urandom(20 * 2**20)
    kept(one, content)
    assert two.path(KEY).read_bytes() == content
    assert two.path(KEY).is_relative_to(tmp_path / "two")
    # The copy of another machine must not outlive what it is a copy of.
    kept(one, b"newer")
    assert two.path(KEY).read_bytes() == b"newer"
    one.delete("predictions/p1")
    with pytest.raises(FileNotFoundError):
        two.path(KEY)


def test_a_copy_is_fetched_once(store: ObjectStore, tmp_path: Path) -> None:
    one, two = (Blobs(tmp_path / name, "process", store) for name in ("one", "two"))
    kept(one, b"content")
    first = two.path(KEY)
    made_at = first.stat().st_ino
    assert two.path(KEY).stat().st_ino == made_at


def test_a_store_that_is_away_is_said_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = ObjectServer()
    blobs = Blobs(tmp_path / "blobs", "one", ObjectStore("s3://bucket/away", endpoint=server.endpoint, patience_s=1))
    started = time.monotonic()
    for call in (lambda: blobs.exists(KEY), lambda: kept(blobs, b""), lambda: blobs.delete(KEY), blobs.check):
        with pytest.raises(InfrastructureError, match=r"does not answer.*SURROGATE_BLOB_ENDPOINT"):
            call()
    # Four calls of one second of patience each; the last pause may reach beyond.
    assert time.monotonic() - started < 30


def test_a_missing_bucket_and_a_bad_address_name_the_remedy(
    object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InfrastructureError, match="bucket of the object store does not exist"):
        ObjectStore("s3://elsewhere/x", endpoint=object_server.endpoint, patience_s=1).check()
    with pytest.raises(InfrastructureError, match="s3://bucket/prefix"):
        ObjectStore("ftp://bucket/x")


KEEP_FOR_EVER = """
import os, sys
from pathlib import Path
from api.blobs import Blobs
from api.object_store import ObjectStore

directory, url, endpoint = sys.argv[1:]
store = ObjectStore(url, endpoint=endpoint) if url else None
blobs = Blobs(Path(directory), "killed", store)
print("ready", flush=True)
for number in range(10**6):
    with blobs.scratch() as scratch:
        (scratch / "made").write_bytes(bytes([number % 256]) * (12 << 20))
        print("keep", flush=True)
        blobs.keep(scratch / "made", f"meshes/m{number}/part.step")
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["directory", "store"])
def test_a_kill_in_the_middle_of_keeping_leaves_no_half_file(
    where: str, object_server: ObjectServer, store: ObjectStore, tmp_path: Path
) -> None:
    """Kills at different moments after `keep` began: every file that is there has all its bytes."""
    url = f"s3://bucket/{tmp_path.name}" if where == "store" else ""
    for trial in range(7):
        command = [sys.executable, "-c", KEEP_FOR_EVER, str(tmp_path / "killed"), url, object_server.endpoint]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **CREDENTIALS}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        while process.stdout.readline() != b"keep\n":
            assert process.poll() is None
        # From before the first file is kept to after it, on a slow machine too.
        time.sleep((0.2 if where == "store" else 0.005) * trial)
        process.send_signal(signal.SIGKILL)
        process.wait()
    blobs = Blobs(tmp_path / "killed", "killed", store if where == "store" else None)
    whole = [n for n in range(200) if blobs.exists(f"meshes/m{n}/part.step")]
    for number in whole:
        content = blobs.path(f"meshes/m{number}/part.step").read_bytes()
        assert content == bytes([number % 256]) * (12 << 20)
    assert whole, "at least one was kept, or nothing was tried here"
    assert list((tmp_path / "killed" / "incoming" / "killed").iterdir()) == [], "scratch of the dead is cleared"
