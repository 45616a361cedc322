"""What works on a message: handlers by topic, and the job that a handler is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volano.core.jobs import lease as leases
from volano.core.jobs.completion import Completions
from volano.core.jobs.lease import Lease

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx

    Work = Callable[["Context", "Job"], Awaitable[Any]]


class Job:
    """One attempt at a message. It may be given again after a crash: be idempotent, or finish()."""

    def __init__(
        self,
        lease: Lease,
        topic: str,
        payload: dict[str, Any],
        completions: Completions | None = None,
    ) -> None:
        self.lease = lease
        self.topic = topic
        self.payload = payload
        self._completions = completions
        self.cancelling = asyncio.Event()
        """Set once somebody asked for this job to end."""
        self.is_finished = False
        self.is_ending = False
        """The ledger is being told how it ended: it may already say so before this task knows."""

    @property
    def id(self) -> str:
        """The job's id: the same in every attempt."""
        return self.lease.id

    @property
    def workspace(self) -> str:
        """Whose job this is."""
        return self.lease.workspace

    @property
    def attempt(self) -> int:
        """From 1; the fencing token, so also a good part of a file's name."""
        return self.lease.attempt

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody asked for this job to end."""
        return self.cancelling.is_set()

    @asynccontextmanager
    async def finish(self, ctx: Context) -> AsyncIterator[Tx]:
        """Open the transaction that completes the job: its effects are kept with it, or neither.

        Jobs that end at the same time share it, so await nothing but the database in it.

        Raises: LeaseLost (on entering: another worker has the job; nothing was kept).
        """
        completions = self._completions or Completions(ctx.db)
        self.is_ending = True
        member = completions.join(self.lease)
        try:
            async with (await member.turn).nested(self.workspace) as tx:
                yield tx
            member.leave(kept=True)
            await member.committed
            self.is_finished = True
        finally:
            member.leave(kept=False)
            self.is_ending = self.is_finished

    async def progress(self, ctx: Context, facts: dict[str, Any]) -> None:
        """Show how far it is. Raises: LeaseLost."""
        async with ctx.db.begin(self.workspace) as tx:
            await leases.note(tx, self.lease, facts)


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that works on a topic; without a heartbeat for `lease_s` its job is given away."""

    topic: str
    name: str
    work: Work
    lease_s: float | None = None


class Handlers:
    """Handlers by topic. Each of several handlers of one topic gets a job of its own."""

    def __init__(self, *parts: Handlers) -> None:
        self._by_topic: dict[str, list[Handler]] = {}
        for handler in (handler for part in parts for handler in part):
            self._by_topic.setdefault(handler.topic, []).append(handler)

    def __iter__(self) -> Iterator[Handler]:
        return (handler for group in self._by_topic.values() for handler in group)

    def on(self, topic: str, *, lease_s: float | None = None) -> Callable[[Work], Work]:
        """Register `async def work(ctx, job)` for the topic."""

        def register(work: Work) -> Work:
            name = f"{work.__module__.removeprefix('volano.')}.{work.__qualname__}"
            handler = Handler(topic, name, work, lease_s)
            self._by_topic.setdefault(topic, []).append(handler)
            return work

        return register

    def find(self, topic: str) -> Handler | None:
        """Return the handler of the topic; of several, one that sends each a message of its own."""
        event, is_copy, name = topic.partition(_COPY)
        group = self._by_topic.get(event, [])
        if is_copy:
            group = [handler for handler in group if handler.name == name]
        if len(group) <= 1:
            return group[0] if group else None
        return Handler(topic, "copies", _copies(group))

    def leases(self, topics: Iterable[str], default_s: float) -> dict[float, list[str]]:
        """Return the topics by the length of their lease."""
        by_length: dict[float, list[str]] = {}
        for topic in topics:
            handler = self.find(topic)
            length = handler.lease_s if handler and handler.lease_s else default_s
            by_length.setdefault(length, []).append(topic)
        return by_length


_COPY = ">"


def _copies(group: list[Handler]) -> Work:
    async def copy(ctx: Context, job: Job) -> None:
        async with job.finish(ctx) as tx:
            for handler in group:
                topic = f"{job.topic}{_COPY}{handler.name}"
                await ctx.jobs.send(tx, topic, job.payload, queue=job.lease.queue)

    return copy
