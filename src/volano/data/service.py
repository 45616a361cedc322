"""The verbs of the shelf: put records on it, list them, read one, freeze a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from volano.core.segments import compact, inbox
from volano.core.segments.inbox import Inbox, Row, Stored
from volano.core.segments.parquet import Place, Segments
from volano.data import ingest, store
from volano.data.ingest import Head
from volano.spec import data as spec
from volano.spec.accounts import Who
from volano.spec.common import Page
from volano.spec.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Database, Tx
    from volano.core.jobs import Job
    from volano.core.settings import Settings

STREAM = "records"
COMPACT = "records.compact"


class RecordInbox(Inbox):
    """The inbox of records in this process."""


def open_inbox(db: Database, settings: Settings) -> RecordInbox:
    """The inbox that `append` uses; one per process."""
    return RecordInbox(
        db, STREAM, store.contents, group=settings.inbox_group, queue=settings.inbox_queue
    )


async def append(ctx: Context, workspace: str, rows: Sequence[Row], now_ms: int) -> list[Stored]:
    """Store records durably; each is there once however often it is sent.

    Raises: Overloaded, DatabaseUnavailable, StorageFull; then nothing of `rows` is acknowledged.
    """
    return await ctx.part(RecordInbox).append(workspace, rows, now_ms=now_ms)


async def compact_records(ctx: Context, job: Job, score: ingest.Score, moved: ingest.Moved) -> int:
    """Move what waits in the inbox onto the shelf, scored; how many records.

    `score` rates one payload (pure, runs in a thread), `moved` runs in the same transaction.
    """

    def plan(rows: Sequence[Row]) -> tuple[Any, compact.Shelve]:
        heads = [ingest.head_of(row) for row in rows]
        qualities = [score(row.payload) for row in rows]

        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            values = ingest.shelf_rows(rows, heads, qualities, segment.id)
            await store.add_records(tx, values)
            await moved(tx, heads)

        return ingest.table(rows, heads, qualities), shelve

    return await compact.compact(ctx, job, STREAM, plan)


async def waiting_heads(tx: Tx, contributor: str) -> list[Head]:
    """The facts of a contributor's records that are acknowledged but not yet on the shelf."""
    return [ingest.decode_head(head) for head in await inbox.heads_of(tx, STREAM, contributor)]


async def page(
    ctx: Context, who: Who, wanted: spec.RecordFilter, *, after: str | None, limit: int
) -> Page[spec.Record]:
    """The next records on the shelf that fit the filter, by id."""
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.page(tx, wanted, after=after, limit=limit + 1)
    items = [_record(row) for row in rows[:limit]]
    return Page(items=items, next=items[-1].id if len(rows) > limit else None)


async def record(ctx: Context, who: Who, id: str) -> spec.Record:
    """One record, also while it still waits in the inbox.

    Raises: Missing.
    """
    return (await _found(ctx, who.workspace, id))[0]


async def payload(ctx: Context, who: Who, id: str) -> tuple[spec.Record, bytes]:
    """A record and its payload, by one ranged read of its segment.

    Raises: Missing.
    """
    found, place, waiting = await _found(ctx, who.workspace, id)
    if place is None:
        return found, waiting
    return found, await ctx.part(Segments).value(who.workspace, place, ingest.PAYLOAD)


async def payloads(
    ctx: Context, who: Who, wanted: spec.RecordFilter
) -> AsyncIterator[tuple[spec.Record, bytes]]:
    """Every record of the filter with its payload, by id; memory is one page, however many."""
    after: str | None = None
    while True:
        found = await page(ctx, who, wanted, after=after, limit=500)
        for record in found.items:
            yield await payload(ctx, who, record.id)
        if found.next is None:
            return
        after = found.next


async def _found(ctx: Context, workspace: str, id: str) -> tuple[spec.Record, Place | None, bytes]:
    async with ctx.db.read(workspace) as tx:
        row = await store.record(tx, id)
        if row is None:
            waiting = (await inbox.find(tx, STREAM, [id])).get(id)
        else:
            segment = (await compact.by_id(tx, [row.segment]))[row.segment]
            return _record(row), Place(segment.blob, segment.size, row.row), b""
    if waiting is None:
        raise Missing(noun="record", id=id)
    return ingest.waiting_record(waiting), None, waiting.payload


def _record(row: sa.Row[Any]) -> spec.Record:
    return spec.Record(
        id=row.id,
        content=row.content.hex(),
        kind=row.kind,
        label=row.label,
        contributor=row.contributor,
        origin=row.origin,
        device=row.device,
        quality=row.quality,
        flags=ingest.flags_list(row.flags),
        strokes=row.strokes,
        points=row.points,
        duration_ms=row.duration_ms,
        captured_at=row.captured_at,
        received_at=row.received_at,
    )
