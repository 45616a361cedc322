"""A drawing on its way in: what the wire brings becomes a row for the inbox."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice

import msgspec
from blake3 import blake3

from volano.core.segments.inbox import Row, Stored
from volano.core.settings import Settings
from volano.data.formats import drawings, strokes
from volano.data.ingest import Head, head_of
from volano.schemas.common import UnreadableBody, utc_now
from volano.schemas.data import (
    CodecError,
    DrawingTooLarge,
    NewDrawing,
    TooManyPoints,
    TooManyStrokes,
)
from volano.schemas.errors import VolanoError
from volano.schemas.labeling import DrawingIdReused, Outcome

BINARY_MEDIA_TYPE = "application/x-volano-drawings"
_BATCH = 50
_TOGETHER = 32
"""Drawings in one pass: more gain nothing, and keep the event loop from others."""
_YEAR_2000_MS = 946_684_800_000


class PackedDrawing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A drawing that the client has encoded already: `[id, shape, payload]` in MessagePack."""

    id: str
    shape: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Giver:
    """Who drew, and where it came from (empty: drawn here)."""

    contributor: str
    origin: str = ""


Incoming = NewDrawing | PackedDrawing
Given = Sequence[tuple[Incoming, Giver]]
Headers = Mapping[bytes, strokes.Header | CodecError]

_unpack = msgspec.msgpack.Decoder(list[PackedDrawing]).decode


