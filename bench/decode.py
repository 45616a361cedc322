"""What decoding costs: JPEG to a network's input beside plain Pillow, and images/s by the pool.

python -m bench.decode --rounds 15 --cores 0

The pictures are made from noise of several sizes, so that a JPEG has about as many bytes as a
photograph of that size. Times are processor time of one thread, the least of all rounds, which
neighbours cannot make smaller.
"""

import argparse
import asyncio
import io
import os
import time
from collections.abc import Callable

import numpy as np
import psutil
from PIL import Image

from volano.core.compute import WorkerPool
from volano.data.formats import pixels

SIZES = ((640, 480), (1280, 960), (2048, 1536))
SIDE = 416

POOL_TARGET = "volano.data.formats.pixels:canonical"


def photograph(width: int, height: int) -> Image.Image:
    """A picture with detail on every scale, as photographs have."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for step in (1, 4, 16, 64, 256):
        size = (max(2, width // step), max(2, height // step))
        coarse = rng.normal(0, step**0.5, (size[1], size[0], 3)).astype(np.float32)
        layers = [
            Image.fromarray(coarse[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        total += np.stack([np.asarray(layer) for layer in layers], -1)
    scaled = (total - total.mean()) / total.std() * 50 + 128
    return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))


def by_pillow(data: bytes) -> np.ndarray:
    """What most code does: decode whole, then shrink."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def ms(call: Callable[[], object], rounds: int) -> float:
    """The least processor time of one call, ms."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times) * 1e3


def used(processes: list[psutil.Process]) -> float:
    """Processor time of these processes so far, s."""
    return sum(times.user + times.system for times in (p.cpu_times() for p in processes))


async def pooled(data: bytes, processes: int, calls: int) -> tuple[float, float, float]:
    """Images a second through the pool, and ms of processor time each: workers' and caller's."""
    pool = WorkerPool(POOL_TARGET, processes=processes)
    await asyncio.gather(*(pool.call(data) for _ in range(2 * processes)))
    workers = psutil.Process().children(recursive=True)
    began, own, theirs = time.perf_counter(), time.process_time(), used(workers)
    left = iter(range(calls))

    async def client() -> None:
        for _ in left:
            await pool.call(data)

    await asyncio.gather(*(client() for _ in range(2 * processes)))
    wall, own = time.perf_counter() - began, time.process_time() - own
    theirs = used(workers) - theirs
    await pool.close()
    return calls / wall, theirs / calls * 1e3, own / calls * 1e3


def main() -> None:
    options = _options()
    if options.cores:
        os.sched_setaffinity(0, options.cores)
    rounds = options.rounds
    columns = "size", "KB", "header", "Pillow", "whole", "reduced", "letterbox", "stored"
    columns = *columns, "pool/s", "worker ms", "caller ms"
    print(f"JPEG to {SIDE} x {SIDE}, ms of one core")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for width, height in SIZES:
        packed = io.BytesIO()
        photograph(width, height).save(packed, "JPEG", quality=85)
        data = packed.getvalue()
        pillow = ms(lambda data=data: by_pillow(data), rounds)
        whole = ms(
            lambda data=data: pixels.fit(pixels.decode(data), SIDE, SIDE, 3, "stretch"), rounds
        )
        reduced = ms(lambda data=data: pixels.load(data, SIDE, SIDE, 3, "stretch"), rounds)
        boxed = ms(lambda data=data: pixels.load(data, SIDE, SIDE, 3, "letterbox"), rounds)
        header = ms(lambda data=data: pixels.inspect(data), rounds)
        stored = ms(lambda data=data: pixels.canonical(data), rounds)
        rate, worker, caller = asyncio.run(pooled(data, options.processes, options.calls))
        print(
            f"| {width} x {height} | {len(data) // 1000} | {header:.2f} | {pillow:.1f} "
            f"| {whole:.1f} ({pillow / whole:.1f}x) | {reduced:.1f} ({pillow / reduced:.1f}x) "
            f"| {boxed:.1f} ({pillow / boxed:.1f}x) | {stored:.1f} | {rate:.0f} "
            f"| {worker:.1f} | {caller:.2f} |"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cores", type=int, nargs="*", default=[])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--calls", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    main()
