"""What a run tells while it works: events as JSON lines, at a pace that no loop can break."""

import os
import re
from collections.abc import Callable, Iterator

import msgspec

from volano.schemas.harness import AnyEvent, EventTooLarge, EventUnreadable, Point, Points, Reached

Events = Callable[[AnyEvent], None]
"""Where events go: a pipe, a list, a terminal."""

LINE_LIMIT = 1 << 20
"""Bytes of one encoded event; only the figures of an evaluation come near."""

BATCH = 2000
"""Values that may wait before they go out in any case."""

_ZERO = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
"""The character zero as JSON writes it, but no backslash that is followed by the same letters."""

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: AnyEvent) -> bytes:
    """Return the event as one line of JSON.

    Raises: EventTooLarge (over LINE_LIMIT).
    """
    line = msgspec.json.encode(event) + b"\n"
    if len(line) > LINE_LIMIT:
        raise EventTooLarge(bytes=len(line), limit=LINE_LIMIT)
    return line


def decode(line: bytes) -> AnyEvent:
    """Return the event of one line, without zeros.

    Raises: EventUnreadable (torn, or written by somebody else).
    """
    try:
        return _decoder.decode(without_zeros(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventUnreadable(reason=str(error)) from None


def without_zeros(document: bytes) -> bytes:
    """Return JSON with U+FFFD for the character zero in texts, which PostgreSQL cannot keep."""
    return _ZERO.sub(rb"\1\\ufffd", document) if b"\\u0000" in document else document


class PipeEvents:
    """Events as lines into a file descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._torn = False

    def __call__(self, event: AnyEvent) -> None:
        """Write one event; blocks while the reader is behind.

        Raises: EventTooLarge.
        """
        # A time limit may interrupt the write below: the next line then starts on a fresh one.
        rest = memoryview(b"\n" * self._torn + encode(event))
        self._torn = True
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._torn = False


class Lines:
    """Cuts a stream of bytes into lines of bounded length."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Return the lines that `chunk` completes, without their ends; the head of a long one."""
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            line, skipping = self._rest + part, self._skipping
            self._rest, self._skipping = b"", False
            if line and not skipping:
                yield line[: self._limit]
        self._rest += rest
        if len(self._rest) >= self._limit and not self._skipping:
            yield self._rest[: self._limit]
            self._skipping = True
        if self._skipping:
            self._rest = b""


class TokenBucket:
    """A token bucket: `rate` a second, after a calm second that many at once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._tokens, self._at = rate, clock()

    def allows(self) -> bool:
        """Take a token; return False where there is none."""
        now = self._clock()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Outbox:
    """Points and progress on their way out: at once while the loop is calm, else in batches.

    No timer thread: what waits goes with the next call that has a token, or with `flush`. A loop
    fast enough to make something wait calls again soon.
    """

    def __init__(self, events: Events, clock: Callable[[], float], rate: float = 20.0) -> None:
        self._events = events
        self._points: list[Point] = []
        self._values = 0
        self._reached: Reached | None = None
        self._points_bucket, self._reached_bucket = (
            TokenBucket(rate, clock),
            TokenBucket(rate, clock),
        )

    def point(self, point: Point) -> None:
        """Keep a point; every point gets out, in order."""
        self._points.append(point)
        self._values += len(point.values)
        if self._values >= BATCH or self._points_bucket.allows():
            self._send_points()

    def reached(self, reached: Reached) -> None:
        """Keep the progress; the next one may replace it before it gets out."""
        self._reached = reached
        if self._reached_bucket.allows():
            self._send_reached()

    def flush(self) -> None:
        """Send whatever waits."""
        self._send_points()
        self._send_reached()

    def _send_points(self) -> None:
        if self._points:
            points, self._points, self._values = self._points, [], 0
            self._events(Points(at_s=points[-1].at_s, points=points))

    def _send_reached(self) -> None:
        if self._reached:
            reached, self._reached = self._reached, None
            self._events(reached)
