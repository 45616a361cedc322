"""Which blobs the rows of the database refer to, and which nothing refers to any more.

A blob lives in two places that no transaction spans, so the order of the writes is what keeps it:

- Writing: the bytes are put first, then one transaction adds the blob (`add`) and the row that
  names it. A crash between the two leaves bytes that the database does not know: garbage, which
  goes by its age. A row without its blob in `blobs` is refused by the foreign key.
- Dropping: whoever drops a row does nothing else. A sweep notes when it first found the blob
  without a row (`mark`); a later one, the grace after that, first removes the blob from `blobs`
  (`remove`, which the foreign key refuses where a row came meanwhile) and then deletes the bytes.
  A crash between the two leaves garbage again.
- Both at once: `add` clears the mark and locks the same row that `remove` deletes, so one of them
  sees what the other did. If `remove` comes first, `add` puts the blob back into `blobs`, and the
  bytes are there, because they were put again less than the grace ago and `Blobs.delete` spares
  what was put that lately.

So all that is asked of a writer: put the bytes (or see a row that names them) less than the grace
before the transaction commits.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa

from volano.core.blobs.tables import blobs, referring_columns
from volano.core.db import Tx, now_ms
from volano.schemas.blobs import BlobId


async def add(tx: Tx, *ids: BlobId) -> None:
    """Make blobs known to the database, so that rows of this transaction can refer to them."""
    # In one order everywhere: two transactions that add the same blobs wait, and never deadlock.
    rows = [{"id": id, "unreferenced_at": None} for id in sorted(set(ids))]
    new = tx.insert(blobs)
    again = {"unreferenced_at": None}
    await tx.run(new.on_conflict_do_update(index_elements=["workspace", "id"], set_=again), rows)


async def mark(tx: Tx) -> None:
    """Note the time on blobs that no row refers to, and remove it where one does again."""
    since = blobs.c.unreferenced_at
    orphaned = tx.update(blobs).where(since.is_(None), *_unreferenced(tx))
    await tx.run(orphaned.values(unreferenced_at=now_ms()))
    referred = tx.update(blobs).where(since.is_not(None), ~sa.and_(*_unreferenced(tx)))
    await tx.run(referred.values(unreferenced_at=None))


async def unneeded(tx: Tx, ids: Iterable[BlobId], *, before: datetime) -> set[BlobId]:
    """Return those of the blobs that are not known, or were marked before that time."""
    known = tx.select(blobs.c.id, blobs.c.unreferenced_at).where(blobs.c.id.in_(list(ids)))
    rows = await tx.all(known)
    return set(ids) - {
        row.id for row in rows if row.unreferenced_at is None or row.unreferenced_at >= before
    }


async def remove(tx: Tx, ids: Iterable[BlobId], *, before: datetime) -> set[BlobId]:
    """Make the database forget blobs that are `unneeded`; return those that it does not know now.

    One stays that a row has come to refer to, also a row of a table that only a newer version of
    the program knows.
    """
    rows = await tx.all(tx.select(blobs.c.id).where(blobs.c.id.in_(list(ids))))
    gone = set(ids) - {row.id for row in rows}
    for row in rows:
        with suppress(sa.exc.IntegrityError):
            async with tx.nested(tx.workspace) as attempt:
                late = blobs.c.id == row.id, blobs.c.unreferenced_at < before
                if await attempt.run(attempt.delete(blobs).where(*late)):
                    gone.add(row.id)
    return gone


async def unknown(tx: Tx) -> list[str]:
    """Return the rows, as `table.column: blob`, that name a blob which the database lacks."""
    found = []
    for column in referring_columns():
        lost = ~tx.select(blobs.c.id).where(blobs.c.id == column).exists()
        rows = await tx.all(tx.select(column).where(column.is_not(None), lost))
        found += [f"{column}: {row[0]}" for row in rows]
    return found


async def referred(tx: Tx, *, after: BlobId, limit: int) -> list[BlobId]:
    """Return the next blobs by id that rows refer to."""
    query = tx.select(blobs.c.id).where(blobs.c.id > after, ~sa.and_(*_unreferenced(tx)))
    return [row.id for row in await tx.all(query.order_by(blobs.c.id).limit(limit))]


async def referrers(tx: Tx, id: BlobId) -> list[str]:
    """Return the rows that refer to a blob, each as its table and its key."""
    found = []
    for column in referring_columns():
        keys = [key for key in column.table.primary_key if key.name != "workspace"]
        rows = await tx.all(tx.select(*keys).where(column == id))
        found += [" ".join([column.table.name, *map(str, row)]) for row in rows]
    return found


async def owners(tx: Tx, ids: Iterable[BlobId]) -> dict[BlobId, str]:
    """Return the table whose rows refer to each of these blobs, of those that any does."""
    found: dict[BlobId, str] = {}
    for column in referring_columns():
        rows = await tx.all(tx.select(column).where(column.in_(list(ids))).distinct())
        found |= {row[0]: str(column.table.name) for row in rows}
    return found


def _unreferenced(tx: Tx) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on a row of `blobs` that no row of any table names it."""
    return [
        ~tx.select(column).where(column == blobs.c.id).exists() for column in referring_columns()
    ]
