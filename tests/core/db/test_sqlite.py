"""The SQLite writer: groups, their failures, cancellation, other processes."""

import asyncio
import contextlib
import multiprocessing
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.db.shelf import authors, books, genres
from volano.core.db import EVERYWHERE, Database
from volano.core.db.sqlite import GROUP
from volano.schemas.common import DatabaseContended, DatabaseUnavailable, StorageFull
from volano.schemas.errors import Broken

HERE = "ws_here"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@pytest.fixture
async def shelf(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{path}", patience_s=2.0)
    async with database.begin(EVERYWHERE) as tx:
        for table in (authors, genres, books):
            await tx.run(sa.schema.CreateTable(table))
    yield database
    await database.close()


async def add(db: Database, title: str) -> None:
    async with db.begin(HERE) as tx:
        await tx.run(tx.insert(books).values(title=title, author="x", pages=1))


def stored(path: Path) -> set[str]:
    """What another process sees: only what is committed."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {title for (title,) in connection.execute("SELECT title FROM books")}


def commits(path: Path) -> int:
    """Frames in the log do not count commits, but commit frames do: their size field is set."""
    log = path.with_name(path.name + "-wal").read_bytes()[32:]
    page = 4096 + 24
    frames = (log[at : at + 8] for at in range(0, len(log) - page + 1, page))
    return sum(frame[4:8] != b"\0\0\0\0" for frame in frames)


async def test_a_commit_is_seen_by_other_processes_when_it_is_acknowledged(
    shelf: Database, path: Path
) -> None:
    for n in range(5):
        await add(shelf, f"t{n}")
        assert f"t{n}" in stored(path)


async def test_a_commit_is_on_the_disk_when_it_is_acknowledged(shelf: Database) -> None:
    async with shelf.begin(EVERYWHERE) as tx:
        assert await tx.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert await tx.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL


async def test_transactions_in_line_share_a_commit(shelf: Database, path: Path) -> None:
    before = commits(path)
    await asyncio.gather(*(add(shelf, f"t{n}") for n in range(2 * GROUP)))
    assert len(stored(path)) == 2 * GROUP
    assert commits(path) - before == 2


async def test_a_failing_member_takes_nothing_with_it(shelf: Database, path: Path) -> None:
    async def fail(title: str) -> None:
        await add(shelf, title)
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.insert(books).values(title=f"{title}-gone", author="x", pages=1))
            raise ZeroDivisionError

    outcomes = await asyncio.gather(
        *(fail(f"f{n}") for n in range(5)),
        *(add(shelf, f"t{n}") for n in range(5)),
        *(add(shelf, "same") for _ in range(3)),
        return_exceptions=True,
    )
    kinds = sorted(type(o).__name__ for o in outcomes)
    assert kinds == ["IntegrityError"] * 2 + ["NoneType"] * 6 + ["ZeroDivisionError"] * 5
    assert stored(path) == {"same", *(f"f{n}" for n in range(5)), *(f"t{n}" for n in range(5))}


async def test_cancelled_tasks_leave_whole_transactions(shelf: Database, path: Path) -> None:
    async def pair(n: int) -> None:
        async with shelf.begin(HERE) as tx:
            for half in "ab":
                row = {"title": f"{n}{half}", "author": "x", "pages": 1}
                await tx.run(tx.insert(books).values(**row))
        acknowledged.add(n)

    acknowledged: set[int] = set()
    tasks = [asyncio.create_task(pair(n)) for n in range(120)]
    for turn in range(60):
        await asyncio.sleep(0.0005)
        tasks[(turn * 37) % 120].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await add(shelf, "after")
    whole = {title[:-1] for title in stored(path) - {"after"}}
    assert stored(path) - {"after"} == {f"{n}{half}" for n in whole for half in "ab"}
    assert {str(n) for n in acknowledged} <= whole


async def test_a_full_disk_fails_every_member_of_the_group_and_then_recovers(
    shelf: Database, path: Path
) -> None:
    await add(shelf, "before")
    await shelf_limit(shelf, pages=12)
    async with shelf.begin(HERE) as tx:
        rows = [{"title": "x", "author": "x", "pages": 1}]
        await tx.run(tx.delete(books).where(books.c.title == rows[0]["title"]))

    async def fill(n: int) -> None:
        async with shelf.begin(HERE) as tx:
            await tx.append(books, ("title", "author", "pages"), [(f"{n}", "x" * 20_000, n)])

    outcomes = await asyncio.gather(*(fill(n) for n in range(10)), return_exceptions=True)
    acknowledged = {str(n) for n, outcome in enumerate(outcomes) if outcome is None}
    assert {type(o) for o in outcomes if o is not None} == {StorageFull}
    assert stored(path) == {"before"} | acknowledged
    await shelf_limit(shelf, pages=100_000)
    await add(shelf, "after")
    assert "after" in stored(path)


async def shelf_limit(db: Database, pages: int) -> None:
    """SQLite's own limit of pages gives the same error as a full disk."""
    async with db.begin(EVERYWHERE) as tx:
        await tx.scalar(sa.text(f"PRAGMA max_page_count={pages}"))


async def test_a_writer_that_waits_too_long_is_told_so(shelf: Database) -> None:
    async with shelf.begin(HERE):
        with pytest.raises(DatabaseUnavailable, match="no turn"):
            await asyncio.create_task(add(shelf, "late"))
    await add(shelf, "later")


async def test_a_lock_held_by_another_process_is_contention(shelf: Database, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseContended):
            await add(shelf, "late")
        other.execute("ROLLBACK")
    await add(shelf, "later")
    assert stored(path) == {"later"}


async def test_readers_see_a_snapshot_while_a_writer_goes_on(shelf: Database) -> None:
    await add(shelf, "one")
    async with shelf.read(HERE) as tx:
        count = tx.select(sa.func.count()).select_from(books)
        assert await tx.scalar(count) == 1
        await asyncio.create_task(add(shelf, "two"))
        assert await tx.scalar(count) == 1
    async with shelf.read(HERE) as tx:
        assert await tx.scalar(tx.select(sa.func.count()).select_from(books)) == 2


async def test_a_transaction_in_which_nothing_ran_commits_nothing(
    shelf: Database, path: Path
) -> None:
    before = commits(path)
    async with shelf.begin(HERE) as tx, tx.nested(HERE):
        pass
    assert commits(path) == before


async def test_a_transaction_begun_in_another_one_is_refused_rather_than_waited_for(
    shelf: Database,
) -> None:
    for _ in range(2):
        async with shelf.begin(HERE):
            with pytest.raises(Broken, match="inside another one"):
                await add(shelf, "never")
        await add(shelf, f"after {_}")


async def test_a_task_may_begin_again_while_the_next_in_line_has_not_woken(
    shelf: Database, path: Path
) -> None:
    async def some(name: str) -> None:
        for n in range(5):
            await add(shelf, f"{name}{n}")

    await asyncio.gather(*(some(name) for name in "abc"))
    assert len(stored(path)) == 15


@pytest.mark.parametrize(
    ("code", "is_refused"),
    [
        (sqlite3.SQLITE_IOERR, True),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_IOERR_WRITE, True),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, False),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, False),
    ],
)
async def test_nothing_is_written_after_a_commit_that_the_disk_failed(
    path: Path, shelf: Database, code: int, is_refused: bool
) -> None:
    await add(shelf, "before")
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    error = sqlite3.OperationalError("as SQLite tells it")
    error.sqlite_errorcode = code
    failed.set_exception(error)
    backend: Any = shelf._backend
    backend._note_failure(failed)
    if is_refused:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="the disk failed"):
                await add(shelf, "after")
    else:
        await add(shelf, "after")
    assert stored(path) == {"before"} if is_refused else {"before", "after"}


