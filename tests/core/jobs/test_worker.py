"""The worker's loop: what becomes of jobs that end, fail, are cancelled, lost or given back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from tests.core.jobs.crew import WS, crew, send, states, until, working
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import Handlers, Job, worker
from volano.core.jobs.ledger import recount
from volano.core.jobs.tables import jobs
from volano.schemas.errors import Invalid, Unavailable
from volano.schemas.jobs import LeaseLost


@pytest.fixture
async def ctx(db: Database, tmp_path: Path) -> AsyncIterator[Any]:
    context = crew(db, tmp_path)
    yield context
    assert await recount(db) == []
    await context.bus.aclose()


async def all_in(ctx: Any, **expected: int) -> None:
    async def as_expected() -> bool:
        return await states(ctx.db) == expected

    try:
        await until(as_expected, 10.0)
    except TimeoutError:
        assert await states(ctx.db) == expected


async def failure_of(ctx: Any, job_id: str) -> Any:
    async with ctx.db.read(WS) as tx:
        return (await ctx.jobs.find(tx, job_id)).failure


async def test_a_job_runs_once_and_is_done(ctx: Any) -> None:
    seen: list[int] = []
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        seen.append(job.payload["n"])

    await send(ctx, "thing.made", 20)
    async with working(ctx, handlers):
        await all_in(ctx, done=20)
    assert sorted(seen) == list(range(20))


async def test_the_start_and_the_end_of_a_job_are_lines_for_who_looks_closely(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        """Nothing to do."""

    await send(ctx, "thing.made", 1)
    with structlog.testing.capture_logs() as lines:
        async with working(ctx, handlers):
            await all_in(ctx, done=1)

    started, ended = [line for line in lines if line.get("topic") == "thing.made"]
    assert started["event"] == "job.started"
    assert started["log_level"] == "debug"
    assert ended["event"] == "job.ended"
    assert ended["log_level"] == "debug"
    assert ended["job"] == started["job"]
    assert ended["attempt"] == 1
    assert ended["ms"] >= 0


async def test_the_end_of_a_slow_job_is_a_line_for_everybody(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        await asyncio.sleep(worker.SLOW_S)

    await send(ctx, "thing.made", 1)
    with structlog.testing.capture_logs() as lines:
        async with working(ctx, handlers):
            await all_in(ctx, done=1)

    (ended,) = [line for line in lines if line["event"] == "job.ended"]
    assert ended["log_level"] == "info"
    assert ended["ms"] >= worker.SLOW_S * 1000


async def test_a_message_is_heard_at_once_by_a_worker_that_waits(ctx: Any) -> None:
    heard = asyncio.Event()
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        heard.set()

    sleepy = replace(ctx, settings=replace(ctx.settings, jobs_sweep_s=60.0))
    async with working(sleepy, handlers):
        await asyncio.sleep(0.3)
        await send(ctx, "thing.made")
        async with asyncio.timeout(10):
            await heard.wait()
        await all_in(ctx, done=1)


async def test_effects_are_kept_with_the_completion_or_not_at_all(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        async with job.finish(ctx) as tx:
            await ctx.jobs.send(tx, "thing.listed", {})
            if job.attempt == 1:
                raise RuntimeError("between the effect and its commit")

    @handlers.on("thing.listed")
    async def listed(ctx: Any, job: Job) -> None: ...

    await send(ctx, "thing.made")
    async with working(ctx, handlers):
        await all_in(ctx, done=2)


async def test_a_handler_that_fails_is_tried_again_until_its_attempts_are_used(ctx: Any) -> None:
    attempts: list[int] = []
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        attempts.append(job.attempt)
        raise ZeroDivisionError("always")

    (job_id,) = await send(ctx, "thing.made", max_attempts=2)
    async with working(ctx, handlers):
        await all_in(ctx, dead=1)
    assert attempts == [1, 2]
    failure = await failure_of(ctx, job_id)
    assert (failure["class"], failure["type"], failure["attempt"]) == (
        "user",
        "ZeroDivisionError",
        2,
    )


async def test_what_is_invalid_is_not_tried_again(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        raise Invalid("never right")

    await send(ctx, "thing.made")
    async with working(ctx, handlers):
        await all_in(ctx, dead=1)


async def test_our_own_trouble_does_not_use_the_attempts_of_the_user(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        if job.attempt == 1:
            raise Unavailable("the store is away")

    (job_id,) = await send(ctx, "thing.made", max_attempts=1)
    async with working(ctx, handlers):
        await all_in(ctx, done=1)
    async with ctx.db.read(WS) as tx:
        job = await ctx.jobs.find(tx, job_id)
    assert (job.attempt, job.user_failures, job.system_failures) == (2, 0, 1)


async def test_failures_of_one_cause_share_a_signature_and_are_requeued_together(ctx: Any) -> None:
    handlers, broken = Handlers(), True

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        if broken:
            raise Invalid(f"broken {job.payload['n']}") if job.payload["n"] < 3 else KeyError("x")

    await send(ctx, "thing.made", 5, max_attempts=1)
    async with working(ctx, handlers):
        await all_in(ctx, dead=5)
        async with ctx.db.begin(WS) as tx:
            groups = await ctx.jobs.dead(tx)
        assert sorted((g.jobs, g.failure["type"]) for g in groups) == [
            (2, "KeyError"),
            (3, "Invalid"),
        ]
        broken = False
        async with ctx.db.begin(WS) as tx:
            assert await ctx.jobs.requeue(tx, signature=groups[0].signature) == groups[0].jobs
        await all_in(ctx, done=3, dead=2)


async def test_a_topic_without_a_handler_is_tried_again_later(ctx: Any) -> None:
    (job_id,) = await send(ctx, "thing.unknown")

    async def failed() -> Any:
        return await failure_of(ctx, job_id)

    async with working(ctx, Handlers()):
        failure = await until(failed)
    assert (failure["class"], failure["type"]) == ("system", "NoHandler")


async def test_several_handlers_of_a_topic_each_get_a_job(ctx: Any) -> None:
    seen: list[str] = []
    one, two = Handlers(), Handlers()

    @one.on("thing.made")
    async def count(ctx: Any, job: Job) -> None:
        seen.append(f"count {job.payload['n']}")

    @two.on("thing.made")
    async def list_it(ctx: Any, job: Job) -> None:
        seen.append(f"list {job.payload['n']}")
        if job.attempt == 1:
            raise ZeroDivisionError

    await send(ctx, "thing.made")
    async with working(ctx, Handlers(one, two)):
        await all_in(ctx, done=3)
    assert sorted(seen) == ["count 0", "list 0", "list 0"]


async def test_what_several_handlers_get_stays_in_the_queue_of_the_message(ctx: Any) -> None:
    handlers = Handlers()

    @handlers.on("thing.made")
    async def count(ctx: Any, job: Job) -> None:
        """Nothing to do."""

    @handlers.on("thing.made")
    async def list_it(ctx: Any, job: Job) -> None:
        """Nothing to do."""

    await send(ctx, "thing.made", queue="long")
    async with working(ctx, handlers, slots={"long": 1}):
        await all_in(ctx, done=3)
    async with ctx.db.read(WS) as tx:
        assert await tx.all(tx.select(jobs.c.queue).distinct()) == [("long",)]


async def test_a_running_job_that_is_cancelled_is_told_and_ends_cancelled(ctx: Any) -> None:
    started, has_tidied_up = asyncio.Event(), asyncio.Event()
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        started.set()
        await job.cancelling.wait()
        has_tidied_up.set()

    (job_id,) = await send(ctx, "thing.made")
    async with working(ctx, handlers):
        await started.wait()
        async with ctx.db.begin(WS) as tx:
            assert not await ctx.jobs.cancel(tx, job_id)
        await all_in(ctx, cancelled=1)
    assert has_tidied_up.is_set(), "it is not ended before it could hear that it is to end"


async def test_a_job_that_does_not_listen_is_ended(ctx: Any) -> None:
    started = asyncio.Event()
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        started.set()
        await asyncio.sleep(3600)

    (job_id,) = await send(ctx, "thing.made")
    async with working(ctx, handlers):
        await started.wait()
        async with ctx.db.begin(WS) as tx:
            await ctx.jobs.cancel(tx, job_id)
        await all_in(ctx, cancelled=1)


async def test_a_lost_lease_ends_the_handler_and_refuses_its_effects(ctx: Any) -> None:
    started, ended = asyncio.Event(), asyncio.Event()
    refused: list[str] = []
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            try:
                async with job.finish(ctx) as tx:
                    await ctx.jobs.send(tx, "thing.listed", {})
            except LeaseLost as error:
                refused.append(error.code)
            ended.set()

    await send(ctx, "thing.made")
    async with working(ctx, handlers):
        await started.wait()
        async with ctx.db.begin(EVERYWHERE) as tx:
            await tx.run(sa.update(jobs).values(attempt=jobs.c.attempt + 1, worker="another"))
        await ended.wait()
    assert refused == ["lease-lost"]
    assert await states(ctx.db) == {"running": 1}


async def test_a_drain_lets_short_jobs_end_and_gives_long_ones_back(ctx: Any) -> None:
    started = asyncio.Semaphore(0)
    handlers = Handlers()

    @handlers.on("thing.short")
    async def short(ctx: Any, job: Job) -> None:
        started.release()
        await asyncio.sleep(0.1)

    @handlers.on("thing.long")
    async def long(ctx: Any, job: Job) -> None:
        started.release()
        await asyncio.sleep(3600)

    await send(ctx, "thing.short")
    (job_id,) = await send(ctx, "thing.long")
    async with working(ctx, handlers, drain_s=0.5):
        await started.acquire()
        await started.acquire()
    assert await states(ctx.db) == {"done": 1, "queued": 1}
    async with ctx.db.read(WS) as tx:
        job = await ctx.jobs.find(tx, job_id)
    assert (job.user_failures, job.system_failures) == (0, 0)


async def test_progress_is_shown_while_a_job_runs(ctx: Any) -> None:
    go_on = asyncio.Event()
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        await job.progress(ctx, {"share": 0.5})
        await go_on.wait()

    (job_id,) = await send(ctx, "thing.made")

    async def progress() -> Any:
        async with ctx.db.read(WS) as tx:
            return (await ctx.jobs.find(tx, job_id)).progress

    async with working(ctx, handlers):
        assert await until(progress) == {"share": 0.5}
        go_on.set()


async def test_a_long_job_keeps_its_lease_by_heartbeats(ctx: Any) -> None:
    handlers, runs = Handlers(), []

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        runs.append(job.attempt)
        await asyncio.sleep(2.5)  # the lease is 1.5 s

    await send(ctx, "thing.made")
    async with working(ctx, handlers), working(ctx, handlers):
        await all_in(ctx, done=1)
    assert runs == [1]


async def test_jobs_that_were_claimed_behind_a_long_one_go_to_another_worker(ctx: Any) -> None:
    handlers, go_on = Handlers(), asyncio.Event()

    @handlers.on("thing.long")
    async def long(ctx: Any, job: Job) -> None:
        await go_on.wait()

    @handlers.on("thing.made")
    async def quick(ctx: Any, job: Job) -> None:
        """Nothing to do."""

    await send(ctx, "thing.made", 50)
    one_slot = {"default": 1}
    async with working(ctx, handlers, slots=one_slot):
        await all_in(ctx, done=50)
        await send(ctx, "thing.long", priority=1)
        await send(ctx, "thing.made", 20)
        async with working(ctx, handlers, slots=one_slot):
            await all_in(ctx, done=70, running=1)
            go_on.set()
            await all_in(ctx, done=71)


async def test_a_queue_has_slots_of_its_own(ctx: Any) -> None:
    handlers, go_on = Handlers(), asyncio.Event()
    at_once = most = 0

    @handlers.on("thing.long")
    async def long(ctx: Any, job: Job) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go_on.wait()
        at_once -= 1

    @handlers.on("thing.made")
    async def quick(ctx: Any, job: Job) -> None:
        """Nothing to do."""

    await send(ctx, "thing.long", 4, queue="long")
    async with working(ctx, handlers, slots={"default": 1, "long": 2}):
        await all_in(ctx, running=2, queued=2)
        await send(ctx, "thing.made", 5)
        await all_in(ctx, running=2, queued=2, done=5)
        go_on.set()
        await all_in(ctx, done=9)
    assert most == 2
