"""The tables of labeling: shapes to ask for and what contributors have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Instant, Tx, metadata
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
    sa.Column("shape", sa.String(100), primary_key=True),
    sa.Column("drawings", sa.Integer, nullable=False),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
)


async def add_shape(tx: Tx, row: dict[str, Any]) -> bool:
    """Add a shape; False if its name is taken."""
    return await tx.run(tx.upsert(shapes, keys=["workspace", "name"]), [row]) == 1


async def shape_page(tx: Tx, *, after: str | None, limit: int) -> Sequence[sa.Row[Any]]:
    """Shapes by name."""
    query = tx.select(shapes)
    if after is not None:
        query = query.where(shapes.c.name > after)
    return await tx.all(query.order_by(shapes.c.name).limit(limit))


async def shape_names(tx: Tx) -> set[str]:
    """The names of all shapes of the workspace."""
    return {row.name for row in await tx.all(tx.select(shapes.c.name))}


async def given(tx: Tx, contributor: str) -> Sequence[sa.Row[Any]]:
    """What a contributor has given, by shape."""
    return await tx.all(tx.select(gifts).where(gifts.c.contributor == contributor))


async def count_moved(tx: Tx, heads: Sequence[Head]) -> None:
    """Add moved drawings to the counters of their shapes and contributors."""
    for name, drawings in sorted(Counter(head.label for head in heads).items()):
        change = tx.update(shapes).where(shapes.c.name == name)
        await tx.run(change.values(drawings=shapes.c.drawings + drawings))
    by_giver: dict[tuple[str, str], list[Head]] = {}
    for head in heads:
        by_giver.setdefault((head.contributor, head.label), []).append(head)
    # Sorted, so that two workers lock the rows in the same order.
    await tx.run(_add_gift(tx), [_gift(*key, of) for key, of in sorted(by_giver.items())])


def _gift(contributor: str, shape: str, heads: Sequence[Head]) -> dict[str, Any]:
    moments = [head.captured_at for head in heads]
    return {
        "contributor": contributor,
        "shape": shape,
        "drawings": len(heads),
        "first_at": min(moments),
        "last_at": max(moments),
    }


def _add_gift(tx: Tx) -> Any:
    new = tx.insert(gifts)
    old = gifts.c
    return new.on_conflict_do_update(
        index_elements=["workspace", "contributor", "shape"],
        set_={
            "drawings": old.drawings + new.excluded.drawings,
            "first_at": sa.case(
                (old.first_at < new.excluded.first_at, old.first_at), else_=new.excluded.first_at
            ),
            "last_at": sa.case(
                (old.last_at > new.excluded.last_at, old.last_at), else_=new.excluded.last_at
            ),
        },
    )
