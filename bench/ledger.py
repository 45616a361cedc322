"""How many jobs a second the ledger takes and works off: ./dev bench ledger [--against FOLDER].

Everything is durable: SQLite with synchronous=FULL, PostgreSQL with fsync. The client, and for
SQLite the database, are one process; PostgreSQL runs beside it. Each figure is measured in a
process and a database of its own, `--rounds` times, and the best is told, which other programs
disturbed least. With `--against` another checkout of this repository takes turns with this one:
the same measurement, with its Python and its sources. Prints a line per figure and the whole as
JSON at the end.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
import uvloop

from volano.core import telemetry
from volano.core.bus import Bus, open_bus
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import Handlers, Job, Ledger, Worker
from volano.core.jobs.tables import jobs, queues
from volano.core.settings import Settings

try:
    from volano.migrations.run import migrate
except ImportError:  # another checkout may be from before it was there
    from volano.migrations import migrate  # type: ignore[attr-defined,no-redef]

BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The fields of Context that a worker uses."""

    db: Database
    jobs: Ledger
    bus: Bus
    settings: Settings


Measure = Callable[[Any, int], Awaitable[tuple[float, float]]]
"""Seconds, and those of them in which this process ran, that so many jobs take."""


async def _timed(work: Awaitable[Any]) -> tuple[float, float]:
    began, ran = time.perf_counter(), time.process_time()
    await work
    return time.perf_counter() - began, time.process_time() - ran


