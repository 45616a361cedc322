"""A fresh, migrated database for each test, on SQLite and on PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from volano.core.db import Database
from volano.migrations.run import migrate, within
from volano.migrations.tables import all_tables

DATABASES = ("sqlite", "postgresql")


def make_tables(url: str) -> None:
    """Migrate the database; tables that have no revision yet are made from the code.

    That a revision is missing is what tests/migrations finds.
    """

    async def make() -> None:
        await migrate(url)
        await within(url, all_tables().create_all)

    asyncio.run(make())


@pytest.fixture(scope="session", name="migrate")
def migrate_fixture() -> Callable[[str], None]:
    """What makes our tables in the empty database at a URL, and leaves no connection open."""
    return make_tables


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, made once per worker and then copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of an SQLite database of this test's own, with our tables and no rows."""
    path = tmp_path / "volano.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=DATABASES)
def db_url(request: pytest.FixtureRequest) -> str:
    """The URL of this test's own database, once on each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
async def db(db_url: str) -> AsyncIterator[Database]:
    """This test's own database, open, once on each kind."""
    database = await Database.open(db_url)
    yield database
    await database.close()


@pytest.fixture
def workspace() -> str:
    """The id of the workspace that a test works in."""
    return "ws_0000000000000000000000000000000a"
