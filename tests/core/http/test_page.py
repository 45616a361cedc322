"""Every row of a listing is on exactly one page, whatever is added meanwhile."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from volano.core.db import Database, Instant, Tx, Uuid16
from volano.core.http.page import Keyset
from volano.schemas.common import CursorRefused, Page, uuid7

events = sa.Table(
    "test_http_events",
    sa.MetaData(),
    sa.Column("workspace", sa.String, primary_key=True),
    sa.Column("id", Uuid16, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("name", sa.String, nullable=False),
)

NEWEST = Keyset((events.c.at, events.c.id), descending=True)
BY_NAME = Keyset((events.c.name, events.c.id))


@pytest.fixture
async def tx(tmp_path: Path) -> AsyncIterator[Tx]:
    """Twenty events, four to every second."""
    url = f"sqlite:///{tmp_path / 'page.db'}"
    engine = sa.create_engine(url)
    events.create(engine)
    engine.dispose()
    database = await Database.open(url)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.begin("ws_1") as tx:
        rows = [
            {"id": str(uuid7()), "at": start + timedelta(seconds=n // 4), "name": f"e{n % 3}"}
            for n in range(20)
        ]
        await tx.run(tx.insert(events).values(rows))
        yield tx
    await database.close()


async def page(tx: Tx, order: Keyset, after: str, limit: int) -> Page[Any]:
    rows = await tx.all(order.slice(tx.select(events), after, limit))
    return order.page(rows, limit, lambda row: (row.at, row.name, row.id))


@pytest.mark.parametrize("limit", [1, 3, 7, 19, 20, 50])
@pytest.mark.parametrize("order", [NEWEST, BY_NAME])
async def test_the_pages_are_the_listing(tx: Tx, order: Keyset, limit: int) -> None:
    whole = (await page(tx, order, "", 100)).items
    pages = [await page(tx, order, "", limit)]
    while pages[-1].next is not None and len(pages) <= len(whole):
        pages.append(await page(tx, order, pages[-1].next, limit))

    assert len(whole) == 20
    assert [item for one in pages for item in one.items] == whole
    assert len(pages) == -(-20 // limit)


@pytest.mark.parametrize("order", [NEWEST, BY_NAME])
async def test_an_exactly_full_page_is_the_last_one(tx: Tx, order: Keyset) -> None:
    assert (await page(tx, order, "", 20)).next is None
    assert (await page(tx, order, "", 19)).next is not None


async def test_newest_is_newest_first(tx: Tx) -> None:
    times = [at for at, _, _ in (await page(tx, NEWEST, "", 100)).items]

    assert sorted(times, reverse=True) == times


@pytest.mark.parametrize(
    "cursor", ["x", "é", "W10", "WzEsMl0", "bnVsbA", "WyJhIiwiYiJd", "A" * 400]
)
async def test_a_cursor_that_is_not_ours_is_refused(tx: Tx, cursor: str) -> None:
    with pytest.raises(CursorRefused):
        await page(tx, NEWEST, cursor, 5)


async def test_a_cursor_with_a_time_of_no_time_zone_is_refused(tx: Tx) -> None:
    cursor = NEWEST.cursor(["2026-11-28T00:00:00", str(uuid7())])

    with pytest.raises(CursorRefused):
        await page(tx, NEWEST, cursor, 5)


async def test_a_cursor_of_another_listing_is_refused(tx: Tx) -> None:
    cursor = (await page(tx, BY_NAME, "", 5)).next

    assert cursor
    with pytest.raises(CursorRefused):
        await page(tx, NEWEST, cursor, 5)
