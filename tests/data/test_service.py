"""The shelf: what was acknowledged can be listed, read, frozen and staged."""

import asyncio
import uuid
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from tests.core.segments.streams import CountingBlobs
from tests.stages import collect, drawing, imports, work_until, working
from volano.core.blobs import Blobs
from volano.core.context import Context
from volano.core.segments import compact, inbox, merge
from volano.core.segments.parquet import Segments
from volano.data import service, staging, tables
from volano.data.formats import drawings
from volano.data.freezing import PART
from volano.labeling import service as labeling
from volano.schemas.accounts import Who
from volano.schemas.data import (
    EmptySplit,
    NewSnapshot,
    NobodyTests,
    NothingMatches,
    Record,
    RecordFilter,
    Snapshot,
    SplitRule,
    StagedTooLarge,
)
from volano.schemas.errors import Missing

PEOPLE = ["ada", "bob", "eve", "kim", "max", "zoe"]
EVERYTHING = RecordFilter()


async def _shelved(ctx: Context, who: Who) -> list[Record]:
    return (await service.page(ctx, who, EVERYTHING, after="", limit=1000)).items


async def _fill(ctx: Context, boss: Who, *people: str, each: int = 1) -> list[Record]:
    """Drawings of two shapes by each of these people, on the shelf."""
    given = imports(["square", "circle"], list(people), each)
    await collect(ctx, boss, given)

    async def all_there() -> list[Record]:
        found = await _shelved(ctx, boss)
        return found if len(found) == len(given.drawings) else []

    found: list[Record] = await work_until(ctx, all_there)
    return found


async def _freeze(ctx: Context, who: Who, name: str = "first", **facts: object) -> Snapshot:
    new = msgspec.convert({"name": name, **facts}, NewSnapshot)
    async with working(ctx):
        return await service.freeze(ctx, who, new)


async def test_a_record_reads_the_same_before_and_after_it_is_shelved(
    server: Context, boss: Who
) -> None:
    given = imports(["square"], ["ada"])
    await collect(server, boss, given)
    id, sent = given.drawings[0].drawing.id, drawings.encode(given.drawings[0].drawing).payload
    before, payload = await service.payload(server, boss, id)
    assert payload == sent
    assert before.quality is None
    await work_until(server, lambda: _shelved(server, boss))
    after, payload = await service.payload(server, boss, id)
    assert payload == sent
    assert after.quality is not None
    assert msgspec.structs.replace(after, quality=None) == before


async def test_a_shelved_drawing_is_one_ranged_read(server: Context, boss: Who) -> None:
    records = await _fill(server, boss, "ada", "bob")
    counting = CountingBlobs(server.blobs)
    ctx = _reading(server, counting)
    await service.payload(ctx, boss, records[0].id)
    for read in (service.payload, service.content):
        before = len(counting.reads)
        for record in records:
            await read(ctx, boss, record.id)
        assert before + len(records) == len(counting.reads)


@pytest.mark.parametrize("id", ["00000000-0000-7000-8000-000000000000", "no-uuid", "run_1"])
async def test_a_record_that_is_not_there_is_missing(server: Context, boss: Who, id: str) -> None:
    with pytest.raises(Missing):
        await service.record(server, boss, id)


async def test_a_record_of_another_workspace_is_missing(
    server: Context, boss: Who, outsider: Who
) -> None:
    given = imports(["square"], ["ada"])
    await collect(server, boss, given)
    with pytest.raises(Missing):
        await service.payload(server, outsider, given.drawings[0].drawing.id)


async def test_pages_cover_everything_once_in_order(server: Context, boss: Who) -> None:
    await _fill(server, boss, *PEOPLE)
    found, after = [], None
    for _ in range(20):
        page = await service.page(server, boss, EVERYTHING, after=after, limit=5)
        found += [record.id for record in page.items]
        if (after := page.next) is None:
            break
    assert len(found) == 12
    assert sorted(set(found)) == found


FILTERS: list[tuple[dict[str, object], int]] = [
    ({"labels": ["circle"]}, 4),
    ({"labels": ["circle", "square"]}, 8),
    ({"contributors": ["a*"]}, 4),
    ({"contributors": ["ad?", "b_b"]}, 2),
    ({"contributors": ["%"]}, 0),
    ({"origins": ["elsewhere"]}, 8),
    ({"origins": ["nowhere"]}, 0),
    ({"min_quality": 0.0}, 8),
    ({"min_quality": 1.0, "labels": ["none"]}, 0),
    ({"without_flags": ["off-canvas"]}, 8),
    ({"received_before": "2001-01-01T00:00:00Z"}, 0),
]
"""Conditions, and how many of the drawings of two shapes by ada, ann, bob and eve fit them."""


