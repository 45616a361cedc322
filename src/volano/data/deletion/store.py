"""The statements of deletion. Every query is bound to one workspace."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Tx
from volano.data.deletion.tables import deleted_records
from volano.data.tables import records
from volano.schemas.common import utc_now

Stone = tuple[str, str]
"""Id and segment of a deleted record: one with its id may have come again since."""

_AT_ONCE = 5000  # ids in one look: both databases take some 32,000 parameters
_ERASED_AT_ONCE = 10_000


async def delete(tx: Tx, found: Collection[dict[str, Any]], by: str) -> None:
    """Take these rows off the shelf, and keep where their bytes stand."""
    now = utc_now()
    stones = [
        {name: row[name] for name in ("id", "segment", "row")}
        | {"by": by, "at": now, "erased_at": None}
        for row in found
    ]
    await tx.run(tx.upsert(deleted_records, keys=["workspace", "id", "segment"]), stones)
    await tx.run(tx.delete(records).where(records.c.id.in_([row["id"] for row in found])))


async def deleted(tx: Tx, ids: Collection[str]) -> set[Stone]:
    """Return those of these records that were deleted."""
    return await _stones(tx, deleted_records.c.id, sorted(ids))


async def deleted_in(tx: Tx, segments: Sequence[str]) -> set[Stone]:
    """Return the records that were deleted of these segments."""
    return await _stones(tx, deleted_records.c.segment, segments)


async def _stones(tx: Tx, column: sa.Column[str], values: Sequence[str]) -> set[Stone]:
    found: set[Stone] = set()
    for first in range(0, len(values), _AT_ONCE):
        query = tx.select(deleted_records.c.id, deleted_records.c.segment)
        rows = await tx.all(query.where(column.in_(values[first : first + _AT_ONCE])))
        found |= {(row.id, row.segment) for row in rows}
    return found


async def unerased(tx: Tx) -> Sequence[sa.Row[Any]]:
    """Return some of the deleted records whose bytes stand in a segment yet."""
    waits = deleted_records.c.erased_at.is_(None)
    query = tx.select(deleted_records).where(waits).order_by(deleted_records.c.segment)
    return await tx.all(query.limit(_ERASED_AT_ONCE))


async def erased(tx: Tx, rows: Collection[sa.Row[Any]]) -> None:
    """Note that the bytes of these are gone from their segments."""
    of = deleted_records.c
    named = of.id == sa.bindparam("of", type_=of.id.type), of.segment == sa.bindparam("at_segment")
    gone = tx.update(deleted_records).where(*named).values(erased_at=utc_now())
    await tx.run(gone, [{"of": row.id, "at_segment": row.segment} for row in rows])
