"""The verbs of labeling: ask for shapes, take drawings in, say what a contributor has given."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from volano.core.segments.inbox import Row, Stored
from volano.data import service as data
from volano.data.formats import strokes
from volano.data.ingest import head_of
from volano.labeling import intake, quality, store
from volano.labeling.intake import Desk as Desk
from volano.labeling.intake import Given, Giver, Incoming
from volano.schemas.accounts import NameTaken, Who
from volano.schemas.common import Page
from volano.schemas.data import DrawingImport, Quality
from volano.schemas.errors import VolanoError
from volano.schemas.labeling import (
    DrawingIdReused,
    NewShape,
    Outcome,
    Shape,
    UnknownShape,
    UserStats,
)

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.jobs import Job
    from volano.core.settings import Settings


def open_desk(settings: Settings) -> Desk:
    """The desk that takes drawings in; one per process."""
    return Desk(intake.limits(settings))


class KnownShapes:
    """Names of shapes seen in the database: shapes are never removed, so a hit stays true."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    async def among(self, ctx: Context, workspace: str, names: Set[str]) -> Set[str]:
        """Those of these names that are shapes."""
        if names <= self._names.get(workspace, frozenset()):
            return names
        async with ctx.db.read(workspace) as tx:
            self._names[workspace] = await store.shape_names(tx)
        return names & self._names[workspace]


async def shapes(ctx: Context, who: Who, *, after: str | None, limit: int) -> Page[Shape]:
    """What can be drawn, by name."""
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.shape_page(tx, after=after, limit=limit + 1)
    items = [
        Shape(
            name=row.name,
            description=row.description,
            difficulty=row.difficulty,
            active=row.active,
            drawings=row.drawings,
        )
        for row in rows[:limit]
    ]
    return Page(items=items, next=items[-1].name if len(rows) > limit else None)


async def add_shape(ctx: Context, who: Who, new: NewShape) -> Shape:
    """Ask for a new shape from now on.

    Raises: NameTaken.
    """
    shape = Shape(name=new.name, description=new.description, difficulty=new.difficulty)
    row = {name: getattr(shape, name) for name in Shape.__struct_fields__}
    async with ctx.db.begin(who.workspace) as tx:
        if not await store.add_shape(tx, row):
            raise NameTaken(noun="shape", name=new.name)
    return shape


async def submit(ctx: Context, who: Who, drawing: Incoming) -> Outcome:
    """Take one drawing in; once this returns, it is stored durably.

    Raises: UnknownShape, DrawingIdReused, what intake.row refuses, what data.append raises.
    """
    giver = Giver(who.contributor)
    (row,) = await _admit(ctx, who.workspace, [(drawing, giver)])
    if isinstance(row, VolanoError):
        raise row
    (there,) = await data.append(ctx, who.workspace, [row])
    return await _stored(ctx, who.workspace, row, there)


async def submit_many(ctx: Context, who: Who, batch: Sequence[Incoming]) -> list[Outcome]:
    """Take several drawings in; each is stored or refused by itself, in the order given.

    Raises: what data.append raises (then nothing is acknowledged).
    """
    giver = Giver(who.contributor)
    return await _take(ctx, who.workspace, [(drawing, giver) for drawing in batch])


async def import_drawings(ctx: Context, who: Who, batch: DrawingImport) -> list[Outcome]:
    """Take in drawings that were made elsewhere, under the names of those who made them.

    Raises: what data.append raises (then nothing is acknowledged).
    """
    given = [(one.drawing, Giver(one.contributor, batch.origin)) for one in batch.drawings]
    return await _take(ctx, who.workspace, given)


async def stats(ctx: Context, who: Who) -> UserStats:
    """What the caller has given, with what was acknowledged a moment ago."""
    async with ctx.db.read(who.workspace) as tx:
        gifts = await store.given(tx, who.contributor)
        waiting = await data.waiting_heads(tx, who.contributor)
    by_shape = {gift.shape: gift.drawings for gift in gifts}
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
    """Score what was acknowledged and move it onto the shelf; how many drawings.

    Idempotent: what has moved is no longer in the inbox.
    """
    return await data.compact_records(ctx, job, score, store.count_moved)


def score(payload: bytes) -> Quality:
    """The quality of a stored drawing."""
    return quality.score(strokes.decode(payload))


async def _take(ctx: Context, workspace: str, given: Given) -> list[Outcome]:
    admitted = await _admit(ctx, workspace, given)
    rows = [row for row in admitted if isinstance(row, Row)]
    there = iter(await data.append(ctx, workspace, rows) if rows else ())
    outcomes = []
    for row, (drawing, _) in zip(admitted, given, strict=True):
        if not isinstance(row, Row):
            outcomes.append(intake.refused(drawing.id, row))
        elif (found := next(there)).duplicate:
            outcomes.append(await _outcome(ctx, workspace, row, found))
        else:
            outcomes.append(intake.stored(row, found))
    return outcomes


async def _outcome(ctx: Context, workspace: str, row: Row, there: Stored) -> Outcome:
    try:
        return await _stored(ctx, workspace, row, there)
    except VolanoError as error:
        return intake.refused(row.key, error)


async def _stored(ctx: Context, workspace: str, row: Row, there: Stored) -> Outcome:
    """What became of the row. Raises: DrawingIdReused (for other strokes or another shape)."""
    outcome = intake.stored(row, there)
    if there.duplicate and await data.label_of(ctx, workspace, row.key) != head_of(row).label:
        raise DrawingIdReused(id=row.key)
    return outcome


async def _admit(ctx: Context, workspace: str, given: Given) -> list[Row | VolanoError]:
    """Each drawing as a row, or why it is refused."""
    names = {drawing.shape for drawing, _ in given}
    known = await ctx.part(KnownShapes).among(ctx, workspace, names)
    asked_for = given if known == names else [one for one in given if one[0].shape in known]
    rows = iter(await ctx.part(Desk).rows(asked_for) if asked_for else ())
    return [
        next(rows) if drawing.shape in known else UnknownShape(shape=drawing.shape)
        for drawing, _ in given
    ]
