"""The loop that claims jobs, runs their handlers, keeps their leases alive and drains."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from volano.core.db import EVERYWHERE, Tx
from volano.core.jobs import fair, reaper, retry
from volano.core.jobs import lease as leases
from volano.core.jobs.completion import Completions
from volano.core.jobs.handlers import Handlers, Job
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import CANCEL, DEFAULT, RUN, WORK
from volano.core.jobs.slots import Slots
from volano.schemas.common import new_id
from volano.schemas.errors import Unavailable
from volano.schemas.jobs import LeaseLost, NoHandler

if TYPE_CHECKING:
    import sqlalchemy as sa

    from volano.core.context import Context

    Write = Callable[[Tx, Lease], Awaitable[None]]

log = structlog.get_logger("jobs")

SLOW_S = 1.0
"""A job that took longer is worth a line at `info`; others have theirs at `debug`."""


class _Running:
    """A job that this worker has claimed: its task, and why that was cancelled if it was."""

    def __init__(self, row: sa.Row[Any], job: Job, slots: Slots) -> None:
        self.job = job
        self.failures = retry.Failures(row.user_failures, row.system_failures, row.max_attempts)
        self.slots = slots
        self.task: asyncio.Task[None]
        self.started_at: float | None = None
        self.has_left = self.is_lost = self.was_waiting = False
        self.asked_at: float | None = None

    def leave_slot(self) -> None:
        """Let another job have the slot; only the first call counts."""
        if not self.has_left:
            self.has_left = True
            started = self.started_at
            self.slots.leave(None if started is None else time.perf_counter() - started)

    def cancel_if_requested(self, is_requested: bool, patience_s: float) -> None:
        """Tell the job that it is to end; end it if it has not after so long."""
        if is_requested:
            now = time.perf_counter()
            self.job.cancelling.set()
            self.asked_at = self.asked_at or now
            if now - self.asked_at >= patience_s:
                self.task.cancel()

    def give_back_if_waiting(self, patience_s: float) -> None:
        """Give back a job that was claimed ahead and had no slot from one heartbeat to the next."""
        if self.started_at is None and self.was_waiting:
            self.slots.slow_down(patience_s)
            self.task.cancel()
        self.was_waiting = self.started_at is None


class Worker:
    """Runs jobs, of each queue up to its slots at once.

    `slots` is by queue; without it, what the settings say. `run` returns after `stop`, when all
    jobs have ended.
    """

    def __init__(
        self,
        ctx: Context,
        handlers: Handlers,
        *,
        slots: Mapping[str, int] | None = None,
        drain_s: float = 30.0,
    ) -> None:
        settings = ctx.settings
        self.id = new_id("wrk")
        self._ctx = ctx
        self._handlers = handlers
        slots = slots or {DEFAULT: settings.jobs_slots, RUN: settings.jobs_run_slots}
        self._slots = {queue: Slots(count) for queue, count in slots.items()}
        self._lease_s, self._beat_s = settings.jobs_lease_s, settings.jobs_beat_s
        self._sweep_s, self._drain_s = settings.jobs_sweep_s, drain_s
        self._running: dict[tuple[str, int], _Running] = {}
        self._wake, self._beat_now = asyncio.Event(), asyncio.Event()
        self._stopping = asyncio.Event()
        # Queues in which nothing was left are not looked into again before they ring.
        self._ringing = set(self._slots)
        # A claim that is committed but not yet in `_running` must not look like a stray to a beat.
        self._claiming = asyncio.Lock()
        self._completions = Completions(ctx.db, self._is_completing)
        self._rng = random.Random()
        # Bound once: to bind for a line that is not written took a tenth of a job's time.
        self._log = log.bind()

    def stop(self) -> None:
        """Claim nothing more; `run` ends when the running jobs have, or `drain_s` has passed."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`."""
        async with asyncio.TaskGroup() as group:
            steps = (self._listen, self._beat, self._sweep)
            aside = [group.create_task(self._again_and_again(step)) for step in steps]
            try:
                await self._claim_until_stopped()
                await _ended_within(self._tasks(), self._drain_s)
            finally:
                await _ended_within(self._tasks(), 0)
                await self._completions.drain()
                for task in aside:
                    task.cancel()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values()]

    async def _claim_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            claimed = 0
            try:
                claimed = await self._claim()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next claim may work
                self._tell_failed(error)
            if not claimed and not self._stopping.is_set():
                try:
                    async with asyncio.timeout(self._sweep_s):
                        await self._wake.wait()
                except TimeoutError:  # a ring may be lost
                    self._ringing.update(self._slots)

    async def _claim(self) -> int:
        """Start as many jobs as there is room for; return how many."""
        rooms = {queue: self._slots[queue].room() for queue in self._ringing}
        rooms = {queue: room for queue, room in rooms.items() if room > 0}
        if not rooms:
            return 0

        async def body(tx: Tx) -> list[sa.Row[Any]]:
            lease_ms = round(self._lease_s * 1000)
            claims = [
                await fair.claim(tx, self.id, [queue], room, lease_ms)
                for queue, room in rooms.items()
            ]
            return [row for claim in claims for row in claim]

        async with self._claiming:
            self._ringing.difference_update(rooms)
            rows = await self._ctx.db.run(EVERYWHERE, body)
            counts = Counter(row.queue for row in rows)
            self._ringing.update(queue for queue in rooms if counts[queue] == rooms[queue])
            for row in rows:
                job = Job(Lease.of(row, self.id), row.topic, row.payload, self._completions)
                running = _Running(row, job, self._slots[row.queue])
                running.slots.join()
                self._running[job.id, job.attempt] = running
                running.task = asyncio.create_task(self._work(running), name=job.topic)
        return len(rows)

    def _is_completing(self, lease: Lease) -> None:
        """Claim in place of a job that only waits for its commit."""
        self._running[lease.id, lease.attempt].leave_slot()
        self._ringing.add(lease.queue)
        self._wake.set()

    async def _work(self, running: _Running) -> None:
        """Carry out one attempt and write down how it ended, unless its completion did."""
        job = running.job
        try:
            if write := await self._attempt(running):
                job.is_ending = True
                running.leave_slot()
                async with self._ctx.db.begin(job.workspace) as tx:
                    await write(tx, job.lease)
                self._ctx.jobs.ring(WORK, job.lease.queue)
        except LeaseLost:
            log.warning("job.lease_lost", job=job.id, topic=job.topic, attempt=job.attempt)
        except Unavailable as error:  # the ledger itself is away: the lease will expire
            log.warning("job.ledger_away", job=job.id, topic=job.topic, error=str(error))
        finally:
            running.leave_slot()
            running.slots.end()
            del self._running[job.id, job.attempt]
            self._ringing.add(job.lease.queue)
            self._wake.set()

    async def _attempt(self, running: _Running) -> Write | None:
        """Run the handler; return what is to be written of its end, None if the job is complete.

        Raises: LeaseLost.
        """
        job = running.job
        try:
            await running.slots.enter()
            started = running.started_at = time.perf_counter()
            self._log.debug("job.started", job=job.id, topic=job.topic, attempt=job.attempt)
            handler = self._handlers.find(job.topic)
            if handler is None:
                raise NoHandler(topic=job.topic)
            await handler.work(self._ctx, job)
            if not job.is_finished and not job.cancelled:
                async with job.finish(self._ctx):
                    pass
            seconds = time.perf_counter() - started
            tell = self._log.info if seconds >= SLOW_S else self._log.debug
            ms = round(seconds * 1e3, 1)
            tell("job.ended", job=job.id, topic=job.topic, attempt=job.attempt, ms=ms)
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            if running.is_lost or job.is_finished:
                return None
            return leases.cancel if job.cancelled else leases.give_back
        except Exception as error:
            if job.is_finished:  # its effects are kept: only what came after them failed
                log.error("job.failed_after_finish", job=job.id, topic=job.topic, exc_info=error)
                return None
            if not job.cancelled:
                decision = retry.decide(error, running.failures, self._rng)
                why = retry.describe(error, decision, job.attempt)
                facts = why | {"delay_ms": decision.delay_ms}
                log.warning("job.failed", job=job.id, topic=job.topic, **facts)
                return functools.partial(leases.fail, decision=decision, why=why)
        return leases.cancel if job.cancelled and not job.is_finished else None

    async def _listen(self) -> None:
        """Wake at the doorbell; without it the sweep finds the work a little later."""
        async with self._ctx.bus.subscribe(WORK, CANCEL) as rings:
            async for channel, text in rings:
                if channel == CANCEL:
                    self._beat_now.set()
                elif text in self._slots:
                    self._ringing.add(text)
                    self._wake.set()
        await asyncio.sleep(self._sweep_s)

    async def _beat(self) -> None:
        """Wait for the time of a heartbeat; extend all leases and see what became of each."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._beat_s):
                await self._beat_now.wait()
        self._beat_now.clear()
        async with self._claiming:
            before = set(self._running)
            rows = await self._ctx.db.run(EVERYWHERE, self._extend)
        alive = {(row.id, row.attempt): row for row in rows}
        for key, running in list(self._running.items()):
            if key in alive:
                running.cancel_if_requested(bool(alive[key].cancel_requested), self._beat_s)
                running.give_back_if_waiting(self._beat_s)
            elif key in before and not running.job.is_ending:
                running.is_lost = True
                running.task.cancel()
        for key in alive.keys() - before:  # ours in the ledger only: the claim's answer was lost
            with suppress(LeaseLost):
                async with self._ctx.db.begin(alive[key].workspace) as tx:
                    await leases.give_back(tx, Lease.of(alive[key], self.id))

    async def _extend(self, tx: Tx) -> list[sa.Row[Any]]:
        topics = {running.job.topic for running in self._running.values()}
        rows: list[sa.Row[Any]] = []
        for lease_s, group in self._handlers.leases(topics, self._lease_s).items():
            rows += await leases.beat(tx, self.id, group, round(lease_s * 1000))
        return rows

    async def _sweep(self) -> None:
        await reaper.sweep(self._ctx.db, self._ctx.jobs, every_s=self._sweep_s)
        await asyncio.sleep(self._sweep_s)

    async def _again_and_again(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat the step; where it fails, as while the database is away, at every sweep."""
        while True:
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - a fault in one round must not end the worker
                self._tell_failed(error)
                await asyncio.sleep(self._sweep_s)

    def _tell_failed(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            log.warning("worker.database_away", worker=self.id, error=str(error))
        elif isinstance(error, OSError):  # no traceback in each round
            log.warning("worker.step_failed", worker=self.id, error=str(error))
        else:
            log.error("worker.step_failed", worker=self.id, exc_info=error)


async def _ended_within(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Wait for the tasks; cancel those that are late, and wait until they have written it down."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
