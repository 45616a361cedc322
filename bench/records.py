"""Freezing, listing and counting many records, on both databases, with the memory they take.

./dev bench records                            1 M records: every filter; a freeze
./dev bench records --records 2000000 --no-filters

The index of records is filled directly, not through HTTP. Meanwhile another task of the process
notes how late it is woken and asks a small question: what a freeze costs everybody else.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import uvloop

from volano import app
from volano.accounts import service as accounts
from volano.accounts.authentication import identify
from volano.core.context import Context
from volano.core.settings import Settings
from volano.data import ingest, service, store, tables
from volano.hosting.services import PostgresServer
from volano.migrations import migrate
from volano.schemas.accounts import Who
from volano.schemas.data import NewSnapshot, RecordFilter
from volano.schemas.datasets import DRAWINGS

TOGETHER = 25_000
"""Records in one transaction of the filling."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH_MS = 30 * 86_400_000
ORIGINS = ("", "omniglot", "quickdraw", "tablets", "pilot")
SHARES = (70, 20, 9, 0.9, 0.1)
FLAGS = ([], ["off-canvas"], ["time-normalised"], ["off-canvas", "duration-mismatch"])
OFTEN = (90, 6, 3.9, 0.1)
FACTS = {"strokes": 3, "points": 60, "duration_ms": 1500.0}

FILTERS: dict[str, dict[str, Any]] = {
    "everything": {},
    "label, common": {"labels": ["shape-000"]},
    "label, rare": {"labels": ["shape-499"]},
    "100 labels": {"labels": [f"shape-{n:03}" for n in range(0, 500, 5)]},
    "origin, 70 %": {"origins": [""]},
    "origin, 9 %": {"origins": ["quickdraw"]},
    "origin, 0.1 %": {"origins": ["pilot"]},
    "contributor": {"contributors": ["player-00042"]},
    "contributors, prefix": {"contributors": ["player-01*"]},
    "contributors, suffix": {"contributors": ["*-00?17"]},
    "contributors, all": {"contributors": ["player-*"]},
    "quality, half": {"min_quality": 0.65},
    "quality, 1 in 10,000": {"min_quality": 0.99993},
    "without a flag": {"without_flags": ["off-canvas"]},
    "received, first day": {"received_before": BEGAN + timedelta(days=1)},
    "received, half": {"received_before": BEGAN + timedelta(days=15)},
    "dataset, 75 %": {"datasets": ["drawings"]},
    "dataset, 1 %": {"datasets": ["photos-44"]},
    "dataset and label": {"datasets": ["photos-44"], "labels": ["shape-000"]},
    "dataset, quality": {"datasets": ["photos-44"], "min_quality": 0.99},
    "kind and synthetic": {"kinds": ["image"], "synthetic": False},
    "label and origin": {"labels": ["shape-000"], "origins": ["pilot"]},
    "label, quality": {"labels": ["shape-000"], "min_quality": 0.99},
    "origin, quality": {"origins": [""], "min_quality": 0.999},
    "origin, no contributor fits": {"origins": ["pilot"], "contributors": ["nobody*"]},
    "received, contributors, flag": {
        "received_before": BEGAN + timedelta(hours=3),
        "contributors": ["*7"],
        "without_flags": ["off-canvas", "time-normalised"],
    },
    "all of them": {
        "labels": ["shape-001", "shape-002"],
        "origins": ["", "omniglot"],
        "contributors": ["player-0*"],
        "min_quality": 0.5,
        "without_flags": ["off-canvas"],
        "received_before": BEGAN + timedelta(days=20),
    },
}  # fmt: skip
"""What is asked, by what a reader calls it."""

COLUMNS = tuple(column.name for column in tables.records.columns if column.name != "workspace")


