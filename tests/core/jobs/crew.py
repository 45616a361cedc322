"""What the tests of jobs share: a context with only what workers use, and waiting for a fact."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from volano.core.bus import Bus, open_bus
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import Handlers, Ledger, Worker
from volano.core.jobs.tables import jobs
from volano.core.settings import Settings

WS = "ws_a"


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The fields of Context that workers use."""

    db: Database
    jobs: Ledger
    bus: Bus
    settings: Settings


def crew(db: Database, folder: Path, **settings: Any) -> Any:
    """A context whose workers look often and lose a lease after 1.5 s."""
    quick = {"jobs_lease_s": 1.5, "jobs_beat_s": 0.1, "jobs_sweep_s": 0.05, "jobs_slots": 4}
    bus = open_bus("local:", folder=folder / "bus")
    return Crew(db=db, jobs=Ledger(bus), bus=bus, settings=Settings(**(quick | settings)))


@asynccontextmanager
async def working(ctx: Any, handlers: Handlers, **options: Any) -> AsyncIterator[Worker]:
    """A worker that runs meanwhile, and has drained afterwards."""
    worker = Worker(ctx, handlers, **options)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


async def until(fact: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """The fact's value once it is true."""
    async with asyncio.timeout(seconds):
        while not (value := await fact()):
            await asyncio.sleep(0.01)
    return value


async def states(db: Database) -> dict[str, int]:
    """How many jobs are in each state, of all workspaces."""
    async with db.read(EVERYWHERE) as tx:
        rows = await tx.all(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state))
    return dict([tuple(row) for row in rows])


async def send(ctx: Any, topic: str, n: int = 1, workspace: str = WS, **options: Any) -> list[str]:
    """Send n messages in one transaction."""
    async with ctx.db.begin(workspace) as tx:
        return [await ctx.jobs.send(tx, topic, {"n": i}, **options) for i in range(n)]
