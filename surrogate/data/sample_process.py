"""One worker of a campaign: a process that solves one sample after the other and may be killed.

`python -m surrogate.data.sample_process` reads a JSON request a line, {"family", "seed", "directory", "histories",
"steps"}, writes the simulation file and answers a JSON outcome a line. It ends with its parent: at end of input.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from surrogate.data.families import family_named
from surrogate.data.simulate import SampleSize, simulate
from surrogate.data.simulation_file import Simulation, sample_name, save_simulation
from surrogate.errors import SurrogateError

SINGLE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class SampleOutcome:
    """What became of a sample.

    Attributes:
        family: its family.
        seed: its seed.
        reason: why it was rejected in a word or two, empty where it was stored.
        detail: the message behind the reason.
        points: of its mesh.
        cells: of its mesh.
        histories: stored.
        collapsed: histories left out because of plastic collapse.
        not_converged: histories left out because the solver gave up.
        yielded_share: largest yielded volume fraction of its histories.
        plastic_strain: largest equivalent plastic strain.
        seconds: spent on it.
        bytes: of its file.
    """

    family: str
    seed: int
    reason: str = ""
    detail: str = ""
    points: int = 0
    cells: int = 0
    histories: int = 0
    collapsed: int = 0
    not_converged: int = 0
    yielded_share: float = 0.0
    plastic_strain: float = 0.0
    seconds: float = 0.0
    bytes: int = 0


def run_sample(family_name: str, seed: int, directory: Path, histories: int, steps: int) -> SampleOutcome:
    """Solves and stores one sample; errors meant for people become rejects."""
    started = time.perf_counter()
    path = directory / sample_name(family_name, seed)
    try:
        simulation = simulate(family_named(family_name), seed, SampleSize(histories, steps))
    except SurrogateError as error:
        reason = type(error).__name__.removesuffix("Error")
        return SampleOutcome(family_name, seed, reason, str(error), seconds=time.perf_counter() - started)
    save_simulation(simulation, path)
    return stored_outcome(simulation, path, time.perf_counter() - started)


def stored_outcome(simulation: Simulation, path: Path, seconds: float) -> SampleOutcome:
    """The outcome of a simulation that lies in a file."""
    mesh, scalars = simulation.problem.mesh, simulation.scalars
    return SampleOutcome(
        family=simulation.family,
        seed=simulation.seed,
        points=len(mesh.points),
        cells=len(mesh.cells),
        histories=simulation.history_count,
        collapsed=round(simulation.statistics.get("rejected: collapsed", 0)),
        not_converged=round(simulation.statistics.get("rejected: not converged", 0)),
        yielded_share=float(scalars.yielded_volume_fraction.max()),
        plastic_strain=float(scalars.peak_plastic_strain.max()),
        seconds=seconds,
        bytes=path.stat().st_size,
    )


class SampleProcess:
    """A worker process seen from the campaign; started when first needed and again after it died."""

    def __init__(self, directory: Path, histories: int, steps: int) -> None:
        self._request = {"directory": str(directory), "histories": histories, "steps": steps}
        self._process: subprocess.Popen[str] | None = None

    def run(self, family: str, seed: int, timeout_s: float) -> SampleOutcome:
        """The outcome of one sample, also where the process crashed or was killed by the timer."""
        started = time.perf_counter()
        process = self._running()
        timed_out = threading.Event()

        def kill() -> None:
            timed_out.set()
            _kill_group(process)

        timer = threading.Timer(timeout_s, kill)
        timer.start()
        try:
            answer = _exchange(process, {**self._request, "family": family, "seed": seed})
        finally:
            timer.cancel()
        if answer:
            return SampleOutcome(**json.loads(answer))
        self.close()
        seconds = time.perf_counter() - started
        if timed_out.is_set():
            return SampleOutcome(family, seed, "timed out", f"killed after {timeout_s:g} s", seconds=seconds)
        return SampleOutcome(family, seed, "crashed", f"worker ended with {process.returncode}", seconds=seconds)

    def close(self) -> None:
        """Ends the process and what it started."""
        if self._process is not None:
            _kill_group(self._process)
            self._process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "surrogate.data.sample_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **SINGLE_THREAD},
                start_new_session=True,
            )
        return self._process


def _exchange(process: subprocess.Popen[str], request: dict[str, object]) -> str:
    """One line for one line; empty where the process has ended."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _answer_requests(requests: IO[str], answers: IO[str]) -> None:
    for line in requests:
        request = json.loads(line)
        outcome = run_sample(
            request["family"],
            request["seed"],
            Path(request["directory"]),
            request["histories"],
            request["steps"],
        )
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Libraries that print must not spoil the answers: they print to standard error.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer_stream:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _answer_requests(sys.stdin, answer_stream)
