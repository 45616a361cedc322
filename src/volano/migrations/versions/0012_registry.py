"""What a run warns of, also kept with its version, and what it has printed lately."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('warnings', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), server_default='[]', nullable=False))
        batch_op.add_column(sa.Column('output', sa.LargeBinary(), nullable=True))

    with op.batch_alter_table('versions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('warnings', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), server_default='[]', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('versions', schema=None) as batch_op:
        batch_op.drop_column('warnings')

    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.drop_column('output')
        batch_op.drop_column('warnings')
