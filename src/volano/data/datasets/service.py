"""The verbs of datasets: make one, list them, change what one says of itself, remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from volano.data.datasets import store
from volano.data.kinds import KINDS
from volano.data.staging import RESERVED
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import Page, utc_now
from volano.schemas.datasets import (
    DRAWINGS,
    Dataset,
    DatasetChange,
    DatasetNotEmpty,
    DatasetReserved,
    FieldReserved,
    Known,
    NewDataset,
    NoSuchKind,
)
from volano.schemas.errors import Missing
from volano.schemas.usage import DatasetUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from volano.core.context import Context
    from volano.core.db import Tx

_OF_THE_GAME = NewDataset(name=DRAWINGS, fields={"drawing": "drawing"})
_KNOWN_AT_ONCE = 500
_COLUMNS = (
    "name",
    "licence",
    "source",
    "description",
    "created_at",
    "created_by",
    "archived_at",
)


async def create(ctx: Context, who: Who, new: NewDataset) -> Dataset:
    """Make a dataset.

    Raises: NoSuchKind, FieldReserved, DatasetReserved, NameTaken.
    """
    for kind in new.fields.values():
        if kind not in KINDS:
            raise NoSuchKind(kind=kind, known=", ".join(KINDS))
    if reserved := RESERVED & new.fields.keys():
        raise FieldReserved(field=min(reserved), reserved=", ".join(sorted(RESERVED)))
    if new.name == DRAWINGS and new.fields != _OF_THE_GAME.fields:
        raise DatasetReserved(name=new.name)
    row = _row(new, who.member)
    async with ctx.db.begin(who.workspace) as tx:
        if not await store.add(tx, row):
            raise NameTaken(noun="dataset", name=new.name)
    return _shape(row)


async def ensure_drawings(tx: Tx) -> None:
    """Make the dataset of the game, if it is not there."""
    await store.add(tx, _row(_OF_THE_GAME, ""))


async def datasets(ctx: Context, who: Who, *, after: str, limit: int) -> Page[Dataset]:
    """List datasets, by name, each without its labels.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.page(tx, after=after, limit=limit)
        counts = await store.counts(tx, [row.name for row in rows])
    return store.BY_NAME.page(
        rows, limit, lambda row: _shape(row._mapping, counts.get(row.name, 0))
    )


async def dataset(ctx: Context, who: Who, name: str) -> Dataset:
    """Return one dataset with the labels of its records.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        return await _whole(tx, name)


async def edit(ctx: Context, who: Who, name: str, change: DatasetChange) -> Dataset:
    """Change what a dataset says of itself.

    Raises: Missing.
    """
    given = msgspec.structs.asdict(change)
    archived = given.pop("archived")
    values = {field: value for field, value in given.items() if value is not None}
    async with ctx.db.begin(who.workspace) as tx:
        known = await _whole(tx, name)
        if archived is not None and archived != bool(known.archived_at):
            values["archived_at"] = utc_now() if archived else None
        if values:
            await store.change(tx, name, values)
        return await _whole(tx, name)


async def remove(ctx: Context, who: Who, name: str) -> None:
    """Remove a dataset that has no records.

    Raises: Missing, DatasetNotEmpty.
    """
    async with ctx.db.begin(who.workspace) as tx:
        known = await _whole(tx, name)
        if known.records:
            raise DatasetNotEmpty(name=name, records=known.records)
        await store.remove(tx, name)


async def known(ctx: Context, who: Who, digests: Sequence[str]) -> Known:
    """Return which of these SHA-256 digests are those of bytes that records came with."""
    found: dict[str, list[str]] = {}
    async with ctx.db.read(who.workspace) as tx:
        for first in range(0, len(digests), _KNOWN_AT_ONCE):
            some = [bytes.fromhex(one) for one in digests[first : first + _KNOWN_AT_ONCE]]
            for row in await store.sent_before(tx, some):
                found.setdefault(row.sha256.hex(), []).append(row.id)
    return Known(records=found)


async def sizes(ctx: Context, who: Who) -> list[DatasetUsage]:
    """Return how many records each dataset has on the shelf, and the bytes of their payloads."""
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.sizes(tx)
    return [DatasetUsage(name=row.dataset, records=row.records, bytes=row.bytes) for row in rows]


async def _whole(tx: Tx, name: str) -> Dataset:
    row = await store.find(tx, name)
    if row is None:
        raise Missing(noun="dataset", id=name)
    counts = await store.counts(tx, [name])
    labels = await store.labels(tx, name)
    return _shape(row._mapping, counts.get(name, 0), labels)


def _row(new: NewDataset, member: str) -> dict[str, Any]:
    said = msgspec.structs.asdict(new) | {"fields": list(new.fields.items())}
    return said | {"created_at": utc_now(), "created_by": member, "archived_at": None}


def _shape(row: Any, records: int = 0, labels: Sequence[str] = ()) -> Dataset:
    known = {name: row[name] for name in _COLUMNS} | {"fields": dict(row["fields"])}
    return Dataset(**known, records=records, labels=list(labels))
