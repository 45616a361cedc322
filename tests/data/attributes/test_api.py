"""What is stated of records after they came: corrected, flagged, tagged, and never forgotten."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.data.datasets.test_api import make, picture, upload
from tests.stages import Connect, working
from volano.core.context import Context
from volano.data import service
from volano.schemas.accounts import Who
from volano.schemas.attributes import AttributeChange
from volano.schemas.errors import Missing

Json = dict[str, Any]


@pytest.fixture
async def http(connect: Connect) -> httpx.AsyncClient:
    """A client with the role that trains, and a dataset of photos."""
    client = await connect("developer")
    del client.headers["content-type"]
    await make(client, "photos", photo="image")
    return client


async def added(http: httpx.AsyncClient, shade: int = 100, **facts: Any) -> str:
    """Upload a picture; return its id."""
    answer = await upload(http, picture(shade=shade), **facts)
    assert answer.status_code == 201
    return str(answer.json()[0]["id"])


async def state(http: httpx.AsyncClient, id: str, name: str, value: Any) -> httpx.Response:
    return await http.post(f"/records/{id}/attributes", json={"name": name, "value": value})


async def count(http: httpx.AsyncClient, **query: Any) -> int:
    answer = await http.get("/records/count", params=query)
    assert answer.status_code == 200
    return int(answer.json()["records"])


async def test_a_corrected_label_is_found_counted_and_has_a_history(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        id = await added(http, label="kat")
        answer = await state(http, id, "label", "cat")
    assert answer.status_code == 201
    assert [(one["name"], one["value"]) for one in answer.json()] == [
        ("label", "kat"),
        ("label", "cat"),
    ]
    assert answer.json()[0]["by"] == ""
    assert answer.json()[1]["by"] != ""
    assert (await http.get(f"/records/{id}")).json()["label"] == "cat"
    assert await count(http, label="cat") == 1
    assert await count(http, label="kat") == 0
    assert (await http.get("/datasets/photos")).json()["labels"] == ["cat"]
    assert (await http.get(f"/records/{id}/attributes")).json() == answer.json()
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_what_is_known_already_is_not_stated_again(
    http: httpx.AsyncClient, server: Context
) -> None:
    async with working(server):
        id = await added(http, label="cat")
        answer = await state(http, id, "label", "cat")
    assert answer.status_code == 201
    assert answer.json() == []


async def test_labels_are_corrected_in_bulk_after_a_look_at_how_many(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    change = {"name": "label", "value": "cat", "filter": {"labels": ["kat"]}}
    async with working(server):
        for shade in range(3):
            await added(http, shade, label="kat")
        await added(http, 7, label="dog")
        looked = await http.post("/records/attributes", json=change | {"dry_run": True})
        assert looked.json() == {"records": 3, "unchanged": 0}
        assert await count(http, label="kat") == 3
        answer = await http.post("/records/attributes", json=change)
        again = await http.post("/records/attributes", json=change)
    assert answer.json() == {"records": 3, "unchanged": 0}
    assert again.json() == {"records": 0, "unchanged": 0}
    assert await count(http, label="cat") == 3
    assert await count(http, label="dog") == 1
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_flags_come_and_go_and_a_filter_leaves_out_what_has_one(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        id = await added(http, label="cat")
        await state(http, id, "flag", "blurry")
        await state(http, id, "flag", "dark")
    assert (await http.get(f"/records/{id}")).json()["flags"] == ["blurry", "dark"]
    assert await count(http, without_flag="blurry") == 0
    answer = await state(http, id, "unflag", "blurry")
    assert [(one["name"], one["value"]) for one in answer.json()] == [
        ("flag", "blurry"),
        ("flag", "dark"),
        ("unflag", "blurry"),
    ]
    assert (await http.get(f"/records/{id}")).json()["flags"] == ["dark"]
    assert await count(http, without_flag="blurry") == 1
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_split_and_quality_are_promoted_and_tags_are_kept(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        id = await added(http, label="cat", split="train")
        await state(http, id, "split", "test")
        await state(http, id, "quality", 0.25)
        await state(http, id, "weather", {"sky": "grey"})
    record = (await http.get(f"/records/{id}")).json()
    assert record["split"] == "test"
    assert record["quality"] == 0.25
    assert await count(http, split="test") == 1
    assert await count(http, min_quality=0.3) == 0
    stated = (await http.get(f"/records/{id}/attributes")).json()
    assert stated[-1]["value"] == {"sky": "grey"}
    assert [one["value"] for one in stated if one["name"] == "split"] == ["train", "test"]
    unrated = await state(http, id, "quality", None)
    assert unrated.json()[-1]["value"] is None
    assert (await http.get(f"/records/{id}")).json()["quality"] is None
    assert await service.recount(server, boss.workspace, repair=False) == []


async def test_what_a_record_came_with_is_the_beginning_of_its_history(
    http: httpx.AsyncClient, server: Context
) -> None:
    boxes = [{"label": "cat", "box": [1, 2, 3, 4]}]
    item = {"text": "a cat", "label": "cat", "attributes": {"boxes": boxes}}
    await make(http, "texts", text="text")
    async with working(server):
        sent = await http.post("/datasets/texts/records", json={"items": [item]})
        id = sent.json()[0]["id"]
        answer = await state(http, id, "flag", "odd")
    assert [(one["name"], one["value"], one["by"] == "") for one in answer.json()] == [
        ("boxes", boxes, True),
        ("flag", "odd", False),
    ]


async def test_a_snapshot_keeps_the_labels_that_it_froze(
    http: httpx.AsyncClient, server: Context
) -> None:
    new = {"name": "first", "split": {"by": "none"}}
    async with working(server):
        id = await added(http, label="kat")
        before = (await http.post("/snapshots", json=new)).json()
        await state(http, id, "label", "cat")
        after = (await http.post("/snapshots", json=new | {"name": "second"})).json()
    assert before["labels"] == ["kat"]
    assert after["labels"] == ["cat"]
    assert before["hash"] != after["hash"]
    lines = (await http.get(f"/snapshots/{before['id']}/records")).json()["items"]
    assert [line["label"] for line in lines] == ["kat"]
    assert (await http.get("/snapshots/first")).json()["hash"] == before["hash"]


async def test_statements_of_many_at_once_are_all_kept_and_counted_rightly(
    http: httpx.AsyncClient, server: Context, boss: Who
) -> None:
    async with working(server):
        id = await added(http, label="0")
        await state(http, id, "label", "1")
    answers = await asyncio.gather(*(state(http, id, "label", f"{n}") for n in range(2, 12)))
    assert {answer.status_code for answer in answers} == {201}
    stated = (await http.get(f"/records/{id}/attributes")).json()
    assert [one["sequence"] for one in stated] == list(range(1, 13))
    assert {one["value"] for one in stated} == {f"{n}" for n in range(12)}
    assert (await http.get(f"/records/{id}")).json()["label"] == stated[-1]["value"]
    assert await service.recount(server, boss.workspace, repair=False) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label", 7),
        ("label", "two\nlines"),
        ("label", "x" * 201),
        ("split", "Train set"),
        ("quality", 1.5),
        ("flag", "a|b"),
        ("flag", ""),
        ("note", "x" * 300_000),
    ],
)
async def test_what_an_attribute_cannot_be_is_refused(
    http: httpx.AsyncClient, server: Context, name: str, value: Any
) -> None:
    async with working(server):
        id = await added(http, label="cat")
        answer = await state(http, id, name, value)
    assert answer.status_code == 422
    assert answer.json()["code"] == "attribute-refused"
    assert (await http.get(f"/records/{id}/attributes")).json() == []


async def test_one_flag_too_many_is_refused(http: httpx.AsyncClient, server: Context) -> None:
    async with working(server):
        id = await added(http, label="cat")
        answers = [await state(http, id, "flag", f"{n}" * 27) for n in range(8)]
    assert [answer.status_code for answer in answers] == [201] * 7 + [409]
    assert answers[-1].json()["code"] == "too-many-flags"


async def test_which_records_are_meant_must_be_said_in_one_way(http: httpx.AsyncClient) -> None:
    change = {"name": "label", "value": "cat"}
    for which in ({}, {"ids": ["019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10"], "filter": {}}):
        answer = await http.post("/records/attributes", json=change | which)
        assert answer.status_code == 422
        assert answer.json()["code"] == "which-records"


async def test_a_record_of_another_workspace_is_missing(
    http: httpx.AsyncClient, server: Context, outsider: Who
) -> None:
    async with working(server):
        id = await added(http, label="cat")
        assert (await state(http, id, "label", "dog")).status_code == 201
    for ids in ([id], ["019b0c5e-7d31-7c4e-9a50-3f1b6f7f2a10"]):
        change = AttributeChange(name="label", value="mine", ids=ids)
        with pytest.raises(Missing):
            await service.state_all(server, outsider, change)
    assert (await http.get(f"/records/{id}")).json()["label"] == "dog"


async def test_who_may_only_read_states_nothing(http: httpx.AsyncClient, connect: Connect) -> None:
    id = await added(http, label="cat")
    reader = await connect("annotator")
    answer = await state(reader, id, "label", "dog")
    assert answer.status_code == 403
