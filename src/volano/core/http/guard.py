"""What stands before every request: whose host, from which page, how large, how slow, how long."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from starlette.types import Receive

from volano.schemas.common import (
    BodyTooSlow,
    DeadlinePassed,
    HostRefused,
    InvalidValues,
    OriginRefused,
)

LONGEST_DEADLINE_MS = 600_000
"""No request may ask for more time than this."""

TICK_S = 0.01

DRAIN_S = 3.0
"""A refused body is read for so long: closing at once reaches the client as a reset (measured)."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What one request may take; 0 leaves the server's own limit."""

    body: int = 0
    """Bytes."""
    body_s: float = 0
    deadline_ms: int = 0
    """Time for the answer, from the arrival of the body, where the client asks for none."""

    def over(self, default: "RequestLimits") -> "RequestLimits":
        """Return these limits, and `default` where they say nothing."""
        return RequestLimits(
            body=self.body or default.body,
            body_s=self.body_s or default.body_s,
            deadline_ms=self.deadline_ms or default.deadline_ms,
        )


class Hosts:
    """The Host headers that this server answers to; `*` is any. Stops DNS rebinding."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = frozenset(name.strip().lower() for name in allowed if name.strip())
        self.any = "*" in self.allowed
        self._seen: dict[bytes, bool] = {}

    def check(self, host: bytes) -> None:
        """Refuse a host that is not ours.

        Raises: HostRefused.
        """
        if self.any or self._seen.get(host):
            return
        name = host.decode("latin-1").lower()
        is_ipv6 = name.startswith("[")
        without_port = name[: name.find("]") + 1] if is_ipv6 else name.partition(":")[0]
        if without_port not in self.allowed:
            raise HostRefused(host=name[:100])
        # At most one entry per port of an allowed name.
        self._seen[host] = True


def check_origin(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse an unsafe request that another site's page has sent with this user's browser.

    Raises: OriginRefused (from another site; or with a cookie and no sign of where from).
    """
    if method in _SAFE:
        return
    if site := headers.get(b"sec-fetch-site"):
        if site not in (b"same-origin", b"none"):
            raise OriginRefused(origin=headers.get(b"origin", site).decode("latin-1"))
    elif origin := headers.get(b"origin"):
        # Taken apart by hand: what is no address must be refused, and a parser would raise.
        if origin.lower().partition(b"://")[2] != headers.get(b"host", b"").lower():
            raise OriginRefused(origin=origin.decode("latin-1"))
    elif b"cookie" in headers:
        raise OriginRefused(origin="an unknown page")


class Clock:
    """The deadlines of all requests of a process on one timer.

    A timer for every request costs as much as decoding its body (measured: 12 of 100 us for a
    5 KB drawing), so deadlines are looked at every `TICK_S` while there are any.
    """

    def __init__(self) -> None:
        self.running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, deadline: "Deadline") -> None:
        """Watch a deadline until it is discarded from `running`."""
        self.running.add(deadline)
        if self._timer is None:
            self._timer = deadline.loop.call_later(TICK_S, self._tick, deadline.loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in [one for one in self.running if one.due <= now]:
            deadline.expire()
        self._timer = loop.call_later(TICK_S, self._tick, loop) if self.running else None


class Deadline:
    """How long one request may take: first for its body to arrive, then for its answer.

    What takes longer is cancelled.
    Raises: BodyTooSlow, DeadlinePassed on leaving; InvalidValues (`asked` is no time).
    """

    __slots__ = ("_cancelling", "_clock", "_reading", "_task", "body_s", "due", "loop", "ms")

    def __init__(
        self, clock: Clock, asked: bytes | None, limits: RequestLimits, *, body: bool
    ) -> None:
        self.ms = limits.deadline_ms if asked is None else _asked_ms(asked)
        self.body_s = limits.body_s
        self.loop = asyncio.get_running_loop()
        self._clock = clock
        self._reading = body
        self.due = self.loop.time() + (self.body_s if body else self.ms / 1000)

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._clock.start(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self._clock.running.discard(self)
        # As asyncio.timeout does it: a cancellation that somebody else asked for goes on.
        expired = self.due == 0.0 and self._task.uncancel() <= self._cancelling
        if expired and kind is asyncio.CancelledError:
            if self._reading:
                raise BodyTooSlow(seconds=self.body_s) from None
            raise DeadlinePassed(deadline_ms=self.ms) from None

    def body_arrived(self) -> None:
        """Begin to count the time for the answer: the body is complete."""
        self._reading = False
        self.due = self.loop.time() + self.ms / 1000

    def expire(self) -> None:
        """Cancel what is waited for."""
        self._clock.running.discard(self)
        self.due = 0.0
        self._task.cancel()


def _asked_ms(text: bytes) -> int:
    ms = int(text) if text.isdigit() and len(text) < 10 else 0
    if not ms:
        raise InvalidValues(reason="not a number of milliseconds", at="header.x-deadline-ms")
    return min(ms, LONGEST_DEADLINE_MS)


async def drain(receive: Receive) -> None:
    """Read away the rest of a refused body, for at most `DRAIN_S`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            more = True
            while more:
                message = await receive()
                more = message["type"] == "http.request" and message.get("more_body", False)
