"""Requests nobody would send by accident: values made from the types, some of them made wrong."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec import inspect

NASTY: list[Any] = [
    None,
    True,
    "",
    " ",
    "0",
    "a" * 300,
    "a" * 70_000,
    "é\u202e\U0001f600",
    "\x00",
    "\\u0000",
    "..",
    "../../etc/passwd",
    "%",
    "%_%",
    "*" * 150,
    "[z-a]",
    "[",
    "'; DROP TABLE records; --",
    "{0.__class__}",
    "<svg onload=alert(1)>",
    "\r\nset-cookie: a=b",
    "nan",
    "1e400",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2030-01-01T00:00:00",
    "99999999999999.x",
    "-1",
    "self",
    0,
    -1,
    0.5,
    -0.0,
    1e308,
    -1e308,
    5e-324,
    2**31,
    2**63,
    -(2**63) - 1,
    2**64,
    10**30,
    10**400,
    [],
    [[]],
    [None],
    {},
    {"": 0},
    {"self": 1},
    {"ctx": None, "who": None},
    ["a"] * 2000,
]
"""What a field may hold instead of what it should."""

HEADERS: list[tuple[bytes, bytes]] = [
    (b"origin", b"http://["),
    (b"origin", b"\xff"),
    (b"origin", b"null"),
    (b"cookie", b"=;;volano=\xff"),
    (b"authorization", b"Bearer"),
    (b"authorization", b"Bearer vol_\xff"),
    (b"authorization", b"\xff"),
    (b"authorization", b"Bearer ses_e30.e30"),
    (b"host", b"[abc"),
    (b"host", b""),
    (b"host", b"\xff"),
    (b"x-request-id", b"\xff"),
    (b"x-deadline-ms", b"\xb2"),
    (b"x-deadline-ms", b"-1"),
    (b"idempotency-key", b"\xff"),
    (b"idempotency-key", b"again"),
    (b"content-type", b"\xff/;;"),
    (b"content-type", b"application/x-volano-drawings"),
    (b"range", b"bytes=9-1"),
    (b"accept", b"\xff"),
]

_WRONG = 0.02  # of the values


class Writer:
    """Makes values of types; equal seeds make equal values.

    `known` are the names of things that are there, by what asks for them: a field or a path.
    """

    def __init__(self, rng: Random, known: dict[str, list[str]]) -> None:
        self.rng, self.known = rng, known
        self.names = [name for names in known.values() for name in names]

    def value(self, kind: inspect.Type, depth: int = 0, noun: str = "") -> Any:
        """Make a JSON value, mostly of the type."""
        if self.rng.random() < _WRONG:
            return self.rng.choice(NASTY)
        match kind:
            case inspect.Metadata():
                return self.value(kind.type, depth, noun)
            case inspect.StructType():
                return self._document(kind, depth)
            case inspect.UnionType():
                return self.value(self.rng.choice(kind.types), depth, noun)
            case inspect.LiteralType():
                return self.rng.choice(kind.values)
            case inspect.ListType() | inspect.VarTupleType():
                return [
                    self.value(kind.item_type, depth + 1, noun) for _ in range(self._length(kind))
                ]
            case inspect.StrType() | inspect.DateTimeType():
                return self.text(noun)
            case inspect.IntType() | inspect.FloatType():
                return self._number(kind)
            case inspect.BoolType():
                return self.rng.random() < 0.5
        return self.rng.choice(NASTY)

    def text(self, noun: str) -> str:
        """Choose the name of something that is there, mostly of what is asked for."""
        if self.rng.random() < 0.95:
            known = noun in self.known and self.rng.random() < 0.85
            return self.rng.choice(self.known[noun] if known else self.names)
        return str(self.rng.choice(NASTY))

    def _document(self, kind: inspect.StructType, depth: int) -> dict[str, Any]:
        left_out = 0.4 if depth < 4 else 0.9
        return {
            field.encode_name: self.value(field.type, depth + 1, field.name)
            for field in kind.fields
            if self.rng.random() > (_WRONG / 4 if field.required else left_out)
        }

    def _length(self, kind: inspect.ListType | inspect.VarTupleType) -> int:
        return max(kind.min_length or 0, self.rng.choice([0, 1, 1, 1, 2, 3]))

    def _number(self, kind: inspect.IntType | inspect.FloatType) -> float:
        low = kind.ge if kind.ge is not None else (kind.gt or 0) + 1
        high = kind.le if kind.le is not None else low + 500
        if isinstance(kind, inspect.IntType):
            return self.rng.randint(int(low), int(high))
        return self.rng.choice(
            [low, high, self.rng.uniform(low, high), self.rng.uniform(low, high)]
        )
