"""Transactions: what they scope, what they refuse, how they nest."""

import asyncio

import pytest
import sqlalchemy as sa

from tests.core.db.shelf import authors, books, genres
from volano.core.db import EVERYWHERE, Database, Tx, TxAborted, Unscoped, WorkspaceMismatch
from volano.schemas.common import DatabaseContended, DatabaseUnwritable

HERE, THERE = "ws_here", "ws_there"


async def fill(db: Database, workspace: str, *titles: str, author: str = "anna") -> None:
    async with db.begin(workspace) as tx:
        await tx.run(tx.upsert(authors, keys=["workspace", "name"]), [{"name": author}])
        rows = [{"title": t, "author": author, "pages": 10} for t in titles]
        await tx.run(tx.insert(books), rows)


async def titles(db: Database, workspace: str) -> list[str]:
    async with db.read(workspace) as tx:
        return [r.title for r in await tx.all(tx.select(books.c.title).order_by(books.c.title))]


@pytest.fixture
async def shelf(db: Database) -> Database:
    """Two workspaces with books of the same titles."""
    async with db.begin(EVERYWHERE) as tx:
        for table in (authors, genres, books):
            await tx.run(sa.schema.CreateTable(table))
    await fill(db, HERE, "one", "two")
    await fill(db, THERE, "one", "two", "three", author="bert")
    return db


async def test_a_select_sees_its_own_workspace_only(shelf: Database) -> None:
    assert await titles(shelf, HERE) == ["one", "two"]
    assert await titles(shelf, THERE) == ["one", "three", "two"]


async def test_the_system_sees_every_workspace(shelf: Database) -> None:
    async with shelf.read(EVERYWHERE) as tx:
        assert await tx.scalar(tx.select(sa.func.count(books.c.title))) == 5


