"""Words that every stage uses: ids, pages, time."""

import os
import re
import threading
import time
import unicodedata
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from volano.schemas.errors import Broken, Conflict, Denied, Invalid, Missing, TooMuch, Unavailable

T = TypeVar("T")

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$(?!\n)")]
"""The name of one thing: `run_…`, `ver_…`, `snap_…`; a UUID for records and predictions."""

Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9_.-]*$(?!\n)")
]
"""A name that a person gives: lower case, digits, `_ . -`."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Uuid = Annotated[str, msgspec.Meta(pattern=rf"^{_UUID.pattern}$(?!\n)")]
"""The name of a record or a prediction: a UUID in lower case."""

_ANY_CASE = _UUID.pattern.replace("a-f", "a-fA-F")

AnyCaseUuid = Annotated[str, msgspec.Meta(pattern=rf"^{_ANY_CASE}$(?!\n)")]
"""A UUID as people may copy it; in lower case it is the name."""

_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*$(?!\n)"

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
"""What a record shows, in any words: "traffic light", "猫", "A" beside "a"."""

Words = Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_CONTROLS)]
"""A few words, or none."""

IN_WORDS: dict[str, str] = {
    r"^[A-Za-z0-9_.:-]+$(?!\n)": "an id: letters, digits and `_ . : -`",
    r"^[a-z0-9][a-z0-9_.-]*$(?!\n)": "a name: lower case letters, digits and `_ . -`, of which "
    "the first is a letter or a digit",
    rf"^{_UUID.pattern}$(?!\n)": "a UUID in lower case",
    rf"^{_ANY_CASE}$(?!\n)": "a UUID",
    _NO_CONTROLS: "text without control characters",
    r"^#[0-9a-fA-F]{6}$": "a colour such as #1f2328",
    "^[0-9a-f]{64}$": "a SHA-256 digest: 64 hexadecimal digits",
    r"^b3_[0-9a-f]{64}$": "the id of a blob: b3_ and 64 hexadecimal digits",
}
"""What a text is that matches one of the patterns of the wire shapes, for people."""

Text = Annotated[str, msgspec.Meta(max_length=2000)]

Json = dict[str, Any]


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every wire shape that a server sends; fields from newer servers are ignored."""


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every wire shape that a client sends; a misspelt field is an error, not a silence."""


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a listing; pass `next` back as `after` for the following one, null at the end."""

    items: list[T]
    next: str | None = None


def is_uuid(text: str) -> bool:
    """Return whether a record or a prediction can have this name."""
    return _UUID.fullmatch(text) is not None


def composed(text: str) -> str:
    """Return the text in the one form (NFC) of those that look alike: `é` is one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def utc_now() -> datetime:
    """Return the wall clock in UTC; leases and orders use the database's clock instead."""
    return datetime.now(UTC)


_uuid7_lock = threading.Lock()
_uuid7_last = 0


def uuid7() -> uuid.UUID:
    """Make a new UUIDv7, increasing within this process.

    Source: RFC 9562, section 5.7, with method 3 (replaced sub-millisecond bits) for the order.
    """
    global _uuid7_last
    with _uuid7_lock:
        # 60 bits: 48 of milliseconds, 12 of the fraction below; ties go up by one.
        ms, rest = divmod(time.time_ns(), 1_000_000)
        ticks = max((ms << 12) | (rest << 12) // 1_000_000, _uuid7_last + 1)
        _uuid7_last = ticks
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=value)


def new_id(prefix: str) -> str:
    """Make an id of one kind: `prefix_` and 32 hex digits that sort by time of creation."""
    return f"{prefix}_{uuid7().hex}"


class UnreadableBody(Invalid):
    """The body cannot be read: {reason}."""

    status = 400
    remedy = "Send a complete document of the stated content type."


class InvalidValues(Invalid):
    """`{at}`: {reason}."""

    remedy = "See /api/docs for the shape that this operation takes."


class CursorRefused(Invalid):
    """{after!r} is not where a page of this listing ended."""

    remedy = "Send as `after` what `next` was in the page before, or nothing for the first page."


class InputNotRead(Invalid):
    """This input could not be read: {reason}."""

    remedy = "It fails again as it is: save it anew with another program, or smaller."


class RangeUnsatisfiable(Invalid):
    """There are {size} bytes, and none of them in the range {asked!r}."""

    status = 416
    remedy = "Ask for a range that begins before the end, as `Range: bytes=0-1023`."


