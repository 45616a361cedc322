"""The tables of the shelf: records and snapshots. Every query is bound to one workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from volano.core.blobs import blob_column, references
from volano.core.db import Instant, JsonValue, Tx, Uuid16, metadata
from volano.core.http.page import Keyset
from volano.data import patterns
from volano.schemas import data as schemas

records = sa.Table(
    "records",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", Uuid16, primary_key=True),
    sa.Column("content", sa.LargeBinary(32), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("label", sa.String(100), nullable=False),
    sa.Column("contributor", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(100), nullable=False),
    sa.Column("device", sa.String(16), nullable=False),
    sa.Column("quality", sa.Float),
    sa.Column("flags", sa.String(200), nullable=False),
    sa.Column("strokes", sa.Integer, nullable=False),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("duration_ms", sa.Float, nullable=False),
    sa.Column("captured_at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("segment", sa.String(64), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Index("records_label", "workspace", "label", "id"),
    sa.Index("records_contributor", "workspace", "contributor", "id"),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("filter", JsonValue, nullable=False),
    sa.Column("split", JsonValue, nullable=False),
    sa.Column("labels", JsonValue, nullable=False),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("by_split", JsonValue, nullable=False),
    sa.Column("missing", JsonValue, nullable=False, server_default="{}"),
    sa.Column("contributors", sa.Integer, nullable=False),
    *blob_column("manifest"),
    sa.Column("manifest_size", sa.BigInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
)

NEWEST = Keyset((snapshots.c.created_at, snapshots.c.id, snapshots.c.name), descending=True)
"""One list may stand under two names, and several be frozen in one moment."""


async def add_records(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Put rows on the shelf."""
    await tx.run(tx.insert(records), rows)


async def record(tx: Tx, id: str) -> sa.Row[Any] | None:
    """Return one record's row."""
    return await tx.one(tx.select(records).where(records.c.id == id))


async def page(
    tx: Tx, wanted: schemas.RecordFilter, *, after: str | None, limit: int
) -> Sequence[sa.Row[Any]]:
    """List the next records by id that fit the filter."""
    query = tx.select(records).where(*await _conditions(tx, wanted))
    if after is not None:
        query = query.where(records.c.id > after)
    return await tx.all(query.order_by(records.c.id).limit(limit))


async def lines(
    tx: Tx, wanted: schemas.RecordFilter, *, page: int
) -> AsyncIterator[Sequence[sa.Row[Any]]]:
    """Yield every record that fits the filter by id, `page` at a time, as a snapshot has it."""
    # As it is stored: that many ids are made into texts faster all at once.
    stored = sa.type_coerce(records.c.id, sa.LargeBinary).label("stored")
    columns = (records.c[name] for name in ("content", "label", "contributor", "segment", "row"))
    query = tx.select(stored, *columns).where(*await _conditions(tx, wanted))
    after: bytes | None = None
    while True:
        some = query if after is None else query.where(stored > after)
        rows = await tx.all(some.order_by(records.c.id).limit(page))
        if rows:
            yield rows
        if len(rows) < page:
            return
        after = rows[-1].stored


async def _conditions(tx: Tx, wanted: schemas.RecordFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.labels:
        found.append(records.c.label.in_(wanted.labels))
    if wanted.origins:
        found.append(records.c.origin.in_(wanted.origins))
    if wanted.contributors:
        of = records.c.contributor
        fits = (of.like(patterns.like(one), escape="\\") for one in wanted.contributors)
        found.append(sa.or_(*fits))
    if wanted.min_quality is not None:
        found.append(records.c.quality >= wanted.min_quality)
    if wanted.received_before is not None:
        found.append(records.c.received_at < wanted.received_before)
    found += [
        records.c.flags.notlike(f"%|{patterns.literal(flag)}|%", escape="\\")
        for flag in wanted.without_flags
    ]
    return found


async def add_snapshot(tx: Tx, row: dict[str, Any]) -> sa.Row[Any]:
    """Keep a snapshot under a name; an equal list under the same name becomes its newest again."""
    await references.add(tx, row["manifest"])
    new = tx.insert(snapshots)
    again = {"created_at": new.excluded.created_at, "created_by": new.excluded.created_by}
    key = ["workspace", "id", "name"]
    await tx.run(new.on_conflict_do_update(index_elements=key, set_=again), [row])
    query = tx.select(snapshots).where(snapshots.c.id == row["id"], snapshots.c.name == row["name"])
    kept = await tx.one(query)
    assert kept is not None
    return kept


async def snapshot(tx: Tx, id_or_name: str) -> sa.Row[Any] | None:
    """Find the snapshot of this id under its first name, else the newest one of this name."""
    is_its_id = snapshots.c.id == id_or_name
    query = tx.select(snapshots).where(sa.or_(is_its_id, snapshots.c.name == id_or_name))
    # The id first: a name may look like the id of another snapshot.
    by_id = sa.case((is_its_id, 0), else_=1)
    first = sa.case((is_its_id, snapshots.c.created_at))
    order = by_id, first, snapshots.c.created_at.desc()
    return await tx.one(query.order_by(*order).limit(1))


async def snapshot_page(tx: Tx, *, after: str, limit: int) -> Sequence[sa.Row[Any]]:
    """List snapshots, newest first."""
    return await tx.all(NEWEST.slice(tx.select(snapshots), after, limit))


async def snapshots_since(
    tx: Tx, moment: datetime, *, limit: int
) -> tuple[Sequence[sa.Row[Any]], int]:
    """List the latest snapshots made since then, newest first, and count all of them."""
    made = snapshots.c.created_at >= moment
    newest = snapshots.c.created_at.desc(), snapshots.c.id.desc()
    rows = await tx.all(tx.select(snapshots).where(made).order_by(*newest).limit(limit))
    query = tx.select(sa.func.count()).select_from(snapshots).where(made)
    return rows, int(await tx.scalar(query))
