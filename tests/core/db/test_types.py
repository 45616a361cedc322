"""Column types: the same values come back from both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from volano.core.db import EVERYWHERE, Database, Instant, JsonValue, Uuid16, now_ms

things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", Uuid16, primary_key=True),
    sa.Column("at", Instant),
    sa.Column("facts", JsonValue),
)

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
FACTS = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}


async def test_values_come_back_as_they_were_put(db: Database) -> None:
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.schema.CreateTable(things))
        await tx.run(tx.insert(things).values(id=ID, at=AT, facts=FACTS))
        assert await tx.all(tx.select(things)) == [(ID, AT, FACTS)]
        assert await tx.all(tx.select(things.c.id).where(things.c.at >= AT)) == [(ID,)]


async def test_append_stores_what_insert_stores(db: Database) -> None:
    other = "01890a5d-ac96-774b-bcce-b302099a8058"
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.schema.CreateTable(things))
        rows = [(ID, AT, FACTS), (other, None, None)]
        assert await tx.append(things, ("id", "at", "facts"), rows) == 2
        assert await tx.all(tx.select(things).order_by(things.c.id)) == rows
        null = tx.select(things.c.id).where(things.c.facts.is_(None))
        assert await tx.all(null) == [(other,)]


@pytest.mark.parametrize("text", ["", "01890a5d", ID + "00", "x" * 36])
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no UUID|hexadecimal"):
        Uuid16().process_bind_param(text, sqlite.dialect())


async def test_the_database_clock_is_in_milliseconds(db: Database) -> None:
    async with db.read(EVERYWHERE) as tx:
        before = datetime.now(UTC) - timedelta(seconds=5)
        (at,) = await tx.one(sa.select(sa.type_coerce(now_ms(), Instant)))
    assert before < at < before + timedelta(seconds=10)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))])))
def test_an_instant_keeps_the_millisecond(at: datetime) -> None:
    kind, dialect = Instant(), sqlite.dialect()
    back = kind.process_result_value(kind.process_bind_param(at, dialect), dialect)
    assert back == at - timedelta(microseconds=at.microsecond % 1000)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Instant().process_bind_param(datetime(2026, 1, 1), sqlite.dialect())  # noqa: DTZ001 - naive
