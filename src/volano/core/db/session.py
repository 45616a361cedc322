"""What both databases have in common: an open transaction, and what a driver's failure means."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import asyncpg
import sqlalchemy as sa

from volano.schemas.common import (
    DatabaseContended,
    DatabaseDamaged,
    DatabaseUnavailable,
    DatabaseUnwritable,
    StorageFull,
)
from volano.schemas.errors import VolanoError

_RETRIED = ("40001", "40P01")  # serialization_failure, deadlock_detected
_GONE = ("08", "53", "57", "55P03")  # connection, resources, operator intervention, lock timeout
_FULL = "53100"

CONNECTION_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # told of its end while idle, and not yet closed
    asyncio.IncompleteReadError,
    OSError,
)

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


class Answer(NamedTuple):
    """What a statement gave: its rows, and how many it touched."""

    rows: Sequence[sa.Row[Any]]
    touched: int


class Controls:
    """BEGIN, SAVEPOINT and friends that wait to travel with the next statement.

    A savepoint in which nothing ran is never sent at all.
    """

    def __init__(self, *opening: str) -> None:
        self._waiting = list(opening)

    @contextmanager
    def savepoint(self, name: str) -> Iterator[None]:
        """Keep what runs inside when the block ends well, and else roll it back alone."""
        self._waiting.append(f"SAVEPOINT {name}")
        undo = [f"ROLLBACK TO SAVEPOINT {name}"]
        try:
            yield
            undo = []
        finally:
            if not self._forget(name):
                self._waiting += (*undo, f"RELEASE SAVEPOINT {name}")

    def take(self) -> list[str]:
        """Take what has to run now."""
        taken, self._waiting = self._waiting, []
        return taken

    def _forget(self, name: str) -> bool:
        opening = f"SAVEPOINT {name}"
        if opening not in self._waiting:
            return False
        # What was opened inside it has not been sent either.
        del self._waiting[self._waiting.index(opening) :]
        return True


class Session(Protocol):
    """One open transaction on one connection."""

    dialect: sa.Dialect
    controls: Controls

    async def execute(self, statement: sa.Executable, rows: Rows) -> Answer:
        """Run one statement, or one per row; the answer is read to its end."""
        ...

    async def append(
        self, table: sa.Table, columns: tuple[str, ...], rows: list[tuple[Any, ...]], once: bool
    ) -> int:
        """Insert many rows of database values; with `once` skip those whose key is there."""
        ...


@contextmanager
def translated() -> Iterator[None]:
    """Raise what a driver's failure means to a caller; a mistake of ours as it is.

    Raises: DatabaseUnavailable, DatabaseContended (run it again), StorageFull, DatabaseDamaged.
    """
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError) as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error
    except (*CONNECTION_GONE, TimeoutError) as error:
        raise DatabaseUnavailable(reason=_reason(error)) from error


def _meaning(error: BaseException) -> VolanoError | None:
    cause = _driver_error(error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_meaning(cause)
    code = getattr(cause, "sqlstate", None) or ""
    if code == _FULL:
        return StorageFull(reason=_reason(cause))
    if code in _RETRIED:
        return DatabaseContended(reason=_reason(cause))
    lost = (*CONNECTION_GONE, TimeoutError, sa.exc.TimeoutError)
    if code.startswith(_GONE) or isinstance(cause, lost) or _is_disconnect(error):
        return DatabaseUnavailable(reason=_reason(cause))
    return None


def _sqlite_meaning(error: sqlite3.Error) -> VolanoError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(reason=_reason(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseContended(reason=_reason(error))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseDamaged(reason=str(error))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return DatabaseUnwritable(reason=str(error))
    if code == sqlite3.SQLITE_IOERR:
        return DatabaseUnavailable(reason=_reason(error))
    return None


def _driver_error(error: BaseException) -> BaseException:
    """Return the innermost: SQLAlchemy wraps its asyncpg shim, which wraps asyncpg's own."""
    while isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    return error.__cause__ or error if hasattr(error, "sqlstate") else error


def _is_disconnect(error: BaseException) -> bool:
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated


def _reason(error: BaseException) -> str:
    """Return a word for callers; the text, which may name hosts, stays with the cause."""
    return type(error).__name__
