"""The verbs of records: list them, count them, read one with its payload."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from volano.core.segments import compact, inbox
from volano.core.segments.parquet import Place
from volano.data import ingest, limited, store
from volano.data.attributes import stating
from volano.data.attributes import store as attributes
from volano.data.deletion import store as deletion
from volano.data.ingest import Head
from volano.data.kinds import KINDS
from volano.data.kinds.kind import LARGEST, Preview, Span, Stored
from volano.data.state import STREAM, State
from volano.schemas import data as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, is_uuid
from volano.schemas.datasets import NoPreview, NoSuchField
from volano.schemas.deletion import RecordDeleted
from volano.schemas.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
_PIECE = 2**20
_EXPORTED = 500  # records in memory at once
_EXPORTED_BYTES = 32 * 2**20  # of payloads in memory at once, or one record


async def waiting_heads(tx: Tx, contributor: str) -> list[Head]:
    """Return the facts of a contributor's records that are acknowledged but not on the shelf."""
    heads = []
    for row in await inbox.of_subject(tx, STREAM, contributor):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # of one in quarantine
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
    return (await held(ctx, who, id)).record


async def labels(ctx: Context, workspace: str, ids: Collection[str]) -> dict[str, str]:
    """Return the labels of records by id, also while they wait; none for those in quarantine."""
    return {id: label for id, (_, label) in (await _known(ctx, workspace, ids)).items()}


async def datasets(ctx: Context, workspace: str, ids: Collection[str]) -> dict[str, str]:
    """Return the datasets of records by id, also while they wait; none for those in quarantine."""
    return {id: dataset for id, (dataset, _) in (await _known(ctx, workspace, ids)).items()}


