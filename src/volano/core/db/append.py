"""The shortest way for many rows into a table: no statement objects, values as they are stored."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

_SQLITE_PARAMETERS = 999
"""What every build of SQLite takes in one statement."""


def stored(
    table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], dialect: sa.Dialect
) -> list[tuple[Any, ...]]:
    """Convert rows to what the driver takes: only columns with a type of ours differ."""
    converters = _converters(table, tuple(columns), dialect.name)
    if not any(converters):
        return [tuple(row) for row in rows]
    return list(
        zip(
            *(
                [convert(value) for value in values] if convert else values
                for convert, values in zip(converters, zip(*rows, strict=True), strict=True)
            ),
            strict=True,
        )
    )


def sqlite_inserts(
    table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], once: bool
) -> Iterator[tuple[str, list[Any]]]:
    """Yield `INSERT … VALUES (?, …), …` with its parameters, until all rows are in.

    Each statement that runs hands the interpreter's lock to and fro, so there are few. They take
    1, 4, 16 … rows, so that there are few to compile, too.
    """
    size = 1
    while size * 4 * len(columns) <= _SQLITE_PARAMETERS:
        size *= 4
    at = 0
    while at < len(rows):
        while size > len(rows) - at:
            size //= 4
        some = rows[at : at + size]
        yield _sqlite_insert(table, columns, once, size), list(itertools.chain.from_iterable(some))
        at += size


@functools.cache
def _sqlite_insert(table: sa.Table, columns: tuple[str, ...], once: bool, rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    # A statement of many rows keeps a journal to undo itself alone, which below a savepoint grows
    # with all that was written before: 25,000 rows took 16 s. OR FAIL needs none, and loses
    # nothing: a statement that fails ends its transaction.
    into = _into(table, columns).replace("INSERT", "INSERT OR FAIL", 1)
    return f"{into} VALUES {', '.join([row] * rows)}{_conflict(once)}"


@functools.cache
def postgresql_insert(table: sa.Table, columns: tuple[str, ...], once: bool) -> str:
    """Return `INSERT … SELECT … FROM unnest($1::type[], …)`, one parameter per column."""
    dialect = _dialect("postgresql")
    kinds = (table.c[c].type.dialect_impl(dialect).compile(dialect) for c in columns)
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(kinds, 1))
    return f"{_into(table, columns)} SELECT * FROM unnest({arrays}){_conflict(once)}"  # noqa: S608 - names of our own tables


def _into(table: sa.Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({names})'


def _conflict(once: bool) -> str:
    return " ON CONFLICT DO NOTHING" if once else ""


@functools.cache
def _converters(table: sa.Table, columns: tuple[str, ...], dialect_name: str) -> list[Any]:
    dialect = _dialect(dialect_name)
    return [_converter(table.c[c].type, dialect) for c in columns]


def _converter(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Any:
    if isinstance(kind.dialect_impl(dialect), sa.JSON):
        return _json_text
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _json_text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


@functools.cache
def _dialect(name: str) -> sa.Dialect:
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+asyncpg"}
    return sa.make_url(f"{drivers[name]}://").get_dialect()()
