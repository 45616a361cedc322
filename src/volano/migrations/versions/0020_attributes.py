"""What is stated of records after they came."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table('attributes',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('record', sa.LargeBinary(16), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('value', json, nullable=True),
    sa.Column('by', sa.String(length=64), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'record', 'sequence', name=op.f('pk_attributes'))
    )


def downgrade() -> None:
    op.drop_table('attributes')
