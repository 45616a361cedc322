"""The history of an endpoint is a stack: each change of its traffic knows what lies below it."""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('rollouts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('returns_to', sa.Integer(), nullable=True))
    rollouts = sa.table(
        'rollouts',
        *(sa.column(name) for name in (
            'workspace', 'endpoint', 'sequence', 'version', 'reason', 'returns_to'
        )),
    )
    columns = rollouts.c
    below: dict[tuple[str, str], dict[int, tuple[str, int | None]]] = {}
    rows = op.get_bind().execute(
        sa.select(columns.workspace, columns.endpoint, columns.sequence, columns.version,
                  columns.reason).order_by(columns.sequence)
    ).all()
    for row in rows:
        known = below.setdefault((row.workspace, row.endpoint), {})
        returns_to = row.sequence - 1 or None
        if row.reason.startswith('rolled back from '):
            # Down to where the version stood that answers again: what lies below it, lies below.
            while returns_to is not None:
                version, returns_to = known[returns_to]
                if version == row.version:
                    break
        known[row.sequence] = (row.version, returns_to)
        op.get_bind().execute(
            sa.update(rollouts)
            .where(columns.workspace == row.workspace, columns.endpoint == row.endpoint,
                   columns.sequence == row.sequence)
            .values(returns_to=returns_to)
        )


def downgrade() -> None:
    with op.batch_alter_table('rollouts', schema=None) as batch_op:
        batch_op.drop_column('returns_to')
