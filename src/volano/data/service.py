"""The verbs of the shelf: put records on it, list them, read one, freeze a snapshot."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from volano.core.segments import compact, inbox
from volano.core.segments.inbox import Inbox, Row
from volano.core.segments.parquet import Place, Segments
from volano.core.threads import to_its_end
from volano.data import freezing, ingest, snapshot, staging, store, tables
from volano.data.ingest import Head
from volano.schemas import data as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, is_uuid, utc_now
from volano.schemas.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Database, Tx
    from volano.core.jobs import Job
    from volano.core.settings import Settings

STREAM = "records"
COMPACT = "records.compact"
_SEARCHED_AT_ONCE = 8
_CLOCKS_DIFFER = timedelta(days=1)  # at most, between who received a record and who froze it
_CHUNK = 1 << 20
_EXPORTED = 500  # records in memory at once


@dataclass(frozen=True, slots=True)
class State:
    """What one process keeps for the shelf."""

    inbox: Inbox
    """Takes records in: each is there once however often it is sent."""
    segments: Segments
    """Reads what has left the inbox."""


def open_state(db: Database, segments: Segments, settings: Settings) -> State:
    """Return the state of a process that has taken nothing in yet."""
    group, queue = settings.inbox_group, settings.inbox_queue
    return State(Inbox(db, STREAM, tables.records, group=group, queue=queue), segments)


async def compact_records(ctx: Context, job: Job, score: ingest.Score, moved: ingest.Moved) -> int:
    """Move what waits in the inbox onto the shelf, scored; return how many records.

    `score` rates one record (pure, runs in a thread), `moved` runs in the same transaction. A row
    that cannot be read or scored goes into quarantine.
    """

    def plan(
        rows: Sequence[Row], scored: Sequence[ingest.Scored]
    ) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            await store.add_records(tx, ingest.shelf_rows(rows, scored, segment.id))
            await moved(tx, [one.head for one in scored])

        return ingest.table(rows, scored), shelve

    return await compact.compact(ctx, job, STREAM, partial(ingest.read, score), plan)


async def waiting_heads(tx: Tx, contributor: str) -> list[Head]:
    """Return the facts of a contributor's records that are acknowledged but not on the shelf."""
    heads = []
    for row in await inbox.of_subject(tx, STREAM, contributor):
        with suppress(msgspec.MsgspecError):  # of one in quarantine
            heads.append(ingest.decode_head(row.head))
    return heads


async def page(
    ctx: Context, who: Who, wanted: schemas.RecordFilter, *, after: str, limit: int
) -> Page[schemas.Record]:
    """List the next records on the shelf that fit the filter, by id.

    A page may hold fewer than `limit` and still have a `next`: it looks at some 10,000 records at
    most, so that also a filter that fits hardly any is answered at once.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        reading = await store.reading(tx, wanted)
        (first,) = store.BY_ID.values(after) if after else (None,)
        rows, last = await store.page(tx, reading, after=first, limit=limit)
    following = None if last is None else store.BY_ID.cursor([last])
    return Page(items=[_record(row) for row in rows], next=following)


async def count(ctx: Context, who: Who, wanted: schemas.RecordFilter) -> schemas.RecordCount:
    """Count the records on the shelf that fit the filter."""
    async with ctx.db.read(who.workspace) as tx:
        return await store.count(tx, wanted)


async def recount(ctx: Context, workspace: str, *, repair: bool) -> list[str]:
    """Count a workspace's records again; return the names of the counters that are wrong."""
    async with ctx.db.begin(workspace) if repair else ctx.db.read(workspace) as tx:
        return await store.recount(tx, repair=repair)


async def record(ctx: Context, who: Who, id: str) -> schemas.Record:
    """Return one record, also while it still waits in the inbox.

    Raises: Missing, Quarantined.
    """
    return (await _found(ctx, who.workspace, id))[0]


async def labels(ctx: Context, workspace: str, ids: Collection[str]) -> dict[str, str]:
    """Return the labels of records by id, also while they wait; none for those in quarantine."""
    if not ids:
        return {}
    async with ctx.db.read(workspace) as tx:
        found = await store.labels(tx, ids)
        waiting = await inbox.find(tx, STREAM, [id for id in ids if id not in found])
    for id, row in waiting.items():
        if row.reason is None:
            found[id] = ingest.decode_head(row.head).label
    return found


async def payload(ctx: Context, who: Who, id: str) -> tuple[schemas.Record, bytes]:
    """Return a record and its payload, by one ranged read of its segment.

    Raises: Missing, Quarantined.
    """
    found, place, waiting = await _found(ctx, who.workspace, id)
    if place is None:
        return found, waiting
    return found, await ctx.part(State).segments.value(who.workspace, place, ingest.PAYLOAD)


