"""Snapshots of pictures over HTTP, divided as they came, by content, by group, or not at all."""

from typing import Any

import httpx
import pytest

from tests.data.datasets.test_api import make, picture, upload
from tests.stages import Connect, working
from volano.core.context import Context


@pytest.fixture
async def http(connect: Connect) -> httpx.AsyncClient:
    """A client with the role that trains, and a dataset of photos."""
    client = await connect("developer")
    del client.headers["content-type"]
    await make(client, "photos", photo="image")
    return client


async def freeze(http: httpx.AsyncClient, server: Context, **split: Any) -> httpx.Response:
    async with working(server):
        return await http.post(
            "/snapshots", json={"name": "photos", "dataset": "photos", "split": split}
        )


async def lines(http: httpx.AsyncClient, id: str) -> dict[str, str]:
    """Return the splits of a snapshot's records by their ids."""
    answer = await http.get(f"/snapshots/{id}/records")
    assert answer.status_code == 200
    return {line["id"]: line["split"] for line in answer.json()["items"]}


async def test_splits_that_pictures_came_with_are_kept_and_equal_ones_in_two_are_listed(
    http: httpx.AsyncClient, server: Context
) -> None:
    ids: dict[tuple[str, int], str] = {}
    for split, shades in (("train", (1, 2, 3)), ("val", (4,)), ("test", (3, 5))):
        for shade in shades:
            answer = await upload(http, picture(shade=shade), label=f"{shade % 2}", split=split)
            ids[split, shade] = answer.json()[0]["id"]
    answer = await freeze(http, server, by="given")
    assert answer.status_code == 201
    snapshot = answer.json()
    assert snapshot["by_split"] == {"train": 3, "valid": 1, "test": 2}
    found = await lines(http, snapshot["id"])
    assert found[ids["val", 4]] == "valid"
    assert found[ids["test", 3]] == "test"
    assert found[ids["train", 3]] == "train"
    assert snapshot["overlap"]["contents"] == 1
    assert set(snapshot["overlap"]["records"][0]) == {ids["train", 3], ids["test", 3]}
    assert any("in several splits" in warning for warning in snapshot["warnings"])


async def test_equal_pictures_are_never_in_two_splits_where_content_divides(
    http: httpx.AsyncClient, server: Context
) -> None:
    for shade in range(10):
        for person in ("ada", "bob"):
            await upload(http, picture(shade=shade), label="dark", contributor=person)
    answer = await freeze(http, server, by="content")
    assert answer.json()["by_split"] == {"train": 14, "valid": 2, "test": 4}
    assert answer.json()["contributors"] == 2


async def test_a_group_is_not_divided(http: httpx.AsyncClient, server: Context) -> None:
    scenes: dict[str, set[str]] = {}
    for shade in range(12):
        answer = await upload(http, picture(shade=shade), label="dark", group=f"scene {shade % 4}")
        scenes.setdefault(f"scene {shade % 4}", set()).add(answer.json()[0]["id"])
    answer = await freeze(http, server, by="group")
    assert answer.json()["by_split"] == {"train": 6, "valid": 3, "test": 3}
    found = await lines(http, answer.json()["id"])
    assert all(len({found[id] for id in ids}) == 1 for ids in scenes.values())


async def test_without_a_division_all_train_and_a_warning_says_so(
    http: httpx.AsyncClient, server: Context
) -> None:
    for shade in range(3):
        await upload(http, picture(shade=shade), label=f"{shade}", split="test")
    answer = await freeze(http, server, by="none")
    assert answer.json()["by_split"] == {"train": 3, "valid": 0, "test": 0}
    assert [one.partition(":")[0] for one in answer.json()["warnings"]] == [
        "Nothing validates",
        "Nothing tests",
    ]


@pytest.mark.parametrize("by", ["contributor", "group"])
async def test_what_stays_together_cannot_be_stratified(
    http: httpx.AsyncClient, server: Context, by: str
) -> None:
    answer = await freeze(http, server, by=by, stratified=True)
    assert answer.status_code == 422
    assert answer.json()["code"] == "not-stratified"


async def test_a_snapshot_of_a_dataset_has_only_its_records(
    http: httpx.AsyncClient, server: Context
) -> None:
    await make(http, "others", photo="image")
    await http.post(
        "/datasets/others/records", content=picture(), headers={"content-type": "image/png"}
    )
    await upload(http, picture(shade=7), label="dark")
    answer = await freeze(http, server, by="none")
    assert answer.json()["records"] == 1
    assert answer.json()["filter"]["datasets"] == ["photos"]
