"""The trace that a job belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """To this revision."""
    for table in ("surrogate_meshes", "surrogate_predictions"):
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column("traceparent", sa.String(55), nullable=True))
