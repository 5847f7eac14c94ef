"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _row_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False, index=True),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
    ]


def upgrade() -> None:
    """To this revision."""
    op.create_table("surrogate_schema", sa.Column("version", sa.Integer(), primary_key=True))
    op.create_table(
        "surrogate_meshes",
        *_row_columns(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("suffix", sa.String(16), nullable=False),
        sa.Column("length_unit", sa.String(16), nullable=True),
        sa.Column("element_size_m", sa.Float(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=True),
    )
    op.create_table(
        "surrogate_predictions",
        *_row_columns(),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("mesh_id", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("fidelity", sa.String(16), nullable=False),
        sa.Column("verifies", sa.String(64), nullable=True, index=True),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("stage", sa.String(64), nullable=True),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("idempotency_key", name="one_use_a_key"),
    )
