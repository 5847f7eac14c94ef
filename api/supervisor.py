"""Keeps worker processes alive: one that dies is started again. Its own process computes nothing, so it lives on.

`surrogate serve` has a supervisor beside its requests; `surrogate worker` is one.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from api.database import open_database
from api.heartbeat import BEATS, Heart
from api.locking import check_layout
from api.metrics import ServiceMetrics, forget_gauges, worker_files
from api.roll import Roll
from api.settings import Settings
from api.telemetry import configure_logs
from surrogate import InfrastructureError

# What a worker ends with that may not run here: starting it again would not help.
REFUSED = os.EX_CONFIG
REFUSAL = "a worker may not run here; what it said before this tells why and what to do"
DATABASE_PATIENCE_S = 30.0
# A worker that dies young is started again after a pause that doubles up to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _YOUNG_S = 0.2, 15.0, 30.0
# What a worker has to do after its patience with running jobs is over.
_TIDYING_S = 8.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Charge:
    """A worker that is kept alive.

    Attributes:
        name: its stable name.
        supervised: it counts in files of the service beside it.
        environment: variables for it alone.
        died: called when one of its processes died.
    """

    name: str
    supervised: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    died: Callable[[], None] = lambda: None


class Supervisor:
    """Starts workers and restarts them when they die.

    Args:
        settings: of the service; each worker gets them with a name of its own.
        roll: who works.
        workers: what they are called, and what is particular to each.
        refused: called where a worker may not run here.
    """

    def __init__(self, settings: Settings, roll: Roll, workers: Sequence[Charge], refused: Callable[[], None]) -> None:
        self._settings, self._roll, self._refused = settings, roll, refused
        self.is_refused = False
        self._stopping = threading.Event()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._threads = [
            threading.Thread(target=self._keep_alive, args=(worker,), name=f"supervisor-{worker.name}", daemon=True)
            for worker in workers
        ]

    def start(self) -> None:
        """Starts the workers and returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tells the workers to finish what is short, and waits until they have ended."""
        self._stopping.set()
        self._terminate()
        deadline = time.monotonic() + self._settings.drain_s + _TIDYING_S
        for process in list(self._processes.values()):
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def hurry(self) -> None:
        """Tells workers that were told to end not to wait for anything."""
        self._stopping.set()
        self._terminate()

    def _terminate(self) -> None:
        for process in list(self._processes.values()):
            process.terminate()

    def _keep_alive(self, worker: Charge) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run_once(worker)
            if self._stopping.is_set():
                return
            if code == REFUSED:
                self.is_refused = True
                log.critical(REFUSAL, worker=worker.name)
                self._refused()
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - started > _YOUNG_S else min(2 * pause, _LONGEST_PAUSE_S)
            worker.died()
            log.error("a worker died and is started again", worker=worker.name, cause=_cause(code), pause_s=pause)
            self._stopping.wait(pause)

    def _run_once(self, worker: Charge) -> int | None:
        """The exit code of one process of a worker, None where it could not be started."""
        instance = uuid.uuid4().hex
        own = {
            "worker_id": worker.name,
            "instance": instance,
            "supervisor": os.getpid(),
            "supervised": worker.supervised,
        }
        environment = self._settings.environment(own) | dict(worker.environment)
        try:
            # A session of its own: what the terminal's Ctrl-C interrupts is the supervisor alone.
            process = subprocess.Popen([sys.executable, "-m", "api.worker"], env=environment, start_new_session=True)
        except OSError as error:
            log.error("cannot start a worker", worker=worker.name, reason=str(error))
            return None
        self._processes[worker.name] = process
        if self._stopping.is_set():
            process.terminate()
        heart = Heart(self._roll, worker.name, instance, self._settings.worker_silence_s / BEATS)
        heart.start()
        try:
            return process.wait()
        finally:
            heart.stop()


def workers_of(settings: Settings, metrics: ServiceMetrics) -> list[Charge]:
    """The workers of a service: called after it, with a number."""
    # prometheus_client reads this one itself, when the worker makes its counters.
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(worker_files(settings))}

    def died(number: int) -> None:
        forget_gauges(settings, number)
        metrics.worker_restarts.inc()

    return [
        Charge(f"{settings.worker_id}-{number}", True, environment, partial(died, number))
        for number in range(settings.workers)
    ]


def run_worker(settings: Settings) -> None:
    """Keeps one worker alive until this process is told to end by SIGTERM or SIGINT; the second time it ends at once.

    Raises:
        InfrastructureError: no database, or a worker of this name runs already.
    """
    configure_logs(settings)
    check_layout(settings)
    roll = Roll(open_database(settings.metadata_url, patience_s=DATABASE_PATIENCE_S))
    stopping = threading.Event()
    supervisor = Supervisor(settings, roll, [Charge(settings.worker_id)], stopping.set)

    def end(_number: int, _frame: object) -> None:
        if stopping.is_set():
            supervisor.hurry()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    supervisor.start()
    stopping.wait()
    supervisor.stop()
    if supervisor.is_refused:
        raise InfrastructureError(REFUSAL)


def _cause(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"
