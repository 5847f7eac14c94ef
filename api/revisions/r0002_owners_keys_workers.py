"""Owners and revisions of rows, API keys, workers."""

import sqlalchemy as sa
from alembic import op

from api.tables import LOCAL_OWNER

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """To this revision; what is there belongs to the open service."""
    for table in ("surrogate_meshes", "surrogate_predictions"):
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column("owner", sa.String(32), nullable=False, server_default=LOCAL_OWNER))
            changed.add_column(sa.Column("request_id", sa.String(64), nullable=True))
            changed.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
        op.create_index(f"ix_{table}_owner", table, ["owner"])
    with op.batch_alter_table("surrogate_meshes") as changed:
        changed.add_column(sa.Column("upload_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    _one_prediction_a_key()
    op.create_table(
        "surrogate_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
    )
    op.create_table(
        "surrogate_workers",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("beat_at", sa.DateTime(), nullable=False, index=True),
        sa.Column("facts", sa.JSON(), nullable=True),
    )


def _one_prediction_a_key() -> None:
    """An idempotency key is one's own: it was unique over all owners before."""
    table = "surrogate_predictions"
    unique = sa.inspect(op.get_bind()).get_unique_constraints(table)
    names = [entry["name"] for entry in unique if entry["column_names"] == ["idempotency_key"]]
    convention = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
    with op.batch_alter_table(table, naming_convention=convention) as changed:
        # SQLite keeps no name of a constraint that was made without one.
        for name in names:
            changed.drop_constraint(name or f"uq_{table}_idempotency_key", type_="unique")
        changed.create_unique_constraint("one_prediction_a_key", ["owner", "idempotency_key"])
