"""Blobs in a table of their own, to which every column that names one is a foreign key.

The files of a version leave their JSON for rows; merged segments' blobs, until now kept by a list,
are marked as unreferenced since their merge.
"""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NAMED = (("segments", "blob"), ("snapshots", "manifest"), ("runs", "log"))

_NEW_BLOB = sa.text(
    "INSERT INTO blobs (workspace, id) VALUES (:workspace, :blob) ON CONFLICT DO NOTHING"
)
_FILES = ("workspace", "version", "name", "blob", "bytes")


def upgrade() -> None:
    op.create_table('blobs',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('id', sa.String(length=80), nullable=False),
    sa.Column('unreferenced_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('workspace', 'id', name=op.f('pk_blobs'))
    )
    op.create_table('version_files',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('version', sa.String(length=64), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('blob', sa.String(length=80), nullable=False),
    sa.Column('bytes', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['workspace', 'blob'], ['blobs.workspace', 'blobs.id'], name=op.f('fk_version_files_workspace_blob_blobs')),
    sa.PrimaryKeyConstraint('workspace', 'version', 'name', name=op.f('pk_version_files'))
    )
    with op.batch_alter_table('version_files', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_version_files_workspace_blob'), ['workspace', 'blob'], unique=False)

    _fill()
    for table, column in _NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.create_index(batch_op.f(f'ix_{table}_workspace_{column}'), ['workspace', column], unique=False)
            batch_op.create_foreign_key(batch_op.f(f'fk_{table}_workspace_{column}_blobs'), 'blobs', ['workspace', column], ['workspace', 'id'])
    with op.batch_alter_table('versions', schema=None) as batch_op:
        batch_op.drop_column('files')
    op.drop_table('retired_blobs')


def _fill() -> None:
    """Add every blob that a row names, and the files of every version."""
    connection = op.get_bind()
    files = [
        {"workspace": row.workspace, "version": row.id} | file
        for row in connection.execute(sa.text("SELECT workspace, id, files FROM versions")).all()
        for file in (json.loads(row.files) if isinstance(row.files, str) else row.files)
    ]
    for file in files:
        connection.execute(_NEW_BLOB, file)
    if files:
        connection.execute(sa.insert(sa.table("version_files", *map(sa.column, _FILES))), files)
    for table, column in _NAMED:
        connection.execute(
            sa.text(
                f"INSERT INTO blobs (workspace, id) SELECT DISTINCT workspace, {column}"
                f" FROM {table} WHERE {column} IS NOT NULL ON CONFLICT DO NOTHING"
            )
        )
    connection.execute(
        sa.text(
            "INSERT INTO blobs (workspace, id, unreferenced_at)"
            " SELECT workspace, blob, retired_at FROM retired_blobs WHERE true"
            " ON CONFLICT DO NOTHING"
        )
    )


def downgrade() -> None:
    op.create_table('retired_blobs',
    sa.Column('workspace', sa.String(length=64), nullable=False),
    sa.Column('blob', sa.String(length=80), nullable=False),
    sa.Column('retired_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('workspace', 'blob', name=op.f('pk_retired_blobs'))
    )
    with op.batch_alter_table('versions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('files', sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False, server_default='[]'))
    _take_back()
    with op.batch_alter_table('versions', schema=None) as batch_op:
        batch_op.alter_column('files', server_default=None)
    for table, column in _NAMED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(f'fk_{table}_workspace_{column}_blobs'), type_='foreignkey')
            batch_op.drop_index(batch_op.f(f'ix_{table}_workspace_{column}'))
    op.drop_table('version_files')
    op.drop_table('blobs')


def _take_back() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO retired_blobs (workspace, blob, retired_at)"
            " SELECT workspace, id, unreferenced_at FROM blobs WHERE unreferenced_at IS NOT NULL"
        )
    )
    kept = sa.table(
        "versions",
        sa.column("workspace"),
        sa.column("id"),
        sa.column("files", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),
    )
    of = "SELECT name, blob, bytes FROM version_files WHERE workspace = :workspace AND version = :id"
    for row in connection.execute(sa.select(kept.c.workspace, kept.c.id)).all():
        mine = (kept.c.workspace == row.workspace) & (kept.c.id == row.id)
        files = [dict(file._mapping) for file in connection.execute(sa.text(of), dict(row._mapping))]
        connection.execute(sa.update(kept).where(mine).values(files=files))
