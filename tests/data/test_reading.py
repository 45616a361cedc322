"""Finding and counting records: by whatever way they are found, they are those that fit."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volano.core.db import Database
from volano.data import ingest, patterns, store
from volano.data.reading import BOUNDS, Bounds
from volano.data.tables import (
    record_buckets,
    record_contributors,
    record_datasets,
    record_groups,
    records,
)
from volano.schemas.data import RecordFilter

WORKSPACE = "ws_0000000000000000000000000000000a"
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LABELS = ["circle", "square", "star"]
PEOPLE = ["ada", "ada b", "bob", "team[1]", "team1", "Zoë", "p_1", "p%1", "pa1", "李"]
FLAGS = [[], ["off-canvas"], ["off-canvas", "time-normalised"], ["canvas"]]
QUALITIES = [None, 0.0, 0.29, 0.57, 0.5700000000000001, 0.9989999999999999, 0.999, 1.0]


def made(count: int) -> list[dict[str, Any]]:
    """Rows of the index by id, of all kinds."""
    rng = random.Random(count)
    rows = [
        {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "content": b"%032d" % n,
            "dataset": rng.choice(["drawings", "drawings", "pilots"]),
            "kind": "drawing",
            "label": rng.choice(LABELS),
            "split": rng.choice(["", "", "train"]),
            "group": "",
            "synthetic": rng.random() < 0.1,
            "contributor": rng.choice(PEOPLE),
            "origin": rng.choice(["", "", "", "omniglot", "pilot"]),
            "device": "pen",
            "quality": rng.choice([*QUALITIES, rng.random()]),
            "flags": ingest.flags_text(rng.choice(FLAGS)),
            "facts": {"strokes": 1, "points": 2, "duration_ms": 1.0},
            "fields": None,
            "bytes": 400,
            "sha256": None,
            "blob": None,
            "captured_at": BEGAN,
            "received_at": BEGAN + timedelta(milliseconds=n * 500),
            "segment": "seg_1",
            "row": n,
        }
        for n in range(count)
    ]
    return sorted(rows, key=lambda row: row["id"])


ROWS = made(400)


@pytest.fixture
async def shelf(db: Database) -> Database:
    """A database with ROWS on the shelf of a workspace, put there in two goes, and others'."""
    for some in (ROWS[::2], ROWS[1::2]):
        async with db.begin(WORKSPACE) as tx:
            await store.add_records(tx, some)
    async with db.begin("elsewhere") as tx:
        await store.add_records(tx, ROWS[:50])
    return db


def fits(row: dict[str, Any], wanted: RecordFilter) -> bool:
    """Return whether a row fits, as the words of the filter say."""
    flags = ingest.flags_list(row["flags"])
    least, before = wanted.min_quality, wanted.received_before
    return (
        (not wanted.datasets or row["dataset"] in wanted.datasets)
        and (not wanted.kinds or row["kind"] in wanted.kinds)
        and (not wanted.labels or row["label"] in wanted.labels)
        and (not wanted.splits or row["split"] in wanted.splits)
        and (wanted.synthetic is None or row["synthetic"] == wanted.synthetic)
        and (not wanted.origins or row["origin"] in wanted.origins)
        and (not wanted.contributors or patterns.matches(row["contributor"], wanted.contributors))
        and not set(flags) & set(wanted.without_flags)
        and (least is None or (row["quality"] is not None and row["quality"] >= least))
        and (before is None or row["received_at"] < before)
    )


