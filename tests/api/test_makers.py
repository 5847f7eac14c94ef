"""What is computed for requests is computed in other processes, and one of those that dies takes no request with it."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from api.makers import SMALL_POINTS, Makers
from api.metrics import ServiceMetrics
from api.settings import Settings
from surrogate import InfrastructureError, InputError
from tests.api.service_process import Server, problem, upload, wait_for_end
from tests.processes import children, command


@pytest.fixture
def makers(tmp_path: Path) -> Iterator[Makers]:
    opened = Makers(Settings(data_directory=tmp_path, concurrent_renders=1), ServiceMetrics.create())
    yield opened
    opened.stop()


def die(mark: Path | None) -> int:
    """Kills its process, at once or where it has not done so before."""
    if mark is None or not mark.exists():
        if mark is not None:
            mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def refuse() -> None:
    raise InputError("choose one of 'a', 'b'")


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_the_work_done_again(makers: Makers, tmp_path: Path) -> None:
    assert makers.run(partial(die, tmp_path / "died")) != os.getpid()
    with pytest.raises(InfrastructureError, match="died"):
        makers.run(partial(die, None))
    # The pool is whole again, and errors come back as they were raised.
    with pytest.raises(InputError, match="choose one of 'a', 'b'"):
        makers.run(refuse)
    # What is small is done here.
    assert makers.ask(os.getpid, points=SMALL_POINTS) == os.getpid()
    assert makers.ask(os.getpid, points=SMALL_POINTS + 1) != os.getpid()


@pytest.mark.slow
def test_a_download_survives_its_maker_and_no_maker_its_service(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        with server.client() as client, ThreadPoolExecutor(1) as pool:
            mesh = upload(client).json()["id"]
            made = client.post("/v1/predictions", json=problem(mesh)).headers["Location"]
            assert wait_for_end(client, made)["status"] == "done"
            asked = pool.submit(lambda: httpx.get(f"{server.url}{made}/report", timeout=180))
            makers = wait_for_makers(server)
            os.kill(makers[0], signal.SIGKILL)
            answer = asked.result()
            assert answer.status_code == 200 and b"</html>" in answer.content
            makers = wait_for_makers(server)
    finally:
        server.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(b"spawn_main" in command(each) for each in makers):
        assert time.monotonic() < deadline, "a maker outlived its service"
        time.sleep(0.1)


def wait_for_makers(server: Server) -> list[int]:
    """Process ids of the pool, once there are some."""
    assert server.process is not None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [each for each in children(server.process.pid) if b"spawn_main" in command(each)]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("no process was started to make a file")
