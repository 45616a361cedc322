"""Datasets over HTTP, and records of every kind on their way in and out."""

import asyncio
import base64
import hashlib
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.stages import Connect, ask_for, drawing, work_until
from volano.core.context import Context
from volano.data import records, service
from volano.data.ingest import INLINE
from volano.loop import upkeep
from volano.schemas.accounts import Who
from volano.schemas.data import NewSnapshot, RecordFilter, SplitRule

Shelved = Callable[[int], Awaitable[None]]


@pytest.fixture
async def http(connect: Connect) -> httpx.AsyncClient:
    """A client with the role that trains."""
    client = await connect("developer")
    del client.headers["content-type"]
    return client


@pytest.fixture
def shelved(server: Context, boss: Who) -> Shelved:
    """`await shelved(3)` has moved three records onto the shelf."""

    async def shelved(count: int) -> None:
        async def there() -> bool:
            return (await service.count(server, boss, RecordFilter())).records == count

        await work_until(server, there)

    return shelved


async def make(http: httpx.AsyncClient, name: str, **fields: str) -> None:
    answer = await http.post("/datasets", json={"name": name, "fields": fields})
    assert answer.status_code == 201, answer.text


def picture(width: int = 12, height: int = 9, shade: int = 100) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 20, 30)).save(made, "PNG")
    return made.getvalue()


def large_picture() -> bytes:
    """A picture of more bytes than ride in a row."""
    made = io.BytesIO()
    noise = hashlib.shake_256(b"noise").digest(400 * 300 * 3)
    Image.frombytes("RGB", (400, 300), noise).save(made, "PNG")
    assert len(made.getvalue()) > INLINE
    return made.getvalue()


async def upload(
    http: httpx.AsyncClient, data: bytes, kind: str = "image/png", **query: Any
) -> httpx.Response:
    at = "/datasets/photos/records"
    return await http.post(at, content=data, headers={"content-type": kind}, params=query)


