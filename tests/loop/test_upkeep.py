"""Blobs that nothing refers to are deleted, all others stay; damage is found and told."""

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.registry.versions import begun, registered
from tests.stages import collect, imports, until, work_until, working
from volano import app
from volano.accounts import service as accounts
from volano.core.blobs import references
from volano.core.blobs.address import key
from volano.core.blobs.tables import blobs
from volano.core.context import Context
from volano.core.db import EVERYWHERE
from volano.core.jobs.ledger import clock
from volano.core.jobs.tables import jobs, queues
from volano.core.segments import compact, inbox, merge
from volano.core.settings import Settings
from volano.data import service as data
from volano.data.tables import record_groups
from volano.loop import upkeep
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.blobs import Orphans
from volano.schemas.data import NewSnapshot, RecordFilter, Snapshot

PEOPLE = ["ada", "bob", "eve", "kim"]
NONE = Orphans(blobs=0, bytes=0)


@pytest.fixture
def late(server: Context) -> Context:
    """The server when everything that is there is old enough to go."""
    return replace(server, settings=replace(server.settings, blob_grace_s=-60.0))


async def _blobs(ctx: Context, who: Who) -> set[str]:
    return {one.id async for one in ctx.blobs.list(who.workspace)}


async def _frozen(ctx: Context, who: Who) -> Snapshot:
    await collect(ctx, who, imports(["square", "circle"], PEOPLE))
    async with working(ctx):
        return await data.freeze(ctx, who, NewSnapshot(name="first"))


async def test_an_orphan_is_counted_then_deleted_and_nothing_else(
    server: Context, late: Context, boss: Who
) -> None:
    snapshot = await _frozen(server, boss)
    made = await registered(server, boss, {"model.onnx": b"graph", "more": b"more"})
    run = await begun(server, boss)
    log = await server.blobs.put(boss.workspace, b"what it printed")
    async with server.db.begin(boss.workspace) as tx:
        await registry.end_run(tx, run.id, log=log)
    kept = await _blobs(server, boss)
    orphan = await server.blobs.put(boss.workspace, b"left by a crash")
    expected = Orphans(blobs=1, bytes=len(b"left by a crash"))
    assert await upkeep.sweep(late, boss.workspace, dry_run=True) == expected
    assert await _blobs(server, boss) == kept | {orphan}
    assert await upkeep.sweep(late, boss.workspace) == expected
    assert await _blobs(server, boss) == kept
    assert await registry.run_log(server, boss, run.id) == b"what it printed"
    assert await upkeep.sweep(late, boss.workspace) == NONE
    assert await registry.file(server, boss, made.id, "model.onnx") == b"graph"
    assert snapshot.records == len(
        (await data.snapshot_records(server, boss, snapshot.id, after=None, limit=99)).items
    )


async def test_what_was_put_lately_stays(server: Context, boss: Who) -> None:
    """It may be that its transaction has only just begun."""
    young = await server.blobs.put(boss.workspace, b"in a moment it is referred to")
    assert await upkeep.sweep(server, boss.workspace) == NONE
    assert await _blobs(server, boss) == {young}


@pytest.mark.parametrize(("grace_s", "deleted"), [(60.0, 0), (29.0, 1)])
async def test_what_has_been_an_orphan_for_30_s_goes_after_a_grace_of_29_s_and_not_of_60(
    sqlite_url: str, tmp_path: Path, grace_s: float, deleted: int
) -> None:
    settings = Settings(home=str(tmp_path / "home"), db=sqlite_url, blob_grace_s=grace_s)
    async with app.open_context(settings) as ctx:
        await accounts.bootstrap(ctx, "home")
        (workspace,) = await accounts.workspaces(ctx)
        orphan = await ctx.blobs.put(workspace, b"merged, and gone from the index")
        async with ctx.db.begin(workspace) as tx:
            await references.add(tx, orphan)
            since = round((time.time() - 30) * 1000)
            await tx.run(tx.update(blobs).values(unreferenced_at=since))
        (file,) = (path for path in Path(settings.home_path).rglob(orphan[5:]))
        os.utime(file, (time.time() - 300, time.time() - 300))
        assert (await upkeep.sweep(ctx, workspace, dry_run=True)).blobs == deleted
        assert (await upkeep.sweep(ctx, workspace)).blobs == deleted
        assert len([one async for one in ctx.blobs.list(workspace)]) == 1 - deleted


