"""What the holder of a lease may write: every statement is fenced by the attempt.

A worker that was stopped past its lease and comes back holds an old attempt: its statements touch
no row, so nothing of it is kept. With the effects in the same transaction that is exactly once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa

from volano.core.db import Tx, now_ms
from volano.core.jobs import fair
from volano.core.jobs.retry import Verdict
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

_END: Final = (
    sa.update(jobs)
    .where(_held)
    .values(state=sa.bindparam("to"), finished_at=now_ms(), lease_until=None)
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

_BEAT: Final = (
    sa.update(jobs)
    .where(
        jobs.c.worker == sa.bindparam("by"),
        jobs.c.topic.in_(sa.bindparam("topics", expanding=True)),
        _running,
    )
    .values(lease_until=now_ms() + sa.bindparam("lease_ms", type_=sa.BigInteger))
    .returning(jobs.c.workspace, jobs.c.queue, jobs.c.id, jobs.c.attempt, jobs.c.cancel_requested)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to one attempt at one job."""

    workspace: str
    id: str
    queue: str
    attempt: int
    worker: str

    @classmethod
    def of(cls, row: sa.Row[Any], worker: str) -> Self:
        """The lease of a claimed row."""
        return cls(row.workspace, row.id, row.queue, row.attempt, worker)

    def fence(self, **more: Any) -> dict[str, Any]:
        """The parameters of `_held`."""
        fence = {"ws": self.workspace, "job": self.id, "held": self.attempt, "by": self.worker}
        return fence | more


async def complete(tx: Tx, lease: Lease) -> None:
    """Done: the first statement of the transaction with the effects. Raises: LeaseLost."""
    await _fenced(tx, lease, _END, to=DONE)


async def cancel(tx: Tx, lease: Lease) -> None:
    """Ended because somebody asked for it. Raises: LeaseLost."""
    await _fenced(tx, lease, _END, to=CANCELLED)
    await release(tx, lease)


async def fail(tx: Tx, lease: Lease, verdict: Verdict, why: dict[str, Any]) -> None:
    """Try again later, or never. Raises: LeaseLost."""
    counts = {"user": int(not verdict.is_system), "system": int(verdict.is_system)}
    if verdict.delay_ms is None:
        sign = why["signature"]
        await _fenced(tx, lease, _BURY, delay_ms=0, why=why, sign=sign, **counts)
    else:
        await _fenced(tx, lease, _AGAIN, delay_ms=verdict.delay_ms, why=why, **counts)
    await release(tx, lease)


async def give_back(tx: Tx, lease: Lease) -> None:
    """Ready for another worker at once, with no failure counted. Raises: LeaseLost."""
    await _fenced(tx, lease, _GIVE_BACK)
    await fair.shift(tx.everywhere(), lease.workspace, lease.queue, pending=1, running=-1)


async def note(tx: Tx, lease: Lease, progress: dict[str, Any]) -> None:
    """Keep the progress. Raises: LeaseLost."""
    await _fenced(tx, lease, _NOTE, to=progress)


async def release(tx: Tx, lease: Lease) -> None:
    """Free the workspace's slot: the last statement, since every job of it writes that row."""
    await fair.shift(tx.everywhere(), lease.workspace, lease.queue, running=-1)


async def beat(tx: Tx, worker: str, topics: Iterable[str], lease_ms: int) -> Sequence[sa.Row[Any]]:
    """Extend every lease of the worker on these topics in one statement; the jobs it still has."""
    return await tx.all(_BEAT, {"by": worker, "topics": list(topics), "lease_ms": lease_ms})


async def _fenced(tx: Tx, lease: Lease, statement: sa.Update, **values: Any) -> None:
    if await tx.everywhere().run(statement, lease.fence(**values)) != 1:
        raise LeaseLost(id=lease.id, attempt=lease.attempt)
