"""Every failure is one kind of document, and says nothing that it should not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.http.things import Thing
from volano.core.context import Context
from volano.core.http import PUBLIC, ByteStream, Routes
from volano.schemas.accounts import Who
from volano.schemas.common import Id, Overloaded
from volano.schemas.errors import Missing, from_problem


class ThingMissing(Missing):
    """There is no thing {id!r}."""


async def test_an_error_of_ours_is_told_with_its_facts(client: Any, routes: Routes) -> None:
    @routes.get("/{id}", allow="read", errors=(ThingMissing,))
    async def show(ctx: Context, who: Who, id: Id) -> Thing:
        raise ThingMissing(id=id)

    answer = await client().get("/api/things/a", headers={"x-request-id": "r1"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert {
        "type": "urn:volano:error:thing-missing",
        "title": "thing missing",
        "status": 404,
        "code": "thing-missing",
        "detail": "There is no thing 'a'.",
        "remedy": ThingMissing.remedy,
        "facts": {"id": "a"},
        "instance": "/api/things/a",
        "request_id": "r1",
    } == answer.json()
    assert ThingMissing is type(from_problem(answer.json()))


async def test_an_unknown_exception_is_told_without_its_text(client: Any, routes: Routes) -> None:
    @routes.get(allow=PUBLIC)
    async def fail(ctx: Context, who: None) -> None:
        raise RuntimeError("password=hunter2")

    answer = await client().get("/api/things")

    assert (answer.status_code, answer.json()["code"]) == (500, "broken")
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_full_disk_is_told_as_one_wherever_it_was_met(client: Any, routes: Routes) -> None:
    @routes.get(allow=PUBLIC)
    async def fill(ctx: Context, who: None) -> None:
        Path("/dev/full").write_text("more")

    answer = await client().get("/api/things")

    assert answer.status_code == 507
    assert answer.json()["code"] == "storage-full"
    assert answer.json()["facts"] == {"reason": "No space left on device"}


@pytest.mark.parametrize(("facts", "expected"), [({}, "1"), ({"retry_after_s": 2.2}, "3")])
async def test_overload_says_when_to_come_back(
    client: Any, routes: Routes, facts: dict[str, float], expected: str
) -> None:
    @routes.get(allow=PUBLIC)
    async def refuse(ctx: Context, who: None) -> None:
        raise Overloaded(**facts)

    answer = await client().get("/api/things")

    assert (503, expected) == (answer.status_code, answer.headers["retry-after"])


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/api/v1/things/", "/api/v1//things"])
async def test_nothing_there_is_404(client: Any, path: str) -> None:
    answer = await client().get(path)

    assert (404, "unknown-path", path) == (
        answer.status_code,
        answer.json()["code"],
        answer.json()["facts"]["path"],
    )


async def test_a_method_that_is_not_there_is_405_with_the_others(
    client: Any, routes: Routes
) -> None:
    @routes.get(allow=PUBLIC)
    async def listing(ctx: Context, who: None) -> None: ...
    @routes.post(allow="train")
    async def make(ctx: Context, who: Who) -> None: ...

    one = client()
    refused, asked = await one.put("/api/things"), await one.options("/api/things")

    assert (refused.status_code, refused.json()["code"]) == (405, "method-not-allowed")
    assert asked.status_code == 204
    assert "GET, HEAD, OPTIONS, POST" == refused.headers["allow"] == asked.headers["allow"]


async def test_no_key_is_told_how_to_send_one(client: Any, routes: Routes) -> None:
    @routes.get(allow="read")
    async def listing(ctx: Context, who: Who) -> None: ...

    answer = await client("").get("/api/things")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_refused_head_has_no_body(client: Any) -> None:
    answer = await client().head("/nothing")

    assert (answer.status_code, answer.content) == (404, b"")


async def test_a_stream_that_breaks_is_cut_and_not_completed(live: Any, routes: Routes) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("half way")

    @routes.get(allow=PUBLIC, produces="text/plain")
    async def stream(ctx: Context, who: None) -> ByteStream:
        return ByteStream(broken(), "text/plain")

    reader, writer = await asyncio.open_connection("127.0.0.1", await live())
    writer.write(b"GET /api/things HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert b"first" in answer
    assert not answer.endswith(b"0\r\n\r\n")
