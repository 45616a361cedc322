"""The tables of hot appends."""

import sqlalchemy as sa

from volano.core.blobs import blob_column
from volano.core.db import Uuid16, metadata

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(32), primary_key=True),
    sa.Column("key", Uuid16, primary_key=True),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("content", sa.LargeBinary(32), nullable=False),
    sa.Column("head", sa.LargeBinary, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.Column("batch", sa.BigInteger, nullable=False),  # which commit brought it: random
    sa.Column("reason", sa.String(500)),  # why it is in quarantine; null: it waits for a segment
    *blob_column("blob", nullable=True),  # holds the payload where that is too large for a row
    sa.Index(
        "inbox_oldest",
        "stream",
        "workspace",
        "received_ms",
        sqlite_where=sa.text("reason IS NULL"),
        postgresql_where=sa.text("reason IS NULL"),
    ),
)
segments = sa.Table(
    "segments",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(32), nullable=False),
    *blob_column("blob"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("unpacked_size", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("first_key", Uuid16, nullable=False),
    sa.Column("last_key", Uuid16, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index("segments_keys", "workspace", "stream", "first_key"),
)
merges = sa.Table(  # where the rows of a merged segment are now: other tables keep its id
    "segment_merges",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("segment", sa.String(64), nullable=False),
    sa.Column("first_row", sa.Integer, nullable=False),
    sa.Index("segment_merges_segment", "workspace", "segment"),
)
