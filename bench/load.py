"""A load generator: latency counted from the instant a request was due, so overload shows.

A closed loop waits for each answer before it sends the next request: it measures saturation and
hides queues. An open loop sends at Poisson instants whatever the server does, and a request that
had to wait for a free connection was waiting all the same.

    python bench/load.py http://127.0.0.1:8000/healthz/live --rate 500 --seconds 5
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import uvloop


@dataclass
class Result:
    """What came back. Latencies in milliseconds, of the good answers of the measured time only:
    a refusal is quick, and would make an overloaded server look well."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    unsent: int = 0
    """Open loop: requests that were due but still waited for a connection at the end."""

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return sum(n for status, n in self.statuses.items() if 200 <= status < 300) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that `share` of the answers stay below."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def summary(self) -> dict[str, object]:
        """The figures for a report."""
        shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
        return {
            "rate_per_s": round(self.rate, 1),
            **{name: round(self.percentile(share), 3) for name, share in shares.items()},
            "statuses": dict(self.statuses),
            "failed": self.failed,
            "unsent": self.unsent,
        }


@dataclass(frozen=True)
class Call:
    """One request, sent again and again."""

    url: str
    method: str = "GET"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80

    def wire(self) -> bytes:
        """The bytes of the request."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{self.method} {target} HTTP/1.1", f"host: {parts.netloc}"]
        if self.body or self.method not in ("GET", "HEAD"):
            lines.append(f"content-length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Connection(asyncio.Protocol):
    """One kept connection with at most one request on its way; answers need a content-length."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.due = 0.0
        self.busy = False
        self.buffer = b""
        self.missing = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as TCP
        self.transport = transport

    def send(self, request: bytes, due: float) -> None:
        self.due, self.busy = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.missing < 0:
            head, end, _ = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.status = int(head[9:12])
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.missing = len(head) + 4 + length
        if len(self.buffer) >= self.missing:
            self.buffer, self.missing, self.busy = b"", -1, False
            self.load.answered(self, self.status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost(self)


class Load:
    """One measurement: `connections` to one server, closed loop at rate 0, else open."""

    def __init__(
        self,
        call: Call,
        *,
        connections: int = 32,
        rate: float = 0.0,
        seconds: float = 3.0,
        warm_s: float = 0.5,
        seed: int = 1,
    ) -> None:
        self.call, self.request = call, call.wire()
        self.connections, self.rate = connections, rate
        self.seconds, self.warm_s = seconds, warm_s
        self.random = random.Random(seed)
        self.result = Result(seconds)
        self.free: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        self.until = 0.0

    async def run(self) -> Result:
        """Send until the time is over, then wait a second for what is on its way."""
        loop = asyncio.get_running_loop()
        host, port = self.call.address
        for _ in range(self.connections):
            _, connection = await loop.create_connection(lambda: Connection(self), host, port)
            self.free.append(connection)
        # Not the loop's clock: uvloop's ticks in whole milliseconds.
        self.clock = time.perf_counter
        started = self.clock()
        self.measured_from = started + self.warm_s
        self.until = self.measured_from + self.seconds
        opened = list(self.free)
        if self.rate:
            await self._open_loop(started)
        else:
            for connection in opened:
                self._send(connection, self.clock())
            await asyncio.sleep(self.until - self.clock())
        await asyncio.sleep(min(1.0, self.seconds) if self.rate else 0.05)
        self.result.unsent = len(self.waiting)
        for connection in opened:
            connection.transport.abort()
        await asyncio.sleep(0)
        return self.result

    async def _open_loop(self, due: float) -> None:
        while due < self.until:
            due += self.random.expovariate(self.rate)
            # Late by less than a millisecond is not worth a timer; the due time counts anyway.
            if (early := due - self.clock()) > 0.001:
                await asyncio.sleep(early)
            if self.free:
                self._send(self.free.popleft(), due)
            else:
                self.waiting.append(due)

    def _send(self, connection: Connection, due: float) -> None:
        connection.send(self.request, due)

    def answered(self, connection: Connection, status: int) -> None:
        """Note an answer and send the next request."""
        now = self.clock()
        if self.measured_from <= connection.due < self.until and now < self.until + 1.0:
            self.result.statuses[status] += 1
            if 200 <= status < 300:
                self.result.latencies_ms.append((now - connection.due) * 1e3)
        if self.waiting:
            self._send(connection, self.waiting.popleft())
        elif self.rate:
            self.free.append(connection)
        elif now < self.until:
            self._send(connection, now)

    def lost(self, connection: Connection) -> None:
        """Count a connection that the server closed before the end."""
        if self.clock() < self.until:
            self.result.failed += connection.busy
            if connection in self.free:
                self.free.remove(connection)


def run(call: Call, **options: Any) -> Result:
    """Measure one call; the options of `Load`."""
    result: Result = uvloop.run(Load(call, **options).run())
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--method", default="")
    parser.add_argument("--body", type=argparse.FileType("rb"), help="file with the body")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="requests/s; 0: closed loop")
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    body = asked.body.read() if asked.body else b""
    headers = tuple((n, v.strip()) for n, _, v in (h.partition(":") for h in asked.header))
    call = Call(asked.url, asked.method or ("POST" if body else "GET"), body, headers)
    result = run(call, connections=asked.connections, rate=asked.rate, seconds=asked.seconds)
    print(json.dumps(result.summary(), indent=2))


if __name__ == "__main__":
    main()
