"""The verbs of deletion: delete records, and write their segments again without their bytes.

A record is out of every listing, count, run and export once the transaction that deletes it is
committed, which also asks for its erasure. That writes the segment again with an empty row in the
place of the record's, so that rows keep their numbers, in one transaction that puts the new blob in
the place of the old. Snapshots keep their lines and hashes. The old blob, and one that held a
large payload, go with the sweep `blob_grace_s` later, for a backup that has their names already.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from volano.core.segments import compact, parquet
from volano.data import counting
from volano.data import store as shelf
from volano.data.attributes import store as statements
from volano.data.attributes.service import meant, shelved
from volano.data.deletion import store
from volano.schemas.deletion import CountDiffers, Deleted, Deletion
from volano.schemas.errors import Missing, Unavailable

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.core.jobs import Job
    from volano.schemas.accounts import Who

log = structlog.get_logger("data")

ERASE = "records.erase"


class SegmentReplaced(Unavailable):
    """Another worker wrote the segment of {rows} deleted records again meanwhile."""

    remedy = "The ledger tries again by itself."


async def delete(ctx: Context, who: Who, id: str) -> None:
    """Delete one record, for good; one that waits in the inbox is put onto the shelf first.

    Raises: Missing, Quarantined, StillMoving.
    """
    known = await shelved(ctx, who, [id.lower()])
    async with ctx.db.begin(who.workspace) as tx:
        if not await _delete(ctx, tx, who, known):
            raise Missing(noun="record", id=id)


async def delete_all(ctx: Context, who: Who, wanted: Deletion) -> Deleted:
    """Delete many records, for good, if they are as many as was confirmed.

    Raises: WhichRecords, CountDiffers, Missing, Quarantined, StillMoving.
    """
    there = 0
    async for ids in meant(ctx, who, wanted.ids, wanted.filter):
        there += len(ids)
    if there != wanted.confirm:
        raise CountDiffers(found=there, confirmed=wanted.confirm)
    gone = 0
    async for ids in meant(ctx, who, wanted.ids, wanted.filter):
        async with ctx.db.begin(who.workspace) as tx:
            gone += await _delete(ctx, tx, who, ids)
    return Deleted(records=gone)


async def _delete(ctx: Context, tx: Tx, who: Who, ids: Sequence[str]) -> int:
    """Delete records that are on the shelf, ask for their erasure; return how many there were."""
    found = list((await statements.locked(tx, ids)).values())
    if found:
        await shelf.count_again(tx, counting.difference(found, []))
        await statements.forget(tx, [row["id"] for row in found])
        await store.delete(tx, found, who.member)
        await ctx.jobs.send(tx, ERASE, {})
    return len(found)


async def erase(ctx: Context, job: Job) -> int:
    """Write segments again without the bytes of deleted records; return how many these were.

    Idempotent: what has been erased is not erased again.

    Raises: SegmentReplaced (two workers at once: the slower one tries again), BlobMissing,
        BlobCorrupt.
    """
    gone = 0
    while True:
        async with ctx.db.read(job.workspace) as tx:
            rows = await store.unerased(tx)
            places = await compact.places(tx, sorted({row.segment for row in rows}))
        if not rows:
            break
        ordered = sorted(rows, key=lambda row: places[row.segment].blob)
        for blob, some in groupby(ordered, key=lambda row: places[row.segment].blob):
            here = list(some)
            numbers = [places[row.segment].row + row.row for row in here]
            await _rewrite(ctx, job.workspace, blob, numbers, here)
        gone += len(rows)
    if gone:
        await ctx.db.truncate_log()
        log.info("erased", records=gone, workspace=job.workspace)
    return gone


async def _rewrite(
    ctx: Context, workspace: str, blob: str, numbers: Sequence[int], rows: Sequence[Any]
) -> None:
    """Put a segment's blob without these rows in its place."""
    data = await asyncio.to_thread(without, await ctx.blobs.get(workspace, blob), numbers)
    new = await ctx.blobs.put(workspace, data)
    async with ctx.db.begin(workspace) as tx:
        if not await compact.replace(tx, blob, new, len(data)):
            raise SegmentReplaced(rows=len(rows))
        await store.erased(tx, rows)


def without(segment: bytes, numbers: Sequence[int]) -> bytes:
    """Return a segment in which nothing but the id is left of the rows with these numbers."""
    table = pq.read_table(io.BytesIO(segment))
    gone = np.zeros(table.num_rows, bool)
    gone[list(numbers)] = True
    mask = pa.array(gone)
    for at, field in enumerate(table.schema):
        if field.name != "id":
            empty = pc.if_else(mask, pa.scalar(None, field.type), table.column(at))
            table = table.set_column(at, field, empty)
    return parquet.encode(table)
