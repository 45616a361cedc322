"""Drawings over HTTP: one, several, and packed."""

import msgspec
import pytest

from tests.stages import Connect, ask_for, drawing, imports
from volano.core.context import Context
from volano.data.formats.drawings import encode
from volano.labeling.intake import BINARY_MEDIA_TYPE
from volano.schemas.accounts import Who
from volano.schemas.data import NewDrawing


@pytest.fixture(autouse=True)
async def _shapes(server: Context, boss: Who) -> None:
    await ask_for(server, boss, "square")


def _packed(*batch: NewDrawing) -> bytes:
    return msgspec.msgpack.encode([[one.id, one.shape, encode(one).payload] for one in batch])


async def test_one_drawing_is_acknowledged_and_counted(connect: Connect) -> None:
    http, new = await connect("contributor"), drawing("square")
    answer = await http.post("/drawings", content=msgspec.json.encode(new))
    assert (201, new.id, True) == (answer.status_code, answer.json()["id"], answer.json()["stored"])
    assert (await http.get("/user/stats")).json()["by_shape"] == {"square": 1}


async def test_a_refused_single_drawing_is_a_problem(connect: Connect) -> None:
    http = await connect("contributor")
    answer = await http.post("/drawings", content=msgspec.json.encode(drawing("none")))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-shape")


async def test_a_list_is_answered_drawing_by_drawing(connect: Connect) -> None:
    batch = [drawing("square"), drawing("none")]
    http = await connect("contributor")
    answer = await http.post("/drawings", content=msgspec.json.encode(batch))
    assert [one["stored"] for one in answer.json()] == [True, False]


@pytest.mark.parametrize("count", [0, 51])
async def test_a_list_has_1_to_50_drawings(connect: Connect, count: int) -> None:
    body = msgspec.json.encode([drawing("square")] * count)
    answer = await (await connect("contributor")).post("/drawings", content=body)
    assert answer.status_code == 422


async def test_packed_drawings_are_the_same_drawings(connect: Connect) -> None:
    http, batch = await connect("contributor"), [drawing("square", seed=n) for n in range(5)]
    headers = {"content-type": BINARY_MEDIA_TYPE}
    first = await http.post("/drawings", content=_packed(*batch), headers=headers)
    assert [(one.id, True, False) for one in batch] == [
        (one["id"], one["stored"], one["duplicate"]) for one in first.json()
    ]
    again = await http.post("/drawings", content=msgspec.json.encode(batch))
    assert [one["duplicate"] for one in again.json()] == [True] * 5
    assert (await http.get("/user/stats")).json()["total_drawings"] == 5


async def test_a_torn_packed_body_is_unreadable(connect: Connect) -> None:
    http, headers = await connect("contributor"), {"content-type": BINARY_MEDIA_TYPE}
    torn = _packed(drawing("square"))[:-3]
    answer = await http.post("/drawings", content=torn, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable-body")


async def test_only_some_may_import(connect: Connect) -> None:
    body = msgspec.json.encode(imports(["square"], ["ada"]))
    statuses = [
        (await (await connect(role)).post("/drawings/import", content=body)).status_code
        for role in ("contributor", "developer")
    ]
    assert statuses == [403, 201]


async def test_a_shape_is_added_by_an_admin_and_seen_by_all(connect: Connect) -> None:
    made = await (await connect("admin")).post("/shapes", json={"name": "star"})
    assert made.status_code == 201
    listed = await (await connect("contributor")).get("/shapes")
    assert [one["name"] for one in listed.json()["items"]] == ["square", "star"]
    twice = await (await connect("admin")).post("/shapes", json={"name": "star"})
    assert (twice.status_code, twice.json()["code"]) == (409, "name-taken")


@pytest.mark.parametrize("contributor", ["a\x00b", "", "x" * 65])
async def test_a_contributor_that_cannot_be_stored_is_refused(
    connect: Connect, contributor: str
) -> None:
    body = msgspec.to_builtins(imports(["square"], ["ada"]))
    body["drawings"][0]["contributor"] = contributor
    assert (
        await (await connect("developer")).post("/drawings/import", json=body)
    ).status_code == 422
