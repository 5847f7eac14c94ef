"""The heart of a worker. It beats in the process that started the worker, where no long computation holds it up."""

import threading

import structlog

from api.roll import Roll

# A worker beats so many times within the silence after which it is taken for dead.
BEATS = 5

log = structlog.get_logger()


class Heart:
    """Beats for one worker until it is stopped.

    Args:
        roll: who works.
        worker_id: the worker's name.
        instance: of the worker's process.
        period_s: between two beats, s.
    """

    def __init__(self, roll: Roll, worker_id: str, instance: str, period_s: float) -> None:
        self._roll, self._worker_id, self._instance, self._period_s = roll, worker_id, instance, period_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heart-{worker_id}", daemon=True)

    def start(self) -> None:
        """Beats from now on; beats before the worker joined count for nothing."""
        self._thread.start()

    def stop(self) -> None:
        """No further beat."""
        self._stopping.set()

    def _run(self) -> None:
        was_well = True
        while not self._stopping.wait(self._period_s):
            try:
                self._roll.beat(self._worker_id, self._instance)
                was_well = True
            except Exception as error:
                # The database may be away for a while; the next beat tries again.
                if was_well:
                    log.warning("no heartbeat", worker=self._worker_id, reason=str(error)[:200])
                was_well = False
