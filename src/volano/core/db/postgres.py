"""PostgreSQL: a pool of asyncpg connections under SQLAlchemy Core, with a limit on every wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from volano.core.db.scope import checked
from volano.core.db.session import CONNECTION_GONE, Answer, Controls, Rows, translated
from volano.core.db.types import postgresql_insert
from volano.schemas.common import DatabaseUnavailable


class _Session:
    """One transaction; its BEGIN travels before the first statement."""

    def __init__(self, engine: AsyncEngine, connection: AsyncConnection, opening: str) -> None:
        self.dialect = engine.dialect
        self.controls = Controls(opening)
        self._connection = connection
        self._raw: Any = None

    async def execute(self, statement: sa.Executable, rows: Rows) -> Answer:
        with translated():
            await self._open()
            result = await self._connection.execute(statement, rows)
            return Answer(result.all() if result.returns_rows else (), result.rowcount)

    async def append(
        self, table: sa.Table, columns: tuple[str, ...], rows: list[tuple[Any, ...]], once: bool
    ) -> int:
        insert = postgresql_insert(table, columns, once)
        with translated():
            await self._open()
            try:
                status = await self._raw.execute(insert, *map(list, zip(*rows, strict=True)))
            except asyncpg.IntegrityConstraintViolationError as error:
                raise sa.exc.IntegrityError(insert, None, error) from error
        return int(status.rpartition(" ")[2])

    async def commit(self) -> None:
        """End the transaction; one in which nothing ran was never begun."""
        if self._raw is None:
            return
        with translated():
            status = await self._raw.execute("; ".join((*self.controls.take(), "COMMIT")))
        if status != "COMMIT":
            raise DatabaseUnavailable(reason=f"the transaction ended as {status}")

    async def abandon(self) -> None:
        """Roll back and return the connection; one that cannot even do that is thrown away."""
        try:
            if self._raw is not None:
                async with asyncio.timeout(5.0):
                    await self._raw.execute("ROLLBACK")
        except (asyncpg.PostgresError, *CONNECTION_GONE, TimeoutError):
            await self._connection.invalidate()
        finally:
            await self.release()

    async def release(self) -> None:
        await self._connection.close()

    async def _open(self) -> None:
        controls = self.controls.take()
        if self._raw is not None:
            if controls:
                await self._raw.execute("; ".join(controls))
            return
        try:
            await self._begin(controls)
        except CONNECTION_GONE:
            # A connection that died while it lay in the pool; nothing has run on it yet.
            await self._connection.invalidate()
            await self._begin(controls)

    async def _begin(self, controls: list[str]) -> None:
        pooled = await self._connection.get_raw_connection()
        self._raw = pooled.driver_connection
        await self._raw.execute("; ".join(controls))


class Postgres:
    """The shared database of many processes."""

    dialect_name = "postgresql"

    def __init__(self, url: str, *, pool: int = 10, patience_s: float = 10.0) -> None:
        self._engine = create_async_engine(
            sa.make_url(url).set(drivername="postgresql+asyncpg"),
            isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are sent by _Session
            pool_size=pool,
            max_overflow=pool,
            pool_timeout=patience_s,
            pool_recycle=1800,
            connect_args={
                "timeout": patience_s,
                # Without it a call on a connection whose peer is gone waits for ever.
                "command_timeout": 3 * patience_s,
                "prepared_statement_cache_size": 500,
                "server_settings": {
                    "application_name": "volano",
                    "lock_timeout": f"{round(patience_s * 1000)}ms",
                    # A process that was stopped in a transaction must not keep its locks.
                    "idle_in_transaction_session_timeout": f"{round(6 * patience_s * 1000)}ms",
                },
            },
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
        checked(self._engine.dialect)

    async def open(self) -> None:
        with translated():
            async with self._engine.connect() as connection:
                await connection.execute(sa.text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()

    async def truncate_log(self) -> None:
        """Leave it to the server, whose vacuum and checkpoints overwrite what was deleted."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[_Session]:
        """Open a snapshot of what was committed before its first statement."""
        opening = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        async with self._transaction(opening) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[_Session]:
        """Open a transaction that is committed when this returns."""
        async with self._transaction("BEGIN") as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, opening: str) -> AsyncIterator[_Session]:
        with translated():
            connection = await self._engine.connect()
        session = _Session(self._engine, connection, opening)
        end = session.abandon
        try:
            yield session
            await session.commit()
            end = session.release
        finally:
            await asyncio.shield(end())
