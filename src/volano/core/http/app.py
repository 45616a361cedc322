"""The server of all operations: one ASGI app from the routes of every stage."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volano.core import telemetry
from volano.core.http import problem, server
from volano.core.http.endpoint import HttpEndpoint
from volano.core.http.guard import Clock, Hosts, RequestLimits, check_origin, drain
from volano.core.http.idempotency import IdempotencyStore
from volano.core.http.request import JSON, ClientGone
from volano.core.http.routes import CURRENT, Operation, Routes, names_in
from volano.core.http.server import About
from volano.schemas.common import BodyTooLarge, BodyTooSlow, MethodNotAllowed, UnknownPath
from volano.schemas.errors import Broken

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.metrics import Metrics

log = structlog.get_logger("http")

JSON_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
"""On an answer in JSON, which no browser draws or runs; each header more costs uvicorn 1 us."""

SECURITY_HEADERS = [
    *JSON_HEADERS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]
"""On every other answer that does not say otherwise: it may hold what a user sent."""

SLOW_S = 1.0
"""An answer that took longer is worth a line."""

MOST_LINES = 50
"""Lines per second: a flood of refusals must not cost more than refusing it."""

_JSON_TYPE = (b"content-type", JSON.encode())
_SECURED = frozenset(name for name, _ in SECURITY_HEADERS)
_PROCESS = secrets.token_hex(8)
_numbers = count()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_CLASSES = ("cut", "1xx", "2xx", "3xx", "4xx", "5xx")


class Exchange:
    """One request and what has been sent of its answer."""

    __slots__ = ("_send", "headers", "request_id", "route", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            self.request_id = given.decode()
        else:
            self.request_id = f"{_PROCESS}{next(_numbers):08x}"
        self.route = ""
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send on; the head of the answer gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status, headers = message["status"], message["headers"]
            missing = JSON_HEADERS if _JSON_TYPE in headers else SECURITY_HEADERS
            if len(headers) > 2 or missing is SECURITY_HEADERS:  # seldom: its length and type
                own = {name for name, _ in headers}
                if not own.isdisjoint(_SECURED):
                    missing = [header for header in missing if header[0] not in own]
            request_id = (b"x-request-id", self.request_id.encode())
            message["headers"] = [*headers, request_id, *missing]
        await self._send(message)


class PathNode:
    """One segment of a path: what follows it, and what answers when it is the last.

    A tree of them finds an operation in time that does not grow with the number of operations;
    Starlette's router tries one pattern after the other (measured: 17 to 48 us a request, not 1).
    """

    __slots__ = ("children", "endpoints", "parameter", "takes_rest")

    def __init__(self) -> None:
        self.children: dict[str, PathNode] = {}
        self.parameter: PathNode | None = None
        self.endpoints: dict[str, HttpEndpoint] = {}
        self.takes_rest = False
        """The parameter that leads here is all that follows in the path, with its slashes."""

    def add(self, path: str, endpoint: HttpEndpoint) -> None:
        """Let the endpoint answer at a path below this node.

        Raises: TypeError (the path with its method is taken).
        """
        node, method = self, endpoint.operation.method
        for segment in path.split("/")[1:]:
            if names_in(segment):
                node.parameter = node.parameter or PathNode()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, PathNode())
        node.takes_rest = endpoint.operation.rest
        if method in node.endpoints:
            raise TypeError(f"{method} {path} is declared twice")
        node.endpoints[method] = endpoint

    def find(
        self, segments: list[str], at: int, values: list[str]
    ) -> tuple[PathNode, list[str]] | None:
        """Find the node of a path's segments from `at` on, with the values of its parameters.

        A literal segment wins over a parameter. Return None where nothing answers.
        """
        node = self
        while at < len(segments):
            segment = segments[at]
            at += 1
            child = node.children.get(segment)
            if node.parameter is None or not segment:
                if child is None:
                    return None
                node = child
                continue
            # Both may lead there: try the literal first, come back for the parameter.
            if child is not None and (found := child.find(segments, at, list(values))):
                return found
            node = node.parameter
            if node.takes_rest:
                values.append("/".join([segment, *segments[at:]]))
                break
            values.append(segment)
        return (node, values) if node.endpoints else None


class RequestLog:
    """Counts the requests of a process and their time; writes a line for those that went wrong."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("method", "route", "status")
        self.seconds = metrics.histogram(
            "volano_http_request_seconds", "Time from the head of a request to its answer", labels
        )
        # Asked once: building a line that nobody reads would cost each request some microseconds.
        self._is_debugged = logging.getLogger().isEnabledFor(logging.DEBUG)
        self._second = 0
        self._lines = 0

    def answered(self, method: str, route: str, status: int, started: float) -> None:
        """Note one request; `started` is of `time.perf_counter`."""
        now = time.perf_counter()
        took = now - started
        self.seconds.observe(took, method, route, _CLASSES[status // 100])
        if status >= 400 or took > SLOW_S:
            if not self._may_write(int(now)):
                return
            level = "error" if status >= 500 else "info"
            if status == 503:  # a refusal for want of room is not a fault: it asks for room
                level = "warning"
        elif self._is_debugged:
            level = "debug"
        else:
            return
        # The route, not the path: a path may hold what a person typed.
        facts = {"method": method, "route": route, "status": status, "ms": round(took * 1e3, 2)}
        getattr(log, level)("request", **facts)

    def _may_write(self, second: int) -> bool:
        if second != self._second:
            if self._lines > MOST_LINES:
                log.warning("requests not written down", count=self._lines - MOST_LINES)
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= MOST_LINES


class Api:
    """Everything between a server and an operation: hosts, origins, routing, errors, figures."""

    def __init__(
        self,
        ctx: Context,
        operations: Sequence[Operation],
        *,
        fallback: ASGIApp | None = None,
    ) -> None:
        settings = ctx.settings
        self.hosts = Hosts(settings.allowed_hosts.split(","))
        self.operations = operations
        self.fallback = fallback
        self.root = PathNode()
        self.log = RequestLog(ctx.metrics)
        limits = RequestLimits(
            body=settings.http_max_body,
            body_s=settings.http_body_s,
            deadline_ms=settings.http_deadline_ms,
        )
        answered, clock = IdempotencyStore(ctx.db), Clock()
        for operation in operations:
            endpoint = HttpEndpoint(operation, ctx, answered, clock, limits)
            for path in served_at(operation.path):
                self.root.add(path, endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # Who builds the Context opens and closes it: there is nothing to do.
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["type"] == "http", "the launcher accepts no WebSockets"
        started = time.perf_counter()
        exchange = Exchange(scope, send)
        telemetry.request_id.set(exchange.request_id)
        scope["volano.headers"] = exchange.headers
        try:
            await self._answer(scope, receive, exchange)
        except ClientGone:
            exchange.status = exchange.status or 499
        except Exception as error:  # noqa: BLE001 - the HTTP boundary: a caller is owed an answer
            await _refuse(error, scope, receive, exchange)
        finally:
            self.log.answered(scope["method"], exchange.route, exchange.status, started)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        headers, method, path = exchange.headers, scope["method"], scope["path"]
        # Before anything else looks at the request: both are attacks with somebody's browser.
        self.hosts.check(headers.get(b"host", b""))
        check_origin(method, headers)
        found = self.root.find(path.split("/"), 1, [])
        if found is None:
            if self.fallback is None or path.startswith("/api/"):
                raise UnknownPath(path=path)
            await self.fallback(scope, receive, exchange.send)
            return
        node, scope["volano.path"] = found
        endpoint = node.endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            implied = {"OPTIONS", "HEAD"} if "GET" in node.endpoints else {"OPTIONS"}
            allowed = ", ".join(sorted(implied | node.endpoints.keys()))
            if method != "OPTIONS":
                raise MethodNotAllowed(path=path, method=method, allowed=allowed)
            await Response(None, 204, {"allow": allowed})(scope, receive, exchange.send)
            return
        exchange.route = endpoint.operation.path
        await endpoint(scope, receive, exchange.send)


def build(
    ctx: Context,
    routes: Sequence[Routes],
    *,
    about: About,
    fallback: ASGIApp | None = None,
) -> Api:
    """Build the server of these routes; `fallback` serves what is not below `/api`, the web bundle.

    Raises: TypeError (two operations with one id or one address).
    """
    return Api(ctx, operations_of(routes, about), fallback=fallback)


def operations_of(routes: Sequence[Routes], about: About) -> list[Operation]:
    """List every operation that a server of these routes has, its own ones included.

    Raises: TypeError (two operations with one id).
    """
    declared = [operation for group in routes for operation in group.operations]
    return declared + server.routes(declared, about).operations


def served_at(path: str) -> list[str]:
    """List the addresses of a path: below the version and below `/api`, the current version."""
    if path.startswith(CURRENT + "/"):
        return [path, "/api" + path.removeprefix(CURRENT)]
    return [path]


async def _refuse(error: Exception, scope: Scope, receive: Receive, exchange: Exchange) -> None:
    """Answer with the problem document of an error, in the log if it is a fault of ours."""
    told = problem.known(error)
    if isinstance(told, Broken):
        log.error("request failed", path=scope["path"], exc_info=error)
    if exchange.status:
        # Half an answer is out: only a cut connection tells the client that it is not whole.
        exchange.status = 0
        cut = scope.get("volano.cut")
        if cut is None:  # another server than ours cuts by itself, with a traceback in the log
            raise error
        cut()
        return
    answer = problem.answer(told, path=scope["path"], request_id=exchange.request_id)
    if not isinstance(told, BodyTooLarge | BodyTooSlow):
        await answer(scope, receive, exchange.send)
        return
    # Read the rest of the body away for a while, then close the connection.
    headers = [(b"connection", b"close"), (b"content-type", problem.MEDIA_TYPE)]
    start = {"status": answer.status_code, "headers": headers}
    await exchange.send({"type": "http.response.start", **start})
    await exchange.send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await drain(receive)
    await exchange.send({"type": "http.response.body", "body": b""})