async def content(ctx: Context, who: Who, id: str) -> ingest.Content:
    """Return a record with its payload and its quality in parts, by one ranged read.

    Raises: Missing, Quarantined.
    """
    found, place, waiting = await _found(ctx, who.workspace, id)
    if place is None:
        return ingest.Content(found, waiting, None)
    return (await _contents(ctx, who.workspace, [(found, place)]))[0]


async def contents(
    ctx: Context, who: Who, wanted: schemas.RecordFilter
) -> AsyncIterator[ingest.Content]:
    """Yield every record of the filter with what is stored of it, by id; memory is one page."""
    after: str | None = None
    while True:
        async with ctx.db.read(who.workspace) as tx:
            reading = await store.reading(tx, wanted)
            rows, after = await store.page(tx, reading, after=after, limit=_EXPORTED)
            starts = await compact.places(tx, list({row.segment for row in rows}))
        placed = [(_record(row), _place(starts[row.segment], row)) for row in rows]
        for one in await _contents(ctx, who.workspace, placed):
            yield one
        if after is None:
            return


async def _contents(
    ctx: Context, workspace: str, placed: Sequence[tuple[schemas.Record, Place]]
) -> list[ingest.Content]:
    """Read what is stored of these records, in their order; each row group is read once."""
    found: dict[Place, tuple[bytes, bytes]] = {}
    wanted = sorted({place for _, place in placed})
    for (blob, size), places in groupby(wanted, key=lambda place: (place.blob, place.size)):
        here = list(places)
        numbers, columns = [place.row for place in here], (ingest.QUALITY, ingest.PAYLOAD)
        rows = await ctx.part(State).segments.rows(workspace, blob, size, numbers, columns)
        values = (rows[column].to_pylist() for column in columns)
        found |= zip(here, zip(*values, strict=True), strict=True)
    return [ingest.content(record, *found[place]) for record, place in placed]


async def _found(
    ctx: Context, workspace: str, id: str
) -> tuple[schemas.Record, Place | None, bytes]:
    id = id.lower()
    if not is_uuid(id):
        raise Missing(noun="record", id=id)
    async with ctx.db.read(workspace) as tx:
        row = await store.record(tx, id)
        if row is None:
            waiting = (await inbox.find(tx, STREAM, [id])).get(id)
        else:
            first = (await compact.places(tx, [row.segment]))[row.segment]
            return _record(row), _place(first, row), b""
    if waiting is None:
        raise Missing(noun="record", id=id)
    return ingest.waiting_record(waiting), None, waiting.payload


def _place(first: Place, row: sa.Row[Any]) -> Place:
    """Return the place of a record in the segment whose first row stands there."""
    return replace(first, row=first.row + row.row)


