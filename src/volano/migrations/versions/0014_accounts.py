"""The tables of accounts."""

import sqlalchemy as sa
from alembic import op


revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('server_secret',
    sa.Column('id', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('kid', sa.String(length=8), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_server_secret'))
    )


def downgrade() -> None:
    op.drop_table('server_secret')