async def test_an_update_changes_its_own_workspace_only(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        assert await tx.run(tx.update(books).values(pages=11)) == 2
    async with shelf.read(THERE) as tx:
        assert await tx.all(tx.select(books.c.pages).distinct()) == [(10,)]


async def test_a_delete_removes_from_its_own_workspace_only(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        assert await tx.run(tx.delete(books)) == 2
    assert await titles(shelf, THERE) == ["one", "three", "two"]


async def test_a_join_scopes_both_tables(shelf: Database) -> None:
    await fill(shelf, HERE, "three", author="bert")
    async with shelf.read(HERE) as tx:
        join = tx.select(books.c.title, authors.c.name).join(
            authors, authors.c.name == books.c.author
        )
        rows = await tx.all(join.where(authors.c.name == "bert"))
    assert rows == [("three", "bert")]


@pytest.mark.parametrize(
    "outer",
    [
        lambda tx: tx.select(books).outerjoin(authors, authors.c.name == books.c.author),
        lambda tx: tx.select(books).join(authors, authors.c.name == books.c.author, isouter=True),
        lambda tx: tx.select(books).join(authors, authors.c.name == books.c.author, full=True),
        lambda tx: tx.select(books).join_from(books, authors, sa.true(), isouter=True),
        lambda tx: tx.select(books).join_from(books, authors, sa.true(), full=True),
        lambda tx: tx.select(books.c.title).select_from(sa.outerjoin(books, authors, sa.true())),
        lambda tx: tx.select(books).outerjoin(genres, sa.true()),
    ],
)
async def test_an_outer_join_is_refused_since_no_condition_can_scope_it(
    shelf: Database, outer: object
) -> None:
    with pytest.raises(Unscoped, match="an outer join"):
        async with shelf.read(HERE) as tx:
            await tx.all(outer(tx))  # type: ignore[operator] # a lambda above


async def test_a_count_over_select_from_is_scoped(shelf: Database) -> None:
    async with shelf.read(HERE) as tx:
        assert await tx.scalar(tx.select(sa.func.count()).select_from(books)) == 2


async def test_an_alias_is_scoped_like_its_table(shelf: Database) -> None:
    other = books.alias("other")
    async with shelf.read(HERE) as tx:
        pairs = tx.select(books.c.title, other.c.title).join(other, other.c.title > books.c.title)
        assert await tx.all(pairs) == [("one", "two")]


async def test_a_correlated_subquery_may_name_the_enclosing_table(shelf: Database) -> None:
    async with shelf.read(HERE) as tx:
        written = tx.select(books.c.title).where(books.c.author == authors.c.name)
        assert await tx.all(tx.select(authors.c.name).where(written.exists())) == [("anna",)]


async def test_a_union_of_scoped_selects_is_scoped(shelf: Database) -> None:
    async with shelf.read(HERE) as tx:
        names = tx.union_all(tx.select(books.c.title), tx.select(authors.c.name))
        assert sorted(r[0] for r in await tx.all(names)) == ["anna", "one", "two"]


async def test_a_global_table_needs_no_workspace(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        await tx.run(tx.insert(genres).values(name="crime"))
    async with shelf.read(THERE) as tx:
        assert await tx.all(tx.select(genres)) == [("crime",)]


@pytest.mark.parametrize(
    "leak",
    [
        lambda tx: sa.select(books),
        lambda tx: sa.text("SELECT * FROM books"),
        lambda tx: sa.union_all(tx.select(books.c.title), sa.select(books.c.title)),
        lambda tx: tx.select(books.c.title).where(books.c.author == authors.c.name),
        lambda tx: tx.select(books).where(books.c.title.in_(sa.select(books.c.title))),
        lambda tx: tx.select(books).where(sa.select(authors).exists()),
        lambda tx: tx.select(books.c.title).add_columns(authors.c.name),
        lambda tx: tx.select(sa.select(books).subquery()),
        lambda tx: tx.select(genres.c.name, sa.select(books.c.title).limit(1).scalar_subquery()),
        lambda tx: tx.update(books).values(
            pages=sa.select(books.c.pages).limit(1).scalar_subquery()
        ),
        lambda tx: tx.update(books).values(pages=1).where(books.c.author == authors.c.name),
        lambda tx: tx.update(books).values(workspace=THERE),
        lambda tx: tx.delete(books).where(books.c.title.in_(sa.select(authors.c.name))),
        lambda tx: tx.insert(genres).from_select(["name"], sa.select(books.c.title)),
        lambda tx: tx.insert(books).from_select(["title"], tx.select(books.c.title)),
        lambda tx: tx.select(books).where(
            books.c.title.in_(sa.select(books.c.title).where(books.c.workspace == THERE))
        ),
        lambda tx: tx.select(books).where(
            books.c.title.in_(sa.select(authors.c.name).where(authors.c.workspace == THERE))
        ),
    ],
)
async def test_a_statement_that_could_leak_is_refused(shelf: Database, leak: object) -> None:
    with pytest.raises(Unscoped):
        async with shelf.begin(HERE) as tx:
            await tx.run(leak(tx))  # type: ignore[operator] # a lambda above


async def test_a_statement_of_another_transaction_is_refused(shelf: Database) -> None:
    async with shelf.read(THERE) as tx:
        foreign = tx.select(books)
    with pytest.raises(Unscoped):
        async with shelf.read(HERE) as tx:
            await tx.all(foreign)


async def test_a_row_may_not_name_its_workspace(shelf: Database) -> None:
    row = {"workspace": THERE, "title": "x", "author": "y", "pages": 1}
    for given in ({"rows": [row]}, {"rows": row}):
        with pytest.raises(Unscoped):
            async with shelf.begin(HERE) as tx:
                await tx.run(tx.insert(books), **given)
    with pytest.raises(Unscoped):
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.insert(books).values(**row))


async def test_upsert_counts_only_new_rows(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        insert = tx.upsert(books, keys=["workspace", "title"])
        assert await tx.run(insert.values(title="one", author="x", pages=1)) == 0
        assert await tx.run(insert.values(title="new", author="x", pages=1)) == 1


async def test_append_skips_what_is_there_and_counts_what_is_new(shelf: Database) -> None:
    rows = [(f"t{n:04}", "anna", n) for n in range(500)] + [("one", "anna", 7)]
    async with shelf.begin(HERE) as tx:
        assert await tx.append(books, ("title", "author", "pages"), rows) == 500
        assert await tx.append(books, ("title", "author", "pages"), rows) == 0
        assert await tx.append(books, ("title", "author", "pages"), []) == 0
    assert len(await titles(shelf, HERE)) == 502
    assert len(await titles(shelf, THERE)) == 3


async def test_append_without_once_refuses_a_key_that_is_there(shelf: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with shelf.begin(HERE) as tx:
            await tx.append(books, ("title", "author", "pages"), [("one", "x", 1)], once=False)


async def test_a_failed_append_leaves_none_of_its_rows(shelf: Database) -> None:
    """Also those that its statement wrote before it came to the one that is there."""
    rows = [(f"t{n:04}", "anna", n) for n in range(100)] + [("one", "anna", 7)]
    async with shelf.begin(HERE) as tx:
        await tx.run(tx.insert(books).values(title="before", author="x", pages=1))
        with pytest.raises(sa.exc.IntegrityError):
            async with tx.nested(HERE) as inner:
                await inner.append(books, ("title", "author", "pages"), rows, once=False)
    assert await titles(shelf, HERE) == ["before", "one", "two"]


async def test_an_exception_rolls_everything_back(shelf: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.delete(books))
            raise ZeroDivisionError
    assert await titles(shelf, HERE) == ["one", "two"]


async def test_a_failed_statement_ends_the_transaction(shelf: Database) -> None:
    with pytest.raises(TxAborted):
        async with shelf.begin(HERE) as tx:
            await tx.run(tx.delete(books).where(books.c.title == "two"))
            with pytest.raises(sa.exc.IntegrityError):
                await tx.run(tx.insert(books).values(title="one", author="x", pages=1))
    assert await titles(shelf, HERE) == ["one", "two"]


async def test_what_fails_in_a_nested_transaction_is_given_up_alone(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        await tx.run(tx.insert(books).values(title="kept", author="x", pages=1))
        with pytest.raises(sa.exc.IntegrityError):
            async with tx.nested(HERE) as inner:
                await inner.run(inner.insert(books).values(title="gone", author="x", pages=1))
                await inner.run(inner.insert(books).values(title="one", author="x", pages=1))
        async with tx.nested(HERE) as inner:
            await inner.run(inner.insert(books).values(title="too", author="x", pages=1))
    assert await titles(shelf, HERE) == ["kept", "one", "too", "two"]


async def test_what_begins_inside_a_transaction_goes_with_it(shelf: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shelf.begin(HERE) as tx:
            await fill(shelf.inside(tx), HERE, "gone")
            raise ZeroDivisionError
    assert await titles(shelf, HERE) == ["one", "two"]
    async with shelf.begin(HERE) as tx:
        await fill(shelf.inside(tx), HERE, "kept")
    assert await titles(shelf, HERE) == ["kept", "one", "two"]


async def test_what_fails_inside_a_transaction_is_given_up_alone(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        with pytest.raises(sa.exc.IntegrityError):
            await fill(shelf.inside(tx), HERE, "gone", "one")
        await fill(shelf.inside(tx), HERE, "kept")
    assert await titles(shelf, HERE) == ["kept", "one", "two"]


async def test_a_read_inside_a_write_sees_its_rows(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        inside = shelf.inside(tx)
        await fill(inside, HERE, "new")
        assert await titles(inside, HERE) == ["new", "one", "two"]
        assert await titles(inside, THERE) == ["one", "three", "two"]
        assert await titles(shelf, HERE) == ["one", "two"]


async def test_a_body_inside_a_transaction_runs_once(shelf: Database) -> None:
    runs = []

    async def contend(tx: Tx) -> None:
        runs.append(tx.workspace)
        raise DatabaseContended(reason="in a test")

    with pytest.raises(DatabaseContended):
        async with shelf.begin(HERE) as tx:
            await shelf.inside(tx).run(HERE, contend)
    assert runs == [HERE]


async def test_a_transaction_of_another_workspace_does_not_nest(shelf: Database) -> None:
    async with shelf.begin(HERE) as tx:
        for workspace in (THERE, EVERYWHERE):
            with pytest.raises(WorkspaceMismatch):
                async with tx.nested(workspace):
                    pass
            with pytest.raises(WorkspaceMismatch):
                async with shelf.inside(tx).begin(workspace):
                    pass


async def test_the_system_may_narrow_to_a_workspace(shelf: Database) -> None:
    async with shelf.begin(EVERYWHERE) as tx:
        await fill(shelf.inside(tx), HERE, "new")
    assert await titles(shelf, HERE) == ["new", "one", "two"]


async def test_another_task_does_not_join_the_transaction(shelf: Database) -> None:
    async with shelf.begin(HERE):
        other = asyncio.create_task(fill(shelf, HERE, "new"))
        await asyncio.sleep(0)
    await other
    assert await titles(shelf, HERE) == ["new", "one", "two"]


async def test_callbacks_run_only_after_the_commit_and_not_for_what_was_given_up(
    shelf: Database,
) -> None:
    seen: list[str] = []

    async def awaited() -> None:
        seen.append(f"awaited {len(await titles(shelf, HERE))}")

    async with shelf.begin(HERE) as tx:
        tx.after_commit(awaited)
        with pytest.raises(ZeroDivisionError):
            async with tx.nested(HERE) as inner:
                inner.after_commit(lambda: seen.append("given up"))
                raise ZeroDivisionError
        async with tx.nested(HERE) as inner:
            inner.after_commit(lambda: seen.append("nested"))
        await fill(shelf.inside(tx), HERE, "new")
        assert seen == []
    assert seen == ["awaited 3", "nested"]
    with pytest.raises(ZeroDivisionError):
        async with shelf.begin(HERE) as tx:
            tx.after_commit(lambda: seen.append("rolled back"))
            raise ZeroDivisionError
    assert seen == ["awaited 3", "nested"]


async def test_a_shape_of_statement_is_checked_once(shelf: Database) -> None:
    async def count(tx: Tx) -> int:
        title: int = await tx.scalar(tx.select(sa.func.count(books.c.title)))
        return title

    for workspace, expected in ((HERE, 2), (THERE, 3), (HERE, 2)):
        async with shelf.read(workspace) as tx:
            assert await count(tx) == expected


async def test_a_reader_cannot_write(shelf: Database) -> None:
    with pytest.raises((sa.exc.DBAPIError, DatabaseUnwritable), match=r"read-?only"):
        async with shelf.read(HERE) as tx:
            await tx.run(tx.delete(books))
    assert await titles(shelf, HERE) == ["one", "two"]


async def test_a_transaction_is_of_no_use_after_its_block(shelf: Database) -> None:
    async with shelf.begin(HERE) as wrote, wrote.nested(HERE) as nested:
        pass
    async with shelf.read(HERE) as looked:
        pass
    for tx in (wrote, nested, looked):
        with pytest.raises(TxAborted, match="left"):
            await tx.all(tx.select(books))
        with pytest.raises(TxAborted, match="left"):
            await tx.append(books, ("title", "author", "pages"), [("x", "x", 1)])


async def test_nothing_nests_in_a_transaction_that_failed(shelf: Database) -> None:
    with pytest.raises(TxAborted):
        async with shelf.begin(HERE) as tx:
            with pytest.raises(sa.exc.IntegrityError):
                await tx.run(tx.insert(books).values(title="one", author="x", pages=1))
            await fill(shelf.inside(tx), HERE, "too late")
    assert await titles(shelf, HERE) == ["one", "two"]
