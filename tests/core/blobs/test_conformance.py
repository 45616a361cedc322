"""What every store of blobs does, run on files and on a real S3."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from blake3 import blake3
from obstore.store import S3Store

from volano.core.blobs import Blobs
from volano.core.blobs.address import key
from volano.hosting.services import S3Server
from volano.schemas.blobs import BlobCorrupt, BlobMissing, RangeOutside

ABSENT = "b3_" + "0" * 64

Overwrite = Callable[[str, str, bytes], Awaitable[None]]


@pytest.fixture
def overwrite(blobs_url: str, request: pytest.FixtureRequest) -> Overwrite:
    """Change stored bytes behind the store's back: `await overwrite(workspace, id, data)`."""

    async def in_file(workspace: str, id: str, data: bytes) -> None:
        Path(blobs_url.removeprefix("file://"), key(workspace, id)).write_bytes(data)

    async def in_s3(workspace: str, id: str, data: bytes) -> None:
        server: S3Server = request.getfixturevalue("s3_server")
        store = S3Store(
            server.bucket,
            prefix=blobs_url.partition("?")[0].rpartition("/")[2],
            endpoint=server.endpoint,
            region="us-east-1",
            access_key_id=server.access_key,
            secret_access_key=server.secret_key,
            client_options={"allow_http": True},
        )
        await obstore.put_async(store, key(workspace, id), data)

    return in_file if blobs_url.startswith("file:") else in_s3


async def _all(blobs: Blobs, workspace: str, id: str) -> bytes:
    return b"".join([chunk async for chunk in blobs.stream(workspace, id)])


