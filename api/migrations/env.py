"""Run by alembic: migrates the tables over the connection that `api.database` opened."""

from alembic import context

from api.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    # SQLite cannot alter a column: the table is copied.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