async def test_blobs_of_merged_segments_go_when_nobody_can_be_reading_them(
    server: Context, late: Context, boss: Who
) -> None:
    apart = replace(server, settings=replace(server.settings, segment_merge_s=3600.0))
    for number in range(merge.FEWEST):
        await collect(apart, boss, imports(["square"], [PEOPLE[number % 4]]))

        async def moved() -> bool:
            async with server.db.read(boss.workspace) as tx:
                return (await inbox.row_counts(tx))[data.STREAM][0] == 0

        await work_until(apart, moved)
    before = await _blobs(server, boss)

    async def merged() -> bool:
        async with server.db.read(boss.workspace) as tx:
            return len(await compact.every(tx)) == 1

    await work_until(server, merged)
    assert before < await _blobs(server, boss)
    assert await upkeep.sweep(server, boss.workspace) == NONE
    assert (await upkeep.sweep(late, boss.workspace)).blobs == merge.FEWEST
    assert len(await _blobs(server, boss)) == 1
    for record in (await data.page(server, boss, RecordFilter(), after=None, limit=99)).items:
        assert (await data.payload(server, boss, record.id))[1]


async def test_a_sweep_of_one_workspace_leaves_the_others(
    server: Context, late: Context, boss: Who, outsider: Who
) -> None:
    other = await server.blobs.put(outsider.workspace, b"left by a crash")
    await server.blobs.put(boss.workspace, b"left by a crash")
    assert (await upkeep.sweep(late, boss.workspace)).blobs == 1
    assert await _blobs(server, outsider) == {other}


async def test_no_blob_is_lost_to_a_sweep_that_runs_beside_everything(
    server: Context, boss: Who
) -> None:
    """With the shortest grace that still is longer than any write here takes."""
    eager = replace(server, settings=replace(server.settings, blob_grace_s=20.0))
    stop = asyncio.Event()

    async def sweep() -> None:
        while not stop.is_set():
            await upkeep.sweep(eager, boss.workspace)

    sweeping = asyncio.create_task(sweep())
    snapshot = await _frozen(server, boss)
    stop.set()
    await sweeping
    found = await upkeep.examine(server)
    assert found.unreadable == []
    assert snapshot.records == 8


async def test_a_worker_sweeps_once_in_a_while(server: Context, boss: Who, outsider: Who) -> None:
    assert await upkeep.request_sweep(server) == 2
    assert await upkeep.request_sweep(server) == 2
    async with server.db.read(EVERYWHERE) as tx:
        asked = sa.select(jobs.c.workspace, jobs.c.state).where(jobs.c.topic == upkeep.SWEEP)
        assert len(await tx.all(asked)) == 2

    async def done() -> bool:
        async with server.db.read(EVERYWHERE) as tx:
            return {row.state for row in await tx.all(asked)} == {"done"}

    async with working(server):
        await until(done)


async def test_a_sweep_is_asked_for_once_in_each_time_of_grace(server: Context, boss: Who) -> None:
    async with server.db.read(EVERYWHERE) as tx:
        now_s = (await clock(tx)).timestamp()
    about_a_minute = now_s / (round(now_s / 60) + 0.5)  # now is in the middle of a turn
    settings = replace(server.settings, blob_grace_s=about_a_minute)
    for _ in range(40):
        await upkeep.request_sweep(replace(server, settings=settings))
    async with server.db.read(EVERYWHERE) as tx:
        asked = await tx.all(sa.select(jobs.c.id).where(jobs.c.topic == upkeep.SWEEP))
    assert len(asked) == 1


async def test_a_sound_server_is_healthy(server: Context, boss: Who) -> None:
    await _frozen(server, boss)
    found = await upkeep.examine(server)
    assert found.healthy
    assert not found.fixed
    assert found.database == []
    assert found.unreadable == []
    assert found.unknown == []
    assert found.dead == {}
    assert found.miscounted == []
    assert found.orphans == NONE


