"""The verbs of serving: put a version on an endpoint, roll back, predict, show what was said."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.compute as pc
import sqlalchemy as sa
import structlog

from volano.core.db import EVERYWHERE, Tx
from volano.core.segments import compact, inbox
from volano.core.segments.inbox import Row
from volano.registry import service as registry
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, is_uuid, utc_now, uuid7
from volano.schemas.data import Quarantined
from volano.schemas.errors import Missing, VolanoError
from volano.schemas.registry import DrawingSpec
from volano.serving import drawings, log, store
from volano.serving.loading import load
from volano.serving.log import Answer
from volano.serving.runtime import ActiveVersion, Address, LoadedVersion
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.jobs import Job

COMPACT = "predictions.compact"
CHANGED = "endpoint.changed"
"""Channel of the doorbell; the text is the workspace and the name."""

_SEGMENTS_SEARCHED = 20


async def admit(ctx: Context, who: Who, name: str, *, deadline_ms: int | None = None) -> None:
    """Let a request for predictions in, before its body is read.

    Raises: Missing (no such endpoint), NothingActive, Overloaded (it would come too late).
    """
    loaded = await _answering(ctx, who, name)
    ctx.part(State).executor.admit(loaded, _deadline_s(ctx, deadline_ms))


async def predict(
    ctx: Context,
    who: Who,
    name: str,
    inputs: Sequence[schemas.DrawingInput],
    *,
    deadline_ms: int | None = None,
) -> schemas.PredictResponse:
    """Let the endpoint's version answer for each input; warm, it asks no database.

    Raises: Missing, NothingActive, Overloaded, Invalid (an input that cannot be a drawing).
    """
    state = ctx.part(State)
    loaded = await _answering(ctx, who, name)
    given = [drawings.read(one, ctx.settings.drawing_max_points) for one in inputs]
    takes = loaded.told.signature.input
    assert isinstance(takes, DrawingSpec), "nothing else is loaded"
    fed = drawings.graph_inputs(given, takes)
    scores = await state.executor.run(loaded, fed, _deadline_s(ctx, deadline_ms))
    made = [_prediction(loaded.told.signature.classes, row) for row in scores.tolist()]
    now = utc_now()
    for prediction, drawing in zip(made, given, strict=True):
        state.log.add(who.workspace, Answer(name, loaded.version, now, prediction, drawing))
    return schemas.PredictResponse(endpoint=name, version=loaded.version, predictions=made)


def _prediction(classes: Sequence[str], scores: list[float]) -> schemas.Prediction:
    best = max(range(len(scores)), key=scores.__getitem__)
    return schemas.Prediction(
        id=str(uuid7()),
        label=classes[best],
        confidence=scores[best],
        scores=dict(zip(classes, scores, strict=True)),
    )


def _deadline_s(ctx: Context, asked_ms: int | None) -> float:
    return (ctx.settings.serving_deadline_ms if asked_ms is None else asked_ms) / 1000


async def _answering(ctx: Context, who: Who, name: str) -> LoadedVersion:
    """Return what answers on the endpoint, loaded where this process has not (or no longer).

    Raises: Missing, NothingActive.
    """
    routing = ctx.part(State).routing
    active = routing.find((who.workspace, name))
    if active is None:
        async with ctx.db.read(who.workspace) as tx:
            row = await _row(tx, name)
        await _follow(ctx, row)
        active = routing.find((who.workspace, name))
    if active is None:
        raise schemas.NothingActive(endpoint=name)
    return active.loaded


async def activate(
    ctx: Context, who: Who, name: str, version: str, *, reason: str = "activated"
) -> schemas.Endpoint:
    """Put a version on the endpoint's traffic (the endpoint is made if new).

    Load, warm and check it here first: if that fails, what answers now goes on. A version that
    answers already is left as it is.

    Raises: Missing (no such version), GoldenMismatch, ArtefactRefused.
    """
    there = await registry.version(ctx, who, version)
    loaded = await _load(ctx, who.workspace, version)
    async with ctx.db.begin(who.workspace) as tx:
        sequence = await store.put(tx, {"name": name, "model": there.model, "version": version})
        if sequence is not None:
            before = sequence - 1 or None
            await _add_rollout(ctx, tx, who, name, ActiveVersion(sequence, loaded), reason, before)
    return await endpoint(ctx, who, name)


async def roll_back(ctx: Context, who: Who, name: str, leaves: str) -> schemas.Endpoint:
    """Put the version back on the traffic that answered before the version `leaves`.

    The history is a stack: the next rollback goes on to the version before that. Where this very
    rollback was the last change, nothing happens again.

    Raises: Missing (no such endpoint), NotAnswering (another version is active), NoEarlierVersion,
    GoldenMismatch, ArtefactRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        target = await _rollback_target(tx, name, leaves)
    if target is not None:
        there = await registry.version(ctx, who, target.version)
        loaded = await _load(ctx, who.workspace, there.id)
        async with ctx.db.begin(who.workspace) as tx:
            await store.lock(tx, name)
            target = await _rollback_target(tx, name, leaves)
            if target is not None and target.version == there.id:
                row = {"name": name, "model": there.model, "version": there.id}
                sequence = await store.put(tx, row)
                assert sequence is not None, "it does not answer already: `leaves` does"
                active, reason = ActiveVersion(sequence, loaded), f"rolled back from {leaves}"
                await _add_rollout(ctx, tx, who, name, active, reason, target.returns_to)
    return await endpoint(ctx, who, name)