async def test_every_condition_of_a_filter_holds(server: Context, boss: Who) -> None:
    await _fill(server, boss, "ada", "ann", "bob", "eve")
    found = []
    for facts, _ in FILTERS:
        wanted = msgspec.convert(facts, RecordFilter)
        page = await service.page(server, boss, wanted, after="", limit=100)
        found.append((facts, len(page.items)))
    assert found == FILTERS


async def test_everything_stored_of_a_filter_comes_once(server: Context, boss: Who) -> None:
    records = await _fill(server, boss, "ada", "bob")
    wanted = RecordFilter(contributors=["bob"])
    found = [one async for one in service.contents(server, boss, wanted)]
    expected = [record for record in records if record.contributor == "bob"]
    assert [one.record for one in found] == expected
    for one in found:
        assert one.quality is not None
        assert one.record.quality == pytest.approx(one.quality.score)
        assert one == await service.content(server, boss, one.record.id)
        assert (one.record, one.payload) == await service.payload(server, boss, one.record.id)


async def test_an_export_reads_each_row_group_once(server: Context, boss: Who) -> None:
    await _fill(server, boss, "ada", "bob")
    counting = CountingBlobs(server.blobs)
    ctx = _reading(server, counting)
    for _ in range(2):
        before = len(counting.reads)
        assert [one async for one in service.contents(ctx, boss, RecordFilter())]
    assert before + 1 == len(counting.reads)


async def test_a_snapshot_holds_what_was_acknowledged_before_it(server: Context, boss: Who) -> None:
    """Nothing waits on the shelf yet: freezing has it moved first."""
    await collect(server, boss, imports(["square"], PEOPLE))
    snapshot = await _freeze(server, boss)
    assert (snapshot.records, snapshot.contributors, snapshot.labels) == (6, 6, ["square"])
    assert sum(snapshot.by_split.values()) == 6
    assert all(snapshot.by_split.values())


async def test_an_equal_list_has_one_id_under_every_name_it_is_given(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    first = await _freeze(server, boss)
    second = await _freeze(server, boss, "second")
    again = await _freeze(server, boss)
    assert {(first.id, first.hash)} == {(one.id, one.hash) for one in (second, again)}
    assert [second, again] == [
        await service.frozen(server, boss, name) for name in ("second", "first")
    ]
    listed = await service.snapshots(server, boss, after="", limit=9)
    assert [one.name for one in listed.items] == ["first", "second"]


async def test_later_records_another_filter_or_rule_give_another_snapshot(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], PEOPLE))
    first = await _freeze(server, boss)
    squares = await _freeze(server, boss, filter={"labels": ["square"]})
    split = await _freeze(server, boss, split={"test_contributors": ["?o?"]})
    await collect(server, boss, imports(["square"], ["ada"]))
    later = await _freeze(server, boss)
    assert len({one.hash for one in (first, squares, split, later)}) == 4
    assert first == await service.frozen(server, boss, first.id)


async def test_equal_data_has_an_equal_hash_wherever_it_lies(
    server: Context, boss: Who, outsider: Who
) -> None:
    """In another workspace, in another order and in several segments."""
    given = imports(["square", "circle"], PEOPLE)
    parts = (given.drawings[7:], given.drawings[:7])
    await collect(server, boss, given)
    here = await _freeze(server, boss)
    for part in parts:
        await collect(server, outsider, msgspec.structs.replace(given, drawings=list(part)))
        await work_until(server, lambda: _nothing_waits(server, outsider))
    there = await _freeze(server, outsider)
    assert there.hash == here.hash


def _reading(ctx: Context, blobs: Blobs) -> Context:
    """The context of a process that reads segments from these blobs."""
    state = replace(ctx.part(service.State), segments=Segments(blobs))
    return replace(ctx, parts={**ctx.parts, service.State: state})


async def _nothing_waits(ctx: Context, who: Who) -> bool:
    async with ctx.db.read(who.workspace) as tx:
        return (await inbox.row_counts(tx))[service.STREAM][0] == 0


