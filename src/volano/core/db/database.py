"""The database of a server: transactions by workspace."""

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

        Raises: DatabaseUnavailable, StorageFull.
        """
        try:
            async with self._backend.write() as session:
                tx = Tx(session, workspace)
                with tx.block():
                    yield tx
        except (StorageFull, DatabaseUnavailable) as error:
            if not isinstance(error, DatabaseContended):
                self.refused_write, self.refused_at = error, time.monotonic()
            raise
        await tx.committed()

    @asynccontextmanager
    async def read(self, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Open a read-only snapshot of what is committed."""
        async with self._backend.read() as session:
            tx = Tx(session, workspace)
            with tx.block():
                yield tx

    async def run(
        self, workspace: str | Everywhere, body: Callable[[Tx], Awaitable[T]], attempts: int = 5
    ) -> T:
        """Return the body's result, committed; run it again where another was in the way.

        For bodies without effects outside the database.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.begin(workspace) as tx:
                    return await body(tx)
            except DatabaseContended:
                if attempt == attempts:
                    raise
        raise AssertionError("unreachable")

    async def truncate_log(self) -> None:
        """Clear SQLite's log of writes, in which deleted rows stand; PostgreSQL's is its own."""
        await self._backend.truncate_log()

    def inside(self, tx: Tx) -> "Database":
        """Return the database for code whose transactions are to be parts of this open one."""
        return _Inside(self._backend, tx)


class _Inside(Database):
    """The database as it is in an open transaction: what begins there goes with it."""

    def __init__(self, backend: Sqlite | Postgres, outer: Tx) -> None:
        super().__init__(backend)
        self._outer = outer

    @asynccontextmanager
    async def begin(self, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Open a savepoint, durable when the outer transaction is.

        Raises: WorkspaceMismatch.
        """
        async with self._outer.nested(workspace) as tx:
            yield tx

    @asynccontextmanager
    async def read(self, workspace: str | Everywhere) -> AsyncIterator[Tx]:
        """Read what the outer transaction has written, where it is of the same workspace."""
        if workspace == self._outer.workspace:
            yield self._outer
            return
        async with super().read(workspace) as tx:
            yield tx

    async def run(
        self, workspace: str | Everywhere, body: Callable[[Tx], Awaitable[T]], attempts: int = 1
    ) -> T:
        """Run the body once: only the outer transaction as a whole can be run again."""
        return await super().run(workspace, body, 1)


def _backend(url: str, pool: int, patience_s: float) -> Sqlite | Postgres:
    if url.startswith(SQLITE):
        return Sqlite(path_of(url, SQLITE, "VOLANO_DB"), patience_s=patience_s)
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return Postgres(url, pool=pool, patience_s=patience_s)
    raise Broken(f"No database of kind {parsed.drivername!r}; use sqlite:///… or postgresql://…")
