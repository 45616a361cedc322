"""Bus: rings a bell in other processes. A lost ring loses nothing, since who waits also looks.

Rings of a few milliseconds travel together and equal ones once; nothing here ever blocks who
publishes, and every queue is bounded: the oldest ring goes first.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakSet

import msgspec

Ring = tuple[str, str]
"""A channel and a short text."""

LONGEST_RING = 4000
"""Bytes of channel and text together, as JSON."""

LONGEST_FRAME = 7900
"""Bytes; a notification of PostgreSQL holds less than 8,000."""

WAITING = 1000
"""Rings that wait for the wire, and in each subscription; older ones are dropped."""

SUBSCRIBE_S = 5.0
CLOSE_S = 1.0

_decoder = msgspec.json.Decoder(list[Ring])


class Wire(Protocol):
    """What carries frames of rings to every process that listens, this one too."""

    @property
    def pause_s(self) -> float:
        """The least time between two sends."""

    async def listen(self, deliver: Callable[[bytes], None]) -> None:
        """Begin to call `deliver` with every frame."""

    async def send(self, frames: list[bytes]) -> None:
        """Send frames to all that listen; they may be lost, but this never raises."""

    async def aclose(self) -> None:
        """Close sockets and connections."""


class Subscription(AsyncIterator[Ring]):
    """The rings of some channels: `async with bus.subscribe("jobs") as rings: async for …`.

    Nothing that is published after `async with` has begun is missed for being too early.
    """

    def __init__(self, bus: "Bus", channels: Iterable[str]) -> None:
        self.channels = frozenset(channels)
        self._bus = bus
        self._rings: deque[Ring] = deque(maxlen=WAITING)
        self._wake = asyncio.Event()
        self._begun = False
        self._closed = False

    def deliver(self, ring: Ring) -> None:
        """Take a ring; drop the oldest one where too many wait."""
        self._rings.append(ring)
        self._wake.set()

    def close(self) -> None:
        """End the iteration, after the rings that are already here."""
        self._closed = True
        self._bus.forget(self)
        self._wake.set()

    async def __aenter__(self) -> Self:
        self._begun = True
        await self._bus.listen(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __anext__(self) -> Ring:
        if not self._begun:
            await self.__aenter__()
        while not self._rings:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._rings.popleft()


class Bus:
    """Rings to and from every process on the same wire; use it in one event loop."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[bytes, None] = {}
        self._sender: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        # Weak, so that an iterator that is simply dropped is also forgotten.
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    def publish(self, channel: str, text: str = "") -> None:
        """Send a ring soon; return at once. Raises: ValueError (longer than LONGEST_RING)."""
        ring = msgspec.json.encode((channel, text))
        if len(ring) > LONGEST_RING:
            raise ValueError(f"a ring has at most {LONGEST_RING} bytes, this one {len(ring)}")
        self._waiting[ring] = None
        if len(self._waiting) > WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())

    def subscribe(self, *channels: str) -> Subscription:
        """Return the rings of these channels, from the first use on, as (channel, text)."""
        return Subscription(self, channels)

    async def listen(self, subscription: Subscription) -> None:
        """Add a subscription and wait for the wire, but no longer than SUBSCRIBE_S."""
        self._subscriptions.add(subscription)
        if self._listener is None or _has_failed(self._listener):
            self._listener = asyncio.create_task(self._wire.listen(self._deliver))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._listener), SUBSCRIBE_S)

    def forget(self, subscription: Subscription) -> None:
        """Remove a subscription."""
        self._subscriptions.discard(subscription)

    async def aclose(self) -> None:
        """Send what still waits, end all subscriptions, close the wire."""
        if self._sender:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sender, CLOSE_S)
        if self._listener:
            self._listener.cancel()
        for subscription in list(self._subscriptions):
            subscription.close()
        await self._wire.aclose()

    async def _send(self) -> None:
        while self._waiting:
            frames = list(_frames(self._waiting))
            self._waiting.clear()
            await self._wire.send(frames)
            await asyncio.sleep(self._wire.pause_s)

    def _deliver(self, frame: bytes) -> None:
        with suppress(msgspec.DecodeError):  # not from us, or from a newer release
            for ring in _decoder.decode(frame):
                for subscription in list(self._subscriptions):
                    if ring[0] in subscription.channels:
                        subscription.deliver(ring)


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def _frames(rings: Iterable[bytes]) -> Iterator[bytes]:
    """Join rings into JSON lists, each as long as a frame may be."""
    frame: list[bytes] = []
    size = 2
    for ring in rings:
        if size + len(ring) > LONGEST_FRAME:
            yield b"[" + b",".join(frame) + b"]"
            frame, size = [], 2
        frame.append(ring)
        size += len(ring) + 1
    yield b"[" + b",".join(frame) + b"]"
