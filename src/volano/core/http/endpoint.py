"""An operation bound to a server's Context: from an ASGI request to its answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from volano.core.http.answer import Answer, Raw, Stream
from volano.core.http.body import JSON, Arriving
from volano.core.http.guard import Clock, Deadline, Limits
from volano.core.http.idempotency import Keys, once
from volano.core.http.operation import PUBLIC, Operation
from volano.schemas.common import BodyTooLarge, UnreadableBody, UnsupportedEncoding

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.schemas.accounts import Who

Headers = dict[bytes, bytes]

_AS_THEY_ARE = (Raw, Stream)
_IDENTITY = b"identity"
_encode = msgspec.json.Encoder().encode


class Endpoint:
    """Answers the requests of one operation.

    The order is fixed: who is calling, parameters, `before`, body, function. A caller without the
    permission learns nothing about what the operation takes.
    """

    def __init__(
        self, operation: Operation, ctx: Context, keys: Keys, clock: Clock, limits: Limits
    ) -> None:
        self.operation = operation
        self.ctx = ctx
        self.keys = keys
        self.clock = clock
        self.limits = operation.limits.over(limits)
        self.path = operation.reader("path")
        self.query = operation.reader("query")
        self.headers = operation.reader("header")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = scope["volano.headers"]
        asked = headers.get(b"x-deadline-ms")
        takes_body = self.operation.body is not None
        with Deadline(self.clock, asked, self.limits, body=takes_body) as deadline:
            arriving = Arriving(receive, deadline, self.limits.body)
            answer = await self._answer(scope, headers, arriving)
            if asked is not None:
                # Its own words are about the whole answer; ours, only until a stream begins.
                await answer.send(scope, receive, send, self.operation.status)
        if asked is None:
            await answer.send(scope, receive, send, self.operation.status)

    async def _answer(self, scope: Scope, headers: Headers, arriving: Arriving) -> Raw | Stream:
        operation = self.operation
        # Without `receive`: bodies are read in one place, where they are counted.
        request = Request(scope)
        who = None
        if operation.allow != PUBLIC:
            who = await self.ctx.authorise(self.ctx, request, operation.allow)
        values = self._parameters(scope)
        if operation.before:
            await operation.before(self.ctx, who, **values)
        body = await self._read_body(values, headers, arriving) if operation.body else b""
        # Read before the transaction begins: on SQLite every other writer would wait for it.
        key = headers.get(b"idempotency-key")
        if key is None or who is None or not operation.keyed:
            return await self._call(who, values)
        asks = (operation.method, operation.path, *scope["volano.path"])
        keyed = once(who, key, asks, scope["query_string"], body)
        return await self.keys.run(keyed, operation.status, partial(self._call, who, values))

    def _parameters(self, scope: Scope) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.path.parameters:
            values |= self.path.read_path(scope["volano.path"])
        # A page may be linked to with anything behind its address; an operation may not.
        if not self.operation.hidden:
            values |= self.query.read_query(scope["query_string"])
        if self.headers.parameters:
            values |= self.headers.read_headers(scope["volano.headers"])
        return values

    async def _read_body(
        self, values: dict[str, Any], headers: Headers, arriving: Arriving
    ) -> bytes:
        body = self.operation.body
        assert body is not None
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.body:
            raise BodyTooLarge(limit=self.limits.body)
        if (coding := headers.get(b"content-encoding", _IDENTITY).lower()) != _IDENTITY:
            raise UnsupportedEncoding(encoding=coding.decode("latin-1"))
        content_type = headers.get(b"content-type", b"")
        if body.streams:
            body.reader(content_type)
            values["body"] = arriving.pieces()
            return b""
        if not content_type and length == b"0" and b"transfer-encoding" not in headers:
            if body.required:
                raise UnreadableBody(reason="it is empty")
            return await arriving.whole()
        read = body.reader(content_type)
        raw = await arriving.whole()
        values["body"] = read(raw)
        return raw

    async def _call(self, who: Who | None, values: dict[str, Any]) -> Raw | Stream:
        return _answer(await self.operation.handler(self.ctx, who, **values))


def _answer(result: Any) -> Raw | Stream:
    if isinstance(result, _AS_THEY_ARE):
        return result
    if isinstance(result, Answer):
        return Raw(_encode(result.value), JSON, result.headers, result.status)
    if result is None:
        return Raw(b"")
    return Raw(_encode(result), JSON)
