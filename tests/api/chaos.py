"""Kills the service and its workers at random while it works, then looks whether anything was lost, doubled or torn.

python -m tests.api.chaos --database postgres --jobs 500 --kills 20 --workers 3 --seed 1
"""

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from api.database import open_engine
from api.tables import MeshRow, PredictionRow
from tests.api.chaos_checks import violations
from tests.api.chaos_storm import Storm
from tests.api.postgres_server import PostgresServer
from tests.api.service_process import Server


@dataclass(frozen=True)
class Outcome:
    """What a storm left: `found` is empty where nothing was lost."""

    database: str
    jobs: int
    workers: int
    seed: int
    seconds: float
    kills: dict[str, int]
    kills_that_hit: int
    attempts: dict[int, int]
    exit_code: int
    found: list[str]


def run(
    directory: Path,
    *,
    database: str,
    jobs: int,
    kills: int,
    workers: int,
    seed: int,
    surrogates: float = 0.0,
    postgres: PostgresServer | None = None,
) -> Outcome:
    """One storm on a service of its own.

    Args:
        directory: where the service lives.
        database: sqlite or postgres.
        jobs: uploads and predictions.
        kills: of workers, of the HTTP process, and of both.
        workers: processes; SQLite takes one.
        seed: of what is killed and when.
        surrogates: share of the predictions that the model answers.
        postgres: a server that runs; None where SQLite is used.
    """
    data = directory / "data"
    settings = {
        "workers": str(workers),
        "worker_id": "storm",
        # What guards against users who ask too much is not what is tested.
        **dict.fromkeys(("requests_per_minute", "anonymous_requests_per_minute", "unfinished_jobs"), "0"),
        "max_unfinished": str(10 * jobs),
        "worker_nice": "0",
        "mesh_wait_s": "0",
        "drain_s": "30",
        "job_poll_s": "0.1",
    }
    url = f"sqlite:///{data / 'service.sqlite'}" if postgres is None else postgres.new_database()
    if postgres is not None:
        settings["database_url"] = url
    server = Server(directory, **settings)
    server.start()
    engine = open_engine(url)
    storm = Storm(server, engine, seed, surrogates)
    jobs_url = url if postgres else f"sqlite:///{data / 'jobs.sqlite'}"
    started = time.monotonic()
    try:
        storm.rage(jobs, kills)
        seconds = time.monotonic() - started
        code = server.end(patience_s=90)
        found = storm.faults + violations(data, engine, jobs_url, storm.uploads, storm.predictions)
        if code != 0:
            found.append(f"the service ended with {code}")
        return Outcome(
            database,
            jobs,
            workers,
            seed,
            round(seconds, 1),
            dict(storm.kills),
            storm.hit,
            _attempts(engine),
            code,
            found,
        )
    finally:
        storm.stop()
        server.kill()
        engine.dispose()


def _attempts(engine: Engine) -> dict[int, int]:
    """How many rows took how many attempts."""
    with Session(engine.execution_options(reads=True)) as session:
        rows = [session.scalars(select(table.attempts)).all() for table in (MeshRow, PredictionRow)]
    return dict(sorted(Counter(itertools.chain(*rows)).items()))


@contextmanager
def _server_of(database: str) -> Iterator[PostgresServer | None]:
    if database == "sqlite":
        yield None
        return
    running = PostgresServer()
    running.start()
    try:
        yield running
    finally:
        running.remove()


def main() -> int:
    """0 where nothing was lost, doubled or torn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--surrogates", type=float, default=0.0, help="share of the predictions that the model answers")
    parser.add_argument("--keep", action="store_true", help="leave the service's directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="surrogate-chaos-"))
    with _server_of(given.database) as postgres:
        outcome = run(
            directory,
            database=given.database,
            jobs=given.jobs,
            kills=given.kills,
            workers=given.workers,
            seed=given.seed,
            surrogates=given.surrogates,
            postgres=postgres,
        )
    print(json.dumps(asdict(outcome), indent=1))
    if given.keep or outcome.found:
        print(f"left in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    return 1 if outcome.found else 0


if __name__ == "__main__":
    sys.exit(main())
