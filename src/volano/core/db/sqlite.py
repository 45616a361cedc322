"""SQLite: one writing connection with group commit, a few reading ones, a thread for each.

An acknowledged commit survives a power cut (WAL, synchronous=FULL). What makes that fast is that
transactions which wait in line share the COMMIT, and with it the fsync, of the last of them.
"""

import asyncio
import functools
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from volano.core.db.scope import checked
from volano.core.db.session import Answer, Controls, Rows, translated
from volano.core.db.types import sqlite_inserts
from volano.schemas.common import DatabaseUnavailable
from volano.schemas.errors import Broken

T = TypeVar("T")

GROUP = 64
"""At most so many transactions share a COMMIT: bounds how long the first of them waits."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "journal_size_limit=67108864",
    "cache_size=-32768",
    "temp_store=MEMORY",
    # As on PostgreSQL: a filter must choose the same rows on both.
    "case_sensitive_like=ON",
    # What is deleted is overwritten: most builds of SQLite do so by themselves.
    "secure_delete=ON",
)


class _Unit:
    """What is between one BEGIN and its COMMIT or ROLLBACK."""

    __slots__ = ("lost", "touched")

    def __init__(self) -> None:
        self.touched = False
        self.lost: sqlite3.Error | None = None


class _Group(_Unit):
    """The transactions that share one COMMIT, and the future that tells them of it."""

    __slots__ = ("done", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, finished: asyncio.Future[None]) -> None:
        """Tell every member how the COMMIT went."""
        error = finished.exception()
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()  # retrieved, also where every member was cancelled


class _Connection:
    """One connection and the only thread that touches it.

    Calls run in the order in which they were submitted, whether or not anybody awaits them: that
    is what makes a cancelled task harmless.
    """

    def __init__(self, engine: sa.Engine, opening: str, pragmas: tuple[str, ...]) -> None:
        self.controls = Controls()
        self._engine = engine
        self._opening = opening
        self._pragmas = pragmas
        self._thread = ThreadPoolExecutor(1, "volano-sqlite")
        self._connection: sa.Connection
        self._raw: sqlite3.Connection

    async def connect(self) -> None:
        await self._submit(self._connect)

    async def close(self) -> None:
        await self._submit(self._connection.close)
        self._thread.shutdown(wait=True)

    async def within(self, unit: _Unit, call: Callable[[sa.Connection], T]) -> T:
        """Run `call` inside the unit's transaction, which begins with its first call."""
        unit.touched = True
        with translated():
            return await self._submit(self._within, unit, self.controls.take(), call)

    def finish(self, unit: _Unit) -> asyncio.Future[None]:
        """Commit the unit; roll it back where it is lost."""
        return self._submit(self._finish, unit, self.controls.take())

    def _submit(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Return the call's result; cancelling that cancels nothing: the call keeps its place."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(running: Future[T]) -> None:
            with suppress(RuntimeError):  # Ctrl-C has closed the loop, and nobody waits any more
                loop.call_soon_threadsafe(_settle, answer, running)

        # Cheaper than run_in_executor and the shield it would need: 60 us a call, not 80.
        self._thread.submit(call, *args).add_done_callback(tell)
        return answer

    def _connect(self) -> None:
        self._connection = self._engine.connect()
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self._raw = raw
        for pragma in self._pragmas:
            raw.execute(f"PRAGMA {pragma}")

    def _within(self, unit: _Unit, controls: list[str], call: Callable[[sa.Connection], T]) -> T:
        self._open(unit, controls)
        try:
            return call(self._connection)
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            if not self._raw.in_transaction:  # SQLite rolled everything back: full, I/O error
                unit.lost = _cause(error)
            raise

    def _open(self, unit: _Unit, controls: list[str]) -> None:
        if unit.lost is not None:
            raise unit.lost
        try:
            if not self._raw.in_transaction:
                self._raw.execute(self._opening)
            for control in controls:
                self._raw.execute(control)
        except sqlite3.Error as error:
            unit.lost = error
            raise

    def _finish(self, unit: _Unit, controls: list[str]) -> None:
        try:
            self._open(unit, controls)
            self._raw.execute("COMMIT")
        except sqlite3.Error:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
            raise


class _Session:
    """One logical transaction in a unit of a connection."""

    def __init__(self, connection: _Connection, unit: _Unit, dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self.controls = connection.controls
        self.touched = False
        self._connection = connection
        self._unit = unit

    async def execute(self, statement: sa.Executable, rows: Rows) -> Answer:
        self.touched = True
        return await self._connection.within(
            self._unit, functools.partial(_execute, statement=statement, rows=rows)
        )

    async def append(
        self, table: sa.Table, columns: tuple[str, ...], rows: list[tuple[Any, ...]], once: bool
    ) -> int:
        self.touched = True
        inserts = list(sqlite_inserts(table, columns, rows, once))
        return await self._connection.within(
            self._unit, functools.partial(_append, inserts=inserts)
        )


class Sqlite:
    """The embedded database: a file, one writer per process, readers that never wait for it."""

    dialect_name = "sqlite"

    def __init__(self, path: Path, *, readers: int = 4, patience_s: float = 10.0) -> None:
        self._patience_s = patience_s
        self._engine = _engine(path, patience_s)
        self._writer = _Connection(self._engine, "BEGIN IMMEDIATE", _PRAGMAS)
        self._readers = [
            _Connection(self._engine, "BEGIN", (*_PRAGMAS, "query_only=ON")) for _ in range(readers)
        ]
        self._idle: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        self._line: deque[asyncio.Future[None]] = deque()
        self._taken = False
        self._holder: asyncio.Task[Any] | None = None
        self._failed: BaseException | None = None
        self._group: _Group

    async def open(self) -> None:
        self._group = _Group()
        with translated():
            await self._writer.connect()
            for reader in self._readers:
                await reader.connect()
                self._idle.put_nowait(reader)

    async def close(self) -> None:
        for connection in (*self._readers, self._writer):
            await connection.close()
        self._engine.dispose()

    async def truncate_log(self) -> None:
        """Clear the write-ahead log, in which deleted rows stand until it begins anew."""

        def truncate() -> None:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

        with translated():
            await asyncio.to_thread(truncate)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[_Session]:
        """Open a snapshot of what was committed before its first statement."""
        connection = await self._patient(self._idle.get())
        unit = _Unit()
        try:
            yield _Session(connection, unit, self._engine.dialect)
        finally:
            if unit.touched:
                connection.finish(unit)
            self._idle.put_nowait(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[_Session]:
        """Open a transaction that is committed, with the others in line, when this returns."""
        await self._turn()
        group, controls = self._group, self._writer.controls
        session = _Session(self._writer, group, self._engine.dialect)
        try:
            with controls.savepoint("member"):
                yield session
            group.size += session.touched
        finally:
            self._leave(group)
        if session.touched:
            with translated():
                await asyncio.shield(group.done)

    async def _turn(self) -> None:
        """Wait until this task alone may use the writer."""
        if self._failed is not None:
            raise DatabaseUnavailable(
                reason="the disk failed; restart the server"
            ) from self._failed
        task = asyncio.current_task()
        if self._holder is task:
            raise Broken("A transaction inside another one would wait for itself: tx.nested().")
        if not self._taken:
            self._taken, self._holder = True, task
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await self._patient(turn)
            self._holder = task
        except (asyncio.CancelledError, DatabaseUnavailable):
            if turn.done() and not turn.cancelled():  # it came together with the cancellation
                self._leave(self._group)
            raise

    def _leave(self, group: _Group) -> None:
        """Pass the turn on; commit where nobody waits for it or the group is full or lost."""
        self._holder = None
        while self._line and self._line[0].done():
            self._line.popleft()  # cancelled while waiting
        is_last = not self._line
        if group.touched and (is_last or group.size >= GROUP or group.lost is not None):
            self._commit(group)
        if is_last:
            self._taken = False
        else:
            self._line.popleft().set_result(None)

    def _commit(self, group: _Group) -> None:
        self._group = _Group()
        finished = self._writer.finish(group)
        finished.add_done_callback(self._note_failure)
        finished.add_done_callback(group.settle)

    def _note_failure(self, finished: asyncio.Future[None]) -> None:
        """Write nothing again after a failed fsync: the kernel may have dropped the pages.

        Source: Rebello et al., Can applications recover from fsync failures?, ATC 2020.
        """
        error = finished.exception()
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            self._failed = error

    async def _patient(self, waiting: Any) -> Any:
        try:
            async with asyncio.timeout(self._patience_s):
                return await waiting
        except TimeoutError:
            reason = f"no turn within {self._patience_s} s"
            raise DatabaseUnavailable(reason=reason) from None


def _execute(connection: sa.Connection, statement: sa.Executable, rows: Rows) -> Answer:
    result = connection.execute(statement, rows)
    return Answer(result.all() if result.returns_rows else (), result.rowcount)


def _append(connection: sa.Connection, inserts: list[tuple[str, list[Any]]]) -> int:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    touched = 0
    for insert, values in inserts:
        try:
            touched += raw.execute(insert, values).rowcount
        except sqlite3.IntegrityError as error:
            raise sa.exc.IntegrityError(insert, None, error) from error
    return touched


def _settle(answer: asyncio.Future[T], running: Future[T]) -> None:
    error = running.exception()
    if answer.done():  # whoever asked was cancelled
        return
    if error is None:
        answer.set_result(running.result())
    else:
        answer.set_exception(error)


def _cause(error: sa.exc.DBAPIError | sqlite3.Error) -> sqlite3.Error:
    cause = error if isinstance(error, sqlite3.Error) else error.orig
    assert isinstance(cause, sqlite3.Error)
    return cause


def _engine(path: Path, patience_s: float) -> sa.Engine:
    if str(path) in ("", ".", ":memory:"):
        raise Broken("An SQLite database needs a file: readers and writer are connections to it.")
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            path,
            timeout=patience_s,
            isolation_level=None,  # BEGIN IMMEDIATE is ours: deferred writers fail as "locked"
            check_same_thread=False,
            cached_statements=512,
        ),
        poolclass=sa.NullPool,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    checked(engine.dialect)
    return engine
