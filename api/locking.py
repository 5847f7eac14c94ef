"""SQLite serves one service and one worker: each holds a file of the data directory."""

import fcntl
from typing import IO, Literal

from api.settings import Settings
from surrogate import InfrastructureError


def hold(settings: Settings, role: Literal["service", "worker"]) -> IO[str] | None:
    """The held file, released when it is closed or the process dies; None where the databases serve many.

    Raises:
        InfrastructureError: another process holds it, or there can be no data directory.
    """
    directory = settings.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stream = (directory / f"{role}.lock").open("a")
    except OSError as error:
        raise InfrastructureError(
            f"cannot write to the data directory {directory}: {error.strerror}; set SURROGATE_DATA_DIRECTORY"
        ) from error
    if not settings.single_process:
        stream.close()
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise InfrastructureError(
            f"another {role} uses the data directory {directory}; SQLite serves one: stop it, choose another "
            "SURROGATE_DATA_DIRECTORY, or set SURROGATE_DATABASE_URL to a Postgres database"
        ) from error
    return stream
