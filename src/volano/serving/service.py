"""The verbs of endpoints: put a version on one, roll back, say what is logged, show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import msgspec
import sqlalchemy as sa
import structlog

from volano.core.compute import WorkerPool
from volano.core.db import Tx
from volano.core.segments.inbox import Inbox
from volano.registry import service as registry
from volano.schemas import serving as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, utc_now
from volano.schemas.errors import Missing
from volano.serving import following, store
from volano.serving.log import STREAM, PredictionLog
from volano.serving.predicting import InferenceExecutor
from volano.serving.routing import ActiveVersion, Address, LoadedVersion, Routing
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.blobs import Blobs
    from volano.core.context import Context
    from volano.core.db import Database
    from volano.core.metrics import Metrics
    from volano.core.segments.parquet import Segments
    from volano.core.settings import Settings


async def activate(
    ctx: Context, who: Who, name: str, version: str, *, reason: str = "activated"
) -> schemas.Endpoint:
    """Put a version on the endpoint's traffic (the endpoint is made if new).

    Load, warm and check it here first: if that fails, what answers now goes on. A version that
    answers already is left as it is.

    Raises: Missing (no such version), GoldenMismatch, ArtefactRefused.
    """
    there = await registry.version(ctx, who, version)
    loaded = await following.loaded(ctx, who.workspace, version)
    async with ctx.db.begin(who.workspace) as tx:
        row = await store.put(tx, {"name": name, "model": there.model, "version": version})
        if row is not None:
            await _add_rollout(ctx, tx, who, row, loaded, reason, row.sequence - 1 or None)
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
        loaded = await following.loaded(ctx, who.workspace, there.id)
        async with ctx.db.begin(who.workspace) as tx:
            await store.lock(tx, name)
            target = await _rollback_target(tx, name, leaves)
            if target is not None and target.version == there.id:
                row = await store.put(tx, {"name": name, "model": there.model, "version": there.id})
                assert row is not None, "it does not answer already: `leaves` does"
                reason = f"rolled back from {leaves}"
                await _add_rollout(ctx, tx, who, row, loaded, reason, target.returns_to)
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
    row: sa.Row[Any],
    loaded: LoadedVersion,
    reason: str,
    returns_to: int | None,
) -> None:
    """Keep what answers from now on, and tell every process once that is committed."""
    await store.add_rollout(
        tx,
        {
            "endpoint": row.name,
            "sequence": row.sequence,
            "version": row.version,
            "at": utc_now(),
            "by": who.member,
            "reason": reason,
            "returns_to": returns_to,
        },
    )
    active = ActiveVersion(row.change, loaded, following.policy_of(row))
    address = who.workspace, row.name

    def committed() -> None:
        _changed(ctx, address, active)
        facts = {"workspace": who.workspace, "endpoint": row.name, "version": row.version}
        structlog.get_logger().info("endpoint.activated", **facts)

    tx.after_commit(committed)


async def change(
    ctx: Context, who: Who, name: str, wanted: schemas.EndpointChange
) -> schemas.Endpoint:
    """Say what an endpoint keeps of its predictions; it holds here at once.

    Raises: Missing.
    """
    async with ctx.db.begin(who.workspace) as tx:
        row = await store.lock(tx, name)
        if row is None:
            raise Missing(noun="endpoint", id=name)
        given = msgspec.structs.asdict(wanted)
        news = {field: value for field, value in given.items() if value is not None}
        policy = msgspec.structs.replace(following.policy_of(row), **news)
        row = await store.set_policy(tx, name, msgspec.to_builtins(policy))
        address = who.workspace, name
        if (there := ctx.part(State).routing.active.get(address)) is not None:
            active = ActiveVersion(row.change, there.loaded, policy)
            if there.loaded.version == row.version:
                tx.after_commit(lambda: _changed(ctx, address, active))
    return await endpoint(ctx, who, name)


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


def open_state(
    db: Database, blobs: Blobs, segments: Segments, metrics: Metrics, settings: Settings
) -> State:
    """Return the state of a process in which nothing answers yet."""
    inbox = Inbox(db, STREAM, None, group=settings.inbox_group, queue=settings.inbox_queue)
    decoders = WorkerPool("volano.serving.adapters.decoding:call")
    return State(
        routing=Routing(settings.serving_loaded),
        executor=InferenceExecutor(metrics, deadline_s=settings.serving_deadline_ms / 1000),
        log=PredictionLog(
            inbox, blobs, decoders, metrics, interval_s=settings.serving_log_ms / 1000
        ),
        decoders=decoders,
        segments=segments,
        loading=WeakValueDictionary(),
    )


async def rollouts_of(ctx: Context, who: Who, version: str) -> list[tuple[str, schemas.Rollout]]:
    """List where (endpoint) and when a version answered, newest first."""
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.rollouts_of(tx, version)
    return [(r.endpoint, msgspec.convert(r, schemas.Rollout, from_attributes=True)) for r in rows]


def _changed(ctx: Context, address: Address, active: ActiveVersion) -> None:
    ctx.part(State).routing.put(address, active)
    ctx.bus.publish(following.CHANGED, "/".join(address))


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
        **msgspec.structs.asdict(following.policy_of(row)),
    )
