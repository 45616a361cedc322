"""Fair shares: which workspace's work is next, and the counters that say so.

Weighted fair queueing on two levels. Between workspaces the smallest virtual time (work received /
weight) goes first, up to each one's cap; within a workspace priority, then age. A workspace that
was idle starts at the virtual time of those that are not: waiting earns no credit and no debt.

Source: start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996; ours charges at the claim.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from volano.core.db import Tx, now_ms
from volano.core.jobs.tables import QUEUED, RUNNING, in_state, is_waiting, jobs, queues

_mine = (queues.c.workspace == sa.bindparam("ws")) & (queues.c.queue == sa.bindparam("q"))
_others = queues.alias("others")


def _level() -> sa.ColumnElement[float]:
    """The virtual time at which a workspace becomes active."""
    same = _others.c.queue == sa.bindparam("q")
    lowest = sa.select(sa.func.min(_others.c.vtime)).where(same, is_waiting(_others))
    highest = sa.select(sa.func.max(_others.c.vtime)).where(same)
    return sa.func.coalesce(lowest.scalar_subquery(), highest.scalar_subquery(), 0.0)


def _greater(a: Any, b: Any) -> sa.ColumnElement[float]:
    return sa.case((a > b, a), else_=b)


_is_active = queues.c.pending + queues.c.running > 0

_ADD: Final = (
    sa.update(queues)
    .where(_mine)
    .values(
        pending=queues.c.pending + sa.bindparam("n"),
        vtime=sa.case((_is_active, queues.c.vtime), else_=_greater(queues.c.vtime, _level())),
    )
)

_PICK: Final = (
    sa.select(queues.c.workspace, queues.c.queue, queues.c.max_running, queues.c.running)
    .where(
        is_waiting(queues),
        queues.c.queue.in_(sa.bindparam("names", expanding=True)),
        sa.or_(queues.c.max_running.is_(None), queues.c.running < queues.c.max_running),
    )
    .order_by(queues.c.vtime, queues.c.workspace)
    .limit(1)
)
# SQLite has no row locks and compiles neither clause: BEGIN IMMEDIATE is its lock.
_PICK_FREE: Final = _PICK.with_for_update(skip_locked=True)
_PICK_WAITING: Final = _PICK.with_for_update()

_best = (
    sa.select(jobs.c.id)
    .where(
        jobs.c.workspace == sa.bindparam("ws"),
        jobs.c.queue == sa.bindparam("q"),
        in_state(QUEUED),
    )
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(sa.bindparam("n", type_=sa.Integer))
    .with_for_update(skip_locked=True)
    # As a CTE it runs once; PostgreSQL may run a subquery several times, each time past its limit.
    .cte("best")
)

_TAKE: Final = (
    sa.update(jobs)
    .where(jobs.c.workspace == sa.bindparam("ws"), jobs.c.id.in_(sa.select(_best.c.id)))
    .values(
        state=RUNNING,
        attempt=jobs.c.attempt + 1,
        worker=sa.bindparam("by"),
        lease_until=now_ms() + sa.bindparam("lease_ms", type_=sa.BigInteger),
        started_at=sa.func.coalesce(jobs.c.started_at, now_ms()),
    )
    .returning(
        jobs.c.workspace, jobs.c.id, jobs.c.queue, jobs.c.topic, jobs.c.payload, jobs.c.attempt,
        jobs.c.max_attempts, jobs.c.user_failures, jobs.c.system_failures, jobs.c.cost,
        jobs.c.priority, jobs.c.cancel_requested,
    )
)  # fmt: skip

_CHARGE: Final = (
    sa.update(queues)
    .where(_mine)
    .values(
        pending=queues.c.pending - sa.bindparam("n"),
        running=queues.c.running + sa.bindparam("n"),
        vtime=queues.c.vtime + sa.bindparam("work", type_=sa.Double) / queues.c.weight,
    )
)

_SHIFT: Final = (
    sa.update(queues)
    .where(_mine)
    .values(
        pending=queues.c.pending + sa.bindparam("to_pending"),
        running=queues.c.running + sa.bindparam("to_running"),
    )
)


async def add(tx: Tx, workspace: str, queue: str, count: int) -> None:
    """Count jobs that have become ready; the workspace becomes active if it was idle."""
    given = {"ws": workspace, "q": queue, "n": count}
    if await tx.run(_ADD, given):
        return
    row = {"workspace": workspace, "queue": queue, "weight": 1.0, "max_running": None}
    row |= {"pending": 0, "running": 0, "vtime": 0.0}
    await tx.run(tx.upsert(queues, keys=["workspace", "queue"]).values(**row))
    await tx.run(_ADD, given)


async def shift(tx: Tx, workspace: str, queue: str, *, pending: int = 0, running: int = 0) -> None:
    """Correct the counters of jobs that left a state."""
    given = {"ws": workspace, "q": queue, "to_pending": pending, "to_running": running}
    await tx.run(_SHIFT, given)


async def claim(
    tx: Tx, by: str, names: Sequence[str], limit: int, lease_ms: int
) -> Sequence[sa.Row[Any]]:
    """Up to `limit` jobs of the workspace that is next, now running under this worker's lease."""
    turn = await tx.one(_PICK_FREE, {"names": names})
    if turn is None and tx.dialect == "postgresql":  # every row in question is locked: wait
        turn = await tx.one(_PICK_WAITING, {"names": names})
    if turn is None:
        return []
    room = limit if turn.max_running is None else min(limit, turn.max_running - turn.running)
    where = {"ws": turn.workspace, "q": turn.queue}
    taken = await tx.all(_TAKE, where | {"n": room, "by": by, "lease_ms": lease_ms})
    if taken:
        work = sum(job.cost for job in taken)
        await tx.run(_CHARGE, where | {"n": len(taken), "work": work})
    # An UPDATE returns its rows in any order; within a workspace the best go first.
    return sorted(taken, key=lambda job: (-job.priority, job.id))
