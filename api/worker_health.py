"""`python -m api.worker_health`: whether the worker of this container works, for its health check.

A worker says every two seconds in the database that it lives; this looks there, so that a process which hangs, or has
lost the database, is found out too.
"""

import sys
from datetime import timedelta

from sqlalchemy import Engine, create_engine, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.settings import Settings
from api.tables import WorkerRow, now

# Longer than others wait before they take its jobs over: a health check is no race.
SILENT_S = 30.0


def trouble(engine: Engine, worker_id: str) -> str | None:
    """What is wrong with a worker, or with those that a service of that name keeps alive; None where nothing is."""
    own = or_(WorkerRow.id == worker_id, WorkerRow.id.startswith(f"{worker_id}-", autoescape=True))
    query = select(WorkerRow.beat_at).where(own).order_by(WorkerRow.beat_at.desc()).limit(1)
    try:
        with Session(engine) as session:
            beat = session.scalar(query)
    except SQLAlchemyError as error:
        return f"the database does not answer: {type(error).__name__}"
    if beat is None:
        return f"worker {worker_id} was never heard of"
    silence = now() - beat
    return None if silence < timedelta(seconds=SILENT_S) else f"worker {worker_id} is silent for {silence}"


def main() -> int:
    """0 where it is well, 1 where it is not; says why."""
    settings = Settings()
    found = trouble(create_engine(settings.metadata_url), settings.worker_id)
    print(found or "well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
