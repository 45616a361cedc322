"""What a record is between its arrival and its place in a segment. Values in, values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import Meta

from volano.core.db import Tx
from volano.core.segments.inbox import Row
from volano.core.segments.quarantine import reason_of
from volano.data.kinds import KINDS, Kind
from volano.data.kinds.kind import Span, rate
from volano.schemas.data import Quality, Quarantined, Record, RecordField, UnknownRecordKind
from volano.schemas.datasets import DRAWINGS, Facts

PAYLOAD = "payload"
QUALITY = "quality_parts"
FACTS = "facts"
SPANS = "fields"
BLOB = "blob"
INLINE = 2**18
"""Bytes of a payload that ride in the inbox and in segments; a larger one is a blob of its own."""

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Item(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a record has beside that no drawing of the game has: fields are only added at the end.

    A head without one is a drawing of the game, and as small as before there were others.
    """

    dataset: Annotated[str, Meta(max_length=100)]
    facts: Facts = {}
    size: Annotated[int, Meta(ge=0)] = 0
    sha256: Annotated[bytes, Meta(max_length=32)] = b""
    split: Annotated[str, Meta(max_length=32)] = ""
    group: Annotated[str, Meta(max_length=200)] = ""
    synthetic: bool = False
    spans: list[Span] = []
    """Of a record with several fields, in their order."""
    attributes: dict[Annotated[str, Meta(max_length=100)], Any] = {}
    """What is stated of the record as it arrives, such as its boxes."""