async def _append_all(to: bytearray, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        to += chunk


async def test_a_blob_is_named_by_the_hash_of_its_bytes(blobs: Blobs) -> None:
    assert "b3_" + blake3(b"a drawing").hexdigest() == await blobs.put("ws", b"a drawing")


@pytest.mark.parametrize("size", [0, 1, 2**18 + 1, 20 * 2**20], ids=["empty", "1", "256k", "20M"])
async def test_what_was_put_comes_back_whole_and_in_chunks(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)
    id = await blobs.put("ws", data)
    assert await blobs.get("ws", id) == data
    assert await _all(blobs, "ws", id) == data
    assert await blobs.size("ws", id) == size


@pytest.mark.parametrize("size", [0, 3, 20 * 2**20], ids=["empty", "3", "20M"])
async def test_a_file_gets_the_same_name_as_its_bytes(
    blobs: Blobs, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    path = tmp_path / "upload"
    path.write_bytes(data)
    id = await blobs.put_file("ws", path)
    assert await blobs.put("ws", data) == id
    assert await blobs.get("ws", id) == data


async def test_a_file_that_is_not_there_is_not_put(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.put_file("ws", tmp_path / "nothing")


async def test_sixteen_puts_of_one_blob_at_once_leave_one(blobs: Blobs) -> None:
    data = os.urandom(100_000)
    ids = await asyncio.gather(*(blobs.put("ws", data) for _ in range(16)))
    assert len(set(ids)) == 1
    assert [ids[0]] == [stored.id async for stored in blobs.list("ws")]
    assert await blobs.get("ws", ids[0]) == data


async def test_many_blobs_at_once_all_come_back(blobs: Blobs) -> None:
    every = [os.urandom(n + 1) for n in range(64)]
    ids = await asyncio.gather(*(blobs.put("ws", data) for data in every))
    assert await asyncio.gather(*(blobs.get("ws", id) for id in ids)) == every


async def test_a_range_is_exactly_what_was_asked_for(blobs: Blobs) -> None:
    id = await blobs.put("ws", b"0123456789")
    assert await blobs.get_range("ws", id, 2, 3) == b"234"
    assert await blobs.get_range("ws", id, 9, 1) == b"9"
    assert await blobs.get_range("ws", id, 0, 10) == b"0123456789"
    assert await blobs.get_range("ws", id, 10, 0) == b""


@pytest.mark.parametrize(
    ("start", "length"),
    [(8, 3), (10, 1), (11, 0), (-1, 2), (0, -1), (0, 2**62), (2**62, 1), (2**70, 2**70)],
)
async def test_a_range_outside_is_refused(blobs: Blobs, start: int, length: int) -> None:
    id = await blobs.put("ws", b"0123456789")
    with pytest.raises(RangeOutside) as refused:
        await blobs.get_range("ws", id, start, length)
    assert refused.value.facts["size"] == 10


async def test_a_missing_blob_is_missing_for_every_verb(blobs: Blobs) -> None:
    for read in (
        blobs.get("ws", ABSENT),
        blobs.get_range("ws", ABSENT, 0, 1),
        blobs.size("ws", ABSENT),
        _all(blobs, "ws", ABSENT),
    ):
        with pytest.raises(BlobMissing):
            await read
    assert not await blobs.exists("ws", ABSENT)
    assert not await blobs.delete("ws", ABSENT)


@pytest.mark.parametrize(
    "id",
    ["", "b3_", "../../etc/passwd", "b3_" + "A" * 64, f"{ABSENT}\n", f"{ABSENT}/x", "b3_/" * 9],
)
async def test_a_name_that_is_no_hash_is_missing(blobs: Blobs, id: str) -> None:
    with pytest.raises(BlobMissing):
        await blobs.get("ws", id)
    assert not await blobs.exists("ws", id)


@pytest.mark.parametrize("workspace", ["", ".", "..", ".incoming", "a/b", "a\n", "a\0", "x" * 65])
async def test_what_is_no_workspace_reaches_no_store(blobs: Blobs, workspace: str) -> None:
    with pytest.raises(ValueError, match="not a workspace"):
        await blobs.put(workspace, b"x")
    with pytest.raises(ValueError, match="not a workspace"):
        [stored async for stored in blobs.list(workspace)]


@pytest.mark.parametrize("size", [9, 3 * 2**20], ids=["9", "3M"])
async def test_changed_bytes_are_never_given_out_as_whole(
    blobs: Blobs, overwrite: Overwrite, size: int
) -> None:
    data = bytearray(os.urandom(size))
    id = await blobs.put("ws", bytes(data))
    data[-1] ^= 1
    await overwrite("ws", id, bytes(data))
    with pytest.raises(BlobCorrupt):
        await blobs.get("ws", id)
    given = bytearray()
    with pytest.raises(BlobCorrupt):
        await _append_all(given, blobs.stream("ws", id))
    assert len(given) < size


@pytest.mark.parametrize("damage", [b"", b"short"], ids=["emptied", "cut short"])
async def test_putting_the_bytes_again_repairs_a_damaged_blob(
    blobs: Blobs, overwrite: Overwrite, damage: bytes
) -> None:
    id = await blobs.put("ws", b"the true bytes")
    await overwrite("ws", id, damage)
    with pytest.raises(BlobCorrupt):
        await blobs.get("ws", id)
    assert await blobs.put("ws", b"the true bytes") == id
    assert await blobs.get("ws", id) == b"the true bytes"


async def test_a_workspace_does_not_see_the_blobs_of_another(blobs: Blobs) -> None:
    id = await blobs.put("one", b"private")
    for other in ("two", "on", "one-more"):
        assert not await blobs.exists(other, id)
        assert not await blobs.delete(other, id)
        assert [stored async for stored in blobs.list(other)] == []
        with pytest.raises(BlobMissing):
            await blobs.get(other, id)
    assert await blobs.put("two", b"private") == id
    assert await blobs.delete("one", id)
    assert await blobs.get("two", id) == b"private"


async def test_a_listing_has_every_blob_with_its_size_and_age(blobs: Blobs) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)  # S3 counts whole seconds
    ids = {await blobs.put("ws", bytes(n)): n for n in range(20)}
    found = [stored async for stored in blobs.list("ws")]
    assert ids == {stored.id: stored.size for stored in found}
    assert all(began <= stored.stored_at <= datetime.now(UTC) for stored in found)


async def test_a_deleted_blob_is_gone_and_can_be_put_again(blobs: Blobs) -> None:
    id = await blobs.put("ws", b"x")
    assert await blobs.delete("ws", id)
    assert not await blobs.exists("ws", id)
    assert not await blobs.delete("ws", id)
    assert await blobs.put("ws", b"x") == id
    assert await blobs.exists("ws", id)


async def test_the_sweeper_spares_what_was_put_since_it_looked(blobs: Blobs) -> None:
    id = await blobs.put("ws", b"x")
    now = datetime.now(UTC)
    assert not await blobs.delete("ws", id, before=now - timedelta(hours=1))
    assert await blobs.exists("ws", id)
    assert await blobs.delete("ws", id, before=now + timedelta(hours=1))
    assert not await blobs.exists("ws", id)
