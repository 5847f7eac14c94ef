"""Opens the databases, brings the service's own tables to this release's form, and tells when a database is away.

What a database says of itself (gone, restarting, too busy, disk full) becomes an `AwayError`, so that a request is
answered 503 and a job waits. Nothing waits for a database that hangs for longer than some seconds.
"""

import time
from pathlib import Path
from sqlite3 import OperationalError as SqliteError

import psycopg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import ExceptionContext, make_url

from api.away import AwayError, DatabaseAwayError, storage_full
from api.postgres_connection import BoundedConnection, postgres_arguments
from surrogate import InfrastructureError

_HERE = Path(__file__).parent
_FIRST_REVISION = "0001"
# Connections of one process; what asks for another one waits a little.
_CONNECTIONS, _MORE_CONNECTIONS, _FREE_WITHIN_S = 8, 16, 5.0
_PAUSE_S = 1.0
# Of Postgres: connection trouble, no resources, an operator stops or restarts it, a statement took too long, deadlock.
_AWAY_STATES = ("08", "53", "57", "55P03", "40001", "40P01")
_DISK_FULL_STATE = "53100"

log = structlog.get_logger()


def open_database(url: str, *, patience_s: float = 0.0) -> Engine:
    """The engine, its tables made or migrated.

    Args:
        url: of the database.
        patience_s: how long a database that is away is waited for, s: a machine starts its services in any order.

    Raises:
        InfrastructureError: the database does not answer, or its tables are of a newer release.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            _migrate(url)
            return open_engine(url)
        except AwayError as error:
            shown = make_url(url).render_as_string(hide_password=True)
            if time.monotonic() >= deadline:
                raise InfrastructureError(
                    f"the database {shown} cannot be used: {_cause(error)}; is it running, and is "
                    "SURROGATE_DATABASE_URL right?"
                ) from error
            log.warning("waiting for the database", url=shown, reason=_cause(error))
            time.sleep(_PAUSE_S)


def open_engine(url: str) -> Engine:
    """An engine whose errors are ours, and which hangs for some seconds at most.

    With the execution option `reads`, transactions of SQLite leave the turn to write to others.
    """
    parsed = _with_driver(make_url(url))
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            pool_timeout=_FREE_WITHIN_S,
            connect_args=postgres_arguments(),
        )
        event.listen(engine, "do_connect", lambda _d, _r, args, named: BoundedConnection.connect(*args, **named))
    event.listen(engine, "handle_error", _tell)
    return engine


def newest_revision() -> str:
    """The form of the tables that this release works with."""
    found = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert found is not None
    return found


def _with_driver(url: URL) -> URL:
    """Postgres by the driver that is installed, however the operator wrote it."""
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def _prepare_sqlite(connection: object, _record: object) -> None:
    # Readers do not block the writer, and a kill loses nothing that was committed.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _leave_transactions_to_us(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that may write waits for its turn at once: one that read first would find that it cannot."""
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _tell(context: ExceptionContext) -> None:
    """Raises ours in place of what a driver says when its database is away."""
    error = context.original_exception
    if context.is_pre_ping:
        # A pooled connection that is gone is replaced by a new one, which nobody needs to know.
        return
    if isinstance(error, AwayError):
        raise error
    if isinstance(error, SqliteError):
        text = str(error)
        if "disk is full" in text:
            raise storage_full() from error
        if any(word in text for word in ("locked", "unable to open", "disk I/O")):
            raise DatabaseAwayError(f"the database cannot be used now ({text}); try again in a few seconds") from error
    elif isinstance(error, psycopg.Error):
        state = error.sqlstate or ""
        if state == _DISK_FULL_STATE:
            raise storage_full() from error
        # Without a state it is the connection: refused, closed, timed out.
        lost = context.is_disconnect or (isinstance(error, psycopg.OperationalError) and not state)
        if lost or state.startswith(_AWAY_STATES):
            raise DatabaseAwayError("the database does not answer; try again in a few seconds") from error


def _cause(error: BaseException) -> str:
    """What the driver said, on one line."""
    return " ".join(str(error.__cause__ or error).split())[:300]


def _migrate(url: str) -> None:
    """Brings the tables to this release's form.

    Raises:
        AwayError: the database is.
        InfrastructureError: the tables are of a newer release.
    """
    # A large table takes its time: no bounds here but for connecting.
    parsed = _with_driver(make_url(url))
    is_sqlite = parsed.get_backend_name() == "sqlite"
    engine = create_engine(parsed, connect_args={} if is_sqlite else postgres_arguments())
    event.listen(engine, "handle_error", _tell)
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        _upgrade(engine)
    except CommandError as error:
        raise InfrastructureError(
            f"the tables of the database are of a newer release ({error}); start that release, or point "
            "SURROGATE_DATABASE_URL at another database"
        ) from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    configuration = _configuration()
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Processes that start together migrate one after the other.
            connection.exec_driver_sql("select pg_advisory_lock(7263549)")
        configuration.attributes["connection"] = connection
        names = set(inspect(connection).get_table_names())
        if "surrogate_meshes" in names and "alembic_version" not in names:
            # Made by the first release, which kept no revision.
            command.stamp(configuration, _FIRST_REVISION)
        command.upgrade(configuration, "head")
        connection.commit()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("select pg_advisory_unlock(7263549)")
            connection.commit()


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(_HERE / "migrations"))
    configuration.set_main_option("version_locations", str(_HERE / "revisions"))
    configuration.set_main_option("path_separator", "os")
    return configuration