class Head(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The small facts of a record; an array on the wire: fields are only added at the end.

    What the columns of index and segment cannot hold is refused here.
    """

    kind: Annotated[str, Meta(max_length=16)]
    label: Annotated[str, Meta(max_length=200)]
    contributor: Annotated[str, Meta(max_length=64)]
    origin: Annotated[str, Meta(max_length=100)]
    device: Annotated[str, Meta(max_length=16)]
    captured_at: Annotated[datetime, Meta(tz=True)]
    strokes: Count
    points: Count
    duration_ms: Annotated[float, Meta(ge=0, le=1e12)]
    flags: Annotated[list[Annotated[str, Meta(max_length=27)]], Meta(max_length=7)]
    item: Item | None = None

    @property
    def dataset(self) -> str:
        """The dataset that the record is in."""
        return self.item.dataset if self.item else DRAWINGS

    @property
    def spans(self) -> list[Span]:
        """The fields of a record that has several."""
        return self.item.spans if self.item else []

    @property
    def facts(self) -> Facts:
        """Facts that the kind states of the record."""
        if self.item:
            return self.item.facts
        return {"strokes": self.strokes, "points": self.points, "duration_ms": self.duration_ms}


_DRAWN = Item(dataset=DRAWINGS)

encode_head = msgspec.msgpack.Encoder().encode
"""A head as the inbox keeps it."""
decode_head = msgspec.msgpack.Decoder(Head).decode
"""Its inverse. Raises: msgspec.MsgspecError."""

_encode_quality = _encode_json = msgspec.json.Encoder().encode
decode_quality = msgspec.json.Decoder(Quality).decode
"""Reads a quality as a segment keeps it."""

Moved = Callable[[Tx, Sequence[Head]], Awaitable[None]]
"""What else happens in the transaction that puts records on the shelf."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What is read of a row before it goes onto the shelf."""

    head: Head
    score: float
    parts: bytes
    """The whole quality, as the segment keeps it."""


def read(row: Row, kinds: Mapping[str, Kind] = KINDS) -> Scored:
    """Return a row's facts and quality.

    Raises: whatever is wrong with the row, so that it goes into quarantine and not onto the shelf.
    """
    head = decode_head(row.head)
    if "\0" in head.kind + head.label + head.contributor + head.origin + head.device:
        raise ValueError("a text with the character NUL, which PostgreSQL does not store")
    parts = _encode_quality(_score(head, row.payload, kinds))
    return Scored(head, decode_quality(parts).score, parts)  # a score that is none is refused


def _score(head: Head, payload: bytes, kinds: Mapping[str, Kind]) -> Quality:
    """Rate a record by its kind; one with several fields by all parts of all of them."""
    for kind in (head.kind, *(span.kind for span in head.spans)):
        if kind not in kinds:
            raise UnknownRecordKind(kind=kind)
    if not head.spans:
        return kinds[head.kind].score(payload, head.facts)
    parts = [
        (f"{span.name}.{part.name}", part.value, part.reason)
        for span in head.spans
        for part in kinds[span.kind].score(span.of(payload), span.facts).parts
    ]
    return rate(*parts)


def table(rows: Sequence[Row], scored: Sequence[Scored]) -> pa.Table:
    """Return the rows as a segment: promoted columns beside the payload, for any engine to read."""
    heads = [one.head for one in scored]
    items = [head.item or _DRAWN for head in heads]
    return pa.table(
        {
            "id": [row.key for row in rows],
            "dataset": [item.dataset for item in items],
            "kind": [head.kind for head in heads],
            "label": [head.label for head in heads],
            "split": [item.split for item in items],
            "group": [item.group for item in items],
            "synthetic": [item.synthetic for item in items],
            "contributor": [head.contributor for head in heads],
            "origin": [head.origin for head in heads],
            "device": [head.device for head in heads],
            "captured_at": pa.array([h.captured_at for h in heads], pa.timestamp("ms", "UTC")),
            "received_ms": pa.array([row.received_ms for row in rows], pa.int64()),
            "sha256": pa.array([item.sha256 or None for item in items], pa.binary()),
            FACTS: [_encode_json(head.facts).decode() for head in heads],
            SPANS: pa.array([spans_text(item.spans) for item in items], pa.string()),
            "flags": pa.array([head.flags for head in heads], pa.list_(pa.string())),
            "quality": pa.array([one.score for one in scored], pa.float32()),
            QUALITY: [one.parts for one in scored],
            BLOB: pa.array([row.blob for row in rows], pa.string()),
            PAYLOAD: [row.payload for row in rows],
        }
    )


def shelf_rows(rows: Sequence[Row], scored: Sequence[Scored], segment: str) -> list[dict[str, Any]]:
    """Return the rows of the record index, in the order in which they stand in the segment."""
    return [
        {
            "id": row.key,
            "content": row.content,
            "dataset": item.dataset,
            "kind": one.head.kind,
            "label": one.head.label,
            "split": item.split,
            "group": item.group,
            "synthetic": item.synthetic,
            "contributor": one.head.contributor,
            "origin": one.head.origin,
            "device": one.head.device,
            "quality": one.score,
            "flags": flags_text(one.head.flags),
            "facts": one.head.facts,
            "fields": [msgspec.structs.asdict(span) for span in item.spans] or None,
            "bytes": item.size or len(row.payload),
            "sha256": item.sha256 or None,
            "captured_at": one.head.captured_at,
            "received_at": _moment(row),
            "segment": segment,
            "row": number,
            "blob": row.blob,
        }
        for number, (row, one) in enumerate(zip(rows, scored, strict=True))
        for item in (one.head.item or _DRAWN,)
    ]


def statements(rows: Sequence[Row], scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Return what is stated of the rows as they arrive, as rows of the table of attributes."""
    return [
        {
            "record": row.key,
            "sequence": sequence,
            "name": name,
            "value": value,
            "by": "",
            "at": _moment(row),
        }
        for row, one in zip(rows, scored, strict=True)
        if one.head.item
        for sequence, (name, value) in enumerate(sorted(one.head.item.attributes.items()), 1)
    ]


def waiting_head(row: Row) -> Head:
    """Return the head of a row in the inbox.

    Raises: Quarantined (it is, or cannot be read, so that it will be in a moment).
    """
    if row.reason is not None:
        raise Quarantined(noun="record", id=row.key, reason=row.reason)
    try:
        return decode_head(row.head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Quarantined(noun="record", id=row.key, reason=reason_of(error)) from None


def waiting_record(row: Row) -> Record:
    """Return a record as it is shown while it waits in the inbox: not scored yet.

    Raises: Quarantined (it is, or its head cannot be read, so that it will be in a moment).
    """
    head = waiting_head(row)
    item = head.item or _DRAWN
    return Record(
        id=row.key,
        content=row.content.hex(),
        sha256=item.sha256.hex(),
        dataset=item.dataset,
        kind=head.kind,
        label=head.label,
        split=item.split,
        group=item.group,
        synthetic=item.synthetic,
        contributor=head.contributor,
        origin=head.origin,
        device=head.device,
        flags=head.flags,
        facts=head.facts,
        fields=fields(item.spans),
        bytes=item.size or len(row.payload),
        captured_at=head.captured_at,
        received_at=_moment(row),
    )


def fields(spans: Sequence[Span]) -> dict[str, RecordField]:
    """Return the fields of a record as they are shown."""
    return {
        span.name: RecordField(kind=span.kind, bytes=span.length, facts=span.facts)
        for span in spans
    }


def spans(kept: list[dict[str, Any]] | None) -> list[Span]:
    """Return the fields of a record as its index keeps them."""
    return [Span(**one) for one in kept or ()]


def spans_text(spans: Sequence[Span]) -> str | None:
    """Return the fields of a record as a segment keeps them; None of a record that has one."""
    return _encode_json(spans).decode() if spans else None


def flags_text(flags: Sequence[str]) -> str:
    """Return flags as one column that LIKE can search: `|a|b|`, empty for none."""
    return f"|{'|'.join(flags)}|" if flags else ""


def flags_list(text: str) -> list[str]:
    """Return the flags of such a column."""
    return [flag for flag in text.split("|") if flag]


def _moment(row: Row) -> datetime:
    return datetime.fromtimestamp(row.received_ms / 1000, UTC)
