"""Bringing a database to a revision, one process at a time, all of it or nothing."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from volano.core.db.session import translated
from volano.core.durable import make_folder
from volano.core.settings import SQLITE, path_of
from volano.schemas.common import DatabaseNewer, DatabaseOlder, DatabaseUnavailable

_LOCK = 0x766F6C616E6F  # "volano": the advisory lock that migrating processes wait for

Step = Callable[[sa.Connection], None]


async def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the database to the revision; several processes may call it at once.

    Raises: DatabaseUnavailable, DatabaseDamaged, DatabaseNewer.
    """

    def upgrade(connection: sa.Connection) -> None:
        _revisions(connection)
        command.upgrade(config(connection), revision)

    await within(url, upgrade)


async def check(url: str) -> None:
    """Raise unless the database is there and at the revision of this program.

    Raises: DatabaseUnavailable, DatabaseDamaged, DatabaseOlder, DatabaseNewer.
    """

    def compare(connection: sa.Connection) -> None:
        found, newest = _revisions(connection)
        if found != newest:
            raise DatabaseOlder(found=found or "none", needed=newest)

    if url.startswith(SQLITE) and not (path := path_of(url, SQLITE, "VOLANO_DB")).exists():
        raise DatabaseUnavailable(reason=f"there is no file {path}")
    await within(url, compare)


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to the revision; `base` is the empty database."""
    await within(url, lambda connection: command.downgrade(config(connection), revision))


async def within(url: str, step: Step) -> None:
    """Run the step in one transaction that no other migrating process is in."""
    with translated():
        if url.startswith(SQLITE):
            await asyncio.to_thread(_within_sqlite, path_of(url, SQLITE, "VOLANO_DB"), step)
        else:
            await _within_postgresql(url, step)


def _revisions(connection: sa.Connection) -> tuple[str | None, str | None]:
    """Return the revision of the database and the newest one. Raises: DatabaseNewer."""
    found = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(config(connection))
    if found and found not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseNewer(found=found)
    return found, scripts.get_current_head()


def _within_sqlite(path: Path, step: Step) -> None:
    make_folder(path.parent)
    engine = sa.create_engine(
        "sqlite://",
        # Foreign keys stay off: a table is changed by copying it, which would fail on them.
        creator=lambda: sqlite3.connect(path, isolation_level=None, timeout=60.0),
        poolclass=sa.NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        step(connection)
        connection.commit()
    engine.dispose()


async def _within_postgresql(url: str, step: Step) -> None:
    engine = create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"), poolclass=sa.NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            await connection.run_sync(step)
    finally:
        await engine.dispose()


def config(connection: sa.Connection) -> Config:
    config = Config()
    # Alembic's file format reads a single % as the start of a reference.
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.attributes["connection"] = connection
    return config
