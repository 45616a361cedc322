"""The blobs that rows refer to; every column that names one is a foreign key to this table."""

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from volano.core.db import Instant, metadata

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("unreferenced_at", Instant),  # when a sweep first found that no row names it
)


def blob_column(name: str, *, nullable: bool = False) -> tuple[SchemaItem, ...]:
    """Return a column of a table that names a blob, with the constraint that keeps the blob.

    The database refuses a row whose blob is not in `blobs`, and the removal of a blob that a row
    names: so what a stage stores is safe without a word to anybody who sweeps. The index is for
    that second look; rows that name none cost it nothing.
    """
    given = sa.text(f"{name} IS NOT NULL") if nullable else None
    return (
        sa.Column(name, sa.String(80), nullable=nullable),
        sa.ForeignKeyConstraint(["workspace", name], ["blobs.workspace", "blobs.id"]),
        sa.Index(None, "workspace", name, sqlite_where=given, postgresql_where=given),
    )


def referring_columns() -> list[sa.Column[str]]:
    """Return every column, of any table that this process knows, that names a blob."""
    return [
        table.c[constraint.column_keys[1]]
        for table in metadata.sorted_tables
        for constraint in table.foreign_key_constraints
        if constraint.referred_table is blobs
    ]
