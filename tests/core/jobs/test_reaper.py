"""Worker processes that are killed, or stopped past their lease and woken again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.jobs.crew import crew, send, states, until
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import Handlers, Job, Ledger, Worker, reaper
from volano.core.jobs.ledger import clock, recount
from volano.core.jobs.tables import duties, jobs
from volano.schemas.common import DatabaseUnavailable

CODE = """
import asyncio, sys
from tests.core.jobs.test_reaper import serve
asyncio.run(serve(*sys.argv[1:]))
"""


async def serve(url: str, folder: str, seconds: str) -> None:
    """A worker process: each `thing.made` takes `seconds`, then sends one `thing.listed`."""
    handlers = Handlers()

    @handlers.on("thing.made")
    async def work(ctx: Any, job: Job) -> None:
        await asyncio.sleep(float(seconds))
        async with job.finish(ctx) as tx:
            await ctx.jobs.send(tx, "thing.listed", {"of": job.id}, queue="listed")

    db = await Database.open(url)
    worker = Worker(crew(db, Path(folder)), handlers)
    print("ready", flush=True)
    await worker.run()


@asynccontextmanager
async def process(
    url: str, folder: Path, seconds: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    given = (url, str(folder), str(seconds))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CODE, *given, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    try:
        yield child
    finally:
        if child.returncode is None:
            os.kill(child.pid, signal.SIGCONT)
            child.kill()
        await child.wait()
        await child.stdout.read()


@pytest.fixture
async def ctx(db: Database, tmp_path: Path) -> AsyncIterator[Any]:
    context = crew(db, tmp_path)
    yield context
    await context.bus.aclose()


async def running_attempts(db: Database) -> list[int]:
    async with db.read(EVERYWHERE) as tx:
        rows = await tx.all(sa.select(jobs.c.attempt).where(jobs.c.state == "running"))
    return [row.attempt for row in rows]


async def effects(db: Database) -> list[str]:
    """The jobs that took effect, one entry per effect."""
    async with db.read(EVERYWHERE) as tx:
        rows = await tx.all(sa.select(jobs.c.payload).where(jobs.c.topic == "thing.listed"))
    return sorted(row.payload["of"] for row in rows)


async def test_a_killed_worker_s_jobs_are_done_once_by_another(
    ctx: Any, db_url: str, tmp_path: Path
) -> None:
    ids = await send(ctx, "thing.made", 6)
    async with process(db_url, tmp_path, 60) as first:
        await until(lambda: running_attempts(ctx.db))
        first.kill()
        await first.wait()
        async with process(db_url, tmp_path, 0):

            async def is_done() -> bool:
                return (await states(ctx.db)).get("done") == 6

            await until(is_done, 30)
    assert await effects(ctx.db) == sorted(ids)
    assert await recount(ctx.db) == []


async def stop_outside_a_transaction(child: asyncio.subprocess.Process, url: str) -> None:
    """SIGSTOP at a moment when the child holds no lock that everybody needs."""
    db = await Database.open(url, patience_s=0.2)
    while True:
        os.kill(child.pid, signal.SIGSTOP)
        try:
            await reaper.sweep(db, Ledger(), every_s=0)
        except DatabaseUnavailable:
            os.kill(child.pid, signal.SIGCONT)
            await asyncio.sleep(0.02)
        else:
            await db.close()
            return


async def test_a_worker_that_slept_past_its_lease_has_no_effect(
    ctx: Any, db_url: str, tmp_path: Path
) -> None:
    ids = await send(ctx, "thing.made", 3)
    async with process(db_url, tmp_path, 1) as zombie:
        await until(lambda: running_attempts(ctx.db))
        await stop_outside_a_transaction(zombie, db_url)
        async with process(db_url, tmp_path, 1):

            async def is_taken_over() -> bool:
                return 2 in await running_attempts(ctx.db)

            await until(is_taken_over, 30)
            os.kill(zombie.pid, signal.SIGCONT)

            async def is_done() -> bool:
                return (await states(ctx.db)).get("done") == 3

            await until(is_done, 30)
    assert await effects(ctx.db) == sorted(ids)
    assert await recount(ctx.db) == []


async def end(ctx: Any, state: str, days: float) -> str:
    """Send a job and end it, so many days ago."""
    (id,) = await send(ctx, "thing.made")
    async with ctx.db.begin(EVERYWHERE) as tx:
        ended = {"state": state, "finished_at": await clock(tx) - timedelta(days=days)}
        await tx.run(tx.update(jobs).where(jobs.c.id == id).values(ended))
    return id


@pytest.mark.parametrize(
    ("state", "days"),
    [("done", 7), ("cancelled", 7), ("dead", 28)],
    ids=["done", "cancelled", "dead"],
)
async def test_an_ended_job_is_kept_so_many_days(ctx: Any, state: str, days: int) -> None:
    kept, _ = await end(ctx, state, days - 0.01), await end(ctx, state, days + 0.01)

    await reaper.sweep(ctx.db, ctx.jobs, every_s=0)

    async with ctx.db.read(EVERYWHERE) as tx:
        left = [row.id for row in await tx.all(sa.select(jobs.c.id))]
    assert left == [kept]


async def test_old_jobs_are_looked_for_every_ten_minutes(ctx: Any) -> None:
    async def left_after(minutes: float) -> int:
        """Sweep so many minutes after the last sweep that removed old jobs."""
        async with ctx.db.begin(EVERYWHERE) as tx:
            done_at = await clock(tx) - timedelta(minutes=minutes)
            await tx.run(tx.update(duties).where(duties.c.name == "forget").values(done_at=done_at))
        await reaper.sweep(ctx.db, ctx.jobs, every_s=0)
        return sum((await states(ctx.db)).values())

    await reaper.sweep(ctx.db, ctx.jobs, every_s=0)
    await end(ctx, "done", days=8)

    assert await left_after(minutes=9.5) == 1
    assert await left_after(minutes=10.5) == 0
