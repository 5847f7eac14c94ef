"""Whatever a child does, the parent gets one readable error, in time."""

import os
import signal
import time
from pathlib import Path

import pytest

from surrogate.errors import GeometryError, InfrastructureError, TooLargeError
from surrogate.geometry.isolation import run_isolated

CHILD = """
import os, subprocess, sys, time
what = sys.argv[1]
if what == "segfault": os.kill(os.getpid(), 11)
if what == "abort": os.abort()
if what == "exit": sys.exit("entity expansion")
if what == "raise": raise ValueError("bad number")
if what == "memory": x = bytearray(8 << 30)
if what == "hang":
    child = subprocess.Popen(["sleep", "60"])
    open(sys.argv[2], "w").write(str(child.pid))
    time.sleep(60)
if what == "own":
    from surrogate.errors import TooLargeError
    raise TooLargeError("part.step: too many")
if what == "import": import a_library_that_is_missing
if what == "secret" and "DATABASE_URL" in os.environ: raise ValueError("leaked")
if what == "front": import surrogate; assert "torch" not in sys.modules
"""


@pytest.fixture(autouse=True)
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "misbehaving.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def run(*arguments: str, timeout_s: float = 20.0) -> None:
    run_isolated(
        "misbehaving", arguments, timeout_s=timeout_s, memory_bytes=1 << 30, subject="part.step", death=GeometryError
    )


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("exit", "entity expansion"),
        ("raise", "bad number"),
        ("memory", "1.0 GiB of memory"),
    ],
)
def test_a_death_becomes_an_error_that_names_the_file(what: str, text: str) -> None:
    with pytest.raises(GeometryError, match=r"part\.step") as caught:
        run(what)
    assert text in str(caught.value)


def test_errors_raised_on_purpose_come_back_as_they_are() -> None:
    with pytest.raises(TooLargeError, match=r"^part\.step: too many$"):
        run("own")


def test_a_missing_library_is_no_fault_of_the_file() -> None:
    with pytest.raises(InfrastructureError, match="a_library_that_is_missing"):
        run("import")


def test_a_hanging_child_is_killed_with_its_children(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(GeometryError, match=r"no result after 1.5 s"):
        run("hang", str(tmp_path / "pid"), timeout_s=1.5)
    assert time.monotonic() - start < 10
    grandchild = int((tmp_path / "pid").read_text())
    for _ in range(50):
        status = Path(f"/proc/{grandchild}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    os.kill(grandchild, signal.SIGKILL)
    pytest.fail("the grandchild survived")


def test_secrets_stay_outside_and_the_front_door_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "secret")
    run("secret")
    run("front")