async def test_nobody_is_in_two_splits(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square", "circle"], PEOPLE, each=2))
    snapshot = await _freeze(server, boss, split={"test_contributors": ["eve"]})
    lines = await service.snapshot_records(server, boss, snapshot.id, after=None, limit=1000)
    splits = defaultdict(set)
    for one in lines.items:
        splits[one.contributor].add(one.split)
    assert set(splits) == set(PEOPLE)
    assert [len(of) for of in splits.values()] == [1] * 6
    assert splits["eve"] == {"test"}


async def test_the_lines_of_a_snapshot_come_in_pages(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    id = (await _freeze(server, boss)).id
    whole = await service.snapshot_records(server, boss, id, after=None, limit=6)
    first = await service.snapshot_records(server, boss, id, after=None, limit=4)
    rest = await service.snapshot_records(server, boss, id, after=first.next, limit=4)
    assert (whole.next, rest.next) == (None, None)
    assert whole.items == first.items + rest.items


async def test_a_page_of_a_snapshot_is_one_ranged_read(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    id = (await _freeze(server, boss)).id
    counting = CountingBlobs(server.blobs)
    ctx = _reading(server, counting)
    page = await service.snapshot_records(ctx, boss, id, after=None, limit=2)
    before = len(counting.reads)
    while page.next is not None:
        page = await service.snapshot_records(ctx, boss, id, after=page.next, limit=2)
    assert len(counting.reads) - before == 2
    assert -1 not in counting.reads


async def test_snapshots_are_listed_newest_first_in_pages(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    made = [await _freeze(server, boss, split={"seed": seed}) for seed in range(4)]
    assert len({one.id for one in made}) == 4
    found, after = [], ""
    for _ in range(20):
        page = await service.snapshots(server, boss, after=after, limit=1)
        found += page.items
        if not (after := page.next or ""):
            break
    assert found == made[::-1]


async def test_snapshots_of_one_moment_are_all_listed(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    async with working(server):
        rules = (SplitRule(seed=seed) for seed in range(4))
        made = await asyncio.gather(
            *(service.freeze(server, boss, NewSnapshot(name="n", split=rule)) for rule in rules)
        )
    found, after = set(), ""
    for _ in range(20):
        page = await service.snapshots(server, boss, after=after, limit=1)
        found |= {one.id for one in page.items}
        if not (after := page.next or ""):
            break
    assert found == {one.id for one in made}


async def test_a_name_leads_to_its_newest_snapshot(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    await _freeze(server, boss, split={"seed": 1})
    newest = await _freeze(server, boss, split={"seed": 2})
    assert newest == await service.frozen(server, boss, "first")


async def test_a_filter_that_fits_nothing_cannot_be_frozen(server: Context, boss: Who) -> None:
    with pytest.raises(NothingMatches):
        await _freeze(server, boss)


async def test_patterns_that_nobody_matches_are_named(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], ["ada", "bob", "cyd"]))

    with pytest.raises(NobodyTests, match="matches 'eve', 'f\\*', so nobody would test"):
        await _freeze(server, boss, split={"test_contributors": ["eve", "f*"]})


async def test_the_drawings_of_one_or_two_people_can_be_frozen(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square", "circle"], ["ada"], each=3))
    alone = await _freeze(server, boss)
    assert alone.by_split == {"train": 6, "valid": 0, "test": 0}
    assert alone.contributors == 1
    assert len(alone.warnings) == 2
    await collect(server, boss, imports(["square", "circle"], ["bob"], each=3))
    both = await _freeze(server, boss)
    assert both.by_split == {"train": 6, "valid": 0, "test": 6}
    assert len(both.warnings) == 1
    assert both.warnings[0].startswith("Nothing validates: too few contributors")


async def test_drawings_of_one_label_can_be_frozen_and_say_so(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    snapshot = await _freeze(server, boss)
    assert snapshot.labels == ["square"]
    assert snapshot.warnings == ["All records have one label, 'square': nothing to tell apart."]


async def test_a_label_that_only_tests_is_warned_of_by_name(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square", "circle"], ["ada", "bob", "kim"]))
    await collect(server, boss, imports(["triangle"], ["eve"]))
    snapshot = await _freeze(server, boss, split={"test_contributors": ["eve"]})
    assert snapshot.missing["train"] == ["triangle"]
    assert snapshot.missing["test"] == ["circle", "square"]
    assert snapshot.warnings == ["No model can learn 'triangle': nothing of it trains."]
    assert await service.frozen(server, boss, snapshot.id) == snapshot


async def test_one_persons_drawings_are_divided_by_record_where_asked(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], ["ada"], each=5))
    snapshot = await _freeze(server, boss, split={"by": "record"})
    assert snapshot.by_split == {"train": 7, "valid": 1, "test": 2}
    assert snapshot.split.by == "record"
    lines = await service.snapshot_records(server, boss, snapshot.id, after=None, limit=1000)
    assert Counter(one.split for one in lines.items) == snapshot.by_split


async def test_a_snapshot_without_anybody_who_trains_is_refused_and_the_remedies_work(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], ["ada"], each=2))
    with pytest.raises(EmptySplit) as refused:
        await _freeze(server, boss, split={"test_contributors": ["a*"]})
    assert refused.value.facts == {"split": "train", "contributors": 1}
    by_record = await _freeze(server, boss, split={"by": "record"})
    assert by_record.by_split == {"train": 2, "valid": 1, "test": 1}
    fewer = await _freeze(server, boss, split={"test_contributors": []})
    assert fewer.by_split["train"] == 4
    await collect(server, boss, imports(["square"], ["bob"]))
    more = await _freeze(server, boss, split={"test_contributors": ["a*"]})
    assert more.by_split == {"train": 1, "valid": 0, "test": 4}


async def test_contributors_named_to_test_are_those_that_a_filter_finds(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], ["team[1]", "team1", "ada"]))
    snapshot = await _freeze(server, boss, split={"test_contributors": ["team[1]"]})
    wanted = RecordFilter(contributors=["team[1]"])
    found = await service.page(server, boss, wanted, after="", limit=100)
    lines = await service.snapshot_records(server, boss, snapshot.id, after=None, limit=100)
    assert {one.contributor for one in found.items} == {"team[1]"}
    assert {one.contributor for one in lines.items if one.split == "test"} == {"team[1]"}


async def test_a_large_snapshot_is_made_in_parts_and_its_lines_are_in_order(
    server: Context, boss: Who
) -> None:
    """More lines than one part has, of the index alone: their payloads are nowhere."""
    ids = sorted(str(uuid.UUID(int=n * 2**100 + n)) for n in range(2 * PART + 1))
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    columns = [one.name for one in tables.records.columns if one.name != "workspace"]
    facts = {"kind": "drawing", "device": "pen", "flags": "", "origin": "", "quality": 0.5}
    facts |= {"facts": {"strokes": 1}, "segment": "seg_1", "dataset": "drawings", "split": ""}
    facts |= {"group": "", "synthetic": False, "bytes": 9}
    facts |= dict.fromkeys(["fields", "sha256", "blob"])
    facts |= {"captured_at": moment, "received_at": moment}
    rows = [
        facts
        | {"id": id, "content": b"%032d" % n, "label": f"l{n % 3}", "row": n}
        | {"contributor": f"player {n % 7}"}
        for n, id in enumerate(ids)
    ]
    async with server.db.begin(boss.workspace) as tx:
        await tx.append(tables.records, columns, [[row[name] for name in columns] for row in rows])
    snapshot = await service.freeze(server, boss, NewSnapshot(name="large"))
    assert snapshot.records == len(ids)
    assert snapshot.contributors == 7
    found, after = [], None
    for _ in range(20):
        page = await service.snapshot_records(server, boss, snapshot.id, after=after, limit=1000)
        found += page.items
        if (after := page.next) is None:
            break
    assert [one.id for one in found] == ids
    assert [one.label for one in found] == [row["label"] for row in rows]


async def test_a_snapshot_is_not_there_for_others(
    server: Context, boss: Who, outsider: Who
) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    snapshot = await _freeze(server, boss)
    for name in (snapshot.id, snapshot.name):
        with pytest.raises(Missing):
            await service.frozen(server, outsider, name)
    assert (await service.snapshots(server, outsider, after="", limit=9)).items == []


async def test_the_snapshots_with_a_record_are_found(server: Context, boss: Who) -> None:
    given = imports(["square", "circle"], PEOPLE)
    await collect(server, boss, given)
    both = await _freeze(server, boss)
    squares = await _freeze(server, boss, "squares", filter={"labels": ["square"]})
    by_shape = {one.drawing.shape: one.drawing.id for one in given.drawings}
    found = {
        shape: await service.snapshots_with(server, boss, id, limit=9)
        for shape, id in by_shape.items()
    }
    assert {"square": ([squares, both], 0), "circle": ([both], 0)} == {
        shape: ([snapshot for snapshot, _ in one.snapshots], one.unsearched)
        for shape, one in found.items()
    }
    for shape, id in by_shape.items():
        for snapshot, split in found[shape].snapshots:
            page = await service.snapshot_records(server, boss, snapshot.id, after=None, limit=99)
            assert [split] == [line.split for line in page.items if line.id == id]
    newest = await service.snapshots_with(server, boss, by_shape["square"], limit=1)
    assert ([squares], 1) == ([one for one, _ in newest.snapshots], newest.unsearched)


async def test_a_snapshot_asked_for_by_id_has_its_first_name(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    first, again = [await _freeze(server, boss, name) for name in ("first", "again")]
    assert first.id == again.id
    assert first == await service.frozen(server, boss, first.id)
    assert again == await service.frozen(server, boss, "again")


async def test_a_staged_snapshot_is_what_was_frozen(
    server: Context, boss: Who, tmp_path: Path
) -> None:
    given = imports(["square", "circle"], PEOPLE)
    await collect(server, boss, given)
    snapshot = await _freeze(server, boss)
    await service.stage(server, boss.workspace, snapshot.id, tmp_path)
    told = msgspec.json.decode((tmp_path / "snapshot.json").read_bytes(), type=Snapshot)
    assert told == snapshot
    lines = await service.snapshot_records(server, boss, snapshot.id, after=None, limit=1000)
    for split, count in snapshot.by_split.items():
        rows = pq.read_table(tmp_path / f"{split}.parquet").to_pylist()
        of_it = [one for one in lines.items if one.split == split]
        expected = [(one.id, one.label, one.contributor) for one in of_it]
        found = [(row["record_id"], row["label"], row["contributor"]) for row in rows]
        assert len(rows) == count
        assert sorted(found) == sorted(expected)
        for row in rows:
            _, payload = await service.payload(server, boss, row["record_id"])
            assert row["payload"] == payload


async def test_a_merge_changes_nothing_that_is_read_or_staged(
    server: Context, boss: Who, tmp_path: Path
) -> None:
    apart = replace(server, settings=replace(server.settings, segment_merge_s=3600.0))
    for seed in range(merge.FEWEST):
        await collect(apart, boss, imports(["square"], [PEOPLE[seed % len(PEOPLE)]]))
        await work_until(apart, lambda: _nothing_waits(apart, boss))
    async with working(apart):
        snapshot = await service.freeze(apart, boss, NewSnapshot(name="first"))
    read = {
        one.id: await service.payload(server, boss, one.id) for one in await _shelved(server, boss)
    }
    staged = await _staged(server, boss, snapshot.id, tmp_path / "before")

    async def merged() -> bool:
        async with server.db.read(boss.workspace) as tx:
            return len(await compact.every(tx, service.STREAM)) == 1

    await work_until(server, merged)
    assert {id: await service.payload(server, boss, id) for id in read} == read
    assert await _staged(server, boss, snapshot.id, tmp_path / "after") == staged


async def _staged(ctx: Context, who: Who, id: str, folder: Path) -> list[object]:
    """Every row of every split, in its order."""
    folder.mkdir()
    await service.stage(ctx, who.workspace, id, folder)
    return [pq.read_table(folder / f"{split}.parquet").to_pylist() for split in staging.SPLITS]


async def test_a_snapshot_larger_than_a_run_may_read_is_not_staged(
    server: Context, boss: Who, tmp_path: Path
) -> None:
    await collect(server, boss, imports(["square"], PEOPLE))
    snapshot = await _freeze(server, boss)
    with pytest.raises(StagedTooLarge):
        small = replace(server, settings=replace(server.settings, run_max_data=100))
        await service.stage(small, boss.workspace, snapshot.id, tmp_path)


async def test_a_drawing_that_game_players_send_is_a_record_too(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["square"], ["ada"]))
    sent = drawing("square")
    await labeling.submit(server, boss, sent)
    record = await service.record(server, boss, sent.id)
    assert record.origin == ""
    assert record.contributor == boss.contributor
    assert record.device == "mouse"
    assert record.facts["points"] == 25