async def _known(ctx: Context, workspace: str, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the dataset and the label of records by id."""
    if not ids:
        return {}
    async with ctx.db.read(workspace) as tx:
        found = await store.labels(tx, ids)
        waiting = await inbox.find(tx, STREAM, [id for id in ids if id not in found])
    for id, row in waiting.items():
        with suppress(schemas.Quarantined):
            head = ingest.waiting_head(row)
            found[id] = head.dataset, head.label
    return found


@dataclass(frozen=True, slots=True)
class Held:
    """A record and where its payload is: in a segment, in a blob, or (waiting) in the inbox."""

    record: schemas.Record
    spans: Sequence[Span]
    place: Place | None
    blob: str | None
    waiting: bytes = b""

    def span(self, field: str) -> Span:
        """Return where a field stands in the payload, and what it is; no name: the first.

        Raises: NoSuchField.
        """
        of = self.record
        if not field and not self.spans:
            return Span(name="", kind=of.kind, start=0, length=of.bytes, facts=of.facts)
        for span in self.spans:
            if field in ("", span.name):
                return span
        known = ", ".join(self.record.fields) or "no named fields"
        raise NoSuchField(id=self.record.id, field=field, known=known)


async def held(ctx: Context, who: Who, id: str) -> Held:
    """Find a record and where its payload is.

    Raises: Missing, RecordDeleted, Quarantined.
    """
    id = id.lower()
    if not is_uuid(id):
        raise Missing(noun="record", id=id)
    async with ctx.db.read(who.workspace) as tx:
        row = await store.record(tx, id)
        if row is not None:
            return _held(row, await compact.places(tx, [row.segment]))
        waiting = (await inbox.find(tx, STREAM, [id])).get(id)
        if waiting is None and await deletion.deleted(tx, [id]):
            raise RecordDeleted(noun="record", id=id)
    if waiting is None:
        raise Missing(noun="record", id=id)
    found = ingest.waiting_record(waiting)
    item = ingest.decode_head(waiting.head).item
    return Held(found, item.spans if item else [], None, waiting.blob, waiting.payload)


async def sized(ctx: Context, who: Who, id: str) -> Held:
    """Find a record like `held`, with the size of its payload, also of one kept without that."""
    found = await held(ctx, who, id)
    if found.record.bytes:
        return found
    size = len(await _payload(ctx, who.workspace, found))
    return replace(found, record=msgspec.structs.replace(found.record, bytes=size))


async def payload(ctx: Context, who: Who, id: str) -> tuple[schemas.Record, bytes]:
    """Return a record and its payload, by one ranged read of its segment or its blob.

    Raises: Missing, Quarantined.
    """
    found = await held(ctx, who, id)
    return found.record, await _payload(ctx, who.workspace, found)


async def content(ctx: Context, who: Who, id: str) -> Stored:
    """Return a record with its payload and its quality in parts.

    Raises: Missing, Quarantined.
    """
    found = await held(ctx, who, id)
    if found.place is None:
        data = await _payload(ctx, who.workspace, found)
        return Stored(found.record, data, None, found.spans)
    return (await _contents(ctx, who.workspace, [found]))[0]


async def preview(ctx: Context, who: Who, id: str, *, size_px: int, field: str) -> Preview:
    """Return a preview of a record, or of one of its fields.

    Raises: Missing, Quarantined, NoSuchField, NoPreview.
    """
    found = await sized(ctx, who, id)
    span = found.span(field)
    if span.length > LARGEST:
        raise NoPreview(kind=span.kind)
    pieces = stream(ctx, who.workspace, found, span.start, span.length)
    data = b"".join([piece async for piece in pieces])
    return await limited.preview(ctx.part(State).limited, KINDS[span.kind], data, size_px)


async def stream(
    ctx: Context, workspace: str, found: Held, start: int, length: int
) -> AsyncGenerator[bytes]:
    """Yield bytes of a payload, in pieces of at most 1 MiB; memory is one piece."""
    if found.blob is None:
        yield (await _payload(ctx, workspace, found))[start : start + length]
    elif (start, length) == (0, found.record.bytes):
        async for piece in ctx.blobs.stream(workspace, found.blob):
            yield piece
    else:
        for at in range(start, start + length, _PIECE):
            size = min(_PIECE, start + length - at)
            yield await ctx.blobs.get_range(workspace, found.blob, at, size)


async def contents(ctx: Context, who: Who, wanted: schemas.RecordFilter) -> AsyncIterator[Stored]:
    """Yield every record of the filter with what is stored of it, by id.

    Memory is one page, of some megabytes of payloads. A payload of more than 20 MB is left out.
    """
    after: str | None = None
    while True:
        async with ctx.db.read(who.workspace) as tx:
            reading = await store.reading(tx, wanted)
            rows, after = await store.page(tx, reading, after=after, limit=_EXPORTED)
            starts = await compact.places(tx, list({row.segment for row in rows}))
            stated = await attributes.tags(tx, [row.id for row in rows], stating.COLUMNS)
        for some in _bounded([_held(row, starts) for row in rows]):
            for one in await _contents(ctx, who.workspace, some):
                yield one._replace(attributes=stated.get(one.record.id, {}))
        if after is None:
            return


def _bounded(found: Sequence[Held]) -> Iterator[Sequence[Held]]:
    """Yield records in runs whose payloads are bounded together."""
    start = size = 0
    for at, one in enumerate(found):
        size += one.record.bytes
        if size > _EXPORTED_BYTES and at > start:
            yield found[start:at]
            start, size = at, one.record.bytes
    yield found[start:]


async def _contents(ctx: Context, workspace: str, placed: Sequence[Held]) -> list[Stored]:
    """Read what is stored of these records, in their order; each row group is read once."""
    found: dict[Place, tuple[bytes, bytes]] = {}
    wanted = sorted({one.place for one in placed if one.place})
    for (blob, size), places in groupby(wanted, key=lambda place: (place.blob, place.size)):
        here = list(places)
        numbers, columns = [place.row for place in here], (ingest.QUALITY, ingest.PAYLOAD)
        rows = await ctx.part(State).segments.rows(workspace, blob, size, numbers, columns)
        values = (rows[column].to_pylist() for column in columns)
        found |= zip(here, zip(*values, strict=True), strict=True)
    made = []
    for one in placed:
        assert one.place is not None, "the caller gives those that are on the shelf"
        quality, data = found[one.place]
        if one.blob is not None and one.record.bytes <= LARGEST:
            data = await ctx.blobs.get(workspace, one.blob)
        made.append(Stored(one.record, data, ingest.decode_quality(quality), one.spans))
    return made


async def _payload(ctx: Context, workspace: str, found: Held) -> bytes:
    if found.blob is not None:
        return await ctx.blobs.get(workspace, found.blob)
    if found.place is None:
        return found.waiting
    return await ctx.part(State).segments.value(workspace, found.place, ingest.PAYLOAD)


def _held(row: sa.Row[Any], starts: Mapping[str, Place]) -> Held:
    """Return a record of the index, and its place in the segment that begins there."""
    first = starts[row.segment]
    place = replace(first, row=first.row + row.row)
    return Held(_record(row), ingest.spans(row.fields), place, row.blob)


def _record(row: sa.Row[Any]) -> schemas.Record:
    return schemas.Record(
        id=row.id,
        content=row.content.hex(),
        sha256=row.sha256.hex() if row.sha256 else "",
        dataset=row.dataset,
        kind=row.kind,
        label=row.label,
        split=row.split,
        group=row.group,
        synthetic=row.synthetic,
        contributor=row.contributor,
        origin=row.origin,
        device=row.device,
        quality=row.quality,
        flags=ingest.flags_list(row.flags),
        facts=row.facts,
        fields=ingest.fields(ingest.spans(row.fields)),
        bytes=row.bytes,
        captured_at=row.captured_at,
        received_at=row.received_at,
    )
