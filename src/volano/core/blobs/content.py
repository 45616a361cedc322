"""Blobs: bytes that are named by their hash, so that what is read can be checked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from blake3 import blake3

from volano.core.blobs import address
from volano.core.blobs.address import StoredBlob
from volano.schemas.blobs import BlobCorrupt, BlobId, BlobMissing, RangeOutside

HASHED_INLINE = 2**18
"""Bytes that are hashed on the event loop: 0.1 ms; more go to a thread."""


LARGEST = 2**53
"""No blob has this many bytes; larger offsets would overflow further down."""


class Backend(Protocol):
    """What keeps bytes under keys. A key that is not there is a FileNotFoundError."""

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` and set its time to now; it is durable when this returns."""

    async def put_file(self, key: str, path: Path) -> None:
        """Store the bytes of a file like `put`."""

    async def get(self, key: str) -> bytes:
        """Return all bytes."""

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return these bytes, or those of them that there are."""

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield all bytes in chunks of about 1 MiB."""

    async def size(self, key: str) -> int:
        """Return the number of bytes."""

    async def delete(self, key: str, before: datetime | None) -> bool:
        """Delete the bytes, durably, if they were put before that time; return whether it did."""

    def list(self, folder: str) -> AsyncIterator[tuple[str, int, datetime]]:
        """Yield key, size and time of everything below a folder, in no stated order."""


class Blobs:
    """Content-addressed bytes, apart for each workspace: one's blobs do not exist for another.

    Every method may also raise BlobsUnavailable, and those that write StorageFull.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def put(self, workspace: str, data: bytes) -> BlobId:
        """Store `data` durably and return its name.

        Putting it again renews its age, for the sweeper, and repairs it. A row that names it needs
        `references.add` in its transaction.
        """
        id = await _hash(data)
        await self._backend.put(address.key(workspace, id), data)
        return id

    async def put_file(self, workspace: str, path: Path) -> BlobId:
        """Store the bytes of a file like `put`; the file must not change meanwhile."""
        id = await asyncio.to_thread(address.blob_id_of_file, path)
        await self._backend.put_file(address.key(workspace, id), path)
        return id

    async def get(self, workspace: str, id: BlobId) -> bytes:
        """Return all bytes, checked. Raises: BlobMissing, BlobCorrupt."""
        with _missing(id):
            data = await self._backend.get(address.key(workspace, id))
        _check(id, await _hash(data))
        return data

    async def get_range(self, workspace: str, id: BlobId, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on, unchecked: only the whole has a hash.

        Raises: BlobMissing, RangeOutside.
        """
        key = address.key(workspace, id)
        with _missing(id):
            if start >= 0 and length > 0 and start + length <= LARGEST:
                data = await self._backend.get_range(key, start, length)
                if len(data) == length:
                    return data
            size = await self._backend.size(key)
        if length == 0 and 0 <= start <= size:
            return b""
        raise RangeOutside(id=id, size=size, start=start, length=length)

    async def stream(self, workspace: str, id: BlobId) -> AsyncIterator[bytes]:
        """Yield all bytes in chunks of about 1 MiB, the last one when the whole is checked.

        Raises: BlobMissing before the first chunk, BlobCorrupt instead of the last one.
        """
        hasher, held = blake3(), b""
        with _missing(id):
            async for chunk in self._backend.stream(address.key(workspace, id)):
                hasher.update(chunk)
                if held:
                    yield held
                held = chunk
        _check(id, address.name(hasher))
        if held:
            yield held

    async def size(self, workspace: str, id: BlobId) -> int:
        """Return the number of bytes of the blob. Raises: BlobMissing."""
        with _missing(id):
            return await self._backend.size(address.key(workspace, id))

    async def exists(self, workspace: str, id: BlobId) -> bool:
        """Return whether the blob is there; it can be swept later unless a row refers to it."""
        try:
            await self.size(workspace, id)
        except BlobMissing:
            return False
        return True

    async def delete(self, workspace: str, id: BlobId, *, before: datetime | None = None) -> bool:
        """Delete the blob; return whether it was there.

        `before` is for the sweeper: a blob that was put again since then stays. On files that is
        exact; S3 leaves a few milliseconds between the look and the deletion.
        """
        return await self._backend.delete(address.key(workspace, id), before)

    async def list(self, workspace: str) -> AsyncIterator[StoredBlob]:
        """Yield every blob of the workspace, in no stated order."""
        async for key, size, stored_at in self._backend.list(address.folder(workspace)):
            if id := address.id_of(key):
                yield StoredBlob(id, size, stored_at)


async def _hash(data: bytes) -> BlobId:
    if len(data) <= HASHED_INLINE:
        return address.blob_id(data)
    return await asyncio.to_thread(address.blob_id, data)


def _check(id: BlobId, found: BlobId) -> None:
    if found != id:
        raise BlobCorrupt(id=id, found=found)


@contextmanager
def _missing(id: BlobId) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(id=id) from None