async def _send(ctx: Any, count: int, *, at_once: int) -> tuple[float, float]:
    async def client(number: int) -> None:
        for _ in range(count // at_once):
            async with ctx.db.begin("ws_0") as tx:
                await ctx.jobs.send(tx, "nothing.done", {"n": number})

    return await _timed(asyncio.gather(*(client(number) for number in range(at_once))))


async def _send_batches(ctx: Any, count: int) -> tuple[float, float]:
    async def send() -> None:
        for _ in range(count // BATCH):
            async with ctx.db.begin("ws_0") as tx:
                for n in range(BATCH):
                    await ctx.jobs.send(tx, "nothing.done", {"n": n})

    return await _timed(send())


async def _work(
    ctx: Any, count: int, *, slots: int, workers: int = 1, effect: bool = False
) -> tuple[float, float]:
    """Claim, run and complete jobs of eight workspaces; with `effect` each sends another one."""
    for number in range(8):
        async with ctx.db.begin(f"ws_{number}") as tx:
            for n in range(count // 8):
                await ctx.jobs.send(tx, "nothing.done", {"n": n})
    done, handlers, left = asyncio.Event(), Handlers(), count // 8 * 8

    @handlers.on("nothing.done")
    async def nothing(ctx: Any, job: Job) -> None:
        nonlocal left
        async with job.finish(ctx) as tx:
            if effect:
                await ctx.jobs.send(tx, "nothing.followed", {"of": job.id}, queue="elsewhere")
        left -= 1
        if not left:
            done.set()

    mine = replace(ctx, settings=replace(ctx.settings, jobs_slots=slots))
    crew = [Worker(mine, handlers) for _ in range(workers)]

    async def work() -> None:
        tasks.extend(asyncio.create_task(worker.run()) for worker in crew)
        await done.wait()

    tasks: list[asyncio.Task[None]] = []
    taken = await _timed(work())
    for worker in crew:
        worker.stop()
    await asyncio.gather(*tasks)
    return taken


FIGURES: dict[str, Measure] = {
    "send, one at a time": lambda ctx, count: _send(ctx, count, at_once=1),
    "send, 64 clients": lambda ctx, count: _send(ctx, count, at_once=64),
    f"send, {BATCH} per transaction": _send_batches,
    "work off, 1 slot": lambda ctx, count: _work(ctx, count, slots=1),
    "work off, 16 slots": lambda ctx, count: _work(ctx, count, slots=16),
    "work off, 16 slots, effects": lambda ctx, count: _work(ctx, count, slots=16, effect=True),
    "work off, 4 workers x 16": lambda ctx, count: _work(ctx, count, slots=16, workers=4),
}


async def _once(figure: str, url: str, count: int) -> None:
    """Measure one figure in an empty database at the URL; print it as JSON."""
    telemetry.configure(Settings().log)  # as a server's worker does
    await migrate(url)
    with tempfile.TemporaryDirectory() as folder:
        db, bus = await Database.open(url), open_bus("local:", folder=Path(folder))
        ctx = Bench(db=db, jobs=Ledger(bus), bus=bus, settings=Settings())
        async with db.begin(EVERYWHERE) as tx:
            for table in (jobs, queues):
                await tx.run(sa.delete(table))
        seconds, ran = await FIGURES[figure](ctx, count)
        await bus.aclose()
        await db.close()
    print(json.dumps({"per_second": count / seconds, "cpu_us": ran / count * 1e6}))


def _measured(checkout: Path, figure: str, url: str, count: int) -> dict[str, float]:
    command = [checkout / ".venv/bin/python", __file__, "--once", figure, url, "--jobs", str(count)]
    path = {"PYTHONPATH": str(checkout / "src")}
    told = subprocess.run(
        command, cwd=checkout, env=os.environ | path, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = json.loads(told.stdout)
    return found


def _compare(figure: str, given: argparse.Namespace, fresh: Callable[[], str]) -> dict[str, float]:
    """Measure both checkouts in turns; return the best of each, and the median of the ratios."""
    here = Path(__file__).resolve().parents[1]
    checkouts = {"here": here} | ({"there": given.against.resolve()} if given.against else {})
    rounds = [
        {name: _measured(at, figure, fresh(), given.jobs) for name, at in checkouts.items()}
        for _ in range(given.rounds)
    ]
    found = {}
    for name in checkouts:
        found[f"per second {name}"] = max(r[name]["per_second"] for r in rounds)
        found[f"CPU us a job {name}"] = min(r[name]["cpu_us"] for r in rounds)
    if given.against:
        found["rate, here to there"] = median(
            r["here"]["per_second"] / r["there"]["per_second"] for r in rounds
        )
        found["CPU, there to here"] = median(
            r["there"]["cpu_us"] / r["here"]["cpu_us"] for r in rounds
        )
    return {what: round(value, 2 if value < 100 else None) for what, value in found.items()}


def main() -> None:
    """Measure both databases below VOLANO_BENCH_DIR."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout, with its .venv")
    parser.add_argument("--only", default="", help="figures whose name holds this")
    parser.add_argument("--once", nargs=2, metavar=("FIGURE", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        uvloop.run(_once(*given.once, given.jobs))
        return
    from volano.hosting.services import PostgresServer, execute

    found: dict[str, dict[str, dict[str, float]]] = {"SQLite": {}, "PostgreSQL": {}}
    with tempfile.TemporaryDirectory(dir=os.environ.get("VOLANO_BENCH_DIR", "/var/tmp")) as made:
        folder = Path(made)
        folder.chmod(0o755)
        with PostgresServer(folder / "postgres") as server:

            def database() -> str:
                name = f"bench_{uuid.uuid4().hex}"
                execute(server.url, f"CREATE DATABASE {name}")
                address, _, query = server.url.partition("?")
                return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

            places: dict[str, Callable[[], str]] = {
                "SQLite": lambda: f"sqlite:///{folder / uuid.uuid4().hex}.db",
                "PostgreSQL": database,
            }
            for kind, fresh in places.items():
                for figure in FIGURES:
                    if given.only in figure:
                        found[kind][figure] = _compare(figure, given, fresh)
                        print(f"{kind:11} {figure:28} {found[kind][figure]}", flush=True)
    told = {"jobs": given.jobs, "rounds": given.rounds, "cores": os.cpu_count(), "found": found}
    print(json.dumps(told), file=sys.stdout)


if __name__ == "__main__":
    main()
