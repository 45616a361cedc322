"""A write that is sent twice takes effect once, on both databases."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.http.things import NewThing, Thing, things
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Database
from volano.core.http import PUBLIC, Answer, Response, Routes
from volano.core.http.idempotency import IdempotencyStore, KeyedRequest, delete_expired, keys
from volano.schemas.accounts import Who
from volano.schemas.common import IdempotencyKeyReused, StillRunning
from volano.schemas.errors import Conflict


@pytest.fixture
def making(routes: Routes) -> Counter[str]:
    """Routes that make things; how often each function ran."""
    ran: Counter[str] = Counter()

    @routes.post(allow="train", status=201)
    async def make(ctx: Context, who: Who, body: NewThing) -> Answer[Thing]:
        ran["make"] += 1
        async with ctx.db.begin(who.workspace) as tx:
            await tx.run(tx.insert(things).values(name=f"{body.name}-{ran['make']}"))
        if body.name == "bad":
            raise Conflict
        if body.name == "slow":
            await asyncio.sleep(0.3)
        return Answer(Thing(name=body.name, points=ran["make"]), 202, {"location": "/x"})

    @routes.put("/{id}", allow="train", natural=True)
    async def put(ctx: Context, who: Who, id: str) -> None:
        ran["put"] += 1

    @routes.post("/public", allow=PUBLIC)
    async def public(ctx: Context, who: None) -> None:
        ran["public"] += 1

    return ran


async def made(ctx: Context, workspace: str = "ws_1") -> list[str]:
    async with ctx.db.read(workspace) as tx:
        return [row.name for row in await tx.all(tx.select(things).order_by(things.c.name))]


async def post(one: Any, key: str, name: str = "a", path: str = "/api/things") -> Any:
    return await one.post(path, json={"name": name}, headers={"idempotency-key": key})


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()

    first, second = await post(one, "k1"), await post(one, "k1")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert (
        second.headers["location"],
        second.headers["idempotency-replayed"],
    ) == ("/x", "true")
    assert "idempotency-replayed" not in first.headers
    assert await made(ctx) == ["a-1"]
    assert making["make"] == 1


async def test_both_addresses_of_an_operation_are_one_request(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()

    first, second = await post(one, "k1"), await post(one, "k1", path="/api/v1/things")

    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_key_of_another_request_is_refused(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()
    await post(one, "k1")

    refused = [await post(one, "k1", "b"), await post(one, "k1", path="/api/things?x=1")]

    assert (refused[0].status_code, refused[0].json()["code"]) == (422, "idempotency-key-reused")
    assert await made(ctx) == ["a-1"]


async def test_a_key_belongs_to_its_member_and_workspace(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    await post(client("ada"), "k1")
    await post(client("eve"), "k1", "b")

    assert await made(ctx, "ws_1") == ["a-1"]
    assert await made(ctx, "ws_2") == ["b-2"]


async def test_two_members_of_one_workspace_may_use_one_key(
    ctx: Context, client: Any, routes: Routes
) -> None:
    @routes.post(allow="label", status=201)
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        async with ctx.db.begin(who.workspace) as tx:
            await tx.run(tx.insert(things).values(name=f"{body.name}-{who.member}"))
        return Thing(name=who.member)

    answers = [await post(client(name), "k1") for name in ("ada", "bob", "ada")]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert [answer.json()["name"] for answer in answers] == ["mem_ada", "mem_bob", "mem_ada"]
    replayed = ["idempotency-replayed" in answer.headers for answer in answers]
    assert replayed == [False, False, True]
    assert await made(ctx) == ["a-mem_ada", "a-mem_bob"]


async def test_an_error_leaves_neither_effect_nor_key(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()

    statuses = [(await post(one, "k1", "bad")).status_code for _ in range(2)]

    assert statuses == [409, 409]
    assert making["make"] == 2
    assert await made(ctx) == []
    assert (await post(one, "k1", "good")).status_code == 202


async def test_while_the_first_runs_the_second_is_told_so(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()

    first = asyncio.create_task(post(one, "k1", "slow"))
    while not making["make"]:
        await asyncio.sleep(0.01)
    second = await post(one, "k1", "slow")

    assert (second.status_code, second.json()["code"]) == (409, "still-running")
    assert (await first).status_code == 202
    assert (await post(one, "k1", "slow")).headers["idempotency-replayed"] == "true"


async def test_fifty_at_once_are_one(ctx: Context, client: Any, making: Counter[str]) -> None:
    one = client()

    answers = await asyncio.gather(*(post(one, "k1", "slow") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {202, 409}
    assert await made(ctx) == ["slow-1"]


async def test_without_a_key_every_request_counts(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()
    for _ in range(2):
        await one.post("/api/things", json={"name": "a"})

    assert await made(ctx) == ["a-1", "a-2"]


async def test_natural_and_public_operations_need_no_key(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()
    for _ in range(2):
        await one.put("/api/things/a", headers={"idempotency-key": "k"})
        await one.post("/api/things/public", headers={"idempotency-key": "k"})

    assert Counter(put=2, public=2) == making


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "ä"])
async def test_a_key_that_is_no_text_is_refused(
    client: Any, making: Counter[str], key: str
) -> None:
    headers = {"idempotency-key": key.encode("latin-1")}
    answer = await client().post("/api/things", json={"name": "a"}, headers=headers)

    assert (answer.status_code, answer.json()["facts"]["at"]) == (422, "header.idempotency-key")


async def test_keys_older_than_seven_days_are_forgotten(
    ctx: Context, client: Any, making: Counter[str]
) -> None:
    one = client()
    await post(one, "old")
    await post(one, "new", "b")
    week = timedelta(days=7)
    for key, age in {
        "old": week + timedelta(minutes=1),
        "new": week - timedelta(minutes=1),
    }.items():
        async with ctx.db.begin(EVERYWHERE) as tx:
            its_row = keys.c.key == key
            made_at = (await tx.all(tx.select(keys).where(its_row)))[0].created_at
            await tx.run(tx.update(keys).where(its_row).values(created_at=made_at - age))

    assert await delete_expired(ctx.db) == 1
    assert await delete_expired(ctx.db) == 0
    assert (await post(one, "new", "b")).headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in (await post(one, "old")).headers


ONCE = KeyedRequest("ws_1", "mem_1", "k", "f")


async def answer(db: Database) -> Response:
    return Response(b"{}", 201, {"x": "y"}, "application/json")


async def test_two_processes_with_one_key_have_one_effect(db: Database) -> None:
    """Two stores are two processes: neither knows what the other is running."""
    ran: list[int] = []

    async def effect(inside: Database) -> Response:
        ran.append(1)
        await asyncio.sleep(0.05)
        return await answer(inside)

    here, there = IdempotencyStore(db), IdempotencyStore(db)
    first, second = await asyncio.gather(here.run(ONCE, effect), there.run(ONCE, effect))

    assert len(ran) == 1
    assert [one.body for one in (first, second)] == [b"{}", b"{}"]
    assert [one.status_code for one in (first, second)] == [201, 201]
    assert sorted(
        (one.headers.get("idempotency-replayed") for one in (first, second)), key=str
    ) == [None, "true"]


async def test_the_rules_hold_on_both_databases(db: Database) -> None:
    here = IdempotencyStore(db)
    await here.run(ONCE, answer)
    here.running.add(("ws_1", "mem_1", "other"))

    with pytest.raises(IdempotencyKeyReused):
        await here.run(KeyedRequest("ws_1", "mem_1", "k", "another"), answer)
    with pytest.raises(StillRunning):
        await here.run(KeyedRequest("ws_1", "mem_1", "other", "f"), answer)
    async with db.read(EVERYWHERE) as tx:
        assert await tx.scalar(tx.select(sa.func.count()).select_from(keys)) == 1
    assert await delete_expired(db) == 0
