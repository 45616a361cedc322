"""Compaction moves every row once: blob first, then one transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from tests.core.segments.streams import (
    HOME,
    STREAM,
    open_inbox,
    plan,
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
from volano.core.segments import compact
from volano.core.segments.inbox import Row
from volano.core.segments.parquet import Place, Segments
from volano.spec.jobs import LeaseLost

TOPIC = "things.compact"


async def _job(ctx: Context, worker: str = "wrk_test") -> Job:
    return await claimed(ctx, HOME, TOPIC, {}, worker)


async def _fill(ctx: Context, *numbers: int) -> list[Row]:
    sent = rows(*numbers)
    await open_inbox(ctx).append(HOME, sent, now_ms=1)
    return sent


async def _sent(ctx: Context, workspace: str = HOME) -> list[Any]:
    async with ctx.db.read(workspace) as tx:
        return [job for job in await ctx.jobs.recent(tx) if job.topic == TOPIC]


async def test_rows_move_from_the_inbox_into_one_segment(server: Context) -> None:
    sent = await _fill(server, 3, 1, 2)
    assert 3 == await compact.compact(server, await _job(server), STREAM, plan)
    (segment,) = await segments_of(server)
    assert (3, row(1).key, row(3).key) == (segment.rows, segment.first_key, segment.last_key)
    assert set() == await waiting(server, *sent)
    reader, place = Segments(server.blobs), Place(segment.blob, segment.size, 2)
    assert row(3).payload == await reader.value(HOME, place, "payload")


async def test_compacting_again_finds_nothing_and_makes_no_segment(server: Context) -> None:
    await _fill(server, 1)
    moved = [await compact.compact(server, await _job(server), STREAM, plan) for _ in range(2)]
    assert [1, 0] == moved
    assert 1 == len(await segments_of(server))


async def test_the_oldest_rows_go_first_and_the_others_stay(server: Context) -> None:
    few = replace(server, settings=replace(server.settings, segment_rows=2))
    inbox = open_inbox(few)
    for number, at_ms in ((1, 30), (2, 10), (3, 20)):
        await inbox.append(HOME, [row(number)], now_ms=at_ms)
    assert 2 == await compact.compact(few, await _job(few), STREAM, plan)
    assert {row(1).key} == await waiting(few, *rows(1, 2, 3))


async def test_two_workers_at_once_move_every_row_once(
    server: Context, other_process: Context
) -> None:
    sent = await _fill(server, *range(200))
    workers = [(server, await _job(server, "wrk_a")), (other_process, await _job(server, "wrk_b"))]
    outcomes = await asyncio.gather(
        *(compact.compact(ctx, job, STREAM, plan) for ctx, job in workers), return_exceptions=True
    )
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, compact.RowsMoved) for one in lost)
    assert 200 == sum(one for one in outcomes if isinstance(one, int))
    assert 200 == await stored_rows(server)
    assert set() == await waiting(server, *sent)


async def test_a_transaction_that_fails_leaves_the_rows_and_an_orphan_blob(
    server: Context,
) -> None:
    sent = await _fill(server, 1, 2)

    def failing(of: Sequence[Row]) -> tuple[pa.Table, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            raise ZeroDivisionError

        return table(of), shelve

    with pytest.raises(ZeroDivisionError):
        await compact.compact(server, await _job(server), STREAM, failing)
    assert {one.key for one in sent} == await waiting(server, *sent)
    assert [] == await segments_of(server)
    orphans = {blob.id async for blob in server.blobs.list(HOME)}
    assert 2 == await compact.compact(server, await _job(server), STREAM, plan)
    # The second try writes the same bytes, so the orphan has become the segment.
    assert orphans == {one.blob for one in await segments_of(server)}


async def test_a_worker_that_lost_its_lease_moves_nothing(server: Context) -> None:
    sent, job = await _fill(server, 1), await _job(server)
    async with server.db.begin(HOME) as tx:
        await give_back(tx, job.lease)
    with pytest.raises(LeaseLost):
        await compact.compact(server, job, STREAM, plan)
    assert {one.key for one in sent} == await waiting(server, *sent)
    assert [] == await segments_of(server)


async def test_a_segment_is_found_by_the_keys_between_its_ends(server: Context) -> None:
    await _fill(server, 10, 20)
    await compact.compact(server, await _job(server), STREAM, plan)
    (segment,) = await segments_of(server)
    async with server.db.read(HOME) as tx:
        found = {n: await compact.holding(tx, STREAM, row(n).key) for n in (9, 10, 15, 20, 21)}
        assert {segment.id: segment} == await compact.by_id(tx, [segment.id, "seg_none"])
    assert {9: [], 10: [segment], 15: [segment], 20: [segment], 21: []} == found


async def test_compaction_is_asked_for_where_rows_are_old_or_many(server: Context) -> None:
    settings = replace(server.settings, segment_rows=3, segment_age_s=5.0)
    ctx = replace(server, settings=settings)
    inbox = open_inbox(ctx)
    await inbox.append("ws_young", rows(1, 2), now_ms=10_000)
    await inbox.append("ws_many", rows(1, 2, 3), now_ms=10_000)
    await inbox.append("ws_old", rows(1), now_ms=5_000)
    assert 2 == await compact.request_due(ctx, STREAM, TOPIC, now_ms=10_000)
    asked = {name: len(await _sent(ctx, name)) for name in ("ws_young", "ws_many", "ws_old")}
    assert {"ws_young": 0, "ws_many": 1, "ws_old": 1} == asked


async def test_the_same_rows_are_asked_for_once_until_they_seem_stuck(server: Context) -> None:
    await _fill(server, 1)
    for _ in range(3):
        await compact.request_due(server, STREAM, TOPIC, now_ms=10_000)
    assert 1 == len(await _sent(server))
    await compact.request_due(server, STREAM, TOPIC, now_ms=10_000 + 600_000)
    assert 2 == len(await _sent(server))


async def test_flushing_waits_until_what_had_arrived_has_moved(server: Context) -> None:
    await _fill(server, 1)  # arrived at 1 ms
    flushing = asyncio.create_task(compact.flush(server, HOME, STREAM, TOPIC, now_ms=5))
    while not (sent := await _sent(server)):
        await asyncio.sleep(0.01)
    assert not flushing.done()
    await compact.compact(server, await claim(server, sent[0].id), STREAM, plan)
    await flushing
    assert set() == await waiting(server, row(1))


async def test_flushing_does_not_wait_for_what_came_later(server: Context) -> None:
    await open_inbox(server).append(HOME, rows(1), now_ms=6)
    await compact.flush(server, HOME, STREAM, TOPIC, now_ms=5)
    assert {row(1).key} == await waiting(server, row(1))
    assert [] == await _sent(server)
