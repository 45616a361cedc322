"""The verbs of attributes: state one of a record or of many, and tell what was stated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from volano.core.segments import compact, inbox
from volano.data import counting, records
from volano.data import store as shelf
from volano.data.attributes import stating, store
from volano.data.state import COMPACT, STREAM
from volano.schemas.attributes import (
    Attribute,
    AttributeChange,
    Changed,
    NewAttribute,
    WhichRecords,
)
from volano.schemas.common import is_uuid, utc_now
from volano.schemas.data import Quarantined, RecordFilter
from volano.schemas.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.schemas.accounts import Who

_TOGETHER = 500
"""Records in one transaction."""


async def state(ctx: Context, who: Who, id: str, new: NewAttribute) -> list[Attribute]:
    """State an attribute of one record; return all that was stated of it, by then.

    A record that still waits in the inbox is put onto the shelf first.

    Raises: Missing, Quarantined, AttributeRefused, TooManyFlags, StillMoving.
    """
    value = stating.checked(new)
    (known,) = await shelved(ctx, who, [id.lower()])
    async with ctx.db.begin(who.workspace) as tx:
        await _state(tx, who, [known], new.name, value)
    return await history(ctx, who, known)


async def state_all(ctx: Context, who: Who, change: AttributeChange) -> Changed:
    """State an attribute of many records, some hundred in one transaction.

    Everything that was acknowledged before the call is considered.

    Raises: WhichRecords, Missing, Quarantined, AttributeRefused, TooManyFlags, StillMoving.
    """
    value = stating.checked(change)
    changed = unchanged = 0
    async for ids in meant(ctx, who, change.ids, change.filter):
        async with ctx.db.begin(who.workspace) as tx:
            stated = await _state(tx, who, ids, change.name, value, dry_run=change.dry_run)
        changed, unchanged = changed + stated, unchanged + len(ids) - stated
    return Changed(records=changed, unchanged=unchanged)


async def history(ctx: Context, who: Who, id: str) -> list[Attribute]:
    """Return all that was stated of a record, in order; nothing of one as it came.

    Raises: Missing, Quarantined.
    """
    known = await records.record(ctx, who, id)
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.history(tx, known.id)
    return [msgspec.convert(row, Attribute, from_attributes=True) for row in rows]


async def meant(
    ctx: Context, who: Who, ids: Sequence[str] | None, wanted: RecordFilter | None
) -> AsyncIterator[list[str]]:
    """Yield the ids of records that are listed, or that fit a filter, some hundred at a time.

    Raises: WhichRecords, Missing, Quarantined, StillMoving.
    """
    if (ids is None) == (wanted is None):
        raise WhichRecords
    if ids is not None:
        known = await shelved(ctx, who, sorted(set(ids)))
        for first in range(0, len(known), _TOGETHER):
            yield known[first : first + _TOGETHER]
    if wanted is None:
        return
    await compact.flush(ctx, who.workspace, STREAM, COMPACT)
    after: str | None = None
    while True:
        async with ctx.db.read(who.workspace) as tx:
            reading = await shelf.reading(tx, wanted)
            rows, after = await shelf.page(tx, reading, after=after, limit=_TOGETHER)
        if rows:
            yield [row.id for row in rows]
        if after is None:
            return


async def shelved(ctx: Context, who: Who, ids: Sequence[str]) -> list[str]:
    """Return these ids once all of their records are on the shelf.

    Raises: Missing, Quarantined, StillMoving (no worker put them there in time).
    """
    for id in ids:
        if not is_uuid(id):
            raise Missing(noun="record", id=id)
    for is_flushed in (False, True):
        async with ctx.db.read(who.workspace) as tx:
            there = await shelf.labels(tx, ids)
            lost = [id for id in ids if id not in there]
            waiting = await inbox.find(tx, STREAM, lost)
        if not lost:
            return list(ids)
        for id in lost:
            row = waiting.get(id)
            if row is None or is_flushed:
                raise Missing(noun="record", id=id)
            if row.reason is not None:
                raise Quarantined(noun="record", id=id, reason=row.reason)
        await compact.flush(ctx, who.workspace, STREAM, COMPACT)
    return list(ids)


async def _state(
    tx: Tx, who: Who, ids: Sequence[str], name: str, value: Any, *, dry_run: bool = False
) -> int:
    """State an attribute of records that are on the shelf; return of how many it was not known.

    Index and counters say the same as the last statement, by the one transaction.

    Raises: Missing (one has been deleted), TooManyFlags.
    """
    found = await store.locked(tx, ids)
    for id in ids:
        if id not in found:
            raise Missing(noun="record", id=id)
    if stating.is_promoted(name):
        changes = {id: stating.change(row, name, value) for id, row in found.items()}
        told = [id for id, columns in changes.items() if columns]
    else:
        stated = await store.newest(tx, ids, name)
        told = [id for id in found if id not in stated or stated[id] != value]
        changes = {}
    if told and not dry_run:
        await store.add(tx, await _statements(tx, who, [found[id] for id in told], name, value))
        await _promote(tx, found, {id: changes[id] for id in told if id in changes})
    return len(told)


async def _statements(
    tx: Tx, who: Who, told: Sequence[dict[str, Any]], name: str, value: Any
) -> list[dict[str, Any]]:
    """Return the rows of a statement; before the first of its name, what its record came with."""
    ids = [record["id"] for record in told]
    last = await store.last(tx, ids)
    names = [stating.FLAG, stating.UNFLAG] if name in (stating.FLAG, stating.UNFLAG) else [name]
    stated = {id for one in names for id in await store.newest(tx, ids, one)}
    rows, now = [], utc_now()
    for record in told:
        id = record["id"]
        before = [] if id in stated else stating.arrived_with(record, name)
        said = [(*one, "", record["received_at"]) for one in before]
        said.append((name, value, who.member, now))
        rows += [
            {"record": id, "sequence": at, "name": of, "value": what, "by": by, "at": moment}
            for at, (of, what, by, moment) in enumerate(said, last.get(id, 0) + 1)
        ]
    return rows


async def _promote(
    tx: Tx, found: dict[str, dict[str, Any]], changes: dict[str, stating.Columns]
) -> None:
    """Set the columns of the index and count the records anew."""
    alike: dict[tuple[tuple[str, Any], ...], list[str]] = defaultdict(list)
    for id, columns in changes.items():
        alike[tuple(sorted(columns.items()))].append(id)
    for values, ids in sorted(alike.items(), key=lambda one: one[1][0]):
        await store.change(tx, ids, dict(values))
    before = [found[id] for id in changes]
    after = [found[id] | columns for id, columns in changes.items()]
    await shelf.count_again(tx, counting.difference(before, after))
