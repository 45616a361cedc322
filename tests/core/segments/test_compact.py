"""Compaction moves every row once: blob first, then one transaction."""

import asyncio
import os
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from tests.core.segments.streams import (
    HOME,
    STREAM,
    counts,
    open_inbox,
    plan,
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
from volano.core.db import Tx
from volano.core.jobs import Job
from volano.core.jobs.lease import give_back
from volano.core.jobs.tables import jobs
from volano.core.segments import compact
from volano.core.segments.inbox import Counts, Row, take
from volano.core.segments.parquet import Place, Segments
from volano.core.segments.tables import inbox
from volano.schemas.jobs import LeaseLost

TOPIC = "things.compact"


async def _job(ctx: Context, worker: str = "wrk_test") -> Job:
    return await claimed(ctx, HOME, TOPIC, {}, worker)


async def _fill(ctx: Context, *numbers: int) -> list[Row]:
    sent = rows(*numbers)
    await open_inbox(ctx).append(HOME, sent, now_ms=1)
    return sent


async def _sent(ctx: Context, workspace: str = HOME) -> list[Any]:
    async with ctx.db.read(workspace) as tx:
        query = tx.select(jobs.c.id, jobs.c.state).where(jobs.c.topic == TOPIC)
        return list(await tx.all(query.order_by(jobs.c.id)))


def _ms(seconds: float) -> int:
    """What a clock shows that is ahead by so many seconds, or behind."""
    return int((time.time() + seconds) * 1000)


async def _carry_out(ctx: Context, job: str) -> int:
    return await compact.compact(ctx, await claim(ctx, job), STREAM, read, plan)


async def test_rows_move_from_the_inbox_into_one_segment(server: Context) -> None:
    sent = await _fill(server, 3, 1, 2)
    assert await compact.compact(server, await _job(server), STREAM, read, plan) == 3
    (segment,) = await segments_of(server)
    assert (3, row(1).key, row(3).key) == (segment.rows, segment.first_key, segment.last_key)
    assert await waiting(server, *sent) == set()
    reader, place = Segments(server.blobs), Place(segment.blob, segment.size, 2)
    assert await reader.value(HOME, place, "payload") == row(3).payload


async def test_compacting_again_finds_nothing_and_makes_no_segment(server: Context) -> None:
    await _fill(server, 1)
    moved = [
        await compact.compact(server, await _job(server), STREAM, read, plan) for _ in range(2)
    ]
    assert moved == [1, 0]
    assert len(await segments_of(server)) == 1


async def test_the_oldest_rows_go_first_and_the_others_stay(server: Context) -> None:
    few = replace(server, settings=replace(server.settings, segment_rows=2))
    things = open_inbox(few)
    for number, at_ms in ((1, 30), (2, 10), (3, 20)):
        await things.append(HOME, [row(number)], now_ms=at_ms)
    assert await compact.compact(few, await _job(few), STREAM, read, plan) == 2
    assert {row(1).key} == await waiting(few, *rows(1, 2, 3))


async def test_two_workers_at_once_move_every_row_once(
    server: Context, other_process: Context
) -> None:
    sent = await _fill(server, *range(200))
    workers = [(server, await _job(server, "wrk_a")), (other_process, await _job(server, "wrk_b"))]
    outcomes = await asyncio.gather(
        *(compact.compact(ctx, job, STREAM, read, plan) for ctx, job in workers),
        return_exceptions=True,
    )
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, compact.RowsMoved) for one in lost)
    assert sum(one for one in outcomes if isinstance(one, int)) == 200
    assert await stored_rows(server) == 200
    assert await waiting(server, *sent) == set()


async def test_a_transaction_that_fails_leaves_the_rows_and_an_orphan_blob(
    server: Context,
) -> None:
    sent = await _fill(server, 1, 2)

    def failing(of: Sequence[Row], found: Sequence[bytes]) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            raise ZeroDivisionError

        return table(of), shelve

    with pytest.raises(ZeroDivisionError):
        await compact.compact(server, await _job(server), STREAM, read, failing)
    assert {one.key for one in sent} == await waiting(server, *sent)
    assert await segments_of(server) == []
    orphans = {blob.id async for blob in server.blobs.list(HOME)}
    assert await compact.compact(server, await _job(server), STREAM, read, plan) == 2
    # The second try writes the same bytes, so the orphan has become the segment.
    assert orphans == {one.blob for one in await segments_of(server)}


