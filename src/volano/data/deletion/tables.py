"""The table of deleted records: what snapshots still name, and whose bytes are still to go."""

import sqlalchemy as sa

from volano.core.db import Instant, Uuid16, metadata

_WAITS = sa.text("erased_at IS NULL")

deleted_records = sa.Table(
    "deleted_records",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", Uuid16, primary_key=True),
    sa.Column("segment", sa.String(64), primary_key=True),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("erased_at", Instant),  # when the segment was written again without it
    sa.Index(
        "deleted_records_waiting",
        "workspace",
        "segment",
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    ),
)
