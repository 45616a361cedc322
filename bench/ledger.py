"""How many jobs a second the ledger takes and works off: python bench/ledger.py [jobs].

Everything is durable: SQLite with synchronous=FULL, PostgreSQL with fsync. The client, and for
SQLite the database, are this one process; PostgreSQL runs beside it. Prints a line per figure and
the whole as JSON at the end.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from volano.core.bus import Bus, open_bus
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import Handlers, Job, Ledger, Worker
from volano.core.jobs.tables import jobs, queues
from volano.core.settings import Settings
from volano.hosting.services import PostgresServer
from volano.migrations import migrate

BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The fields of Context that a worker uses."""

    db: Database
    jobs: Ledger
    bus: Bus
    settings: Settings


async def measure(title: str, url: str, folder: Path, count: int) -> dict[str, float]:
    """Rates per second, of one kind of database."""
    await migrate(url)
    db, bus = await Database.open(url), open_bus("local:", folder=folder / "bus")
    ctx: Any = Bench(db=db, jobs=Ledger(bus), bus=bus, settings=Settings(jobs_slots=16))
    rates = {
        "send, one at a time": await _rate(count // 4, lambda n: _send(ctx, n, at_once=1)),
        "send, 64 clients": await _rate(count, lambda n: _send(ctx, n, at_once=64)),
        "send, 64 workspaces": await _rate(count, lambda n: _send(ctx, n, at_once=64, apart=True)),
        f"send, {BATCH} per transaction": await _rate(count, lambda n: _send_batches(ctx, n)),
        "work off, 1 slot": await _work(ctx, count, slots=1),
        "work off, 16 slots": await _work(ctx, count, slots=16),
        "work off, 4 workers x 16": await _work(ctx, count, slots=16, workers=4),
    }
    await bus.aclose()
    await db.close()
    for what, rate in rates.items():
        print(f"{title:11} {what:26} {rate:9,.0f} /s")
    return {what: round(rate) for what, rate in rates.items()}


async def _rate(count: int, work: Callable[[int], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work(count)
    return count / (time.perf_counter() - began)


async def _send(ctx: Any, count: int, *, at_once: int, apart: bool = False) -> None:
    async def client(number: int) -> None:
        workspace = f"ws_{number if apart else 0}"
        for _ in range(count // at_once):
            async with ctx.db.begin(workspace) as tx:
                await ctx.jobs.send(tx, "nothing.done", {"n": number})

    await asyncio.gather(*(client(number) for number in range(at_once)))


async def _send_batches(ctx: Any, count: int) -> None:
    for _ in range(count // BATCH):
        async with ctx.db.begin("ws_0") as tx:
            for n in range(BATCH):
                await ctx.jobs.send(tx, "nothing.done", {"n": n})


async def _work(ctx: Any, count: int, *, slots: int, workers: int = 1) -> float:
    """Claim, run and complete jobs that do nothing, of eight workspaces."""
    async with ctx.db.begin(EVERYWHERE) as tx:
        for table in (jobs, queues):
            await tx.run(sa.delete(table))
    for number in range(8):
        async with ctx.db.begin(f"ws_{number}") as tx:
            for n in range(count // 8):
                await ctx.jobs.send(tx, "nothing.done", {"n": n})
    done, handlers, left = asyncio.Event(), Handlers(), count // 8 * 8

    @handlers.on("nothing.done")
    async def nothing(ctx: Any, job: Job) -> None:
        nonlocal left
        async with job.finish(ctx):
            pass
        left -= 1
        if not left:
            done.set()

    crew = [Worker(ctx, handlers, slots=slots) for _ in range(workers)]
    began = time.perf_counter()
    tasks = [asyncio.create_task(worker.run()) for worker in crew]
    await done.wait()
    seconds = time.perf_counter() - began
    for worker in crew:
        worker.stop()
    await asyncio.gather(*tasks)
    return count / seconds


def main(count: int = 4000) -> None:
    """Measure both databases below VOLANO_BENCH_DIR."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("VOLANO_BENCH_DIR", "/var/tmp")) as made:
        folder = Path(made)
        folder.chmod(0o755)
        sqlite = f"sqlite:///{folder / 'bench.db'}"
        found = {"SQLite": asyncio.run(measure("SQLite", sqlite, folder, count))}
        with PostgresServer(folder / "postgres") as server:
            found["PostgreSQL"] = asyncio.run(measure("PostgreSQL", server.url, folder, count))
    print(json.dumps({"jobs": count, "cores": os.cpu_count(), "per_second": found}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
