"""The database of a server: transactions by workspace, joined where they nest."""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self, TypeVar

import sqlalchemy as sa

from volano.core.db.postgres import Postgres
from volano.core.db.sqlite import Sqlite
from volano.core.db.tx import Everywhere, Tx
from volano.core.settings import SQLITE, path_of
from volano.schemas.common import DatabaseContended, DatabaseUnavailable, StorageFull
from volano.schemas.errors import Broken, VolanoError

T = TypeVar("T")

_ambient: contextvars.ContextVar["tuple[Database, Tx] | None"] = contextvars.ContextVar(
    "volano_tx", default=None
)


class Database:
    """Gives transactions. Inside one, await nothing but the database: on SQLite every other
    writer of this process waits in line behind it."""

    def __init__(self, backend: Sqlite | Postgres) -> None:
        self._backend = backend
        self.refused_write: VolanoError | None = None
        """Why the last write that the storage refused was refused; health clears it."""
        self.refused_at = 0.0
        """When that was, by `time.monotonic`."""

    @classmethod
    async def open(cls, url: str, *, pool: int = 10, patience_s: float = 10.0) -> Self:
        """Connect to the database at `sqlite:///path` or `postgresql://…`.

        Raises: DatabaseUnavailable, BadSetting (a path that cannot be told from a query).
        """
        backend = _backend(url, pool, patience_s)
        await backend.open()
        return cls(backend)

    async def close(self) -> None:
        """Wait for what runs, then close every connection."""
        await self._backend.close()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._backend.dialect_name

    @asynccontextmanager
    async def begin(self, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Open a write transaction, durable when the block has ended without an exception.

        Inside another one of the same task and workspace it is a part of that (a savepoint), and
        durable when that ends.
        Raises: DatabaseUnavailable, StorageFull, WorkspaceMismatch.
        """
        if (outer := self._joined()) is not None:
            async with self.part(outer, workspace) as tx:
                yield tx
            return
        try:
            async with self._backend.write() as session:
                tx = Tx(session, workspace)
                with self._as_ambient(tx), tx.block():
                    yield tx
        except (StorageFull, DatabaseUnavailable) as error:
            if not isinstance(error, DatabaseContended):
                self.refused_write, self.refused_at = error, time.monotonic()
            raise
        await tx.committed()

    @asynccontextmanager
    async def part(self, outer: Tx, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Open a savepoint in an open transaction of this task, or of another one that waits.

        Raises: WorkspaceMismatch.
        """
        async with outer.nested(workspace) as tx:
            with self._as_ambient(tx):
                yield tx

    @asynccontextmanager
    async def read(self, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Open a read-only snapshot; in a write transaction of the workspace it sees its rows."""
        outer = self._joined()
        if outer is not None and workspace == outer.workspace:
            yield outer
            return
        async with self._backend.read() as session:
            tx = Tx(session, workspace)
            with tx.block():
                yield tx

    async def run(
        self, workspace: str | Everywhere, body: Callable[[Tx], Awaitable[T]], attempts: int = 5
    ) -> T:
        """Return the body's result, committed; run it again where another was in the way.

        For bodies without effects outside the database; inside another transaction it runs once.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.begin(workspace) as tx:
                    return await body(tx)
            except DatabaseContended:
                if attempt == attempts or self._joined() is not None:
                    raise
        raise AssertionError("unreachable")

    def _joined(self) -> Tx | None:
        """Return the open transaction of this very task; a task that it started begins its own."""
        found = _ambient.get()
        if found is None or found[0] is not self or found[1].task is not asyncio.current_task():
            return None
        return found[1]

    def _as_ambient(self, tx: Tx) -> "_Ambient":
        return _Ambient(self, tx)


class _Ambient:
    """Makes a transaction the one that nested calls join."""

    def __init__(self, database: Database, tx: Tx) -> None:
        self._pair = (database, tx)

    def __enter__(self) -> None:
        self._token = _ambient.set(self._pair)

    def __exit__(self, *error: object) -> None:
        _ambient.reset(self._token)


def _backend(url: str, pool: int, patience_s: float) -> Sqlite | Postgres:
    if url.startswith(SQLITE):
        return Sqlite(path_of(url, SQLITE, "VOLANO_DB"), patience_s=patience_s)
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return Postgres(url, pool=pool, patience_s=patience_s)
    raise Broken(f"No database of kind {parsed.drivername!r}; use sqlite:///… or postgresql://…")
