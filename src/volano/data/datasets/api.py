"""Datasets over HTTP: `/datasets`, what goes into them, and what comes out by record."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from volano.core.context import Context
from volano.core.http import ByteStream, Header, RequestLimits, Response, Routes, multipart, ranges
from volano.core.http.page import After, Limit
from volano.core.http.request import JSON
from volano.data import freezing, intake, records, uploads
from volano.data.datasets import service
from volano.schemas import datasets as schemas
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import (
    CursorRefused,
    FormTooLarge,
    FormUnreadable,
    Id,
    Name,
    Page,
    RangeUnsatisfiable,
)
from volano.schemas.datasets import Outcome

datasets = Routes("/datasets", tag="data")
content = Routes("/records", tag="data")
blobs = Routes("", tag="data")

_UPLOAD = RequestLimits(body=2**30, body_s=3600, deadline_ms=600_000)
_KEPT = {"cache-control": "private, max-age=31536000, immutable"}
# What was uploaded must not act in the name of this server, whatever a browser takes it for.
_HARMLESS = {"content-security-policy": "sandbox; default-src 'none'"}

Key = Annotated[Annotated[str, Meta(max_length=200)] | None, Header("idempotency-key")]


class ItemQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the one record whose bytes are the body, or of all files of a form."""

    id: str = ""
    name: str = ""
    label: str = ""
    split: str = ""
    group: str = ""
    contributor: str = ""
    origin: str = ""
    synthetic: bool = False

    def item(self) -> schemas.NewItem:
        """Return it as an item.

        Raises: InvalidValues.
        """
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value}
        return uploads.item(given)


@datasets.post(
    allow="train",
    status=201,
    errors=(NameTaken, schemas.NoSuchKind, schemas.FieldReserved, schemas.DatasetReserved),
)
async def create_dataset(ctx: Context, who: Who, body: schemas.NewDataset) -> schemas.Dataset:
    """Make a dataset: a name, and the kind of what it holds."""
    return await service.create(ctx, who, body)


@datasets.get(allow="read", errors=(CursorRefused,))
async def list_datasets(
    ctx: Context, who: Who, *, after: After = "", limit: Limit = 100
) -> Page[schemas.Dataset]:
    """List datasets by name, without their labels."""
    return await service.datasets(ctx, who, after=after, limit=limit)


@datasets.get("/{name}", allow="read")
async def show_dataset(ctx: Context, who: Who, name: Name) -> schemas.Dataset:
    """Show one dataset with the labels of its records."""
    return await service.dataset(ctx, who, name)


@datasets.patch("/{name}", allow="train")
async def edit_dataset(
    ctx: Context, who: Who, name: Name, body: schemas.DatasetChange
) -> schemas.Dataset:
    """Change what a dataset says of itself, or archive it."""
    return await service.edit(ctx, who, name, body)


@datasets.delete("/{name}", allow="train", errors=(schemas.DatasetNotEmpty,))
async def delete_dataset(ctx: Context, who: Who, name: Name) -> None:
    """Remove a dataset that has no records."""
    await service.remove(ctx, who, name)


@datasets.post(
    "/{dataset}/records",
    allow="train",
    status=201,
    natural=True,
    errors=(
        FormUnreadable,
        FormTooLarge,
        schemas.ContentEmpty,
        schemas.ContentTooLarge,
        schemas.ContentUnreadable,
        schemas.DatasetArchived,
        schemas.FieldsDiffer,
        schemas.MediaTypeOfKind,
        schemas.RecordIdReused,
    ),
    limits=_UPLOAD,
)
async def add_records(
    ctx: Context,
    who: Who,
    dataset: Name,
    body: AsyncIterator[bytes],
    *,
    query: ItemQuery,
    content_type: Annotated[str, Header("content-type")] = "",
    idempotency_key: Key = None,
) -> list[Outcome]:
    """Add records: one raw file, a form of up to 1,000 files, or JSON.

    The Content-Type says which. A raw body is one record, and the query what is known of it. Of
    `multipart/form-data` each part is a file, and the part `items` (JSON: a list) says what is
    known of each, in their order; in a dataset with several fields, a part is named like its field.
    `application/json` is `{"items": [{"text" | "data" | "json": …, "label": …}]}`, with `data` in
    base64.

    Each record is stored, durably, or refused by itself; a single raw one that is refused is an
    error. Without an `id` the server makes one and says so: of the Idempotency-Key, if one is sent,
    so that the same request stores nothing twice.
    """
    fields = await intake.open_fields(ctx, who, dataset)
    media_type = content_type.partition(";")[0].strip().lower()
    shared = query.item()
    async with freezing.scratch() as folder:
        given: list[schemas.NewItem | intake.Arrived]
        if media_type == multipart.MEDIA_TYPE:
            given = [*await uploads.read_form(body, content_type, fields, shared, folder)]
        elif media_type == JSON:
            given = [*await uploads.read_json(body)]
        else:
            raw = await uploads.read_raw(body, media_type, fields, shared, folder)
            (one,) = uploads.identified([raw], who.workspace, dataset, idempotency_key)
            return [await intake.add_one(ctx, who, dataset, one)]
        given = uploads.identified(given, who.workspace, dataset, idempotency_key)
        return await intake.add(ctx, who, dataset, given)


@content.get(
    "/{id}/content",
    allow="read",
    produces="application/octet-stream",
    errors=(schemas.NoSuchField, RangeUnsatisfiable),
)
async def show_content(
    ctx: Context,
    who: Who,
    id: Id,
    *,
    field: str = "",
    range: Annotated[str | None, Header("range")] = None,
) -> ByteStream:
    """Send the payload of a record, or one of its fields, or the bytes that `Range` asks for."""
    found = await records.sized(ctx, who, id)
    span = found.span(field)
    start, length = ranges.wanted(range, span.length)
    headers = _KEPT | _HARMLESS
    if name := found.record.facts.get("name"):
        headers["content-disposition"] = f"inline; filename*=UTF-8''{quote(str(name))}"
    chunks = records.stream(ctx, who.workspace, found, span.start + start, length)
    media_type = str(span.facts.get("media_type") or "application/octet-stream")
    return await ranges.stream(
        chunks, media_type, start=start, length=length, size=span.length, headers=headers
    )


@content.get(
    "/{id}/preview",
    allow="read",
    produces="image/png",
    errors=(schemas.NoPreview, schemas.NoSuchField),
)
async def show_preview(
    ctx: Context,
    who: Who,
    id: Id,
    *,
    size: Annotated[int, Meta(ge=16, le=1024)] = 256,
    field: str = "",
) -> Response:
    """Show a small picture of a record, or its first lines."""
    made = await records.preview(ctx, who, id, size_px=size, field=field)
    return Response(made.data, 200, _KEPT | _HARMLESS, made.media_type)


@blobs.post("/blobs:lookup", allow="read", natural=True)
async def look_up(ctx: Context, who: Who, body: schemas.Lookup) -> schemas.Known:
    """Tell which bytes are here, by their SHA-256, and the records that were sent so.

    What came in the last seconds may not be found yet.
    """
    return await service.known(ctx, who, body.sha256)


routes = (datasets, content, blobs)
