"""What was stored before blobs had references is referred to after the migration, and back."""

import json
from typing import Any

import sqlalchemy as sa

from volano.core.blobs import references
from volano.core.db import Database
from volano.core.jobs.ledger import clock
from volano.migrations import downgrade, migrate
from volano.migrations.run import within

BEFORE = "0009"
FILES = [{"name": "model.onnx", "blob": "b3_graph", "bytes": 5}]
ROWS: dict[str, dict[str, Any]] = {
    "segments": {
        "id": "seg_1", "stream": "records", "blob": "b3_segment", "size": 1, "rows": 1,
        "first_key": b"0" * 16, "last_key": b"0" * 16, "created_ms": 1,
    },
    "retired_blobs": {"blob": "b3_merged", "retired_at": 1_000},
    "snapshots": {
        "id": "snap_1", "hash": "", "name": "first", "filter": "{}", "split": "{}", "labels": "[]",
        "records": 1, "by_split": "{}", "contributors": 1, "manifest": "b3_manifest",
        "manifest_size": 1, "created_at": 1, "created_by": "",
    },
    "runs": {
        "id": "run_1", "kind": "training", "state": "finished", "model": "m", "recipe": "r",
        "snapshot": "snap_1", "params": "{}", "seed": 1, "seconds": 1.0, "job": "job_1",
        "attempt": 1, "progress": "{}", "metrics": "{}", "log": "b3_log", "created_at": 1,
        "created_by": "",
    },
    "versions": {
        "id": "ver_1", "model": "m", "number": 1, "run": "run_1", "snapshot": "snap_1",
        "source": "", "digest": "", "params": "{}", "metrics": "{}", "environment": "{}",
        "files": json.dumps(FILES), "artefact": "{}", "created_at": 1, "created_by": "",
    },
}  # fmt: skip


def _write(connection: sa.Connection) -> None:
    for name, row in ROWS.items():
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        ready = {
            column: json.loads(value) if isinstance(table.c[column].type, sa.JSON) else value
            for column, value in ({"workspace": "ws"} | row).items()
        }
        connection.execute(table.insert().values(ready))


async def test_every_blob_that_a_row_named_is_referred_to(empty_url: str) -> None:
    await migrate(empty_url, BEFORE)
    await within(empty_url, _write)
    await migrate(empty_url)
    database = await Database.open(empty_url)
    async with database.read("ws") as tx:
        referred = await references.referred(tx, after="", limit=9)
        everything = {*referred, "b3_merged"}
        unneeded = await references.unneeded(tx, everything, before=await clock(tx))
        assert await references.unknown(tx) == []
    await database.close()
    assert referred == ["b3_graph", "b3_log", "b3_manifest", "b3_segment"]
    assert unneeded == {"b3_merged"}


async def test_the_way_back_brings_the_files_and_the_retired_blobs(empty_url: str) -> None:
    await migrate(empty_url, BEFORE)
    await within(empty_url, _write)
    await migrate(empty_url)
    await downgrade(empty_url, BEFORE)
    found: list[Any] = []

    def read(connection: sa.Connection) -> None:
        for name, column in (("versions", "files"), ("retired_blobs", "retired_at")):
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            found.append(connection.execute(sa.select(table.c[column])).scalar_one())

    await within(empty_url, read)
    assert found == [FILES, 1_000]
