"""What stands before every request: whose host, from which page, how large, how slow, how long."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volano.core.http.body import ClientGone
from volano.spec.common import (
    BodyTooLarge,
    BodyTooSlow,
    DeadlinePassed,
    HostRefused,
    InvalidValues,
    OriginRefused,
)

LONGEST_DEADLINE_MS = 600_000
"""No request may ask for more time than this."""

DRAIN_S = 3.0
"""A refused body is read for so long: closing at once reaches the client as a reset (measured)."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_DISCONNECT: Message = {"type": "http.disconnect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take; 0 leaves the server's own limit."""

    body: int = 0
    """Bytes."""
    body_s: float = 0
    deadline_ms: int = 0
    """Time for the answer, from the arrival of the body, where the client asks for none."""

    def over(self, default: "Limits") -> "Limits":
        """These limits, and `default` where they say nothing."""
        return Limits(
            body=self.body or default.body,
            body_s=self.body_s or default.body_s,
            deadline_ms=self.deadline_ms or default.deadline_ms,
        )


class BodyGuard:
    """Wraps an ASGI app: a body larger or slower than allowed never reaches it.

    The app sees a client that has gone, and the refusal is raised here: an exception out of
    `receive` would become a 500 inside frameworks (measured).
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float) -> None:
        self.app = app
        self.most = most
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if declared_length(scope) > self.most:
            raise BodyTooLarge(limit=self.most)
        watch = _Watch(self, receive, send)
        try:
            await self.app(scope, watch.receive, watch.send)
        except ClientGone:
            if watch.refusal is None:
                raise
        if watch.refusal is not None:
            raise watch.refusal


class _Watch:
    """Counts one body while it arrives."""

    __slots__ = ("_receive", "_send", "_until", "arrived", "complete", "guard", "refusal")

    def __init__(self, guard: BodyGuard, receive: Receive, send: Send) -> None:
        self.guard = guard
        self.arrived = 0
        self.complete = False
        self.refusal: BodyTooLarge | BodyTooSlow | None = None
        self._receive = receive
        self._send = send
        self._until = asyncio.get_running_loop().time() + guard.seconds

    async def receive(self) -> Message:
        if self.refusal:
            return _DISCONNECT
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refusal = BodyTooSlow(seconds=self.guard.seconds)
            return _DISCONNECT
        self.arrived += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.arrived > self.guard.most:
            self.refusal = BodyTooLarge(limit=self.guard.most)
            return _DISCONNECT
        return message

    async def send(self, message: Message) -> None:
        if not self.refusal:
            await self._send(message)


class Hosts:
    """The Host headers that this server answers to; `*` is any. Stops DNS rebinding."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = frozenset(name.strip().lower() for name in allowed if name.strip())
        self.any = "*" in self.allowed
        self._seen: dict[bytes, bool] = {}

    def check(self, host: bytes) -> None:
        """Raises: HostRefused."""
        if self.any or self._seen.get(host):
            return
        name = host.decode("latin-1").lower()
        if _without_port(name) not in self.allowed:
            raise HostRefused(host=name[:100])
        # At most one entry per port of an allowed name.
        self._seen[host] = True


def check_origin(method: str, headers: dict[bytes, bytes]) -> None:
    """Refuse an unsafe request that another site's page has sent with this user's browser.

    Raises: OriginRefused (from another site; or with a cookie and no sign of where from).
    """
    if method in _SAFE:
        return
    if site := headers.get(b"sec-fetch-site"):
        if site not in (b"same-origin", b"none"):
            raise OriginRefused(origin=headers.get(b"origin", site).decode("latin-1"))
    elif origin := headers.get(b"origin"):
        if urlsplit(origin).netloc.lower() != headers.get(b"host", b"").lower():
            raise OriginRefused(origin=origin.decode("latin-1"))
    elif b"cookie" in headers:
        raise OriginRefused(origin="an unknown page")


class Deadline:
    """The time in which an answer must be ready; what takes longer is cancelled.

    Raises: DeadlinePassed on leaving; InvalidValues (what the client asks for is no time).
    """

    __slots__ = ("_timer", "ms")

    def __init__(self, asked: bytes | None, default_ms: int, *, body_s: float = 0) -> None:
        self.ms = default_ms if asked is None else min(_asked_ms(asked), LONGEST_DEADLINE_MS)
        self._timer = asyncio.timeout(self.ms / 1000 + body_s)

    async def __aenter__(self) -> None:
        await self._timer.__aenter__()

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            await self._timer.__aexit__(*exc_info)
        except TimeoutError:
            raise DeadlinePassed(deadline_ms=self.ms) from None

    def restart(self) -> None:
        """Count from now: the body has arrived, which has a limit of its own."""
        self._timer.reschedule(asyncio.get_running_loop().time() + self.ms / 1000)


def _asked_ms(text: bytes) -> int:
    ms = int(text) if text.isdigit() and len(text) < 10 else 0
    if not ms:
        raise InvalidValues(reason="not a number of milliseconds", at="header.x-deadline-ms")
    return ms


async def drain(receive: Receive) -> None:
    """Read away the rest of a refused body, for at most `DRAIN_S`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            more = True
            while more:
                message = await receive()
                more = message["type"] == "http.request" and message.get("more_body", False)


def declared_length(scope: Scope) -> int:
    """The Content-Length of a request, 0 where it states none."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _without_port(host: str) -> str:
    return host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
