"""Files on their way into a dataset: in forms bounded by bytes, several at a time, none twice.

A record has an id made from its source. The server is asked which contents it has before they are
sent, so an import that is done again sends only what is missing.
"""

import hashlib
import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

import msgspec

from volano.schemas.common import FormUnreadable, InvalidValues
from volano.schemas.datasets import Known, Lookup, NewItem, Outcome
from volano.schemas.errors import TooMuch, VolanoError
from volano.sdk.transport import Content, NotFinite, NotVolano, Transport, encoded, path

BATCH: Final = 250
"""Files in one form; a server takes up to 1,000."""

BATCH_BYTES: Final = 4 << 20
"""Bytes of the files in one form; a larger file goes alone."""

IN_FLIGHT: Final = 3
"""Requests at the same time: one is read here while others are stored there."""

_TIMEOUT_S: Final = 300.0
_TOO_LARGE: Final = 413


class Field(NamedTuple):
    """One field of a record that has several."""

    name: str
    data: bytes
    media_type: str


class Upload(NamedTuple):
    """One file, and what is known of it; or the fields of one record, in the dataset's order."""

    item: NewItem
    data: bytes
    media_type: str
    fields: tuple[Field, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(len(one.data) for one in self.fields) if self.fields else len(self.data)

    @property
    def sha256(self) -> str:
        """SHA-256 as the server keeps it; of several fields, that of their digests."""
        if not self.fields:
            return hashlib.sha256(self.data).hexdigest()
        digests = b"".join(hashlib.sha256(one.data).digest() for one in self.fields)
        return hashlib.sha256(digests).hexdigest()


def upload(
    transport: Transport,
    dataset: str,
    uploads: Iterable[Upload],
    *,
    batch: int = BATCH,
    batch_bytes: int = BATCH_BYTES,
    in_flight: int = IN_FLIGHT,
) -> Iterator[list[Outcome]]:
    """Send files into a dataset; yield what became of each batch, in the order of the files.

    A file that the server cannot take is refused by itself and the others go on.

    Raises: what the server refuses every file with.
    """
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="upload")
    waiting: deque[Future[list[Outcome]]] = deque()
    try:
        for some in _batches(uploads, batch, batch_bytes):
            waiting.append(pool.submit(_store, transport, dataset, some))
            if len(waiting) > in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _store(transport: Transport, dataset: str, uploads: Sequence[Upload]) -> list[Outcome]:
    """Store a batch; send only what the server does not have and what can be sent at all."""
    told = [_unfit(one) for one in uploads]
    digests = [one.sha256 for one in uploads]
    wanted = Lookup(sha256=list(dict.fromkeys(digests)))
    known = transport.call("POST", "/blobs:lookup", Known, body=wanted).records
    for n, (one, digest) in enumerate(zip(uploads, digests, strict=True)):
        if told[n] is None and one.item.id in known.get(digest, ()):
            there = Outcome(id=one.item.id or "", stored=True, duplicate=True, name=one.item.name)
            told[n] = there
    rest = iter(_send(transport, dataset, [u for u, o in zip(uploads, told, strict=True) if not o]))
    return [outcome or next(rest) for outcome in told]


def _send(transport: Transport, dataset: str, uploads: Sequence[Upload]) -> list[Outcome]:
    """Send files in one form; in halves where the server cannot take them together."""
    if not uploads:
        return []
    at = path("datasets", dataset, "records")
    try:
        return transport.call("POST", at, list[Outcome], body=form(uploads), timeout_s=_TIMEOUT_S)
    except (TooMuch, NotVolano) as error:  # NotVolano: a proxy in front of the server has a limit
        if error.facts.get("status", error.status) != _TOO_LARGE:
            raise
        failure: VolanoError = error
    except (InvalidValues, FormUnreadable) as error:
        failure = error
    if len(uploads) == 1:
        return [_refused(uploads[0], failure)]
    half = len(uploads) // 2
    return [
        *_send(transport, dataset, uploads[:half]),
        *_send(transport, dataset, uploads[half:]),
    ]


def form(uploads: Sequence[Upload]) -> Content:
    """Return files as a form: the part `items` says what is known of each, in their order."""
    boundary = secrets.token_hex(16).encode()
    items = encoded([one.item for one in uploads])
    parts = [_part(boundary, b'name="items"', b"application/json", items)]
    for number, one in enumerate(uploads):
        for field in one.fields or (Field("file", one.data, one.media_type),):
            # The item has the true name, which may have any character.
            name = f'name="{field.name}"; filename="{number}"'.encode()
            parts.append(_part(boundary, name, field.media_type.encode(), field.data))
    data = b"".join([*parts, b"--", boundary, b"--\r\n"])
    return Content(data, f"multipart/form-data; boundary={boundary.decode()}")


def _part(boundary: bytes, name: bytes, media_type: bytes, data: bytes) -> bytes:
    head = b"--%b\r\nContent-Disposition: form-data; %b\r\nContent-Type: %b\r\n\r\n"
    return head % (boundary, name, media_type) + data + b"\r\n"


def _unfit(one: Upload) -> Outcome | None:
    """Return why an item would be refused together with all others of its form."""
    try:
        msgspec.json.decode(encoded(one.item), type=NewItem)
    except NotFinite as error:
        return _refused(one, error)
    except msgspec.ValidationError as error:
        at, _, reason = f"item: {error}".partition(": ")
        return _refused(one, InvalidValues(at=at, reason=reason))
    return None


def _refused(one: Upload, error: VolanoError) -> Outcome:
    return Outcome(
        id=one.item.id or "",
        name=one.item.name,
        stored=False,
        code=error.code,
        detail=error.message,
        remedy=error.advice,
    )


def _batches(uploads: Iterable[Upload], most: int, most_bytes: int) -> Iterator[list[Upload]]:
    batch: list[Upload] = []
    size = 0
    for one in uploads:
        if batch and (len(batch) == most or size + one.size > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size
    if batch:
        yield batch
