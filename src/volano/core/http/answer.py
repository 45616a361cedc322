"""What an operation answers beside a plain value, and how an answer goes onto the wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

T = TypeVar("T")

Headers = Mapping[str, str]


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """A typed value with a status or headers that depend on the request."""

    value: T
    status: int | None = None
    headers: Headers = {}


class Raw(msgspec.Struct, frozen=True):
    """Bytes as they are."""

    body: bytes
    media_type: str = "application/octet-stream"
    headers: Headers = {}
    status: int | None = None

    async def send(self, scope: Scope, receive: Receive, send: Send, status: int) -> None:
        """Answer with these bytes, to HEAD with their head alone."""
        headers = [
            (b"content-type", self.media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.headers:
            headers += wire(self.headers)
        status = self.status or status
        if status in (204, 304):
            # They have no body, so they name no type and no length (RFC 9110, 8.6).
            del headers[:2]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


class Stream(msgspec.Struct, frozen=True):
    """Bytes as they come; the deadline of the request ends where the stream begins.

    The chunks are closed when they end, when they fail and when the client goes.
    """

    chunks: AsyncIterator[bytes]
    media_type: str = "application/octet-stream"
    headers: Headers = {}
    status: int | None = None

    async def send(self, scope: Scope, receive: Receive, send: Send, status: int) -> None:
        """Answer chunk by chunk; a failure on the way cuts the connection, so it is seen.

        Raises: ClientGone.
        """
        headers = [(b"content-type", self.media_type.encode("latin-1")), *wire(self.headers)]
        async with _closing(self.chunks), _while_there(receive):
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status or status,
                    "headers": headers,
                }
            )
            if scope["method"] != "HEAD":
                async for chunk in self.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


@asynccontextmanager
async def _while_there(receive: Receive) -> AsyncIterator[None]:
    """Cancel what runs inside when the client closes the connection: `send` would not tell.

    Raises: ClientGone.
    """

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as gone:
            watching = asyncio.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not gone.expired():
            raise
        raise ClientGone from None


class ClientGone(Exception):
    """The client closed the connection before the request was complete."""


def wire(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI sends them."""
    return [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers.items()]
