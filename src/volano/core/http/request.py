"""What a request brings: parameters and body, read into the types that an operation declares."""

import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Message, Receive

from volano.core.http.guard import Deadline
from volano.schemas.common import (
    IN_WORDS,
    BodyTooLarge,
    InvalidValues,
    UnreadableBody,
    UnsupportedMediaType,
)
from volano.schemas.errors import shorten

Where = Literal["path", "query", "header"]
Read = Callable[..., Any]
"""Given the bytes of a body, returns what they say."""

JSON = "application/json"
FORM = "multipart/form-data"
"""Its reader is given the `content_type` too, which names the boundary."""

MOST_FIELDS = 100
"""Fields in one query string; more is an attack, not a question."""

_BOM = b"\xef\xbb\xbf"
_CHARSET = re.compile(r"(?:^|;)\s*charset=\s*\"?([^\";\s]*)")
_UTF8 = ("utf-8", "utf8", "us-ascii")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_KEY = "key` in `"  # how msgspec begins the place of a key
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class ClientGone(Exception):
    """The client closed the connection before the request was complete."""


@dataclass(frozen=True, slots=True)
class Header:
    """Marks a parameter that is read from a header: `Annotated[str | None, Header("range")]`."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: what the function calls it, where it is on the wire, and its type."""

    name: str
    wire: str
    where: Where
    type: Any
    default: Any = msgspec.NODEFAULT

    @property
    def required(self) -> bool:
        """Tell whether a request without it is refused."""
        return self.default is msgspec.NODEFAULT

    @property
    def repeats(self) -> bool:
        """Tell whether it may be given more than once."""
        kind = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return get_origin(kind) in (list, tuple, set, frozenset)


def fields_of(struct: type[msgspec.Struct]) -> list[Parameter]:
    """Return the fields of a struct as parameters of the query string."""
    return [
        Parameter(
            name=field.name,
            wire=field.encode_name,
            where="query",
            type=field.type,
            default=field.default
            if field.default_factory is msgspec.NODEFAULT
            else field.default_factory(),
        )
        for field in msgspec.structs.fields(struct)
    ]


