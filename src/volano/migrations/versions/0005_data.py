"""The tables of data."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('records',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('id', sa.LargeBinary(16), nullable=False),
    sa.Column('content', sa.LargeBinary(length=32), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('contributor', sa.String(length=64), nullable=False),
    sa.Column('origin', sa.String(length=100), nullable=False),
    sa.Column('device', sa.String(length=16), nullable=False),
    sa.Column('quality', sa.Float(), nullable=True),
    sa.Column('flags', sa.String(length=200), nullable=False),
    sa.Column('strokes', sa.Integer(), nullable=False),
    sa.Column('points', sa.Integer(), nullable=False),
    sa.Column('duration_ms', sa.Float(), nullable=False),
    sa.Column('captured_at', sa.BigInteger(), nullable=False),
    sa.Column('received_at', sa.BigInteger(), nullable=False),
    sa.Column('segment', sa.String(length=64), nullable=False),
    sa.Column('row', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'id', name=op.f('pk_records'))
    )
    with op.batch_alter_table('records', schema=None) as batch_op:
        batch_op.create_index('records_contributor', ['workspace', 'contributor', 'id'], unique=False)
        batch_op.create_index('records_label', ['workspace', 'label', 'id'], unique=False)

    op.create_table('snapshots',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('filter', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    sa.Column('split', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    sa.Column('labels', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    sa.Column('records', sa.Integer(), nullable=False),
    sa.Column('by_split', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    sa.Column('contributors', sa.Integer(), nullable=False),
    sa.Column('manifest', sa.String(length=80), nullable=False),
    sa.Column('manifest_size', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('created_by', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'id', 'name', name=op.f('pk_snapshots'))
    )


def downgrade() -> None:
    op.drop_table('snapshots')
    with op.batch_alter_table('records', schema=None) as batch_op:
        batch_op.drop_index('records_label')
        batch_op.drop_index('records_contributor')

    op.drop_table('records')