def _record(row: sa.Row[Any]) -> schemas.Record:
    return schemas.Record(
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


async def freeze(ctx: Context, who: Who, new: schemas.NewSnapshot) -> schemas.Snapshot:
    """Freeze the records that fit the filter now; an equal list has the same id and hash.

    Everything that was acknowledged before the call is considered, whatever the clocks say. Memory
    is some thousand records and 8 bytes for each contributor, however many records there are.

    Raises: NothingMatches, NobodyTests, EmptySplit (nothing trains), StillMoving.
    """
    await compact.flush(ctx, who.workspace, STREAM, COMPACT)
    async with freezing.scratch() as folder:
        with freezing.Draft(folder, new.split) as draft:
            async with ctx.db.read(who.workspace) as tx:
                async for rows in store.pages(tx, new.filter, limit=freezing.PART):
                    await to_its_end(draft.add, rows)
            await to_its_end(draft.divide)
            # Part by part, so that a request that is given up ends soon.
            for number in range(draft.parts):
                await to_its_end(draft.write_part, number)
            facts = await to_its_end(draft.facts)
        freezing.check(facts, new.split)
        manifest = await ctx.blobs.put_file(who.workspace, draft.manifest)
    row = facts | {
        "name": new.name,
        "filter": msgspec.to_builtins(new.filter),
        "split": msgspec.to_builtins(new.split),
        "manifest": manifest,
        "created_at": utc_now(),
        "created_by": who.member,
    }
    async with ctx.db.begin(who.workspace) as tx:
        return _snapshot(await store.add_snapshot(tx, row))


async def frozen(ctx: Context, who: Who, id_or_name: str) -> schemas.Snapshot:
    """Return the snapshot of this id, or the newest of this name.

    Raises: Missing.
    """
    return _snapshot(await _snapshot_row(ctx, who.workspace, id_or_name))


async def snapshots(ctx: Context, who: Who, *, after: str, limit: int) -> Page[schemas.Snapshot]:
    """List snapshots, newest first.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.snapshot_page(tx, after=after, limit=limit)
    return store.NEWEST.page(rows, limit, _snapshot)


async def snapshot_records(
    ctx: Context, who: Who, id: str, *, after: str | None, limit: int
) -> Page[schemas.SnapshotRecord]:
    """List the lines of a snapshot, by record id.

    Raises: Missing.
    """
    row = await _snapshot_row(ctx, who.workspace, id)
    manifest = (who.workspace, row.manifest, row.manifest_size)
    lines = await ctx.part(State).segments.following(
        *manifest, key=after or "", column="record", limit=limit + 1
    )
    items = [snapshot.line(values) for values in lines.slice(0, limit).to_pylist()]
    return Page(items=items, next=items[-1].id if lines.num_rows > limit else None)


@dataclass(frozen=True, slots=True)
class Containing:
    """The snapshots that contain a record, each with the split in which it does.

    `unsearched` older snapshots were too many to look into.
    """

    snapshots: list[tuple[schemas.Snapshot, schemas.Split]]
    unsearched: int


async def snapshots_with(ctx: Context, who: Who, record_id: str, *, limit: int) -> Containing:
    """Find the snapshots that contain a record, newest first, of the latest `limit` that may.

    Each costs at most two ranged reads, also of ten million records: there is no index from
    records to snapshots, which would be as large as all of their lists together.

    Raises: Missing.
    """
    known = await record(ctx, who, record_id)
    async with ctx.db.read(who.workspace) as tx:
        since = known.received_at - _CLOCKS_DIFFER
        rows, total = await store.snapshots_since(tx, since, limit=limit)
    newest = {row.id: row for row in reversed(rows)}  # one list may stand under several names
    turns = asyncio.Semaphore(_SEARCHED_AT_ONCE)

    async def line(row: sa.Row[Any]) -> dict[str, Any] | None:
        manifest = (who.workspace, row.manifest, row.manifest_size)
        async with turns:
            return await ctx.part(State).segments.lookup(*manifest, key=record_id, column="record")

    searched = list(newest.values())[::-1]
    lines = await asyncio.gather(*(line(row) for row in searched))
    found = [(_snapshot(row), it["split"]) for row, it in zip(searched, lines, strict=True) if it]
    return Containing(found, total - len(rows))


async def stage(
    ctx: Context, workspace: str, id: str, folder: Path, splits: Sequence[str] = staging.SPLITS
) -> None:
    """Write a snapshot as `snapshot.json` and `<split>.parquet` into a folder.

    Memory is one segment, however large the snapshot is.

    Raises: Missing, StagedTooLarge (more than `run_max_data` bytes).
    """
    row = await _snapshot_row(ctx, workspace, id)
    (folder / "snapshot.json").write_bytes(msgspec.json.encode(_snapshot(row)))
    lines = await _manifest(ctx, workspace, row)
    async with ctx.db.read(workspace) as tx:
        places = await compact.places(tx, pc.unique(lines["segment"]).to_pylist())
    with staging.Writer(folder, ctx.settings.run_max_data, splits) as writer:
        for blob, wanted in staging.by_blob(lines, places):
            segment = await ctx.blobs.get(workspace, blob)
            await to_its_end(writer.add, wanted, segment)


async def split_file(ctx: Context, who: Who, id: str, split: schemas.Split) -> AsyncIterator[bytes]:
    """Yield `<split>.parquet` of a snapshot in chunks, for runs without a server.

    Raises: Missing, StagedTooLarge.
    """
    # A file without a name: it is gone with the stream, however that ends.
    with tempfile.TemporaryDirectory(prefix="volano-") as name:
        await stage(ctx, who.workspace, id, Path(name), (split,))
        file = (Path(name) / f"{split}.parquet").open("rb")
    return _chunks(file)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


async def _manifest(ctx: Context, workspace: str, row: sa.Row[Any]) -> pa.Table:
    data = await ctx.blobs.get(workspace, row.manifest)
    return await asyncio.to_thread(pq.read_table, io.BytesIO(data))


async def _snapshot_row(ctx: Context, workspace: str, id_or_name: str) -> sa.Row[Any]:
    async with ctx.db.read(workspace) as tx:
        row = await store.snapshot(tx, id_or_name)
    if row is None:
        raise Missing(noun="snapshot", id=id_or_name)
    return row


def _snapshot(row: sa.Row[Any]) -> schemas.Snapshot:
    found = msgspec.convert(row, schemas.Snapshot, from_attributes=True)
    return msgspec.structs.replace(found, warnings=snapshot.warnings(found))
