"""Blobs as files, durable by our own hand and safe with any number of processes.

A put writes a temporary file, syncs it, renames it to its place and syncs the folder: after a
power cut there is the whole blob or none.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from volano.core.durable import FULL, make_folder, sync, sync_folder
from volano.schemas.common import StorageFull

CHUNK = 2**20
ABANDONED_S = 86_400.0
"""No write takes a day, so a temporary file of that age has no writer any more."""

_KNOWN_FOLDERS = 2**16


class FileBackend:
    """Files below `root`; the folder of unfinished ones cannot be a workspace's: it has a dot."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / ".incoming"
        self._lock = self._root / ".lock"
        self._durable: set[Path] = set()
        make_folder(self._root)
        self._incoming.mkdir(exist_ok=True)
        self._lock.touch()
        self._sweep_incoming()

    async def put(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._write, key, lambda out: out.write(data))

    async def put_file(self, key: str, path: Path) -> None:
        def copy(out: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, out, CHUNK)

        await asyncio.to_thread(self._write, key, copy)

    async def get(self, key: str) -> bytes:
        return await asyncio.to_thread(self._root.joinpath(key).read_bytes)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        def read() -> bytes:
            with self._root.joinpath(key).open("rb") as file:
                file.seek(start)
                # read() makes room for all that it is asked for, there or not.
                return file.read(min(length, os.fstat(file.fileno()).st_size))

        return await asyncio.to_thread(read)

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self._root.joinpath(key).open, "rb")
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk

    async def size(self, key: str) -> int:
        return (await asyncio.to_thread(self._root.joinpath(key).stat)).st_size

    async def delete(self, key: str, before: datetime | None) -> bool:
        return await asyncio.to_thread(self._unlink, self._root / key, before)

    async def list(self, folder: str) -> AsyncIterator[tuple[str, int, datetime]]:
        for shard in await asyncio.to_thread(_names, self._root / folder):
            for entry in await asyncio.to_thread(_entries, self._root / folder / shard):
                yield f"{folder}/{shard}/{entry[0]}", *entry[1:]

    def _write(self, key: str, fill: Callable[[BinaryIO], object]) -> None:
        final = self._root / key
        temporary = self._incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with _full_is_our_error():
                self._make_folder(final.parent)
                with temporary.open("xb") as out:
                    fill(out)
                    out.flush()
                    sync(out.fileno())
                # Renaming over an equal blob renews its age and repairs it where it was damaged.
                with self._locked(fcntl.LOCK_SH):
                    temporary.replace(final)
                sync_folder(final.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Make it and the folders above it durable, once: another process may have made them."""
        if folder in self._durable:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for above in folder.relative_to(self._root.parent).parents:
            sync_folder(self._root.parent / above)
        if len(self._durable) >= _KNOWN_FOLDERS:
            self._durable.clear()
        self._durable.add(folder)

    def _unlink(self, path: Path, before: datetime | None) -> bool:
        # Nobody can put the blob between our look at its age and its removal.
        with self._locked(fcntl.LOCK_EX):
            try:
                if before and path.stat().st_mtime >= before.timestamp():
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        sync_folder(path.parent)
        return True

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with self._lock.open("rb") as lock:
            fcntl.flock(lock, how)
            yield

    def _sweep_incoming(self) -> None:
        for name, _, stored_at in _entries(self._incoming):
            if time.time() - stored_at.timestamp() > ABANDONED_S:
                (self._incoming / name).unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _entries(folder: Path) -> list[tuple[str, int, datetime]]:
    found = []
    for name in _names(folder):
        try:
            facts = (folder / name).stat()
        except FileNotFoundError:  # deleted since
            continue
        if not stat.S_ISREG(facts.st_mode):  # somebody else's folder
            continue
        found.append((name, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC)))
    return found


@contextmanager
def _full_is_our_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(reason=os.strerror(error.errno)) from error
        raise
