"""The ledger: what is to be done, sent in the transaction of the rows it speaks of."""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from volano.core.db import EVERYWHERE, Database, Tx, now_ms
from volano.core.http.page import Keyset
from volano.core.jobs import cron as crontab
from volano.core.jobs import fair
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
    queues,
    schedules,
)
from volano.schemas.common import Page, new_id
from volano.schemas.errors import Broken
from volano.schemas.jobs import DeadLetters, JobInfo, JobMissing, NotDead, State

WORK: Final = "jobs"
"""Channel that rings when there is work; the text is the queue."""
CANCEL: Final = "jobs.cancel"
"""Channel that rings when a running job is to end; the text is its id."""

DEFAULT: Final = "default"
"""The queue of the system's own work."""
RUN: Final = "run"
"""The queue of users' runs: with slots of their own, they keep no other work waiting."""

_LONGEST_PAUSE_MS = 3_600_000

NEWEST: Final = Keyset((jobs.c.id,), descending=True)
"""Ids begin with the time at which they were made."""


class Bell(Protocol):
    """What wakes workers: a bus; a ring may be lost."""

    def publish(self, channel: str, text: str) -> None: ...


class Ledger:
    """Sends, cancels and tells about background work."""

    def __init__(self, bell: Bell | None = None) -> None:
        self._bell = bell

    async def send(  # noqa: PLR0913 - so many facts has a message, and all have a default
        self,
        tx: Tx,
        topic: str,
        payload: Mapping[str, Any],
        *,
        key: str | None = None,
        run_at: datetime | None = None,
        priority: int = 0,
        cost: float = 1.0,
        max_attempts: int = 5,
        queue: str = DEFAULT,
    ) -> str:
        """Send a message; return the id of the job that exists if the transaction commits.

        A `key` is taken once per workspace: sent again, it gives the id of the first. `cost` is
        the expected work in any one unit: shares between workspaces are shares of cost.
        """
        system = tx.everywhere()
        owner = _owner(tx)
        row = {
            "workspace": owner, "id": new_id("job"), "queue": queue, "topic": topic,
            "payload": dict(payload), "key": key, "priority": priority, "cost": cost,
            "max_attempts": max_attempts, "state": SCHEDULED if run_at else QUEUED,
            "due": run_at,
        }  # fmt: skip
        sent: str | None = await system.scalar(_insert(tx.dialect), row)
        if sent is None:
            same = sa.select(jobs.c.id).where(jobs.c.workspace == owner, jobs.c.key == key)
            return str(await system.scalar(same))
        if run_at is None:
            await fair.add(system, owner, queue, 1)
            tx.after_commit(functools.partial(self.ring, WORK, queue))
        return sent

    async def send_unless_open(
        self, tx: Tx, topic: str, payload: Mapping[str, Any], *, key: str, pause_s: float = 60.0
    ) -> str:
        """Send the message unless a job with this key is open; return the id of that job.

        The key is free again once its job has ended. One that failed for good stays the only one:
        it is tried again after `pause_s`, then after as long as it has been failing, at most an
        hour.
        """
        mine = jobs.c.key == key
        await tx.run(
            tx.update(jobs).where(mine, jobs.c.state.in_((DONE, CANCELLED))).values(key=None)
        )
        failing_ms = _ms(jobs.c.finished_at) - _ms(jobs.c.created_at)
        pause_ms = sa.case(
            (failing_ms < round(pause_s * 1000), round(pause_s * 1000)),
            (failing_ms > _LONGEST_PAUSE_MS, _LONGEST_PAUSE_MS),
            else_=failing_ms,
        )
        revived = await self._revive(tx, mine, _ms(jobs.c.finished_at) + pause_ms <= now_ms())
        return revived[0] if revived else await self.send(tx, topic, payload, key=key)

    async def cancel(self, tx: Tx, job_id: str) -> bool:
        """Cancel the job and return True, or ask one that runs to end. Raises: JobMissing."""
        job = await tx.one(tx.select(jobs).where(jobs.c.id == job_id).with_for_update())
        if job is None:
            raise JobMissing(id=job_id)
        change = tx.update(jobs).where(jobs.c.id == job_id)
        if job.state == RUNNING:
            await tx.run(change.values(cancel_requested=True))
            tx.after_commit(functools.partial(self.ring, CANCEL, job_id))
        elif job.state in (QUEUED, SCHEDULED):
            await tx.run(change.values(state=CANCELLED, finished_at=now_ms()))
            if job.state == QUEUED:
                await fair.shift(tx, {(job.workspace, job.queue): (-1, 0)})
            return True
        return bool(job.state == CANCELLED)

    async def find(self, tx: Tx, job_id: str) -> JobInfo:
        """Return the job. Raises: JobMissing."""
        row = await tx.one(tx.select(*_SHOWN).where(jobs.c.id == job_id))
        if row is None:
            raise JobMissing(id=job_id)
        return JobInfo(**row._mapping)

    async def dead(self, tx: Tx) -> list[DeadLetters]:
        """Return the workspace's dead jobs, those that failed alike together, the most first."""
        count, newest = sa.func.count().label("jobs"), sa.func.max(jobs.c.id).label("newest")
        groups = tx.select(jobs.c.signature, count, newest).where(in_state(DEAD))
        groups = groups.group_by(jobs.c.signature).order_by(count.desc())
        return [await self._letters(tx, row) for row in await tx.all(groups)]

    async def page(
        self, tx: Tx, *, state: State | None, topic: str | None, after: str, limit: int
    ) -> Page[JobInfo]:
        """List the workspace's jobs, newest first.

        Raises: CursorRefused.
        """
        query = tx.select(*_SHOWN)
        if state is not None:
            query = query.where(in_state(state))
        if topic is not None:
            query = query.where(jobs.c.topic == topic)
        rows = await tx.all(NEWEST.slice(query, after, limit))
        return NEWEST.page(rows, limit, lambda row: JobInfo(**row._mapping))

    async def requeue(
        self, tx: Tx, *, ids: Sequence[str] | None = None, signature: str | None = None
    ) -> int:
        """Give dead jobs all their attempts again; return how many.

        They are those of `ids`, those with the `signature`, or without either all of the workspace.

        Raises: JobMissing, NotDead (of `ids`; then none is requeued).
        """
        which: list[sa.ColumnElement[bool]] = []
        if ids is not None:
            which.append(jobs.c.id.in_(ids))
        if signature is not None:
            which.append(jobs.c.signature == signature)
        revived = await self._revive(tx, *which)
        for id in set(ids or ()) - set(revived):
            raise NotDead(id=id, state=(await self.find(tx, id)).state)
        return len(revived)

    async def _revive(self, tx: Tx, *which: sa.ColumnElement[bool]) -> list[str]:
        """Give dead jobs all their attempts again; return their ids."""
        change = tx.update(jobs).where(in_state(DEAD), *which)
        revived = change.values(
            state=QUEUED, user_failures=0, system_failures=0, cancel_requested=False,
            finished_at=None,
        ).returning(jobs.c.id, jobs.c.workspace, jobs.c.queue)  # fmt: skip
        rows = await tx.all(revived)
        for (workspace, queue), count in tally(rows):
            await fair.add(tx.everywhere(), workspace, queue, count)
            tx.after_commit(functools.partial(self.ring, WORK, queue))
        return [row.id for row in rows]

    async def share(
        self, tx: Tx, *, weight: float = 1.0, max_running: int | None = None, queue: str = DEFAULT
    ) -> None:
        """Set the workspace's weight (> 0) and its cap on jobs that run at once."""
        await fair.add(tx.everywhere(), _owner(tx), queue, 0)
        change = tx.update(queues).where(queues.c.queue == queue)
        await tx.run(change.values(weight=weight, max_running=max_running))

    async def schedule(
        self, tx: Tx, name: str, cron: str, topic: str, payload: Mapping[str, Any]
    ) -> None:
        """Send a message at the times of a cron line (UTC), until `unschedule`.

        Raises: BadCron.
        """
        next_at = crontab.next_after(crontab.parse(cron), await clock(tx))
        row = {"cron": cron, "topic": topic, "payload": dict(payload), "next_at": next_at}
        insert = tx.insert(schedules).values(name=name, **row)
        keys = [schedules.c.workspace, schedules.c.name]
        await tx.run(insert.on_conflict_do_update(index_elements=keys, set_=row))

    async def unschedule(self, tx: Tx, name: str) -> bool:
        """Remove a schedule; return whether there was one."""
        return bool(await tx.run(tx.delete(schedules).where(schedules.c.name == name)))

    async def _letters(self, tx: Tx, group: sa.Row[Any]) -> DeadLetters:
        newest = await self.find(tx, group.newest)
        return DeadLetters(
            signature=group.signature,
            jobs=group.jobs,
            topic=newest.topic,
            failure=newest.failure or {},
        )

    def ring(self, channel: str, text: str) -> None:
        """Wake who listens; may be lost."""
        if self._bell is not None:
            self._bell.publish(channel, text)


