"""Fair shares: which workspace's work is next, and the counters that say so.

Weighted fair queueing on two levels. Between workspaces the smallest virtual time (work received /
weight) goes first, up to each one's cap; within a workspace priority, then age. A workspace that
was idle starts at the virtual time of those that are not: waiting earns no credit and no debt.

Source: start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996; ours charges at the claim.
"""

import functools
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from volano.core.db import Tx, now_ms
from volano.core.jobs.tables import QUEUED, RUNNING, in_state, is_waiting, jobs, queues

TURN: Final = 5
"""A claim goes to one workspace for each so many jobs that it is for."""

_mine = (queues.c.workspace == sa.bindparam("ws")) & (queues.c.queue == sa.bindparam("q"))
_others = queues.alias("others")


def _level() -> sa.ColumnElement[float]:
    """Return the virtual time at which a workspace becomes active."""
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
    sa.select(queues)
    .where(
        is_waiting(queues),
        queues.c.queue.in_(sa.bindparam("names", expanding=True)),
        sa.or_(queues.c.max_running.is_(None), queues.c.running < queues.c.max_running),
    )
    .order_by(queues.c.vtime, queues.c.workspace)
    .limit(sa.bindparam("turns", type_=sa.Integer))
)
# SQLite has no row locks and compiles neither clause: BEGIN IMMEDIATE is its lock.
_PICK_FREE: Final = _PICK.with_for_update(skip_locked=True)
_PICK_WAITING: Final = _PICK.with_for_update()

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


async def shift(tx: Tx, changes: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    """Add to (pending, running) of each (workspace, queue): jobs have left a state."""
    rows = [
        {"ws": workspace, "q": queue, "to_pending": pending, "to_running": running}
        for (workspace, queue), (pending, running) in sorted(changes.items())
    ]
    if rows:
        await tx.everywhere().run(_SHIFT, rows)


async def claim(
    tx: Tx, by: str, names: Sequence[str], limit: int, lease_ms: int
) -> Sequence[sa.Row[Any]]:
    """Give this worker a lease on up to `limit` jobs of the workspaces that are next."""
    wanted = {"names": names, "turns": -(-limit // TURN)}
    turns = await tx.all(_PICK_FREE, wanted)
    if not turns and tx.dialect == "postgresql":  # every row in question is locked: wait for one
        turns = await tx.all(_PICK_WAITING, wanted | {"turns": 1})
    if not turns:
        return []
    given: dict[str, Any] = {"by": by, "lease_ms": lease_ms}
    for at, (turn, count) in enumerate(zip(turns, _shares(turns, limit), strict=True)):
        given |= {f"ws{at}": turn.workspace, f"q{at}": turn.queue, f"n{at}": count}
    taken = await tx.all(_take(len(turns)), given)
    counts, costs = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for job in taken:
        counts[job.workspace, job.queue] += 1
        costs[job.workspace, job.queue] += job.cost
    rows = [{"ws": ws, "q": q, "n": n, "work": costs[ws, q]} for (ws, q), n in counts.items()]
    if rows:
        await tx.run(_CHARGE, rows)
    # An UPDATE returns its rows in any order; within a workspace the best go first.
    return sorted(taken, key=lambda job: (-job.priority, job.id))


def _shares(turns: Sequence[sa.Row[Any]], limit: int) -> list[int]:
    """Return how many jobs each workspace gets: one by one to the smallest virtual time."""
    most = [
        t.pending if t.max_running is None else min(t.pending, t.max_running - t.running)
        for t in turns
    ]
    counts = [0] * len(turns)
    line = [(turn.vtime, at) for at, turn in enumerate(turns)]
    heapq.heapify(line)
    for _ in range(min(limit, sum(most))):
        vtime, at = line[0]
        counts[at] += 1
        if counts[at] < most[at]:
            heapq.heapreplace(line, (vtime + 1 / turns[at].weight, at))
        else:
            heapq.heappop(line)
    return counts


@functools.cache
def _take(turns: int) -> sa.Update:
    """Return the UPDATE that takes the best jobs of so many workspaces."""
    # A CTE runs once; PostgreSQL may run a subquery several times, each time past its limit.
    parts = [
        sa.select(jobs.c.workspace, jobs.c.id)
        .where(
            jobs.c.workspace == sa.bindparam(f"ws{at}"),
            jobs.c.queue == sa.bindparam(f"q{at}"),
            in_state(QUEUED),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(sa.bindparam(f"n{at}", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .cte(f"best{at}")
        for at in range(turns)
    ]
    # Joined, and not a pair that is IN a subquery: for that SQLite reads the whole table.
    best = sa.union_all(*map(sa.select, parts)).subquery("best")
    return (
        sa.update(jobs)
        .where(jobs.c.workspace == best.c.workspace, jobs.c.id == best.c.id)
        .values(
            state=RUNNING,
            attempt=jobs.c.attempt + 1,
            worker=sa.bindparam("by"),
            lease_until=now_ms() + sa.bindparam("lease_ms", type_=sa.BigInteger),
            started_at=sa.func.coalesce(jobs.c.started_at, now_ms()),
        )
        .returning(
            jobs.c.workspace, jobs.c.id, jobs.c.queue, jobs.c.topic, jobs.c.payload,
            jobs.c.attempt, jobs.c.max_attempts, jobs.c.user_failures, jobs.c.system_failures,
            jobs.c.cost, jobs.c.priority, jobs.c.cancel_requested,
        )
    )  # fmt: skip
