"""Small segments become one: every row is where its segment's id and number, or its key, say."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.segments.streams import (
    HOME,
    STREAM,
    open_inbox,
    plan,
    read,
    row,
    rows,
    segments_of,
    shelve,
    stored_rows,
)
from tests.stages import claimed
from volano.core.blobs import references
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Tx
from volano.core.jobs import Job, fair
from volano.core.jobs.lease import Lease, give_back
from volano.core.jobs.ledger import DEFAULT
from volano.core.jobs.tables import QUEUED, in_state, jobs
from volano.core.segments import compact, merge
from volano.core.segments.compact import Segment
from volano.core.segments.inbox import Row, row_counts
from volano.core.segments.merge import FEWEST, MOST, Stream, window
from volano.core.segments.parquet import Segments
from volano.schemas.jobs import LeaseLost

BY_PLACE = Stream(STREAM, "things.compact")
BY_KEY = Stream(STREAM, "things.compact", key="id")

Where = dict[str, tuple[str, int]]
"""Segment and number of a row, by its key: what other tables keep."""


async def _job(ctx: Context, worker: str = "wrk_test") -> Job:
    return await claimed(ctx, HOME, merge.MERGE, {"stream": STREAM}, worker)


async def _given(ctx: Context, worker: str) -> Job:
    """A job, whichever is next."""
    async with ctx.db.begin(HOME) as tx:
        await ctx.jobs.send(tx, merge.MERGE, {"stream": STREAM})
    while True:
        async with ctx.db.begin(EVERYWHERE) as tx:
            for taken in await fair.claim(tx, worker, [DEFAULT], 1, 60_000):
                return Job(Lease.of(taken, worker), taken.topic, taken.payload)


async def _cut(ctx: Context, where: Where, *numbers: int) -> None:
    """One segment of these rows, in this order."""

    def noted(of: Sequence[Row], found: Sequence[bytes]) -> tuple[object, compact.Shelve]:
        async def shelve(tx: Tx, segment: compact.Segment) -> None:
            where.update({one.key: (segment.id, at) for at, one in enumerate(of)})

        return plan(of, found)[0], shelve

    things = open_inbox(ctx)
    for at, number in enumerate(numbers):
        await things.append(HOME, [row(number)], now_ms=1000 * numbers[0] + at)
    await compact.compact(ctx, await _job(ctx), STREAM, read, noted)  # type: ignore[arg-type] # a table


async def _cuts(ctx: Context, count: int, each: int = 3) -> Where:
    where: Where = {}
    for start in range(0, count * each, each):
        await _cut(ctx, where, *range(start, start + each)[::-1])
    return where


async def _read(ctx: Context, where: Where) -> dict[str, bytes]:
    """What stands where, by key."""
    async with ctx.db.read(HOME) as tx:
        places = await compact.places(tx, sorted({segment for segment, _ in where.values()}))
    reader, found = Segments(ctx.blobs), {}
    for key, (segment, number) in where.items():
        place = replace(places[segment], row=places[segment].row + number)
        found[key] = await reader.value(HOME, place, "payload")
    return found


def _payloads(*numbers: int) -> dict[str, bytes]:
    return {one.key: one.payload for one in rows(*numbers)}


async def test_merged_rows_are_found_by_the_ids_and_numbers_they_had(server: Context) -> None:
    where = await _cuts(server, FEWEST)
    before = await segments_of(server)
    assert await merge.merge(server, await _job(server), BY_PLACE) == FEWEST
    (whole,) = await segments_of(server)
    assert whole.rows == 3 * FEWEST
    assert whole.first_key == before[0].first_key
    assert whole.last_key == before[-1].last_key
    assert whole.created_ms == before[-1].created_ms
    assert whole.unpacked_size == sum(one.unpacked_size for one in before)
    assert await _read(server, where) == _payloads(*range(3 * FEWEST))


async def test_what_was_merged_may_be_merged_again(server: Context) -> None:
    few = replace(server, settings=replace(server.settings, segment_rows=FEWEST))
    where = await _cuts(few, FEWEST**2, each=1)
    for _ in range(FEWEST):
        await merge.merge(few, await _job(few), BY_PLACE)
    assert [one.rows for one in await segments_of(server)] == [FEWEST] * FEWEST
    assert await merge.merge(server, await _job(server), BY_PLACE) == FEWEST
    assert [one.rows for one in await segments_of(server)] == [FEWEST**2]
    assert _payloads(*range(FEWEST**2)) == await _read(server, where)


async def test_rows_that_are_found_by_key_are_sorted_by_it(server: Context) -> None:
    where = await _cuts(server, FEWEST)
    await merge.merge(server, await _job(server), BY_KEY)
    (whole,) = await segments_of(server)
    async with server.db.read(HOME) as tx:
        assert await compact.places(tx, [segment for segment, _ in where.values()]) == {}
        for number in range(3 * FEWEST):
            assert [whole] == await compact.holding(tx, STREAM, row(number).key)
    ids = [
        id
        async for batch in Segments(server.blobs).batches(HOME, whole.blob, ["id"])
        for id in batch["id"].to_pylist()
    ]
    assert [one.key for one in rows(*range(3 * FEWEST))] == ids


async def test_few_segments_stay_as_they_are(server: Context) -> None:
    await _cuts(server, FEWEST - 1)
    before = await segments_of(server)
    assert await merge.request_due(server, BY_PLACE) == 0
    assert await merge.merge(server, await _job(server), BY_PLACE) == 0
    assert await segments_of(server) == before


async def test_merges_are_asked_for_where_they_are_due_and_one_at_a_time(server: Context) -> None:
    await _cuts(server, FEWEST)
    assert [await merge.request_due(server, BY_PLACE) for _ in range(2)] == [1, 1]
    async with server.db.read(HOME) as tx:
        query = tx.select(jobs.c.payload).where(jobs.c.topic == merge.MERGE, in_state(QUEUED))
        assert [job.payload for job in await tx.all(query)] == [{"stream": STREAM}]


async def test_two_workers_at_once_merge_every_row_once(
    server: Context, other_process: Context
) -> None:
    where = await _cuts(server, FEWEST)
    workers = [(server, await _job(server, "wrk_a")), (other_process, await _job(server, "wrk_b"))]
    outcomes = await asyncio.gather(
        *(merge.merge(ctx, job, BY_PLACE) for ctx, job in workers), return_exceptions=True
    )
    lost = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, merge.SegmentsMerged) for one in lost)
    assert sum(one for one in outcomes if isinstance(one, int)) == FEWEST
    assert await stored_rows(server) == 3 * FEWEST
    assert _payloads(*range(3 * FEWEST)) == await _read(server, where)


async def test_a_worker_that_lost_its_lease_leaves_an_orphan_and_nothing_else(
    server: Context,
) -> None:
    """As does one that is killed between the blob and the transaction."""
    where, job = await _cuts(server, FEWEST), await _job(server)
    before = await segments_of(server)
    async with server.db.begin(HOME) as tx:
        await give_back(tx, job.lease)
    with pytest.raises(LeaseLost):
        await merge.merge(server, job, BY_PLACE)
    assert await segments_of(server) == before
    assert _payloads(*range(3 * FEWEST)) == await _read(server, where)
    orphans = await _blobs(server) - {one.blob for one in before}
    await merge.merge(server, await _given(server, "wrk_b"), BY_PLACE)
    # The second try writes the same bytes, so the orphan has become the segment.
    assert orphans == {one.blob for one in await segments_of(server)}


async def test_who_has_the_name_of_a_merged_blob_reads_on(server: Context) -> None:
    where = await _cuts(server, FEWEST)
    async with server.db.read(HOME) as tx:
        places = await compact.places(tx, [segment for segment, _ in where.values()])
    await merge.merge(server, await _job(server), BY_PLACE)
    reader = Segments(server.blobs)
    for key, (segment, number) in where.items():
        place = replace(places[segment], row=number)
        assert _payloads(*range(3 * FEWEST))[key] == await reader.value(HOME, place, "payload")


async def test_a_merge_refers_to_the_new_blob_and_no_longer_to_the_old_ones(
    server: Context,
) -> None:
    await _cuts(server, FEWEST)
    old = [one.blob for one in await segments_of(server)]
    async with server.db.read(HOME) as tx:
        assert await references.referred(tx, after="", limit=99) == sorted(old)
    await merge.merge(server, await _job(server), BY_PLACE)
    (whole,) = await segments_of(server)
    async with server.db.read(HOME) as tx:
        assert await references.referred(tx, after="", limit=99) == [whole.blob]


async def test_a_segment_that_is_not_as_long_as_the_index_says_is_not_merged(
    server: Context,
) -> None:
    """The numbers of all rows after it would lead elsewhere."""
    await _cuts(server, FEWEST)
    before = await segments_of(server)
    async with server.db.begin(HOME) as tx:
        table = merge.segments
        await tx.run(tx.update(table).where(table.c.id == before[2].id).values(rows=4))
    with pytest.raises(merge.SegmentDiffers, match="holds 3 rows, not the 4"):
        await merge.merge(server, await _job(server), BY_PLACE)
    assert [one.id for one in before] == [one.id for one in await segments_of(server)]


@pytest.mark.parametrize("seed", range(3))
async def test_no_row_is_lost_or_doubled_whatever_happens_at_once(
    server: Context, other_process: Context, seed: int
) -> None:
    """Two processes append, some rows twice, some bad, by clocks that differ; compact and merge."""
    rng = random.Random(seed)
    where: Where = {}

    def shelved(of: Sequence[Row], found: Sequence[bytes]) -> tuple[object, compact.Shelve]:
        async def note(tx: Tx, segment: compact.Segment) -> None:
            doubled = where.keys() & {one.key for one in of}
            assert not doubled
            where.update({one.key: (segment.id, at) for at, one in enumerate(of)})
            await shelve(tx, *of)

        return plan(of, found)[0], note

    async def act(ctx: Context, worker: str) -> None:
        things = open_inbox(ctx)
        for _ in range(40):
            numbers = [rng.randrange(60) for _ in range(rng.randrange(1, 4))]
            sent = [row(n, b"bad %d" % n if n % 7 == 0 else None) for n in numbers]
            await things.append(HOME, sent, now_ms=rng.choice([1, 5, 5, 10_000]))
            work = rng.choice([compact.compact, compact.compact, merge.merge])
            job = await _given(ctx, worker)
            try:
                if work is merge.merge:
                    await merge.merge(ctx, job, BY_PLACE)
                else:
                    await compact.compact(ctx, job, STREAM, read, shelved)  # type: ignore[arg-type]
            except (compact.RowsMoved, merge.SegmentsMerged):
                pass

    await asyncio.gather(act(server, "wrk_a"), act(other_process, "wrk_b"))
    await compact.compact(server, await _given(server, "wrk_a"), STREAM, read, shelved)  # type: ignore[arg-type]
    expected = {key: one for key, one in _payloads(*range(60)).items() if key in where}
    assert await stored_rows(server) == len(where)
    assert await _read(server, where) == expected
    bad = {row(n).key for n in range(0, 60, 7)}
    assert where.keys() & bad == set()
    async with server.db.read(HOME) as tx:
        counts = (await row_counts(tx))[STREAM]
    assert counts.waiting == 0
    assert 0 < counts.quarantined <= len(bad)
    assert counts.total == len(where) + counts.quarantined


async def _blobs(ctx: Context) -> set[str]:
    return {stored.id async for stored in ctx.blobs.list(HOME)}


SEGMENTS = st.lists(
    st.builds(
        Segment,
        id=st.just("seg"),
        blob=st.just("b3_"),
        size=st.just(1),
        unpacked_size=st.integers(1, 600),
        rows=st.integers(1, 60),
        first_key=st.just(""),
        last_key=st.just(""),
        created_ms=st.just(0),
    ),
    max_size=40,
)


@given(SEGMENTS)
def test_a_window_is_worth_its_merge(found: list[Segment]) -> None:
    chosen = window(found, rows=100, size=1000)
    if chosen:
        assert any(found[n : n + len(chosen)] == chosen for n in range(len(found)))
        held = [one.rows for one in chosen]
        assert FEWEST <= len(chosen) <= MOST
        assert sum(held) <= 100
        assert sum(one.unpacked_size for one in chosen) <= 1000
        assert 2 * max(held) <= sum(held)


async def test_a_merge_takes_no_more_than_the_bytes_that_a_segment_may_have(
    server: Context,
) -> None:
    """Zeros pack well: the blobs are small, and what they unpack to is not."""
    settings = replace(server.settings, segment_bytes=10 * 2**20)
    ctx, things = replace(server, settings=settings), open_inbox(server)
    for number in range(16):
        await things.append(HOME, [row(number, bytes(2**20))], now_ms=number)
        await compact.compact(ctx, await _job(ctx), STREAM, read, plan)
    assert sum(one.size for one in await segments_of(ctx)) < 2**20

    assert await merge.request_due(ctx, BY_PLACE) == 1
    merged = await merge.merge(ctx, await _given(ctx, "wrk_a"), BY_PLACE)

    whole, *others = await segments_of(ctx)
    assert merged == 9
    assert 9 * 2**20 < whole.unpacked_size <= settings.segment_bytes
    assert [one.rows for one in others] == [1] * 7


async def test_segments_of_many_bytes_are_not_small_however_few_rows_they_have(
    server: Context,
) -> None:
    for number in range(FEWEST):
        await _cut(server, {}, 10 + number)
    (each,) = {one.unpacked_size for one in await segments_of(server)}
    for size, asked_for in ((2 * each - 1, 0), (FEWEST * each - 1, 0), (FEWEST * each, 1)):
        ctx = replace(server, settings=replace(server.settings, segment_bytes=size))
        assert await merge.request_due(ctx, BY_PLACE) == asked_for


def _like(*rows: int) -> list[Segment]:
    """Segments of so many rows, each row of 10 bytes."""
    return [Segment(str(n), "b3_", 1, 10 * held, held, "", "", n) for n, held in enumerate(rows)]


@pytest.mark.parametrize(
    ("found", "limits", "count"),
    [
        (_like(*[1] * 7), {}, 0),
        (_like(*[1] * 8), {}, 8),
        (_like(*[1] * 300), {}, 256),
        (_like(*[1] * 8), {"rows": 8}, 8),
        (_like(*[1] * 8), {"rows": 7}, 0),
        (_like(*[1] * 9), {"rows": 8}, 8),
        (_like(*[1] * 8), {"size": 80}, 8),
        (_like(*[1] * 8), {"size": 79}, 0),
        (_like(7, *[1] * 7), {}, 8),
        (_like(8, *[1] * 7), {}, 0),
        (_like(8, *[1] * 8), {}, 9),
    ],
)
def test_a_window_is_chosen_to_the_very_row_and_byte(
    found: list[Segment], limits: dict[str, int], count: int
) -> None:
    chosen = window(found, **{"rows": 10_000, "size": 10**6} | limits)
    assert len(chosen) == count
    assert chosen == found[:count]


def test_a_quiet_day_ends_in_few_segments_and_few_rewrites() -> None:
    """17,280 drawings, each a segment of its own, with a look every minute."""
    found: list[Segment] = []
    written = 0
    for number in range(17_280):
        found.append(Segment(str(number), "b3_", 6000, 1000, 1, "", "", number))
        while number % 12 == 0 and (chosen := window(found, rows=50_000, size=64 * 2**20)):
            at = found.index(chosen[0])
            held = sum(one.rows for one in chosen)
            found[at : at + len(chosen)] = [
                replace(chosen[0], rows=held, unpacked_size=1000 * held)
            ]
            written += held
    assert sum(one.rows for one in found) == 17_280
    assert len(found) <= 40
    assert written <= 6 * 17_280