class Reader:
    """Reads the parameters of one place of a request into typed values.

    Where a function takes a struct as its `query`, its fields are read as parameters, and the
    function is given one `query`.
    """

    def __init__(
        self,
        where: Where,
        parameters: Sequence[Parameter],
        struct: type[msgspec.Struct] | None = None,
    ) -> None:
        self.where = where
        self.struct = struct
        self.parameters = parameters
        self.names = [(p.name, p.wire) for p in parameters]
        self.encoded = [(p.wire.encode(), p.wire) for p in parameters]
        self.lists = {p.wire for p in parameters if p.repeats}
        self.shape = msgspec.defstruct(
            where,
            [(p.name, p.type, p.default) for p in parameters],
            rename=dict(self.names),
            kw_only=True,
            forbid_unknown_fields=True,
        )
        required = any(p.required for p in parameters)
        self.defaults = None if required else self.read({})

    def read(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values by the function's own names.

        Raises: InvalidValues (not of the type, out of range, unknown).
        """
        try:
            values = msgspec.structs.asdict(msgspec.convert(raw, self.shape, strict=False))
        except msgspec.ValidationError as error:
            raise refusal(error, self.where, lambda: raw) from None
        for name, wire in self.names:
            if not _storable(values[name]):
                raise InvalidValues(reason="not a number of 64 bits", at=f"{self.where}.{wire}")
        if self.struct:
            own = {name: values.pop(name) for name in self.struct.__struct_fields__}
            values["query"] = self.struct(**own)
        return values

    def read_path(self, values: Sequence[str]) -> dict[str, Any]:
        """Read the parameters of the path, in its order."""
        return self.read({wire: v for (_, wire), v in zip(self.names, values, strict=True)})

    def read_query(self, query: bytes) -> dict[str, Any]:
        """Read the parameters of the query string; a misspelt or repeated one is refused."""
        if not query and self.defaults is not None:
            return self.defaults
        try:
            pairs = parse_qsl(
                query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
            )
        except ValueError:
            raise InvalidValues(reason="not a query string", at="query") from None
        if b"%00" in query:
            raise InvalidValues(reason="NUL characters cannot be stored", at="query")
        fields: dict[str, Any] = {}
        for name, value in pairs:
            if name in self.lists:
                fields.setdefault(name, []).append(value)
            elif name in fields:
                raise InvalidValues(reason="given more than once", at=f"query.{name}")
            else:
                fields[name] = value
        return self.read(fields)

    def read_headers(self, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
        """Read the parameters in the headers."""
        wanted = ((wire, headers.get(name)) for name, wire in self.encoded)
        given = {wire: value.decode("latin-1") for wire, value in wanted if value is not None}
        if not given and self.defaults is not None:
            return self.defaults
        return self.read(given)


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
        self._exact = {name.encode(): read for name, read in self.reads.items() if name != FORM}

    def reader(self, content_type: bytes) -> Read:
        """Return what reads this content type.

        Raises: UnsupportedMediaType.
        """
        if (read := self._exact.get(content_type)) is not None:
            return read
        name, _, facts = (
            text.strip() for text in content_type.decode("latin-1").lower().partition(";")
        )
        if name.startswith("application/") and name.endswith("+json"):
            name = JSON
        if (read := self.reads.get(name)) and name == FORM:
            return partial(read, content_type=content_type.decode("latin-1"))
        if read:
            charset = _CHARSET.search(facts)
            if charset and charset[1] not in _UTF8:
                raise UnsupportedMediaType(
                    media_type=f"{name}; charset={charset[1]}", accepted=f"{name}; charset=utf-8"
                )
            return read
        if self.as_is and not self.reads:
            return bytes
        raise UnsupportedMediaType(media_type=name, accepted=", ".join(sorted(self.reads)))


class ArrivingBody:
    """The body of one request while it arrives: counted, and timed by the request's deadline."""

    __slots__ = ("_deadline", "_most", "_receive")

    def __init__(self, receive: Receive, deadline: Deadline, most: int) -> None:
        self._receive = receive
        self._deadline = deadline
        self._most = most

    async def whole(self) -> bytes:
        """Return all of it.

        Raises: BodyTooLarge, ClientGone.
        """
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > self._most:
                raise BodyTooLarge(limit=self._most)
            self._deadline.body_arrived()
            return body
        return b"".join([piece async for piece in self._from(message)])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it piece by piece.

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
            if arrived > self._most:
                raise BodyTooLarge(limit=self._most)
            yield piece
            if not message.get("more_body"):
                break
            message = await self._receive()
        self._deadline.body_arrived()


def refusal(error: msgspec.ValidationError, root: str, given: Callable[[], Any]) -> InvalidValues:
    """Make the error for a value that does not fit; `at` is where: `body.strokes[0].points`.

    `given` is asked for what was sent where its words tell more than a pattern does.
    """
    reason, _, place = str(error).partition(" - at `")
    place = place.removeprefix(_KEY).rstrip("`").removeprefix("$")
    at = root + place
    words = next((w for pattern, w in IN_WORDS.items() if reason.endswith(repr(pattern))), "")
    if at == "query.after" and words:
        words = "where a page ended"
    if words:
        reason = f"{_told(given(), place)} is not {words}"
    return InvalidValues(reason=reason, at=at)


def _told(given: Any, place: str) -> str:
    """Quote what was sent at a place; `it` where that cannot be said (a key of an object)."""
    for name, number in _STEP.findall(place):
        try:
            given = given[name] if name else given[int(number)]
        except (KeyError, IndexError, TypeError):
            return "it"
    return repr(shorten(given)) if isinstance(given, str) else "it"


def _storable(value: Any) -> bool:
    # What neither database can hold is refused here instead of failing there.
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is not float or math.isfinite(value)


def _json_reader(shape: Any) -> Read:
    decoder = msgspec.json.Decoder(shape)

    def read(body: bytes) -> Any:
        try:
            value = decoder.decode(body)
        except msgspec.ValidationError as error:
            try:
                raise refusal(error, "body", lambda: msgspec.json.decode(body)) from None
            except (msgspec.DecodeError, UnicodeDecodeError) as worse:
                # What comes after the value that does not fit is not even JSON.
                raise UnreadableBody(reason=str(worse)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Editors on Windows begin a file with it; looked for only where reading has failed.
            if body.startswith(_BOM):
                return read(body.removeprefix(_BOM))
            raise UnreadableBody(reason=str(error) if body else "it is empty") from None
        except RecursionError:
            raise UnreadableBody(reason="it is nested too deeply") from None
        if rb"\u0000" in body and _NUL.search(body):
            raise InvalidValues(reason="NUL characters cannot be stored", at="body")
        return value

    return read
