"""Blobs that nothing refers to are deleted, all others stay; damage is found and told."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.registry.versions import registered
from tests.stages import collect, imports, until, work_until, working
from volano.core.context import Context
from volano.core.db import EVERYWHERE
from volano.core.jobs.tables import jobs, queues
from volano.core.segments import compact, inbox, merge
from volano.data import service as data
from volano.loop import service
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.blobs import Orphans
from volano.schemas.data import NewSnapshot, Snapshot

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
    log = await server.blobs.put(boss.workspace, b"what it printed")
    async with server.db.begin(boss.workspace) as tx:
        run = sa.update(registry.store.runs).where(registry.store.runs.c.id == made.run)
        await tx.everywhere().run(run.values(log=log))
    kept = await _blobs(server, boss)
    orphan = await server.blobs.put(boss.workspace, b"left by a crash")
    expected = Orphans(blobs=1, bytes=len(b"left by a crash"))
    assert expected == await service.sweep(late, boss.workspace, dry_run=True)
    assert kept | {orphan} == await _blobs(server, boss)
    assert expected == await service.sweep(late, boss.workspace)
    assert kept == await _blobs(server, boss)
    assert await service.sweep(late, boss.workspace) == NONE
    assert await registry.file(server, boss, made.id, "model.onnx") == b"graph"
    assert snapshot.records == len(
        (await data.snapshot_records(server, boss, snapshot.id, after=None, limit=99)).items
    )


async def test_what_was_put_lately_stays(server: Context, boss: Who) -> None:
    """It may be that its transaction has only just begun."""
    young = await server.blobs.put(boss.workspace, b"in a moment it is referred to")
    assert await service.sweep(server, boss.workspace) == NONE
    assert {young} == await _blobs(server, boss)


async def test_blobs_of_merged_segments_go_when_nobody_can_be_reading_them(
    server: Context, late: Context, boss: Who
) -> None:
    apart = replace(server, settings=replace(server.settings, segment_merge_s=3600.0))
    for number in range(merge.FEWEST):
        await collect(apart, boss, imports(["square"], [PEOPLE[number % 4]]))

        async def moved() -> bool:
            async with server.db.read(boss.workspace) as tx:
                return await inbox.oldest_ms(tx, data.STREAM) is None

        await work_until(apart, moved)
    before = await _blobs(server, boss)

    async def merged() -> bool:
        async with server.db.read(boss.workspace) as tx:
            return len(await compact.every(tx)) == 1

    await work_until(server, merged)
    assert before < await _blobs(server, boss)
    assert await service.sweep(server, boss.workspace) == NONE
    assert (await service.sweep(late, boss.workspace)).blobs == merge.FEWEST
    assert len(await _blobs(server, boss)) == 1
    for record in (
        await data.page(server, boss, data.schemas.RecordFilter(), after=None, limit=99)
    ).items:
        assert (await data.payload(server, boss, record.id))[1]


async def test_a_sweep_of_one_workspace_leaves_the_others(
    server: Context, late: Context, boss: Who, outsider: Who
) -> None:
    other = await server.blobs.put(outsider.workspace, b"left by a crash")
    await server.blobs.put(boss.workspace, b"left by a crash")
    assert (await service.sweep(late, boss.workspace)).blobs == 1
    assert {other} == await _blobs(server, outsider)


async def test_nothing_is_lost_to_a_sweep_that_runs_beside_everything(
    server: Context, boss: Who
) -> None:
    """With the shortest grace that still is longer than any write here takes."""
    eager = replace(server, settings=replace(server.settings, blob_grace_s=20.0))
    stop = asyncio.Event()

    async def sweep() -> None:
        while not stop.is_set():
            await service.sweep(eager, boss.workspace)

    sweeping = asyncio.create_task(sweep())
    snapshot = await _frozen(server, boss)
    stop.set()
    await sweeping
    found = await service.examine(server)
    assert (found.unreadable, snapshot.records) == ([], 8)


async def test_a_worker_sweeps_once_in_a_while(server: Context, boss: Who, outsider: Who) -> None:
    assert await service.request_sweep(server) == 2
    assert await service.request_sweep(server) == 2
    async with server.db.read(EVERYWHERE) as tx:
        asked = sa.select(jobs.c.workspace, jobs.c.state).where(jobs.c.topic == service.SWEEP)
        assert len(await tx.all(asked)) == 2

    async def done() -> bool:
        async with server.db.read(EVERYWHERE) as tx:
            return {row.state for row in await tx.all(asked)} == {"done"}

    async with working(server):
        await until(done)


async def test_a_sound_server_is_healthy(server: Context, boss: Who) -> None:
    await _frozen(server, boss)
    found = await service.examine(server)
    assert (
        found.healthy, found.database, found.unreadable, found.dead, found.miscounted,
        found.orphans, found.fixed,
    ) == (True, [], [], {}, [], NONE, False)  # fmt: skip


async def test_damage_is_found_and_told(server: Context, boss: Who) -> None:
    await _frozen(server, boss)
    async with server.db.begin(boss.workspace) as tx:
        (segment,) = await compact.every(tx)
        job = await server.jobs.send(tx, "no.such.topic", {})
        dead = {"state": "dead", "signature": "s1", "failure": {"message": "gone"}}
        await tx.run(tx.update(jobs).where(jobs.c.id == job).values(dead))
    await server.blobs.delete(boss.workspace, segment.blob)
    found = await service.examine(server)
    assert not found.healthy
    assert [one.partition(":")[0] for one in found.unreadable] == [f"{boss.workspace}/{segment.id}"]
    assert [one.topic for one in found.dead[boss.workspace]] == ["no.such.topic"]
    assert found.miscounted == [f"{boss.workspace}/default"]


async def test_fixing_sets_counters_right_and_deletes_orphans(
    server: Context, late: Context, boss: Who
) -> None:
    await server.blobs.put(boss.workspace, b"left by a crash")
    async with server.db.begin(boss.workspace) as tx:
        await server.jobs.send(tx, "no.such.topic", {})
        await tx.everywhere().run(sa.update(queues).values(pending=7))
    found = await service.examine(late, fix=True)
    assert (
        found.healthy, found.fixed, found.orphans.blobs, found.miscounted,
    ) == (True, True, 1, [f"{boss.workspace}/default"])  # fmt: skip
    again = await service.examine(late)
    assert (again.miscounted, again.orphans) == ([], NONE)
