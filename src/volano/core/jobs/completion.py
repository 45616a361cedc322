"""Completing jobs: those that end at the same time share one transaction, and with it its commit.

One statement marks all of them done, each fenced by its attempt. Then one after the other writes
its effects, in its own task and in a savepoint of its own. One statement frees their slots. A job
whose effects fail is running again before anybody has seen it done.
"""

import asyncio
import functools
from collections.abc import Callable

from volano.core.db import EVERYWHERE, Database, Tx
from volano.core.jobs import lease as leases
from volano.core.jobs.lease import Lease
from volano.schemas.jobs import LeaseLost


class Member:
    """A job that is about to be completed."""

    def __init__(self, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        self.lease = lease
        self.turn: asyncio.Future[Tx] = loop.create_future()
        """The transaction, once this job is marked done in it and may write its effects."""
        self.left: asyncio.Future[bool] = loop.create_future()
        """Whether the effects are written; only then the next job has its turn."""
        self.committed: asyncio.Future[None] = loop.create_future()
        """The end of the transaction."""

    async def has_written(self, tx: Tx) -> bool:
        """Give the job's task its turn, and return whether its effects are written."""
        if not self.left.done():  # it would be, had the task been cancelled while it waited
            self.turn.set_result(tx)
        return await self.left

    def leave(self, *, kept: bool) -> None:
        """Let the next member go on; only the first call counts."""
        if not self.left.done():
            self.left.set_result(kept)

    def tell(self, error: BaseException | None) -> None:
        """Tell the job's task, where it still waits, how the transaction ended."""
        waiting = self.committed if self.turn.done() else self.turn
        if waiting.done():
            return
        if error is None:
            self.committed.set_result(None)
        else:
            waiting.set_exception(error)
            waiting.exception()  # retrieved, also where the job's task was cancelled


class Completions:
    """Completes the jobs of one worker, a group at a time."""

    def __init__(self, db: Database, on_join: Callable[[Lease], None] | None = None) -> None:
        self._db = db
        self._on_join = on_join
        self._waiting: list[Member] = []
        self._group: asyncio.Task[None] | None = None

    def join(self, lease: Lease) -> Member:
        """Complete the job in the next transaction."""
        member = Member(lease)
        self._waiting.append(member)
        if self._on_join is not None:
            self._on_join(lease)
        if self._group is None:
            self._start()
        return member

    async def drain(self) -> None:
        """Wait until no transaction is open."""
        while self._group is not None:
            await asyncio.wait([self._group])

    def _start(self) -> None:
        members: list[Member] = []
        self._group = asyncio.create_task(self._complete(members))
        self._group.add_done_callback(functools.partial(self._settle, members))

    async def _complete(self, members: list[Member]) -> None:
        async with self._db.begin(EVERYWHERE) as tx:
            # In one order, so that two workers' groups do not wait for each other's rows.
            members += sorted(self._take(), key=lambda member: member.lease)
            held = await leases.complete(tx, [member.lease for member in members])
            kept, given_up = [], []
            for member in members:
                lease = member.lease
                if lease not in held:
                    member.tell(LeaseLost(id=lease.id, attempt=lease.attempt))
                elif await member.has_written(tx):
                    kept.append(lease)
                else:
                    given_up.append(lease)
            await leases.reopen(tx, given_up)
            await leases.release(tx, *kept)

    def _settle(self, members: list[Member], group: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if group.cancelled() else group.exception()
        # Where the transaction could not even begin, nobody has joined it yet.
        for member in members or (self._take() if error else ()):
            member.tell(error)
        self._group = None
        if self._waiting:
            self._start()

    def _take(self) -> list[Member]:
        taken, self._waiting = self._waiting, []
        return taken
