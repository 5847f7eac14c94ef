"""Measures what one worker needs by the size of a part, and writes the table of docs/operations.md.

    python docs/sizing.py

A service of its own for each size, with the sample bracket and its three load histories. CPU seconds and peak memory
are those of the worker and of the readers and solvers that it started, so that a busy machine changes them little.
"""

import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from api.demo import answered, problem_body, upload

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operations.md"
PART = ROOT / "meshes" / "bracket.step"
SIZES_M = (0.015, 0.0038)
_BLOCK = re.compile(r"(<!-- sizing: [^\n]*-->\n).*?(<!-- end of sizing -->)", re.DOTALL)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """What one part took.

    Attributes:
        points: of its mesh.
        meshing_s, first_s, next_s, solve_s: CPU seconds of the worker; the first prediction loads the model.
        peak_gb: most memory of the worker after the predictions.
        solved_peak_gb: and after the solution.
        result_mb: files of the prediction.
    """

    points: int
    meshing_s: float
    first_s: float
    next_s: float
    solve_s: float
    peak_gb: float
    solved_peak_gb: float
    result_mb: float


@contextmanager
def service(directory: Path) -> Iterator[tuple[str, int]]:
    """Address of a service and process id of its worker."""
    port = 18700 + os.getpid() % 200
    settings = {"DATA_DIRECTORY": str(directory), "PORT": str(port), "MAX_ANSWER_BYTES": "2000000000"}
    environment = {**os.environ, **{f"SURROGATE_{name}": value for name, value in settings.items()}}
    with (directory / "log.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stdout=log, stderr=log, cwd=ROOT)
        address = f"http://127.0.0.1:{port}"
        try:
            while process.poll() is None and not _is_ready(address):
                time.sleep(0.2)
            (worker,) = _children(process.pid)
            yield address, worker
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def _cpu_s(process: int) -> float:
    """Of a process and of its children that ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS


def _peak_gb(process: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e9


def measured(element_size_m: float) -> Row:
    """Uploads the bracket, predicts twice, solves once."""
    body = problem_body(PART.with_suffix(".toml"))[0]
    with tempfile.TemporaryDirectory(prefix="sizing-") as folder:
        directory = Path(folder)
        with service(directory) as (address, worker), httpx.Client(base_url=address, timeout=600) as client:
            seen = _cpu_s(worker)
            spent: list[float] = []

            def lap() -> None:
                nonlocal seen
                now = _cpu_s(worker)
                spent.append(now - seen)
                seen = now

            mesh = upload(client, PART, None, element_size_m)
            lap()
            for _ in range(2):
                last = answered(client, "/v1/predictions", {**body, "mesh": mesh.id, "fidelity": "surrogate"})
                lap()
            peak = _peak_gb(worker)
            kept = directory / "blobs" / "predictions" / last.id
            size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
            answered(client, "/v1/predictions", {**body, "mesh": mesh.id, "fidelity": "solved"})
            lap()
            return Row(mesh.points or 0, *spent, peak, _peak_gb(worker), size / 1e6)


def main() -> None:
    """Writes the table between its marks."""
    # Who is terminated stops the service that he started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lines = [
        "| points | meshing, CPU s | first prediction | each further one | solved by FEM | worker's peak, GB | after a "
        "solution | result, MB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in SIZES_M:
        row = measured(size)
        cells = [row.meshing_s, row.first_s, row.next_s, row.solve_s, row.peak_gb, row.solved_peak_gb, row.result_mb]
        lines.append(f"| {row.points} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |")
        print(lines[-1], flush=True)
    about = f"Three load histories of six steps; {os.cpu_count()} cores ({platform.machine()}), no GPU."
    table = "\n".join([*lines, "", about, ""])
    PAGE.write_text(_BLOCK.sub(lambda found: found[1] + table + found[2], PAGE.read_text()))


if __name__ == "__main__":
    main()
