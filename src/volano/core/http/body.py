"""The body of an operation: which media types it reads, and how bytes become its type."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Message, Receive

from volano.core.http.answer import ClientGone
from volano.core.http.guard import Deadline
from volano.core.http.parameters import refusal
from volano.schemas.common import BodyTooLarge, InvalidValues, UnreadableBody, UnsupportedMediaType

Read = Callable[[bytes], Any]

JSON = "application/json"

_CHARSET = re.compile(r"(?:^|;)\s*charset=\s*\"?([^\";\s]*)")
_UTF8 = ("utf-8", "utf8", "us-ascii")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Body:
    """Turns the bytes of a request into the type that the operation declares.

    `bytes` and `AsyncIterator[bytes]` take any media type as it is; everything else is JSON,
    or a media type of `reads`.
    """

    def __init__(self, shape: Any, reads: Mapping[str, Read], *, required: bool) -> None:
        self.shape = shape
        self.required = required
        self.streams = shape == AsyncIterator[bytes]
        self.as_is = self.streams or shape is bytes
        self.reads: dict[str, Read] = dict(reads)
        if not self.as_is:
            self.reads[JSON] = _json_reader(shape)
        # The exact header of nearly every request, found without parsing it.
        self._exact = {name.encode(): read for name, read in self.reads.items()}

    def reader(self, content_type: bytes) -> Read:
        """What reads this content type.

        Raises: UnsupportedMediaType.
        """
        if (read := self._exact.get(content_type)) is not None:
            return read
        name, _, facts = (
            text.strip() for text in content_type.decode("latin-1").lower().partition(";")
        )
        if name.startswith("application/") and name.endswith("+json"):
            name = JSON
        if read := self.reads.get(name):
            charset = _CHARSET.search(facts)
            if charset and charset[1] not in _UTF8:
                raise UnsupportedMediaType(
                    media_type=f"{name}; charset={charset[1]}", accepted=f"{name}; charset=utf-8"
                )
            return read
        if self.as_is and not self.reads:
            return bytes
        raise UnsupportedMediaType(media_type=name, accepted=", ".join(sorted(self.reads)))


class Arriving:
    """The body of one request while it arrives: counted, and timed by the request's deadline."""

    __slots__ = ("_deadline", "_most", "_receive")

    def __init__(self, receive: Receive, deadline: Deadline, most: int) -> None:
        self._receive = receive
        self._deadline = deadline
        self._most = most

    async def whole(self) -> bytes:
        """All of it.

        Raises: BodyTooLarge, ClientGone.
        """
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            self._check(len(body))
            self._deadline.body_arrived()
            return body
        return b"".join([piece async for piece in self._from(message)])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece.

        Raises: BodyTooLarge, ClientGone.
        """
        async for piece in self._from(await self._receive()):
            yield piece

    async def _from(self, message: Message) -> AsyncIterator[bytes]:
        arrived = 0
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            arrived += len(piece)
            self._check(arrived)
            yield piece
            if not message.get("more_body"):
                break
            message = await self._receive()
        self._deadline.body_arrived()

    def _check(self, length: int) -> None:
        if length > self._most:
            raise BodyTooLarge(limit=self._most)


def _json_reader(shape: Any) -> Read:
    decoder = msgspec.json.Decoder(shape)

    def read(body: bytes) -> Any:
        try:
            value = decoder.decode(body)
        except msgspec.ValidationError as error:
            raise refusal(error, "body", lambda: msgspec.json.decode(body)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableBody(reason=str(error) if body else "it is empty") from None
        except RecursionError:
            raise UnreadableBody(reason="it is nested too deeply") from None
        if rb"\u0000" in body and _NUL.search(body):
            raise InvalidValues(reason="NUL characters cannot be stored", at="body")
        return value

    return read
