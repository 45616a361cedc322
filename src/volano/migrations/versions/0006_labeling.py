"""The tables of labeling."""

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('gifts',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('contributor', sa.String(length=64), nullable=False),
    sa.Column('shape', sa.String(length=100), nullable=False),
    sa.Column('drawings', sa.Integer(), nullable=False),
    sa.Column('first_at', sa.BigInteger(), nullable=False),
    sa.Column('last_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'contributor', 'shape', name=op.f('pk_gifts'))
    )
    op.create_table('shapes',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('description', sa.String(length=500), nullable=False),
    sa.Column('difficulty', sa.String(length=16), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('drawings', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'name', name=op.f('pk_shapes'))
    )


def downgrade() -> None:
    op.drop_table('shapes')
    op.drop_table('gifts')