async def census(tx: Tx) -> Sequence[sa.Row[Any]]:
    """Count by topic and state the jobs that are not over, and those that failed for good."""
    n = sa.func.count().label("n")
    # One part for each state: what is over is the most by far, and in no partial index.
    parts = [
        tx.select(jobs.c.topic, jobs.c.state, n).where(in_state(state)).group_by(*_BY_TOPIC)
        for state in (SCHEDULED, QUEUED, RUNNING, DEAD)
    ]
    return await tx.all(tx.union_all(*parts))


async def heard_s(tx: Tx) -> float | None:
    """Return the seconds since any worker gave a sign of life; None if none ever did."""
    ms = await tx.scalar(tx.select(now_ms() - sa.func.max(_ms(duties.c.done_at))))
    return None if ms is None else ms / 1000


async def clock(tx: Tx) -> datetime:
    """Return the database's time."""
    at: datetime = await tx.scalar(tx.select(sa.type_coerce(now_ms(), jobs.c.run_at.type)))
    return at


async def integrity(db: Database) -> list[str]:
    """Return what an embedded database finds wrong with its own file.

    PostgreSQL checks the pages that it reads, where it was set up with checksums.
    """
    async with db.read(EVERYWHERE) as tx:
        if tx.dialect != "sqlite":
            return []
        rows = await tx.all(sa.text("PRAGMA integrity_check"))
    return [row[0] for row in rows if row[0] != "ok"]