async def test_damage_is_found_and_told(server: Context, boss: Who) -> None:
    await _frozen(server, boss)
    async with server.db.begin(boss.workspace) as tx:
        (segment,) = await compact.every(tx)
        job = await server.jobs.send(tx, "no.such.topic", {})
        dead = {"state": "dead", "signature": "s1", "failure": {"message": "gone"}}
        await tx.run(tx.update(jobs).where(jobs.c.id == job).values(dead))
    await server.blobs.delete(boss.workspace, segment.blob)
    found = await upkeep.examine(server)
    assert not found.healthy
    (line,) = found.unreadable
    assert line.startswith(f"{boss.workspace}/segments {segment.id}: There is no blob")
    assert [one.topic for one in found.dead[boss.workspace]] == ["no.such.topic"]
    assert found.miscounted == [f"{boss.workspace}/default"]


async def test_counters_of_records_that_are_wrong_are_told_and_set_right(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square"], ["ada", "bob"]))
    everything = RecordFilter()

    async def all_there() -> bool:
        return (await data.count(server, boss, everything)).records == 2

    await work_until(server, all_there)
    async with server.db.begin(boss.workspace) as tx:
        table = record_groups
        await tx.run(tx.update(table).values(records=table.c.records + 5))
    assert (await upkeep.examine(server)).miscounted == [f"{boss.workspace}/record_groups"]
    await upkeep.examine(server, fix=True)
    assert (await upkeep.examine(server)).miscounted == []
    assert await all_there()


async def test_damage_in_one_workspace_does_not_hide_that_in_another(
    server: Context, boss: Who, outsider: Who
) -> None:
    for who in (boss, outsider):
        made = await registered(server, who, {"model.onnx": b"graph"})
        await server.blobs.delete(who.workspace, made.files[0].blob)
    found = await upkeep.examine(server)
    damaged = {line.partition("/")[0] for line in found.unreadable}
    assert damaged == {boss.workspace, outsider.workspace}


async def test_every_blob_that_a_row_names_is_read_and_checked(server: Context, boss: Who) -> None:
    """Also a file of a version, which nobody reads until it is asked for."""
    made = await registered(server, boss, {"model.onnx": b"graph", "more": b"more"})
    (damaged,) = [file.blob for file in made.files if file.name == "more"]
    await server.blobs._backend.put(key(boss.workspace, damaged), b"mors")
    found = await upkeep.examine(server)
    assert not found.healthy
    (line,) = found.unreadable
    assert line.startswith(f"{boss.workspace}/version_files {made.id} more: ")
    assert "is not what was stored" in line


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
async def test_a_blob_that_cannot_be_opened_is_told_like_one_that_is_not_there(
    server: Context, boss: Who
) -> None:
    made = await registered(server, boss, {"model.onnx": b"graph"})
    file = server.settings.home_path / "blobs" / key(boss.workspace, made.files[0].blob)
    file.unlink()
    file.mkdir()
    found = await upkeep.examine(server)
    (line,) = found.unreadable
    assert line.startswith(f"{boss.workspace}/version_files {made.id} model.onnx: ")
    assert "Is a directory" in line


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
async def test_a_row_whose_blob_the_database_does_not_know_is_told(
    server: Context, boss: Who, settings: Settings
) -> None:
    """As somebody leaves it who changes the database by hand, without its foreign keys."""
    made = await registered(server, boss, {"model.onnx": b"graph"})
    with closing(sqlite3.connect(settings.db_url.removeprefix("sqlite:///"))) as by_hand:
        by_hand.execute("DELETE FROM blobs")
        by_hand.commit()
    found = await upkeep.examine(server)
    assert not found.healthy
    lost = {f"{boss.workspace}/version_files.blob: {file.blob}" for file in made.files}
    assert set(found.unknown) == lost


async def test_fixing_sets_counters_right_and_deletes_orphans(
    server: Context, late: Context, boss: Who
) -> None:
    await server.blobs.put(boss.workspace, b"left by a crash")
    async with server.db.begin(boss.workspace) as tx:
        await server.jobs.send(tx, "no.such.topic", {})
        await tx.everywhere().run(sa.update(queues).values(pending=7))
    found = await upkeep.examine(late, fix=True)
    assert found.healthy
    assert found.fixed
    assert found.orphans.blobs == 1
    assert found.miscounted == [f"{boss.workspace}/default"]
    again = await upkeep.examine(late)
    assert again.miscounted == []
    assert again.orphans == NONE
