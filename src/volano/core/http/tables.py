"""The table of requests that were answered."""

import sqlalchemy as sa

from volano.core.db import Instant, JsonValue, metadata

LONGEST_KEY = 200

keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("member", sa.String(80), primary_key=True),
    sa.Column("key", sa.String(LONGEST_KEY), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("media_type", sa.String(200), nullable=False),
    sa.Column("headers", JsonValue, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Instant, nullable=False, index=True),
)
