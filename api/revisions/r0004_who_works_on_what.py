"""Which worker works on a row; what tells a worker from another of its name."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """To this revision; workers that run while it is made join again when they are started with this release."""
    for table in ("surrogate_meshes", "surrogate_predictions"):
        with op.batch_alter_table(table) as changed:
            changed.add_column(sa.Column("worker", sa.String(100), nullable=True))
    op.execute("delete from surrogate_workers")
    with op.batch_alter_table("surrogate_workers") as changed:
        changed.add_column(sa.Column("place", sa.String(32), nullable=False))
        changed.add_column(sa.Column("instance", sa.String(32), nullable=False))
        changed.add_column(sa.Column("beats", sa.Integer(), nullable=False))
