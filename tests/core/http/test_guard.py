"""What stands before every request: hosts, origins, sizes, times."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.types import Message

from tests.core.http.things import NewThing, Thing
from volano.core.context import Context
from volano.core.http import PUBLIC, RequestLimits, Routes
from volano.core.http.app import Api
from volano.core.http.guard import Clock, Deadline
from volano.schemas.accounts import Who
from volano.schemas.common import Overloaded


@pytest.fixture
def making(routes: Routes) -> Routes:
    @routes.post(allow="train", limits=RequestLimits(body=50_000, body_s=0.3))
    async def make(ctx: Context, who: Who, body: NewThing) -> Thing:
        return Thing(name=body.name)

    @routes.put(allow="train", natural=True, limits=RequestLimits(body=10 * 2**20))
    async def upload(ctx: Context, who: Who, body: AsyncIterator[bytes]) -> Thing:
        return Thing(name="upload", points=sum([len(piece) async for piece in body]))

    @routes.get("/slow", allow="read")
    async def slow(ctx: Context, who: Who) -> None:
        await asyncio.sleep(5)

    @routes.post("/slow", allow="train", limits=RequestLimits(body_s=0.2, deadline_ms=20_000))
    async def make_slowly(ctx: Context, who: Who, body: NewThing) -> Thing:
        await asyncio.sleep(float(body.name))
        return Thing(name=body.name)

    @routes.get("/own", allow="read")
    async def own_timeout(ctx: Context, who: Who) -> Thing:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(5)
        except TimeoutError:
            return Thing(name="in time")
        raise AssertionError

    return routes


HEAD = (
    b"POST /api/things HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ada\r\n"
    b"content-type: application/json\r\n"
)


async def talk(port: int, head: bytes, pieces: list[bytes], pause_s: float = 0.0) -> bytes:
    """Everything that the server says until it closes or has answered once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    for piece in pieces:
        await asyncio.sleep(pause_s)
        writer.write(piece)
    try:
        async with asyncio.timeout(20):
            answer = await reader.readuntil(b"\r\n\r\n")
            answer += await reader.read(4096)
    finally:
        writer.close()
    return answer


@pytest.mark.usefixtures("making")
async def test_a_declared_body_that_is_too_large_is_413_unread(live: Any) -> None:
    answer = await talk(await live(), HEAD + b"content-length: 50001\r\n\r\n", [])

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert b'"code":"body-too-large"' in answer


