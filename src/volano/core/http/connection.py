"""One connection as uvicorn reads it, with the bounds that it does not set by itself."""

from __future__ import annotations

import secrets
import sys
from asyncio import TimerHandle, Transport
from functools import partial
from http import HTTPStatus

import structlog
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from volano.core.http import problem
from volano.schemas.common import HeadTooLarge, NotHttp
from volano.schemas.errors import VolanoError

log = structlog.get_logger("http")

MOST_HEAD = 32 * 1024
"""Bytes of a request's head, and of whatever else arrives without completing anything."""

MOST_HEADERS = 100

LINGER_S = 1.0
"""What still comes is read away for so long: closing at once reaches the client as a reset."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which by itself takes heads of any length at any speed.

    The parser joins the pieces of a header anew for each that arrives, so an endless one would
    cost the square of its length and keep everybody else waiting. A whole request in one packet,
    which is nearly every one, sets no timer at all.
    """

    head_s = 10.0
    _timer: TimerHandle | None = None
    _in_head = False
    _is_refused = False
    _pending = 0
    """Bytes since something was last complete: a head, a piece of a body, a message."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._pending += len(data)
        super().data_received(data)
        if self._pending > MOST_HEAD and not self._is_refused:
            self._refuse(HeadTooLarge(limit=MOST_HEAD, headers=MOST_HEADERS))
        answered = self.cycle is None or self.cycle.response_complete
        # Also bytes that belong to no request: empty lines, the rest of a body refused unread.
        if self._timer is None and (self._in_head or answered) and not self.keeps_alive:
            self._arm()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MOST_HEADERS or self._pending > MOST_HEAD < self._head_size():
            raise HeadTooLarge(limit=MOST_HEAD, headers=MOST_HEADERS)
        self._in_head, self._pending = False, 0
        self._disarm()
        super().on_headers_complete()
        self.scope["volano.cut"] = partial(_cut, self.cycle)  # type: ignore[typeddict-unknown-key]

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read, or what was refused while it read."""
        error = sys.exception()
        cause = (error and error.__context__) or error
        if not isinstance(cause, VolanoError):
            cause = NotHttp(reason=str(cause or msg).rstrip("."))
        self._refuse(cause)

    @property
    def keeps_alive(self) -> bool:
        """Tell whether uvicorn's own timer for idle connections runs."""
        return self.timeout_keep_alive_task is not None

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, error: VolanoError) -> None:
        """Answer, unless an answer is on its way already, and take nothing more."""
        self._is_refused = True
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            request_id = secrets.token_hex(12)
            log.debug("head refused", code=error.code, request_id=request_id)
            self.transport.write(_whole(problem.answer(error, path="", request_id=request_id)))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._disarm()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.close)

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.head_s, self.transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _cut(cycle: RequestResponseCycle) -> None:
    """Close the connection within an answer, which uvicorn then takes for gone and says nothing."""
    cycle.disconnected = True
    cycle.transport.close()


def _whole(answer: Response) -> bytes:
    """Return an answer as it is on the wire, the last one of its connection."""
    status = answer.status_code
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(answer.body)
