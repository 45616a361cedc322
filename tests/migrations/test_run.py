"""The line of revisions: up, down, up again, and equal to the tables of the code."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from volano.migrations import downgrade, migrate
from volano.migrations.run import within
from volano.migrations.tables import all_tables


async def answer(url: str, ask: Callable[[sa.Connection], Any]) -> Any:
    found: list[Any] = []
    await within(url, lambda connection: found.append(ask(connection)))
    return found[0]


def differences(connection: sa.Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), all_tables()))


def tables(connection: sa.Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


async def test_the_migrated_schema_is_what_the_code_expects(empty_url: str) -> None:
    await migrate(empty_url)
    assert await answer(empty_url, differences) == []


async def test_down_and_up_again_ends_at_the_same_schema(empty_url: str) -> None:
    await migrate(empty_url)
    await downgrade(empty_url, "base")
    assert await answer(empty_url, tables) == {"alembic_version"}
    await migrate(empty_url)
    assert await answer(empty_url, differences) == []


async def test_the_history_of_an_endpoint_becomes_a_stack(empty_url: str) -> None:
    await migrate(empty_url)
    await downgrade(empty_url, "0009")
    happened = [
        ("a", "activated"),
        ("b", "activated"),
        ("c", "activated"),
        ("b", "rolled back from c"),
        ("d", "activated"),
        ("b", "rolled back from d"),
        ("a", "rolled back from b"),
    ]

    def fill(connection: sa.Connection) -> None:
        for number, (version, reason) in enumerate(happened, 1):
            for endpoint in ("one", "two"):
                row = {
                    "workspace": "ws_1",
                    "endpoint": endpoint,
                    "sequence": number,
                    "version": version,
                    "at": 0,
                    "by": "mem_1",
                    "reason": reason,
                }
                words = ", ".join(f'"{name}"' for name in row)
                places = ", ".join(f":{name}" for name in row)
                insert = f"INSERT INTO rollouts ({words}) VALUES ({places})"
                connection.execute(sa.text(insert), row)

    await within(empty_url, fill)
    await migrate(empty_url)

    def below(connection: sa.Connection) -> list[Any]:
        asked = "SELECT returns_to FROM rollouts WHERE endpoint = 'two' ORDER BY sequence"
        return list(connection.execute(sa.text(asked)).scalars())

    assert await answer(empty_url, below) == [None, 1, 2, 1, 4, 1, None]


async def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert "jobs" in await answer(empty_url, tables)


async def test_a_revision_that_fails_leaves_nothing(empty_url: str) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half (id INTEGER)"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await within(empty_url, half)
    assert await answer(empty_url, tables) == set()


async def test_records_that_are_there_already_are_counted(empty_url: str) -> None:
    await migrate(empty_url)
    await downgrade(empty_url, "0015")
    rows = [
        ("ws_1", 1, "circle", "ada", "", "|off-canvas|", 0.5799999999999999, 59_999),
        ("ws_1", 2, "circle", "ada", "", "|off-canvas|", 0.58, 60_000),
        ("ws_1", 3, "star", "bob", "pilot", "", None, 60_001),
        ("ws_2", 4, "star", "bob", "pilot", "", 1.0, 0),
    ]

    def fill(connection: sa.Connection) -> None:
        for workspace, number, label, contributor, origin, flags, quality, received in rows:
            row = {
                "workspace": workspace,
                "id": bytes([number] * 16),
                "content": b"",
                "row": number,
            }
            row |= {"label": label, "contributor": contributor, "origin": origin, "flags": flags}
            row |= {"quality": quality, "received_at": received, "captured_at": received}
            row |= {"kind": "drawing", "device": "pen", "segment": "seg_1"}
            row |= {"strokes": 1, "points": 2, "duration_ms": 1.0}
            names = ", ".join(f'"{name}"' for name in row)
            places = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO records ({names}) VALUES ({places})"), row)

    await within(empty_url, fill)
    await migrate(empty_url)

    def kept(connection: sa.Connection) -> list[tuple[Any, ...]]:
        of = all_tables().tables["records"].c
        query = sa.select(of.dataset, of.label, of.facts).order_by(of.id)
        return list(map(tuple, connection.execute(query)))

    drawn = {"strokes": 1, "points": 2, "duration_ms": 1.0}
    assert await answer(empty_url, kept) == [("drawings", row[2], drawn) for row in rows]

    def datasets(connection: sa.Connection) -> list[tuple[Any, ...]]:
        of = all_tables().tables["datasets"].c
        return list(map(tuple, connection.execute(sa.select(of.workspace, of.name, of.fields))))

    assert sorted(await answer(empty_url, datasets)) == [
        ("ws_1", "drawings", [["drawing", "drawing"]]),
        ("ws_2", "drawings", [["drawing", "drawing"]]),
    ]

    def counted(connection: sa.Connection) -> list[list[tuple[Any, ...]]]:
        tables = ("record_groups", "record_contributors", "record_buckets")
        found = (connection.execute(sa.text(f"SELECT * FROM {table}")) for table in tables)
        return [sorted(map(tuple, rows)) for rows in found]

    groups, contributors, buckets = await answer(empty_url, counted)
    assert groups == [
        ("ws_1", "circle", "drawings", "drawing", "", False, "", "|off-canvas|", 2),
        ("ws_1", "star", "drawings", "drawing", "", False, "pilot", "", 1),
        ("ws_2", "star", "drawings", "drawing", "", False, "pilot", "", 1),
    ]
    assert contributors == [("ws_1", "ada", 2), ("ws_1", "bob", 1), ("ws_2", "bob", 1)]
    assert buckets == [
        ("ws_1", "quality", 579, 1),
        ("ws_1", "quality", 580, 1),
        ("ws_1", "received", 0, 1),
        ("ws_1", "received", 1, 2),
        ("ws_2", "quality", 1000, 1),
        ("ws_2", "received", 0, 1),
    ]