class UnsupportedMediaType(Invalid):
    """This operation does not read {media_type!r}."""

    status = 415
    remedy = "Send one of: {accepted}."


class UnsupportedEncoding(Invalid):
    """A body in the Content-Encoding {encoding!r} is not read."""

    status = 415
    remedy = "Send it as it is, without Content-Encoding."


class NotAuthenticated(Denied):
    """This operation needs a key or a session."""

    status = 401
    remedy = (
        "`volano login` keeps a key for commands; over HTTP send 'Authorization: Bearer <key>'. "
        "An admin makes keys with `volano keys create`."
    )


class RoleTooLow(Denied):
    """The role {role!r} may not {meaning}."""

    remedy = "Ask an admin of the workspace for a key with one of these roles: {roles}."


class AddressTaken(Unavailable):
    """The server cannot listen on {host}:{port}: {reason}."""

    remedy = "Stop what listens there, or give another --port."


class HostRefused(Denied):
    """This server does not answer for the host {host!r}."""

    remedy = "Call it by its own name, or add the name to VOLANO_ALLOWED_HOSTS."


class OriginRefused(Denied):
    """A page of another site may not do this: {origin}."""

    remedy = "Open the console under the address of this server."


class UnknownPath(Missing):
    """There is nothing at {path!r}."""

    remedy = "See /api/docs for what is here."


class MethodNotAllowed(Missing):
    """{path!r} does not take {method}."""

    status = 405
    remedy = "It takes: {allowed}."


class NotHttp(Invalid):
    """This is no request of HTTP/1.1: {reason}."""

    status = 400
    remedy = "Call the server with an HTTP client; for HTTPS, call the proxy in front of it."


class HeadTooLarge(TooMuch):
    """The head of the request is larger than {limit} bytes or {headers} headers."""

    status = 431
    remedy = "Send a shorter address and fewer or shorter headers and cookies."


class BodyTooLarge(TooMuch):
    """The body is larger than {limit} bytes."""

    status = 413
    remedy = "Send it in smaller parts."


class FormUnreadable(Invalid):
    """The form cannot be read: {reason}."""

    status = 400
    remedy = "Send multipart/form-data as an HTTP client makes it."


class FormTooLarge(TooMuch):
    """The form has more than {limit} parts."""

    status = 413
    remedy = "Send it in smaller forms."


class BodyTooSlow(Unavailable):
    """The body did not arrive within {seconds} s."""

    status = 408


class DeadlinePassed(Unavailable):
    """The answer was not ready within {deadline_ms} ms."""

    status = 504
    remedy = "Allow more time with the x-deadline-ms header, or ask for less."


class Overloaded(Unavailable):
    """The server has more to do than it can answer in time."""

    remedy = "Wait for the seconds in Retry-After, then try again."


class StorageFull(Unavailable):
    """The storage refused the write: {reason}."""

    status = 507
    remedy = "Free space or raise the limit, then send it again; nothing of it was kept."


class DatabaseUnavailable(Unavailable):
    """The database did not answer: {reason}."""

    remedy = "Try again shortly; with the same Idempotency-Key nothing is done twice."


class DatabaseUnwritable(DatabaseUnavailable):
    """The file of the database cannot be opened for writing: {reason}."""

    remedy = (
        "Look at its folder: permissions, a file system that is mounted read-only. Of a backup "
        "use a copy: `--home COPY`."
    )


class DatabaseContended(DatabaseUnavailable):
    """Another transaction was in the way: {reason}."""

    remedy = "Send it again; nothing of it was kept."


class DatabaseDamaged(Broken):
    """The database is damaged: {reason}."""

    remedy = "Stop the server and restore the latest backup."


class DatabaseOlder(Unavailable):
    """The database is at revision {found}; this version of Volano needs {needed}."""

    remedy = "`volano migrate` brings it there."


class DatabaseNewer(Unavailable):
    """The database is at revision {found}, which this version of Volano does not know."""

    remedy = "Run the version that brought it there, or a newer one."


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key {key!r} was used before with another request."""

    status = 422
    remedy = "Use a new key for a new request."


class StillRunning(Conflict):
    """The first request with the Idempotency-Key {key!r} is still running."""

    remedy = "Wait and send it again: the answer will be the first one's."
