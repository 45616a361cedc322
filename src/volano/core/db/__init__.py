"""The database: SQLite or PostgreSQL behind transactions that carry their workspace."""

from volano.core.db.database import Database
from volano.core.db.schema import metadata
from volano.core.db.tx import (
    EVERYWHERE,
    Everywhere,
    Tx,
    TxAborted,
    Unscoped,
    WorkspaceMismatch,
)
from volano.core.db.types import Instant, JsonValue, Uuid16, now_ms

__all__ = [
    "EVERYWHERE",
    "Database",
    "Everywhere",
    "Instant",
    "JsonValue",
    "Tx",
    "TxAborted",
    "Unscoped",
    "Uuid16",
    "WorkspaceMismatch",
    "metadata",
    "now_ms",
]
