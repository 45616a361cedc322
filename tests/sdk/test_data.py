"""Tests of volano.sdk.data: a snapshot in a folder is whole or not there."""

import json

import pytest

from tests.cli.canned import SNAPSHOT
from tests.sdk.scripted import Answer, value
from volano.schemas.data import SnapshotRecord
from volano.sdk.transport import ServerUnreachable

PARQUET = "application/vnd.apache.parquet"


def splits(script, **last: object) -> None:
    script.on("GET", "/snapshots/letters", value(SNAPSHOT))
    for split in ("train", "valid"):
        body = f"{split} rows".encode()
        script.on("GET", f"/snapshots/snap_1/splits/{split}", Answer(body=body, media_type=PARQUET))
    answer = Answer(body=b"test rows", media_type=PARQUET, **last)
    script.on("GET", "/snapshots/snap_1/splits/test", answer)


def test_a_snapshot_is_fetched_with_its_splits(script, client, tmp_path):
    splits(script)

    assert client.snapshots.pull("letters", tmp_path / "staged") == SNAPSHOT
    contents = {p.name: p.read_bytes() for p in (tmp_path / "staged").iterdir()}
    assert {content for name, content in contents.items() if name.endswith(".parquet")} == {
        b"train rows",
        b"valid rows",
        b"test rows",
    }
    assert json.loads(contents["snapshot.json"])["id"] == "snap_1"


def test_a_snapshot_that_was_cut_off_is_not_taken_for_whole(script, client, tmp_path):
    splits(script)
    client.snapshots.pull("letters", tmp_path)
    splits(script, drop=True)

    with pytest.raises(ServerUnreachable):
        client.snapshots.pull("letters", tmp_path)
    assert not (tmp_path / "snapshot.json").exists()


def test_the_records_of_one_split_are_picked_out(script, client):
    rows = [
        SnapshotRecord(id=f"r{n}", content="c", label="x", contributor="y", split=split)
        for n, split in enumerate(["train", "test", "train"])
    ]
    script.on("GET", "/snapshots/snap_1/records", value({"items": rows, "next": None}))

    assert rows == list(client.snapshots.records("snap_1"))
    assert [rows[1]] == list(client.snapshots.records("snap_1", split="test"))
