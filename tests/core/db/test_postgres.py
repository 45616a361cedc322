"""PostgreSQL when it goes away, waits for a lock, or answers too late."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tests.core.db.shelf import authors, books, genres
from volano.core.db import EVERYWHERE, Database, Tx
from volano.schemas.common import DatabaseUnavailable

HERE = "ws_here"


@pytest.fixture
async def shelf(postgres_url: str) -> AsyncIterator[Database]:
    database = await Database.open(postgres_url, pool=2, patience_s=1.0)
    async with database.begin(EVERYWHERE) as tx:
        for table in (authors, genres, books):
            await tx.run(sa.schema.CreateTable(table))
    yield database
    await database.close()


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Any]:
    """A connection beside ours."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def add(db: Database, title: str) -> None:
    async with db.begin(HERE) as tx:
        await tx.run(tx.insert(books).values(title=title, author="x", pages=1))


async def kill_ours(other: Any) -> None:
    await other.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'volano' AND datname = current_database()"
    )


async def stored(other: Any) -> set[str]:
    return {row["title"] for row in await other.fetch("SELECT title FROM books")}


async def test_connections_that_died_in_the_pool_are_replaced(shelf: Database, other: Any) -> None:
    await asyncio.gather(add(shelf, "a"), add(shelf, "b"))
    await kill_ours(other)
    await asyncio.gather(add(shelf, "c"), add(shelf, "d"))
    assert await stored(other) == {"a", "b", "c", "d"}


async def test_a_connection_that_dies_in_a_transaction_is_unavailable(
    shelf: Database, other: Any
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.insert(books).values(title="gone", author="x", pages=1))
            await kill_ours(other)
            await tx.run(tx.insert(books).values(title="too", author="x", pages=1))
    await add(shelf, "after")
    assert await stored(other) == {"after"}


async def test_a_commit_without_an_answer_is_unavailable(shelf: Database, other: Any) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.insert(books).values(title="gone", author="x", pages=1))
            await kill_ours(other)
    await add(shelf, "after")
    assert await stored(other) == {"after"}


async def test_a_lock_that_is_held_too_long_is_unavailable(shelf: Database, other: Any) -> None:
    await add(shelf, "a")
    async with other.transaction():
        await other.execute("LOCK TABLE books")
        with pytest.raises(DatabaseUnavailable, match="LockNotAvailable"):
            await add(shelf, "b")
    await add(shelf, "c")
    assert await stored(other) == {"a", "c"}


async def test_a_pool_that_is_used_up_is_unavailable(shelf: Database) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with shelf.begin(HERE) as tx:
            await tx.all(tx.select(books))
            await held.wait()

    holders = [asyncio.create_task(hold()) for _ in range(4)]
    await asyncio.sleep(0.2)
    with pytest.raises(DatabaseUnavailable):
        await add(shelf, "late")
    held.set()
    await asyncio.gather(*holders)
    await add(shelf, "later")


async def test_a_deadlock_is_contention_and_run_tries_it_again(
    shelf: Database, postgres_url: str
) -> None:
    patient = await Database.open(postgres_url)  # PostgreSQL looks for deadlocks after 1 s
    await add(shelf, "a")
    await add(shelf, "b")
    both_hold = asyncio.Barrier(2)
    tries = 0

    async def lock(first: str, second: str) -> None:
        async def body(tx: Tx) -> None:
            nonlocal tries
            tries += 1
            await turn(tx, first)
            if tries <= 2:
                await both_hold.wait()
            await turn(tx, second)

        await patient.run(HERE, body)

    async def turn(tx: Tx, title: str) -> None:
        await tx.run(tx.update(books).values(pages=books.c.pages + 1).where(books.c.title == title))

    await asyncio.gather(lock("a", "b"), lock("b", "a"))
    await patient.close()
    assert tries == 3
    async with shelf.read(HERE) as tx:
        assert await tx.all(tx.select(books.c.pages)) == [(3,), (3,)]


async def test_a_cancelled_transaction_leaves_nothing_and_the_pool_whole(
    shelf: Database, other: Any
) -> None:
    async def half(n: int) -> None:
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.insert(books).values(title=f"gone{n}", author="x", pages=1))
            await tx.scalar(tx.select(sa.func.pg_sleep(30)))

    tasks = [asyncio.create_task(half(n)) for n in range(4)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(add(shelf, f"t{n}") for n in range(8)))
    assert await stored(other) == {f"t{n}" for n in range(8)}


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    with pytest.raises(DatabaseUnavailable):
        await Database.open(f"postgresql://nobody@/none?host={tmp_path}", patience_s=1.0)
