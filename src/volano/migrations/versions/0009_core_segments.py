"""The tables of core segments."""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('retired_blobs',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('blob', sa.String(length=80), nullable=False),
    sa.Column('retired_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'blob', name=op.f('pk_retired_blobs'))
    )
    op.create_table('segment_merges',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('segment', sa.String(length=64), nullable=False),
    sa.Column('first_row', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'id', name=op.f('pk_segment_merges'))
    )
    with op.batch_alter_table('segment_merges', schema=None) as batch_op:
        batch_op.create_index('segment_merges_segment', ['workspace', 'segment'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('segment_merges', schema=None) as batch_op:
        batch_op.drop_index('segment_merges_segment')

    op.drop_table('segment_merges')
    op.drop_table('retired_blobs')
