"""What any worker does for all: frees expired leases, wakes what is due, fires schedules."""

import functools
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from volano.core.db import EVERYWHERE, Database, Tx, now_ms
from volano.core.jobs import cron as crontab
from volano.core.jobs import fair
from volano.core.jobs.ledger import WORK, Ledger, clock, tally
from volano.core.jobs.retry import SYSTEM_ATTEMPTS
from volano.core.jobs.tables import (
    CANCELLED,
    DEAD,
    DONE,
    QUEUED,
    RUNNING,
    SCHEDULED,
    duties,
    in_state,
    jobs,
    schedules,
)

KEPT: Final = timedelta(days=7)
"""How long ended jobs, and with them their keys, are kept; dead ones four times as long."""

_BATCH = 500
_LOST = {
    "class": "system",
    "type": "WorkerLost",
    "message": "The worker's lease ended without a sign of life from it.",
    "signature": "worker-lost",
}


async def sweep(db: Database, ledger: Ledger, *, every_s: float) -> None:
    """Do what is due, unless another worker did so less than `every_s` ago."""
    async with db.begin(EVERYWHERE) as tx:
        if await _has_turn(tx, "sweep", every_s):
            await _requeue_lost(tx, ledger)
            due = in_state(SCHEDULED), jobs.c.run_at <= now_ms()
            await _announce(tx, ledger, await _change(tx, *due, state=QUEUED))
            await _fire_schedules(tx, ledger)
    async with db.begin(EVERYWHERE) as tx:
        if await _has_turn(tx, "forget", 600.0):
            await _delete_expired(tx)


async def _has_turn(tx: Tx, name: str, every_s: float) -> bool:
    """Take the duty: one worker moves its time, the others see that it moved."""
    insert = tx.insert(duties).values(name=name, done_at=now_ms())
    claim = insert.on_conflict_do_update(
        index_elements=[duties.c.name],
        set_={"done_at": now_ms()},
        where=duties.c.done_at <= now_ms() - round(every_s * 1000),
    )
    return await tx.one(claim.returning(duties.c.name)) is not None


async def _requeue_lost(tx: Tx, ledger: Ledger) -> None:
    """Queue again the jobs whose worker gave no sign of life, unless that happened too often."""
    is_last = jobs.c.system_failures + 1 >= SYSTEM_ATTEMPTS
    rows = await _change(
        tx,
        in_state(RUNNING),
        jobs.c.lease_until < now_ms(),
        state=sa.case((jobs.c.cancel_requested, CANCELLED), (is_last, DEAD), else_=QUEUED),
        finished_at=sa.case((sa.or_(jobs.c.cancel_requested, is_last), now_ms())),
        system_failures=jobs.c.system_failures + 1,
        failure=_LOST,
        signature=_LOST["signature"],
        lease_until=None,
    )
    await fair.shift(tx, {at: (0, -count) for at, count in tally(rows)})
    await _announce(tx, ledger, [row for row in rows if row.state == QUEUED])


async def _announce(tx: Tx, ledger: Ledger, rows: list[sa.Row[Any]]) -> None:
    """Count jobs that are queued now, and wake the workers for them."""
    for (workspace, queue), count in tally(rows):
        await fair.add(tx, workspace, queue, count)
        tx.after_commit(functools.partial(ledger.ring, WORK, queue))


async def _change(tx: Tx, *which: sa.ColumnElement[bool], **values: Any) -> list[sa.Row[Any]]:
    """Change jobs, but for those that somebody is changing now; return what they have become."""
    free = sa.select(jobs.c.workspace, jobs.c.id).where(*which).limit(_BATCH)
    rows = free.with_for_update(skip_locked=True).cte("free")
    change = (
        sa.update(jobs)
        .where(jobs.c.workspace == rows.c.workspace, jobs.c.id == rows.c.id)
        .values(**values)
        .returning(jobs.c.workspace, jobs.c.queue, jobs.c.state)
    )
    return list(await tx.all(change))


async def _fire_schedules(tx: Tx, ledger: Ledger) -> None:
    """Fire the schedules that are due; one that was due several times fires once."""
    now = await clock(tx)
    due = tx.select(schedules).where(schedules.c.next_at <= now).limit(_BATCH)
    for row in await tx.all(due.with_for_update(skip_locked=True)):
        key = f"cron:{row.name}:{row.next_at.isoformat()}"
        async with tx.nested(row.workspace) as inner:
            await ledger.send(inner, row.topic, row.payload, key=key)
        mine = (schedules.c.workspace == row.workspace) & (schedules.c.name == row.name)
        next_at = crontab.next_after(crontab.parse(row.cron), now)
        await tx.run(tx.update(schedules).where(mine).values(next_at=next_at))


async def _delete_expired(tx: Tx) -> None:
    """Delete jobs that ended long ago."""
    now = await clock(tx)
    for states, kept in (((DONE, CANCELLED), KEPT), ((DEAD,), 4 * KEPT)):
        ended = sa.select(jobs.c.workspace, jobs.c.id).where(
            jobs.c.finished_at < now - kept, jobs.c.state.in_(states)
        )
        old = sa.select(ended.limit(20 * _BATCH).cte("old"))
        await tx.run(sa.delete(jobs).where(sa.tuple_(jobs.c.workspace, jobs.c.id).in_(old)))
