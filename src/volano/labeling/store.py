"""The tables of labeling: shapes to ask for and what contributors have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from volano.core.db import Instant, Tx, metadata
from volano.core.http.page import Keyset
from volano.data.ingest import Head

shapes = sa.Table(
    "shapes",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("description", sa.String(500), nullable=False),
    sa.Column("difficulty", sa.String(16), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("drawings", sa.Integer, nullable=False),
)

gifts = sa.Table(  # what one contributor has given of one shape
    "gifts",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("contributor", sa.String(64), primary_key=True),
    sa.Column("shape", sa.String(200), primary_key=True),
    sa.Column("drawings", sa.Integer, nullable=False),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
)


BY_NAME = Keyset((shapes.c.name,))


async def add_shape(tx: Tx, row: dict[str, Any]) -> bool:
    """Add a shape; False if its name is taken."""
    return await tx.run(tx.upsert(shapes, keys=["workspace", "name"]), [row]) == 1


async def shape_page(tx: Tx, *, after: str, limit: int) -> Sequence[sa.Row[Any]]:
    """List shapes by name: a page, and one more where there is another."""
    return await tx.all(BY_NAME.slice(tx.select(shapes), after, limit))


async def shape_names(tx: Tx) -> set[str]:
    """Return the names of all shapes of the workspace."""
    return {row.name for row in await tx.all(tx.select(shapes.c.name))}


async def given(tx: Tx, contributor: str) -> Sequence[sa.Row[Any]]:
    """List what a contributor has given, by shape."""
    return await tx.all(tx.select(gifts).where(gifts.c.contributor == contributor))


async def count_moved(tx: Tx, heads: Sequence[Head]) -> None:
    """Add moved drawings to the counters of their shapes and contributors."""
    for name, drawings in sorted(Counter(head.label for head in heads).items()):
        change = tx.update(shapes).where(shapes.c.name == name)
        await tx.run(change.values(drawings=shapes.c.drawings + drawings))
    gifts_of: dict[tuple[str, str], list[datetime]] = {}
    for head in heads:
        gifts_of.setdefault((head.contributor, head.label), []).append(head.captured_at)
    # Sorted, so that two workers lock the rows in the same order.
    rows = [
        {
            "contributor": contributor,
            "shape": shape,
            "drawings": len(moments),
            "first_at": min(moments),
            "last_at": max(moments),
        }
        for (contributor, shape), moments in sorted(gifts_of.items())
    ]
    new, old = tx.insert(gifts), gifts.c
    first = sa.case(
        (old.first_at < new.excluded.first_at, old.first_at), else_=new.excluded.first_at
    )
    last = sa.case((old.last_at > new.excluded.last_at, old.last_at), else_=new.excluded.last_at)
    again = {"drawings": old.drawings + new.excluded.drawings, "first_at": first, "last_at": last}
    key = ["workspace", "contributor", "shape"]
    await tx.run(new.on_conflict_do_update(index_elements=key, set_=again), rows)
