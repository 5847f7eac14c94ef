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
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from api.demo_report import comparison_text, report_text
from api.schemas import MeshView, PredictionView

STARTS_WITHIN_S = 180.0
ANSWERS_WITHIN_S = 900.0
STOPS_WITHIN_S = 15.0
PICTURES = ("von_mises", "displacement", "plastic_strain", "setup")


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


def _checked(response: httpx.Response) -> httpx.Response:
    """Raises DemoError with the problem's own words where the service refused."""
    if response.is_success:
        return response
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = response.text[:500]
    request = response.request
    raise DemoError(f"{request.method} {request.url.path} gave {response.status_code}: {detail}")


def upload(client: httpx.Client, part: Path, length_unit: str | None, element_size_m: float | None) -> MeshView:
    """The part's mesh, once it is ready."""
    form = {"length_unit": length_unit, "element_size_m": None if element_size_m is None else repr(element_size_m)}
    with part.open("rb") as stream:
        response = _checked(
            client.post(
                "/v1/meshes",
                files={"file": (part.name, stream, "application/octet-stream")},
                data={key: value for key, value in form.items() if value is not None},
            )
        )
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    mesh = MeshView.model_validate(response.json())
    while mesh.status not in ("ready", "failed") and time.monotonic() < deadline:
        time.sleep(0.3)
        mesh = MeshView.model_validate(_checked(client.get(f"/v1/meshes/{mesh.id}")).json())
    if mesh.status != "ready":
        raise DemoError(f"the part is {mesh.status}: {mesh.error.detail if mesh.error else 'not meshed in time'}")
    return mesh


def answered(client: httpx.Client, address: str, body: dict[str, object] | None) -> PredictionView:
    """What a prediction or a verification came to; says how far it is meanwhile."""
    view = PredictionView.model_validate(_checked(client.post(address, json=body, headers={"Prefer": "wait=2"})).json())
    poll = address if body is None else f"{address}/{view.id}"
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    said = ""
    while view.status in ("queued", "running") and time.monotonic() < deadline:
        stage = view.stage or view.status
        if stage != said:
            say(f"    {stage}")
            said = stage
        view = PredictionView.model_validate(_checked(client.get(poll, headers={"Prefer": "wait=2"})).json())
    if view.status != "done":
        raise DemoError(f"{address} is {view.status}: {view.error.detail if view.error else 'not answered in time'}")
    return view


def problem_body(problem_file: Path) -> tuple[dict[str, object], str | None, float | None]:
    """The problem as REST takes it, and the unit and element size that go with the part."""
    body: dict[str, object] = tomllib.loads(problem_file.read_text(encoding="utf-8"))
    if "histories" in body:
        raise DemoError(f"{problem_file.name} takes its histories from a CSV; over REST they are given in the body")
    body.pop("part", None)
    unit, size = body.pop("length_unit", None), body.pop("element_size_m", None)
    return (
        body,
        unit if isinstance(unit, str) else None,
        float(size) if isinstance(size, int | float) else None,
    )


def save_results(client: httpx.Client, prediction_id: str, out: Path) -> None:
    """Downloads everything a prediction can be had as."""
    base = f"/v1/predictions/{prediction_id}"
    downloads = {"report.html": "report", "summary.json": "summary", "result.vtu": "result.vtu"}
    downloads |= {f"{name}.png": f"render.png?field={name}" for name in PICTURES}
    for name, address in downloads.items():
        (out / name).write_bytes(_checked(client.get(f"{base}/{address}")).content)


def run(part: Path, problem_file: Path, out: Path, *, fidelity: str, verify: bool) -> None:
    """The whole demonstration.

    Raises:
        DemoError: a stage failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    body, length_unit, element_size_m = problem_body(problem_file)
    say("starting the service ...")
    with (
        running_service(out / "service.log") as address,
        httpx.Client(base_url=address, timeout=300) as client,
    ):
        say(f"    {address} is up")
        say(f"uploading {part} ...")
        mesh = upload(client, part, length_unit, element_size_m)
        say(f"    {mesh.points} points, {mesh.cells} cells, {mesh.faces} faces, meshed in {mesh.meshing_s:.1f} s")
        say("asking for a prediction ...")
        request = {**body, "mesh": mesh.id, "fidelity": fidelity, "name": part.stem}
        prediction = answered(client, "/v1/predictions", request)
        if prediction.summary is None:
            raise DemoError(f"prediction {prediction.id} is done and has no summary")
        say(report_text(prediction.summary))
        if verify and fidelity != "solved":
            say("solving the same problem by FEM to verify it ...")
            verified = answered(client, f"/v1/predictions/{prediction.id}/verification", None)
            if verified.summary is not None:
                say(comparison_text(prediction.summary, verified.summary))
        save_results(client, prediction.id, out)
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
    except (DemoError, OSError, tomllib.TOMLDecodeError, httpx.HTTPError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