@pytest.mark.usefixtures("making")
async def test_a_client_that_sends_too_much_reads_413_and_no_reset(live: Any) -> None:
    size = 5_000_000
    head = HEAD + b"content-length: %d\r\n\r\n" % size

    answer = await talk(await live(), head, [bytes(100_000)] * (size // 100_000))

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.usefixtures("making")
async def test_a_chunked_body_is_counted_while_it_arrives(live: Any) -> None:
    chunk = b"%x\r\n" % 30_000 + bytes(30_000) + b"\r\n"

    answer = await talk(
        await live(), HEAD + b"transfer-encoding: chunked\r\n\r\n", [chunk] * 4 + [b"0\r\n\r\n"]
    )

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.usefixtures("making")
async def test_a_body_that_trickles_in_is_408(live: Any) -> None:
    head = HEAD + b"content-length: 100\r\n\r\n"

    answer = await talk(await live(), head, [b"{"] * 20, pause_s=0.05)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body-too-slow"' in answer


@pytest.mark.usefixtures("making")
async def test_a_limit_of_a_route_replaces_the_servers(client: Any) -> None:
    one = client()

    assert (await one.post("/api/things", json={"name": "a" * 60_000})).status_code == 413
    assert (await one.put("/api/things", content=bytes(5_000_000))).json()["points"] == 5_000_000


@pytest.mark.usefixtures("making")
async def test_a_client_that_leaves_half_way_disturbs_nobody(live: Any) -> None:
    port = await live()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"content-length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()

    answer = await talk(port, HEAD + b"content-length: 12\r\n\r\n", [b'{"name":"a"}'])

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("making")
async def test_what_takes_longer_than_its_deadline_is_504(client: Any) -> None:
    answer = await client().get("/api/things/slow", headers={"x-deadline-ms": "50"})

    assert (answer.status_code, answer.json()["code"]) == (504, "deadline-passed")
    assert answer.json()["facts"]["deadline_ms"] == 50


@pytest.mark.usefixtures("making")
async def test_a_write_that_takes_longer_than_its_deadline_is_504(client: Any) -> None:
    headers = {"x-deadline-ms": "50"}
    answer = await client().post("/api/things/slow", json={"name": "5"}, headers=headers)

    assert answer.status_code == 504
    assert answer.json()["code"] == "deadline-passed"
    assert answer.json()["facts"]["deadline_ms"] == 50


@pytest.mark.usefixtures("making")
async def test_an_answer_may_take_longer_than_its_body(client: Any) -> None:
    answer = await client().post("/api/things/slow", json={"name": "0.5"})

    assert answer.status_code == 200
    assert answer.json()["name"] == "0.5"


@pytest.mark.usefixtures("making")
async def test_a_time_out_of_the_function_itself_is_not_the_deadline(client: Any) -> None:
    assert (await client().get("/api/things/own")).json()["name"] == "in time"


@pytest.mark.parametrize("asked", ["0", "-1", "soon", "", "1e3", "9" * 30])
@pytest.mark.usefixtures("making")
async def test_a_deadline_that_is_no_time_is_refused(client: Any, asked: str) -> None:
    answer = await client().get("/api/things/own", headers={"x-deadline-ms": asked})

    assert (answer.status_code, answer.json()["facts"]["at"]) == (422, "header.x-deadline-ms")


@pytest.mark.parametrize("host", ["evil.example", "test.evil.example", "", "127.0.0.2", "[::1]:80"])
@pytest.mark.usefixtures("making")
async def test_a_host_that_is_not_ours_is_refused(client: Any, host: str) -> None:
    answer = await client().get("/api/things/own", headers={"host": host})

    assert (answer.status_code, answer.json()["code"]) == (403, "host-refused")


@pytest.mark.parametrize("host", ["test", "TEST:8000", "127.0.0.1:1"])
@pytest.mark.usefixtures("making")
async def test_our_host_may_have_any_port(client: Any, host: str) -> None:
    assert (await client().get("/api/things/own", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"cookie": "a=b", "sec-fetch-site": "same-origin"}, 200),
        ({"cookie": "a=b", "origin": "http://test"}, 200),
        ({"cookie": "a=b"}, 403),
        ({"cookie": "a=b", "origin": "null"}, 403),
        ({"cookie": "a=b", "origin": "http://evil.example"}, 403),
        ({"origin": "http://test.evil.example"}, 403),
        ({"origin": "http://test:81"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://test"}, 403),
    ],
)
async def test_pages_of_other_sites_change_nothing(
    client: Any, routes: Routes, headers: dict[str, str], status: int
) -> None:
    @routes.delete(allow=PUBLIC, status=200)
    async def remove(ctx: Context, who: None) -> Thing:
        return Thing(name="gone")

    assert status == (await client().delete("/api/things", headers=headers)).status_code


async def test_a_page_of_another_site_may_link_to_us(client: Any, routes: Routes) -> None:
    headers = {"sec-fetch-site": "cross-site", "cookie": "a=b"}

    assert (await client().get("/healthz/live", headers=headers)).status_code == 204


async def test_every_answer_has_the_headers_that_protect_it(client: Any) -> None:
    one = client()
    for path in ("/healthz/live", "/nothing", "/metrics", "/healthz"):
        headers = (await one.get(path)).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["x-request-id"]
        drawn = headers.get("content-type") != "application/json"
        assert drawn == ("content-security-policy" in headers)


async def test_a_request_keeps_a_decent_id_and_else_gets_one(client: Any) -> None:
    one = client()

    async def id_of(given: str) -> str:
        answer = await one.get("/nothing", headers={"x-request-id": given})
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
        return str(answer.headers["x-request-id"])

    assert await id_of("job-1.a") == "job-1.a"
    for bad in ("", "a b", "x" * 65, "<script>"):
        assert bad != await id_of(bad)


async def test_what_comes_before_refuses_without_reading_the_body(
    app: Callable[..., Api], routes: Routes
) -> None:
    async def before(ctx: Context, who: Who) -> None:
        raise Overloaded(retry_after_s=2.5)

    @routes.post(allow="train", before=before)
    async def take(ctx: Context, who: Who, body: NewThing) -> None:
        raise AssertionError("the body was not to be read")

    async def receive() -> Message:
        raise AssertionError("the body was not to be read")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"test"), (b"authorization", b"Bearer ada"), (b"content-length", b"9")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/things",
        "raw_path": b"/api/things",
        "query_string": b"",
        "headers": headers,
    }
    await app()(scope, receive, send)
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"3"


async def test_no_request_is_given_more_than_ten_minutes() -> None:
    limits = RequestLimits(body=1, body_s=1, deadline_ms=1000)
    asked = (None, b"1", b"600000", b"600001", b"999999999")
    given = [Deadline(Clock(), ms, limits, body=False).ms for ms in asked]
    assert given == [1000, 1, 600_000, 600_000, 600_000]