async def test_a_worker_that_lost_its_lease_moves_nothing(server: Context) -> None:
    sent, job = await _fill(server, 1), await _job(server)
    async with server.db.begin(HOME) as tx:
        await give_back(tx, job.lease)
    with pytest.raises(LeaseLost):
        await compact.compact(server, job, STREAM, read, plan)
    assert {one.key for one in sent} == await waiting(server, *sent)
    assert await segments_of(server) == []


async def test_a_segment_is_found_by_the_keys_between_its_ends(server: Context) -> None:
    await _fill(server, 10, 20)
    await compact.compact(server, await _job(server), STREAM, read, plan)
    (segment,) = await segments_of(server)
    async with server.db.read(HOME) as tx:
        found = {n: await compact.holding(tx, STREAM, row(n).key) for n in (9, 10, 15, 20, 21)}
        first = Place(segment.blob, segment.size, 0)
        assert {segment.id: first} == await compact.places(tx, [segment.id, "seg_none"])
    assert {9: [], 10: [segment], 15: [segment], 20: [segment], 21: []} == found


async def test_compaction_is_asked_for_where_rows_are_old_or_many(server: Context) -> None:
    """Or where they come from a clock that is far ahead: the database's own says what is old."""
    settings = replace(server.settings, segment_rows=3, segment_age_s=60.0)
    ctx = replace(server, settings=settings)
    things = open_inbox(ctx)
    await things.append("ws_young", rows(1, 2), now_ms=_ms(0))
    await things.append("ws_many", rows(1, 2, 3), now_ms=_ms(0))
    await things.append("ws_younger", rows(1), now_ms=_ms(-40))
    await things.append("ws_old", rows(1), now_ms=_ms(-61))
    await things.append("ws_a_little_ahead", rows(1), now_ms=_ms(40))
    await things.append("ws_ahead", rows(1), now_ms=_ms(80))
    assert await compact.request_due(ctx, STREAM, TOPIC) == 3
    for name in ("ws_young", "ws_younger", "ws_a_little_ahead"):
        assert await _sent(ctx, name) == []
    for name in ("ws_many", "ws_old", "ws_ahead"):
        assert len(await _sent(ctx, name)) == 1


async def test_one_compaction_is_open_at_a_time_and_the_next_waits_for_nothing(
    server: Context,
) -> None:
    await _fill(server, 1)
    for _ in range(3):
        await compact.request_due(server, STREAM, TOPIC)
    (first,) = await _sent(server)
    assert await _carry_out(server, first.id) == 1
    await _fill(server, 2)  # of the same millisecond: its commit came late
    await compact.request_due(server, STREAM, TOPIC)
    _, second = await _sent(server)
    assert await _carry_out(server, second.id) == 1
    assert await waiting(server, *rows(1, 2)) == set()


async def test_a_compaction_that_failed_for_good_is_asked_for_again_later(server: Context) -> None:
    await _fill(server, 1)
    await compact.request_due(server, STREAM, TOPIC)
    for finished_ms, state in ((_ms(-1), "dead"), (_ms(-61), "queued")):
        async with server.db.begin(HOME) as tx:
            dead = {"state": "dead", "finished_at": finished_ms}
            await tx.run(tx.update(jobs).values(dead))
        for _ in range(3):
            await compact.request_due(server, STREAM, TOPIC)
        assert len(await _sent(server)) == 1, "it stays the only one"
        async with server.db.read(HOME) as tx:
            assert await tx.scalar(tx.select(jobs.c.state)) == state


async def _flushing(ctx: Context) -> tuple[asyncio.Task[None], str]:
    """A flush that has asked for a compaction, and that job."""
    flushing = asyncio.create_task(compact.flush(ctx, HOME, STREAM, TOPIC))
    while not (sent := await _sent(ctx)):
        await asyncio.sleep(0.01)
    assert not flushing.done()
    return flushing, sent[-1].id


@pytest.mark.parametrize("ahead_s", [-86_400.0, 0.0, 86_400.0])
async def test_flushing_waits_for_what_was_acknowledged_whatever_its_clock(
    server: Context, ahead_s: float
) -> None:
    await open_inbox(server).append(HOME, rows(1), now_ms=_ms(ahead_s))
    flushing, job = await _flushing(server)
    await _carry_out(server, job)
    await flushing
    assert await waiting(server, row(1)) == set()


