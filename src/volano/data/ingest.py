"""What a record is between its arrival and its place in a segment. Values in, values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta

from volano.core.db import Tx
from volano.core.segments.inbox import Row
from volano.schemas.data import Quality, Quarantined, Record

PAYLOAD = "payload"
QUALITY = "quality_parts"


Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Head(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The small facts of a record; an array on the wire: fields are only added at the end.

    What the columns of index and segment cannot hold is refused here.
    """

    kind: Annotated[str, Meta(max_length=16)]
    label: Annotated[str, Meta(max_length=100)]
    contributor: Annotated[str, Meta(max_length=64)]
    origin: Annotated[str, Meta(max_length=100)]
    device: Annotated[str, Meta(max_length=16)]
    captured_at: Annotated[datetime, Meta(tz=True)]
    strokes: Count
    points: Count
    duration_ms: Annotated[float, Meta(ge=0, le=1e12)]
    flags: Annotated[list[Annotated[str, Meta(max_length=27)]], Meta(max_length=7)]


encode_head = msgspec.msgpack.Encoder().encode
"""A head as the inbox keeps it."""
decode_head = msgspec.msgpack.Decoder(Head).decode
"""Its inverse. Raises: msgspec.MsgspecError."""

_encode_quality = msgspec.json.Encoder().encode
_decode_quality = msgspec.json.Decoder(Quality).decode

Score = Callable[[Head, bytes], Quality]
"""Rates one record by its facts and its payload."""

Moved = Callable[[Tx, Sequence[Head]], Awaitable[None]]
"""What else happens in the transaction that puts records on the shelf."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What is read of a row before it goes onto the shelf."""

    head: Head
    score: float
    parts: bytes
    """The whole quality, as the segment keeps it."""


def read(score: Score, row: Row) -> Scored:
    """Return a row's facts and quality.

    Raises: whatever is wrong with the row, so that it goes into quarantine and not onto the shelf.
    """
    head = decode_head(row.head)
    if "\0" in head.kind + head.label + head.contributor + head.origin + head.device:
        raise ValueError("a text with the character NUL, which PostgreSQL does not store")
    parts = _encode_quality(score(head, row.payload))
    return Scored(head, _decode_quality(parts).score, parts)  # a score that is none is refused


def table(rows: Sequence[Row], scored: Sequence[Scored]) -> pa.Table:
    """Return the rows as a segment: promoted columns beside the payload, for any engine to read."""
    heads = [one.head for one in scored]
    return pa.table(
        {
            "id": [row.key for row in rows],
            "label": [head.label for head in heads],
            "contributor": [head.contributor for head in heads],
            "origin": [head.origin for head in heads],
            "device": [head.device for head in heads],
            "captured_at": pa.array([h.captured_at for h in heads], pa.timestamp("ms", "UTC")),
            "received_ms": pa.array([row.received_ms for row in rows], pa.int64()),
            "strokes": pa.array([head.strokes for head in heads], pa.int32()),
            "points": pa.array([head.points for head in heads], pa.int32()),
            "duration_ms": pa.array([head.duration_ms for head in heads], pa.float32()),
            "flags": pa.array([head.flags for head in heads], pa.list_(pa.string())),
            "quality": pa.array([one.score for one in scored], pa.float32()),
            QUALITY: [one.parts for one in scored],
            PAYLOAD: [row.payload for row in rows],
        }
    )


@dataclass(frozen=True, slots=True)
class Content:
    """A record, its payload, and why it has its quality (None while it waits to be scored)."""

    record: Record
    payload: bytes
    quality: Quality | None


def content(record: Record, quality: bytes, payload: bytes) -> Content:
    """Return a row of a segment beside what the index knows of it."""
    return Content(record, payload, _decode_quality(quality))


def shelf_rows(rows: Sequence[Row], scored: Sequence[Scored], segment: str) -> list[dict[str, Any]]:
    """Return the rows of the record index, in the order in which they stand in the segment."""
    return [
        {
            "id": row.key,
            "content": row.content,
            "kind": one.head.kind,
            "label": one.head.label,
            "contributor": one.head.contributor,
            "origin": one.head.origin,
            "device": one.head.device,
            "quality": one.score,
            "flags": flags_text(one.head.flags),
            "strokes": one.head.strokes,
            "points": one.head.points,
            "duration_ms": one.head.duration_ms,
            "captured_at": one.head.captured_at,
            "received_at": _moment(row),
            "segment": segment,
            "row": number,
        }
        for number, (row, one) in enumerate(zip(rows, scored, strict=True))
    ]


def waiting_record(row: Row) -> Record:
    """Return a record as it is shown while it waits in the inbox: not scored yet.

    Raises: Quarantined.
    """
    if row.reason is not None:
        raise Quarantined(noun="record", id=row.key, reason=row.reason)
    head = decode_head(row.head)
    return Record(
        id=row.key,
        content=row.content.hex(),
        kind=head.kind,
        label=head.label,
        contributor=head.contributor,
        origin=head.origin,
        device=head.device,
        flags=head.flags,
        strokes=head.strokes,
        points=head.points,
        duration_ms=head.duration_ms,
        captured_at=head.captured_at,
        received_at=_moment(row),
    )


def flags_text(flags: Sequence[str]) -> str:
    """Return flags as one column that LIKE can search: `|a|b|`, empty for none."""
    return f"|{'|'.join(flags)}|" if flags else ""


def flags_list(text: str) -> list[str]:
    """Return the flags of such a column."""
    return [flag for flag in text.split("|") if flag]


def _moment(row: Row) -> datetime:
    return datetime.fromtimestamp(row.received_ms / 1000, UTC)
