"""What cannot be read is listed, tried again and deleted, and never keeps a workspace waiting."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest

from tests.serving.graphs import answer
from tests.stages import Connect, ask_for, collect, drawing, imports, until, working
from volano.core.context import Context
from volano.core.segments import quarantine
from volano.core.segments.inbox import Row, row_counts
from volano.core.settings import Settings
from volano.data import service as data
from volano.data.ingest import decode_head, encode_head
from volano.labeling import service as labeling
from volano.loop import upkeep
from volano.schemas.accounts import Who
from volano.schemas.common import utc_now, uuid7
from volano.schemas.data import NewSnapshot, RecordFilter
from volano.schemas.errors import Missing
from volano.schemas.loop import QuarantineRetry
from volano.serving import log
from volano.serving.state import State

PEOPLE = ["ada", "bob", "eve", "kim"]


def row(*, payload: bytes | None = None, head: bytes | None = None, **facts: Any) -> Row:
    """A row as the inbox takes it: a square, but for what is given."""
    given = [(drawing("square"), labeling.Contributor("ada"))]
    (made,) = labeling.make_rows(given, labeling.limits(Settings()), utc_now())
    assert isinstance(made, Row)
    if facts:
        head = encode_head(msgspec.structs.replace(decode_head(made.head), **facts))
    changes = {"payload": payload, "head": head}
    return msgspec.structs.replace(made, **{k: v for k, v in changes.items() if v is not None})


FOREIGN = {
    "no strokes": (row(payload=b"not strokes"), "unknown-codec-version: "),
    "torn strokes": (row(payload=row().payload[:-3]), "payload-"),
    "another kind": (row(kind="hologram"), "unknown-record-kind: Records of the kind 'hologram'"),
    "no head": (row(head=b"\xc1"), "DecodeError: MessagePack data is malformed"),
    "a short head": (row(head=msgspec.msgpack.encode(["drawing"])), "ValidationError: "),
    "a long label": (row(label="x" * 201), "ValidationError: Expected `str` of length <= 200"),
    "a long contributor": (row(contributor="x" * 65), "ValidationError: "),
    "NUL": (row(label="a\0b"), "ValueError: a text with the character NUL"),
    "many strokes": (row(strokes=2**31), "ValidationError: Expected `int` <= 2147483647"),
    "no moment": (row(captured_at=datetime(2026, 1, 1)), "ValidationError: "),  # noqa: DTZ001 - it lacks the zone on purpose
    "no duration": (row(duration_ms=float("nan")), "ValidationError: Expected `float` >= 0.0"),
    "many flags": (row(flags=["odd"] * 8), "ValidationError: "),
}
"""Rows that no client of today can send, with how their reasons begin."""


async def add(ctx: Context, workspace: str, *rows: Row) -> None:
    await ctx.part(data.State).inbox.append(workspace, rows)


async def settled(ctx: Context, workspace: str) -> None:
    """Wait until nothing waits for a segment, while a worker runs."""

    async def nothing_waits() -> bool:
        async with ctx.db.read(workspace) as tx:
            return all(counts.waiting == 0 for counts in (await row_counts(tx)).values())

    async with working(ctx):
        await until(nothing_waits)


async def test_a_workspace_with_foreign_rows_keeps_none_waiting_and_freezes_the_others(
    server: Context, boss: Who, connect: Connect
) -> None:
    await collect(server, boss, imports(["square", "circle"], PEOPLE))
    await add(server, boss.workspace, *(one for one, _ in FOREIGN.values()))
    async with working(server):
        snapshot = await data.freeze(server, boss, NewSnapshot(name="first"))
    assert snapshot.records == 8
    http = await connect("auditor")
    listed = (await http.get("/quarantine")).json()["items"]
    reasons = {one["id"]: one["reason"] for one in listed}
    assert reasons.keys() == {one.key for one, _ in FOREIGN.values()}
    for one, start in FOREIGN.values():
        assert reasons[one.key].startswith(start)
    async with server.db.read(boss.workspace) as tx:
        assert {letters.topic for letters in await server.jobs.dead(tx)} == set()


@pytest.mark.parametrize("kind", ["no head", "a short head", "a long label", "no moment"])
async def test_a_damaged_head_is_told_from_a_fault_also_before_it_is_in_quarantine(
    server: Context, boss: Who, connect: Connect, kind: str
) -> None:
    damaged, reason = FOREIGN[kind]
    await add(server, boss.workspace, damaged)
    http = await connect("developer")

    for path in ("", "/drawing"):
        refused = await http.get(f"/records/{damaged.key}{path}")
        assert refused.status_code == 409
        assert refused.json()["code"] == "quarantined"
        assert refused.json()["facts"]["reason"].startswith(reason)
    assert await data.labels(server, boss.workspace, [damaged.key]) == {}


async def test_a_row_in_quarantine_shows_whose_it_is_and_when_it_came(
    server: Context, boss: Who, connect: Connect
) -> None:
    bad = row(payload=b"bad")
    await add(server, boss.workspace, bad)
    await settled(server, boss.workspace)
    (shown,) = (await (await connect("reviewer")).get("/quarantine")).json()["items"]
    assert shown.pop("received_at").startswith(str(utc_now().year))
    assert shown.pop("reason").startswith("unknown-codec-version")
    assert shown == {"id": bad.key, "stream": "records", "subject": "ada", "bytes": 3}


async def test_the_list_comes_in_pages(server: Context, boss: Who, connect: Connect) -> None:
    bad = sorted((row(payload=b"bad") for _ in range(5)), key=lambda one: one.key)
    await add(server, boss.workspace, *bad)
    await settled(server, boss.workspace)
    http = await connect("developer")
    first = (await http.get("/quarantine?limit=3")).json()
    rest = (await http.get("/quarantine", params={"limit": 3, "after": first["next"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [one.key for one in bad]
    assert rest["next"] is None
    refused = await http.get("/quarantine?after=nonsense")
    assert refused.status_code == 422
    assert refused.json()["code"] == "cursor-refused"


async def test_a_row_is_retried_and_deleted_by_its_id_in_capitals_too(
    server: Context, boss: Who, connect: Connect
) -> None:
    bad = row(payload=b"bad")
    await add(server, boss.workspace, bad)
    await settled(server, boss.workspace)
    http = await connect("admin")

    retried = await http.post("/quarantine/retry", json={"ids": [bad.key.upper()]})
    assert retried.json() == {"rows": 1}
    await settled(server, boss.workspace)
    deleted = await http.delete(f"/quarantine/{bad.key.upper()}")
    assert deleted.status_code == 204
    assert (await http.get("/quarantine")).json()["items"] == []
    refused = await http.delete("/quarantine/bad")
    assert refused.status_code == 422
    assert "'bad' is not a UUID" in refused.json()["detail"]


async def test_another_workspace_sees_and_touches_nothing_of_it(
    server: Context, boss: Who, outsider: Who
) -> None:
    bad = row(payload=b"bad")
    await add(server, boss.workspace, bad)
    await settled(server, boss.workspace)
    page = await upkeep.quarantined(server, outsider, after="", limit=10)
    assert page.items == []
    retried = await upkeep.retry_quarantined(server, outsider, QuarantineRetry())
    assert retried.rows == 0
    with pytest.raises(Missing):
        await upkeep.delete_quarantined(server, outsider, bad.key)


async def test_a_quarantined_record_is_acknowledged_and_says_why_it_cannot_be_shown(
    server: Context, boss: Who, connect: Connect
) -> None:
    bad = row(payload=b"bad")
    await add(server, boss.workspace, bad)
    await settled(server, boss.workspace)
    http = await connect("developer")
    for path in ("", "/drawing", "/image"):
        answer = await http.get(f"/records/{bad.key}{path}")
        assert answer.status_code == 409
        assert answer.json()["code"] == "quarantined"
        assert "unknown-codec-version" in answer.json()["detail"]


async def test_a_drawing_that_is_sent_again_while_it_is_in_quarantine_is_a_duplicate(
    server: Context, boss: Who, hold: Callable[..., Awaitable[None]]
) -> None:
    await ask_for(server, boss, "square", "circle")
    new = drawing("square")
    first = await labeling.submit(server, boss, new)
    await hold(new.id)
    again = await labeling.submit(server, boss, new)
    assert not first.duplicate
    assert again.duplicate
    assert (await labeling.stats(server, boss)).total_drawings == 1
    async with server.db.read(boss.workspace) as tx:
        assert (await row_counts(tx))["records"].total == 1


@pytest.fixture
def hold(server: Context, boss: Who) -> Callable[..., Awaitable[None]]:
    """`await hold(id)` puts a record into quarantine, as a fault did that is mended by now."""

    async def hold(*ids: str) -> None:
        async with server.db.begin(boss.workspace) as tx:
            await quarantine.add(tx, data.STREAM, dict.fromkeys(ids, "the scorer had a bug"))

    return hold


async def test_what_is_retried_goes_onto_the_shelf_once_its_cause_is_gone(
    server: Context, boss: Who, connect: Connect, hold: Callable[..., Awaitable[None]]
) -> None:
    given = imports(["square"], PEOPLE)
    await collect(server, boss, given)
    ids = [one.drawing.id for one in given.drawings]
    await hold(*ids)
    http = await connect("developer")
    one = await http.post("/quarantine/retry", json={"ids": ids[:1]})
    assert one.json() == {"rows": 1}
    all_others = await http.post("/quarantine/retry", json={})
    assert all_others.json() == {"rows": 3}
    await settled(server, boss.workspace)
    page = await data.page(server, boss, RecordFilter(), after=None, limit=10)
    assert sorted(record.id for record in page.items) == sorted(ids)
    assert all(record.quality is not None for record in page.items)


async def test_what_still_cannot_be_read_comes_back(
    server: Context, boss: Who, connect: Connect
) -> None:
    bad = row(payload=b"bad")
    await add(server, boss.workspace, bad)
    await settled(server, boss.workspace)
    http = await connect("admin")
    assert (await http.post("/quarantine/retry", json={})).json() == {"rows": 1}
    assert (await http.get("/quarantine")).json()["items"] == []
    await settled(server, boss.workspace)
    assert [one["id"] for one in (await http.get("/quarantine")).json()["items"]] == [bad.key]


async def test_what_is_deleted_is_gone_and_its_id_is_free(
    server: Context, boss: Who, connect: Connect, hold: Callable[..., Awaitable[None]]
) -> None:
    await ask_for(server, boss, "square")
    new = drawing("square")
    await labeling.submit(server, boss, new)
    http = await connect("admin")
    assert (await http.delete(f"/quarantine/{new.id}")).status_code == 404  # it waits
    await hold(new.id)
    assert (await http.delete(f"/quarantine/{new.id}")).status_code == 204
    assert (await http.delete(f"/quarantine/{new.id}")).status_code == 404
    assert not (await labeling.submit(server, boss, new)).duplicate


@pytest.mark.parametrize("body", [{"ids": []}, {"ids": ["no-uuid"]}, {"all": True}, [], None])
async def test_a_retry_that_names_no_rows_is_refused(connect: Connect, body: Any) -> None:
    answer = await (await connect("admin")).post("/quarantine/retry", json=body)
    assert answer.status_code in (400, 422)


async def test_an_operator_sees_it_in_the_figures_and_the_doctor_tells_of_it(
    server: Context, boss: Who, outsider: Who, connect: Connect
) -> None:
    await add(server, boss.workspace, row(payload=b"bad"), row(payload=b"bad"), row())
    await settled(server, boss.workspace)
    http: httpx.AsyncClient = await connect("admin")
    figures = (await http.get("http://test/metrics")).text.splitlines()
    assert 'volano_rows_quarantined{stream="records"} 2' in figures
    assert 'volano_inbox_rows{stream="records"} 0' in figures
    assert 'volano_rows_total{stream="records"} 3' in figures
    found = await upkeep.examine(server)
    assert found.quarantined == {f"{boss.workspace}/records": 2}
    assert not found.healthy


async def test_a_logged_prediction_that_cannot_be_read_does_not_spoil_the_others(
    server: Context, boss: Who, connect: Connect
) -> None:
    predictions = server.part(State).log
    answers = [answer() for _ in range(20)]
    predictions.add(boss.workspace, answers)
    await predictions.flush()
    bad = Row(str(uuid7()), b"", b"\xc1", b"", "ver_1")
    await predictions.inbox.append(boss.workspace, [bad])
    http = await connect("developer")
    waiting = await http.get(f"/predictions/{bad.key}")
    assert waiting.status_code == 409
    assert waiting.json()["facts"]["reason"].startswith("DecodeError")
    await settled(server, boss.workspace)
    async with server.db.read(boss.workspace) as tx:
        counts = (await row_counts(tx))[log.STREAM]
    assert counts == (0, 1, 21)
    assert (await http.get(f"/predictions/{answers[3].prediction.id}")).json()["label"] == "square"
    refused = await http.get(f"/predictions/{bad.key}")
    assert refused.status_code == 409
    assert refused.json()["code"] == "quarantined"
    (listed,) = (await http.get("/quarantine")).json()["items"]
    assert listed["id"] == bad.key
    assert listed["stream"] == "predictions"
    assert listed["subject"] == "ver_1"
