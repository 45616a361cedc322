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
        if await _turn(tx, "sweep", every_s):
            await _expired(tx, ledger)
            await _due(tx, ledger)
            await _scheduled(tx, ledger)
    async with db.begin(EVERYWHERE) as tx:
        if await _turn(tx, "forget", 600.0):
            await _forget(tx)


async def _turn(tx: Tx, name: str, every_s: float) -> bool:
    """Take the duty: one worker moves its time, the others see that it moved."""
    insert = tx.insert(duties).values(name=name, done_at=now_ms())
    claim = insert.on_conflict_do_update(
        index_elements=[duties.c.name],
        set_={"done_at": now_ms()},
        where=duties.c.done_at <= now_ms() - round(every_s * 1000),
    )
    return await tx.one(claim.returning(duties.c.name)) is not None


async def _expired(tx: Tx, ledger: Ledger) -> None:
    """Queue again the jobs whose worker gave no sign of life, unless that happened too often."""
    late = sa.select(jobs.c.workspace, jobs.c.id).where(
        in_state(RUNNING), jobs.c.lease_until < now_ms()
    )
    rows = await _changed(
        tx,
        late,
        state=sa.case(
            (jobs.c.cancel_requested, CANCELLED),
            (jobs.c.system_failures + 1 >= SYSTEM_ATTEMPTS, DEAD),
            else_=QUEUED,
        ),
        finished_at=sa.case(
            (jobs.c.cancel_requested, now_ms()),
            (jobs.c.system_failures + 1 >= SYSTEM_ATTEMPTS, now_ms()),
        ),
        system_failures=jobs.c.system_failures + 1,
        failure=_LOST,
        signature=_LOST["signature"],
        lease_until=None,
    )
    await fair.shift(tx, {at: (0, -count) for at, count in tally(rows)})
    await _ready(tx, ledger, [row for row in rows if row.state == QUEUED])


async def _due(tx: Tx, ledger: Ledger) -> None:
    """Queue the jobs whose time has come."""
    due = sa.select(jobs.c.workspace, jobs.c.id).where(
        in_state(SCHEDULED), jobs.c.run_at <= now_ms()
    )
    await _ready(tx, ledger, await _changed(tx, due, state=QUEUED))


async def _ready(tx: Tx, ledger: Ledger, rows: list[sa.Row[Any]]) -> None:
    for (workspace, queue), count in tally(rows):
        await fair.add(tx, workspace, queue, count)
        tx.after_commit(functools.partial(ledger.ring, WORK, queue))


async def _changed(tx: Tx, which: sa.Select[Any], **values: Any) -> list[sa.Row[Any]]:
    """Change these jobs, less those that somebody is changing now; what they have become."""
    free = which.limit(_BATCH).with_for_update(skip_locked=True).cte("free")
    change = (
        sa.update(jobs)
        .where(sa.tuple_(jobs.c.workspace, jobs.c.id).in_(sa.select(free)))
        .values(**values)
        .returning(jobs.c.workspace, jobs.c.queue, jobs.c.state)
    )
    return list(await tx.all(change))


async def _scheduled(tx: Tx, ledger: Ledger) -> None:
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


async def _forget(tx: Tx) -> None:
    """Remove jobs that ended long ago."""
    now = await clock(tx)
    for states, kept in (((DONE, CANCELLED), KEPT), ((DEAD,), 4 * KEPT)):
        ended = sa.select(jobs.c.workspace, jobs.c.id).where(
            jobs.c.finished_at < now - kept, jobs.c.state.in_(states)
        )
        old = sa.select(ended.limit(20 * _BATCH).cte("old"))
        await tx.run(sa.delete(jobs).where(sa.tuple_(jobs.c.workspace, jobs.c.id).in_(old)))
