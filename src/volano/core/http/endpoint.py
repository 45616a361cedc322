"""An operation bound to a server's Context: from an ASGI request to its answer."""

from __future__ import annotations

from functools import partial
from http import HTTPMethod
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from volano.core.http.answer import Answer, Raw, Stream
from volano.core.http.body import JSON, pieces, whole
from volano.core.http.guard import BodyGuard, Deadline, Limits
from volano.core.http.idempotency import Keys, once
from volano.core.http.operation import PUBLIC, Operation
from volano.spec.common import UnreadableBody

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.spec.accounts import Who

_encode = msgspec.json.Encoder().encode


class Endpoint:
    """Answers the requests of one operation.

    The order is fixed: who is calling, parameters, body, function. A caller without the
    permission learns nothing about what the operation takes.
    """

    def __init__(self, operation: Operation, ctx: Context, keys: Keys, limits: Limits) -> None:
        self.operation = operation
        self.ctx = ctx
        self.keys = keys
        self.limits = operation.limits.over(limits)
        self.path = operation.reader("path")
        self.query = operation.reader("query")
        self.headers = operation.reader("header")

    def guarded(self) -> ASGIApp:
        """This endpoint behind its body limit."""
        return BodyGuard(self, most=self.limits.body, seconds=self.limits.body_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["volano.headers"]
        asked = headers.get(b"x-deadline-ms")
        # The body has its own clock, so the one of the answer starts when the body is there.
        body_s = self.limits.body_s if self.operation.body else 0
        deadline = Deadline(asked, self.limits.deadline_ms, body_s=body_s)
        async with deadline:
            answer = await self._answer(scope, receive, headers, deadline)
        bodiless = scope["method"] == HTTPMethod.HEAD
        await answer.send(send, self.operation.status, bodiless=bodiless)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], deadline: Deadline
    ) -> Raw | Stream:
        operation = self.operation
        request = Request(scope, receive)
        who = None
        if operation.allow != PUBLIC:
            who = await self.ctx.authorise(self.ctx, request, operation.allow)
        values = self._parameters(scope)
        if operation.takes_request:
            values[operation.takes_request] = request
        body = b""
        if operation.body:
            body = await self._read_body(values, headers, receive)
            deadline.restart()
        call = partial(self._call, who, values)
        key = headers.get(b"idempotency-key")
        if key is None or who is None or not operation.keyed:
            return await call()
        return await self.keys.run(once(who, key, scope, body), operation.status, call)

    def _parameters(self, scope: Scope) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.path.parameters:
            values |= self.path.read_path(scope["volano.path"])
        values |= self.query.read_query(scope["query_string"])
        if self.headers.parameters:
            values |= self.headers.read_headers(scope)
        return values

    async def _read_body(
        self, values: dict[str, Any], headers: dict[bytes, bytes], receive: Receive
    ) -> bytes:
        body = self.operation.body
        assert body is not None
        if body.streams:
            body.reader(headers.get(b"content-type", b""))
            values["body"] = pieces(receive)
            return b""
        content_type = headers.get(b"content-type")
        if content_type is None and headers.get(b"content-length", b"0") == b"0":
            if not body.required:
                return b""
            raise UnreadableBody(reason="it is empty")
        read = body.reader(content_type or b"")
        raw = await whole(receive)
        values["body"] = read(raw)
        return raw

    async def _call(self, who: Who | None, values: dict[str, Any]) -> Raw | Stream:
        result = await self.operation.handler(self.ctx, who, **values)
        if isinstance(result, Raw | Stream):
            return result
        if isinstance(result, Answer):
            return Raw(_encode(result.value), JSON, result.headers, result.status)
        if result is None:
            return Raw(b"")
        return Raw(_encode(result), JSON)
