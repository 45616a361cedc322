"""Bodies of uploads, turned into items: one raw file, a form of many, or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from volano.core.http import multipart
from volano.core.http.multipart import Part
from volano.data.intake import Arrived, Value, derived_id
from volano.schemas.common import FormUnreadable, InvalidValues, UnreadableBody
from volano.schemas.datasets import FieldsDiffer, NewItem, NewItems

IN_MEMORY = 2**18
"""Bytes of a raw body; a larger one goes to a file."""
ITEMS = "items"
"""The part of a form that describes its files."""
_MOST_JSON = 32 * 2**20
_MOST_ITEMS = 8 * 2**20

_decode_items = msgspec.json.Decoder(list[NewItem]).decode
_decode_body = msgspec.json.Decoder(NewItems).decode


async def read_raw(
    body: AsyncIterator[bytes],
    media_type: str,
    fields: Mapping[str, str],
    item: NewItem,
    folder: Path,
) -> Arrived:
    """Return the one item whose bytes are the body; a large one is in a file of the folder.

    Raises: FieldsDiffer (the dataset has several fields, which a form has parts for).
    """
    if len(fields) > 1:
        raise FieldsDiffer(wanted=", ".join(fields), given="none by name")
    data = bytearray()
    size, path, file = 0, folder / "body", None
    try:
        async for piece in body:
            size += len(piece)
            if file is None and size > IN_MEMORY:
                file = path.open("xb")
                file.write(data)
            if file is None:
                data += piece
            else:
                file.write(piece)
    finally:
        if file is not None:
            file.close()
    value = Value(bytes(data) if file is None else path, media_type, size)
    return Arrived(item, {next(iter(fields)): value})


def item(given: Mapping[str, Any]) -> NewItem:
    """Return what the query says of an item.

    Raises: InvalidValues.
    """
    try:
        return msgspec.convert(given, NewItem)
    except msgspec.ValidationError as error:
        raise InvalidValues(reason=str(error), at="query") from None


async def read_json(body: AsyncIterator[bytes]) -> list[NewItem]:
    """Return the items of a JSON document.

    Raises: UnreadableBody, InvalidValues.
    """
    data = bytearray()
    async for piece in body:
        data += piece
        if len(data) > _MOST_JSON:
            raise UnreadableBody(reason=f"more than {_MOST_JSON} bytes of JSON; send a form")
    try:
        return _decode_body(data).items
    except msgspec.ValidationError as error:
        raise InvalidValues(reason=str(error), at="body") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableBody(reason=str(error)) from None


async def read_form(
    body: AsyncIterator[bytes],
    content_type: str,
    fields: Mapping[str, str],
    shared: NewItem,
    folder: Path,
) -> list[Arrived]:
    """Return the items of a form: one a file, or one of all parts that are named like fields.

    The part `items` says what is known of each file, in their order; without it, all are what
    `shared` says.

    Raises: FormUnreadable, FormTooLarge, InvalidValues, FieldsDiffer.
    """
    parts = await multipart.read_form(content_type, body, folder)
    files = [part for part in parts if part.name != ITEMS]
    described = [part for part in parts if part.name == ITEMS]
    items = _described(described[0]) if described else []
    if len(described) > 1 or not files:
        raise FormUnreadable(reason="no files" if not files else "`items` is there twice")
    if len(fields) > 1:
        return _grouped(files, fields, items, shared)
    if described and len(items) != len(files):
        reason = f"`items` has {len(items)} entries for {len(files)} files"
        raise FormUnreadable(reason=reason)
    (field,) = fields
    known = items or [shared] * len(files)
    return [
        Arrived(_named(item, part), {field: _value(part)})
        for item, part in zip(known, files, strict=True)
    ]


def _grouped(
    parts: Sequence[Part], fields: Mapping[str, str], items: Sequence[NewItem], shared: NewItem
) -> list[Arrived]:
    """Return records with several fields: the parts of each come together, one for every field."""
    names = [part.name for part in parts]
    count, odd = divmod(len(parts), len(fields))
    rounds = [parts[start : start + len(fields)] for start in range(0, len(parts), len(fields))]
    if odd or any({part.name for part in some} != fields.keys() for some in rounds):
        raise FieldsDiffer(wanted=", ".join(fields), given=", ".join(names[:20]))
    if items and len(items) != count:
        raise FormUnreadable(reason=f"`items` has {len(items)} entries for {count} records")
    known = items or [shared] * count
    return [
        Arrived(item, {part.name: _value(part) for part in some})
        for item, some in zip(known, rounds, strict=True)
    ]


def _described(part: Part) -> list[NewItem]:
    if part.size > _MOST_ITEMS:
        raise FormUnreadable(reason=f"`items` has more than {_MOST_ITEMS} bytes")
    data = part.data.read_bytes() if isinstance(part.data, Path) else part.data
    try:
        return _decode_items(data)
    except msgspec.ValidationError as error:
        raise InvalidValues(reason=str(error), at="items") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormUnreadable(reason=f"`items` is no JSON: {error}") from None


def _named(item: NewItem, part: Part) -> NewItem:
    """Return what is known of a file, with its own name where no other is given."""
    if item.name or not part.file_name:
        return item
    # Without characters that neither a database nor a terminal shows.
    name = "".join(char for char in part.file_name if char.isprintable())[:200]
    return msgspec.structs.replace(item, name=name)


def _value(part: Part) -> Value:
    return Value(part.data, part.media_type, part.size)


def identified(items: Sequence[Any], workspace: str, dataset: str, key: str | None) -> list[Any]:
    """Return the items, those without an id with one made of the Idempotency-Key, if there is one.

    So a request that is sent again stores nothing twice.
    """
    if not key:
        return list(items)
    made = []
    for number, one in enumerate(items):
        item = one.item if isinstance(one, Arrived) else one
        if item.id is None:
            id = derived_id(workspace, dataset, key, str(number))
            item = msgspec.structs.replace(item, id=id)
        made.append(Arrived(item, one.values) if isinstance(one, Arrived) else item)
    return made
