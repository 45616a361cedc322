"""Records on their way in: read by their kind, stored durably, each accepted or refused by itself.

A payload that is too large for a row becomes a blob before the one commit that acknowledges its
record, and that commit refers to it: no sweep takes it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from blake3 import blake3
from msgspec.structs import replace

from volano.core.segments.inbox import Row
from volano.data import limited, records
from volano.data.datasets import store
from volano.data.ingest import INLINE, Head, Item, encode_head
from volano.data.kinds import KINDS, Kind, Reading
from volano.data.kinds.kind import LARGEST, Span
from volano.data.state import State
from volano.schemas.common import composed, utc_now, uuid7
from volano.schemas.datasets import (
    ContentEmpty,
    ContentTooLarge,
    DatasetArchived,
    Facts,
    FieldsDiffer,
    MediaTypeOfKind,
    NewItem,
    NewValue,
    Outcome,
    RecordIdReused,
)
from volano.schemas.errors import Missing, Unavailable, VolanoError

if TYPE_CHECKING:
    from volano.core.blobs import Blobs
    from volano.core.context import Context
    from volano.schemas.accounts import Who

ANY_BYTES = ("", "application/octet-stream")
"""What clients say that do not know the media type: the kind finds out."""

_TOGETHER = 4 * 2**20
"""Bytes of payloads in one commit."""

_AT_ONCE = 4
"""Items of one request that are read side by side."""


@dataclass(frozen=True, slots=True)
class Value:
    """The bytes of one field as they came, in memory or in a file."""

    data: bytes | Path
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """An item on its way in: what is known of it, and the value of each of its fields."""

    item: NewItem
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Content:
    """What reading an item gives: where its payload is, and its facts."""

    payload: bytes
    blob: str | None
    size: int
    facts: Facts
    sha256: bytes
    spans: list[Span]


async def add(
    ctx: Context, who: Who, dataset: str, items: Sequence[NewItem | Arrived]
) -> list[Outcome]:
    """Store records durably; each is stored or refused by itself, in the order given.

    Raises: Missing (the dataset), DatasetArchived; Overloaded, DatabaseUnavailable.
    """
    told = await _add(ctx, who, dataset, items)
    return [
        _refused(one.item if isinstance(one, Arrived) else one, outcome)
        if isinstance(outcome, VolanoError)
        else replace(outcome, name=(one.item if isinstance(one, Arrived) else one).name)
        for one, outcome in zip(items, told, strict=True)
    ]


async def add_one(ctx: Context, who: Who, dataset: str, one: Arrived) -> Outcome:
    """Store one record durably.

    Raises: what `add` raises, and what is wrong with the record.
    """
    (told,) = await _add(ctx, who, dataset, [one])
    if isinstance(told, VolanoError):
        raise told
    return replace(told, name=one.item.name)


async def _add(
    ctx: Context, who: Who, dataset: str, items: Sequence[NewItem | Arrived]
) -> list[Outcome | VolanoError]:
    fields = await open_fields(ctx, who, dataset)
    told: dict[int, Outcome | VolanoError] = {}
    rows: dict[int, Row] = {}
    size = 0
    for start in range(0, len(items), _AT_ONCE):
        some = items[start : start + _AT_ONCE]
        made = await asyncio.gather(*(_made(ctx, who, dataset, fields, one) for one in some))
        for number, row in enumerate(made, start):
            if isinstance(row, VolanoError):
                told[number] = row
            else:
                rows[number] = row
                size += len(row.payload)
        if size >= _TOGETHER:  # so that memory is bounded
            told |= await _commit(ctx, who, dataset, rows)
            rows, size = {}, 0
    told |= await _commit(ctx, who, dataset, rows)
    return [told[number] for number in range(len(items))]


async def _made(
    ctx: Context, who: Who, dataset: str, fields: Mapping[str, str], given: NewItem | Arrived
) -> Row | VolanoError:
    """Return an item as a row for the inbox, or why it is refused.

    Raises: an Unavailable, which says nothing against the item: the same request may be sent again.
    """
    try:
        one = given if isinstance(given, Arrived) else _arrived(given, fields)
        return await make_row(ctx, who, dataset, fields, one)
    except Unavailable:
        raise
    except VolanoError as error:
        return error


async def open_fields(ctx: Context, who: Who, dataset: str) -> dict[str, str]:
    """Return the kinds of a dataset's fields.

    Raises: Missing, DatasetArchived.
    """
    async with ctx.db.read(who.workspace) as tx:
        row = await store.find(tx, dataset)
    if row is None:
        raise Missing(noun="dataset", id=dataset)
    if row.archived_at is not None:
        raise DatasetArchived(name=dataset)
    return dict(row.fields)


async def _commit(
    ctx: Context, who: Who, dataset: str, rows: Mapping[int, Row]
) -> dict[int, Outcome | VolanoError]:
    """Store rows durably; return what became of each, by its number."""
    stored = await ctx.part(State).inbox.append(who.workspace, list(rows.values()))
    pairs = list(zip(rows.items(), stored, strict=True))
    again = [row.key for (_, row), there in pairs if there.duplicate]
    homes = await records.datasets(ctx, who.workspace, again)
    told: dict[int, Outcome | VolanoError] = {}
    for (number, row), there in pairs:
        if there.content == row.content and homes.get(row.key, dataset) == dataset:
            told[number] = Outcome(id=row.key, stored=True, duplicate=there.duplicate)
        else:
            told[number] = RecordIdReused(id=row.key)
    return told


def _refused(item: NewItem, error: VolanoError) -> Outcome:
    return Outcome(
        id=item.id or "",
        name=item.name,
        stored=False,
        code=error.code,
        detail=error.message,
        remedy=error.advice,
    )


def _arrived(item: NewItem, fields: Mapping[str, str]) -> Arrived:
    """Return an item of a JSON body with its values.

    Raises: FieldsDiffer (it has values by name, of which there is but one field).
    """
    if item.fields:
        return Arrived(item, {name: _value(value) for name, value in item.fields.items()})
    if len(fields) > 1:
        raise FieldsDiffer(wanted=", ".join(fields), given="none by name")
    return Arrived(item, {next(iter(fields)): _value(item)})


def _value(given: NewValue) -> Value:
    """Return the bytes of a value in JSON."""
    if given.data is not None:
        return Value(given.data, given.media_type, len(given.data))
    if given.text is not None:
        data, media_type = given.text.encode("utf-8", "surrogatepass"), "text/plain"
    elif given.json is not None:
        data, media_type = msgspec.json.encode(given.json), "application/json"
    else:
        return Value(b"", given.media_type, 0)
    return Value(data, given.media_type or media_type, len(data))


async def make_row(
    ctx: Context, who: Who, dataset: str, fields: Mapping[str, str], one: Arrived
) -> Row:
    """Return an item as a row for the inbox; its payload is stored already if that is a blob.

    Raises: what the kinds of its fields refuse; FieldsDiffer, MediaTypeOfKind, ContentEmpty,
    ContentTooLarge; BlobsUnavailable, StorageFull.
    """
    if one.values.keys() != fields.keys():
        given = ", ".join(one.values) or "none"
        raise FieldsDiffer(wanted=", ".join(fields), given=given)
    for name, value in one.values.items():
        kind = KINDS[fields[name]]
        _check(name, value, kind, kind.largest if len(fields) == 1 else LARGEST)
    item = one.item
    read = await _read(ctx, who.workspace, fields, one.values)
    content = bytes.fromhex(read.blob[3:]) if read.blob else blake3(read.payload).digest()
    head = Head(
        kind=next(iter(fields.values())),
        label=composed(item.label),
        contributor=item.contributor or who.contributor,
        origin=item.origin,
        device="",
        captured_at=_whole_ms(item.captured_at or utc_now()),
        strokes=0,
        points=0,
        duration_ms=0.0,
        flags=[],
        item=Item(
            dataset=dataset,
            facts=read.facts | ({"name": item.name} if item.name else {}),
            size=read.size,
            sha256=read.sha256,
            split=item.split,
            group=item.group,
            synthetic=item.synthetic,
            spans=read.spans,
            attributes=item.attributes,
        ),
    )
    return Row(
        item.id or str(uuid7()),
        content,
        encode_head(head),
        read.payload,
        head.contributor,
        blob=read.blob,
    )


def _check(field: str, value: Value, kind: Kind, limit: int) -> None:
    """Raise unless the kind may read the value."""
    if not value.size:
        raise ContentEmpty(what=f"the field {field!r}")
    if value.size > limit:
        raise ContentTooLarge(limit=limit, kind=kind.name)
    if value.media_type not in ANY_BYTES and not kind.takes(value.media_type):
        accepted = ", ".join(kind.media_types)
        raise MediaTypeOfKind(kind=kind.name, media_type=value.media_type, accepted=accepted)


async def _read(
    ctx: Context, workspace: str, fields: Mapping[str, str], values: Mapping[str, Value]
) -> _Content:
    """Read a record by the kinds of its fields, and put its payload if that is a blob.

    The payloads of several fields stand one behind the other in that of the record.
    """
    readings = []
    for name, kind in fields.items():
        value = values[name]
        if KINDS[kind].is_opaque and isinstance(value.data, Path) and len(fields) == 1:
            return await _read_file(ctx.blobs, workspace, KINDS[kind], value.data, value)
        data, digest = await asyncio.to_thread(_bytes_of, value)
        pool = ctx.part(State).limited
        readings.append((await limited.read(pool, KINDS[kind], data, value.media_type), digest))
    ((reading, digest), *others) = readings
    spans: list[Span] = []
    if others:
        spans = _spans(fields, [one for one, _ in readings])
        reading = Reading(b"".join(one.payload for one, _ in readings), reading.facts)
        digest = hashlib.sha256(b"".join(one for _, one in readings)).digest()
    payload, size, blob = reading.payload, len(reading.payload), None
    if size > INLINE:
        blob, payload = await ctx.blobs.put(workspace, payload), b""
    return _Content(payload, blob, size, reading.facts, digest, spans)


async def _read_file(
    blobs: Blobs, workspace: str, kind: Kind, path: Path, value: Value
) -> _Content:
    """Store a file as it is, however large: it never comes into memory."""
    beginning = await asyncio.to_thread(_beginning, path)
    facts = kind.read(beginning, value.media_type).facts
    digest = await asyncio.to_thread(_sha256_of, path)
    blob = await blobs.put_file(workspace, path)
    return _Content(b"", blob, value.size, facts, digest, [])


def _spans(fields: Mapping[str, str], readings: Sequence[Reading]) -> list[Span]:
    spans, start = [], 0
    for (name, kind), (payload, facts) in zip(fields.items(), readings, strict=True):
        size = len(payload)
        spans.append(Span(name=name, kind=kind, start=start, length=size, facts=facts))
        start += size
    return spans


def _bytes_of(value: Value) -> tuple[bytes, bytes]:
    """Return the bytes of a value with their SHA-256."""
    data = value.data.read_bytes() if isinstance(value.data, Path) else value.data
    return data, hashlib.sha256(data).digest()


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(INLINE)


def _sha256_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _whole_ms(moment: datetime) -> datetime:
    """Return a moment as it is stored: a record reads the same before and after it moves."""
    return datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)


def derived_id(*parts: str) -> str:
    """Return a UUID (version 8) that is the same for the same texts."""
    digest = bytearray(blake3("\0".join(parts).encode()).digest(16))
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
