"""Following what answers on endpoints: versions are loaded here, whichever process changed them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
import structlog

from volano.core.db import EVERYWHERE
from volano.registry import service as registry
from volano.schemas import serving as schemas
from volano.schemas.errors import Missing, VolanoError
from volano.serving import store
from volano.serving.loading import load
from volano.serving.routing import ActiveVersion, Address, LoadedVersion
from volano.serving.state import State

if TYPE_CHECKING:
    from volano.core.context import Context

CHANGED = "endpoint.changed"
"""Channel of the doorbell; the text is the workspace and the name."""


async def bring_in(ctx: Context, address: Address) -> ActiveVersion:
    """Load what answers at an address where nothing is loaded yet.

    Raises: Missing (no such endpoint), NothingActive.
    """
    workspace, name = address
    async with ctx.db.read(workspace) as tx:
        row = await store.endpoint(tx, name)
    if row is None:
        raise Missing(noun="endpoint", id=name)
    await _follow(ctx, row)
    active = ctx.part(State).routing.active.get(address)
    if active is None:
        raise schemas.NothingActive(endpoint=name)
    return active


async def load_endpoints(ctx: Context) -> None:
    """Load what answers on endpoints, at the start of a process and while there is room."""
    routing = ctx.part(State).routing
    async with ctx.db.read(EVERYWHERE) as tx:
        routing.followed = await store.latest_change(tx)
        rows = await store.some_endpoints(tx, routing.limit)
    await _follow_each(ctx, rows)


async def follow_changes(ctx: Context, rung: str = "") -> None:
    """Load what was put elsewhere on the endpoints that this process answers for.

    Call it on the doorbell, with its text, and every `serving_poll_s`, since a doorbell may be
    lost. It reads what has changed since the last call, and no endpoint beside. One that was never
    asked for here is loaded when the doorbell names it, while there is room, else with the first
    request for it. One that cannot be followed does not stop the others, and is tried again after
    a pause that grows.
    """
    routing = ctx.part(State).routing
    also = routing.due(time.monotonic())
    if rung:
        workspace, _, name = rung.partition("/")
        also.add((workspace, name))
    async with ctx.db.read(EVERYWHERE) as tx:
        changed = await store.changed_since(tx, routing.followed)
        rows = list(await store.endpoints_at(tx, also)) if also else []
    here = routing.addresses()
    rows += [row for row in changed if (row.workspace, row.name) in here - also]
    routing.followed = max([routing.followed, *(row.change for row in changed)])
    await _follow_each(ctx, rows)


async def _follow_each(ctx: Context, rows: Sequence[sa.Row[Any]]) -> None:
    routing, now = ctx.part(State).routing, time.monotonic()

    async def follow(row: sa.Row[Any]) -> None:
        with suppress(VolanoError):
            await _follow(ctx, row)

    news = [row for row in rows if routing.wants((row.workspace, row.name), row.change, now)]
    await asyncio.gather(*(follow(row) for row in news))


async def _follow(ctx: Context, row: sa.Row[Any]) -> None:
    """Let the version of the row answer here, unless that failed a moment ago.

    Raises: NothingActive (it did), Missing, GoldenMismatch, ArtefactRefused, Unavailable.
    """
    routing, address = ctx.part(State).routing, (row.workspace, row.name)
    if not routing.may_try(address, row.change, time.monotonic()):
        raise schemas.NothingActive(endpoint=row.name)
    try:
        version = await loaded(ctx, row.workspace, row.version)
    except VolanoError as error:
        if routing.failed(address, row.change, time.monotonic()):
            facts = {"workspace": row.workspace, "endpoint": row.name, "version": row.version}
            structlog.get_logger().warning("endpoint.not_followed", code=error.code, **facts)
        raise
    routing.put(address, ActiveVersion(row.change, version, policy_of(row)))


async def loaded(ctx: Context, workspace: str, version: str) -> LoadedVersion:
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
        return await load(ctx, version, graph, told)


def policy_of(row: sa.Row[Any]) -> schemas.LogPolicy:
    """Return what an endpoint keeps of its predictions."""
    return msgspec.convert(row.policy, schemas.LogPolicy)
