"""Every failure a caller can see, in seven kinds.

VolanoError
├── Invalid       400 unreadable, 415 media type, 422 values
├── Denied        401 who are you, 403 not with this role
├── Missing       404, 405
├── Conflict      409
├── TooMuch       413, 429, 431
├── Unavailable   408, 503, 504, 507
└── Broken        500

A concrete error subclasses a kind in the schemas file of its stage. Its docstring is the message, a
format string over the facts it is raised with; `remedy` says what to do. The server sends it as
RFC 9457 problem+json, the client raises the same class back.
"""

import re
import string
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

PROBLEM_MEDIA_TYPE = "application/problem+json"

LONGEST_ECHO = 100
"""Characters of a value that a problem document quotes."""

LONGEST_REASON = 1000


class VolanoError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    remedy: ClassVar[str] = ""

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        self.facts = facts
        self.message = message or _fill(type(self).__doc__ or "", facts)
        self._told = ""
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        """Derive the stable code: the class name in kebab case, `RoleTooLow` -> `role-too-low`."""
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    code: ClassVar[str] = "volano-error"

    @property
    def advice(self) -> str:
        """Return what to do about it, with the facts filled in; empty where nothing can be done."""
        return self._told or _fill(type(self).remedy, self.facts)

    def shortened(self) -> Self:
        """Return the same error with the long values cut that a caller may have sent.

        What the remedy names is ours (what is known, what is accepted), and reasons quote both.
        """
        ours = {name for _, name, _, _ in string.Formatter().parse(self.remedy)}
        most = {"reason": LONGEST_REASON} | dict.fromkeys(ours, sys.maxsize)
        cut = {n: shorten(value, most.get(n, LONGEST_ECHO)) for n, value in self.facts.items()}
        if cut == self.facts:
            return self
        own = self.message != _fill(type(self).__doc__ or "", self.facts)
        return type(self)(self.message if own else "", **cut)

    def problem(self, instance: str = "") -> dict[str, Any]:
        """Return the RFC 9457 document: `code` is stable, `facts` are the refused values."""
        return {
            "type": f"urn:volano:error:{self.code}",
            "title": re.sub(r"-", " ", self.code),
            "status": self.status,
            "code": self.code,
            "detail": self.message,
            "remedy": self.advice,
            "facts": self.facts,
            "instance": instance,
        }


class Invalid(VolanoError):
    """The request is not valid."""

    status = 422


class Denied(VolanoError):
    """This is not allowed."""

    status = 403


class Missing(VolanoError):
    """There is no {noun} {id!r} in this workspace."""

    status = 404
    remedy = "Check the id; ids of other workspaces are not visible."


class Conflict(VolanoError):
    """This does not fit what is already there."""

    status = 409


class TooMuch(VolanoError):
    """This is more than is allowed."""

    status = 429


class Unavailable(VolanoError):
    """This cannot be done right now."""

    status = 503
    remedy = "Try again shortly."


class Broken(VolanoError):
    """Something broke on our side; the request id finds it in the logs."""

    status = 500
    remedy = "Report the request id to whoever runs this server."


KINDS: tuple[type[VolanoError], ...] = (
    Invalid, Denied, Missing, Conflict, TooMuch, Unavailable, Broken,
)  # fmt: skip


def from_problem(problem: Mapping[str, Any]) -> VolanoError:
    """Return the error of a problem document, as its own class where that is known here.

    An unknown code (a newer server) becomes the kind that its status belongs to. The advice is
    what the server gave: it knows what it refused.
    """
    known = {cls.code: cls for cls in _subclasses(VolanoError)}
    status = int(problem.get("status", 500))
    cls = known.get(str(problem.get("code"))) or _kind_of(status)
    error = cls(str(problem.get("detail", "")), **dict(problem.get("facts") or {}))
    error._told = str(problem.get("remedy") or "")
    return error


def _kind_of(status: int) -> type[VolanoError]:
    by_status: dict[int, type[VolanoError]] = {
        400: Invalid, 401: Denied, 403: Denied, 404: Missing, 405: Missing, 408: Unavailable,
        409: Conflict, 413: TooMuch, 415: Invalid, 422: Invalid, 429: TooMuch, 431: TooMuch,
        503: Unavailable, 504: Unavailable, 507: Unavailable,
    }  # fmt: skip
    return by_status.get(status, Invalid if status < 500 else Broken)


def _subclasses(cls: type[VolanoError]) -> Iterator[type[VolanoError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


def shorten(value: Any, most: int = LONGEST_ECHO) -> Any:
    """Return the value; of a longer text or number its beginning."""
    text = str(value) if isinstance(value, int) and value.bit_length() > 64 else value
    return text[: most - 1] + "…" if isinstance(text, str) and len(text) > most else value


def _fill(text: str, facts: Mapping[str, Any]) -> str:
    """Fill the facts into the first paragraph of `text`; leave it as it is where one is missing."""
    first = " ".join(text.strip().split("\n\n")[0].split())
    try:
        return first.format(**facts)
    except (KeyError, IndexError, ValueError):
        return first
