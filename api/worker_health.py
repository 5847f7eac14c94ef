"""`python -m api.worker_health`: whether the worker of this container works, for its health check.

What keeps a worker alive says in the database that it lives; this looks there, so that one which has lost the database
is found out too.
"""

import sys

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.away import AwayError
from api.database import open_engine
from api.roll import Roll
from api.settings import Settings

# Of the time after which others take its jobs over: a health check is no race.
_LONGER = 2


def trouble(engine: Engine, worker_id: str, silence_s: float) -> str | None:
    """What is wrong with a worker, or with those that a service of that name keeps alive; None where nothing is.

    Args:
        engine: of the service's own tables.
        worker_id: the name.
        silence_s: who is not heard of for so long is in trouble, s.
    """
    try:
        silent_s = Roll(engine).silence_of(worker_id)
    except (SQLAlchemyError, AwayError) as error:
        return f"the database does not answer: {type(error).__name__}"
    if silent_s is None:
        return f"worker {worker_id} was never heard of"
    return None if silent_s < silence_s else f"worker {worker_id} is silent for {silent_s:.0f} s"


def main() -> int:
    """0 where it is well, 1 where it is not; says why."""
    settings = Settings()
    found = trouble(open_engine(settings.metadata_url), settings.worker_id, _LONGER * settings.worker_silence_s)
    print(found or "well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
