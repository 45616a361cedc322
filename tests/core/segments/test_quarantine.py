"""A row that cannot be read is kept with its reason, and the others go on."""

import asyncio
from collections.abc import Sequence

import pyarrow as pa
import pytest

from tests.core.segments.streams import (
    HOME,
    STREAM,
    counts,
    open_inbox,
    plan,
    quarantined,
    read,
    row,
    rows,
    segments_of,
    stored_rows,
    table,
    waiting,
)
from tests.stages import claim, claimed
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Tx
from volano.core.jobs import Job, fair
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import DEFAULT
from volano.core.jobs.tables import jobs
from volano.core.segments import compact, quarantine
from volano.core.segments.inbox import Counts, Inbox, Row, Stored
from volano.schemas.errors import Missing

TOPIC = "things.compact"


async def _job(ctx: Context) -> Job:
    return await claimed(ctx, HOME, TOPIC, {})


async def _open_jobs(ctx: Context) -> list[str]:
    async with ctx.db.read(HOME) as tx:
        return [job.id for job in await tx.all(tx.select(jobs.c.id))]


async def _due(ctx: Context) -> Job:
    """The job that was asked for next, in any workspace."""
    async with ctx.db.begin(EVERYWHERE) as tx:
        (taken,) = await fair.claim(tx, "wrk_test", [DEFAULT], 1, 60_000)
    return Job(Lease.of(taken, "wrk_test"), taken.topic, taken.payload)


async def test_a_row_that_cannot_be_read_is_quarantined_and_a_thousand_others_move(
    server: Context,
) -> None:
    bad = row(500, b"bad luck")
    await open_inbox(server).append(HOME, [*rows(*range(500)), bad, *rows(*range(501, 1001))])
    assert await compact.compact(server, await _job(server), STREAM, read, plan) == 1001
    (segment,) = await segments_of(server)
    assert segment.rows == 1000
    assert await waiting(server, *rows(*range(1001))) == {bad.key}
    assert await counts(server) == Counts(0, 1, 1001)
    (held,) = await quarantined(server)
    assert held.key == bad.key
    assert held.reason == "ValueError: row 500 is bad"
    assert held.size == len(b"bad luck")


async def test_a_quarantined_row_is_passed_over_by_everything_that_moves_rows(
    server: Context,
) -> None:
    await open_inbox(server).append(HOME, [row(1, b"bad")], now_ms=1)
    assert await compact.compact(server, await _job(server), STREAM, read, plan) == 1
    assert await compact.compact(server, await _job(server), STREAM, read, plan) == 0
    assert await compact.request_due(server, STREAM, TOPIC) == 0
    await compact.flush(server, HOME, STREAM, TOPIC)


async def test_a_flush_does_not_wait_for_a_row_that_turns_out_to_be_bad(server: Context) -> None:
    await open_inbox(server).append(HOME, [row(1, b"bad")], now_ms=1)
    flushing = asyncio.create_task(compact.flush(server, HOME, STREAM, TOPIC))
    while not (asked_for := await _open_jobs(server)):
        await asyncio.sleep(0.01)
    assert not flushing.done()
    await compact.compact(server, await claim(server, asked_for[0]), STREAM, read, plan)
    await flushing


async def test_where_no_row_can_be_read_there_is_no_segment_and_no_blob(server: Context) -> None:
    await open_inbox(server).append(HOME, [row(n, b"bad") for n in range(3)])
    await compact.compact(server, await _job(server), STREAM, read, plan)
    assert await segments_of(server) == []
    assert [blob async for blob in server.blobs.list(HOME)] == []
    assert await counts(server) == Counts(0, 3, 3)


async def test_rows_go_into_quarantine_with_the_transaction_that_moves_the_others(
    server: Context,
) -> None:
    await open_inbox(server).append(HOME, [row(1, b"bad"), row(2)])

    def failing(of: Sequence[Row], found: Sequence[bytes]) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            raise ZeroDivisionError

        return table(of), shelve

    with pytest.raises(ZeroDivisionError):
        await compact.compact(server, await _job(server), STREAM, read, failing)
    assert await counts(server) == Counts(2, 0, 2)


