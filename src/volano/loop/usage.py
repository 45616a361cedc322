"""What takes the disk: records by dataset, and blobs by what refers to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from volano.core.blobs import references
from volano.core.segments import compact
from volano.data import service as data
from volano.schemas.usage import BlobUsage, Usage

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.schemas.accounts import Who

_PAGE = 500
"""Blobs that are looked at together."""

_UNREFERENCED = "nothing"


async def usage(ctx: Context, who: Who) -> Usage:
    """Add up what a workspace has stored: it looks at every blob, some thousand a second."""
    blobs, sizes = Counter[str](), Counter[str]()
    page: dict[str, int] = {}

    async def add(some: dict[str, int]) -> None:
        async with ctx.db.read(who.workspace) as tx:
            owners = await _owners(tx, some)
        for id, size in some.items():
            owner = owners.get(id, _UNREFERENCED)
            blobs[owner] += 1
            sizes[owner] += size

    async for one in ctx.blobs.list(who.workspace):
        page[one.id] = one.size
        if len(page) == _PAGE:
            await add(page)
            page = {}
    await add(page)
    return Usage(
        datasets=await data.sizes(ctx, who),
        blobs=[
            BlobUsage(of=owner, blobs=count, bytes=sizes[owner])
            for owner, count in sorted(blobs.items(), key=lambda one: -sizes[one[0]])
        ],
        bytes=sizes.total(),
    )


async def _owners(tx: Tx, ids: dict[str, int]) -> dict[str, str]:
    """Return what refers to each of these blobs: a table, or the stream of a segment."""
    found = await references.owners(tx, ids)
    streams = await compact.streams(tx, ids)
    return found | {blob: f"{stream} in segments" for blob, stream in streams.items()}
