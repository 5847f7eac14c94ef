"""Whose turn it is in a queue."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """To this revision."""
    for table in ("surrogate_meshes", "surrogate_predictions"):
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column("turn", sa.Integer(), nullable=False, server_default="1"))
