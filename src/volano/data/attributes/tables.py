"""The table of what is stated of records."""

import sqlalchemy as sa

from volano.core.db import Instant, JsonValue, Uuid16, metadata

attributes = sa.Table(
    "attributes",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("record", Uuid16, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("value", JsonValue),  # null: JSON's
    sa.Column("by", sa.String(64), nullable=False),  # empty: it came with the record
    sa.Column("at", Instant, nullable=False),
)
