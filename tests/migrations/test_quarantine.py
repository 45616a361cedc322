"""What waited and what was stored before there was a quarantine goes on as it was."""

from typing import Any

import sqlalchemy as sa

from volano.core.db import Database
from volano.core.segments import compact, quarantine
from volano.core.segments.inbox import Counts, row_counts, take
from volano.migrations import downgrade, migrate
from volano.migrations.run import within

BEFORE = "0012"
KEY = bytes.fromhex("0190a6c012347abc8def0123456789ab")
ID = "0190a6c0-1234-7abc-8def-0123456789ab"


def fill(connection: sa.Connection) -> None:
    waiting: dict[str, Any] = {
        "workspace": "ws_1",
        "stream": "records",
        "key": KEY,
        "subject": "ada",
        "content": b"c" * 32,
        "head": b"head",
        "payload": b"payload",
        "received_ms": 1000,
        "batch": 1,
    }
    stored: dict[str, Any] = {
        "workspace": "ws_1",
        "id": "seg_1",
        "stream": "records",
        "blob": "b3_segment",
        "size": 100,
        "rows": 7,
        "first_key": KEY,
        "last_key": KEY,
        "created_ms": 1000,
    }
    blob = {"workspace": "ws_1", "id": "b3_segment"}
    for table, row in (("blobs", blob), ("inbox", waiting), ("segments", stored)):
        columns, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{n}" for n in row)
        connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)


async def test_rows_wait_and_segments_have_a_size_after_the_migration(empty_url: str) -> None:
    await migrate(empty_url)
    await downgrade(empty_url, BEFORE)
    await within(empty_url, fill)
    await migrate(empty_url)
    db = await Database.open(empty_url)
    async with db.begin("ws_1") as tx:
        (row,) = await take(tx, "records", rows=10, size=10)
        assert row.key == ID
        assert row.reason is None
        (segment,) = await compact.every(tx, "records")
        assert segment.unpacked_size == 500
        await quarantine.add(tx, "records", {ID: "it cannot be read"})
        assert await row_counts(tx) == {"records": Counts(0, 1, 8)}
    await db.close()


async def test_what_is_in_quarantine_waits_again_where_there_is_none(empty_url: str) -> None:
    await migrate(empty_url)
    await downgrade(empty_url, BEFORE)
    await within(empty_url, fill)
    await migrate(empty_url)
    db = await Database.open(empty_url)
    async with db.begin("ws_1") as tx:
        await quarantine.add(tx, "records", {ID: "it cannot be read"})
    await db.close()
    await downgrade(empty_url, BEFORE)
    await migrate(empty_url)
    db = await Database.open(empty_url)
    async with db.read("ws_1") as tx:
        assert await row_counts(tx) == {"records": Counts(1, 0, 8)}
    await db.close()