async def recount(db: Database, *, repair: bool = False) -> list[tuple[str, str]]:
    """Return (workspace, queue) of each counter that is not what counting gives: of a bug.

    With `repair` they are set right. Takes every row of the counters for itself meanwhile.
    """
    async with db.begin(EVERYWHERE) as tx:
        kept = await tx.all(tx.select(queues).order_by(*queues.primary_key).with_for_update())
        counted = {
            (row.workspace, row.queue, row.state): row.n
            for row in await tx.all(
                tx.select(jobs.c.workspace, jobs.c.queue, jobs.c.state, sa.func.count().label("n"))
                .where(sa.or_(in_state(QUEUED), in_state(RUNNING)))
                .group_by(jobs.c.workspace, jobs.c.queue, jobs.c.state)
            )
        }
        wrong = []
        for row in kept:
            at = (row.workspace, row.queue)
            right = {"pending": counted.get((*at, QUEUED), 0)}
            right |= {"running": counted.get((*at, RUNNING), 0)}
            if (row.pending, row.running) == (right["pending"], right["running"]):
                continue
            wrong.append(at)
            if repair:
                mine = (queues.c.workspace == at[0]) & (queues.c.queue == at[1])
                await tx.run(tx.update(queues).where(mine).values(**right))
    return wrong


def tally(rows: Sequence[sa.Row[Any]]) -> list[tuple[tuple[str, str], int]]:
    """Count rows by (workspace, queue), in one order, so that lockers do not cross."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        at = (row.workspace, row.queue)
        counts[at] = counts.get(at, 0) + 1
    return sorted(counts.items())


def _ms(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)


def _owner(tx: Tx) -> str:
    if not isinstance(tx.workspace, str):
        raise Broken("A message belongs to a workspace: send it in a transaction of one.")
    return tx.workspace


_BY_TOPIC: Final = (jobs.c.topic, jobs.c.state)
_SHOWN = [jobs.c[name] for name in JobInfo.__struct_fields__]


@functools.cache
def _insert(dialect: str) -> Any:
    """Return the INSERT of one job, which returns no id where the key is taken."""
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect]
    due = sa.bindparam("due", type_=jobs.c.run_at.type)
    return (
        insert(jobs)
        .values(created_at=now_ms(), run_at=sa.func.coalesce(due, now_ms()), **_FRESH)
        .on_conflict_do_nothing(index_elements=["workspace", "key"])
        .returning(jobs.c.id)
    )


_FRESH: Final = {"attempt": 0, "user_failures": 0, "system_failures": 0, "cancel_requested": False}
