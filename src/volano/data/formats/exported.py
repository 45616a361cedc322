"""What `volano data export` wrote: one record a line, read back as it was."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec

from volano.data.formats.items import Found, Item, Options, Skipped, Value, drawing_id, ending
from volano.data.formats.tree import Tree, beside, shown
from volano.schemas.common import is_uuid
from volano.schemas.data import ExportedRecord, ExportedValue
from volano.schemas.datasets import DRAWINGS
from volano.schemas.drawings import Drawing, ImportedDrawing, NewDrawing
from volano.schemas.imports import ImportUnreadable, LineMalformed

_LONGEST_LINE: Final = 64 << 20
_NOT_IN_IT: Final = "its payload is not in it: it is too large for an export"
_BEGINNING: Final = 4096
_ANY: Final = "drawing"
"""A shape, which a record has as its label."""

_FIELDS: Final = (
    (b"id", b"shape", b"canvas", b"strokes"),
    (b"id", b"dataset", b"kind", b"content", b"facts"),
)
"""Of a drawing, and of any other record."""

_decode_drawing = msgspec.json.Decoder(Drawing).decode
_decode = msgspec.json.Decoder(ExportedRecord).decode


def is_exported(head: bytes) -> bool:
    """Return whether a file begins like an export."""
    line = head.lstrip()[:4000]
    return line.startswith(b"{") and any(
        all(b'"' + name + b'"' in line for name in names) for names in _FIELDS
    )


def files_of(tree: Tree) -> list[str]:
    """Return the paths of the files of a tree that are exports."""
    named = [f.path for f in tree.files if ending(f.path) in ("jsonl", "ndjson") and f.size]
    return [path for path in named if is_exported(tree.head(path, 4096))]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield every record, line by line.

    Raises: ImportUnreadable.
    """
    paths = [options.main] if options.main else files_of(tree)
    if not paths:
        raise ImportUnreadable(name=tree.name, reason="there is no export in it")
    for path in paths:
        with tree.stream(path) as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                if line.strip():
                    yield _found(path, number, line)
    if not options.main:
        for file in tree.files:
            if file.path not in paths:
                yield beside(file.path, "it is no export")


def _found(path: str, number: int, line: bytes) -> Found:
    locator = f"{shown(path)}#{number}"
    try:
        if b'"strokes":[' in line[:_BEGINNING]:
            return _drawing(locator, line)
        return _record(locator, _decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        malformed = LineMalformed(line=number, name=shown(path), reason=str(error))
        return Skipped(locator=locator, error=malformed)


def _record(locator: str, record: ExportedRecord) -> Item:
    """Return a record of any kind but drawings. Raises: ValueError (its payload is not in it)."""
    fields = {
        name: Value(field.kind, str(field.facts.get("media_type") or ""), _bytes(value))
        for name, field in record.fields.items()
        if (value := record.values.get(name)) is not None
    }
    if len(fields) < len(record.fields):
        raise ValueError(_NOT_IN_IT)
    payload = b"".join(one.data for one in fields.values()) if fields else _bytes(record)
    return Item(
        locator=str(record.facts.get("name") or locator),
        kind=record.kind,
        media_type=str(record.facts.get("media_type") or ""),
        read=lambda: payload,
        fields=fields,
        label=record.label,
        split=record.split,
        group=record.group,
        contributor=record.contributor,
        id=record.id,
        dataset=record.dataset,
        synthetic=record.synthetic,
        captured_at=record.captured_at,
        attributes=record.attributes,
    )


def _bytes(given: ExportedRecord | ExportedValue) -> bytes:
    """Return a payload. Raises: ValueError (it is not there, or not in base64)."""
    if given.data is not None:
        return base64.b64decode(given.data, validate=True)
    if given.text is not None:
        return given.text.encode()
    raise ValueError(_NOT_IN_IT)


def _drawing(locator: str, line: bytes) -> Item:
    """Return a drawing; of another dataset than the game's as a record of it.

    Raises: msgspec.MsgspecError.
    """
    drawing = _decode_drawing(line)
    digest = hashlib.blake2b(line, digest_size=16).hexdigest()
    who = drawing.contributor or "unknown"
    new = NewDrawing(
        id=drawing.id if is_uuid(drawing.id) else drawing_id("export", digest),
        shape=drawing.shape,
        canvas=drawing.canvas,
        strokes=drawing.strokes,
        duration_ms=drawing.duration_ms,
        device=drawing.device,
    )
    item = Item(
        locator=locator,
        kind="drawing",
        label=drawing.shape,
        contributor=who,
        drawing=ImportedDrawing(contributor=who, drawing=new),
    )
    if drawing.dataset == DRAWINGS:
        return item
    return replace(
        item,
        media_type="application/json",
        read=lambda: msgspec.json.encode(msgspec.structs.replace(new, shape=_ANY)),
        split=drawing.split,
        group=drawing.group,
        id=new.id,
        dataset=drawing.dataset,
        synthetic=drawing.synthetic,
        captured_at=drawing.captured_at,
        drawing=None,
    )
