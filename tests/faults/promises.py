"""A process that promises: appends rows, moves them into segments, keeps blobs, and says so.

`python -m tests.faults.promises FOLDER ACKS SECONDS SEED`, below power_loss.so. Each promise is one
line in ACKS, written once the call that makes it has returned.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from volano import app
from volano.core.context import Context
from volano.core.segments.inbox import Row
from volano.core.settings import Settings
from volano.data import service as data
from volano.labeling import service as labeling
from volano.schemas.common import utc_now, uuid7
from volano.schemas.errors import VolanoError
from volano.sdk import synthetic

WORKSPACE = "ws_0000000000000000000000000000000a"
APPENDERS = 6


def settings(folder: Path) -> Settings:
    """Return settings with the database and the blobs in `folder`, all else beside it."""
    return Settings(
        home=str(folder.with_name(f"{folder.name}-home")),
        db=f"sqlite:///{folder / 'new' / 'volano.db'}",
        blobs=f"file://{folder / 'new' / 'blobs'}",
        segment_age_s=0.1,
        segment_merge_s=0.1,
        jobs_sweep_s=0.05,
        log="error",
    )


class Promises:
    """The file of promises, and the rows to promise."""

    def __init__(self, ctx: Context, acks: BinaryIO, seconds: float, rng: random.Random) -> None:
        self.ctx, self.acks, self.rng = ctx, acks, rng
        self.until = time.monotonic() + seconds
        given = [one.drawing for one in synthetic.drawings(synthetic.SHAPES, 3, seed=1)]
        somebody = labeling.Contributor("somebody")
        made = labeling.make_rows(
            [(one, somebody) for one in given], labeling.limits(ctx.settings), utc_now()
        )
        self.rows = [row for row in made if isinstance(row, Row)]
        self.sent: list[Row] = []

    def _fresh(self) -> Row:
        return msgspec.structs.replace(self.rng.choice(self.rows), key=str(uuid7()))

    def _note(self, lines: list[str]) -> None:
        self.acks.write("".join(f"{line}\n" for line in lines).encode())

    async def append(self) -> None:
        """Send rows to the inbox, some a second time, as a client does that heard nothing."""
        while time.monotonic() < self.until:
            rows = [self._fresh() for _ in range(self.rng.choice((1, 1, 5, 20)))]
            rows += self.rng.sample(self.sent, min(len(self.sent), 2))
            await self.ctx.part(data.State).inbox.append(WORKSPACE, rows)
            self._note([f"record {row.key}" for row in rows])
            self.sent += rows

    async def keep(self) -> None:
        """Keep blobs of up to some hundred kilobytes."""
        while time.monotonic() < self.until:
            content = self.rng.randbytes(self.rng.choice((10, 5_000, 300_000)))
            self._note([f"blob {await self.ctx.blobs.put(WORKSPACE, content)}"])
            await asyncio.sleep(0.02)


async def main(folder: Path, acks: BinaryIO, seconds: float, seed: int) -> None:
    """Promise for some seconds; every other time end without closing anything."""
    chosen, rng = settings(folder), random.Random(seed)
    await app.migrate(chosen.db_url)
    async with app.open_context(chosen) as ctx:
        promises, stop = Promises(ctx, acks, seconds, rng), asyncio.Event()
        working = asyncio.create_task(app.work(ctx, stop))
        try:
            await asyncio.gather(promises.keep(), *(promises.append() for _ in range(APPENDERS)))
        except (VolanoError, OSError) as error:  # the disk failed on purpose: no promise any more
            print(type(error).__name__, flush=True)
            os._exit(3)
        if seed % 2:
            os._exit(0)
        stop.set()
        await working


if __name__ == "__main__":
    with open(sys.argv[2], "ab", buffering=0) as promised:
        asyncio.run(main(Path(sys.argv[1]), promised, float(sys.argv[3]), int(sys.argv[4])))