def made_up(count: int, seed: int = 1) -> Iterator[list[Any]]:
    """Rows of the index in the order of COLUMNS: 500 labels and 5,000 contributors, unevenly."""
    rng = random.Random(seed)
    labels = [f"shape-{int(500 * rng.random() ** 2):03}" for _ in range(10_007)]
    people = [f"player-{int(5000 * rng.random() ** 3):05}" for _ in range(20_011)]
    origins = rng.choices(ORIGINS, SHARES, k=30_011)
    flags = [ingest.flags_text(one) for one in rng.choices(FLAGS, OFTEN, k=40_009)]
    for n in range(count):
        origin, at = origins[n % 30_011], n * MONTH_MS // count
        moment = BEGAN + timedelta(milliseconds=at)
        # Version 7 by time for what is drawn here, version 5 (any order) for imports.
        stem = int(moment.timestamp() * 1000) << 80 if not origin else rng.getrandbits(48) << 80
        id = (stem | 7 << 76 | rng.getrandbits(76)).to_bytes(16)
        is_drawn = n % 4 > 0
        row = {
            "id": str(uuid.UUID(bytes=id)),
            "content": rng.randbytes(32),
            "dataset": DRAWINGS if is_drawn else f"photos-{n % 100:02}",
            "kind": "drawing" if is_drawn else "image",
            "label": labels[n % 10_007],
            "split": "",
            "group": "",
            "synthetic": n % 50 == 0,
            "contributor": people[n % 20_011],
            "origin": origin,
            "device": "mouse",
            "quality": 0.3 + 0.7 * rng.random(),
            "flags": flags[n % 40_009],
            "facts": FACTS,
            "fields": None,
            "bytes": 433,
            "sha256": None if is_drawn else rng.randbytes(32),
            "captured_at": moment,
            "received_at": moment,
            "segment": f"seg_{n // TOGETHER:06}",
            "row": n % TOGETHER,
            "blob": None,
        }
        yield [row[name] for name in COLUMNS]


async def fill(ctx: Context, who: Who, count: int) -> dict[str, Any]:
    """Put so many records on the shelf; how long the database took for it."""
    rows, seconds = made_up(count), 0.0
    while some := list(islice(rows, TOGETHER)):
        began = time.perf_counter()
        async with ctx.db.begin(who.workspace) as tx:
            await tx.append(tables.records, COLUMNS, some, once=False)
        seconds += time.perf_counter() - began
    async with ctx.db.begin(who.workspace) as tx:
        await store.recount(tx, repair=True)
    return {"rows_per_s": round(count / seconds)}


@asynccontextmanager
async def watched(question: Callable[[], Awaitable[object]]) -> AsyncIterator[dict[str, Any]]:
    """What the block costs others: memory added, how late tasks are woken, a small question."""
    found: dict[str, Any] = {}
    late, held, took, process = [], [], [], psutil.Process()
    before = peak = process.memory_info().rss

    async def ask() -> None:
        while True:
            began = time.perf_counter()
            await question()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)

    async def wake() -> None:
        nonlocal peak
        while True:
            began, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - began - 0.002)
            held.append(time.thread_time() - own)
            peak = max(peak, process.memory_info().rss)

    began, cpu = time.perf_counter(), time.process_time()
    tasks = [asyncio.create_task(one()) for one in (ask, wake)]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        found |= {
            "seconds": round(time.perf_counter() - began, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            "added_mb": round((peak - before) / 1e6),
            "late_ms_p99": ms(late, 0.99),
            "late_ms_max": ms(late, 1.0),
            # Processor time of the event loop's own thread between two turns of a task: other
            # programs of the machine make tasks late, but do not show here.
            "held_ms_p99": ms(held, 0.99),
            "held_ms_max": ms(held, 1.0),
            "question_ms_p99": ms(took, 0.99),
            "questions": len(took),
        }


def ms(values: list[float], share: float) -> float:
    """A quantile in milliseconds."""
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)