def unpack(body: bytes) -> list[PackedDrawing]:
    """The drawings of a binary batch (1 to 50).

    Raises: UnreadableBody.
    """
    try:
        batch = _unpack(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableBody(reason=str(error)) from None
    if not 1 <= len(batch) <= _BATCH:
        raise UnreadableBody(reason=f"a batch has 1 to {_BATCH} drawings, not {len(batch)}")
    return batch


def limits(settings: Settings) -> drawings.Limits:
    """How much one drawing may be on this server."""
    return _limits(
        settings.drawing_max_strokes, settings.drawing_max_points, settings.drawing_max_bytes
    )


@cache
def _limits(strokes: int, points: int, payload_bytes: int) -> drawings.Limits:
    return drawings.Limits(strokes=strokes, points=points, payload_bytes=payload_bytes)


def row(new: Incoming, giver: Giver, bounds: drawings.Limits, now: datetime) -> Row:
    """The drawing as a row for the inbox.

    Raises: Invalid, TooMuch (what the limits and the codec refuse).
    """
    (found,) = rows([(new, giver)], bounds, now)
    if isinstance(found, VolanoError):
        raise found
    return found


def rows(given: Given, bounds: drawings.Limits, now: datetime) -> list[Row | VolanoError]:
    """Each drawing as a row for the inbox, or why it is refused."""
    now_ms = now.timestamp() * 1000
    drawn = [new for new, _ in given if isinstance(new, NewDrawing)]
    encoded = iter(drawings.encode_all(drawn, bounds))
    headers = _headers([new for new, _ in given if isinstance(new, PackedDrawing)], bounds)
    found: list[Row | VolanoError] = []
    for new, giver in given:
        try:
            if isinstance(new, PackedDrawing):
                found.append(_packed_row(new, giver, bounds, now_ms, headers))
            else:
                found.append(_drawn_row(new, giver, next(encoded), now_ms))
        except VolanoError as error:
            found.append(error)
    return found


class Desk:
    """Makes rows of what all requests brought that arrived together, in one pass.

    A pass over one drawing costs nearly what one over a dozen does, and the busier a server is,
    the more requests its event loop finds at once.
    """

    def __init__(self, bounds: drawings.Limits) -> None:
        self._bounds = bounds
        self._waiting: deque[tuple[Given, asyncio.Future[list[Row | VolanoError]]]] = deque()

    async def rows(self, given: Given) -> list[Row | VolanoError]:
        """Each drawing as a row for the inbox, or why it is refused."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Row | VolanoError]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._serve, loop)
        self._waiting.append((given, done))
        return await done

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        together: list[tuple[Given, asyncio.Future[list[Row | VolanoError]]]] = []
        count = 0
        while self._waiting and count < _TOGETHER:
            together.append(self._waiting.popleft())
            count += len(together[-1][0])
        if self._waiting:  # after whatever else this process has to do
            loop.call_soon(self._serve, loop)
        try:
            given = [one for some, _ in together for one in some]
            found = iter(rows(given, self._bounds, utc_now()))
            for some, done in together:
                answer = list(islice(found, len(some)))
                if not done.done():  # it gave up waiting
                    done.set_result(answer)
        finally:
            for _, done in together:
                done.cancel()


def _headers(packed: Sequence[PackedDrawing], bounds: drawings.Limits) -> Headers:
    """What is in the payloads that are not too large to look at."""
    payloads = [new.payload for new in packed if len(new.payload) <= bounds.payload_bytes]
    return dict(zip(payloads, strokes.validate_all(payloads), strict=True)) if payloads else {}


def _drawn_row(
    new: NewDrawing, giver: Giver, encoded: drawings.Encoded | VolanoError, now_ms: float
) -> Row:
    if isinstance(encoded, VolanoError):
        raise encoded
    head = Head(
        kind="drawing",
        label=new.shape,
        contributor=giver.contributor,
        origin=giver.origin,
        device=new.device,
        captured_at=_captured(new.strokes[0].points[0].timestamp, now_ms),
        strokes=encoded.strokes,
        points=encoded.points,
        duration_ms=encoded.duration_ms,
        flags=list(encoded.flags),
    )
    return _row(new.id, head, encoded.payload)


def _packed_row(
    new: PackedDrawing, giver: Giver, bounds: drawings.Limits, now_ms: float, headers: Headers
) -> Row:
    drawings.check_id(new.id)
    header = headers.get(new.payload)
    if header is None:
        raise DrawingTooLarge(size=len(new.payload), limit=bounds.payload_bytes)
    if isinstance(header, CodecError):
        raise header
    if header.strokes > bounds.strokes:
        raise TooManyStrokes(strokes=header.strokes, limit=bounds.strokes)
    if header.points > bounds.points:
        raise TooManyPoints(points=header.points, limit=bounds.points)
    head = Head(
        kind="drawing",
        label=new.shape,
        contributor=giver.contributor,
        origin=giver.origin,
        device=header.device,
        captured_at=_captured(header.t0_ms, now_ms),
        strokes=header.strokes,
        points=header.points,
        duration_ms=header.duration_ms,
        flags=[],
    )
    return _row(new.id, head, new.payload)


def _row(id: str, head: Head, payload: bytes) -> Row:
    return Row(id, blake3(payload).digest(), head.encode(), payload, head.contributor)


def _captured(start_ms: float, now_ms: float) -> datetime:
    """When it was drawn: by the client's clock where that shows a date, else on arrival.

    A tablet's clock may be a day ahead; what is later than that is no date.
    """
    shows_a_date = _YEAR_2000_MS <= start_ms <= now_ms + 86_400_000
    # Whole milliseconds, as they are stored: a record reads the same before and after it moves.
    return datetime.fromtimestamp(int(start_ms if shows_a_date else now_ms) / 1000, UTC)


def stored(row: Row, there: Stored) -> Outcome:
    """What became of a row that the inbox took.

    Raises: DrawingIdReused (the id stands for other strokes).
    """
    if there.content != row.content:
        raise DrawingIdReused(id=row.key)
    return Outcome(id=row.key, stored=True, duplicate=there.duplicate, flags=head_of(row).flags)


def refused(id: str, error: VolanoError) -> Outcome:
    """What became of a drawing that is not stored."""
    return Outcome(id=id, stored=False, code=error.code, detail=error.message, remedy=error.advice)
