"""The inbox: rows acknowledged durably, many per commit, until they are moved into a segment.

A row is acknowledged once its group's commit has returned. Its key (the client's UUID) is unique
over the inbox and over what has left it, so a retry stores nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import Struct

from volano.core.blobs import references
from volano.core.db import Database, Tx
from volano.core.segments.tables import inbox, segments
from volano.schemas.common import Overloaded

_KEYS = 10_000
"""In one statement: both databases take some 32,000 parameters."""

_COLUMNS = (
    "stream",
    "key",
    "subject",
    "content",
    "head",
    "payload",
    "received_ms",
    "batch",
    "blob",
)


class Row(Struct, frozen=True, gc=False):
    """One row to append: small facts in `head`, the record itself in `payload`."""

    key: str
    content: bytes
    """Digest of what the key stands for: the same key with another content is refused."""
    head: bytes
    payload: bytes
    subject: str = ""
    """Whose row it is, so that counts include what has not left the inbox yet."""
    received_ms: int = 0
    batch: int = 0
    reason: str | None = None
    """Why it is in quarantine; None: it waits for a segment."""
    blob: str | None = None
    """The blob that holds the payload instead, put less than the grace of the sweep ago."""


class Counts(NamedTuple):
    """Rows of one stream: what waits for a segment, what is in quarantine, and all there are."""

    waiting: int
    quarantined: int
    total: int


class Stored(Struct, frozen=True, gc=False):
    """What became of one row: `duplicate` if it was there before, with this `content`."""

    duplicate: bool
    content: bytes


@dataclass(slots=True)
class _Waiting:
    rows: Sequence[Row]
    received_ms: int
    done: asyncio.Future[list[Stored]]


class Inbox:
    """The appending side of one stream in one process.

    While one group of a workspace commits, its next one gathers: the busier it is, the larger the
    groups and the fewer the commits. `group` and `queue` are rows.

    `shelf` is the table whose columns `id` and `content` tell of rows that have left the inbox;
    without one a key that has left may be used again.
    """

    def __init__(
        self,
        db: Database,
        stream: str,
        shelf: sa.Table | None,
        *,
        group: int = 256,
        queue: int = 20_000,
    ) -> None:
        self.db, self.stream, self.shelf = db, stream, shelf
        self.group, self.queue = group, queue
        self.rows_waiting = 0
        self._gathering: dict[str, list[_Waiting]] = {}
        """By workspace, what its next groups are made of; a workspace that drains has an entry."""
        self._drains: set[asyncio.Task[None]] = set()

    async def append(
        self, workspace: str, rows: Sequence[Row], *, now_ms: int | None = None
    ) -> list[Stored]:
        """Store the rows durably and say for each whether it was new; return after the commit.

        `now_ms` is when they were received: by this process's clock where it is not given.

        Raises: Overloaded (too many rows wait for a commit), DatabaseUnavailable, StorageFull.
        """
        if not rows:
            return []
        if self.rows_waiting + len(rows) > self.queue:
            raise Overloaded
        received_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        waiting = _Waiting(rows, received_ms, asyncio.get_running_loop().create_future())
        self.rows_waiting += len(rows)
        if workspace in self._gathering:
            self._gathering[workspace].append(waiting)
        else:
            self._gathering[workspace] = [waiting]
            # Its own task: a caller that gives up must not take its group's commit with it.
            drain = asyncio.create_task(self._drain(workspace), name=f"inbox {self.stream}")
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)
        return await waiting.done

    async def close(self) -> None:
        """Wait until everything that was accepted is committed."""
        while self._drains:
            await asyncio.wait(self._drains)

    async def _drain(self, workspace: str) -> None:
        """Commit one group after the other until no more gathers."""
        try:
            while gathered := self._gathering[workspace]:
                rows = taken = 0
                for waiting in gathered:
                    if taken and rows + len(waiting.rows) > self.group:
                        break
                    rows, taken = rows + len(waiting.rows), taken + 1
                self._gathering[workspace] = gathered[taken:]
                await self._commit(workspace, gathered[:taken])
        finally:
            for waiting in self._gathering.pop(workspace):
                self._leave(waiting)

    async def _commit(self, workspace: str, group: list[_Waiting]) -> None:
        """Store a group and tell every caller of it what became of their rows, or what failed."""
        try:
            # Gathered, so that whatever failed comes back as a value.
            (found,) = await asyncio.gather(self._store(workspace, group), return_exceptions=True)
            for number, waiting in enumerate(group):
                if waiting.done.done():  # it gave up waiting
                    continue
                if isinstance(found, BaseException):
                    waiting.done.set_exception(found)
                else:
                    waiting.done.set_result(found[number])
        finally:
            for waiting in group:
                self._leave(waiting)

    def _leave(self, waiting: _Waiting) -> None:
        self.rows_waiting -= len(waiting.rows)
        waiting.done.cancel()

    async def _store(self, workspace: str, group: Sequence[_Waiting]) -> list[list[Stored]]:
        """Store the rows of a group in one transaction; return what each of its callers is told.

        Insert first, then look at what has left: a row that is being moved meanwhile is seen.
        (Under READ COMMITTED the insert waits for the mover's delete, and the look-up after it
        sees what the mover committed.)
        """
        rows: dict[str, tuple[Row, int]] = {}
        for waiting in group:
            for row in waiting.rows:
                rows.setdefault(row.key, (row, waiting.received_ms))
        batch = int.from_bytes(os.urandom(7), "big")
        values = [
            (self.stream, key, row.subject, row.content, row.head, row.payload, ms, batch, row.blob)
            # Sorted, so that two processes with some of the same keys do not lock each other out.
            for key, (row, ms) in sorted(rows.items())
        ]
        old: dict[str, bytes] = {}
        blobs = {row.blob for row, _ in rows.values() if row.blob}
        async with self.db.begin(workspace) as tx:
            if blobs:
                await references.add(tx, *blobs)
            if await tx.append(inbox, _COLUMNS, values) < len(values):
                there = await find(tx, self.stream, rows)
                old = {key: row.content for key, row in there.items() if row.batch != batch}
            if self.shelf is not None and (new := [key for key in rows if key not in old]):
                # One list, not a parameter for each: SQLAlchemy looks at every parameter by itself.
                named = self.shelf.c.id.in_(sa.bindparam("ids", expanding=True))
                moved = tx.select(self.shelf.c.id, self.shelf.c.content).where(named)
                left = {row.id: row.content for row in await tx.all(moved, {"ids": new})}
                await drop(tx, self.stream, left)
                old |= left
        # What is new is old to a second row with its key.
        return [
            [Stored(row.key in old, old.setdefault(row.key, row.content)) for row in waiting.rows]
            for waiting in group
        ]


async def find(tx: Tx, stream: str, keys: Collection[str]) -> dict[str, Row]:
    """Return the rows of these keys that are still in the inbox."""
    if not keys:
        return {}
    query = tx.select(inbox).where(inbox.c.stream == stream, inbox.c.key.in_(keys))
    return {row.key: _row(row) for row in await tx.all(query)}


async def take(tx: Tx, stream: str, *, rows: int, size: int) -> list[Row]:
    """Return the oldest waiting rows of the stream; they stay until `drop`.

    They are at most `rows`, and of at most `size` bytes unless the first is larger: what is beyond
    that is not read, only its length.
    """
    waits = inbox.c.stream == stream, inbox.c.reason.is_(None)
    order = inbox.c.received_ms, inbox.c.key
    length = sa.func.length(inbox.c.head) + sa.func.length(inbox.c.payload)
    lengths = await tx.all(tx.select(length).where(*waits).order_by(*order).limit(rows))
    ends = list(accumulate(row[0] for row in lengths))
    fitting = max(1, bisect_right(ends, size))
    query = tx.select(inbox).where(*waits).order_by(*order).limit(fitting)
    return [_row(row) for row in await tx.all(query)]


async def row_counts(tx: Tx) -> dict[str, Counts]:
    """Return the rows there are by stream, counted at one moment."""
    zero, held = sa.literal(0), sa.func.count(inbox.c.reason)
    there = tx.select(
        inbox.c.stream,
        (sa.func.count() - held).label("waiting"),
        held.label("quarantined"),
        zero.label("moved"),
    )
    moved = tx.select(segments.c.stream, zero, zero, sa.func.sum(segments.c.rows))
    both = tx.union_all(there.group_by(inbox.c.stream), moved.group_by(segments.c.stream))
    found: dict[str, Counts] = {}
    for row in await tx.all(both):
        waiting, quarantined, total = found.get(row.stream, (0, 0, 0))
        total += row.waiting + row.quarantined + int(row.moved)
        found[row.stream] = Counts(waiting + row.waiting, quarantined + row.quarantined, total)
    return found


async def received_since(tx: Tx, stream: str, ms: int) -> int:
    """Count the rows that came since then, to within the age of one segment."""
    waits = tx.select(sa.func.count()).where(inbox.c.stream == stream, inbox.c.received_ms >= ms)
    moved = tx.select(sa.func.sum(segments.c.rows))
    moved = moved.where(segments.c.stream == stream, segments.c.created_ms >= ms)
    return int(await tx.scalar(waits)) + int(await tx.scalar(moved) or 0)


async def drop(tx: Tx, stream: str, keys: Collection[str]) -> int:
    """Remove rows that now stand elsewhere; return how many were there."""
    gone, all_keys = 0, list(keys)
    for first in range(0, len(all_keys), _KEYS):
        named = inbox.c.key.in_(all_keys[first : first + _KEYS])
        gone += await tx.run(tx.delete(inbox).where(inbox.c.stream == stream, named))
    return gone


async def of_subject(tx: Tx, stream: str, subject: str) -> list[Row]:
    """Return a subject's rows in the inbox (it is small: a scan), without their payloads."""
    columns = [column for column in inbox.c if column.name != "payload"]
    query = tx.select(*columns, sa.literal(b"", sa.LargeBinary).label("payload"))
    query = query.where(inbox.c.stream == stream, inbox.c.subject == subject)
    return [_row(row) for row in await tx.all(query)]


def _row(row: sa.Row[Any]) -> Row:
    return Row(
        row.key,
        row.content,
        row.head,
        row.payload,
        row.subject,
        row.received_ms,
        row.batch,
        row.reason,
        row.blob,
    )
