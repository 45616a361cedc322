"""What a kind of records is: a few pure functions over bytes."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from volano.schemas.data import ExportedRecord, ExportedValue, Quality, Record
from volano.schemas.datasets import Facts

LARGEST = 20 * 2**20
"""Bytes of one item that come into memory at once."""


class Reading(NamedTuple):
    """An item that has been read: its canonical payload, and what is known about it.

    `facts["media_type"]` is that of the payload.
    """

    payload: bytes
    facts: Facts


class Preview(NamedTuple):
    """A small picture, or a few lines, of an item."""

    media_type: str
    data: bytes


class Span(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Where a named field stands in the payload of its record, and what it is."""

    name: Annotated[str, Meta(max_length=100)]
    kind: Annotated[str, Meta(max_length=16)]
    start: int
    length: int
    facts: Facts

    def of(self, payload: bytes) -> bytes:
        """Return this field of a payload."""
        return payload[self.start : self.start + self.length]


class Stored(NamedTuple):
    """A record with all that is stored of it; the quality is None while it waits to be scored."""

    record: Record
    payload: bytes
    quality: Quality | None
    spans: Sequence[Span] = ()
    """Where its fields stand in the payload, if there are several."""
    attributes: Mapping[str, Any] = MappingProxyType({})
    """What was stated of it beside what the record says, such as its boxes."""

    @property
    def is_whole(self) -> bool:
        """True if the payload is here; one of more than 20 MB is left where it is."""
        return bool(self.payload) or not self.record.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of records. Everything that differs between kinds is here, and nowhere else."""

    name: str
    media_types: tuple[str, ...]
    """What it reads: `*` stands for any characters."""
    read: Callable[[bytes, str], Reading]
    """Reads an item of a media type. Raises: an Invalid or TooMuch (it is none of this kind)."""
    preview: Callable[[bytes, int], Preview]
    """Makes a preview of a payload, so many px wide and high. Raises: NoPreview."""
    score: Callable[[bytes, Facts], Quality]
    """Rates an item by its facts, and by its payload, which is empty where that is a blob."""
    document: Callable[[Stored], Any]
    """Makes what an export says of a record: JSON."""
    largest: int = LARGEST
    """Bytes of the largest item that it reads."""
    is_opaque: bool = False
    """Whether the payload is the bytes as they were sent, so that a large item is streamed, and
    `read` is given its beginning only."""
    is_text: bool = False
    """Whether its payload is text in UTF-8."""
    is_slow: bool = False
    """Whether reading and previews run in processes that are limited in time and memory: the bytes
    come from anybody, and what decodes them is written in C."""

    def takes(self, media_type: str) -> bool:
        """Return whether it reads this media type."""
        return any(fnmatchcase(media_type, pattern) for pattern in self.media_types)


def rate(*parts: tuple[str, float, str], version: str = "1") -> Quality:
    """Return the quality that is the product of these parts: name, value, reason."""
    rated = [{"name": name, "value": value, "reason": reason} for name, value, reason in parts]
    score = 1.0
    for _, value, _ in parts:
        score *= value
    return msgspec.convert(
        {"score": score, "parts": rated, "scorer_version": version}, Quality, strict=True
    )


def text_document(stored: Stored) -> ExportedRecord:
    """Return a record whose payload is text as an export says it."""
    text = stored.payload.decode() if stored.is_whole else None
    return ExportedRecord(**_known(stored), text=text)


def bytes_document(stored: Stored) -> ExportedRecord:
    """Return a record whose payload is bytes as an export says it: in base64."""
    data = _base64(stored.payload) if stored.is_whole else None
    return ExportedRecord(**_known(stored), data=data)


def fields_document(stored: Stored, kinds: Mapping[str, Kind]) -> ExportedRecord:
    """Return a record with several fields as an export says it: each by its kind."""
    values = {}
    for span in stored.spans if stored.is_whole else ():
        data = span.of(stored.payload)
        if kinds[span.kind].is_text:
            values[span.name] = ExportedValue(text=data.decode())
        else:
            values[span.name] = ExportedValue(data=_base64(data))
    return ExportedRecord(**_known(stored), values=values)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _known(stored: Stored) -> dict[str, Any]:
    known = msgspec.structs.asdict(stored.record)
    return known | {"quality_parts": stored.quality, "attributes": dict(stored.attributes)}
