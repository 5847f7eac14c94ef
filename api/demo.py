"""The main job from end to end over HTTP: start the service, upload a part, predict, verify, report, stop the service.

    python -m api.demo meshes/bracket.step meshes/bracket.toml --out demo_output

Writes report.html, summary.json, pictures, result.vtu and the service's log. The service is stopped whatever happens.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from api.demo_report import comparison_text, report_text
from api.schemas import Fidelity
from surrogate import Client, SurrogateError

STARTS_WITHIN_S = 180.0
ANSWERS_WITHIN_S = 900.0
STOPS_WITHIN_S = 15.0


class DemoError(Exception):
    """The demonstration cannot go on; the text says why."""


def say(text: str) -> None:
    """Prints at once, so that a log shows how far the demonstration came."""
    print(text, flush=True)


@contextmanager
def running_service(log_file: Path) -> Iterator[str]:
    """A service of its own on a free port with a data directory of its own; yields its address.

    Raises:
        DemoError: it did not come up; the text ends with its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("surrogate")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="surrogate-demo-") as data, log_file.open("wb") as log:
        environment = {**os.environ, "SURROGATE_DATA_DIRECTORY": data}
        # A group of its own, so that the readers and renderers it started end with it.
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, address, log_file)
            yield address
        finally:
            _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str, log_file: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"the service ended with code {process.returncode}:\n{_tail(log_file)}")
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise DemoError(f"the service was not ready within {STARTS_WITHIN_S:.0f} s:\n{_tail(log_file)}")


def _tail(log_file: Path, lines: int = 30) -> str:
    return "\n".join(log_file.read_text(errors="replace").splitlines()[-lines:])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOPS_WITHIN_S)
    # Whatever of the group outlived it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stages() -> Callable[[str, float], None]:
    """Says each stage once."""
    said = ""

    def progress(stage: str, fraction: float) -> None:
        nonlocal said
        if stage != said:
            say(f"    {stage}")
            said = stage

    return progress


def run(part: Path, problem_file: Path, out: Path, *, fidelity: Fidelity, verify: bool) -> None:
    """The whole demonstration.

    Raises:
        DemoError: the service did not come up.
        SurrogateError: a stage failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    say("starting the service ...")
    with running_service(out / "service.log") as address, Client(address, timeout_s=300) as client:
        say(f"    {address} is up")
        say(f"uploading {part} ...")
        mesh = client.upload_part_of(problem_file, part=part, timeout_s=ANSWERS_WITHIN_S)
        say(f"    {mesh.points} points, {mesh.cells} cells, {mesh.faces} faces, meshed in {mesh.meshing_s:.1f} s")
        say("asking for a prediction ...")
        prediction = client.predict(problem_file, mesh=mesh, fidelity=fidelity, name=part.stem)
        summary = prediction.wait(stages(), timeout_s=ANSWERS_WITHIN_S)
        say(report_text(summary))
        if verify and fidelity != "solved":
            say("solving the same problem by FEM to verify it ...")
            verified = prediction.verify().wait(stages(), timeout_s=ANSWERS_WITHIN_S)
            say(comparison_text(summary, verified))
        prediction.save(out)
    say(f"service stopped; open {out / 'report.html'}")


def main() -> int:
    """Exit code 0 when every stage went well, 1 when one did not."""
    parser = argparse.ArgumentParser(prog="python -m api.demo", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("part", type=Path)
    parser.add_argument("problem", type=Path)
    parser.add_argument("--out", type=Path, default=Path("demo_output"))
    parser.add_argument("--fidelity", choices=("surrogate", "refined", "solved", "auto"), default="surrogate")
    parser.add_argument("--no-verify", action="store_true", help="do not solve the FEM problem for comparison")
    given = parser.parse_args()
    # A terminated demonstration unwinds and stops its service, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(given.part, given.problem, given.out, fidelity=given.fidelity, verify=not given.no_verify)
    except (DemoError, SurrogateError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
