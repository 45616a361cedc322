"""What takes the disk is told by dataset, and by what the blobs are stored for."""

import hashlib

import httpx

from tests.data.datasets.test_api import make
from tests.stages import Connect, working
from volano.core.context import Context
from volano.core.segments import compact
from volano.data import service
from volano.data.ingest import INLINE
from volano.schemas.accounts import Who


async def _add(http: httpx.AsyncClient, data: bytes) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = await http.post("/datasets/files/records", content=data, headers=headers)
    assert answer.status_code == 201


async def test_usage_tells_records_and_blobs_by_what_they_are_for(
    connect: Connect, server: Context, boss: Who
) -> None:
    http = await connect("developer")
    await make(http, "files", file="file")
    large = hashlib.shake_256(b"noise").digest(INLINE + 1)
    async with working(server):
        await _add(http, b"small")
        await _add(http, large)
        await compact.flush(server, boss.workspace, service.STREAM, service.COMPACT)
        frozen = await http.post("/snapshots", json={"name": "all", "split": {"by": "none"}})
    assert frozen.status_code == 201
    await server.blobs.put(boss.workspace, b"nobody refers to this")
    found = (await http.get("/usage")).json()
    assert found["datasets"] == [{"name": "files", "records": 2, "bytes": INLINE + 6}]
    kept = {one["of"]: one for one in found["blobs"]}
    assert kept["records"] == {"of": "records", "blobs": 1, "bytes": INLINE + 1}
    assert kept["nothing"] == {"of": "nothing", "blobs": 1, "bytes": 21}
    assert kept["snapshots"]["blobs"] == 1
    assert kept["records in segments"]["bytes"] > 0
    assert found["bytes"] == sum(one["bytes"] for one in found["blobs"])


async def test_usage_of_another_workspace_is_not_shown(
    connect: Connect, server: Context, outsider: Who
) -> None:
    await server.blobs.put(outsider.workspace, b"theirs")
    found = (await (await connect("developer")).get("/usage")).json()
    assert found["bytes"] == 0
