"""Drawings over HTTP: one, several, and packed."""

import msgspec
import pytest

from tests.stages import Connect, ask_for, drawing, imports
from volano.core.context import Context
from volano.data.formats.drawings import encode
from volano.labeling.service import BINARY_MEDIA_TYPE
from volano.schemas.accounts import Who
from volano.schemas.drawings import NewDrawing


@pytest.fixture(autouse=True)
async def _shapes(server: Context, boss: Who) -> None:
    await ask_for(server, boss, "square")


def _packed(*batch: NewDrawing) -> bytes:
    return msgspec.msgpack.encode([[one.id, one.shape, encode(one).payload] for one in batch])


async def test_one_drawing_is_acknowledged_and_counted(connect: Connect) -> None:
    http, new = await connect("contributor"), drawing("square")
    answer = await http.post("/drawings", content=msgspec.json.encode(new))
    assert answer.status_code == 201
    assert answer.json()["id"] == new.id
    assert answer.json()["stored"]
    assert (await http.get("/user/stats")).json()["by_shape"] == {"square": 1}


async def test_a_refused_single_drawing_is_a_problem(connect: Connect) -> None:
    http = await connect("contributor")
    answer = await http.post("/drawings", content=msgspec.json.encode(drawing("none")))
    assert answer.status_code == 422
    assert answer.json()["code"] == "unknown-shape"


async def test_a_list_is_answered_drawing_by_drawing(connect: Connect) -> None:
    batch = [drawing("square"), drawing("none")]
    http = await connect("contributor")
    answer = await http.post("/drawings", content=msgspec.json.encode(batch))
    assert [one["stored"] for one in answer.json()] == [True, False]


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 201), (50, 201), (51, 422)])
async def test_a_list_has_1_to_50_drawings(connect: Connect, count: int, status: int) -> None:
    body = msgspec.json.encode([drawing("square")] * count)
    answer = await (await connect("contributor")).post("/drawings", content=body)
    assert answer.status_code == status


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 201), (200, 201), (201, 422)])
async def test_an_import_has_1_to_200_drawings(connect: Connect, count: int, status: int) -> None:
    given = msgspec.to_builtins(imports(["square"], ["ada"]))
    given["drawings"] *= count
    answer = await (await connect("admin")).post("/drawings/import", json=given)
    assert answer.status_code == status


async def test_packed_drawings_are_the_same_drawings(connect: Connect) -> None:
    http, batch = await connect("contributor"), [drawing("square", seed=n) for n in range(5)]
    headers = {"content-type": BINARY_MEDIA_TYPE}
    first = await http.post("/drawings", content=_packed(*batch), headers=headers)
    assert [one["id"] for one in first.json()] == [one.id for one in batch]
    assert [one["stored"] for one in first.json()] == [True] * 5
    assert [one["duplicate"] for one in first.json()] == [False] * 5
    again = await http.post("/drawings", content=msgspec.json.encode(batch))
    assert [one["duplicate"] for one in again.json()] == [True] * 5
    assert (await http.get("/user/stats")).json()["total_drawings"] == 5


async def test_a_torn_packed_body_is_unreadable(connect: Connect) -> None:
    http, headers = await connect("contributor"), {"content-type": BINARY_MEDIA_TYPE}
    torn = _packed(drawing("square"))[:-3]
    answer = await http.post("/drawings", content=torn, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "unreadable-body"


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
    assert twice.status_code == 409
    assert twice.json()["code"] == "name-taken"


async def test_shapes_are_listed_in_pages_and_a_foreign_cursor_is_refused(
    connect: Connect,
) -> None:
    http = await connect("admin")
    for name in ("circle", "line"):
        await http.post("/shapes", json={"name": name})
    first = (await http.get("/shapes?limit=2")).json()
    rest = (await http.get("/shapes", params={"limit": 2, "after": first["next"]})).json()
    assert [one["name"] for one in first["items"]] == ["circle", "line"]
    assert [one["name"] for one in rest["items"]] == ["square"]
    assert rest["next"] is None
    refused = await http.get("/shapes?after=nonsense")
    assert refused.status_code == 422
    assert refused.json()["code"] == "cursor-refused"


@pytest.mark.parametrize("contributor", ["a\x00b", "", "x" * 65])
async def test_a_contributor_that_cannot_be_stored_is_refused(
    connect: Connect, contributor: str
) -> None:
    body = msgspec.to_builtins(imports(["square"], ["ada"]))
    body["drawings"][0]["contributor"] = contributor
    assert (
        await (await connect("developer")).post("/drawings/import", json=body)
    ).status_code == 422
