"""What one process keeps for the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from volano.core.compute import WorkerPool
from volano.core.segments.inbox import Inbox
from volano.core.segments.parquet import Segments
from volano.data import limited, tables

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
    limited: WorkerPool
    """Reads what comes from anybody with decoders written in C."""

    async def close(self) -> None:
        """Commit what is to be stored, and end the processes."""
        await self.inbox.close()
        await self.limited.close()


def open_state(db: Database, segments: Segments, settings: Settings) -> State:
    """Return the state of a process that has taken nothing in yet."""
    group, queue = settings.inbox_group, settings.inbox_queue
    inbox = Inbox(db, STREAM, tables.records, group=group, queue=queue)
    return State(inbox, segments, WorkerPool(limited.TARGET))
