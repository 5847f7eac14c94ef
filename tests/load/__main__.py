"""`python -m tests.load --users 50 --minutes 10`: a service of its own, many users, and a judgement.

The service, its users and the watcher share this machine; the users give way (nice 5) as they would on machines of
their own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.api.service_process import ROOT, Server, problem, upload, wait_for_end
from tests.load.judge import Bounds, judge
from tests.load.parts import prepare

STOP_S = 60


def run(directory: Path, *, users: int, seconds: float, bounds: Bounds, settings: dict[str, str]) -> list[str]:
    """What is wrong with the service under load, nothing where all is well; prints the figures."""
    server = Server(directory, **settings)
    parts = prepare(directory)
    server.start()
    assert server.process is not None
    _wake(server)
    print(f"load average at the start {os.getloadavg()[0]:.1f}; {os.cpu_count()} cores; {users} users, {seconds:.0f} s")
    watcher = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.load.watch",
            str(server.port),
            str(server.process.pid),
            directory / "watched.jsonl",
        ],
        cwd=ROOT,
    )
    try:
        _use(server, directory, parts, users, seconds)
    finally:
        watcher.terminate()
        watcher.wait()
        with server.client() as client:
            (directory / "metrics.txt").write_text(client.get("/metrics").text)
        code = server.end()
    print(f"load average at the end {os.getloadavg()[0]:.1f}; files in {directory}")
    wrong = judge(directory, bounds)
    log = (directory / "log.txt").read_text()
    for event in ("a worker died and is started again", "request failed", "job failed"):
        if event in log:
            wrong.append(f"the log has {log.count(event)} times {event!r}")
    if code != 0:
        wrong.append(f"the service ended with {code}")
    return wrong


def _wake(server: Server) -> None:
    """One answer and one file before anything is measured: the first of each loads libraries and the model."""
    with server.client() as client:
        mesh = upload(client, element_size_m=0.015).json()["id"]
        made = client.post("/v1/predictions", json=problem(mesh, fidelity="surrogate")).headers["Location"]
        assert wait_for_end(client, made, 300)["status"] == "done"
        assert client.get(f"{made}/result.vtu", timeout=300).status_code == 200


def _use(server: Server, directory: Path, parts: Path, users: int, seconds: float) -> None:
    """Users come within a tenth of the time."""
    locust = [sys.executable, "-m", "locust", "-f", str(Path(__file__).parent / "users.py"), "--headless"]
    rate = max(users / (0.1 * seconds), 0.5)
    options = ["--host", server.url, "-u", str(users), "-r", f"{rate:.2f}", "-t", f"{seconds:.0f}s"]
    quiet = ["--stop-timeout", str(STOP_S), "--only-summary", "--loglevel", "ERROR", "--csv", str(directory / "users")]
    environment = {**os.environ, "LOAD_PARTS": str(parts), "PYTHONPATH": str(ROOT)}
    with (directory / "locust.txt").open("w") as log:
        subprocess.run(
            [*locust, *options, *quiet],
            cwd=directory,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: os.nice(5),
            timeout=seconds + STOP_S + 120,
            check=False,
        )


def main() -> int:
    """The exit code: 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="directory for the figures; default a temporary one")
    parser.add_argument("--health-ms", type=float, default=50.0)
    parser.add_argument("--growth", type=float, default=0.05)
    given = parser.parse_args()
    directory = given.keep or Path(tempfile.mkdtemp(prefix="surrogate-load-"))
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    bounds = Bounds(given.health_ms / 1000, given.growth)
    wrong = run(directory, users=given.users, seconds=60 * given.minutes, bounds=bounds, settings={})
    print(f"\n{time.monotonic() - started:.0f} s. " + ("All is well." if not wrong else "\n".join(["Wrong:", *wrong])))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
