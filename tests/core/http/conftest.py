"""A small API of things over a real database, with keys that are known from the start."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn

from tests.core.http.things import authorise, things
from volano.core.context import Context
from volano.core.db import Database, metadata
from volano.core.http.app import Api, build
from volano.core.http.connection import Connection
from volano.core.http.idempotency import keys
from volano.core.http.routes import Routes
from volano.core.http.server import About
from volano.core.metrics import Metrics
from volano.core.settings import read
from volano.hosting.launcher import listen


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    """A Context whose database, settings and figures are real; the other ports are not needed."""
    url = f"sqlite:///{tmp_path / 'http.db'}"
    engine = sa.create_engine(url)
    metadata.create_all(engine, tables=[keys])
    things.create(engine)
    engine.dispose()
    database = await Database.open(url)
    unused: Any = None
    yield Context(
        settings=read({}, allowed_hosts="test,127.0.0.1", http_max_body=100_000),
        db=database,
        blobs=unused,
        bus=unused,
        jobs=unused,
        compute=unused,
        metrics=Metrics(),
        authorise=authorise,
    )
    await database.close()


@pytest.fixture
def routes() -> Routes:
    """Empty routes for a test to fill."""
    return Routes("/things", tag="things")


@pytest.fixture
def app(ctx: Context, routes: Routes) -> Callable[..., Api]:
    """Builds the server of the routes, once the test has declared them."""
    return lambda **options: build(ctx, [routes], about=About(version="1.2.3"), **options)


@pytest.fixture
async def client(app: Callable[..., Api]) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the server, each with a key."""
    opened: list[httpx.AsyncClient] = []

    def connect(key: str = "ada", **options: Any) -> httpx.AsyncClient:
        opened.append(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app(**options)),
                base_url="http://test",
                headers={"authorization": f"Bearer {key}"} if key else {},
            )
        )
        return opened[-1]

    yield connect
    for one in opened:
        await one.aclose()


@pytest.fixture
async def live(app: Callable[..., Api]) -> AsyncIterator[Callable[..., Any]]:
    """Serves the routes on a real socket; gives its port."""
    servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(**options: Any) -> int:
        config = uvicorn.Config(app(**options), log_config=None, http=Connection, lifespan="on")
        server = uvicorn.Server(config)
        listener = listen("127.0.0.1", 0)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        servers.append((server, task))
        while not server.started:
            await asyncio.sleep(0.01)
        port: int = listener.getsockname()[1]
        return port

    yield start
    for server, task in servers:
        server.should_exit = server.force_exit = True
        await task
