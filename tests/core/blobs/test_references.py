"""What a row names is kept, whoever made its table; what no row names goes when it is old."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.stages import unkept_blobs
from volano.core.blobs import blob_column, references
from volano.core.blobs.address import key
from volano.core.blobs.tables import blobs
from volano.core.context import Context
from volano.core.db import JsonValue, Tx, metadata, now_ms
from volano.core.jobs.ledger import clock
from volano.loop.upkeep import sweep
from volano.migrations.run import within
from volano.schemas.blobs import BlobMissing, Orphans

HOME = "ws_home"
NONE = Orphans(blobs=0, bytes=0)
ONE = Orphans(blobs=1, bytes=9)
PICTURE = b"a picture"


@dataclass(frozen=True, slots=True)
class Pictures:
    """A stage that stores blobs, and that nobody was told of."""

    table: sa.Table

    async def add(self, tx: Tx, id: str, blob: str) -> None:
        """Keep a picture as every stage should."""
        await references.add(tx, blob)
        await self.name(tx, id, blob)

    async def name(self, tx: Tx, id: str, blob: str) -> None:
        """Write the row alone, as somebody does who forgets the reference."""
        await tx.run(tx.insert(self.table), [{"id": id, "picture": blob}])

    async def drop(self, tx: Tx, id: str) -> None:
        """Delete a picture, and do nothing else."""
        await tx.run(tx.delete(self.table).where(self.table.c.id == id))


@pytest.fixture(params=["known", "newer"])
async def pictures(request: pytest.FixtureRequest, server: Context) -> AsyncIterator[Pictures]:
    """The stage, once known to this process and once only to the database it shares."""
    of = metadata
    if request.param == "newer":
        of = sa.MetaData(naming_convention=metadata.naming_convention)
        blobs.to_metadata(of)
    table = sa.Table(
        "pictures",
        of,
        sa.Column("workspace", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        *blob_column("picture"),
    )
    await within(server.settings.db_url, table.create)
    yield Pictures(table)
    of.remove(table)


@pytest.fixture
def late(server: Context) -> Context:
    """The server when everything that is there is old enough to go."""
    return with_grace(server, -60.0)


def with_grace(ctx: Context, seconds: float) -> Context:
    return replace(ctx, settings=replace(ctx.settings, blob_grace_s=seconds))


async def kept(ctx: Context, pictures: Pictures, id: str = "one") -> str:
    """A picture that is stored; the id of its blob."""
    blob = await ctx.blobs.put(HOME, PICTURE)
    async with ctx.db.begin(HOME) as tx:
        await pictures.add(tx, id, blob)
    return blob


async def dropped(ctx: Context, pictures: Pictures, id: str = "one") -> None:
    async with ctx.db.begin(HOME) as tx:
        await pictures.drop(tx, id)


async def test_a_blob_that_a_row_names_is_kept_whoever_made_the_table(
    server: Context, late: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    for _ in range(2):
        assert await sweep(late, HOME) == NONE
    assert await server.blobs.get(HOME, blob) == PICTURE


async def test_a_blob_goes_after_its_row(
    server: Context, late: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    await dropped(server, pictures)
    assert await sweep(server, HOME) == NONE
    assert await sweep(late, HOME) == ONE
    with pytest.raises(BlobMissing):
        await server.blobs.get(HOME, blob)


async def test_a_blob_that_two_rows_name_stays_until_both_are_gone(
    server: Context, late: Context, pictures: Pictures
) -> None:
    await kept(server, pictures, "one")
    await kept(server, pictures, "two")
    await dropped(server, pictures, "one")
    assert await sweep(late, HOME) == NONE
    await dropped(server, pictures, "two")
    assert await sweep(late, HOME) == ONE


async def test_a_row_without_its_reference_is_refused(server: Context, pictures: Pictures) -> None:
    blob = await server.blobs.put(HOME, PICTURE)
    with pytest.raises(sa.exc.IntegrityError):
        async with server.db.begin(HOME) as tx:
            await pictures.name(tx, "one", blob)


async def test_the_blob_of_another_workspace_is_no_reference(
    server: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    with pytest.raises(sa.exc.IntegrityError):
        async with server.db.begin("ws_other") as tx:
            await pictures.name(tx, "one", blob)


async def test_a_blob_that_was_dropped_and_is_named_again_stays(
    server: Context, late: Context, pictures: Pictures
) -> None:
    await kept(server, pictures)
    await dropped(server, pictures)
    assert await sweep(server, HOME) == NONE  # which marks it
    blob = await kept(server, pictures)
    assert await sweep(late, HOME) == NONE
    assert await server.blobs.get(HOME, blob) == PICTURE


async def test_a_blob_that_is_put_again_survives_the_sweep_that_is_deleting_it(
    server: Context, pictures: Pictures
) -> None:
    """The sweeper stands still between its transaction and its deletion; a writer passes it."""
    blob = await kept(server, pictures)
    await dropped(server, pictures)
    async with server.db.begin(HOME) as tx:
        before = await clock(tx)
        await tx.run(tx.update(blobs).values(unreferenced_at=now_ms() - 60_000))
        assert await references.remove(tx, [blob], before=before) == {blob}
    assert await kept(server, pictures) == blob
    assert not await server.blobs.delete(HOME, blob, before=before - timedelta(seconds=30))
    assert await server.blobs.get(HOME, blob) == PICTURE
    async with server.db.read(HOME) as tx:
        assert await references.unneeded(tx, [blob], before=before) == set()


async def test_a_sweep_waits_for_a_writer_and_then_lets_its_blob_be(
    server: Context, other_process: Context, pictures: Pictures
) -> None:
    await kept(server, pictures)
    await dropped(server, pictures)
    await sweep(server, HOME)
    blob = await server.blobs.put(HOME, PICTURE)
    async with server.db.begin(HOME) as tx:
        await pictures.add(tx, "two", blob)
        sweeping = asyncio.create_task(sweep(with_grace(other_process, -60.0), HOME))
        await asyncio.wait([sweeping], timeout=0.2)
        assert not sweeping.done()
    assert await sweeping == NONE
    assert await server.blobs.get(HOME, blob) == PICTURE


async def test_a_writer_waits_for_a_sweep_and_then_adds_its_blob_again(
    server: Context, other_process: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    await dropped(server, pictures)
    async with server.db.begin(HOME) as tx:
        await references.mark(tx)
        assert await references.remove(tx, [blob], before=await clock(tx) + timedelta(1)) == {blob}
        writing = asyncio.create_task(kept(other_process, pictures))
        await asyncio.wait([writing], timeout=0.2)
        assert not writing.done()
    assert await writing == blob
    assert await sweep(with_grace(server, -60.0), HOME) == NONE


async def test_a_crash_between_the_removal_and_the_deletion_leaves_garbage_for_the_next_sweep(
    server: Context, late: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    await dropped(server, pictures)
    async with server.db.begin(HOME) as tx:
        await references.mark(tx)
        await references.remove(tx, [blob], before=await clock(tx) + timedelta(1))
    assert await server.blobs.exists(HOME, blob)
    assert await sweep(server, HOME) == NONE
    assert await sweep(late, HOME) == ONE


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("pictures", ["known"], indirect=True)
async def test_the_grace_is_in_seconds_for_the_mark_and_for_the_bytes(
    server: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    await dropped(server, pictures)
    file = Path(server.settings.blobs_url.removeprefix("file://"), key(HOME, blob))

    async def marked(ago_s: float) -> None:
        async with server.db.begin(HOME) as tx:
            since = now_ms() - round(ago_s * 1000)
            await tx.run(tx.update(blobs).values(unreferenced_at=since))

    def put(ago_s: float) -> None:
        os.utime(file, (time.time() - ago_s,) * 2)

    await marked(30)
    put(90)
    assert await sweep(with_grace(server, 60), HOME) == NONE
    await marked(90)
    put(30)
    assert await sweep(with_grace(server, 60), HOME) == NONE
    await marked(30)
    assert await sweep(with_grace(server, 29), HOME) == ONE


@pytest.mark.parametrize("pictures", ["known"], indirect=True)
async def test_a_mark_is_taken_off_a_blob_that_a_row_names_again(
    server: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures)
    async with server.db.begin(HOME) as tx:
        await tx.run(tx.update(blobs).values(unreferenced_at=now_ms() - 90_000))
        await references.mark(tx)
    async with server.db.read(HOME) as tx:
        assert await references.unneeded(tx, [blob], before=await clock(tx)) == set()


@pytest.mark.parametrize("pictures", ["known"], indirect=True)
async def test_rows_that_refer_to_a_blob_are_told_by_table_and_key(
    server: Context, pictures: Pictures
) -> None:
    blob = await kept(server, pictures, "two")
    await kept(server, pictures, "one")
    async with server.db.read(HOME) as tx:
        assert sorted(await references.referrers(tx, blob)) == ["pictures one", "pictures two"]
        assert await references.referred(tx, after="", limit=9) == [blob]
        assert await references.referred(tx, after=blob, limit=9) == []


@pytest.mark.parametrize("kind", [sa.String(80), JsonValue], ids=["text", "JSON"])
async def test_a_stage_that_names_a_blob_in_a_column_of_its_own_kind_is_found(
    server: Context, kind: sa.types.TypeEngine[Any]
) -> None:
    """Every test of a stage ends with this look, so whoever forgets the reference sees it fail."""
    table = sa.Table(
        "forgetful",
        metadata,
        sa.Column("workspace", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("facts", kind),
    )
    try:
        await within(server.settings.db_url, table.create)
        blob = await server.blobs.put(HOME, PICTURE)
        async with server.db.begin(HOME) as tx:
            facts = [blob] if kind is JsonValue else blob
            await tx.run(tx.insert(table), [{"id": "one", "facts": facts}])
        assert await unkept_blobs(server) == {blob}
    finally:
        metadata.remove(table)
