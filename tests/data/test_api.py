"""The shelf over HTTP."""

from typing import Any

import httpx
import pytest

from tests.stages import Connect, collect, imports, work_until
from volano.core.context import Context
from volano.data import api as data_api
from volano.data import service
from volano.schemas.accounts import Who
from volano.schemas.data import RecordFilter
from volano.schemas.drawings import DrawingImport
from volano.sdk.data import FREEZING_S

PEOPLE = ["ada", "bob", "eve", "kim", "max"]


@pytest.fixture
async def given(server: Context, boss: Who) -> DrawingImport:
    """Drawings on the shelf."""
    given = imports(["square"], PEOPLE)
    await collect(server, boss, given)

    async def all_there() -> bool:
        page = await service.page(server, boss, RecordFilter(), after="", limit=100)
        return len(page.items) == len(given.drawings)

    await work_until(server, all_there)
    return given


@pytest.fixture
async def http(connect: Connect) -> httpx.AsyncClient:
    """A client with the role that trains."""
    return await connect("developer")


async def test_records_come_in_pages_by_id(given: DrawingImport, http: httpx.AsyncClient) -> None:
    first = (await http.get("/records?limit=3")).json()
    rest = (await http.get(f"/records?limit=3&after={first['next']}")).json()
    found = [record["id"] for record in first["items"] + rest["items"]]
    assert found == sorted(one.drawing.id for one in given.drawings)
    assert rest["next"] is None


async def test_a_filter_is_the_query(given: DrawingImport, http: httpx.AsyncClient) -> None:
    query = "/records?contributor=a*&contributor=bob&label=square&min_quality=0"
    found = (await http.get(query)).json()["items"]
    assert sorted(record["contributor"] for record in found) == ["ada", "bob"]


async def test_a_freeze_that_is_sent_again_freezes_nothing_new(
    given: DrawingImport, http: httpx.AsyncClient
) -> None:
    answers = [await http.post("/snapshots", json={"name": "first"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    listed = (await http.get("/snapshots")).json()["items"]
    assert [one["id"] for one in listed] == [answers[0].json()["id"]]


@pytest.mark.parametrize(
    "query", ["", "label=square", "label=none", "contributor=a*&contributor=bob&min_quality=0"]
)
async def test_a_count_is_that_of_the_listing_with_the_same_query(
    given: DrawingImport, http: httpx.AsyncClient, query: str
) -> None:
    listed = (await http.get(f"/records?{query}")).json()["items"]
    counted = await http.get(f"/records/count?{query}")
    assert counted.status_code == 200
    assert counted.json() == {"records": len(listed), "exact": True}


async def test_flags_and_times_filter_too(given: DrawingImport, http: httpx.AsyncClient) -> None:
    everything = (await http.get("/records")).json()["items"]
    flags = {flag for record in everything for flag in record["flags"]}
    for flag in (*flags, "off-canvas"):
        found = (await http.get("/records", params={"without_flag": flag})).json()["items"]
        assert [one for one in everything if flag not in one["flags"]] == found
    moment = max(record["received_at"] for record in everything)
    earlier = (await http.get("/records", params={"received_before": moment})).json()["items"]
    assert [one for one in everything if one["received_at"] < moment] == earlier
    assert (await http.get("/records?received_before=2026-01-01T00:00:00")).status_code == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/records?after=no-cursor", 422),
        ("/records?after=WyJubyB1dWlkIl0", 422),
        ("/records/count?min_quality=2", 422),
        ("/records/count?limit=1", 422),
        ("/records?limit=0", 422),
        ("/records?min_quality=2", 422),
        ("/records/no-uuid", 404),
        ("/records/no-uuid/drawing", 404),
        ("/records/no-uuid/image", 404),
        ("/snapshots/none", 404),
        ("/snapshots/none/records", 404),
        ("/snapshots?after=nonsense", 422),
    ],
)
async def test_what_does_not_fit_is_refused(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    assert status == (await http.get(path)).status_code


async def test_a_drawing_comes_back_within_an_eighth_of_a_pixel(
    given: DrawingImport, http: httpx.AsyncClient
) -> None:
    sent = given.drawings[0].drawing
    got: dict[str, Any] = (await http.get(f"/records/{sent.id}/drawing")).json()
    points = sent.strokes[0].points
    assert (got["shape"], got["contributor"], got["origin"]) == ("square", "ada", "elsewhere")
    assert len(points) == len(got["strokes"][0]["points"])
    for old, new in zip(points, got["strokes"][0]["points"], strict=True):
        assert max(abs(old.x - new["x"]), abs(old.y - new["y"])) <= 1 / 8


@pytest.mark.parametrize(
    ("query", "media_type", "start"),
    [("", "image/png", b"\x89PNG"), ("?format=svg&size=64", "image/svg+xml", b"<svg")],
)
async def test_a_drawing_is_rendered(
    given: DrawingImport, http: httpx.AsyncClient, query: str, media_type: str, start: bytes
) -> None:
    url = f"/records/{given.drawings[0].drawing.id}/image{query}"
    answers = [await http.get(url) for _ in range(2)]
    assert media_type == answers[0].headers["content-type"].partition(";")[0]
    assert answers[0].content.startswith(start)
    assert answers[0].content == answers[1].content
    assert "immutable" in answers[0].headers["cache-control"]


async def test_an_export_has_a_line_for_every_record(
    given: DrawingImport, connect: Connect
) -> None:
    answer = await (await connect("reviewer")).get("/records/export?contributor=ada")
    assert len(answer.text.splitlines()) == 1
    assert answer.headers["content-type"] == "application/jsonl"
    whole = await (await connect("reviewer")).get("/records/export")
    assert len(PEOPLE) == len(whole.text.splitlines())


async def test_a_snapshot_is_frozen_listed_and_looked_into(
    given: DrawingImport, http: httpx.AsyncClient
) -> None:
    made = await http.post("/snapshots", json={"name": "first"})
    assert made.status_code == 201
    snapshot = made.json()
    assert snapshot == (await http.get(f"/snapshots/{snapshot['id']}")).json()
    assert snapshot == (await http.get("/snapshots/first")).json()
    assert [snapshot] == (await http.get("/snapshots")).json()["items"]
    lines = (await http.get(f"/snapshots/{snapshot['id']}/records?limit=2")).json()
    assert (len(lines["items"]), lines["next"] is not None) == (2, True)


async def test_what_cannot_be_frozen_says_why(http: httpx.AsyncClient) -> None:
    answer = await http.post("/snapshots", json={"name": "none", "filter": {"labels": ["none"]}})
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing-matches")


def test_a_client_waits_as_long_as_a_server_lets_a_freeze_take() -> None:
    (freeze,) = [one for one in data_api.snapshots.operations if one.method == "POST"]
    assert freeze.limits.deadline_ms == 1000 * FREEZING_S
