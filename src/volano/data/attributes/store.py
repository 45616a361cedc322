"""The statements of attributes. Every query is bound to one workspace."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Tx
from volano.data.attributes.tables import attributes
from volano.data.tables import records

_AT_ONCE = 5000  # rows in one look: both databases take some 32,000 parameters


async def locked(tx: Tx, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of these records by id, which nobody else changes until the end."""
    query = tx.select(records).where(records.c.id.in_(ids)).order_by(records.c.id)
    return {row.id: dict(row._mapping) for row in await tx.all(query.with_for_update())}


async def change(tx: Tx, ids: Collection[str], values: Mapping[str, Any]) -> None:
    """Set columns of these records."""
    await tx.run(tx.update(records).where(records.c.id.in_(ids)).values(dict(values)))


async def add(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Add statements; each has its number."""
    if rows:
        await tx.run(tx.insert(attributes), rows)


async def last(tx: Tx, ids: Collection[str]) -> dict[str, int]:
    """Return the number of the last statement about each of these records that has any."""
    of = attributes.c
    query = tx.select(of.record, sa.func.max(of.sequence).label("last"))
    rows = await tx.all(query.where(of.record.in_(ids)).group_by(of.record))
    return {row.record: row.last for row in rows}


async def newest(tx: Tx, ids: Collection[str], name: str) -> dict[str, Any]:
    """Return the newest value of an attribute by record, of those of which it was ever stated."""
    of = attributes.c
    found: dict[str, Any] = {}
    wanted = sorted(ids)
    for first in range(0, len(wanted), _AT_ONCE):
        some = of.record.in_(wanted[first : first + _AT_ONCE])
        query = tx.select(of.record, of.value).where(some, of.name == name)
        rows = await tx.all(query.order_by(of.record, of.sequence))
        found |= {row.record: row.value for row in rows}
    return found


async def tags(
    tx: Tx, ids: Collection[str], promoted: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return the newest value of each attribute by record, but for those that are columns."""
    of = attributes.c
    query = tx.select(of.record, of.name, of.value).where(of.record.in_(ids))
    rows = await tx.all(query.where(of.name.not_in(promoted)).order_by(of.record, of.sequence))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row.record, {})[row.name] = row.value
    return found


async def history(tx: Tx, id: str) -> Sequence[sa.Row[Any]]:
    """List all that was stated of a record, in order."""
    query = tx.select(attributes).where(attributes.c.record == id)
    return await tx.all(query.order_by(attributes.c.sequence))


async def forget(tx: Tx, ids: Collection[str]) -> None:
    """Delete all that was stated of these records."""
    await tx.run(tx.delete(attributes).where(attributes.c.record.in_(ids)))
