"""A real server process on a free port, with a data directory of its own."""

import copy
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx

from tests.processes import children, command

ROOT = Path(__file__).parents[2]
PART = ROOT / "meshes" / "bracket.step"
START_S = 180
PROBLEM_JSON = "application/problem+json"


class Server:
    """One `python -m api`; stopped, killed and started again on the same data."""

    def __init__(self, directory: Path, **settings: str) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.directory = directory
        self.url = f"http://127.0.0.1:{self.port}"
        given = {"data_directory": str(directory / "data"), "port": str(self.port), **settings}
        self.environment = {**os.environ, **{f"SURROGATE_{name.upper()}": value for name, value in given.items()}}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it takes requests and jobs."""
        process = self.spawn()
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts it and waits for nothing."""
        with (self.directory / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api"], cwd=self.directory, env=self.environment, stdout=log, stderr=log
            )
        return self.process

    def end(self, number: signal.Signals = signal.SIGTERM, patience_s: float = 30) -> int:
        """Sends a signal and returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(patience_s)

    def workers(self) -> list[int]:
        """Process ids of the workers that it started."""
        assert self.process is not None
        return [each for each in children(self.process.pid) if b"api.worker" in command(each)]

    def kill_workers(self) -> None:
        """Kills them as a crash does."""
        for number in self.workers():
            os.kill(number, signal.SIGKILL)

    def kill(self) -> None:
        """Kills all of it, however far it came."""
        if self.process is not None and self.process.poll() is None:
            self.kill_workers()
            self.end(signal.SIGKILL)

    def log(self) -> str:
        return (self.directory / "log.txt").read_text()[-4000:]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)


class WorkerAlone:
    """One `surrogate worker`, as it runs on a machine of its own.

    Args:
        name: of the worker.
        directory: where it runs; `data_directory` of the settings may lie elsewhere.
        settings: of the worker.
    """

    def __init__(self, name: str, directory: Path, **settings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / f"{name}.txt"
        environment = {**os.environ, **{f"SURROGATE_{key.upper()}": value for key, value in settings.items()}}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "surrogate.cli", "worker", "--name", name],
                cwd=directory,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals = signal.SIGTERM, patience_s: float = 60) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(patience_s)

    def kill(self) -> None:
        """All of it, as when the machine is switched off."""
        if self.process.poll() is None:
            workers = children(self.process.pid)
            self.end(signal.SIGKILL)
            for number in workers:
                os.kill(number, signal.SIGKILL)

    def log(self) -> str:
        return self._log.read_text()[-4000:]


def upload(client: httpx.Client, *, element_size_m: float = 0.012) -> httpx.Response:
    """The sample bracket, as coarse as it may be, or finer."""
    with PART.open("rb") as stream:
        files = {"file": (PART.name, stream)}
        response = client.post("/v1/meshes", files=files, data={"element_size_m": str(element_size_m)})
        # A busy machine may take longer than the service waits.
        deadline = time.monotonic() + 120
        while response.status_code == 202 and time.monotonic() < deadline:
            time.sleep(0.2)
            stream.seek(0)
            response = client.post("/v1/meshes", files=files, data={"element_size_m": str(element_size_m)})
            if response.status_code == 200:
                response.status_code = 201
    return response


def problem(mesh_id: str, **changes: object) -> dict[str, object]:
    """The sample bracket's problem with one history, solved by FEM."""
    body = tomllib.loads(PART.with_suffix(".toml").read_text())
    kept = {key: copy.deepcopy(body[key]) for key in ("material", "supports", "load_cases", "load_histories")}
    kept["load_histories"] = kept["load_histories"][:1]
    return {**kept, "mesh": mesh_id, "fidelity": "solved", **changes}


def wait_for_end(client: httpx.Client, location: str, seconds: float = 300) -> dict[str, object]:
    """The prediction once it is finished."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        body = client.get(location, headers={"Prefer": "wait=5"}).json()
        if body["status"] not in ("queued", "running"):
            return body
    raise AssertionError(f"{location} is not finished after {seconds} s")


def refused(response: httpx.Response, status: int) -> str:
    """The text of an error, which every error has in the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_JSON
    body = response.json()
    assert body["status"] == status and body["title"] and body["type"] and body["instance"]
    return str(body["detail"])
