"""What an operation answers beside a plain value, and how an answer goes onto the wire."""

from collections.abc import AsyncIterator, Mapping
from typing import Generic, TypeVar

import msgspec
from starlette.types import Send

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

    async def send(self, send: Send, status: int, *, bodiless: bool = False) -> None:
        """Answer with these bytes, or with their head alone."""
        headers = [
            (b"content-type", self.media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.body)),
        ]
        if self.headers:
            headers += wire(self.headers)
        # 204 and 304 have no body, so they name no type and no length (RFC 9110, 8.6).
        start = headers[2:] if status in (204, 304) else headers
        await send(
            {"type": "http.response.start", "status": self.status or status, "headers": start}
        )
        await send({"type": "http.response.body", "body": b"" if bodiless else self.body})


class Stream(msgspec.Struct, frozen=True):
    """Bytes as they come; the deadline of the request ends where the stream begins."""

    chunks: AsyncIterator[bytes]
    media_type: str = "application/octet-stream"
    headers: Headers = {}
    status: int | None = None

    async def send(self, send: Send, status: int, *, bodiless: bool = False) -> None:
        """Answer chunk by chunk; a failure on the way cuts the connection, so it is seen."""
        headers = [(b"content-type", self.media_type.encode("latin-1")), *wire(self.headers)]
        await send(
            {"type": "http.response.start", "status": self.status or status, "headers": headers}
        )
        if not bodiless:
            async for chunk in self.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def wire(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI sends them."""
    return [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers.items()]