@pytest.mark.parametrize("behind_s", [-86_400.0, 0.0, 86_400.0])
async def test_flushing_does_not_wait_for_what_comes_later(
    server: Context, behind_s: float
) -> None:
    await _fill(server, 1)
    flushing, job = await _flushing(server)
    moving = await claim(server, job)

    def and_another(of: Sequence[Row], found: Sequence[bytes]) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            values = (STREAM, later.key, "", later.content, b"", b"", _ms(behind_s), 0, None, None)
            await tx.append(inbox, [c.name for c in inbox.c if c.name != "workspace"], [values])

        return table(of), shelve

    later = row(2)
    await compact.compact(server, moving, STREAM, read, and_another)
    await flushing
    assert {row(2).key} == await waiting(server, *rows(1, 2))


async def test_flushing_asks_again_when_more_waited_than_one_segment_takes(
    server: Context,
) -> None:
    few = replace(server, settings=replace(server.settings, segment_rows=2))
    await _fill(few, *range(5))
    flushing, _ = await _flushing(few)
    for number in range(3):
        while len(sent := await _sent(few)) <= number:
            await asyncio.sleep(0.01)
        assert (2, 2, 1)[number] == await _carry_out(few, sent[number].id)
    await flushing
    assert await waiting(few, *rows(*range(5))) == set()


async def test_flushing_an_empty_inbox_asks_for_nothing(server: Context) -> None:
    await compact.flush(server, HOME, STREAM, TOPIC)
    assert await _sent(server) == []


async def test_a_compaction_that_failed_for_good_is_told_at_once_and_not_asked_for_again(
    server: Context,
) -> None:
    await _fill(server, 1)
    flushing, _ = await _flushing(server)
    failure = {"message": "the disk is on fire"}
    async with server.db.begin(HOME) as tx:
        dead = {"state": "dead", "finished_at": _ms(0), "failure": failure}
        await tx.run(tx.update(jobs).values(dead))
    with pytest.raises(compact.CompactionFailed, match="the disk is on fire"):
        await flushing
    with pytest.raises(compact.CompactionFailed, match="the disk is on fire"):
        await compact.flush(server, HOME, STREAM, TOPIC)
    assert len(await _sent(server)) == 1


async def test_a_compaction_takes_no_more_bytes_than_a_segment_may_have(server: Context) -> None:
    """And holds no more of them in memory: what is beyond the bound is not read."""
    bound = 4 * 2**20
    ctx = replace(server, settings=replace(server.settings, segment_bytes=bound))
    things = open_inbox(ctx)
    for number in range(24):
        await things.append(HOME, [row(number, os.urandom(2**20))], now_ms=number)
    job = await _job(ctx)
    tracemalloc.start()
    try:
        # The head of each row counts too, so the fourth does not fit.
        assert await compact.compact(ctx, job, STREAM, read, plan) == 3
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * bound
    (segment,) = await segments_of(ctx)
    assert 3 * 2**20 < segment.unpacked_size <= bound
    assert (await counts(ctx)).waiting == 21


@pytest.mark.parametrize(("spare", "taken"), [(-1, 2), (0, 3), (1, 3)])
async def test_rows_are_taken_up_to_the_very_byte(server: Context, spare: int, taken: int) -> None:
    sent = [row(n, bytes(100)) for n in range(5)]
    for at, one in enumerate(sent):
        await open_inbox(server).append(HOME, [one], now_ms=at)
    size = sum(len(one.head) + len(one.payload) for one in sent[:3]) + spare
    async with server.db.read(HOME) as tx:
        found = await take(tx, STREAM, rows=5, size=size)
        assert [one.key for one in found] == [one.key for one in sent[:taken]]
        assert len(await take(tx, STREAM, rows=2, size=size)) == 2


async def test_a_row_that_is_larger_than_a_segment_may_be_moves_alone(server: Context) -> None:
    ctx = replace(server, settings=replace(server.settings, segment_bytes=50))
    await open_inbox(ctx).append(HOME, [row(1, bytes(100)), row(2, bytes(100))], now_ms=1)
    assert await compact.compact(ctx, await _job(ctx), STREAM, read, plan) == 1
    assert await compact.compact(ctx, await _job(ctx), STREAM, read, plan) == 1
    assert [one.rows for one in await segments_of(ctx)] == [1, 1]


async def test_flushing_moves_what_takes_several_segments_by_its_bytes(server: Context) -> None:
    ctx = replace(server, settings=replace(server.settings, segment_bytes=250))
    await open_inbox(ctx).append(HOME, [row(n, bytes(100)) for n in range(5)], now_ms=1)
    flushing, _ = await _flushing(ctx)
    for number in range(3):
        while len(sent := await _sent(ctx)) <= number:
            await asyncio.sleep(0.01)
        assert await _carry_out(ctx, sent[number].id) == (2, 2, 1)[number]
    await flushing
    assert await counts(ctx) == Counts(0, 0, 5)
