"""The statements of datasets. Every query is bound to one workspace."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Tx
from volano.core.http.page import Keyset
from volano.data.tables import datasets, record_datasets, record_groups, records

BY_NAME = Keyset((datasets.c.name,))
MOST_LABELS = 1000


async def add(tx: Tx, row: dict[str, Any]) -> bool:
    """Add a dataset; return False if its name is taken."""
    return await tx.run(tx.upsert(datasets, keys=["workspace", "name"]), [row]) == 1


async def find(tx: Tx, name: str) -> sa.Row[Any] | None:
    """Find a dataset."""
    return await tx.one(tx.select(datasets).where(datasets.c.name == name))


async def page(tx: Tx, *, after: str, limit: int) -> Sequence[sa.Row[Any]]:
    """List datasets by name: a page, and one more where there is another."""
    return await tx.all(BY_NAME.slice(tx.select(datasets), after, limit))


async def change(tx: Tx, name: str, values: dict[str, Any]) -> None:
    """Set columns of a dataset."""
    await tx.run(tx.update(datasets).where(datasets.c.name == name).values(values))


async def remove(tx: Tx, name: str) -> None:
    """Remove a dataset."""
    await tx.run(tx.delete(datasets).where(datasets.c.name == name))


async def counts(tx: Tx, names: Collection[str]) -> dict[str, int]:
    """Return how many records these datasets have on the shelf, by name."""
    counted = record_datasets.c
    query = tx.select(counted.dataset, counted.records).where(counted.dataset.in_(names))
    return {row.dataset: row.records for row in await tx.all(query)}


async def labels(tx: Tx, name: str) -> list[str]:
    """Return the first labels that records of a dataset have, by name."""
    counted = record_groups.c
    query = tx.select(counted.label).where(
        counted.dataset == name, counted.label != "", counted.records > 0
    )
    found = await tx.all(query.distinct().order_by(counted.label).limit(MOST_LABELS))
    return [row.label for row in found]


async def kinds(tx: Tx, name: str) -> list[str]:
    """Return the kinds of the records of a dataset."""
    counted = record_groups.c
    query = tx.select(counted.kind).where(counted.dataset == name, counted.records > 0)
    return [row.kind for row in await tx.all(query.distinct())]


async def sent_before(tx: Tx, digests: Collection[bytes]) -> Sequence[sa.Row[Any]]:
    """Return the id and digest of the records whose bytes, as sent, have one of these digests."""
    query = tx.select(records.c.id, records.c.sha256).where(records.c.sha256.in_(digests))
    return await tx.all(query.order_by(records.c.id))


async def sizes(tx: Tx) -> Sequence[sa.Row[Any]]:
    """Return records and bytes of each dataset, the largest first; it looks at every record."""
    of, total = records.c, sa.cast(sa.func.sum(records.c.bytes), sa.BigInteger).label("bytes")
    query = tx.select(of.dataset, sa.func.count().label("records"), total)
    return await tx.all(query.group_by(of.dataset).order_by(total.desc(), of.dataset))
