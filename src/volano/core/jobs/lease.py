"""What the holder of a lease may write: every statement is fenced by the attempt.

A worker that was stopped past its lease and comes back holds an old attempt: its statements touch
no row, so nothing of it is kept. With the effects in the same transaction that is exactly once.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa

from volano.core.db import JsonValue, Tx, now_ms
from volano.core.jobs import fair
from volano.core.jobs.retry import Decision
from volano.core.jobs.tables import (
    CANCELLED,
    DEAD,
    DONE,
    QUEUED,
    RUNNING,
    SCHEDULED,
    in_state,
    jobs,
)
from volano.schemas.jobs import LeaseLost

_running = in_state(RUNNING)
_held = (
    (jobs.c.workspace == sa.bindparam("ws"))
    & (jobs.c.id == sa.bindparam("job"))
    & (jobs.c.attempt == sa.bindparam("held"))
    & (jobs.c.worker == sa.bindparam("by"))
    & _running
)

_REOPEN: Final = (
    sa.update(jobs)
    .where(jobs.c.workspace == sa.bindparam("ws"), jobs.c.id == sa.bindparam("job"))
    .values(state=RUNNING, finished_at=None)
)

_CANCEL: Final = (
    sa.update(jobs).where(_held).values(state=CANCELLED, finished_at=now_ms(), lease_until=None)
)

_AGAIN: Final = (
    sa.update(jobs)
    .where(_held)
    .values(
        state=SCHEDULED,
        run_at=now_ms() + sa.bindparam("delay_ms", type_=sa.BigInteger),
        user_failures=jobs.c.user_failures + sa.bindparam("user", type_=sa.Integer),
        system_failures=jobs.c.system_failures + sa.bindparam("system", type_=sa.Integer),
        failure=sa.bindparam("why", type_=jobs.c.failure.type),
        lease_until=None,
    )
)

_BURY: Final = _AGAIN.values(
    state=DEAD,
    run_at=jobs.c.run_at,
    signature=sa.bindparam("sign"),
    finished_at=now_ms(),
)

_GIVE_BACK: Final = sa.update(jobs).where(_held).values(state=QUEUED, lease_until=None)

_NOTE: Final = (
    sa.update(jobs).where(_held).values(progress=sa.bindparam("to", type_=jobs.c.progress.type))
)


def _locked(*which: sa.ColumnElement[bool]) -> sa.Update:
    """Return an UPDATE of running jobs that locks them by their ids.

    Two statements that lock many rows, each in an order of its own, could wait for each other.
    """
    chosen = sa.select(jobs.c.workspace, jobs.c.id).where(*which, _running).order_by(jobs.c.id)
    rows = chosen.with_for_update(of=jobs).cte("chosen")
    return sa.update(jobs).where(jobs.c.workspace == rows.c.workspace, jobs.c.id == rows.c.id)


_BEAT: Final = (
    _locked(
        jobs.c.worker == sa.bindparam("by"),
        jobs.c.topic.in_(sa.bindparam("topics", expanding=True)),
    )
    .values(lease_until=now_ms() + sa.bindparam("lease_ms", type_=sa.BigInteger))
    .returning(jobs.c.workspace, jobs.c.queue, jobs.c.id, jobs.c.attempt, jobs.c.cancel_requested)
)


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """The right of one worker to one attempt at one job."""

    workspace: str
    id: str
    queue: str
    attempt: int
    worker: str

    @classmethod
    def of(cls, row: sa.Row[Any], worker: str) -> Self:
        """Return the lease of a claimed row."""
        return cls(row.workspace, row.id, row.queue, row.attempt, worker)

    def fence(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of `_held`."""
        fence = {"ws": self.workspace, "job": self.id, "held": self.attempt, "by": self.worker}
        return fence | more


async def complete(tx: Tx, leases: Sequence[Lease]) -> set[Lease]:
    """Mark jobs done and return the leases that still held; the others write nothing."""
    rows = await tx.all(_complete(tx.dialect), {"leases": [lease.fence() for lease in leases]})
    by_attempt = {(lease.id, lease.attempt): lease for lease in leases}
    return {by_attempt[row.id, row.attempt] for row in rows}


async def reopen(tx: Tx, leases: Sequence[Lease]) -> None:
    """Have jobs that this transaction marked done running as before."""
    if leases:
        await tx.run(_REOPEN, [{"ws": lease.workspace, "job": lease.id} for lease in leases])


async def cancel(tx: Tx, lease: Lease) -> None:
    """End the job as somebody asked. Raises: LeaseLost."""
    await _fenced(tx, lease, _CANCEL)
    await release(tx, lease)


async def fail(tx: Tx, lease: Lease, decision: Decision, why: dict[str, Any]) -> None:
    """Try again later, or never. Raises: LeaseLost."""
    counts = {"user": int(not decision.is_system), "system": int(decision.is_system)}
    if decision.delay_ms is None:
        sign = why["signature"]
        await _fenced(tx, lease, _BURY, delay_ms=0, why=why, sign=sign, **counts)
    else:
        await _fenced(tx, lease, _AGAIN, delay_ms=decision.delay_ms, why=why, **counts)
    await release(tx, lease)


async def give_back(tx: Tx, lease: Lease) -> None:
    """Let another worker have the job at once, with no failure counted. Raises: LeaseLost."""
    await _fenced(tx, lease, _GIVE_BACK)
    await fair.shift(tx, {(lease.workspace, lease.queue): (1, -1)})


async def note(tx: Tx, lease: Lease, progress: dict[str, Any]) -> None:
    """Keep the progress. Raises: LeaseLost."""
    await _fenced(tx, lease, _NOTE, to=progress)


async def release(tx: Tx, *leases: Lease) -> None:
    """Free the jobs' slots: the last statement, since every job of a workspace writes its row."""
    freed = Counter((lease.workspace, lease.queue) for lease in leases)
    await fair.shift(tx, {at: (0, -count) for at, count in freed.items()})


async def beat(tx: Tx, worker: str, topics: Iterable[str], lease_ms: int) -> Sequence[sa.Row[Any]]:
    """Extend every lease of the worker on these topics in one statement; the jobs it still has."""
    return await tx.all(_BEAT, {"by": worker, "topics": list(topics), "lease_ms": lease_ms})


async def _fenced(tx: Tx, lease: Lease, statement: sa.Update, **values: Any) -> None:
    if await tx.everywhere().run(statement, lease.fence(**values)) != 1:
        raise LeaseLost(id=lease.id, attempt=lease.attempt)


@functools.cache
def _complete(dialect: str) -> sa.Update:
    """Return the UPDATE that marks jobs done; it leaves `lease_until` for `reopen`."""
    # All leases are one parameter: a list of tuples is no index look-up for SQLite.
    unpack = {"sqlite": sa.func.json_each, "postgresql": sa.func.jsonb_array_elements}[dialect]
    leases = unpack(sa.bindparam("leases", type_=JsonValue)).table_valued(
        sa.column("value", JsonValue), name="leases"
    )
    fence = leases.c.value
    held = _locked(
        jobs.c.workspace == fence["ws"].as_string(),
        jobs.c.id == fence["job"].as_string(),
        jobs.c.attempt == fence["held"].as_integer(),
        jobs.c.worker == fence["by"].as_string(),
    )
    return held.values(state=DONE, finished_at=now_ms()).returning(jobs.c.id, jobs.c.attempt)
