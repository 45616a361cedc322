"""Blobs that nothing refers to: what a crash left between a blob and its transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from volano.core.db import Tx
from volano.core.jobs.ledger import clock
from volano.core.segments.merge import forget_retired
from volano.schemas.blobs import BlobId, Orphans

if TYPE_CHECKING:
    from volano.core.blobs import StoredBlob
    from volano.core.context import Context

_PAGE = 1000

Named = Callable[[Tx, Sequence[BlobId]], Awaitable[set[BlobId]]]
"""Which of these blobs a stage refers to, in the transaction's workspace."""


async def sweep(
    ctx: Context, workspace: str, named: Sequence[Named], *, dry_run: bool = False
) -> Orphans:
    """Delete the workspace's blobs that are older than `blob_grace_s` and that nothing refers to.

    Safe beside whoever writes: a blob is put, again if need be, within that time before the
    transaction that refers to it, and one that was put again meanwhile is not deleted. Idempotent.
    """
    grace_s = ctx.settings.blob_grace_s
    async with ctx.db.read(workspace) as tx:
        before = await clock(tx) - timedelta(seconds=grace_s)
    blobs = size = 0
    async for page in _pages(ctx.blobs.list(workspace)):
        old = {one.id: one for one in page if one.stored_at < before}
        async with ctx.db.read(workspace) as tx:
            for ask in named:
                for id in await ask(tx, list(old)) if old else ():
                    del old[id]
        for one in old.values():
            if dry_run or await ctx.blobs.delete(workspace, one.id, before=before):
                blobs, size = blobs + 1, size + one.size
    if not dry_run:
        async with ctx.db.begin(workspace) as tx:
            await forget_retired(tx, grace_s=grace_s)
    return Orphans(blobs=blobs, bytes=size)


async def _pages(found: AsyncIterator[StoredBlob]) -> AsyncIterator[list[StoredBlob]]:
    page: list[StoredBlob] = []
    async for one in found:
        page.append(one)
        if len(page) == _PAGE:
            yield page
            page = []
    yield page
