"""Keeps the worker processes of a service alive: one that dies is started again."""

import subprocess
import sys
import threading
import time

import structlog

from api.metrics import ServiceMetrics, clear_worker_files, forget_gauges, worker_files
from api.settings import Settings

# A worker that dies young is started again after a pause that doubles up to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _YOUNG_S = 0.2, 15.0, 30.0
_STOPS_WITHIN_S = 10.0

log = structlog.get_logger()


class Supervisor:
    """Starts workers and restarts them when they die.

    Args:
        settings: of the service; each worker gets them with a name of its own.
        metrics: counts the restarts.
    """

    def __init__(self, settings: Settings, metrics: ServiceMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [
            threading.Thread(target=self._keep_alive, args=(number,), name=f"supervisor-{number}", daemon=True)
            for number in range(settings.workers)
        ]

    def start(self) -> None:
        """Starts the workers and returns at once."""
        clear_worker_files(self._settings)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tells the workers to stop and waits until they did."""
        self._stopping.set()
        for process in list(self._processes.values()):
            process.terminate()
        for process in list(self._processes.values()):
            try:
                process.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _keep_alive(self, number: int) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            started = time.monotonic()
            process = subprocess.Popen([sys.executable, "-m", "api.worker"], env=self._environment(number))
            self._processes[number] = process
            if self._stopping.is_set():
                process.terminate()
            code = process.wait()
            if self._stopping.is_set():
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - started > _YOUNG_S else min(2 * pause, _LONGEST_PAUSE_S)
            forget_gauges(self._settings, number)
            self._metrics.worker_restarts.inc()
            log.error("a worker died and is started again", worker=number, code=code, pause_s=pause)
            self._stopping.wait(pause)

    def _environment(self, number: int) -> dict[str, str]:
        own = {"worker_id": f"{self._settings.worker_id}-{number}", "supervised": True}
        # prometheus_client reads this one itself, when the worker makes its counters.
        return self._settings.environment(own) | {"PROMETHEUS_MULTIPROC_DIR": str(worker_files(self._settings))}
