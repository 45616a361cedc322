"""Deleted records: what snapshots still name, and whose bytes are still to go."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('deleted_records',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('id', sa.LargeBinary(16), nullable=False),
    sa.Column('segment', sa.String(length=64), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.Column('by', sa.String(length=64), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('erased_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace', 'id', 'segment', name=op.f('pk_deleted_records'))
    )
    waits = sa.text("erased_at IS NULL")
    op.create_index("deleted_records_waiting", "deleted_records", ["workspace", "segment"], sqlite_where=waits, postgresql_where=waits)


def downgrade() -> None:
    op.drop_table('deleted_records')
