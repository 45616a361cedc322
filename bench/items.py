"""One object an item, or many items in a segment: ./dev bench items [--items 2000 --bytes 16384].

Both ways are durable and keep the same items on the same store: each as a blob of its own, and as
records of a dataset, which a worker moves into segments. Prints, on files and on S3, how many items
a second each way takes in and gives back in the order of a training, and the objects it leaves.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from tests.stages import QUICK, until, working
from volano import app
from volano.accounts.authentication import identify
from volano.core import telemetry
from volano.core.context import Context
from volano.core.settings import Settings
from volano.data import service as data
from volano.data.datasets import service as datasets
from volano.hosting.services import S3Server
from volano.schemas.accounts import Who
from volano.schemas.data import NewSnapshot, RecordFilter, SplitRule
from volano.schemas.datasets import NewDataset, NewItem

AT_ONCE = 16
"""Clients that write, and that read objects."""
TOGETHER = 50
"""Items in one request."""


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def spread(jobs: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Run jobs, AT_ONCE at the same time; return their results in order."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(job: Callable[[], Awaitable[Any]]) -> Any:
        async with turns:
            return await job()

    return await asyncio.gather(*(one(job) for job in jobs))


async def objects(ctx: Context, who: Who) -> int:
    """Count the objects of a workspace."""
    return len([one async for one in ctx.blobs.list(who.workspace)])


async def one_object_an_item(ctx: Context, who: Who, items: list[bytes]) -> dict[str, float]:
    """Put each item as a blob, then read them in another order."""
    ids: list[str] = []

    async def put() -> None:
        ids.extend(await spread([partial(ctx.blobs.put, who.workspace, d) for d in items]))

    wrote = await timed(put())
    random.Random(1).shuffle(ids)
    read = await timed(spread([partial(ctx.blobs.get, who.workspace, id) for id in ids]))
    return {"in": len(items) / wrote, "out": len(items) / read}


async def in_segments(ctx: Context, who: Who, items: list[bytes]) -> dict[str, float]:
    """Add the items as records, wait until they are on the shelf, and scan a snapshot of them."""
    await datasets.create(ctx, who, NewDataset(name="files", fields={"file": "file"}))
    batches = [items[at : at + TOGETHER] for at in range(0, len(items), TOGETHER)]

    async def add(batch: list[bytes]) -> None:
        given = [NewItem(data=d, media_type="application/octet-stream") for d in batch]
        told = await data.add(ctx, who, "files", given)
        assert all(one.stored for one in told), told

    async with working(ctx):
        wrote = await timed(spread([partial(add, b) for b in batches]))
        wanted = RecordFilter(datasets=["files"])

        async def all_there() -> bool:
            return (await data.count(ctx, who, wanted)).records == len(items)

        moved = await timed(until(all_there))
        new = NewSnapshot(name="files", filter=wanted, split=SplitRule(by="none"))
        frozen = await data.freeze(ctx, who, new)
    count = 0

    async def scan() -> None:
        nonlocal count
        async for batch in data.scan(ctx, who.workspace, frozen.id):
            count += batch.num_rows

    read = await timed(scan())
    assert count == len(items), count
    return {
        "in": len(items) / wrote,
        "in and moved": len(items) / (wrote + moved),
        "out": len(items) / read,
    }


async def compare(settings: Settings, items: list[bytes]) -> dict[str, dict[str, float]]:
    """Measure both ways on one server."""
    key = await app.prepare(settings)
    assert key is not None
    found: dict[str, dict[str, float]] = {}
    async with app.open_context(settings) as ctx:
        who = await identify(ctx, key)
        for name, way in (("segments", in_segments), ("objects", one_object_an_item)):
            before = await objects(ctx, who)
            found[name] = await way(ctx, who, items)
            found[name]["objects"] = await objects(ctx, who) - before
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=16_384)
    asked = parser.parse_args()
    telemetry.configure("warning")
    rng = random.Random(7)
    items = [rng.randbytes(asked.bytes) for _ in range(asked.items)]
    with tempfile.TemporaryDirectory(prefix="volano-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with S3Server(folder / "s3") as s3:
            keys = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key}
            stores: dict[str, dict[str, Any]] = {"files": {}, "S3": {"blobs": s3.url} | keys}
            for store, chosen in stores.items():
                settings = Settings(**QUICK | {"home": str(folder / store)} | chosen)
                found = uvloop.run(compare(settings, items))
                for way, figures in found.items():
                    shown = {what: round(value) for what, value in figures.items()}
                    print(f"{store:6} {way:9} {json.dumps(shown)}", flush=True)


if __name__ == "__main__":
    main()
