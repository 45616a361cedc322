"""What a record is between its arrival and its place in a segment. Values in, values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from volano.core.db import Tx
from volano.core.segments.inbox import Row
from volano.schemas.data import Quality, Record

PAYLOAD = "payload"
QUALITY = "quality_parts"


class Head(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The small facts of a record; an array on the wire: fields are only added at the end."""

    kind: str
    label: str
    contributor: str
    origin: str
    device: str
    captured_at: datetime
    strokes: int
    points: int
    duration_ms: float
    flags: list[str]


encode_head = msgspec.msgpack.Encoder().encode
"""A head as the inbox keeps it."""
decode_head = msgspec.msgpack.Decoder(Head).decode

_json = msgspec.json.Encoder()

Score = Callable[[bytes], Quality]
"""Rates one payload."""

Moved = Callable[[Tx, Sequence[Head]], Awaitable[None]]
"""What else happens in the transaction that puts records on the shelf."""


def table(rows: Sequence[Row], heads: Sequence[Head], qualities: Sequence[Quality]) -> pa.Table:
    """The rows as a segment: promoted columns beside the payload, readable by any engine."""
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
            "quality": pa.array([q.score for q in qualities], pa.float32()),
            QUALITY: [_json.encode(q) for q in qualities],
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
    """A row of a segment beside what the index knows of it."""
    return Content(record, payload, msgspec.json.decode(quality, type=Quality))


def shelf_rows(
    rows: Sequence[Row], heads: Sequence[Head], qualities: Sequence[Quality], segment: str
) -> list[dict[str, Any]]:
    """The rows of the record index, in the order in which they stand in the segment."""
    return [
        {
            "id": row.key,
            "content": row.content,
            "kind": head.kind,
            "label": head.label,
            "contributor": head.contributor,
            "origin": head.origin,
            "device": head.device,
            "quality": quality.score,
            "flags": flags_text(head.flags),
            "strokes": head.strokes,
            "points": head.points,
            "duration_ms": head.duration_ms,
            "captured_at": head.captured_at,
            "received_at": _moment(row),
            "segment": segment,
            "row": number,
        }
        for number, (row, head, quality) in enumerate(zip(rows, heads, qualities, strict=True))
    ]


def waiting_record(row: Row) -> Record:
    """A record as it is shown while it waits in the inbox: not scored yet."""
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
    """Flags as one column that LIKE can search: `|a|b|`, empty for none."""
    return f"|{'|'.join(flags)}|" if flags else ""


def flags_list(text: str) -> list[str]:
    """The flags of such a column."""
    return [flag for flag in text.split("|") if flag]


def _moment(row: Row) -> datetime:
    return datetime.fromtimestamp(row.received_ms / 1000, UTC)
