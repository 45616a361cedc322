"""What the tests of segments share: rows of a stream, and where they stand once they have left."""

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tests.house import examples
from volano.core.blobs import Blobs
from volano.core.db import Tx
from volano.core.segments import compact, quarantine
from volano.core.segments.inbox import Counts, Inbox, Row, row_counts
from volano.core.segments.inbox import find as found_in_inbox
from volano.core.segments.tables import segments
from volano.data.store import records

STREAM = "things"
HOME = "ws_home"


def row(number: int, content: bytes | None = None, subject: str = "") -> Row:
    """The row of a number: equal numbers have equal keys, and equal contents unless given."""
    key = str(uuid.UUID(int=0x0198 << 112 | 0x7 << 76 | 0b10 << 62 | number))
    payload = content if content is not None else f"payload of {number}".encode()
    digest = hashlib.blake2b(payload, digest_size=32).digest()
    return Row(key, digest, str(number).encode(), payload, subject)


def rows(*numbers: int) -> list[Row]:
    """The rows of some numbers."""
    return [row(number) for number in numbers]


async def shelve(tx: Tx, *of: Row) -> None:
    """Put rows onto the shelf of records, where an inbox looks for what has left it."""
    (any_row,) = examples.rows(records)
    rows = [any_row | {"id": one.key, "content": one.content, "blob": None} for one in of]
    await tx.run(tx.insert(records), rows)


def table(of: Sequence[Row]) -> pa.Table:
    """Rows as a segment."""
    return pa.table({"id": [row.key for row in of], "payload": [row.payload for row in of]})


def read(one: Row) -> bytes:
    """Return what is in a row; a payload that begins with `bad` cannot be read."""
    if one.payload.startswith(b"bad"):
        raise ValueError(f"row {one.head.decode()} is bad")
    return one.payload


def plan(of: Sequence[Row], found: Sequence[bytes]) -> tuple[pa.Table, compact.Shelve]:
    """A segment of the rows and nothing else in its transaction."""

    async def shelve(tx: Tx, segment: compact.Segment) -> None:
        pass

    return table(of), shelve


async def waiting(ctx: Any, *of: Row) -> set[str]:
    """Those of the rows' keys that are in the inbox."""
    async with ctx.db.read(HOME) as tx:
        return set(await found_in_inbox(tx, STREAM, [row.key for row in of]))


async def segments_of(ctx: Any) -> list[compact.Segment]:
    """Every segment of the stream, oldest first."""
    async with ctx.db.read(HOME) as tx:
        return (await compact.newest(tx, STREAM, 1000))[::-1]


async def stored_rows(ctx: Any) -> int:
    """Rows in all segments, as the table counts them."""
    async with ctx.db.read(HOME) as tx:
        return sum(row.rows for row in await tx.all(tx.select(segments.c.rows)))


async def counts(ctx: Any, workspace: str = HOME) -> Counts:
    """The rows of the stream, as they are counted."""
    async with ctx.db.read(workspace) as tx:
        return (await row_counts(tx))[STREAM]


async def quarantined(ctx: Any) -> Sequence[Any]:
    """What is in quarantine."""
    async with ctx.db.read(HOME) as tx:
        return await quarantine.page(tx, after="", limit=100)


def open_inbox(ctx: Any, **options: Any) -> Inbox:
    """The inbox of a process."""
    return Inbox(ctx.db, STREAM, records, **options)


class CountingBlobs(Blobs):
    """Real blobs that note every read: the number of bytes asked for, -1 for a whole blob."""

    def __init__(self, of: Blobs) -> None:
        super().__init__(of._backend)
        self.reads: list[int] = []

    async def get(self, workspace: str, id: str) -> bytes:
        self.reads.append(-1)
        return await super().get(workspace, id)

    async def get_range(self, workspace: str, id: str, start: int, length: int) -> bytes:
        self.reads.append(length)
        return await super().get_range(workspace, id, start, length)
