"""What one process keeps for the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volano.core.segments.inbox import Inbox
from volano.core.segments.parquet import Segments
from volano.data import tables

if TYPE_CHECKING:
    from volano.core.db import Database
    from volano.core.settings import Settings

STREAM = "records"
COMPACT = "records.compact"


@dataclass(frozen=True, slots=True)
class State:
    """The inbox of records, and what reads the segments that they move into."""

    inbox: Inbox
    """Takes records in: each is there once however often it is sent."""
    segments: Segments
    """Reads what has left the inbox."""


def open_state(db: Database, segments: Segments, settings: Settings) -> State:
    """Return the state of a process that has taken nothing in yet."""
    group, queue = settings.inbox_group, settings.inbox_queue
    return State(Inbox(db, STREAM, tables.records, group=group, queue=queue), segments)
