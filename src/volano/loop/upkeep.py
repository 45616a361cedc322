"""Looking after what is stored: what nothing refers to, what cannot be read, what is damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from volano.accounts import service as accounts
from volano.core.blobs import references
from volano.core.jobs.ledger import clock, integrity, recount
from volano.core.segments import inbox, quarantine
from volano.data import service as data
from volano.schemas.accounts import Who
from volano.schemas.blobs import BlobCorrupt, BlobMissing, Orphans
from volano.schemas.common import Page
from volano.schemas.errors import Missing
from volano.schemas.jobs import JobInfo, Requeue, Requeued, State
from volano.schemas.loop import Diagnosis, QuarantinedRow, QuarantineRetry, Retried

if TYPE_CHECKING:
    import sqlalchemy as sa

    from volano.core.blobs import StoredBlob
    from volano.core.context import Context

SWEEP = "blobs.sweep"

_PAGE = 500
"""Blobs that are looked at together."""


async def request_sweep(ctx: Context) -> int:
    """Request a sweep of every workspace, once per `blob_grace_s`; return their number."""
    found = await accounts.workspaces(ctx)
    for workspace in found:
        async with ctx.db.begin(workspace) as tx:
            turn = int((await clock(tx)).timestamp() / ctx.settings.blob_grace_s)
            await ctx.jobs.send(tx, SWEEP, {}, key=f"{SWEEP}:{turn}")
    return len(found)


async def sweep(ctx: Context, workspace: str, *, dry_run: bool = False) -> Orphans:
    """Delete the workspace's blobs that nothing has referred to for `blob_grace_s`.

    Return how many they were. Idempotent, and safe beside whoever writes: see
    `core/blobs/references.py`.
    """
    async with ctx.db.read(workspace) as tx:
        before = await clock(tx) - timedelta(seconds=ctx.settings.blob_grace_s)
    if not dry_run:
        async with ctx.db.begin(workspace) as tx:
            await references.mark(tx)
    blobs = size = 0
    async for page in _pages(ctx.blobs.list(workspace)):
        old = {one.id: one.size for one in page if one.stored_at < before}
        async with ctx.db.read(workspace) as tx:
            going = await references.unneeded(tx, old, before=before)
        if going and not dry_run:
            async with ctx.db.begin(workspace) as tx:
                going = await references.remove(tx, going, before=before)
        for id in going:
            if dry_run or await ctx.blobs.delete(workspace, id, before=before):
                blobs, size = blobs + 1, size + old[id]
    return Orphans(blobs=blobs, bytes=size)


async def _pages(found: AsyncIterator[StoredBlob]) -> AsyncIterator[list[StoredBlob]]:
    page: list[StoredBlob] = []
    async for one in found:
        page.append(one)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page


async def quarantined(ctx: Context, who: Who, *, after: str, limit: int) -> Page[QuarantinedRow]:
    """List what was acknowledged but cannot be read.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await quarantine.page(tx, after=after, limit=limit)
    return quarantine.BY_KEY.page(rows, limit, _quarantined_row)


def _quarantined_row(row: sa.Row[Any]) -> QuarantinedRow:
    return QuarantinedRow(
        id=row.key,
        stream=row.stream,
        subject=row.subject,
        reason=row.reason,
        bytes=row.size,
        received_at=datetime.fromtimestamp(row.received_ms / 1000, UTC),
    )


async def retry_quarantined(ctx: Context, who: Who, wanted: QuarantineRetry) -> Retried:
    """Let rows in quarantine wait for a segment again: the next compaction reads them anew."""
    ids = wanted.ids and [id.lower() for id in wanted.ids]
    async with ctx.db.begin(who.workspace) as tx:
        return Retried(rows=await quarantine.release(tx, ids))


async def delete_quarantined(ctx: Context, who: Who, id: str) -> None:
    """Delete a row in quarantine, for good: its id may be used again.

    Raises: Missing.
    """
    async with ctx.db.begin(who.workspace) as tx:
        if not await quarantine.remove(tx, id.lower()):
            raise Missing(noun="row in quarantine", id=id)


async def jobs(
    ctx: Context, who: Who, *, state: State | None, topic: str | None, after: str, limit: int
) -> Page[JobInfo]:
    """List background work, newest first.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        return await ctx.jobs.page(tx, state=state, topic=topic, after=after, limit=limit)


async def job(ctx: Context, who: Who, id: str) -> JobInfo:
    """Return one job.

    Raises: JobMissing.
    """
    async with ctx.db.read(who.workspace) as tx:
        return await ctx.jobs.find(tx, id)


async def requeue(ctx: Context, who: Who, wanted: Requeue) -> Requeued:
    """Let dead jobs be tried again.

    Raises: JobMissing, NotDead (a job that `wanted` names; then none is requeued).
    """
    async with ctx.db.begin(who.workspace) as tx:
        count = await ctx.jobs.requeue(tx, ids=wanted.ids, signature=wanted.signature)
    return Requeued(jobs=count)


async def examine(ctx: Context, *, fix: bool = False, requeue: bool = False) -> Diagnosis:
    """Look for damage in everything that is stored, of all workspaces.

    With `fix`, orphans are deleted and counters set right; with `requeue`, dead jobs are to be
    tried again. Nothing else is changed.
    """
    database, wrong = await integrity(ctx.db), await recount(ctx.db, repair=fix)
    miscounted = [f"{workspace}/{queue}" for workspace, queue in wrong]
    unreadable, unknown, dead, unread, blobs, size = [], [], {}, {}, 0, 0
    requeued = 0
    for workspace in await accounts.workspaces(ctx):
        unreadable += [line async for line in _unreadable(ctx, workspace)]
        wrong_here = await data.recount(ctx, workspace, repair=fix)
        miscounted += [f"{workspace}/{counter}" for counter in wrong_here]
        async with ctx.db.read(workspace) as tx:
            unknown += [f"{workspace}/{row}" for row in await references.unknown(tx)]
            if letters := await ctx.jobs.dead(tx):
                dead[workspace] = letters
            for stream, rows in (await inbox.row_counts(tx)).items():
                if rows.quarantined:
                    unread[f"{workspace}/{stream}"] = rows.quarantined
        if requeue and workspace in dead:
            async with ctx.db.begin(workspace) as tx:
                requeued += await ctx.jobs.requeue(tx)
        found = await sweep(ctx, workspace, dry_run=not fix)
        blobs, size = blobs + found.blobs, size + found.bytes
    return Diagnosis(
        healthy=not (database or unreadable or unknown or (dead and not requeue) or unread),
        database=database,
        unreadable=unreadable,
        unknown=unknown,
        dead=dead,
        requeued=requeued,
        quarantined=unread,
        miscounted=miscounted,
        orphans=Orphans(blobs=blobs, bytes=size),
        fixed=fix,
    )


async def _unreadable(ctx: Context, workspace: str) -> AsyncIterator[str]:
    """Read every blob that rows refer to; yield those rows, with the reason, where it is broken."""
    after = ""
    while True:
        async with ctx.db.read(workspace) as tx:
            some = await references.referred(tx, after=after, limit=_PAGE)
        for id in some:
            try:
                async for _ in ctx.blobs.stream(workspace, id):
                    pass
            except (BlobMissing, BlobCorrupt, OSError) as error:
                async with ctx.db.read(workspace) as tx:
                    rows = await references.referrers(tx, id)
                yield f"{workspace}/{', '.join(rows)}: {error}"
        if len(some) < _PAGE:
            return
        after = some[-1]
