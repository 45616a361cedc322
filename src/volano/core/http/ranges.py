"""Parts of large answers: the Range header, and streams of which the first piece is there."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from volano.core.http.routes import ByteStream
from volano.schemas.common import RangeUnsatisfiable

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def wanted(asked: str | None, size: int) -> tuple[int, int]:
    """Return where the asked bytes begin and how many they are; all, if several ranges are asked.

    Raises: RangeUnsatisfiable.
    """
    match = _RANGE.fullmatch(asked or "")
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= end:
        raise RangeUnsatisfiable(asked=asked, size=size)
    return start, end - start


async def stream(
    chunks: AsyncGenerator[bytes],
    media_type: str,
    *,
    start: int,
    length: int,
    size: int,
    headers: dict[str, str],
) -> ByteStream:
    """Return the answer with these bytes of a whole of `size`: 206 where they are a part of it.

    Raises: what the chunks raise before the first one, so that it is an error, and no cut stream.
    """
    headers = headers | {"accept-ranges": "bytes", "content-length": str(length)}
    status = 200
    if length != size:
        status = 206
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{size}"
    first = await anext(chunks, b"")
    return ByteStream(_begun(first, chunks), media_type, headers, status)


async def _begun(first: bytes, others: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the first piece and then the others, which end with this."""
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece
