"""Moving rows from the inbox into segments: blob first, then one transaction that moves them.

Crash before the transaction: an orphan blob, garbage but never wrong. Crash after: complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
import structlog

from volano.core.blobs import references
from volano.core.db import EVERYWHERE, Tx, now_ms
from volano.core.jobs.tables import DEAD, ENDED
from volano.core.segments import parquet, quarantine
from volano.core.segments.inbox import Row, drop, take
from volano.core.segments.parquet import Place
from volano.core.segments.tables import inbox, merges, segments
from volano.schemas.common import new_id
from volano.schemas.errors import Unavailable

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.jobs import Job

log = structlog.get_logger("segments")

_PATIENCE_S, _LOOK_S = 20.0, 0.05  # of `flush`
_PROBED = 2000  # keys in one look of `flush`
_IDS = 10_000  # in one statement: both databases take some 32,000 parameters
_ID = segments.c.id

T = TypeVar("T")


class StillMoving(Unavailable):
    """What arrived last was not put on the shelf within {seconds} s."""

    remedy = "Is a worker running? `volano up --role worker` starts one; then try again."


class CompactionFailed(Unavailable):
    """What arrived last cannot be put on the shelf: {reason}."""

    remedy = "`volano doctor` tells more; once the cause is gone, requeue the job {job}."


class RowsMoved(Unavailable):
    """Another worker moved {missing} of {rows} rows meanwhile."""

    remedy = "The ledger tries again by itself, with what is left."


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored segment, with keys from `first_key` to `last_key`.

    `size` are the bytes of its blob, `unpacked_size` those of its rows in memory; `created_ms` is
    when its youngest row was received.
    """

    id: str
    blob: str
    size: int
    unpacked_size: int
    rows: int
    first_key: str
    last_key: str
    created_ms: int


Shelve = Callable[[Tx, Segment], Awaitable[None]]
"""Makes the moved rows known elsewhere, in the transaction that moves them."""


async def compact(
    ctx: Context,
    job: Job,
    stream: str,
    read: Callable[[Row], T],
    plan: Callable[[Sequence[Row], Sequence[T]], tuple[pa.Table, Shelve]],
) -> int:
    """Move the oldest rows of a stream into one segment; return how many are not waiting any more.

    `read` looks at one row: where it raises, that row goes into quarantine, and the others move.
    `plan` turns those, with what was read of them, into the segment's columns and what to do in the
    transaction. Both run in a thread. Idempotent: moved rows are gone.

    Raises: RowsMoved (two workers at once: the slower one tries again and finds nothing).
    """
    limits = {"rows": ctx.settings.segment_rows, "size": ctx.settings.segment_bytes}
    async with ctx.db.read(job.workspace) as tx:
        waiting = await take(tx, stream, **limits)
    if not waiting:
        return 0
    rows, found, reasons = await asyncio.to_thread(_sort_out, waiting, read)
    segment = shelve = None
    if rows:
        table, shelve = await asyncio.to_thread(plan, rows, found)
        segment = await _store(ctx, job.workspace, rows, table)
    async with job.finish(ctx) as tx:
        await quarantine.add(tx, stream, reasons)
        if segment and shelve:
            moved = await drop(tx, stream, sorted(row.key for row in rows))
            if moved != len(rows):
                raise RowsMoved(missing=len(rows) - moved, rows=len(rows))
            await add(tx, stream, segment)
            await shelve(tx, segment)
    facts = {"stream": stream, "workspace": job.workspace}
    if segment:
        log.info("compacted", segment=segment.id, rows=len(rows), bytes=segment.size, **facts)
    if reasons:
        reason = next(iter(reasons.values()))
        log.warning("quarantined", rows=len(reasons), reason=reason, **facts)
    return len(waiting)


def _sort_out(
    waiting: Sequence[Row], read: Callable[[Row], T]
) -> tuple[list[Row], list[T], dict[str, str]]:
    """Read rows one by one; return those that can be, what is in them, and why others cannot."""
    rows, found, reasons = [], [], {}
    for row in waiting:
        try:
            found.append(read(row))
        except Exception as error:  # noqa: BLE001 - the boundary of a row: the others go on
            reasons[row.key] = quarantine.reason_of(error)
        else:
            rows.append(row)
    return rows, found, reasons


async def _store(ctx: Context, workspace: str, rows: Sequence[Row], table: pa.Table) -> Segment:
    """Store rows as a blob; return the segment that it is once it is in the index."""
    data = await asyncio.to_thread(parquet.encode, table)
    return Segment(
        id=new_id("seg"),
        blob=await ctx.blobs.put(workspace, data),
        size=len(data),
        unpacked_size=table.nbytes,
        rows=len(rows),
        first_key=min(row.key for row in rows),
        last_key=max(row.key for row in rows),
        created_ms=max(row.received_ms for row in rows),
    )


async def add(tx: Tx, stream: str, segment: Segment) -> None:
    """Put a segment into the index, which makes it exist."""
    await references.add(tx, segment.blob)
    values = {name: getattr(segment, name) for name in Segment.__slots__}
    await tx.run(tx.insert(segments), [values | {"stream": stream}])


async def replace(tx: Tx, blob: str, new: str, size: int) -> bool:
    """Put another blob of as many rows in the place of a segment's; return False if it has gone."""
    await references.add(tx, new)
    values = {"blob": new, "size": size}
    return await tx.run(tx.update(segments).where(segments.c.blob == blob).values(values)) > 0


async def holding(tx: Tx, stream: str, key: str) -> list[Segment]:
    """List the segments whose range of keys includes this key, newest first."""
    query = tx.select(segments).where(
        segments.c.stream == stream, segments.c.first_key <= key, segments.c.last_key >= key
    )
    rows = await tx.all(query.order_by(segments.c.created_ms.desc()))
    return [_segment(row) for row in rows]


