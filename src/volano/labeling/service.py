"""The verbs of labeling: ask for shapes, take drawings in, say what a contributor has given."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from volano.core.segments.inbox import Row
from volano.data import service as data
from volano.data.formats import drawings
from volano.data.ingest import Head, decode_head, encode_head
from volano.labeling import store
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import Page, UnreadableBody, utc_now, uuid7
from volano.schemas.datasets import DRAWINGS, Outcome
from volano.schemas.drawings import DrawingImport, NewDrawing
from volano.schemas.errors import VolanoError
from volano.schemas.labeling import DrawingIdReused, NewShape, Shape, UnknownShape, UserStats

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.core.jobs import Job
    from volano.core.settings import Settings

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
class Contributor:
    """Who drew, and where it came from (empty: drawn here)."""

    id: str
    origin: str = ""


Incoming = NewDrawing | PackedDrawing
Given = Sequence[tuple[Incoming, Contributor]]

_unpack = msgspec.msgpack.Decoder(list[PackedDrawing]).decode


@dataclass(frozen=True, slots=True)
class State:
    """What one process keeps for labeling."""

    batcher: IntakeBatcher
    shapes: KnownShapes


def open_state(settings: Settings) -> State:
    """Return the state of a process that has taken nothing in yet."""
    return State(IntakeBatcher(limits(settings)), KnownShapes())


def limits(settings: Settings) -> drawings.DrawingLimits:
    """Return how much one drawing may be on a server of these settings."""
    return drawings.DrawingLimits(
        strokes=settings.drawing_max_strokes,
        points=settings.drawing_max_points,
        payload_bytes=settings.drawing_max_bytes,
    )


async def shapes(ctx: Context, who: Who, *, after: str, limit: int) -> Page[Shape]:
    """List what can be drawn, by name.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.shape_page(tx, after=after, limit=limit)
    return store.BY_NAME.page(
        rows, limit, partial(msgspec.convert, type=Shape, from_attributes=True)
    )


async def add_shape(ctx: Context, who: Who, new: NewShape) -> Shape:
    """Ask for a new shape from now on.

    Raises: NameTaken.
    """
    shape = Shape(name=new.name, description=new.description, difficulty=new.difficulty)
    async with ctx.db.begin(who.workspace) as tx:
        await data.ensure_drawings(tx)
        if not await store.add_shape(tx, msgspec.structs.asdict(shape)):
            raise NameTaken(noun="shape", name=new.name)
    return shape


