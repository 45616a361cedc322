"""Indexes for every filter of records, and counters of the records that are there."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "records", ["workspace", *columns], unique=False)
    op.create_table('record_groups',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('origin', sa.String(length=100), nullable=False),
    sa.Column('flags', sa.String(length=200), nullable=False),
    sa.Column('records', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'label', 'origin', 'flags', name=op.f('pk_record_groups'))
    )
    by_bytes = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
    op.create_table('record_contributors',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('contributor', by_bytes, nullable=False),
    sa.Column('records', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'contributor', name=op.f('pk_record_contributors'))
    )
    op.create_table('record_buckets',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('field', sa.String(length=16), nullable=False),
    sa.Column('bucket', sa.BigInteger(), nullable=False),
    sa.Column('records', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'field', 'bucket', name=op.f('pk_record_buckets'))
    )
    # PostgreSQL rounds to a whole number where SQLite cuts.
    bucket = "quality * 1000.0"
    if op.get_bind().dialect.name == "postgresql":
        bucket = f"floor({bucket})"
    for table, keys in {
        "record_groups": "label, origin, flags",
        "record_contributors": "contributor",
    }.items():
        op.execute(
            f"INSERT INTO {table} (workspace, {keys}, records)"
            f" SELECT workspace, {keys}, count(*) FROM records GROUP BY workspace, {keys}"
        )
    for field, value, given in (
        ("received", "received_at / 60000", ""),
        ("quality", f"CAST({bucket} AS BIGINT)", " WHERE quality IS NOT NULL"),
    ):
        op.execute(
            "INSERT INTO record_buckets (workspace, field, bucket, records)"
            f" SELECT workspace, '{field}', {value}, count(*) FROM records{given}"
            f" GROUP BY workspace, {value}"
        )


def downgrade() -> None:
    for table in ("record_buckets", "record_contributors", "record_groups"):
        op.drop_table(table)
    for name in INDEXES:
        op.drop_index(name, "records")


INDEXES = {
    "records_origin": ["origin", "id"],
    "records_quality": ["quality"],
    "records_received": ["received_at"],
}
