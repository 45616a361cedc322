"""Datasets, records of every kind, and payloads in blobs of their own.

What is there was drawn for the game: its records are those of the dataset `drawings`, and what they
had as columns becomes their facts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_NEW = ("dataset", "split", "group", "synthetic", "facts", "fields", "bytes", "sha256", "blob")
_OLD = ("strokes", "points", "duration_ms")


def upgrade() -> None:
    op.create_table('datasets',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('fields', _JSON, nullable=False),
    sa.Column('licence', sa.String(length=200), nullable=False),
    sa.Column('source', sa.String(length=2000), nullable=False),
    sa.Column('description', sa.String(length=2000), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('created_by', sa.String(length=64), nullable=False),
    sa.Column('archived_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace', 'name', name=op.f('pk_datasets'))
    )
    fields = """'[["drawing", "drawing"]]'"""
    if _is_postgresql():
        fields = f"CAST({fields} AS JSONB)"
    for source in ("shapes", "records"):
        op.execute(
            "INSERT INTO datasets (workspace, name, fields, licence, source, description,"
            " created_at, created_by)"
            f" SELECT DISTINCT workspace, 'drawings', {fields},"
            f" '', '', '', {_now()}, '' FROM {source} WHERE true ON CONFLICT DO NOTHING"
        )
    with op.batch_alter_table('records', schema=None) as batch_op:
        for column in (
            sa.Column('dataset', sa.String(length=100), nullable=False, server_default='drawings'),
            sa.Column('split', sa.String(length=32), nullable=False, server_default=''),
            sa.Column('group', sa.String(length=200), nullable=False, server_default=''),
            sa.Column('synthetic', sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column('facts', _JSON, nullable=False, server_default='{}'),
            sa.Column('fields', _JSON, nullable=True),
            sa.Column('bytes', sa.BigInteger(), nullable=False, server_default='0'),
            sa.Column('sha256', sa.LargeBinary(length=32), nullable=True),
            sa.Column('blob', sa.String(length=80), nullable=True),
        ):
            batch_op.add_column(column)
    facts = _json(*(text for name in _OLD for text in (name, name)))
    op.execute(f"UPDATE records SET facts = {facts}")
    with op.batch_alter_table('records', schema=None) as batch_op:
        batch_op.alter_column('label', existing_type=sa.String(100), type_=sa.String(200))
        for name in ("dataset", "split", "group", "synthetic", "facts", "bytes"):
            batch_op.alter_column(name, server_default=None)
        for name in _OLD:
            batch_op.drop_column(name)
        batch_op.create_foreign_key(batch_op.f('fk_records_workspace_blob_blobs'), 'blobs', ['workspace', 'blob'], ['workspace', 'id'])
    op.create_index("records_dataset", "records", ["workspace", "dataset", "id"])
    _index("records_sha256", "records", "sha256")
    _index("ix_records_workspace_blob", "records", "blob")
    with op.batch_alter_table('inbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('blob', sa.String(length=80), nullable=True))
        batch_op.create_foreign_key(batch_op.f('fk_inbox_workspace_blob_blobs'), 'blobs', ['workspace', 'blob'], ['workspace', 'id'])
    _index("ix_inbox_workspace_blob", "inbox", "blob")
    op.drop_index("ix_runs_workspace_log", "runs")
    _index("ix_runs_workspace_log", "runs", "log")
    with op.batch_alter_table('gifts', schema=None) as batch_op:
        batch_op.alter_column('shape', existing_type=sa.String(100), type_=sa.String(200))
    _count("record_groups", _GROUPS, "label, dataset, kind, split, synthetic, origin, flags")
    op.create_index("record_groups_dataset", "record_groups", ["workspace", "dataset", "label"])
    op.create_table('record_datasets',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('dataset', sa.String(length=100), nullable=False),
    sa.Column('records', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'dataset', name=op.f('pk_record_datasets'))
    )
    op.execute(
        "INSERT INTO record_datasets (workspace, dataset, records)"
        " SELECT workspace, dataset, count(*) FROM records GROUP BY workspace, dataset"
    )


def downgrade() -> None:
    op.drop_table('record_datasets')
    with op.batch_alter_table('gifts', schema=None) as batch_op:
        batch_op.alter_column('shape', existing_type=sa.String(200), type_=sa.String(100))
    op.drop_index("ix_runs_workspace_log", "runs")
    op.create_index("ix_runs_workspace_log", "runs", ["workspace", "log"])
    op.drop_index("ix_inbox_workspace_blob", "inbox")
    with op.batch_alter_table('inbox', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_inbox_workspace_blob_blobs'), type_='foreignkey')
        batch_op.drop_column('blob')
    for name in ("records_dataset", "records_sha256", "ix_records_workspace_blob"):
        op.drop_index(name, "records")
    with op.batch_alter_table('records', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_records_workspace_blob_blobs'), type_='foreignkey')
        batch_op.add_column(sa.Column('strokes', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('points', sa.Integer(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('duration_ms', sa.Float(), nullable=False, server_default='0'))
    # Records of other kinds go: the version that comes back cannot read them.
    op.execute("DELETE FROM records WHERE dataset <> 'drawings'")
    for name in _OLD:
        kind = "double precision" if name == "duration_ms" else "integer"
        fact = f"(facts->>'{name}')" if _is_postgresql() else f"json_extract(facts, '$.{name}')"
        op.execute(f"UPDATE records SET {name} = COALESCE(CAST({fact} AS {kind}), 0)")
    with op.batch_alter_table('records', schema=None) as batch_op:
        for name in _OLD:
            batch_op.alter_column(name, server_default=None)
        for name in _NEW:
            batch_op.drop_column(name)
        batch_op.alter_column('label', existing_type=sa.String(200), type_=sa.String(100))
    _count("record_groups", _GROUPS_BEFORE, "label, origin, flags")
    op.drop_table('datasets')


_GROUPS = {"label": 200, "dataset": 100, "kind": 16, "split": 32, "synthetic": 0, "origin": 100, "flags": 200}
_GROUPS_BEFORE = {"label": 100, "origin": 100, "flags": 200}


def _count(table: str, columns: dict[str, int], names: str) -> None:
    """Make the table of counters anew: its key has other columns."""
    op.drop_table(table)
    op.create_table(table,
    sa.Column('workspace', sa.String(length=64), nullable=False),
    *(sa.Column(name, sa.String(size) if size else sa.Boolean(), nullable=False) for name, size in columns.items()),
    sa.Column('records', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', *columns, name=op.f(f'pk_{table}'))
    )
    op.execute(
        f"INSERT INTO {table} (workspace, {names}, records)"
        f" SELECT workspace, {names}, count(*) FROM records GROUP BY workspace, {names}"
    )


def _index(name: str, table: str, column: str) -> None:
    """Index what few rows have."""
    given = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, table, ["workspace", column], sqlite_where=given, postgresql_where=given)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _json(*pairs: str) -> str:
    """Return an SQL expression for an object of names and SQL values, in turn."""
    make = "jsonb_build_object" if _is_postgresql() else "json_object"
    named = (f"'{name}', {value}" for name, value in zip(pairs[::2], pairs[1::2], strict=True))
    return f"{make}({', '.join(named)})"


def _now() -> str:
    if _is_postgresql():
        return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    return "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
