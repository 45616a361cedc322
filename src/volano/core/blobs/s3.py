"""Blobs as objects of an S3 bucket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from volano.schemas.blobs import BlobsUnavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CHUNK = 2**20
PART = 8 * 2**20

# The library's defaults (10 tries, 180 s) would outlive every request that waits for them.
RETRY: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {
        "init_backoff": timedelta(milliseconds=50),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}


class S3Backend:
    """Objects of one bucket, below a prefix; an http endpoint is taken without encryption.

    A put replaces an equal object, which renews its age, and S3 makes it durable itself.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        region: str,
        keys: tuple[str, str] | None,
    ) -> None:
        client: ClientConfig = {
            "timeout": "60s",
            "connect_timeout": "3s",
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        }
        given = {"endpoint": endpoint} if endpoint else {}
        if keys:
            given |= {"access_key_id": keys[0], "secret_access_key": keys[1]}
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            region=region,
            client_options=client,
            retry_config=RETRY,
            **given,  # type: ignore[arg-type] # all of them are options that take text
        )

    async def put(self, key: str, data: bytes) -> None:
        await self._put(key, data)

    async def put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as file:
            await self._put(key, file)

    async def _put(self, key: str, source: bytes | BinaryIO) -> None:
        with _answered("put"):
            try:
                await obstore.put_async(
                    self._store, key, source, chunk_size=PART, max_concurrency=4
                )
            except FileNotFoundError as error:
                raise BlobsUnavailable(operation="put, there is no such bucket") from error

    async def get(self, key: str) -> bytes:
        with _answered("get"):
            result = await obstore.get_async(self._store, key)
            return (await result.bytes_async()).to_bytes()

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        try:
            data = await obstore.get_range_async(self._store, key, start=start, length=length)
        except BaseError:
            # S3 refuses a range behind the end with the same error as everything else.
            if start >= await self.size(key):
                return b""
            raise BlobsUnavailable(operation="get") from None
        return data.to_bytes()

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        with _answered("get"):
            result = await obstore.get_async(self._store, key)
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def size(self, key: str) -> int:
        with _answered("head"):
            return (await obstore.head_async(self._store, key))["size"]

    async def delete(self, key: str, before: datetime | None) -> bool:
        with _answered("delete"):
            try:
                found = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return False
            if before and found["last_modified"] >= before:
                return False
            await obstore.delete_async(self._store, key)
            return True

    async def list(self, folder: str) -> AsyncIterator[tuple[str, int, datetime]]:
        with _answered("list"):
            async for page in obstore.list(self._store, prefix=folder, chunk_size=1000):
                for found in page:
                    yield found["path"], found["size"], found["last_modified"]


@contextmanager
def _answered(operation: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise BlobsUnavailable(operation=operation) from error
