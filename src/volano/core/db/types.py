"""Column types that mean the same on SQLite and PostgreSQL, and the database's clock.

And many rows of such columns on the shortest way into a table: no statement objects, values as they
are stored.
"""

import functools
import itertools
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime, stored as BIGINT milliseconds since 1970; also takes such an integer."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: sa.Dialect) -> int | None:
        if value is None or isinstance(value, int):
            return value
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class Uuid16(sa.TypeDecorator[str]):
    """A canonical UUID string, stored as its 16 bytes."""

    impl = sa.LargeBinary(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:
        if value is None:
            return None
        data = bytes.fromhex(value.replace("-", ""))  # a fifth of what uuid.UUID takes
        if len(data) != 16:
            raise ValueError(f"{value!r} is no UUID")
        return data

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(uuid.UUID(bytes=value))


JsonValue = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True), "postgresql"
)
"""A JSON value: JSONB on PostgreSQL, text on SQLite; None is SQL NULL."""


class now_ms(FunctionElement[int]):
    """The database's clock in milliseconds since 1970: the only clock that leases may use."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(now_ms, "postgresql")
def _now_ms_postgresql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "sqlite")
def _now_ms_sqlite(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42; the Julian day resolves 0.04 ms.
    return "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


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