def _write_many(path: str, name: str) -> None:
    async def write() -> None:
        db = await Database.open(f"sqlite:///{path}")
        await asyncio.gather(*(add(db, f"{name}{n}") for n in range(100)))
        await db.close()

    asyncio.run(write())


async def test_several_processes_write_without_an_error(shelf: Database, path: Path) -> None:
    start = multiprocessing.get_context("spawn").Process
    writers = [start(target=_write_many, args=(str(path), name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(stored(path)) == 300


def _write_until_killed(path: str, told: int) -> None:
    import os

    async def write() -> None:
        db = await Database.open(f"sqlite:///{path}")

        async def client(name: int) -> None:
            for n in range(10_000):
                await add(db, f"{name}-{n}")
                os.write(told, f"{name}-{n}\n".encode())

        await asyncio.gather(*(client(name) for name in range(8)))

    asyncio.run(write())


async def test_nothing_acknowledged_is_lost_by_a_kill(shelf: Database, path: Path) -> None:
    import os

    reader, writer = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_write_until_killed, args=(str(path), writer)
    )
    process.start()
    os.close(writer)
    told = b""
    while told.count(b"\n") < 300:
        told += await asyncio.to_thread(os.read, reader, 65536)
    process.kill()
    while rest := await asyncio.to_thread(os.read, reader, 65536):
        told += rest
    os.close(reader)
    process.join()
    assert set(told.decode().split()) <= stored(path)


async def test_a_file_size_limit_is_a_full_disk_and_nothing_acknowledged_is_lost(
    shelf: Database, path: Path
) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    acknowledged = set()
    try:
        for n in range(200):
            await add(shelf, f"t{n}")
            acknowledged.add(f"t{n}")
    except (StorageFull, DatabaseUnavailable):
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 0 < len(acknowledged) < 200
    assert stored(path) == acknowledged
