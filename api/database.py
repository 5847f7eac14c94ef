"""Opens the database of the service's own tables and brings them to this release's form."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from surrogate import InfrastructureError

_HERE = Path(__file__).parent
_FIRST_REVISION = "0001"


def open_database(url: str) -> Engine:
    """The engine, its tables made or migrated.

    Raises:
        InfrastructureError: the database does not answer, or its tables are of a newer release.
    """
    engine = create_engine(url, pool_pre_ping=True)
    if make_url(url).get_backend_name() == "sqlite":

        @event.listens_for(engine, "connect")
        def on_connect(connection: object, _record: object) -> None:
            # Readers do not block the writer, and a kill loses nothing that was committed.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
                connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    try:
        _migrate(engine)
    except OperationalError as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise InfrastructureError(
            f"the database {shown} cannot be used: {error.orig}; is it running, and is SURROGATE_DATABASE_URL right?"
        ) from error
    except CommandError as error:
        raise InfrastructureError(
            f"the tables of the database are of a newer release ({error}); start that release, or point "
            "SURROGATE_DATABASE_URL at another database"
        ) from error
    return engine


def newest_revision() -> str:
    """The form of the tables that this release works with."""
    found = ScriptDirectory.from_config(_configuration()).get_current_head()
    assert found is not None
    return found


def _migrate(engine: Engine) -> None:
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
