"""The statements of the shelf. Every query is bound to one workspace."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from volano.core.blobs import references
from volano.core.db import Tx
from volano.core.http.page import Keyset
from volano.data import counting, patterns
from volano.data.reading import BOUNDS, Bounds, Condition, Range, Reading, choose
from volano.data.tables import (
    record_buckets,
    record_contributors,
    record_datasets,
    record_groups,
    records,
    snapshots,
)
from volano.schemas import data as schemas

BY_ID = Keyset((records.c.id,))
NEWEST = Keyset((snapshots.c.created_at, snapshots.c.id, snapshots.c.name), descending=True)
"""One list may stand under two names, and several be frozen in one moment."""

Columns = sa.ColumnCollection[str, sa.ColumnElement[Any]]


async def record(tx: Tx, id: str) -> sa.Row[Any] | None:
    """Find one record."""
    return await tx.one(tx.select(records).where(records.c.id == id))


async def labels(tx: Tx, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return dataset and label of those of these records that are on the shelf, by id."""
    known = records.c.id, records.c.dataset, records.c.label
    query = tx.select(*known).where(records.c.id.in_(ids))
    return {row.id: (row.dataset, row.label) for row in await tx.all(query)}


async def add_records(tx: Tx, rows: list[dict[str, Any]]) -> None:
    """Put rows on the shelf and count them."""
    # The counters first: on SQLite each costs more the more its transaction has written.
    await count_again(tx, counting.changes(rows))
    if blobs := {row["blob"] for row in rows if row["blob"]}:
        await references.add(tx, *blobs)
    await tx.run(tx.insert(records), rows)


async def count_again(tx: Tx, more: counting.Changes) -> None:
    """Add to the counters what there is more of, or less."""
    await _add(tx, record_groups, more.groups)
    await _add(tx, record_datasets, more.datasets)
    await _add(tx, record_contributors, more.contributors)
    await _add(tx, record_buckets, more.buckets)


async def reading(tx: Tx, wanted: schemas.RecordFilter, bounds: Bounds = BOUNDS) -> Reading:
    """Choose how to find the records of a filter, by the counters."""
    is_grouped = counting.given(wanted) & counting.GROUPED
    grouped = await _grouped(tx, wanted) if is_grouped else 0
    return choose(wanted, await _ranges(tx, wanted, bounds), grouped, bounds)


