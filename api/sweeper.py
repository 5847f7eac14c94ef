"""Finds what crashes and outages left behind, in every worker, over and over.

Jobs of dead workers go back into the queue; rows whose job was never stored, or ended without them, get one.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from api.heartbeat import BEATS
from api.jobs import JobEngine
from api.naming import job_of
from api.records import Records
from api.roll import Roll, Watch

# Rows are compared with jobs less often: it reads all that is unfinished.
_ROWS_EVERY_S = 5.0
# The engine's own notes of jobs that are over are of no use later: their rows tell the outcome.
_FORGET_EVERY_S, _FORGET_AFTER = 3600.0, timedelta(days=7)

log = structlog.get_logger()


class Sweeper:
    """Sweeps for one worker.

    Args:
        records: the rows.
        jobs: the engine of this worker.
        roll: who works.
        worker_id: the worker's name.
        instance: of its process.
        silence_s: who does not beat for so long is dead, s.
        deposed: called where this worker was taken for dead: its jobs are others' now.
        clock: seconds that only ever grow.
    """

    def __init__(
        self,
        records: Records,
        jobs: JobEngine,
        roll: Roll,
        worker_id: str,
        instance: str,
        *,
        silence_s: float,
        deposed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records, self._jobs, self._roll = records, jobs, roll
        self._me = (worker_id, instance)
        self._watch = Watch(roll, silence_s, clock=clock)
        self._period_s = silence_s / BEATS
        self._deposed = deposed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Sweeps from now on, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the sweeping; one that is under way is awaited for a moment."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def take_over(self) -> int:
        """Gives what dead workers have in hand back to the queues; how many jobs there were."""
        # Asked before the roll: whoever takes a job has joined before.
        holders = self._jobs.holders()
        living, silent = self._watch.look()
        if self._me not in {(row.id, row.instance) for row in (*living, *silent)}:
            self._deposed()
        dead = {row.id for row in silent if row.id != self._me[0] and self._roll.dismiss(row)}
        # Not on the roll: it left in the middle of something, or who dismissed it died before it was done.
        dead |= holders - {row.id for row in (*living, *silent)}
        if not dead:
            return 0
        rows = self._records.release(dead, planned=False)
        count = self._jobs.recover(dead)
        log.warning("took over from dead workers", workers=sorted(dead), jobs=count, rows=rows)
        return count

    def resubmit(self) -> int:
        """Gives jobs to unfinished rows that have none any more; how many there were.

        Rows are read before their jobs: a job ends its row before it is over itself.
        """
        rows = {job_of(row): row for row in self._records.unfinished()}
        over = self._jobs.over(list(rows))
        count = 0
        for job, row in rows.items():
            if job not in over:
                # The request that made the row may be about to submit it too: the same job runs once.
                self._jobs.submit(job)
                count += 1
            elif over[job] and (again := self._records.rerun(row)) is not None:
                self._jobs.submit(job_of(again))
                count += 1
        if count:
            log.info("found rows without a job", rows=count)
        return count + self._jobs.readopt()

    def _run(self) -> None:
        rows_at, forget_at, was_well = 0.0, time.monotonic() + _FORGET_EVERY_S, True
        while not self._stopping.wait(self._period_s):
            try:
                self.take_over()
                if time.monotonic() >= rows_at:
                    self.resubmit()
                    rows_at = time.monotonic() + _ROWS_EVERY_S
                if time.monotonic() >= forget_at:
                    self._jobs.forget(_FORGET_AFTER)
                    forget_at = time.monotonic() + _FORGET_EVERY_S
                was_well = True
            except Exception as error:
                # The database is away; the next time may do better.
                if was_well:
                    log.warning("cannot look for lost jobs", reason=str(error)[:200])
                was_well = False
