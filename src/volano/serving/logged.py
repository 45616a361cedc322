"""The verbs of what was predicted: show it, add what turned out to be true, move it to segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.compute as pc

from volano.core.db import Tx
from volano.core.segments import compact, inbox
from volano.core.segments.inbox import Row
from volano.core.segments.quarantine import reason_of
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import is_uuid, new_id, utc_now
from volano.schemas.data import Quarantined
from volano.schemas.errors import Missing
from volano.serving import log, store
from volano.serving.adapters import KINDS
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.jobs import Job

COMPACT = "predictions.compact"

_SEGMENTS_SEARCHED = 20


async def prediction(ctx: Context, who: Who, id: str) -> schemas.LoggedPrediction:
    """Return a prediction as it was logged (some 200 ms after it was made), with its feedback.

    Raises: Missing, Quarantined.
    """
    found = await _found(ctx, who, id.lower())
    payload = await _payload(ctx, who, found)
    return found.shown(id.lower(), payload, await _feedback(ctx, who, id))


async def input_of(ctx: Context, who: Who, id: str) -> tuple[str, bytes]:
    """Return what a prediction was made from: its media type and its bytes.

    Raises: Missing, Quarantined, InputNotKept.
    """
    found = await _found(ctx, who, id.lower())
    payload = await _payload(ctx, who, found)
    if not payload:
        raise schemas.InputNotKept(id=id, endpoint=found.facts.endpoint)
    return KINDS[found.facts.kind].media_type(payload), payload


async def _payload(ctx: Context, who: Who, found: log.Logged) -> bytes:
    if blob := found.facts.blob:
        return await ctx.blobs.get(who.workspace, blob)
    return found.payload


async def _found(ctx: Context, who: Who, id: str) -> log.Logged:
    if not is_uuid(id):
        raise Missing(noun="prediction", id=id)
    async with ctx.db.read(who.workspace) as tx:
        waiting = await inbox.find(tx, log.STREAM, [id])
        places = await compact.holding(tx, log.STREAM, id)
    if id in waiting:
        if (reason := waiting[id].reason) is not None:
            raise Quarantined(noun="prediction", id=id, reason=reason)
        try:
            return log.logged(waiting[id].head, waiting[id].payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # set aside in a moment
            reason = reason_of(error)
            raise Quarantined(noun="prediction", id=id, reason=reason) from None
    for place in places:
        row = await ctx.part(State).segments.lookup(who.workspace, place.blob, place.size, key=id)
        if row is not None:
            return log.logged(row["head"], row["input"])
    raise Missing(noun="prediction", id=id)


async def add_feedback(
    ctx: Context, who: Who, id: str, told: schemas.NewFeedback
) -> schemas.Feedback:
    """Keep what turned out to be true of a prediction; what was told before stays beside it.

    Raises: Missing (not logged, or not yet), Quarantined, TruthUnfit.
    """
    found = await _found(ctx, who, id.lower())
    is_label = isinstance(told.truth, str)
    if is_label != bool(found.facts.label):
        wanted = "it has classes" if found.facts.label else "it is a number"
        raise schemas.TruthUnfit(truth=told.truth, reason=wanted)
    given = schemas.Feedback(prediction=id.lower(), truth=told.truth, by=who.member, at=utc_now())
    async with ctx.db.begin(who.workspace) as tx:
        row = {"prediction": given.prediction, "id": new_id("fb"), "truth": given.truth}
        await store.add_feedback(tx, row | {"by": given.by, "at": given.at})
    return given


async def feedback(ctx: Context, who: Who, id: str) -> list[schemas.Feedback]:
    """Return what turned out to be true of a prediction, oldest first.

    Raises: Missing, Quarantined.
    """
    await _found(ctx, who, id.lower())
    return await _feedback(ctx, who, id)


async def _feedback(ctx: Context, who: Who, id: str) -> list[schemas.Feedback]:
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.feedback_of(tx, id.lower())
    return [msgspec.convert(row, schemas.Feedback, from_attributes=True) for row in rows]


async def compact_log(ctx: Context, job: Job) -> int:
    """Move logged predictions into a segment. Idempotent: what has moved is not in the inbox."""

    def plan(rows: Sequence[Row], heads: Sequence[log.LoggedFacts]) -> tuple[Any, compact.Shelve]:
        counts = Counter(row.subject for row in rows)

        async def count(tx: Tx, segment: compact.Segment) -> None:
            await store.count_answers(tx, counts)

        return log.table(rows, heads), count

    return await compact.compact(ctx, job, log.STREAM, log.read, plan)


async def latest_of(ctx: Context, who: Who, version: str, *, limit: int) -> log.Answered:
    """Find the latest predictions of a version, newest first, and how many there are."""
    async with ctx.db.read(who.workspace) as tx:
        waiting = await inbox.of_subject(tx, log.STREAM, version)
        total = await store.answered(tx, version) + len(waiting)
        places = await compact.newest(tx, log.STREAM, _SEGMENTS_SEARCHED)
    ids = sorted((row.key for row in waiting), reverse=True)
    for place in places:
        if len(ids) >= min(limit, total):
            break
        ids += (await _answered_in(ctx, who, place, version))[::-1]
    return log.Answered(ids[:limit], total)


async def _answered_in(ctx: Context, who: Who, place: compact.Segment, version: str) -> list[str]:
    """Return the ids of a version's predictions in one segment, oldest first."""
    ids: list[str] = []
    columns = ["id", "version"]
    async for batch in ctx.part(State).segments.batches(who.workspace, place.blob, columns):
        ids += batch.filter(pc.equal(batch["version"], version))["id"].to_pylist()
    return ids
