"""The loop that claims jobs, runs their handlers, keeps their leases alive and drains."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from volano.core.db import EVERYWHERE, Tx
from volano.core.jobs import fair, reaper, retry
from volano.core.jobs import lease as leases
from volano.core.jobs.handlers import Handlers, Job
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import CANCEL, DEFAULT, WORK
from volano.schemas.common import new_id
from volano.schemas.errors import Unavailable
from volano.schemas.jobs import LeaseLost, NoHandler

if TYPE_CHECKING:
    import sqlalchemy as sa

    from volano.core.context import Context

log = structlog.get_logger()

_BATCH = 5
"""Jobs per claim: more would let one workspace run far ahead of its share."""


class _Running:
    """A job in this worker: its task, and why that was cancelled if it was."""

    def __init__(self, row: sa.Row[Any], job: Job) -> None:
        self.job = job
        self.record = retry.Record(row.user_failures, row.system_failures, row.max_attempts)
        self.task: asyncio.Task[None]
        self.is_lost = False
        self.asked_at: float | None = None


class Worker:
    """Runs up to `slots` jobs at once; `run` returns after `stop`, when all of them have ended."""

    def __init__(
        self,
        ctx: Context,
        handlers: Handlers,
        *,
        slots: int | None = None,
        queues: Sequence[str] = (DEFAULT,),
        drain_s: float = 30.0,
    ) -> None:
        settings = ctx.settings
        self.id = new_id("wrk")
        self._ctx = ctx
        self._handlers = handlers
        self._slots = slots or settings.jobs_slots
        self._queues = list(queues)
        self._lease_s, self._beat_s = settings.jobs_lease_s, settings.jobs_beat_s
        self._sweep_s, self._drain_s = settings.jobs_sweep_s, drain_s
        self._running: dict[tuple[str, int], _Running] = {}
        self._wake, self._beat_now = asyncio.Event(), asyncio.Event()
        self._stopping = asyncio.Event()
        # A claim that is committed but not yet in `_running` must not look like a stray to a beat.
        self._claiming = asyncio.Lock()
        self._rng = random.Random()

    def stop(self) -> None:
        """Claim nothing more; `run` ends when the running jobs have, or `drain_s` has passed."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`."""
        async with asyncio.TaskGroup() as group:
            loops = (self._listening, self._beating, self._sweeping)
            aside = [group.create_task(loop()) for loop in loops]
            try:
                await self._claiming_loop()
                await _ended_within(self._tasks(), self._drain_s)
            finally:
                await _ended_within(self._tasks(), 0)
                for task in aside:
                    task.cancel()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values()]

    async def _claiming_loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            claimed = await self._unless_away(self._claim, default=0)
            if not claimed and not self._stopping.is_set():
                await _within(self._wake.wait(), self._sweep_s)

    async def _claim(self) -> int:
        """Start as many jobs as there is room for; how many."""
        room = min(self._slots - len(self._running), _BATCH)
        if room <= 0:
            return 0

        async def body(tx: Tx) -> Sequence[sa.Row[Any]]:
            return await fair.claim(tx, self.id, self._queues, room, round(self._lease_s * 1000))

        async with self._claiming:
            rows = await self._ctx.db.run(EVERYWHERE, body)
            for row in rows:
                self._start(row)
        return len(rows)

    def _start(self, row: sa.Row[Any]) -> None:
        job = Job(Lease.of(row, self.id), row.topic, row.payload)
        running = _Running(row, job)
        self._running[job.id, job.attempt] = running
        running.task = asyncio.create_task(self._work(running), name=f"{row.topic} {job.id}")

    async def _work(self, running: _Running) -> None:
        job, started = running.job, time.perf_counter()
        log.info("job.started", job=job.id, topic=job.topic, attempt=job.attempt)
        try:
            await self._call(running)
            ms = round((time.perf_counter() - started) * 1e3, 1)
            log.info("job.ended", job=job.id, topic=job.topic, attempt=job.attempt, ms=ms)
        except LeaseLost:
            log.warning("job.lease_lost", job=job.id, topic=job.topic, attempt=job.attempt)
        except Unavailable as error:  # the ledger itself is away: the lease will expire
            log.warning("job.ledger_away", job=job.id, topic=job.topic, error=str(error))
        finally:
            del self._running[job.id, job.attempt]
            self._wake.set()

    async def _call(self, running: _Running) -> None:
        """Run the handler and write down how it ended. Raises: LeaseLost, Unavailable."""
        job = running.job
        try:
            handler = self._handlers.find(job.topic)
            if handler is None:
                raise NoHandler(topic=job.topic)
            await handler.work(self._ctx, job)
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            if not running.is_lost:
                await self._write(leases.cancel if job.cancelled else leases.give_back, job)
        except Exception as error:  # noqa: BLE001 - the boundary of a worker: a handler may raise anything
            await self._failed(running, error)
        else:
            await self._ended(job)

    async def _ended(self, job: Job) -> None:
        if job.is_finished:
            return
        if job.cancelled:
            await self._write(leases.cancel, job)
            return
        async with job.finish(self._ctx):
            pass

    async def _failed(self, running: _Running, error: Exception) -> None:
        job = running.job
        if job.is_finished:  # its effects are kept: only what came after them failed
            log.error("job.failed_after_finish", job=job.id, topic=job.topic, exc_info=error)
            return
        if job.cancelled:
            await self._write(leases.cancel, job)
            return
        verdict = retry.judge(error, running.record, self._rng)
        why = retry.describe(error, verdict, job.attempt)
        log.warning("job.failed", job=job.id, topic=job.topic, **why, delay_ms=verdict.delay_ms)
        job.is_ending = True
        async with self._ctx.db.begin(job.workspace) as tx:
            await leases.fail(tx, job.lease, verdict, why)

    async def _write(self, verb: Callable[[Tx, Lease], Awaitable[None]], job: Job) -> None:
        job.is_ending = True
        async with self._ctx.db.begin(job.workspace) as tx:
            await verb(tx, job.lease)
        self._ctx.jobs.ring(WORK, job.lease.queue)

    async def _listening(self) -> None:
        while True:
            await self._unless_away(self._listen, default=None)
            await asyncio.sleep(self._sweep_s)

    async def _listen(self) -> None:
        """Wake at the doorbell; without it the sweep finds the work a little later."""
        async with self._ctx.bus.subscribe(WORK, CANCEL) as rings:
            async for channel, text in rings:
                if channel == CANCEL:
                    self._beat_now.set()
                elif text in self._queues:
                    self._wake.set()

    async def _beating(self) -> None:
        while True:
            await _within(self._beat_now.wait(), self._beat_s)
            self._beat_now.clear()
            await self._unless_away(self._beat, default=None)

    async def _beat(self) -> None:
        """Extend all leases; learn which are lost and which jobs are to end."""
        async with self._claiming:
            before = set(self._running)
            rows = await self._ctx.db.run(EVERYWHERE, self._extend)
        alive = {(row.id, row.attempt): row for row in rows}
        for key, running in list(self._running.items()):
            if key in alive:
                self._heed(running, bool(alive[key].cancel_requested))
            elif key in before and not running.job.is_ending:
                running.is_lost = True
                running.task.cancel()
        for key in alive.keys() - before:
            await self._return_stray(alive[key])

    async def _extend(self, tx: Tx) -> list[sa.Row[Any]]:
        topics = {running.job.topic for running in self._running.values()}
        rows: list[sa.Row[Any]] = []
        for lease_s, group in self._handlers.leases(topics, self._lease_s).items():
            rows += await leases.beat(tx, self.id, group, round(lease_s * 1000))
        return rows

    def _heed(self, running: _Running, is_asked: bool) -> None:
        """Tell the job that it is to end; a second beat later it is ended."""
        if not is_asked:
            return
        now = asyncio.get_running_loop().time()
        running.job.cancelling.set()
        running.asked_at = running.asked_at or now
        if now - running.asked_at >= self._beat_s:
            running.task.cancel()

    async def _return_stray(self, row: sa.Row[Any]) -> None:
        """A job that is ours in the ledger only: the answer to its claim was lost."""
        with suppress(LeaseLost):
            async with self._ctx.db.begin(row.workspace) as tx:
                await leases.give_back(tx, Lease.of(row, self.id))

    async def _sweeping(self) -> None:
        while True:
            await self._unless_away(self._sweep, default=None)
            await asyncio.sleep(self._sweep_s)

    async def _sweep(self) -> None:
        await reaper.sweep(self._ctx.db, self._ctx.jobs, every_s=self._sweep_s)

    async def _unless_away(self, call: Callable[[], Awaitable[Any]], default: Any) -> Any:
        """The call's result; while the database is away the loop goes on and tries again."""
        try:
            return await call()
        except Unavailable as error:
            log.warning("worker.database_away", worker=self.id, error=str(error))
            return default


async def _within(waiting: Awaitable[Any], seconds: float) -> None:
    """Wait for it, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await waiting


async def _ended_within(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Wait for the tasks; cancel those that are late, and wait until they have written it down."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
