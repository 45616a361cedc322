"""Parameters of an operation, compiled from its signature: path, query string and headers."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from volano.schemas.common import IN_WORDS, InvalidValues
from volano.schemas.errors import shorten

Where = Literal["path", "query", "header"]

MOST_FIELDS = 100
"""Fields in one query string; more is an attack, not a question."""

_KEY = "key` in `"  # how msgspec begins the place of a key
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


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
        """Whether a request without it is refused."""
        return self.default is msgspec.NODEFAULT

    @property
    def repeats(self) -> bool:
        """Whether it may be given more than once."""
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
        """The values by the function's own names.

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
        """The parameters of the path, in its order."""
        return self.read({wire: v for (_, wire), v in zip(self.names, values, strict=True)})

    def read_query(self, query: bytes) -> dict[str, Any]:
        """The parameters of the query string; a misspelt or repeated one is refused."""
        if not query and self.defaults is not None:
            return self.defaults
        fields: dict[str, Any] = {}
        for name, value in _fields(query):
            if name in self.lists:
                fields.setdefault(name, []).append(value)
            elif name in fields:
                raise InvalidValues(reason="given more than once", at=f"query.{name}")
            else:
                fields[name] = value
        return self.read(fields)

    def read_headers(self, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
        """The parameters in the headers."""
        wanted = ((wire, headers.get(name)) for name, wire in self.encoded)
        given = {wire: value.decode("latin-1") for wire, value in wanted if value is not None}
        if not given and self.defaults is not None:
            return self.defaults
        return self.read(given)


def refusal(error: msgspec.ValidationError, root: str, given: Callable[[], Any]) -> InvalidValues:
    """The error for a value that does not fit; `at` is where: `body.strokes[0].points`.

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
    """What was sent at a place, `it` where that cannot be said (a key of an object)."""
    for name, number in _STEP.findall(place):
        try:
            given = given[name] if name else given[int(number)]
        except (KeyError, IndexError, TypeError):
            return "it"
    return repr(shorten(given)) if isinstance(given, str) else "it"


def _fields(query: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise InvalidValues(reason="not a query string", at="query") from None
    if b"%00" in query:
        raise InvalidValues(reason="NUL characters cannot be stored", at="query")
    return pairs


def _storable(value: Any) -> bool:
    # What neither database can hold is refused here instead of failing there.
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is not float or math.isfinite(value)