async def _rollback_target(tx: Tx, name: str, leaves: str) -> sa.Row[Any] | None:
    """Return the rollout that a rollback from `leaves` goes back to; None if that was done.

    Raises: Missing, NotAnswering, NoEarlierVersion.
    """
    row = await _row(tx, name)
    newest = await store.rollout(tx, name, row.sequence)
    assert newest is not None
    if row.version == leaves:
        if newest.returns_to is None:
            raise schemas.NoEarlierVersion(endpoint=name)
        return await store.rollout(tx, name, newest.returns_to)
    before = await store.rollout(tx, name, row.sequence - 1)
    was_activated = newest.returns_to == row.sequence - 1
    if before is None or before.version != leaves or was_activated:
        raise schemas.NotAnswering(endpoint=name, version=leaves, active=row.version)
    return None


async def _add_rollout(
    ctx: Context,
    tx: Tx,
    who: Who,
    name: str,
    active: ActiveVersion,
    reason: str,
    returns_to: int | None,
) -> None:
    """Keep what answers from now on, and tell every process once that is committed."""
    version, address = active.loaded.version, (who.workspace, name)
    await store.add_rollout(
        tx,
        {
            "endpoint": name,
            "sequence": active.sequence,
            "version": version,
            "at": utc_now(),
            "by": who.member,
            "reason": reason,
            "returns_to": returns_to,
        },
    )
    tx.after_commit(lambda: _changed(ctx, address, active))


async def endpoint(ctx: Context, who: Who, name: str) -> schemas.Endpoint:
    """Return one endpoint with what answered on it, newest first.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        row = await _row(tx, name)
        history = await store.history(tx, name)
    rollouts = [msgspec.convert(r, schemas.Rollout, from_attributes=True) for r in history]
    version = await registry.version(ctx, who, row.version)
    return msgspec.structs.replace(_endpoint(row, rollouts), warnings=version.warnings)


async def endpoints(ctx: Context, who: Who, *, after: str, limit: int) -> Page[schemas.Endpoint]:
    """List endpoints by name, without their history.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.endpoint_page(tx, after=after, limit=limit)
    return store.BY_NAME.page(rows, limit, lambda row: _endpoint(row, []))


async def rollouts_of(ctx: Context, who: Who, version: str) -> list[tuple[str, schemas.Rollout]]:
    """List where (endpoint) and when a version answered, newest first."""
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.rollouts_of(tx, version)
    return [(r.endpoint, msgspec.convert(r, schemas.Rollout, from_attributes=True)) for r in rows]


async def load_endpoints(ctx: Context) -> None:
    """Load what answers on endpoints, at the start of a process and while there is room."""
    async with ctx.db.read(EVERYWHERE) as tx:
        rows = await store.some_endpoints(tx, ctx.part(State).routing.limit)
    await _follow_each(ctx, rows)


