"""What only a server can do: go away and come back."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from volano.core.bus import open_bus
from volano.core.bus.doorbell import WAITING
from volano.hosting.services import PostgresServer
from volano.schemas.services import ServiceNotInstalled


@pytest.fixture
def server(server_folder: Path, absent: Callable[[str], NoReturn]) -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may kill."""
    server = PostgresServer(server_folder / "bus", fsync=False)
    try:
        server.start()
    except ServiceNotInstalled as error:
        absent(str(error))
    yield server
    server.stop()


@pytest.mark.faults
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_rings_arrive_again_after_the_server_was_away(
    server: PostgresServer, how: str, tmp_path: Path
) -> None:
    bus = open_bus("postgres:", folder=tmp_path, db_url=server.url)
    async with bus.subscribe("jobs") as rings:
        await asyncio.to_thread(server.stop if how == "stop" else server.kill)
        bus.publish("jobs", "into the dark")  # may be lost
        await asyncio.to_thread(server.start)

        async def ring_until_heard() -> None:
            while not rings._rings:
                bus.publish("jobs", "again")
                await asyncio.sleep(0.05)

        await asyncio.wait_for(ring_until_heard(), 30)
    await bus.aclose()


async def test_a_server_that_is_away_stops_nobody(tmp_path: Path) -> None:
    url = f"postgresql://volano@/volano?host={tmp_path}"
    bus = open_bus("postgres:", folder=tmp_path, db_url=url)
    for n in range(3 * WAITING):
        bus.publish("jobs", str(n))
    waiting = [msgspec.json.decode(ring)[1] for ring in bus._waiting]
    assert waiting == [str(n) for n in range(2 * WAITING, 3 * WAITING)]
    await bus.aclose()
    assert bus._sender is not None
    assert bus._sender.cancelled()
