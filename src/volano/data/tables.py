"""The tables of the shelf: datasets, records, how many there are of what, and snapshots."""

import sqlalchemy as sa

from volano.core.blobs import blob_column
from volano.core.db import Instant, JsonValue, Uuid16, metadata

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("fields", JsonValue, nullable=False),  # [name, kind] of each: an object has no order
    sa.Column("licence", sa.String(200), nullable=False),
    sa.Column("source", sa.String(2000), nullable=False),
    sa.Column("description", sa.String(2000), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("archived_at", Instant),
)

_GIVEN = sa.text("sha256 IS NOT NULL")

# Each filter of a listing has an index that gives its records in the order of their ids, or, for a
# range, that of its values: store.py chooses among them.
records = sa.Table(
    "records",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", Uuid16, primary_key=True),
    sa.Column("content", sa.LargeBinary(32), nullable=False),
    sa.Column("dataset", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("split", sa.String(32), nullable=False),  # as given; empty: none
    sa.Column("group", sa.String(200), nullable=False),
    sa.Column("synthetic", sa.Boolean, nullable=False),
    sa.Column("contributor", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(100), nullable=False),
    sa.Column("device", sa.String(16), nullable=False),
    sa.Column("quality", sa.Float),
    sa.Column("flags", sa.String(200), nullable=False),
    sa.Column("facts", JsonValue, nullable=False),
    sa.Column("fields", JsonValue),  # where each field stands in the payload, if there are several
    sa.Column("bytes", sa.BigInteger, nullable=False),  # of the payload
    sa.Column("sha256", sa.LargeBinary(32)),  # of the bytes as they were sent
    sa.Column("captured_at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("segment", sa.String(64), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    *blob_column("blob", nullable=True),  # the payload, where that is too large for a segment
    sa.Index("records_dataset", "workspace", "dataset", "id"),
    sa.Index("records_sha256", "workspace", "sha256", sqlite_where=_GIVEN, postgresql_where=_GIVEN),
    sa.Index("records_label", "workspace", "label", "id"),
    sa.Index("records_contributor", "workspace", "contributor", "id"),
    sa.Index("records_origin", "workspace", "origin", "id"),
    sa.Index("records_quality", "workspace", "quality"),
    sa.Index("records_received", "workspace", "received_at"),
)

# Counters, kept in the transaction that puts records on the shelf; `doctor` counts them again.
record_groups = sa.Table(
    "record_groups",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("label", sa.String(200), primary_key=True),
    sa.Column("dataset", sa.String(100), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("split", sa.String(32), primary_key=True),
    sa.Column("synthetic", sa.Boolean, primary_key=True),
    sa.Column("origin", sa.String(100), primary_key=True),
    sa.Column("flags", sa.String(200), primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Index("record_groups_dataset", "workspace", "dataset", "label"),
)

record_datasets = sa.Table(
    "record_datasets",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("dataset", sa.String(100), primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
)

# PostgreSQL sorts text by the rules of a language otherwise, by which no range is all names that
# begin alike.
_BY_BYTES = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")

record_contributors = sa.Table(
    "record_contributors",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("contributor", _BY_BYTES, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
)

record_buckets = sa.Table(
    "record_buckets",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("field", sa.String(16), primary_key=True),  # quality, received
    sa.Column("bucket", sa.BigInteger, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("filter", JsonValue, nullable=False),
    sa.Column("split", JsonValue, nullable=False),
    sa.Column("labels", JsonValue, nullable=False),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("by_split", JsonValue, nullable=False),
    sa.Column("missing", JsonValue, nullable=False, server_default="{}"),
    sa.Column("overlap", JsonValue, nullable=False, server_default="{}"),
    sa.Column("contributors", sa.Integer, nullable=False),
    *blob_column("manifest"),
    sa.Column("manifest_size", sa.BigInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
)
