"""One worker of a campaign: a process that solves one sample after the other and may be killed.

`python -m surrogate.data.sample_process` reads a JSON request a line, {"family", "seed", "directory", "histories",
"steps", "coarse_share"}, writes the simulation file and answers a JSON outcome a line. It ends with its parent.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from surrogate.data.families import family_named
from surrogate.data.sample_outcome import CRASHED, SampleOutcome, rejected_outcome, stored_outcome
from surrogate.data.simulate import SampleSize, simulate
from surrogate.data.simulation_file import sample_name, save_simulation
from surrogate.errors import SurrogateError

# One thread, and sums of MKL in a fixed order: the same sample has the same bits.
SINGLE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "MKL_CBWR": "AUTO",
}
_PARENT_CHECK_SECONDS = 1.0


def run_sample(family_name: str, seed: int, directory: Path, size: SampleSize) -> SampleOutcome:
    """Solves and stores one sample; errors meant for people become rejects."""
    started = time.perf_counter()
    path = directory / sample_name(family_name, seed)
    try:
        simulation = simulate(family_named(family_name), seed, size)
    except SurrogateError as error:
        return rejected_outcome(family_name, seed, error, time.perf_counter() - started)
    solved = time.perf_counter()
    save_simulation(simulation, path)
    ended = time.perf_counter()
    stages = {**simulation.seconds, "write": ended - solved}
    return stored_outcome(simulation, path, ended - started, stages)


class SampleProcess:
    """A worker process seen from the campaign; started when first needed and again after it died."""

    def __init__(self, directory: Path, size: SampleSize) -> None:
        self._request = {"directory": str(directory), **asdict(size)}
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
        if answer.endswith("\n"):
            return SampleOutcome(**json.loads(answer))
        self.close()
        seconds = time.perf_counter() - started
        if timed_out.is_set():
            return SampleOutcome(family, seed, "timed out", f"killed after {timeout_s:g} s", seconds=seconds)
        return SampleOutcome(family, seed, CRASHED, f"worker ended with {process.returncode}", seconds=seconds)

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
        size = SampleSize(request["histories"], request["steps"], request["coarse_share"])
        outcome = run_sample(request["family"], request["seed"], Path(request["directory"]), size)
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


def _end_with_parent(parent: int) -> None:
    """Ends this process within a second of its parent, also in the middle of a sample."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # Libraries that print must not spoil the answers: they print to standard error.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer_stream:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _answer_requests(sys.stdin, answer_stream)
