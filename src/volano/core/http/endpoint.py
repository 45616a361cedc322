"""An operation bound to a server's Context: from an ASGI request to its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from volano.core.http.guard import Clock, Deadline, RequestLimits
from volano.core.http.idempotency import IdempotencyStore, keyed_request
from volano.core.http.request import JSON, ArrivingBody
from volano.core.http.routes import PUBLIC, Answer, Operation
from volano.schemas.common import BodyTooLarge, UnreadableBody, UnsupportedEncoding

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.schemas.accounts import Who

_encode = msgspec.json.Encoder().encode


class HttpEndpoint:
    """Answers the requests of one operation.

    The order is fixed: who is calling, parameters, `before`, body, function. A caller without the
    permission learns nothing about what the operation takes.
    """

    def __init__(
        self,
        operation: Operation,
        ctx: Context,
        answered: IdempotencyStore,
        clock: Clock,
        limits: RequestLimits,
    ) -> None:
        self.operation = operation
        self.ctx = ctx
        self.answered = answered
        self.clock = clock
        self.limits = operation.limits.over(limits)
        self.path = operation.reader("path")
        self.query = operation.reader("query")
        self.headers = operation.reader("header")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["volano.headers"].get(b"x-deadline-ms")
        takes_body = self.operation.body is not None
        with Deadline(self.clock, asked, self.limits, body=takes_body) as deadline:
            answer = await self._answer(scope, ArrivingBody(receive, deadline, self.limits.body))
            if asked is not None:
                # Its own words are about the whole answer; ours, only until a stream begins.
                await answer(scope, receive, send)
        if asked is None:
            await answer(scope, receive, send)

    async def _answer(self, scope: Scope, arriving: ArrivingBody) -> Response:
        operation, headers = self.operation, scope["volano.headers"]
        who = None
        if operation.allow != PUBLIC:
            who = await self.ctx.authorise(self.ctx, headers, operation.allow)
        values: dict[str, Any] = {}
        if self.path.parameters:
            values |= self.path.read_path(scope["volano.path"])
        # A page may be linked to with anything behind its address; an operation may not.
        if (scope["query_string"] or self.query.parameters) and not operation.hidden:
            values |= self.query.read_query(scope["query_string"])
        if self.headers.parameters:
            values |= self.headers.read_headers(headers)
        if operation.before:
            await operation.before(self.ctx, who, **values)
        body = await self._read_body(values, headers, arriving) if operation.body else b""
        key = headers.get(b"idempotency-key")
        if key is None or who is None or not operation.keyed:
            return await self._call(self.ctx, who, values)
        asks = (operation.method, operation.path, *scope["volano.path"])
        request = keyed_request(who, key, asks, scope["query_string"], body)
        return await self.answered.run(
            request, lambda db: self._call(replace(self.ctx, db=db), who, values)
        )

    async def _read_body(
        self, values: dict[str, Any], headers: dict[bytes, bytes], arriving: ArrivingBody
    ) -> bytes:
        body = self.operation.body
        assert body is not None
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.limits.body:
            raise BodyTooLarge(limit=self.limits.body)
        if (coding := headers.get(b"content-encoding", b"identity").lower()) != b"identity":
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

    async def _call(self, ctx: Context, who: Who | None, values: dict[str, Any]) -> Response:
        """Call the function; its result as a response with the status of the operation."""
        result, status = await self.operation.handler(ctx, who, **values), self.operation.status
        if isinstance(result, Response):
            return result
        if isinstance(result, Answer):
            encoded = _encode(result.value)
            return Response(encoded, result.status or status, result.headers, JSON)
        if result is None:
            return Response(None, status)
        return Response(_encode(result), status, None, JSON)