def some_of(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


_MOMENTS = st.integers(-1, 401 * 500).map(lambda ms: BEGAN + timedelta(milliseconds=ms))
_QUALITIES = st.sampled_from([q for q in QUALITIES if q is not None]) | st.floats(0, 1)
_FILTERS = st.builds(
    RecordFilter,
    datasets=some_of(["drawings", "pilots", "none"]),
    kinds=some_of(["drawing", "image"]),
    splits=some_of(["", "train", "test"]),
    synthetic=st.none() | st.booleans(),
    labels=some_of([*LABELS, "none"]),
    origins=some_of(["", "omniglot", "pilot", "nowhere"]),
    contributors=some_of(
        ["ada", "ada*", "*1", "team[1]", "p_?", "p%1", "nobody*", "*", "?oë", "李"]
    ),
    without_flags=some_of(["off-canvas", "time-normalised", "canvas", "off_canvas", "none"]),
    min_quality=st.none() | _QUALITIES,
    received_before=st.none() | _MOMENTS,
)


async def found(
    db: Database, wanted: RecordFilter, limit: int, bounds: Bounds = BOUNDS
) -> list[str]:
    """List the ids of the records that fit, page by page."""
    ids: list[str] = []
    after: str | None = None
    for _ in range(1000):
        async with db.read(WORKSPACE) as tx:
            reading = await store.reading(tx, wanted, bounds)
            rows, after = await store.page(tx, reading, after=after, limit=limit)
        assert len(rows) <= limit
        ids += [row.id for row in rows]
        if after is None:
            return ids
    raise AssertionError("the pages have no end")


_SHELVED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
_LIMITS = st.sampled_from([23, 100, 1000])


@_SHELVED
@given(_FILTERS, _LIMITS)
async def test_the_pages_of_a_filter_have_each_record_that_fits_once_by_id(
    shelf: Database, wanted: RecordFilter, limit: int
) -> None:
    expected = [row["id"] for row in ROWS if fits(row, wanted)]
    assert await found(shelf, wanted, limit) == expected


@_SHELVED
@given(_FILTERS)
async def test_a_count_is_the_length_of_the_listing(shelf: Database, wanted: RecordFilter) -> None:
    async with shelf.read(WORKSPACE) as tx:
        counted = await store.count(tx, wanted)
    assert counted.exact
    assert counted.records == sum(fits(row, wanted) for row in ROWS)


_NARROW = st.builds(
    Bounds,
    walked=st.sampled_from([19, 40, 150]),
    taken=st.sampled_from([0, 30, 1000]),
    names=st.integers(0, 3),
    counted=st.sampled_from([0, 3, 40]),
)


@_SHELVED
@given(_FILTERS, _NARROW, _LIMITS)
async def test_bounds_that_are_met_cost_pages_and_no_record(
    shelf: Database, wanted: RecordFilter, bounds: Bounds, limit: int
) -> None:
    """A page then ends before it is full, and a count says "at least"."""
    expected = [row["id"] for row in ROWS if fits(row, wanted)]
    assert await found(shelf, wanted, limit, bounds) == expected
    async with shelf.read(WORKSPACE) as tx:
        counted = await store.count(tx, wanted, bounds)
    if counted.exact:
        assert counted.records == len(expected)
    else:
        assert counted.records <= len(expected)


@pytest.mark.parametrize(
    ("wanted", "walked"),
    [
        (RecordFilter(), True),
        (RecordFilter(labels=["circle"]), True),
        (RecordFilter(labels=["circle", "star"]), False),
        (RecordFilter(contributors=["ada*"]), False),
        (RecordFilter(min_quality=0.5), False),
        (RecordFilter(without_flags=["canvas"]), True),
    ],
)
async def test_records_of_one_name_are_walked_and_few_of_several_taken_whole(
    shelf: Database, wanted: RecordFilter, walked: bool
) -> None:
    async with shelf.read(WORKSPACE) as tx:
        reading = await store.reading(tx, wanted)
    assert reading.walked == walked
    assert not reading.is_empty


async def test_a_filter_that_nothing_can_fit_is_answered_by_the_counters(shelf: Database) -> None:
    nothing = [
        RecordFilter(labels=["none"]),
        RecordFilter(contributors=["nobody*"]),
        RecordFilter(labels=["circle"], origins=["nowhere"]),
        RecordFilter(received_before=BEGAN - timedelta(days=1)),
    ]
    async with shelf.read(WORKSPACE) as tx:
        assert [(await store.reading(tx, wanted)).is_empty for wanted in nothing] == [True] * 4


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (BEGAN, 0),
        (BEGAN + timedelta(microseconds=1), 1),
        (BEGAN + timedelta(milliseconds=1), 1),
        (BEGAN + timedelta(milliseconds=500), 1),
        (BEGAN + timedelta(milliseconds=500, microseconds=1), 2),
        (BEGAN + timedelta(minutes=1), 120),
        (BEGAN + timedelta(minutes=1, microseconds=1), 121),
        (BEGAN + timedelta(milliseconds=399 * 500), 399),
        (BEGAN + timedelta(milliseconds=399 * 500 + 1), 400),
    ],
)
async def test_received_before_is_exact_to_the_moment(
    shelf: Database, moment: datetime, expected: int
) -> None:
    """A record is received at the beginning of a millisecond."""
    wanted = RecordFilter(received_before=moment)
    assert len(await found(shelf, wanted, 1000)) == expected
    async with shelf.read(WORKSPACE) as tx:
        assert (await store.count(tx, wanted)).records == expected


@pytest.mark.parametrize("least", [q for q in QUALITIES if q is not None])
async def test_a_record_of_exactly_the_least_quality_fits(shelf: Database, least: float) -> None:
    wanted = RecordFilter(min_quality=least)
    expected = [row for row in ROWS if row["quality"] is not None and row["quality"] >= least]
    ids = await found(shelf, wanted, 1000)
    assert ids == [row["id"] for row in expected]
    assert least in {row["quality"] for row in ROWS if row["id"] in ids}
    async with shelf.read(WORKSPACE) as tx:
        assert (await store.count(tx, wanted)).records == len(expected)


async def test_the_counters_are_those_of_the_records(shelf: Database) -> None:
    async with shelf.read(WORKSPACE) as tx:
        assert await store.recount(tx, repair=False) == []


async def test_counters_that_are_wrong_are_found_and_put_right(shelf: Database) -> None:
    async with shelf.begin(WORKSPACE) as tx:
        await tx.run(
            tx.delete(record_contributors).where(record_contributors.c.contributor == "ada")
        )
        more = record_buckets.c.records + 2
        await tx.run(tx.update(record_buckets).values(records=more))
        await tx.run(tx.delete(records).where(records.c.label == "star"))
    names = [
        record_groups.name,
        record_datasets.name,
        record_contributors.name,
        record_buckets.name,
    ]
    async with shelf.read(WORKSPACE) as tx:
        assert await store.recount(tx, repair=False) == names
    async with shelf.begin(WORKSPACE) as tx:
        assert await store.recount(tx, repair=True) == names
    async with shelf.read(WORKSPACE) as tx:
        assert await store.recount(tx, repair=False) == []
        assert (await store.count(tx, RecordFilter(labels=["star"]))).records == 0
        left = sum(row["contributor"] == "ada" and row["label"] != "star" for row in ROWS)
        assert (await store.count(tx, RecordFilter(contributors=["ada"]))).records == left
    async with shelf.read("elsewhere") as tx:
        assert await store.recount(tx, repair=False) == []
