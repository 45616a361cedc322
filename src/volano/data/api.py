"""The shelf over HTTP: `/records` and `/snapshots`."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from volano.core.context import Context
from volano.core.http import ByteStream, RequestLimits, Response, Routes
from volano.core.http.page import After, Limit
from volano.data import service
from volano.data.attributes import api as attributes_api
from volano.data.datasets import api as datasets_api
from volano.data.deletion import api as deletion_api
from volano.data.formats import render
from volano.data.kinds import document, drawing
from volano.data.kinds.kind import Stored
from volano.schemas import data as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import CursorRefused, Id, Page, Uuid
from volano.schemas.drawings import BadImageSize, Drawing
from volano.schemas.errors import Missing

records = Routes("/records", tag="data")
snapshots = Routes("/snapshots", tag="data")

_IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}

Words = Annotated[tuple[schemas.Pattern, ...], Meta(max_length=100)]


class RecordQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which records: every parameter given must hold, of a repeated one any."""

    dataset: Words = ()
    kind: Words = ()
    label: Words = ()
    split: Words = ()
    synthetic: bool | None = None
    origin: Words = ()
    contributor: Words = ()
    without_flag: Words = ()
    min_quality: Annotated[float, Meta(ge=0, le=1)] | None = None
    received_before: Annotated[datetime, Meta(tz=True)] | None = None

    def filter(self) -> schemas.RecordFilter:
        """Return the filter that it asks for."""
        return schemas.RecordFilter(
            datasets=list(self.dataset),
            kinds=list(self.kind),
            labels=list(self.label),
            splits=list(self.split),
            synthetic=self.synthetic,
            origins=list(self.origin),
            contributors=list(self.contributor),
            without_flags=list(self.without_flag),
            min_quality=self.min_quality,
            received_before=self.received_before,
        )


@records.get(allow="read", errors=(CursorRefused,))
async def list_records(
    ctx: Context, who: Who, *, query: RecordQuery, after: After = "", limit: Limit = 100
) -> Page[schemas.Record]:
    """List records on the shelf, by id; a drawing gets there some seconds after its receipt.

    A page looks at a bounded number of records: it may hold fewer than `limit`, even none, and
    still have a `next` to go on with.
    """
    return await service.page(ctx, who, query.filter(), after=after, limit=limit)


@records.get("/count", allow="read")
async def count_records(ctx: Context, who: Who, *, query: RecordQuery) -> schemas.RecordCount:
    """Count the records on the shelf that a listing with the same parameters has."""
    return await service.count(ctx, who, query.filter())


@records.get("/export", allow="export", produces="application/jsonl")
async def export(ctx: Context, who: Who, *, query: RecordQuery) -> ByteStream:
    """Send every record of the filter with its content, one JSON document a line.

    Text stands in it as it is, bytes in base64; those of more than 20 MB are left out.
    """
    return ByteStream(_lines(ctx, who, query.filter()), "application/jsonl")


async def _lines(ctx: Context, who: Who, wanted: schemas.RecordFilter) -> AsyncIterator[bytes]:
    async for one in service.contents(ctx, who, wanted):
        yield msgspec.json.encode(document(one)) + b"\n"


@records.get("/{id}", allow="read")
async def show_record(ctx: Context, who: Who, id: Id) -> schemas.Record:
    """Show one record."""
    return await service.record(ctx, who, id)


@records.get("/{id}/drawing", allow="read")
async def show_drawing(ctx: Context, who: Who, id: Id) -> Drawing:
    """Show one drawing with its strokes, and why its quality is what it is."""
    return drawing.document(await _drawing(ctx, who, id))


@records.get("/{id}/image", allow="read", produces="image/png", errors=(BadImageSize,))
async def show_image(
    ctx: Context, who: Who, id: Id, *, format: Literal["png", "svg"] = "png", size: int = 256
) -> Response:
    """Draw a drawing, 16 to 1,024 px a side as PNG, to 10,000 as SVG; the same bytes each time."""
    payload = (await _drawing(ctx, who, id)).payload
    if format == "svg":
        headers = _IMMUTABLE | {"content-security-policy": "sandbox"}
        return Response(render.svg(payload, size), 200, headers, "image/svg+xml")
    # In a thread: a large picture of a full drawing takes long enough to hold up everybody else.
    png = await asyncio.to_thread(render.png, payload, size)
    return Response(png, 200, _IMMUTABLE, "image/png")


async def _drawing(ctx: Context, who: Who, id: str) -> Stored:
    """Return a record that is a drawing.

    Raises: Missing (there is none, or it is of another kind).
    """
    found = await service.content(ctx, who, id)
    if found.record.kind != drawing.DRAWING.name:
        raise Missing(noun="drawing", id=id)
    return found


@snapshots.post(
    allow="train",
    status=201,
    natural=True,
    errors=(
        schemas.NothingMatches,
        schemas.SeveralKinds,
        schemas.EmptySplit,
        schemas.NobodyTests,
        schemas.NotStratified,
    ),
    limits=RequestLimits(deadline_ms=300_000),  # millions of records: a client waits as long
)
async def freeze(ctx: Context, who: Who, body: schemas.NewSnapshot) -> schemas.Snapshot:
    """Freeze the records that fit a filter; equal lists have one id, under each of their names."""
    return await service.freeze(ctx, who, body)


@snapshots.get(allow="read", errors=(CursorRefused,))
async def list_snapshots(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Snapshot]:
    """List snapshots, newest first."""
    return await service.snapshots(ctx, who, after=after, limit=limit)


@snapshots.get("/{id}", allow="read")
async def show_snapshot(ctx: Context, who: Who, id: Id) -> schemas.Snapshot:
    """Show one snapshot, by its id or its name (then the newest)."""
    return await service.frozen(ctx, who, id)


@snapshots.get("/{id}/records", allow="read")
async def list_snapshot_records(
    ctx: Context, who: Who, id: Id, *, after: Uuid | None = None, limit: Limit = 1000
) -> Page[schemas.SnapshotRecord]:
    """List what is in a snapshot, by record id."""
    return await service.snapshot_records(ctx, who, id, after=after, limit=limit)


@snapshots.get("/{id}/splits/{split}", allow="export", produces="application/vnd.apache.parquet")
async def download_split(ctx: Context, who: Who, id: Id, split: schemas.Split) -> ByteStream:
    """Download one split as Parquet: what a run reads, for training without a server."""
    chunks = await service.split_file(ctx, who, id, split)
    return ByteStream(chunks, "application/vnd.apache.parquet")


routes = (*datasets_api.routes, *attributes_api.routes, *deletion_api.routes, records, snapshots)
