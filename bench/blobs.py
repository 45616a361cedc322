"""How many blobs a second, on files and on a real S3: python bench/blobs.py [bytes] [at once]."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from volano.core.blobs import Blobs, open_blobs
from volano.hosting.services import PostgresServer, S3Server

T = TypeVar("T")

COUNT = 2000


async def _timed(work: Callable[[T], Awaitable[object]], given: Sequence[T], at_once: int) -> str:
    queue, times = iter(given), list[float]()

    async def one_after_another() -> None:
        for one in queue:
            began = time.perf_counter()
            await work(one)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    rate = len(given) / (time.perf_counter() - began)
    p99 = statistics.quantiles(times, n=100)[98]
    return f"{rate:8,.0f}/s  p50 {statistics.median(times) * 1e3:6.2f} ms  p99 {p99 * 1e3:6.2f} ms"


async def _measure(title: str, blobs: Blobs, size: int, at_once: int) -> None:
    every = [os.urandom(size) for _ in range(COUNT)]
    print(f"{title:5} put", await _timed(lambda data: blobs.put("ws", data), every, at_once))
    ids = [found.id async for found in blobs.list("ws")]
    print(f"{title:5} get", await _timed(lambda id: blobs.get("ws", id), ids, at_once))


def main(size: int = 20_000, at_once: int = 16) -> None:
    """Measure start-up, then puts and gets of `size` bytes each, `at_once` in flight."""
    print(f"{COUNT} blobs of {size:,} bytes, {at_once} at once")
    with tempfile.TemporaryDirectory(dir=os.environ.get("VOLANO_BENCH_DIR", "/var/tmp")) as made:
        folder = Path(made)
        folder.chmod(0o755)
        for title, server in (
            ("PostgreSQL", PostgresServer(folder / "postgres")),
            ("S3", S3Server(folder / "s3")),
        ):
            for state in ("new", "existing"):
                began = time.perf_counter()
                server.start()
                print(f"{title:10} {state:8} ready in {time.perf_counter() - began:.2f} s")
                server.stop()
        asyncio.run(_measure("file", open_blobs(f"file://{folder / 'blobs'}"), size, at_once))
        with S3Server(folder / "s3") as s3:
            blobs = open_blobs(s3.url, access_key=s3.access_key, secret_key=s3.secret_key)
            asyncio.run(_measure("s3", blobs, size, at_once))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
