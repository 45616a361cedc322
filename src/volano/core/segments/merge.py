"""Merging small segments: a quiet site cuts one every few seconds, each a file to open.

Blob first, then one transaction that puts it in the place of the segments it holds. Crash before
the transaction: an orphan blob, for the sweeper. Crash after: complete. The sweeper keeps the blobs
of what was merged for a while, for those who had their names already.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import sqlalchemy as sa
import structlog

from volano.core.db import EVERYWHERE, Tx
from volano.core.jobs import Handlers
from volano.core.segments import compact, parquet
from volano.core.segments.compact import Segment
from volano.core.segments.tables import merges, segments
from volano.schemas.common import new_id
from volano.schemas.errors import Broken, Unavailable

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.jobs import Job

log = structlog.get_logger("segments")

MERGE = "segments.merge"
FEWEST = 8
"""Segments that are worth a merge; also how many small ones a quiet stream is left with."""
MOST = 256
"""Segments in one merge."""


class SegmentsMerged(Unavailable):
    """Another worker merged {missing} of {count} segments meanwhile."""

    remedy = "The ledger tries again by itself, with what is left."


class SegmentDiffers(Broken):
    """The segment {id} holds {found} rows, not the {rows} that the index says."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of hot appends, and the topic that moves its rows into segments.

    Rows of a stream with a `key` are found by that column, and sorted by it. Without one they are
    found by their segment's id and their number in it: a merge keeps the order, and the ids.
    """

    name: str
    compact: str
    key: str = ""


def handlers(streams: Iterable[Stream]) -> Handlers:
    """Return what works on MERGE, for these streams."""
    by_name = {stream.name: stream for stream in streams}
    made = Handlers()

    @made.on(MERGE)
    async def merge_stream(ctx: Context, job: Job) -> None:
        """Merge one stream. Idempotent by the index: what was merged is not in it any more."""
        await merge(ctx, job, by_name[job.payload["stream"]])

    return made


async def request_due(ctx: Context, stream: Stream) -> int:
    """Ask for a merge in every workspace with enough small segments; return how many."""
    few = segments.c.rows <= ctx.settings.segment_rows // 2
    small = segments.c.unpacked_size <= ctx.settings.segment_bytes // 2
    async with ctx.db.read(EVERYWHERE) as tx:
        query = tx.select(segments.c.workspace).where(segments.c.stream == stream.name, few, small)
        query = query.group_by(segments.c.workspace).having(sa.func.count() >= FEWEST)
        found = [row.workspace for row in await tx.all(query)]
    asked_for = 0
    for workspace in found:
        if await _window(ctx, workspace, stream):
            async with ctx.db.begin(workspace) as tx:
                facts = {"stream": stream.name}
                await ctx.jobs.send_unless_open(tx, MERGE, facts, key=f"{MERGE}:{stream.name}")
            asked_for += 1
    return asked_for


async def _window(ctx: Context, workspace: str, stream: Stream) -> list[Segment]:
    limits = {"rows": ctx.settings.segment_rows, "size": ctx.settings.segment_bytes}
    async with ctx.db.read(workspace) as tx:
        return window(await compact.every(tx, stream.name), **limits)


def window(found: Sequence[Segment], *, rows: int, size: int) -> list[Segment]:
    """Return the oldest neighbours that should become one segment; none if that is not worth it.

    They are FEWEST to MOST and hold at most `rows`, of at most `size` bytes in memory. The largest
    holds at most half of these: so a row is written again only when its segment at least doubles.
    """
    for start in range(len(found) - FEWEST + 1):
        if count := _worthwhile(found[start : start + MOST], rows, size):
            return list(found[start : start + count])
    return []


def _worthwhile(neighbours: Sequence[Segment], rows: int, size: int) -> int:
    """Return how many of them, from the first on, should become one segment: the most, or none."""
    held = taken = largest = most = 0
    for count, segment in enumerate(neighbours, 1):
        held, taken = held + segment.rows, taken + segment.unpacked_size
        if held > rows or taken > size:
            break
        largest = max(largest, segment.rows)
        if count >= FEWEST and 2 * largest <= held:
            most = count
    return most


async def merge(ctx: Context, job: Job, stream: Stream) -> int:
    """Make one segment of the oldest small neighbours; return how many it holds. Idempotent.

    Raises: SegmentsMerged (two workers at once: the slower one tries again with what is left),
        BlobMissing, BlobCorrupt, SegmentDiffers.
    """
    parts = await _window(ctx, job.workspace, stream)
    if not parts:
        return 0
    sources = [await ctx.blobs.get(job.workspace, part.blob) for part in parts]
    data = await asyncio.to_thread(_joined, parts, sources, stream.key)
    blob = await ctx.blobs.put(job.workspace, data)
    async with job.finish(ctx) as tx:
        await _replace(tx, stream, parts, _whole(parts, blob, len(data)))
    rows = sum(part.rows for part in parts)
    log.info("merged", stream=stream.name, count=len(parts), rows=rows, bytes=len(data))
    return len(parts)


def _joined(parts: Sequence[Segment], sources: Sequence[bytes], key: str) -> bytes:
    tables = [pq.read_table(io.BytesIO(source)) for source in sources]
    for part, table in zip(parts, tables, strict=True):
        if table.num_rows != part.rows:
            raise SegmentDiffers(id=part.id, found=table.num_rows, rows=part.rows)
    return parquet.encode(parquet.join(tables, key))


def _whole(parts: Sequence[Segment], blob: str, size: int) -> Segment:
    return Segment(
        id=new_id("seg"),
        blob=blob,
        size=size,
        unpacked_size=sum(part.unpacked_size for part in parts),
        rows=sum(part.rows for part in parts),
        first_key=min(part.first_key for part in parts),
        last_key=max(part.last_key for part in parts),
        created_ms=max(part.created_ms for part in parts),
    )


async def _replace(tx: Tx, stream: Stream, parts: Sequence[Segment], whole: Segment) -> None:
    """Put the whole into the index instead of its parts, whose ids lead to it from now on."""
    ids = [part.id for part in parts]
    # As they were read: rows that were erased meanwhile would come back.
    same = segments.c.blob.in_([part.blob for part in parts])
    gone = await tx.run(tx.delete(segments).where(segments.c.id.in_(ids), same))
    if gone != len(parts):
        raise SegmentsMerged(missing=len(parts) - gone, count=len(parts))
    await compact.add(tx, stream.name, whole)
    if stream.key:
        return
    starts = list(accumulate((part.rows for part in parts[:-1]), initial=0))
    for id, start in zip(ids, starts, strict=True):  # what was merged into a part moves with it
        moved = {"segment": whole.id, "first_row": merges.c.first_row + start}
        await tx.run(tx.update(merges).where(merges.c.segment == id).values(moved))
    rows = [
        {"id": id, "segment": whole.id, "first_row": start}
        for id, start in zip(ids, starts, strict=True)
    ]
    await tx.run(tx.insert(merges), rows)
