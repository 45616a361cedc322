"""An empty database, on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from volano.hosting.services import execute


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(
    request: pytest.FixtureRequest, tmp_path: Path, make_database: Callable[[], str]
) -> str:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'empty.db'}"
    return make_database()


@pytest.fixture
def make_database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL database."""
    made: list[str] = []

    def make() -> str:
        server = request.getfixturevalue("postgres_server")
        name = f"empty_{id(request):x}_{len(made)}"
        execute(server, f"CREATE DATABASE {name}")
        made.append(name)
        address, _, query = server.partition("?")
        return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    yield make
    for name in made:
        execute(request.getfixturevalue("postgres_server"), f"DROP DATABASE {name} WITH (FORCE)")
