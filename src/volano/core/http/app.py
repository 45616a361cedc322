"""The server of all operations: one ASGI app from the routes of every stage."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from volano.core import telemetry
from volano.core.http import problem, server
from volano.core.http.answer import ClientGone, Raw
from volano.core.http.body import JSON
from volano.core.http.endpoint import Endpoint
from volano.core.http.guard import Clock, Hosts, Limits, check_origin, drain
from volano.core.http.idempotency import Keys
from volano.core.http.operation import Operation
from volano.core.http.router import Node, Router
from volano.core.http.routes import CURRENT, Routes
from volano.core.http.server import About
from volano.core.http.watch import Watch
from volano.schemas.common import BodyTooLarge, BodyTooSlow, MethodNotAllowed, UnknownPath
from volano.schemas.errors import Broken

if TYPE_CHECKING:
    from volano.core.context import Context

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

_JSON_TYPE = (b"content-type", JSON.encode())
_SECURED = frozenset(name for name, _ in SECURITY_HEADERS)
_PROCESS = secrets.token_hex(8)
_numbers = count()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class Exchange:
    """One request and what has been sent of its answer."""

    __slots__ = ("_send", "headers", "request_id", "route", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = _request_id(self.headers.get(b"x-request-id"))
        self.route = ""
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send on; the head of the answer gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._dressed(message["headers"])
        await self._send(message)

    def _dressed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        id_ = (b"x-request-id", self.request_id.encode())
        missing = JSON_HEADERS if _JSON_TYPE in headers else SECURITY_HEADERS
        if len(headers) == 2 and missing is JSON_HEADERS:  # nearly always: its type and length
            return [*headers, id_, *missing]
        own = {name for name, _ in headers}
        if not own.isdisjoint(_SECURED):
            missing = [header for header in missing if header[0] not in own]
        return [*headers, id_, *missing]


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
        self.router: Router[tuple[str, ASGIApp]] = Router()
        self.watch = Watch(ctx.metrics)
        limits = Limits(
            body=settings.http_max_body,
            body_s=settings.http_body_s,
            deadline_ms=settings.http_deadline_ms,
        )
        keys, clock = Keys(ctx.db), Clock()
        for operation in operations:
            app = Endpoint(operation, ctx, keys, clock, limits)
            for path in served_at(operation.path):
                self.router.add(operation.method, path, (operation.path, app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._exchange(scope, receive, send)
        else:
            assert scope["type"] == "lifespan", "the launcher accepts no WebSockets"
            await _live(receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
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
            self.watch.answered(scope, exchange.route, exchange.status, started)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        headers, method, path = exchange.headers, scope["method"], scope["path"]
        # Before anything else looks at the request: both are attacks with somebody's browser.
        self.hosts.check(headers.get(b"host", b""))
        check_origin(method, headers)
        found = self.router.find(path)
        if found is None:
            if self.fallback is None or path.startswith("/api/"):
                raise UnknownPath(path=path)
            await self.fallback(scope, receive, exchange.send)
            return
        node, scope["volano.path"] = found
        endpoint = node.endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            await _without(node, method, path, exchange.send)
            return
        exchange.route, app = endpoint
        await app(scope, receive, exchange.send)


def build(
    ctx: Context,
    routes: Sequence[Routes],
    *,
    about: About,
    fallback: ASGIApp | None = None,
) -> Api:
    """The server of these routes; `fallback` serves what is not below `/api` (the web bundle).

    Raises: TypeError (two operations with one id or one address).
    """
    return Api(ctx, operations_of(routes, about), fallback=fallback)


def operations_of(routes: Sequence[Routes], about: About) -> list[Operation]:
    """Every operation that a server of these routes has, its own ones included.

    Raises: TypeError (two operations with one id).
    """
    declared = [operation for group in routes for operation in group.operations]
    return declared + server.routes(declared, about).operations


def served_at(path: str) -> list[str]:
    """The addresses of one path: below the version, and below `/api`, which means the current."""
    if path.startswith(CURRENT + "/"):
        return [path, "/api" + path.removeprefix(CURRENT)]
    return [path]


async def _without(node: Node[tuple[str, ASGIApp]], method: str, path: str, send: Send) -> None:
    """Answer a method that no operation has."""
    if method != "OPTIONS":
        raise MethodNotAllowed(path=path, method=method, allowed=node.allowed)
    headers = [(b"allow", node.allowed.encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(error: Exception, scope: Scope, receive: Receive, exchange: Exchange) -> None:
    told = problem.known(error)
    if isinstance(told, Broken):
        log.error("request failed", path=scope["path"], exc_info=error)
    if exchange.status:
        # Half an answer is out: only a cut connection tells the client that it is not whole.
        raise error
    answer = problem.answer(told, path=scope["path"], request_id=exchange.request_id)
    if isinstance(told, BodyTooLarge | BodyTooSlow):
        await _refuse_body(answer, receive, exchange)
    else:
        await answer.send(scope, receive, exchange.send, told.status)


async def _refuse_body(answer: Raw, receive: Receive, exchange: Exchange) -> None:
    """Answer, read the rest of the body away for a while, then close the connection."""
    closing = [(b"connection", b"close"), (b"content-type", answer.media_type.encode())]
    status = answer.status or 413
    await exchange.send({"type": "http.response.start", "status": status, "headers": closing})
    await exchange.send({"type": "http.response.body", "body": answer.body, "more_body": True})
    await drain(receive)
    await exchange.send({"type": "http.response.body", "body": b""})


def _request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{_PROCESS}{next(_numbers):08x}"


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to start and end: who builds the Context opens and closes it."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
