"""Workers that live say so in a table; the jobs of one that fell silent are given to others."""

import threading
from datetime import timedelta
from importlib.metadata import version

import structlog
from sqlalchemy import delete, select

from api.jobs import JobEngine
from api.records import Records
from api.tables import WorkerRow, now

BEAT_S = 2.0
# A worker that was not heard of for so long is dead: its jobs are run by others.
SILENT_S = 20.0

log = structlog.get_logger()


class Heart:
    """Beats for one worker, and sweeps up after those that stopped beating."""

    def __init__(self, records: Records, jobs: JobEngine, worker_id: str, *, host: str) -> None:
        self._records, self._jobs = records, jobs
        self._worker_id, self._host = worker_id, host
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """The first beat, then the others in a thread."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """The last beat: nobody needs to take this worker's jobs for dead."""
        self._stopping.set()

    def beat(self) -> None:
        """Says that this worker lives."""
        row = WorkerRow(
            id=self._worker_id, host=self._host, version=version("jepa-surrogate"), beat_at=now(), facts=None
        )
        with self._records.sessions.begin() as session:
            session.merge(row)

    def sweep(self) -> int:
        """Gives the jobs of silent workers to the queues; how many jobs there were.

        Deleting the silent worker's row is what one sweeper alone can do, so that no job is given twice.
        """
        silent = now() - timedelta(seconds=SILENT_S)
        taken = []
        with self._records.sessions.begin() as session:
            for worker_id in session.scalars(select(WorkerRow.id).where(WorkerRow.beat_at < silent)).all():
                gone = session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id, WorkerRow.beat_at < silent))
                if gone.rowcount:  # type: ignore[attr-defined]
                    taken.append(worker_id)
        if not taken:
            return 0
        count = self._jobs.recover(taken)
        log.warning("took over from silent workers", workers=taken, jobs=count)
        return count

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_S):
            try:
                self.beat()
                self.sweep()
            except Exception as error:
                # The database may be away for a while; the next beat tries again.
                log.warning("no heartbeat", reason=str(error)[:200])
