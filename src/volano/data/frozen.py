"""The verbs of snapshots: freeze records, look into what is frozen, stage it for a run."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from volano.core.segments import compact
from volano.core.threads import to_its_end
from volano.data import freezing, records, snapshot, staging, store
from volano.data.deletion import store as deletion
from volano.data.staging import SPLITS
from volano.data.state import COMPACT, STREAM, State
from volano.schemas import data as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, utc_now
from volano.schemas.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context

_SEARCHED_AT_ONCE = 8
_CLOCKS_DIFFER = timedelta(days=1)  # at most, between who received a record and who froze it
_CHUNK = 1 << 20
_LOOKED_AT = 100  # records that tell the fields of a snapshot: one of them may be deleted


async def freeze(ctx: Context, who: Who, new: schemas.NewSnapshot) -> schemas.Snapshot:
    """Freeze the records that fit the filter now; an equal list has the same id and hash.

    Everything that was acknowledged before the call is considered, whatever the clocks say. Memory
    is some thousand records and 8 bytes for each contributor, however many records there are.

    Raises: NotStratified, NothingMatches, SeveralKinds, NobodyTests, EmptySplit (nothing trains),
        StillMoving.
    """
    if new.split.stratified and new.split.by in ("contributor", "group"):
        raise schemas.NotStratified(by=new.split.by)
    await compact.flush(ctx, who.workspace, STREAM, COMPACT)
    async with freezing.scratch() as folder:
        with freezing.Draft(folder, new.split) as draft:
            async with ctx.db.read(who.workspace) as tx:
                if len(kinds := await store.kinds(tx, new.wanted)) > 1:
                    raise schemas.SeveralKinds(kinds=", ".join(kinds))
                async for rows in store.pages(tx, new.wanted, limit=freezing.PART):
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
        "filter": msgspec.to_builtins(new.wanted),
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
    rows = lines.slice(0, limit).to_pylist()
    async with ctx.db.read(who.workspace) as tx:
        gone = await deletion.deleted(tx, [row["record"] for row in rows])
    items = [snapshot.line(row, deleted=(row["record"], row["segment"]) in gone) for row in rows]
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
    known = await records.record(ctx, who, record_id)
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


async def scan(
    ctx: Context,
    workspace: str,
    id: str,
    splits: Sequence[str] = SPLITS,
    columns: Sequence[str] = (),
) -> AsyncGenerator[pa.RecordBatch]:
    """Yield the records of a snapshot in batches: these columns of `staging.schema`, or all.

    It is the one way in which a snapshot is read; what was deleted since is left out. They come
    segment by segment; memory is one segment, and a batch of some megabytes or one record.

    Raises: Missing.
    """
    row = await _snapshot_row(ctx, workspace, id)
    lines = await _manifest(ctx, workspace, row)
    if set(splits) != set(SPLITS):
        lines = lines.filter(pc.is_in(lines[staging.SPLIT], pa.array(splits, pa.string())))
    made = await _schema(ctx, workspace, row)
    if columns:
        made = pa.schema([made.field(name) for name in columns])
    batches = staging.Batches(made)
    async with ctx.db.read(workspace) as tx:
        held_in = pc.unique(lines["segment"]).to_pylist()
        places = await compact.places(tx, held_in)
        gone = await deletion.deleted_in(tx, held_in)
    lines = staging.without(lines, gone)
    for blob, wanted in staging.by_blob(lines, places):
        segment = await ctx.blobs.get(workspace, blob)
        rows = staging.held(wanted, segment)
        while some := await to_its_end(list, islice(rows, staging.BATCH_ROWS)):
            for one in some:
                payload = one.payload
                if one.blob and batches.has_values:
                    payload = await ctx.blobs.get(workspace, one.blob)
                batches.add(one, payload)
                if batches.is_full:
                    yield batches.take()
    yield batches.take()


async def stage(
    ctx: Context, workspace: str, id: str, folder: Path, splits: Sequence[str] = SPLITS
) -> None:
    """Write a snapshot as `snapshot.json` and `<split>.parquet` into a folder.

    Raises: Missing, StagedTooLarge (more than `run_max_data` bytes).
    """
    row = await _snapshot_row(ctx, workspace, id)
    made, staged = await _schema(ctx, workspace, row), 0
    with staging.Writer(folder, ctx.settings.run_max_data, made, splits) as writer:
        async with aclosing(scan(ctx, workspace, id, splits)) as batches:
            async for batch in batches:
                await to_its_end(writer.add, batch)
                staged += batch.num_rows
    found = _snapshot(row)
    if gone := sum(found.by_split[split] for split in splits) - staged:
        warning = f"{gone} of its records have been deleted since it was frozen: they are left out."
        found = msgspec.structs.replace(found, warnings=[*found.warnings, warning])
    (folder / "snapshot.json").write_bytes(msgspec.json.encode(found))


async def _schema(ctx: Context, workspace: str, row: sa.Row[Any]) -> pa.Schema:
    """Return the columns of a snapshot: the fields of its records, where these have several."""
    manifest = (workspace, row.manifest, row.manifest_size)
    some = await ctx.part(State).segments.following(
        *manifest, key="", column="record", limit=_LOOKED_AT
    )
    async with ctx.db.read(workspace) as tx:
        fields = await store.fields(tx, some["record"].to_pylist())
    return staging.schema([one["name"] for one in fields])


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