def unpack(body: bytes) -> list[PackedDrawing]:
    """Return the drawings of a binary batch (1 to 50).

    Raises: UnreadableBody.
    """
    try:
        batch = _unpack(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableBody(reason=str(error)) from None
    if not 1 <= len(batch) <= _BATCH:
        raise UnreadableBody(reason=f"a batch has 1 to {_BATCH} drawings, not {len(batch)}")
    return batch


async def submit(ctx: Context, who: Who, drawing: Incoming) -> Outcome:
    """Take one drawing in; once this returns, it is stored durably.

    Raises: UnknownShape, DrawingIdReused, what drawings.encode refuses, what the inbox raises.
    """
    given = [(_identified(drawing), Contributor(who.contributor))]
    (told,) = await _take(ctx, who.workspace, given)
    if isinstance(told, VolanoError):
        raise told
    return told


async def submit_many(ctx: Context, who: Who, batch: Sequence[Incoming]) -> list[Outcome]:
    """Take several drawings in; each is stored or refused by itself, in the order given.

    Raises: what the inbox raises (then nothing is acknowledged).
    """
    contributor = Contributor(who.contributor)
    return await _outcomes(
        ctx, who.workspace, [(_identified(drawing), contributor) for drawing in batch]
    )


async def import_drawings(ctx: Context, who: Who, batch: DrawingImport) -> list[Outcome]:
    """Take in drawings that were made elsewhere, under the names of those who made them.

    Raises: what the inbox raises (then nothing is acknowledged).
    """
    given = [
        (_identified(one.drawing), Contributor(one.contributor, batch.origin))
        for one in batch.drawings
    ]
    return await _outcomes(ctx, who.workspace, given)


def _identified(drawing: Incoming) -> Incoming:
    """Return the drawing, with an id if its client has made none."""
    return drawing if drawing.id else msgspec.structs.replace(drawing, id=str(uuid7()))


async def _outcomes(ctx: Context, workspace: str, given: Given) -> list[Outcome]:
    """Take drawings in; return what became of each, with the reason where it is refused."""
    told = await _take(ctx, workspace, given)
    return [
        Outcome(id=drawing.id, stored=False, code=one.code, detail=one.message, remedy=one.advice)
        if isinstance(one, VolanoError)
        else one
        for (drawing, _), one in zip(given, told, strict=True)
    ]


async def _take(ctx: Context, workspace: str, given: Given) -> list[Outcome | VolanoError]:
    """Store drawings durably; return what became of each, or why it is refused, in their order.

    Raises: Overloaded, DatabaseUnavailable, StorageFull (then nothing is acknowledged).
    """
    state = ctx.part(State)
    known = await state.shapes.among(ctx, workspace, {drawing.shape for drawing, _ in given})
    rows = await state.batcher.rows(given)
    for at, (drawing, _) in enumerate(given):
        if drawing.shape not in known:
            rows[at] = UnknownShape(shape=drawing.shape)
    admitted = [row for row in rows if isinstance(row, Row)]
    stored = await ctx.part(data.State).inbox.append(workspace, admitted)
    again = [row.key for row, there in zip(admitted, stored, strict=True) if there.duplicate]
    labels = await data.labels(ctx, workspace, again) if again else {}
    answers = iter(stored)
    told: list[Outcome | VolanoError] = []
    for row in rows:
        if isinstance(row, VolanoError):
            told.append(row)
            continue
        there, head = next(answers), decode_head(row.head)
        same_label = labels.get(row.key, head.label) == head.label
        if there.content == row.content and same_label:
            duplicate, flags = there.duplicate, head.flags
            told.append(Outcome(id=row.key, stored=True, duplicate=duplicate, flags=flags))
        else:
            told.append(DrawingIdReused(id=row.key))
    return told


class KnownShapes:
    """Names of shapes seen in the database: shapes are never removed, so a hit stays true."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    async def among(self, ctx: Context, workspace: str, names: Set[str]) -> Set[str]:
        """Return those of the names that are shapes."""
        if names <= self._names.get(workspace, frozenset()):
            return names
        async with ctx.db.read(workspace) as tx:
            self._names[workspace] = await store.shape_names(tx)
        return names & self._names[workspace]


@dataclass(frozen=True, slots=True)
class _Waiting:
    given: Given
    done: asyncio.Future[list[Row | VolanoError]]


class IntakeBatcher:
    """Makes rows of what all requests brought that arrived together, in one pass.

    A pass over one drawing costs nearly what one over a dozen does, and the busier a server is,
    the more requests its event loop finds at once.
    """

    def __init__(self, limits: drawings.DrawingLimits) -> None:
        self._limits = limits
        self._waiting: deque[_Waiting] = deque()

    async def rows(self, given: Given) -> list[Row | VolanoError]:
        """Return each drawing as a row for the inbox, or why it is refused."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(given, loop.create_future())
        if not self._waiting:
            loop.call_soon(self._run_pass, loop)
        self._waiting.append(waiting)
        return await waiting.done

    def _run_pass(self, loop: asyncio.AbstractEventLoop) -> None:
        together: list[_Waiting] = []
        count = 0
        while self._waiting and count < _TOGETHER:
            together.append(self._waiting.popleft())
            count += len(together[-1].given)
        if self._waiting:  # after whatever else this process has to do
            loop.call_soon(self._run_pass, loop)
        try:
            given = list(chain.from_iterable(waiting.given for waiting in together))
            found = iter(make_rows(given, self._limits, utc_now()))
            for waiting in together:
                answer = list(islice(found, len(waiting.given)))
                if not waiting.done.done():  # it gave up waiting
                    waiting.done.set_result(answer)
        finally:
            for waiting in together:
                waiting.done.cancel()


def make_rows(
    given: Given, limits: drawings.DrawingLimits, now: datetime
) -> list[Row | VolanoError]:
    """Return each drawing as a row for the inbox, or why it is refused."""
    now_ms = now.timestamp() * 1000
    drawn = [new for new, _ in given if isinstance(new, NewDrawing)]
    packed = [(new.id, new.payload) for new, _ in given if isinstance(new, PackedDrawing)]
    encoded = iter(drawings.encode_all(drawn, limits))
    admitted = iter(drawings.admit_all(packed, limits))
    rows: list[Row | VolanoError] = []
    for new, contributor in given:
        one = next(admitted if isinstance(new, PackedDrawing) else encoded)
        if isinstance(one, VolanoError):
            rows.append(one)
            continue
        head = Head(
            kind="drawing",
            label=new.shape,
            contributor=contributor.id,
            origin=contributor.origin,
            device=one.device,
            captured_at=_captured(one.start_ms, now_ms),
            strokes=one.strokes,
            points=one.points,
            duration_ms=one.duration_ms,
            flags=one.flags,
        )
        digest = blake3(one.payload).digest()
        rows.append(Row(new.id.lower(), digest, encode_head(head), one.payload, contributor.id))
    return rows


def _captured(start_ms: float, now_ms: float) -> datetime:
    """Return when it was drawn: by the client's clock where that shows a date, else on arrival.

    A tablet's clock may be a day ahead; what is later than that is no date.
    """
    shows_a_date = _YEAR_2000_MS <= start_ms <= now_ms + 86_400_000
    # Whole milliseconds, as they are stored: a record reads the same before and after it moves.
    return datetime.fromtimestamp(int(start_ms if shows_a_date else now_ms) / 1000, UTC)


async def stats(ctx: Context, who: Who) -> UserStats:
    """Return what the caller has given, with what was acknowledged a moment ago."""
    async with ctx.db.read(who.workspace) as tx:
        gifts = await store.given(tx, who.contributor)
        waiting = await data.waiting_heads(tx, who.contributor)
    by_shape = {gift.shape: gift.drawings for gift in gifts}
    waiting = [head for head in waiting if head.dataset == DRAWINGS]
    for head in waiting:
        by_shape[head.label] = by_shape.get(head.label, 0) + 1
    first = [gift.first_at for gift in gifts] + [head.captured_at for head in waiting]
    last = [gift.last_at for gift in gifts] + [head.captured_at for head in waiting]
    return UserStats(
        contributor=who.contributor,
        total_drawings=sum(by_shape.values()),
        by_shape=dict(sorted(by_shape.items())),
        first_at=min(first, default=None),
        last_at=max(last, default=None),
    )


async def compact(ctx: Context, job: Job) -> int:
    """Score what was acknowledged and move it onto the shelf; return how many drawings.

    Idempotent: what has moved is no longer in the inbox.
    """
    return await data.compact_records(ctx, job, count_moved)


async def count_moved(tx: Tx, heads: Sequence[Head]) -> None:
    """Add those of moved records that the game asked for to its counters."""
    if drawn := [head for head in heads if head.dataset == DRAWINGS]:
        await store.count_moved(tx, drawn)