async def freeze(ctx: Context, who: Who) -> dict[str, Any]:
    """Freeze everything, twice: the second finds the same snapshot."""
    rows: list[dict[str, Any]] = []
    async with watched(lambda: service.page(ctx, who, RecordFilter(), after="", limit=1)) as idle:
        await asyncio.sleep(1)
    print(json.dumps({"nothing": idle}), flush=True)
    for name in ("first", "again"):
        async with watched(
            lambda: service.page(ctx, who, RecordFilter(), after="", limit=1)
        ) as found:
            snapshot = await service.freeze(ctx, who, NewSnapshot(name=name, dataset=DRAWINGS))
        rows.append(found | {"records": snapshot.records, "hash": snapshot.hash[:12]})
        print(json.dumps(rows[-1]), flush=True)
    assert rows[0]["hash"] == rows[1]["hash"]
    return rows[0]


async def shelve(ctx: Context, who: Who, count: int) -> dict[str, Any]:
    """Put more records on the shelf as a compaction does; processor time of this process."""
    given = [dict(zip(COLUMNS, row, strict=True)) for row in made_up(count, seed=2)]
    began, cpu = time.perf_counter(), time.process_time()
    async with ctx.db.begin(who.workspace) as tx:
        await store.add_records(tx, given)
    cpu = time.process_time() - cpu
    return {"seconds": round(time.perf_counter() - began, 2), "cpu_us_a_row": cpu / count * 1e6}


async def ask_all(ctx: Context, who: Who, seconds: float) -> dict[str, Any]:
    """Ask for the first page and the count of every filter for so long."""
    rows: dict[str, Any] = {}
    for title, conditions in FILTERS.items():
        wanted = RecordFilter(**conditions)
        listing = await timed(
            lambda wanted=wanted: service.page(ctx, who, wanted, after="", limit=100), seconds
        )
        counting = await timed(lambda wanted=wanted: service.count(ctx, who, wanted), seconds)
        page, counted = listing.pop("answer"), counting.pop("answer")
        listing |= {"items": len(page.items), "more": page.next is not None}
        counting |= {"records": counted.records, "exact": counted.exact}
        rows[title] = {"list": listing, "count": counting}
        print(f"{title:30} {listing} {counting}", flush=True)
    for what in ("list", "count"):
        worst = max(rows, key=lambda title: rows[title][what]["p99"])
        print(f"slowest to {what}: {worst}, p99 {rows[worst][what]['p99']} ms")
    return rows


async def timed(ask: Callable[[], Awaitable[Any]], seconds: float) -> dict[str, Any]:
    """Ask again and again; milliseconds."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    while not took or (time.perf_counter() < until and len(took) < 200):
        began = time.perf_counter()
        answer = await ask()
        took.append(time.perf_counter() - began)
    return {"p50": ms(took, 0.5), "p99": ms(took, 0.99), "n": len(took), "answer": answer}


async def measure(settings: Settings, asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of one database."""
    await migrate(settings.db_url)
    async with app.open_context(settings) as ctx:
        key = await accounts.bootstrap(ctx, "bench")
        assert key is not None
        who = await identify(ctx, key)
        found = {"fill": await fill(ctx, who, asked.records)}
        print(json.dumps(found), flush=True)
        gc.collect()
        gc.freeze()  # as a server does before it serves
        if asked.freeze:
            found["freeze"] = await freeze(ctx, who)
        if asked.filters:
            found["filters"] = await ask_all(ctx, who, asked.seconds)
            found["shelve"] = await shelve(ctx, who, 50_000)
            print(json.dumps(found["shelve"]), flush=True)
        return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each filter")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--freeze", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--filters", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("VOLANO_BENCH_DIR", "/var/tmp")) as made:
        folder = Path(made)
        folder.chmod(0o755)
        settings = {"home": str(folder / "home"), "log": "warning"}
        if asked.database != "postgresql":
            rows["sqlite"] = uvloop.run(measure(Settings(**settings), asked))
        if asked.database != "sqlite":
            with PostgresServer(folder / "postgres") as server:
                rows["postgresql"] = uvloop.run(measure(Settings(**settings, db=server.url), asked))
    print(json.dumps({"bench": "records", "records": asked.records, "rows": rows}))


if __name__ == "__main__":
    main()
