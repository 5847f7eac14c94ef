"""Rotation, expiry and quotas of API keys; what a prediction's files take."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """To this revision; what older predictions take counts as nothing."""
    with op.batch_alter_table("surrogate_keys") as changed:
        changed.add_column(sa.Column("previous_hash", sa.String(64), nullable=True))
        changed.add_column(sa.Column("previous_until", sa.DateTime(), nullable=True))
        changed.add_column(sa.Column("unfinished_jobs", sa.Integer(), nullable=True))
        changed.add_column(sa.Column("expires_at", sa.DateTime(), nullable=True))
    with op.batch_alter_table("surrogate_predictions") as changed:
        changed.add_column(sa.Column("result_bytes", sa.BigInteger(), nullable=False, server_default="0"))