async def test_a_raw_picture_comes_back_byte_for_byte_before_and_after_it_moves(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    answer = await upload(http, picture(), label="traffic light", name="a b.png")
    assert answer.status_code == 201
    (outcome,) = answer.json()
    assert outcome["stored"] is True
    assert outcome["name"] == "a b.png"
    waiting = await http.get(f"/records/{outcome['id']}/content")
    await shelved(1)
    there = await http.get(f"/records/{outcome['id']}/content")
    assert waiting.content == picture()
    assert there.content == picture()
    assert there.headers["content-type"] == "image/png"
    assert there.headers["x-content-type-options"] == "nosniff"
    assert there.headers["content-security-policy"].startswith("sandbox")


async def test_a_record_says_what_it_is(http: httpx.AsyncClient, shelved: Shelved) -> None:
    await make(http, "photos", photo="image")
    known = {"label": "猫", "split": "train", "group": "home 1", "contributor": "ada"}
    (outcome,) = (await upload(http, picture(), synthetic=True, origin="farm", **known)).json()
    waiting = (await http.get(f"/records/{outcome['id']}")).json()
    await shelved(1)
    record = (await http.get(f"/records/{outcome['id']}")).json()
    for name, value in known.items():
        assert record[name] == value
    assert record["dataset"] == "photos"
    assert record["kind"] == "image"
    assert record["origin"] == "farm"
    assert record["synthetic"] is True
    assert record["sha256"] == hashlib.sha256(picture()).hexdigest()
    assert record["bytes"] == len(picture())
    assert record["facts"]["width"] == 12
    assert record["facts"]["height"] == 9
    assert record["facts"]["format"] == "PNG"
    assert record["quality"] == 0.0  # it is of one colour
    assert waiting | {"quality": 0.0} == record


async def test_of_a_form_each_file_is_stored_or_refused_by_itself(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    items = [{"label": "cat"}, {"label": "cat"}, {"label": "dog", "name": "rex.png"}]
    files = [
        ("items", (None, json.dumps(items), "application/json")),
        ("file", ("one.png", picture(shade=1), "image/png")),
        ("file", ("broken.png", b"this is no picture", "image/png")),
        ("file", ("three.png", picture(shade=3), "image/png")),
    ]
    answer = await http.post("/datasets/photos/records", files=files)
    assert answer.status_code == 201
    told = answer.json()
    assert [one["stored"] for one in told] == [True, False, True]
    assert [one["name"] for one in told] == ["one.png", "broken.png", "rex.png"]
    assert told[1]["code"] == "unsupported-image"
    record = (await http.get(f"/records/{told[2]['id']}")).json()
    assert record["label"] == "dog"


async def test_a_form_without_items_takes_what_is_known_from_the_query(
    http: httpx.AsyncClient,
) -> None:
    await make(http, "photos", photo="image")
    files = [("a", ("1.png", picture(shade=n), "image/png")) for n in range(3)]
    answer = await http.post("/datasets/photos/records?label=cat&split=test", files=files)
    told = answer.json()
    assert len({one["id"] for one in told}) == 3
    for one in told:
        record = (await http.get(f"/records/{one['id']}")).json()
        assert record["label"] == "cat"
        assert record["split"] == "test"


@pytest.mark.parametrize("way", ["raw", "form"])
async def test_a_large_picture_is_a_blob_that_no_sweep_takes(
    http: httpx.AsyncClient, server: Context, shelved: Shelved, way: str
) -> None:
    await make(http, "photos", photo="image")
    data = large_picture()
    if way == "raw":
        answer = await upload(http, data)
    else:
        files = [("file", ("big.png", data, "image/png"))]
        answer = await http.post("/datasets/photos/records", files=files)
    (outcome,) = answer.json()
    at = f"/records/{outcome['id']}/content"
    assert (await http.get(at)).content == data
    await shelved(1)
    assert (await http.get(at)).content == data
    part = await http.get(at, headers={"range": "bytes=300000-300009"})
    assert part.status_code == 206
    assert part.content == data[300_000:300_010]
    assert part.headers["content-range"] == f"bytes 300000-300009/{len(data)}"


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-3", 0, 4),
        ("bytes=10-", 10, None),
        ("bytes=-5", -5, None),
        ("bytes=2-9999", 2, None),
    ],
)
async def test_a_range_is_honoured(
    http: httpx.AsyncClient, asked: str, begin: int, end: int | None
) -> None:
    await make(http, "photos", photo="image")
    (outcome,) = (await upload(http, picture())).json()
    answer = await http.get(f"/records/{outcome['id']}/content", headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == picture()[begin:end]


async def test_a_range_behind_the_end_is_refused(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    (outcome,) = (await upload(http, picture())).json()
    at = f"/records/{outcome['id']}/content"
    answer = await http.get(at, headers={"range": "bytes=99999-"})
    assert answer.status_code == 416
    assert answer.json()["code"] == "range-unsatisfiable"


async def test_a_preview_fits_the_size(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    (outcome,) = (await upload(http, picture(400, 200))).json()
    answer = await http.get(f"/records/{outcome['id']}/preview?size=64")
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.size == (64, 32)


async def test_the_same_id_and_bytes_are_stored_once(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    id = "01890000-0000-7000-8000-000000000001"
    first, again = [(await upload(http, picture(), id=id)).json()[0] for _ in range(2)]
    other = await upload(http, picture(shade=7), id=id)
    assert first["duplicate"] is False
    assert again["duplicate"] is True
    assert other.status_code == 422
    assert other.json()["code"] == "record-id-reused"


async def test_an_id_is_not_the_same_record_in_another_dataset(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    await make(http, "more", photo="image")
    id = "01890000-0000-7000-8000-000000000001"
    await upload(http, picture(), id=id)
    headers = {"content-type": "image/png"}
    other = await http.post(f"/datasets/more/records?id={id}", content=picture(), headers=headers)
    assert other.json()["code"] == "record-id-reused"


async def test_a_request_that_is_sent_again_with_its_key_stores_nothing_twice(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    told = []
    for _ in range(2):
        files = [("f", (f"{n}.png", picture(shade=n), "image/png")) for n in range(2)]
        headers = {"idempotency-key": "once"}
        told.append(await http.post("/datasets/photos/records", files=files, headers=headers))
    first, again = [[one["id"] for one in answer.json()] for answer in told]
    assert again == first
    assert [one["duplicate"] for one in told[1].json()] == [True, True]
    await shelved(2)


@pytest.mark.parametrize(
    ("kind", "data", "code", "status"),
    [
        ("image/png", b"", "content-empty", 422),
        ("image/png", b"no picture", "unsupported-image", 415),
        ("text/plain", b"hello", "media-type-of-kind", 415),
        ("multipart/form-data; boundary=x", b"--x\r\n", "form-unreadable", 400),
        ("multipart/form-data", b"", "form-unreadable", 400),
        ("application/json", b"{", "unreadable-body", 400),
        ("application/json", b'{"items": [{"txt": 1}]}', "invalid-values", 422),
    ],
)
async def test_what_is_wrong_is_refused(
    http: httpx.AsyncClient, kind: str, data: bytes, code: str, status: int
) -> None:
    await make(http, "photos", photo="image")
    answer = await upload(http, data, kind)
    assert answer.status_code == status
    assert answer.json()["code"] == code


async def test_texts_and_tables_come_as_json(http: httpx.AsyncClient, shelved: Shelved) -> None:
    await make(http, "words", text="text")
    await make(http, "rows", row="table")
    texts = {"items": [{"text": "Grüße 猫", "label": "de"}, {"label": "none"}]}
    told = (await http.post("/datasets/words/records", json=texts)).json()
    assert [one["stored"] for one in told] == [True, False]
    assert told[1]["code"] == "content-empty"
    rows = {"items": [{"json": {"a": 1, "b": None}, "label": "x"}]}
    (row,) = (await http.post("/datasets/rows/records", json=rows)).json()
    await shelved(2)
    text = await http.get(f"/records/{told[0]['id']}/content")
    assert text.text == "Grüße 猫"
    assert (await http.get(f"/records/{row['id']}/content")).json() == {"a": 1, "b": None}
    assert (await http.get(f"/records/{row['id']}")).json()["quality"] == 0.5


async def test_a_record_with_several_fields_gives_each_back(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "captions", photo="image", caption="text")
    files = [
        ("photo", ("a.png", picture(), "image/png")),
        ("caption", (None, "a brown square", "text/plain")),
    ]
    (outcome,) = (await http.post("/datasets/captions/records", files=files)).json()
    await shelved(1)
    record = (await http.get(f"/records/{outcome['id']}")).json()
    assert record["fields"]["photo"]["kind"] == "image"
    assert record["fields"]["caption"]["facts"]["words"] == 3
    at = f"/records/{outcome['id']}/content"
    assert (await http.get(at, params={"field": "photo"})).content == picture()
    assert (await http.get(at, params={"field": "caption"})).text == "a brown square"
    assert (await http.get(at, params={"field": "sound"})).json()["code"] == "no-such-field"


async def test_fields_that_the_dataset_has_not_are_refused(http: httpx.AsyncClient) -> None:
    await make(http, "captions", photo="image", caption="text")
    files = [("photo", ("a.png", picture(), "image/png"))]
    answer = await http.post("/datasets/captions/records", files=files)
    assert answer.status_code == 422
    assert answer.json()["code"] == "fields-differ"


async def test_a_dataset_counts_its_records_and_names_their_labels(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    for shade, label in enumerate(["dog", "Cat", "cat", ""]):
        await upload(http, picture(shade=shade), label=label)
    await shelved(4)
    found = (await http.get("/datasets/photos")).json()
    assert found["records"] == 4
    assert found["labels"] == ["Cat", "cat", "dog"]
    (listed,) = (await http.get("/datasets")).json()["items"]
    assert listed["records"] == 4


async def test_records_are_found_by_dataset_kind_split_and_whether_they_are_synthetic(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await make(http, "words", text="text")
    await upload(http, picture(shade=1), split="train")
    await upload(http, picture(shade=2), synthetic=True)
    await http.post("/datasets/words/records", json={"items": [{"text": "one"}]})
    await shelved(3)
    for query, count in (
        ("dataset=photos", 2),
        ("kind=text", 1),
        ("split=train", 1),
        ("synthetic=true", 1),
        ("synthetic=false", 2),
        ("dataset=photos&synthetic=false&split=", 0),
        ("dataset=photos&dataset=words", 3),
        ("dataset=none", 0),
    ):
        listed = (await http.get(f"/records?{query}")).json()["items"]
        counted = (await http.get(f"/records/count?{query}")).json()
        assert len(listed) == count, query
        assert counted == {"records": count, "exact": True}, query


async def test_a_dataset_is_edited_archived_and_removed(http: httpx.AsyncClient) -> None:
    await make(http, "photos", photo="image")
    change = {"licence": "CC0", "archived": True}
    edited = (await http.patch("/datasets/photos", json=change)).json()
    assert edited["licence"] == "CC0"
    assert edited["archived_at"] is not None
    assert (await upload(http, picture())).json()["code"] == "dataset-archived"
    assert (await http.delete("/datasets/photos")).status_code == 204
    assert (await http.get("/datasets/photos")).status_code == 404


async def test_a_dataset_with_records_is_not_removed(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await upload(http, picture())
    await shelved(1)
    answer = await http.delete("/datasets/photos")
    assert answer.status_code == 409
    assert answer.json()["code"] == "dataset-not-empty"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "x", "fields": {"a": "hologram"}}, "no-such-kind"),
        ({"name": "drawings", "fields": {"photo": "image"}}, "dataset-reserved"),
        ({"name": "Photos!", "fields": {"photo": "image"}}, "invalid-values"),
        ({"name": "x", "fields": {}}, "invalid-values"),
    ],
)
async def test_a_dataset_that_cannot_be_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any], code: str
) -> None:
    assert (await http.post("/datasets", json=body)).json()["code"] == code


async def test_bytes_are_found_by_their_hash(http: httpx.AsyncClient, shelved: Shelved) -> None:
    await make(http, "photos", photo="image")
    (outcome,) = (await upload(http, picture())).json()
    await shelved(1)
    digests = [hashlib.sha256(one).hexdigest() for one in (picture(), b"other")]
    answer = await http.post("/blobs:lookup", json={"sha256": digests})
    assert answer.json() == {"records": {digests[0]: [outcome["id"]]}}


async def test_another_workspace_sees_nothing_of_it(
    http: httpx.AsyncClient, server: Context, outsider: Who, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await upload(http, picture())
    await shelved(1)
    from volano.data.datasets import service as datasets

    assert (await datasets.datasets(server, outsider, after="", limit=10)).items == []
    digest = hashlib.sha256(picture()).hexdigest()
    assert (await datasets.known(server, outsider, [digest])).records == {}


async def test_a_snapshot_of_a_dataset_is_scanned_with_small_and_large_payloads(
    http: httpx.AsyncClient, server: Context, boss: Who, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await make(http, "words", text="text")
    sent = {}
    for data, label in ((picture(), "small"), (large_picture(), "large")):
        (outcome,) = (await upload(http, data, label=label, contributor=label)).json()
        sent[outcome["id"]] = data
    await http.post("/datasets/words/records", json={"items": [{"text": "one"}]})
    await shelved(3)
    new = NewSnapshot(name="pictures", dataset="photos", split=SplitRule(by="record"))
    snapshot = await service.freeze(server, boss, new)
    assert snapshot.records == 2
    found, types = {}, set()
    async for batch in service.scan(server, boss.workspace, snapshot.id):
        for row in batch.to_pylist():
            found[row["record_id"]] = row["payload"]
            types.add(row["media_type"])
    assert found == sent
    assert types == {"image/png"}


async def test_a_scan_gives_the_columns_that_are_asked_for(
    http: httpx.AsyncClient, server: Context, boss: Who, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await upload(http, picture(), label="cat")
    await shelved(1)
    snapshot = await service.freeze(server, boss, NewSnapshot(name="one"))
    batches = service.scan(server, boss.workspace, snapshot.id, ["train"], ["label", "record_id"])
    rows = [row async for batch in batches for row in batch.to_pylist()]
    assert [row["label"] for row in rows] == ["cat"]
    assert list(rows[0]) == ["label", "record_id"]
    others = service.scan(server, boss.workspace, snapshot.id, columns=["payload"])
    assert [row async for batch in others for row in batch.to_pylist()] == [{"payload": picture()}]


async def test_each_of_several_fields_is_a_column_of_a_stage(
    http: httpx.AsyncClient, server: Context, boss: Who, shelved: Shelved, tmp_path: Path
) -> None:
    await make(http, "captions", photo="image", caption="text")
    files = [
        ("caption", (None, "a brown square", "text/plain")),
        ("photo", ("a.png", picture(), "image/png")),
    ]
    assert (await http.post("/datasets/captions/records", files=files)).status_code == 201
    await shelved(1)
    snapshot = await service.freeze(server, boss, NewSnapshot(name="captions"))
    await service.stage(server, boss.workspace, snapshot.id, tmp_path)
    (row,) = pq.read_table(tmp_path / "train.parquet").to_pylist()
    assert row["photo"] == picture()
    assert row["caption"] == b"a brown square"
    assert pq.read_table(tmp_path / "test.parquet").num_rows == 0


async def test_records_of_several_kinds_are_not_frozen_together(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "photos", photo="image")
    await make(http, "words", text="text")
    await upload(http, picture())
    await http.post("/datasets/words/records", json={"items": [{"text": "one"}]})
    await shelved(2)
    refused = await http.post("/snapshots", json={"name": "both"})
    assert refused.status_code == 422
    assert refused.json()["code"] == "several-kinds"
    frozen = await http.post("/snapshots", json={"name": "one", "dataset": "words"})
    assert frozen.status_code == 201
    assert frozen.json()["filter"]["datasets"] == ["words"]


async def test_an_export_has_every_kind(http: httpx.AsyncClient, shelved: Shelved) -> None:
    await make(http, "photos", photo="image")
    await make(http, "words", text="text")
    await upload(http, picture(), label="cat", name="a.png")
    await http.post("/datasets/words/records", json={"items": [{"text": "Grüße"}]})
    await shelved(2)
    lines = (await http.get("/records/export")).text.splitlines()
    by_dataset = {one["dataset"]: one for one in map(json.loads, lines)}
    assert base64.b64decode(by_dataset["photos"]["data"]) == picture()
    assert by_dataset["photos"]["label"] == "cat"
    assert by_dataset["photos"]["facts"]["name"] == "a.png"
    assert by_dataset["words"]["text"] == "Grüße"


async def test_a_large_payload_of_a_record_that_waits_survives_a_sweep(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    await make(http, "files", file="file")
    data = bytes(range(256)) * 2048
    headers = {"content-type": "audio/wav"}
    answer = await http.post("/datasets/files/records", content=data, headers=headers)
    (outcome,) = answer.json()
    orphan = await server.blobs.put(boss.workspace, b"of nobody")
    at_once = replace(server, settings=replace(server.settings, blob_grace_s=0.0))
    for _ in range(2):  # the first marks, the second deletes
        await asyncio.sleep(0.002)
        await upkeep.sweep(at_once, boss.workspace)
    assert not await server.blobs.exists(boss.workspace, orphan)
    assert (await http.get(f"/records/{outcome['id']}/content")).content == data


async def test_a_large_file_goes_in_and_out_in_bounded_memory(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    await make(http, "files", file="file")
    piece, count = bytes(2**20), 48

    async def body() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield piece

    tracemalloc.start()
    try:
        headers = {"content-type": "video/mp4"}
        answer = await http.post("/datasets/files/records", content=body(), headers=headers)
        (outcome,) = answer.json()
        found = await records.sized(server, boss, outcome["id"])
        size = 0
        async for one in records.stream(server, boss.workspace, found, 0, found.record.bytes):
            size += len(one)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == count * 2**20
    assert peak < 16 * 2**20


async def test_fields_are_exported_and_rated_each_by_its_kind(
    http: httpx.AsyncClient, shelved: Shelved
) -> None:
    await make(http, "rows", note="text", row="table")
    item = {"fields": {"row": {"json": {"a": 1, "b": None}}, "note": {"text": "two words"}}}
    answer = await http.post("/datasets/rows/records", json={"items": [item]})
    assert answer.json()[0]["stored"] is True
    await shelved(1)
    line = json.loads((await http.get("/records/export")).text)
    assert line["values"]["note"]["text"] == "two words"
    assert json.loads(line["values"]["row"]["text"]) == {"a": 1, "b": None}
    assert line["quality"] == 0.5
    assert [part["name"] for part in line["quality_parts"]["parts"]] == ["note.words", "row.filled"]


async def test_a_drawing_without_an_id_is_given_one(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    await ask_for(server, boss, "square")
    given = msgspec.to_builtins(drawing("square"))
    del given["id"]
    one = await http.post("/drawings", json=given)
    two, three = (await http.post("/drawings", json=[given, given])).json()
    assert one.status_code == 201
    ids = {one.json()["id"], two["id"], three["id"]}
    assert len(ids) == 3
    for id in ids:
        assert (await http.get(f"/records/{id}")).json()["dataset"] == "drawings"


async def test_drawings_go_into_a_dataset_of_their_own_and_not_into_the_game(
    http: httpx.AsyncClient, server: Context, boss: Who, shelved: Shelved
) -> None:
    await ask_for(server, boss, "square")
    await make(http, "sketches", sketch="drawing")
    given = msgspec.to_builtins(drawing("square"))
    items = {"items": [{"json": {**given, "id": None}, "label": "square"}]}
    refused = (await http.post("/datasets/sketches/records", json=items)).json()[0]
    assert refused["code"] == "content-unreadable"
    del given["id"]
    items = {"items": [{"json": given, "label": "square"}]}
    (outcome,) = (await http.post("/datasets/sketches/records", json=items)).json()
    await shelved(1)
    drawn = (await http.get(f"/records/{outcome['id']}/drawing")).json()
    assert drawn["shape"] == "square"
    assert drawn["dataset"] == "sketches"
    (shape,) = (await http.get("/shapes")).json()["items"]
    assert shape["drawings"] == 0


async def test_labels_that_look_alike_are_one(http: httpx.AsyncClient, shelved: Shelved) -> None:
    await make(http, "photos", photo="image")
    await upload(http, picture(), label="cafe\u0301")
    await shelved(1)
    assert (await http.get("/datasets/photos")).json()["labels"] == ["caf\u00e9"]
    found = await http.get("/records/count", params={"label": "cafe\u0301"})
    assert found.json()["records"] == 1


@pytest.mark.parametrize("label", ["a\nb", "\x7f", "x" * 201])
async def test_a_label_that_cannot_be_is_refused(http: httpx.AsyncClient, label: str) -> None:
    await make(http, "photos", photo="image")
    answer = await upload(http, picture(), label=label)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-values"
