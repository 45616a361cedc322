"""Deleted records are out of everything at once, and their bytes out of every file later."""

import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.datasets.test_api import make
from tests.stages import Connect, until, working
from volano.core.context import Context
from volano.core.segments import compact, parquet
from volano.data import service
from volano.data.deletion import service as deletion
from volano.data.deletion import store
from volano.data.ingest import INLINE
from volano.loop import upkeep
from volano.schemas.accounts import Who
from volano.schemas.errors import Missing

NEEDLE = b"the words that nobody should find any more"
NOBODY = "019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10"


@pytest.fixture
async def http(connect: Connect) -> httpx.AsyncClient:
    """A client with the role that trains, and datasets of texts and files."""
    client = await connect("developer")
    del client.headers["content-type"]
    await make(client, "texts", text="text")
    await make(client, "files", file="file")
    return client


async def added(http: httpx.AsyncClient, data: bytes, dataset: str = "texts", **query: Any) -> str:
    kind = "text/plain" if dataset == "texts" else "application/octet-stream"
    at = f"/datasets/{dataset}/records"
    answer = await http.post(at, content=data, headers={"content-type": kind}, params=query)
    assert answer.status_code == 201
    return str(answer.json()[0]["id"])


async def erased(ctx: Context, who: Who) -> None:
    """Wait until every deleted record is erased; a worker runs meanwhile."""

    async def done() -> bool:
        async with ctx.db.read(who.workspace) as tx:
            return not await store.unerased(tx)

    async with working(ctx):
        await until(done)


async def swept(ctx: Context, who: Who) -> None:
    """Delete what nothing refers to, as a sweep does once the grace is over."""
    at_once = replace(ctx, settings=replace(ctx.settings, blob_grace_s=0.0))
    await upkeep.sweep(at_once, who.workspace)
    await upkeep.sweep(at_once, who.workspace)


async def stored(ctx: Context, who: Who) -> AsyncIterator[bytes]:
    """Yield all bytes that the server has anywhere: blobs, and what Parquet packs, and files."""
    async for blob in ctx.blobs.list(who.workspace):
        data = await ctx.blobs.get(who.workspace, blob.id)
        yield data
        if data.startswith(b"PAR1"):
            for column in pq.read_table(io.BytesIO(data)).columns:
                yield b"".join(str(value).encode() for value in column.to_pylist())
    for path in Path(ctx.settings.home).parent.rglob("*"):  # with the database, of SQLite
        if path.is_file():
            yield path.read_bytes()


async def hits(ctx: Context, who: Who, needle: bytes = NEEDLE) -> int:
    return len([data async for data in stored(ctx, who) if needle in data])