async def test_a_quarantined_row_that_is_sent_again_is_a_duplicate(server: Context) -> None:
    things, bad = open_inbox(server), row(1, b"bad")
    await things.append(HOME, [bad])
    await compact.compact(server, await _job(server), STREAM, read, plan)
    assert await things.append(HOME, [bad]) == [Stored(True, bad.content)]
    assert await counts(server) == Counts(0, 1, 1)


async def test_a_released_row_is_read_again_and_moves_if_it_can_be(server: Context) -> None:
    bad = [row(n, b"bad") for n in range(3)]
    await open_inbox(server).append(HOME, bad, now_ms=1)
    await compact.compact(server, await _job(server), STREAM, read, plan)
    async with server.db.begin(HOME) as tx:
        assert await quarantine.release(tx, [bad[0].key, row(9).key]) == 1
        assert await quarantine.release(tx) == 2
        assert await quarantine.release(tx) == 0
    assert await compact.request_due(server, STREAM, TOPIC) == 1

    def lenient(one: Row) -> bytes:
        if one.key == bad[0].key:
            raise ZeroDivisionError("still bad")
        return one.payload

    assert await compact.compact(server, await _due(server), STREAM, lenient, plan) == 3
    assert await stored_rows(server) == 2
    assert [held.reason for held in await quarantined(server)] == ["ZeroDivisionError: still bad"]


async def test_only_a_row_in_quarantine_can_be_removed_from_it(server: Context) -> None:
    things, bad = open_inbox(server), row(1, b"bad")
    await things.append(HOME, [bad])
    await compact.compact(server, await _job(server), STREAM, read, plan)
    await things.append(HOME, [row(2)])
    async with server.db.begin(HOME) as tx:
        assert [await quarantine.remove(tx, one.key) for one in (bad, row(2), row(3))] == [
            True,
            False,
            False,
        ]
    assert await things.append(HOME, [bad]) == [Stored(False, bad.content)]


async def test_one_workspace_s_bad_rows_are_none_of_another_s_business(server: Context) -> None:
    things = open_inbox(server)
    await things.append("ws_bad", [row(n, b"bad") for n in range(5)], now_ms=1)
    await things.append(HOME, rows(*range(5)), now_ms=1)
    assert await compact.request_due(server, STREAM, TOPIC) == 2
    for _ in range(2):
        assert await compact.compact(server, await _due(server), STREAM, read, plan) == 5
    assert await counts(server) == Counts(0, 0, 5)
    assert await quarantined(server) == []
    async with server.db.begin(HOME) as tx:
        assert await quarantine.release(tx) == 0
        assert not await quarantine.remove(tx, row(1).key)
    assert await counts(server, "ws_bad") == Counts(0, 5, 5)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Missing(noun="shape", id="a"), "missing: There is no shape 'a' in this workspace"),
        (ValueError("a\0b"), r"ValueError: a\0b"),
        (ValueError("a\ud800b"), r"ValueError: a\ud800b"),
        (ValueError("long " * 1000), ("ValueError: " + "long " * 100)[:500]),
        (KeyError(), "KeyError: "),
    ],
)
async def test_every_reason_can_be_stored(server: Context, error: Exception, reason: str) -> None:
    def refusing(one: Row) -> bytes:
        raise error

    await open_inbox(server).append(HOME, rows(1))
    await compact.compact(server, await _job(server), STREAM, refusing, plan)
    (held,) = await quarantined(server)
    assert held.reason == reason


async def test_quarantine_is_listed_in_pages_over_all_streams(server: Context) -> None:
    bad = [row(n, b"bad") for n in range(3)]
    for stream in (STREAM, "others"):
        await Inbox(server.db, stream, None).append(HOME, bad)
        async with server.db.begin(HOME) as tx:
            await quarantine.add(tx, stream, {one.key: f"of {stream}" for one in bad})
    async with server.db.read(HOME) as tx:
        first = await quarantine.page(tx, after="", limit=4)
        after = quarantine.BY_KEY.page(first, 4, lambda held: held.key).next
        rest = await quarantine.page(tx, after=after or "", limit=4)
    assert [(held.stream, held.key) for held in [*first[:4], *rest]] == [
        (stream, one.key) for stream in ("others", STREAM) for one in bad
    ]