async def page(
    tx: Tx, reading: Reading, *, after: str | None, limit: int, as_lines: bool = False
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """Find the next records by id that fit, and the id after which the page behind them begins.

    There may be fewer than `limit`, even none, and a page behind them all the same: so much was
    looked at. As lines, rows have what `snapshot.lines` reads.
    """
    if reading.is_empty:
        return [], None
    # Most filters fill a page from the next few; SQLite sorts all that is looked at.
    for looked in sorted({min(10 * limit, reading.bounds.walked), reading.bounds.walked}):
        candidates = _candidates(tx, reading, after, limit + 1 if reading.all_fit else looked)
        of = candidates.c
        fits = [] if reading.all_fit else _conditions(of, reading.wanted)
        if after is not None and not reading.walked:
            fits.append(of.id > after)
        # As they are stored: that many ids are made into texts faster all at once.
        stored = sa.type_coerce(of.id, sa.LargeBinary).label("stored")
        line = (
            *(stored, of.content, of.label, of.contributor, of.segment, of.row),
            *(of.split, of.group),
        )
        query = tx.select(*(line if as_lines else of)).where(*fits)
        rows = await tx.all(query.order_by(of.id).limit(limit + 1))
        if len(rows) > limit:
            last = rows[limit - 1]
            return rows[:limit], str(uuid.UUID(bytes=last.stored)) if as_lines else last.id
        if reading.all_fit or not reading.walked:
            return rows, None
    end = _walk(tx, reading, after, records.c.id).offset(reading.bounds.walked - 1).limit(1)
    return rows, await tx.scalar(end)


async def pages(
    tx: Tx, wanted: schemas.RecordFilter, *, limit: int
) -> AsyncIterator[Sequence[sa.Row[Any]]]:
    """Yield all records that fit, by id, as `snapshot.lines` reads them."""
    chosen = await reading(tx, wanted)
    rows, after = await page(tx, chosen, after=None, limit=limit, as_lines=True)
    while rows or after is not None:
        if rows:
            yield rows
        if after is None:
            return
        rows, after = await page(tx, chosen, after=after, limit=limit, as_lines=True)


async def count(
    tx: Tx, wanted: schemas.RecordFilter, bounds: Bounds = BOUNDS
) -> schemas.RecordCount:
    """Count the records that fit; exactly, where that takes no look at too many of them."""
    given = counting.given(wanted)
    if given <= counting.GROUPED:
        return schemas.RecordCount(records=await _grouped(tx, wanted))
    if given == {"contributors"} and not await _are_many(tx, wanted.contributors, bounds):
        counted = record_contributors.c
        total = tx.select(sa.func.sum(counted.records))
        found = await tx.scalar(total.where(_fits(counted.contributor, wanted.contributors)))
        return schemas.RecordCount(records=int(found or 0))
    if wanted.min_quality is not None and len(given) == 1:
        return await _count_from(tx, wanted.min_quality, bounds)
    if wanted.received_before is not None and len(given) == 1:
        return await _count_before(tx, wanted.received_before, bounds)
    chosen = await reading(tx, wanted, bounds)
    if chosen.is_empty:
        return schemas.RecordCount(records=0)
    candidates = _candidates(tx, chosen, None, bounds.walked)
    fits = sa.and_(*_conditions(candidates.c, wanted))
    fitting = sa.func.sum(sa.case((fits, 1), else_=0)).label("fitting")
    both = tx.select(sa.func.count().label("candidates"), fitting).select_from(candidates)
    row = await tx.one(both)
    assert row is not None
    is_all = not chosen.walked or row.candidates < bounds.walked
    return schemas.RecordCount(records=int(row.fitting or 0), exact=is_all)


async def _count_from(tx: Tx, least: float, bounds: Bounds) -> schemas.RecordCount:
    """Count what is at least so good: whole buckets, and of the one in which it lies the rest."""
    bucket, quality = counting.bucket(least), records.c.quality
    above = await _in_buckets(tx, "quality", record_buckets.c.bucket > bucket)
    here = await _in_buckets(tx, "quality", record_buckets.c.bucket == bucket)
    # Those of the bucket that are worse; a little more than it for what is lost in rounding.
    begins = bucket / counting.QUALITY_BUCKETS * (1 - 1e-12)
    in_it = quality * counting.QUALITY_BUCKETS >= float(bucket)
    worse = await _some(tx, bounds, quality, quality >= begins, quality < least, in_it)
    if worse > bounds.counted:
        return schemas.RecordCount(records=above, exact=False)
    return schemas.RecordCount(records=above + here - worse)


async def _count_before(tx: Tx, moment: datetime, bounds: Bounds) -> schemas.RecordCount:
    """Count what came before a moment: whole minutes, and what came in the last one."""
    end = counting.ms_until(moment)
    minute, received = counting.minute(end), records.c.received_at
    before = await _in_buckets(tx, "received", record_buckets.c.bucket < minute)
    last = await _some(
        tx, bounds, received, received >= minute * counting.MINUTE_MS, received < end
    )
    return schemas.RecordCount(
        records=before + min(last, bounds.counted), exact=last <= bounds.counted
    )


async def _some(tx: Tx, bounds: Bounds, column: sa.Column[Any], *fits: Condition) -> int:
    """Count entries of a column's index, up to one more than are counted."""
    found = tx.select(column).where(*fits).limit(bounds.counted + 1).subquery()
    return int(await tx.scalar(tx.select(sa.func.count()).select_from(found)))


async def _in_buckets(tx: Tx, field: str, fits: Condition) -> int:
    total = tx.select(sa.func.sum(record_buckets.c.records))
    return int(await tx.scalar(total.where(record_buckets.c.field == field, fits)) or 0)


async def _grouped(tx: Tx, wanted: schemas.RecordFilter) -> int:
    """Count the records that fit a filter's conditions of GROUPED."""
    few = counting.given(wanted) & counting.GROUPED <= {"datasets"}
    of = (record_datasets if few else record_groups).c
    total = tx.select(sa.func.sum(of.records))
    return int(await tx.scalar(total.where(*_group_conditions(of, wanted))) or 0)


async def fields(tx: Tx, ids: Collection[str]) -> list[dict[str, Any]]:
    """Return the fields that some of these records have; none, if each has only one."""
    query = tx.select(records.c.fields).where(records.c.id.in_(ids), records.c.fields.is_not(None))
    return await tx.scalar(query.limit(1)) or []


async def kinds(tx: Tx, wanted: schemas.RecordFilter) -> list[str]:
    """Return the kinds of the records that a filter's conditions of GROUPED let through."""
    of = record_groups.c
    query = tx.select(of.kind).where(of.records > 0, *_group_conditions(of, wanted))
    return [row.kind for row in await tx.all(query.distinct().order_by(of.kind))]


async def _ranges(tx: Tx, wanted: schemas.RecordFilter, bounds: Bounds) -> list[Range]:
    """Return what each condition of a filter leaves of all records, where an index finds that."""
    found = []
    for names, column, alone in (
        (wanted.datasets, records.c.dataset, schemas.RecordFilter(datasets=wanted.datasets)),
        (wanted.labels, records.c.label, schemas.RecordFilter(labels=wanted.labels)),
        (wanted.origins, records.c.origin, schemas.RecordFilter(origins=wanted.origins)),
    ):
        if 0 < len(names) <= bounds.names:
            found.append(_named(await _grouped(tx, alone), column, set(names)))
    if wanted.contributors:
        people = await _people(tx, wanted.contributors, bounds)
        if people is not None:
            found.append(_named(sum(people.values()), records.c.contributor, people))
    if (least := wanted.min_quality) is not None:
        fits = record_buckets.c.bucket >= counting.bucket(least)
        size = await _in_buckets(tx, "quality", fits)
        found.append(Range(size, (records.c.quality >= least,)))
    if wanted.received_before is not None:
        end = counting.ms_until(wanted.received_before)
        fits = record_buckets.c.bucket <= counting.minute(end)
        size = await _in_buckets(tx, "received", fits)
        found.append(Range(size, (records.c.received_at < end,)))
    return found


def _named(size: int, column: sa.Column[str], names: Collection[str]) -> Range:
    return Range(size, tuple(column == name for name in sorted(names)), by_id=len(names) == 1)


async def _people(tx: Tx, given: Sequence[str], bounds: Bounds) -> dict[str, int] | None:
    """Return the contributors that fit, with their records; None if they are too many."""
    if await _are_many(tx, given, bounds):
        return None
    counted = record_contributors.c
    query = tx.select(counted.contributor, counted.records)
    rows = await tx.all(query.where(_fits(counted.contributor, given)).limit(bounds.names + 1))
    return None if len(rows) > bounds.names else {row.contributor: row.records for row in rows}


async def _are_many(tx: Tx, given: Sequence[str], bounds: Bounds) -> bool:
    """Return whether there are too many contributors to try a pattern on each of them."""
    if all(patterns.beginning(one) == one for one in given):
        return False
    name = record_contributors.c.contributor
    return await tx.one(tx.select(name).order_by(name).offset(bounds.counted).limit(1)) is not None


def _fits(column: sa.ColumnElement[str], given: Sequence[str]) -> Condition:
    """Return the condition that one of the patterns fits, in a form that an index serves."""
    names = [one for one in given if patterns.beginning(one) == one]
    found: list[Condition] = [column.in_(names)] if names else []
    for one in set(given).difference(names):
        like: Condition = column.like(patterns.like(one), escape="\\")
        if begins := patterns.beginning(one):
            like = sa.and_(column >= begins, column < patterns.behind(begins), like)
        found.append(like)
    return sa.or_(*found)


def _candidates(tx: Tx, reading: Reading, after: str | None, most: int) -> sa.Subquery:
    if reading.walked:
        walk = _walk(tx, reading, after, records)
        return walk.limit(most).subquery()
    # With a limit each stays a part of its own, for which the database takes the index meant.
    parts = [
        tx.select(records).where(one).limit(reading.bounds.taken).subquery()
        for one in reading.ranges
    ]
    if len(parts) == 1:
        return parts[0]
    return tx.union_all(*(tx.select(part) for part in parts)).subquery()


def _walk(tx: Tx, reading: Reading, after: str | None, shown: Any) -> sa.Select[Any]:
    query = tx.select(shown).where(*reading.ranges)
    if after is not None:
        query = query.where(records.c.id > after)
    return query.order_by(records.c.id)


def _conditions(of: Columns, wanted: schemas.RecordFilter) -> list[Condition]:
    found = _group_conditions(of, wanted)
    if wanted.contributors:
        # The table has the collation of its database, in which no range is what begins alike.
        likes = (patterns.like(one) for one in wanted.contributors)
        found.append(sa.or_(*(of["contributor"].like(one, escape="\\") for one in likes)))
    if wanted.min_quality is not None:
        found.append(of["quality"] >= wanted.min_quality)
    if wanted.received_before is not None:
        found.append(of["received_at"] < counting.ms_until(wanted.received_before))
    return found


def _group_conditions(of: Columns, wanted: schemas.RecordFilter) -> list[Condition]:
    named = {
        "dataset": wanted.datasets,
        "kind": wanted.kinds,
        "label": wanted.labels,
        "split": wanted.splits,
        "origin": wanted.origins,
    }
    found: list[Condition] = [of[name].in_(names) for name, names in named.items() if names]
    if wanted.synthetic is not None:
        found.append(of["synthetic"].is_(wanted.synthetic))
    likes = (f"%|{patterns.literal(flag)}|%" for flag in wanted.without_flags)
    return found + [of["flags"].notlike(like, escape="\\") for like in likes]


async def _add(tx: Tx, table: sa.Table, more: Sequence[tuple[Any, ...]]) -> None:
    """Add to counters, sorted so that two workers lock them in the same order."""
    if not more:
        return
    new = tx.insert(table)
    sums = {"records": table.c.records + new.excluded.records}
    keys = [column.name for column in table.primary_key]
    names = [column.name for column in table.columns if column.name != "workspace"]
    rows = [dict(zip(names, values, strict=True)) for values in more]
    await tx.run(new.on_conflict_do_update(index_elements=keys, set_=sums), rows)


async def recount(tx: Tx, *, repair: bool) -> list[str]:
    """Count everything again and return the names of the counters' tables that were wrong.

    What is wrong is corrected by its difference, so records that come meanwhile count as well.
    """
    wrong = []
    for table, counted in _counted(tx):
        keys = [column.name for column in table.primary_key if column.name != "workspace"]
        kept = tx.select(*(table.c[name] for name in keys), (-table.c.records).label("records"))
        both = tx.union_all(*counted, kept).subquery()
        difference = sa.func.sum(both.c.records).label("records")
        query = tx.select(*(both.c[name] for name in keys), difference)
        query = query.group_by(*(both.c[name] for name in keys)).having(difference != 0)
        found = await tx.all(query)
        if found:
            wrong.append(table.name)
        if repair:
            await _add(tx, table, sorted((*row[:-1], int(row[-1])) for row in found))
    return wrong


def _counted(tx: Tx) -> Iterator[tuple[sa.Table, list[sa.Select[Any]]]]:
    """Yield each table of counters with the statements that count the same from the records."""
    of, count = records.c, sa.func.count().label("records")
    group = [of[name] for name in counting.GROUP]
    yield record_groups, [tx.select(*group, count).group_by(*group)]
    yield record_datasets, [tx.select(of.dataset, count).group_by(of.dataset)]
    yield record_contributors, [tx.select(of.contributor, count).group_by(of.contributor)]
    minute = sa.type_coerce(of.received_at, sa.BigInteger) // counting.MINUTE_MS
    bucket = of.quality * counting.QUALITY_BUCKETS
    # To a whole number PostgreSQL rounds and SQLite cuts, which has no floor everywhere.
    bucket = sa.cast(sa.func.floor(bucket) if tx.dialect == "postgresql" else bucket, sa.BigInteger)
    received = tx.select(sa.literal("received").label("field"), minute.label("bucket"), count)
    scored = tx.select(sa.literal("quality").label("field"), bucket.label("bucket"), count)
    scored = scored.where(of.quality.is_not(None))
    yield record_buckets, [received.group_by("bucket"), scored.group_by("bucket")]


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
    first = sa.case((is_its_id, 0), else_=1), sa.case((is_its_id, snapshots.c.created_at))
    return await tx.one(query.order_by(*first, snapshots.c.created_at.desc()).limit(1))


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
    total = await tx.scalar(tx.select(sa.func.count()).select_from(snapshots).where(made))
    return rows, int(total)
