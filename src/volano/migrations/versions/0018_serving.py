"""What an endpoint logs, a number for every change of one, large inputs, feedback."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    changes = op.create_table('endpoint_changes',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_endpoint_changes'))
    )
    op.bulk_insert(changes, [{"id": 1, "number": 0}])
    op.create_table('feedback',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('prediction', sa.String(length=36), nullable=False),
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('truth', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
    sa.Column('by', sa.String(length=64), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'prediction', 'id', name=op.f('pk_feedback'))
    )
    op.create_table('prediction_inputs',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('prediction', sa.String(length=36), nullable=False),
    sa.Column('blob', sa.String(length=80), nullable=False),
    sa.ForeignKeyConstraint(['workspace', 'blob'], ['blobs.workspace', 'blobs.id'], name=op.f('fk_prediction_inputs_workspace_blob_blobs')),
    sa.PrimaryKeyConstraint('workspace', 'prediction', name=op.f('pk_prediction_inputs'))
    )
    with op.batch_alter_table('prediction_inputs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_prediction_inputs_workspace_blob'), ['workspace', 'blob'], unique=False)

    with op.batch_alter_table('endpoints', schema=None) as batch_op:
        batch_op.add_column(sa.Column('change', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('policy', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), server_default='{}', nullable=False))
        batch_op.create_index('endpoints_change', ['change'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('endpoints', schema=None) as batch_op:
        batch_op.drop_index('endpoints_change')
        batch_op.drop_column('policy')
        batch_op.drop_column('change')

    with op.batch_alter_table('prediction_inputs', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_prediction_inputs_workspace_blob'))

    op.drop_table('prediction_inputs')
    op.drop_table('feedback')
    op.drop_table('endpoint_changes')