async def follow_changes(ctx: Context, rung: str = "") -> None:
    """Load what was put elsewhere on the endpoints that this process answers for.

    Call it on the doorbell, with its text, and every `serving_poll_s`, since a doorbell may be
    lost. An endpoint that was never asked for here is loaded when the doorbell names it, while
    there is room, else with the first request for it. One that cannot be followed does not stop
    the others, and is tried again after a pause that grows.
    """
    addresses = ctx.part(State).routing.addresses()
    if rung:
        workspace, _, name = rung.partition("/")
        addresses.add((workspace, name))
    if addresses:
        async with ctx.db.read(EVERYWHERE) as tx:
            rows = await store.endpoints_at(tx, addresses)
        await _follow_each(ctx, rows)


async def _follow_each(ctx: Context, rows: Sequence[sa.Row[Any]]) -> None:
    routing, now = ctx.part(State).routing, time.monotonic()

    async def follow(row: sa.Row[Any]) -> None:
        with suppress(VolanoError):
            await _follow(ctx, row)

    news = [row for row in rows if routing.wants((row.workspace, row.name), row.sequence, now)]
    await asyncio.gather(*(follow(row) for row in news))


async def prediction(ctx: Context, who: Who, id: str) -> schemas.LoggedPrediction:
    """Return a prediction as it was logged (some 200 ms after it was made).

    Raises: Missing, Quarantined.
    """
    id = id.lower()
    if not is_uuid(id):
        raise Missing(noun="prediction", id=id)
    async with ctx.db.read(who.workspace) as tx:
        waiting = await inbox.find(tx, log.STREAM, [id])
        places = await compact.holding(tx, log.STREAM, id)
    if id in waiting:
        if (reason := waiting[id].reason) is not None:
            raise Quarantined(noun="prediction", id=id, reason=reason)
        return log.logged(id, waiting[id].head, waiting[id].payload)
    for place in places:
        row = await ctx.part(State).segments.lookup(who.workspace, place.blob, place.size, key=id)
        if row is not None:
            return log.logged(id, row["head"], row["input"])
    raise Missing(noun="prediction", id=id)


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


async def _follow(ctx: Context, row: sa.Row[Any]) -> None:
    """Let the version of the row answer here, unless that failed a moment ago.

    Raises: NothingActive (it did), Missing, GoldenMismatch, ArtefactRefused, Unavailable.
    """
    routing, address = ctx.part(State).routing, (row.workspace, row.name)
    if not routing.may_try(address, row.sequence, time.monotonic()):
        raise schemas.NothingActive(endpoint=row.name)
    try:
        loaded = await _load(ctx, row.workspace, row.version)
    except VolanoError as error:
        if routing.failed(address, row.sequence, time.monotonic()):
            facts = {"workspace": row.workspace, "endpoint": row.name, "version": row.version}
            structlog.get_logger().warning("endpoint.not_followed", code=error.code, **facts)
        raise
    routing.put(address, ActiveVersion(row.sequence, loaded))


async def _load(ctx: Context, workspace: str, version: str) -> LoadedVersion:
    """Return the version, from memory if it is there already.

    Raises: Missing, GoldenMismatch, ArtefactRefused.
    """
    state = ctx.part(State)
    if (there := state.routing.loaded(workspace, version)) is not None:
        return there
    lock = state.loading.setdefault((workspace, version), asyncio.Lock())
    async with lock:
        if (there := state.routing.loaded(workspace, version)) is not None:
            return there  # somebody else has loaded it meanwhile
        told, graph = await registry.servable(ctx, workspace, version)
        return await asyncio.to_thread(load, version, graph, told)


def _changed(ctx: Context, address: Address, active: ActiveVersion) -> None:
    ctx.part(State).routing.put(address, active)
    ctx.bus.publish(CHANGED, "/".join(address))
    workspace, name = address
    facts = {"workspace": workspace, "endpoint": name, "version": active.loaded.version}
    structlog.get_logger().info("endpoint.activated", **facts)


async def _row(tx: Tx, name: str) -> sa.Row[Any]:
    row = await store.endpoint(tx, name)
    if row is None:
        raise Missing(noun="endpoint", id=name)
    return row


def _endpoint(row: sa.Row[Any], history: list[schemas.Rollout]) -> schemas.Endpoint:
    return schemas.Endpoint(
        name=row.name,
        model=row.model,
        version=row.version,
        sequence=row.sequence,
        history=history,
    )