async def newest(tx: Tx, stream: str, limit: int) -> list[Segment]:
    """List the stream's latest segments, newest first."""
    query = tx.select(segments).where(segments.c.stream == stream)
    rows = await tx.all(query.order_by(segments.c.created_ms.desc()).limit(limit))
    return [_segment(row) for row in rows]


async def every(tx: Tx, stream: str | None = None) -> list[Segment]:
    """List all segments of a stream, or of every stream, oldest first."""
    query = tx.select(segments)
    if stream is not None:
        query = query.where(segments.c.stream == stream)
    return [_segment(row) for row in await tx.all(query.order_by(segments.c.created_ms, _ID))]


async def streams(tx: Tx, blobs: Collection[str]) -> dict[str, str]:
    """Return the stream of each of these blobs that is a segment."""
    query = tx.select(segments.c.blob, segments.c.stream).where(segments.c.blob.in_(blobs))
    return {row.blob: row.stream for row in await tx.all(query)}


async def places(tx: Tx, ids: Sequence[str]) -> dict[str, Place]:
    """Return where the first row of each segment stands now, whatever it was merged into."""
    found: dict[str, Place] = {}
    for first in range(0, len(ids), _IDS):
        some = ids[first : first + _IDS]
        itself = tx.select(_ID, segments.c.blob, segments.c.size, sa.literal(0).label("row"))
        merged = tx.select(
            merges.c.id, segments.c.blob, segments.c.size, merges.c.first_row.label("row")
        ).join_from(merges, segments, segments.c.id == merges.c.segment)
        both = tx.union_all(itself.where(_ID.in_(some)), merged.where(merges.c.id.in_(some)))
        found |= {row.id: Place(row.blob, row.size, row.row) for row in await tx.all(both)}
    return found


def _segment(row: sa.Row[Any]) -> Segment:
    return Segment(**{name: getattr(row, name) for name in Segment.__slots__})


async def request_due(ctx: Context, stream: str, topic: str) -> int:
    """Ask for the compaction of every workspace's rows that are old or many; return how many.

    One compaction of a stream and workspace is open at a time, however often this asks.
    """
    due = await _due(ctx, stream)
    for workspace in due:
        async with ctx.db.begin(workspace) as tx:
            await ctx.jobs.send_unless_open(tx, topic, {}, key=topic)
    return len(due)


async def flush(ctx: Context, workspace: str, stream: str, topic: str) -> None:
    """Move every row into segments that is acknowledged by now, and wait until that is done.

    No clock says which rows these are: a row is acknowledged when it is committed, so whatever was
    acknowledged before the call is seen here, and waited for by its key. Clocks of processes may
    differ by any amount. Rows in quarantine are not waited for.

    Raises: StillMoving (no worker did it in time), CompactionFailed (for good: it would again).
    """
    until = asyncio.get_running_loop().time() + _PATIENCE_S
    async with ctx.db.read(workspace) as tx:
        left = await _waiting_keys(tx, stream)
    job = ""
    while left:
        if asyncio.get_running_loop().time() >= until:
            raise StillMoving(seconds=_PATIENCE_S)
        if not job or await _has_ended(ctx, workspace, job):
            async with ctx.db.begin(workspace) as tx:
                job = await ctx.jobs.send_unless_open(tx, topic, {}, key=topic)
        await asyncio.sleep(_LOOK_S)
        async with ctx.db.read(workspace) as tx:
            left = await _unmoved(tx, stream, left)


async def _has_ended(ctx: Context, workspace: str, job: str) -> bool:
    """Tell whether a compaction has ended. Raises: CompactionFailed (it did for good)."""
    async with ctx.db.read(workspace) as tx:
        info = await ctx.jobs.find(tx, job)
    if info.state == DEAD:
        raise CompactionFailed(job=job, reason=(info.failure or {}).get("message", ""))
    return info.state in ENDED


async def _waiting_keys(tx: Tx, stream: str) -> list[str]:
    """Return the keys of all rows that wait, in the order in which they will be taken."""
    query = tx.select(inbox.c.key).where(inbox.c.stream == stream, inbox.c.reason.is_(None))
    return [row.key for row in await tx.all(query.order_by(inbox.c.received_ms, inbox.c.key))]


async def _unmoved(tx: Tx, stream: str, keys: list[str]) -> list[str]:
    """Return the keys up to the last one that still waits; look first at what is taken last."""
    while keys:
        last = keys[-_PROBED:]
        waits = inbox.c.stream == stream, inbox.c.reason.is_(None), inbox.c.key.in_(last)
        if await tx.one(tx.select(inbox.c.key).where(*waits).limit(1)):
            return keys
        keys = keys[:-_PROBED]
    return keys


async def _due(ctx: Context, stream: str) -> list[str]:
    """Return the workspaces whose oldest row is old by the database's clock, or rows are many.

    Rows carry the time of the process that took them: one that is ahead by more than the age is
    not waited for.
    """
    age_ms = int(ctx.settings.segment_age_s * 1000)
    oldest, count = sa.func.min(inbox.c.received_ms), sa.func.count()
    is_due = sa.or_(
        oldest <= now_ms() - age_ms,
        oldest > now_ms() + age_ms,
        count >= ctx.settings.segment_rows,
    )
    async with ctx.db.read(EVERYWHERE) as tx:
        waits = inbox.c.stream == stream, inbox.c.reason.is_(None)
        query = tx.select(inbox.c.workspace).where(*waits)
        rows = await tx.all(query.group_by(inbox.c.workspace).having(is_due))
    return [row.workspace for row in rows]
