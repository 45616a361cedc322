"""The body of an operation: which media types it reads, and how bytes become its type."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive

from volano.core.http.parameters import refusal
from volano.spec.common import InvalidValues, UnreadableBody, UnsupportedMediaType

Read = Callable[[bytes], Any]

JSON = "application/json"

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


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
        name = content_type.decode("latin-1").partition(";")[0].strip().lower()
        if name.startswith("application/") and name.endswith("+json"):
            name = JSON
        if read := self.reads.get(name):
            return read
        if self.as_is and not self.reads:
            return bytes
        raise UnsupportedMediaType(media_type=name, accepted=", ".join(sorted(self.reads)))


async def whole(receive: Receive) -> bytes:
    """The whole body of a request.

    Raises: ClientGone.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    if message["type"] == "http.disconnect":
        raise ClientGone
    return b"".join(parts)


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body of a request as it arrives.

    Raises: ClientGone.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if body := message.get("body"):
            yield body
        more = message.get("more_body", False)


def _json_reader(shape: Any) -> Read:
    decoder = msgspec.json.Decoder(shape)

    def read(body: bytes) -> Any:
        try:
            value = decoder.decode(body)
        except msgspec.ValidationError as error:
            raise refusal(error, root="body") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableBody(reason=str(error) if body else "it is empty") from None
        except RecursionError:
            raise UnreadableBody(reason="it is nested too deeply") from None
        if rb"\u0000" in body and _NUL.search(body):
            raise InvalidValues(reason="NUL characters cannot be stored", at="body")
        return value

    return read