async def test_a_deleted_record_is_gone_from_every_listing_and_counter(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        kept = await added(http, b"kept", label="a")
        id = await added(http, NEEDLE, label="b", contributor="ada")
        answer = await http.delete(f"/records/{id}")
    assert answer.status_code == 204
    listed = (await http.get("/records")).json()["items"]
    assert [record["id"] for record in listed] == [kept]
    assert (await http.get("/records/count")).json()["records"] == 1
    assert (await http.get("/datasets/texts")).json()["labels"] == ["a"]
    for what in ("", "/content", "/attributes"):
        gone = await http.get(f"/records/{id}{what}")
        assert gone.status_code == 410
        assert gone.json()["code"] == "record-deleted"
    assert (await http.get(f"/explain/record/{id}")).json()["about"]["title"] == "a deleted record"
    assert (await http.delete(f"/records/{id}")).status_code == 404
    assert (await http.get(f"/records/{kept}/content")).content == b"kept"
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_no_file_has_the_bytes_of_a_deleted_record_after_the_rewrite_and_the_sweep(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    large = NEEDLE + hashlib.shake_256(b"noise").digest(INLINE)
    async with working(server):
        before = [await added(http, f"before {n}".encode()) for n in range(3)]
        ids = [await added(http, NEEDLE), await added(http, large, "files")]
        after = [await added(http, f"after {n}".encode()) for n in range(3)]
        await compact.flush(server, boss.workspace, service.STREAM, service.COMPACT)
        assert await hits(server, boss) > 0
        wanted = {"ids": ids, "confirm": 2}
        assert (await http.post("/records/delete", json=wanted)).json() == {"records": 2}
    await erased(server, boss)
    await swept(server, boss)
    assert await hits(server, boss) == 0
    for n, id in enumerate(before):
        assert (await http.get(f"/records/{id}/content")).text == f"before {n}"
    for n, id in enumerate(after):
        assert (await http.get(f"/records/{id}/content")).text == f"after {n}"
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_a_snapshot_of_a_deleted_record_keeps_its_hash_and_says_so(
    http: httpx.AsyncClient, server: Context, boss: Who, tmp_path: Path
) -> None:
    new = {"name": "first", "split": {"by": "none"}, "dataset": "texts"}
    async with working(server):
        kept = await added(http, b"kept", label="a")
        id = await added(http, NEEDLE, label="b")
        before = (await http.post("/snapshots", json=new)).json()
        await http.delete(f"/records/{id}")
        after = (await http.post("/snapshots", json=new | {"name": "second"})).json()
    await erased(server, boss)
    assert (await http.get("/snapshots/first")).json()["hash"] == before["hash"]
    lines = (await http.get(f"/snapshots/{before['id']}/records")).json()["items"]
    assert {line["id"]: line["deleted"] for line in lines} == {kept: False, id: True}
    assert after["records"] == 1
    await service.stage(server, boss.workspace, before["id"], tmp_path)
    assert pq.read_table(tmp_path / "train.parquet")["record_id"].to_pylist() == [kept]
    assert "1 of its records have been deleted" in (tmp_path / "snapshot.json").read_text()
    explained = await http.get(f"/explain/snapshot/{before['id']}")
    assert explained.status_code == 200


async def test_many_are_deleted_by_a_filter_once_their_count_is_confirmed(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    wanted = {"filter": {"labels": ["blank"]}}
    async with working(server):
        for n in range(3):
            await added(http, f"blank {n}".encode(), label="blank")
        await added(http, b"full", label="full")
        refused = await http.post("/records/delete", json=wanted | {"confirm": 2})
        assert refused.status_code == 409
        assert refused.json()["code"] == "count-differs"
        assert refused.json()["facts"]["found"] == 3
        answer = await http.post("/records/delete", json=wanted | {"confirm": 3})
    assert answer.json() == {"records": 3}
    assert (await http.get("/records/count")).json()["records"] == 1
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_a_record_that_comes_again_after_its_deletion_is_there_again(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        id = await added(http, NEEDLE, id=NOBODY)
        await http.delete(f"/records/{id}")
        await added(http, NEEDLE, id=NOBODY)
        new = {"name": "first", "split": {"by": "none"}, "dataset": "texts"}
        snapshot = (await http.post("/snapshots", json=new)).json()
    await erased(server, boss)
    assert (await http.get(f"/records/{id}/content")).content == NEEDLE
    lines = (await http.get(f"/snapshots/{snapshot['id']}/records")).json()["items"]
    assert [line["deleted"] for line in lines] == [False]


async def test_a_record_of_another_workspace_is_not_deleted(
    http: httpx.AsyncClient, server: Context, outsider: Who
) -> None:
    async with working(server):
        id = await added(http, NEEDLE)
        with pytest.raises(Missing):
            await deletion.delete(server, outsider, id)
    assert (await http.get(f"/records/{id}")).status_code == 200


def test_the_rows_of_a_segment_keep_their_numbers_when_some_are_erased() -> None:
    table = pa.table(
        {
            "id": ["a", "b", "c"],
            "flags": pa.array([["x"], ["y"], []], pa.list_(pa.string())),
            "payload": [b"1", b"2", b"3"],
        }
    )
    left = pq.read_table(io.BytesIO(deletion.without(parquet.encode(table), [1]))).to_pylist()
    assert left == [
        {"id": "a", "flags": ["x"], "payload": b"1"},
        {"id": "b", "flags": None, "payload": None},
        {"id": "c", "flags": [], "payload": b"3"},
    ]
