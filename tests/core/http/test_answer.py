"""Answers of bytes: whole, streamed, and given up when nobody listens any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from volano.core.context import Context
from volano.core.http import PUBLIC, ByteStream, RequestLimits, Response, Routes

GET = b"GET /api/things HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


async def test_a_stream_ends_when_its_client_goes(live: Any, routes: Routes) -> None:
    closed = asyncio.Event()

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick"
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    @routes.get(allow=PUBLIC)
    async def ticks(ctx: Context, who: None) -> ByteStream:
        return ByteStream(forever())

    reader, writer = await asyncio.open_connection("127.0.0.1", await live())
    writer.write(GET)
    await reader.readuntil(b"tick")
    writer.close()

    await asyncio.wait_for(closed.wait(), 10)


@pytest.mark.parametrize("asked", [b"", b"x-deadline-ms: 50\r\n"])
async def test_a_deadline_that_is_asked_for_ends_a_stream_ours_does_not(
    live: Any, routes: Routes, asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(0.5)
        yield b"last"

    @routes.get(allow=PUBLIC, limits=RequestLimits(deadline_ms=50))
    async def ticks(ctx: Context, who: None) -> ByteStream:
        return ByteStream(slowly())

    reader, writer = await asyncio.open_connection("127.0.0.1", await live())
    writer.write(GET[:-2] + asked + b"connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()

    # Without its end, a client knows that the rest is missing.
    assert b"first" in answer
    assert answer.endswith(b"0\r\n\r\n") == (b"last" in answer) == (not asked)
    # Any caller can ask for that, so it must not fill the log.
    assert [line.message for line in caplog.records] == []


async def test_a_stream_that_fails_is_cut_with_one_line_in_the_log(
    live: Any,
    routes: Routes,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("a fault of ours")

    @routes.get(allow=PUBLIC)
    async def ticks(ctx: Context, who: None) -> ByteStream:
        return ByteStream(failing())

    reader, writer = await asyncio.open_connection("127.0.0.1", await live())
    writer.write(GET + GET)  # the second waits for the first
    answer = await reader.read()
    writer.close()

    assert answer.count(b"HTTP/1.1 200") == 1
    assert not answer.endswith(b"0\r\n\r\n")
    assert capsys.readouterr().out.count("request failed") == 1
    assert [line.message for line in caplog.records] == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_is_closed_when_it_ends(client: Any, routes: Routes, method: str) -> None:
    class Chunks:
        """An iterator that is no generator."""

        left = 2

        def __aiter__(self) -> "Chunks":
            return self

        async def __anext__(self) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return b"x"

    @routes.get(allow=PUBLIC, produces="text/plain")
    async def chunks(ctx: Context, who: None) -> ByteStream:
        return ByteStream(Chunks(), "text/plain", {"x-a": "b"}, 206)

    answer = await client().request(method, "/api/things")

    assert answer.status_code == 206
    assert answer.headers["x-a"] == "b"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content == (b"xx" if method == "GET" else b"")


async def test_an_answer_without_a_body_has_no_type(client: Any, routes: Routes) -> None:
    @routes.get(allow=PUBLIC)
    async def unchanged(ctx: Context, who: None) -> Response:
        return Response(None, 304, {"etag": '"x"'})

    answer = await client().get("/api/things")

    assert answer.status_code == 304
    assert answer.headers["etag"] == '"x"'
    assert not {"content-type", "content-length"} & answer.headers.keys()


async def test_an_answer_may_bring_its_own_protection(client: Any, routes: Routes) -> None:
    @routes.get(allow=PUBLIC)
    async def page(ctx: Context, who: None) -> Response:
        return Response(b"", headers={"Content-Security-Policy": "default-src 'self'"})

    headers = (await client().get("/api/things")).headers

    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["x-content-type-options"] == "nosniff"
