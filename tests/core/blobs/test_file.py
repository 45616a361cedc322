"""What only files promise: full disks, crashes, and a sweeper in another process."""

import asyncio
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from volano.core.blobs import open_blobs
from volano.core.blobs.address import key
from volano.core.settings import FILE, BadSetting, url_of
from volano.schemas.common import StorageFull

WRITER = """
import asyncio, os, sys
from volano.core.blobs import open_blobs

async def main():
    blobs = open_blobs(sys.argv[1])
    while True:
        print(await blobs.put("ws", os.urandom(50_000)), flush=True)

asyncio.run(main())
"""


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


async def test_a_refused_write_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = open_blobs(f"file://{tmp_path}")
    data = os.urandom(2 * 2**20)
    with _largest_file(2**20), pytest.raises(StorageFull, match="File too large"):
        await blobs.put("ws", data)
    assert _files(tmp_path) == []
    id = await blobs.put("ws", data)
    assert [tmp_path / key("ws", id)] == _files(tmp_path)


async def test_a_folder_is_not_put_and_leaves_nothing(tmp_path: Path) -> None:
    blobs = open_blobs(f"file://{tmp_path}")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match=r"Is a directory|No such device"):
        await blobs.put_file("ws", folder)
    assert _files(tmp_path) == []


@pytest.mark.faults
def test_what_was_acknowledged_before_a_kill_is_there_whole(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()
    time.sleep(0.3)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    acknowledged = {
        line.strip() for writer in writers for line in writer.communicate()[0].splitlines()
    }

    async def check() -> set[str]:
        blobs = open_blobs(url)
        stored = {found.id async for found in blobs.list("ws")}
        for id in stored:  # also those that were not acknowledged are whole
            await blobs.get("ws", id)
        return stored

    stored = asyncio.run(check())
    assert len(acknowledged) > 3
    assert acknowledged - stored == set()


async def test_no_put_comes_between_the_look_and_the_deletion_of_a_sweeper(tmp_path: Path) -> None:
    blobs = open_blobs(f"file://{tmp_path}")
    id = await blobs.put("ws", b"x")
    with (tmp_path / ".lock").open("rb") as sweeper:
        fcntl.flock(sweeper, fcntl.LOCK_EX)
        put = asyncio.create_task(blobs.put("ws", b"x"))
        done, _ = await asyncio.wait({put}, timeout=0.2)
        assert done == set()
        fcntl.flock(sweeper, fcntl.LOCK_SH)  # another put
        assert await put == id
        delete = asyncio.create_task(blobs.delete("ws", id, before=datetime.now(UTC)))
        deleted, _ = await asyncio.wait({delete}, timeout=0.2)
        assert deleted == set()
    await delete


async def test_temporary_files_older_than_a_day_are_swept_at_the_next_start(tmp_path: Path) -> None:
    open_blobs(f"file://{tmp_path}")
    abandoned, current = (tmp_path / ".incoming" / name for name in ("1-old", "2-new"))
    for path in (abandoned, current):
        path.write_bytes(b"half of it")
    for path, hours in ((abandoned, 24.5), (current, 23.5)):
        written_at = time.time() - hours * 3600
        os.utime(path, (written_at, written_at))
    open_blobs(f"file://{tmp_path}")
    assert [current] == list((tmp_path / ".incoming").iterdir())


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "100% mine? #1"
    id = await open_blobs(url_of(FILE, folder)).put("ws", b"x")
    assert (folder / key("ws", id)).exists()


def test_another_kind_of_url_is_refused_by_name() -> None:
    with pytest.raises(BadSetting, match="VOLANO_BLOBS"):
        open_blobs("ftp://somewhere")
    with pytest.raises(BadSetting, match="write \\? as %3F"):
        open_blobs("file:///data/blobs?1")


async def test_what_somebody_left_in_the_folders_is_no_blob(tmp_path: Path) -> None:
    blobs = open_blobs(url_of(FILE, tmp_path))
    id = await blobs.put("ws", b"x")
    file = tmp_path / key("ws", id)
    (tmp_path / "ws" / ".DS_Store").touch()
    file.with_name("f" * len(file.name)).mkdir()

    assert [one.id async for one in blobs.list("ws")] == [id]
