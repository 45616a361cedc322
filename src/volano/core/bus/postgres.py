"""Rings between machines: LISTEN and NOTIFY on a connection of their own."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import asyncpg

CHANNEL = "volano"
"""One channel for all rings: a listener takes what it wants, so a frame is one commit."""

COMMAND_S = 5.0
QUIET_S = 10.0
"""A connection that was silent this long is asked whether it still is one."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 5.0

_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""TimeoutError is an OSError."""


class PostgresWire:
    """One connection that is made anew whenever it breaks; rings wait for it meanwhile."""

    pause_s = 0.010

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+asyncpg:", "postgresql:")
        self._deliver: Callable[[bytes], None] = _ignore
        self._connection: asyncpg.Connection | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    async def listen(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        await self._connect()

    async def send(self, frames: list[bytes]) -> None:
        await self._connect()
        statement = "SELECT pg_notify($1, frame) FROM unnest($2::text[]) frame"
        await self._execute(statement, [frame.decode() for frame in frames])

    async def aclose(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})

    async def _connect(self) -> None:
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        await self._connected.wait()

    async def _keep(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                await self._use(await asyncpg.connect(self._url, timeout=COMMAND_S))
                delay_s = FIRST_DELAY_S
            except _LOST:
                delay_s = min(delay_s * 2, LONGEST_DELAY_S)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))

    async def _use(self, connection: asyncpg.Connection) -> None:
        """Listen until the connection is lost; raise what fails before that."""
        self._connection = connection
        self._lost.clear()
        try:
            connection.add_termination_listener(lambda _: self._lost.set())
            await asyncio.wait_for(connection.add_listener(CHANNEL, self._received), COMMAND_S)
            self._connected.set()
            while not await self._is_lost():
                pass
        finally:
            self._connected.clear()
            connection.terminate()

    async def _is_lost(self) -> bool:
        """Return whether the connection breaks within QUIET_S or does not answer after that."""
        try:
            return await asyncio.wait_for(self._lost.wait(), QUIET_S)
        except TimeoutError:
            return not await self._execute("SELECT $1::text, $2::text[]", [])

    async def _execute(self, statement: str, texts: list[str]) -> bool:
        """Run a statement; return whether it worked. If not, the connection counts as lost."""
        async with self._one_at_a_time:
            assert self._connection
            try:
                await self._connection.execute(statement, CHANNEL, texts, timeout=COMMAND_S)
            except _LOST:
                self._lost.set()
        return not self._lost.is_set()

    def _received(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        self._deliver(payload.encode())


def _ignore(frame: bytes) -> None:
    """Drop a frame: a wire that only publishes has no subscription."""
