"""The tables of serving: endpoints and, only ever added to, what answered on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.db import Instant, Tx, metadata
from volano.core.http.page import Keyset

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
)

rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(100), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(200), nullable=False),
    # The rollout that a rollback goes back to, so that the history is a stack.
    sa.Column("returns_to", sa.Integer),
    sa.Index("rollouts_version", "workspace", "version"),
)

answers = sa.Table(  # how many predictions of a version have left the inbox
    "answers",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("predictions", sa.BigInteger, nullable=False),
)

BY_NAME = Keyset((endpoints.c.name,))


async def endpoint(tx: Tx, name: str) -> sa.Row[Any] | None:
    """Return one endpoint's row."""
    return await tx.one(tx.select(endpoints).where(endpoints.c.name == name))


async def endpoint_page(tx: Tx, *, after: str, limit: int) -> Sequence[sa.Row[Any]]:
    """Return endpoints by name."""
    return await tx.all(BY_NAME.slice(tx.select(endpoints), after, limit))


async def some_endpoints(tx: Tx, limit: int) -> Sequence[sa.Row[Any]]:
    """Return endpoints of every workspace that the transaction sees, at most `limit`."""
    return await tx.all(tx.select(endpoints).limit(limit))


async def endpoints_at(tx: Tx, addresses: Collection[tuple[str, str]]) -> Sequence[sa.Row[Any]]:
    """Return the endpoints at these addresses, each a workspace and a name."""
    key = sa.tuple_(endpoints.c.workspace, endpoints.c.name)
    return await tx.all(tx.select(endpoints).where(key.in_(sorted(addresses))))


async def put(tx: Tx, row: dict[str, Any]) -> int | None:
    """Put a version on an endpoint's traffic (made if new) and return its new sequence number.

    Return None, and change nothing, if the version answers there already.
    """
    new = tx.insert(endpoints)
    change = {
        "model": new.excluded.model,
        "version": new.excluded.version,
        "sequence": endpoints.c.sequence + 1,
    }
    new = new.on_conflict_do_update(
        index_elements=["workspace", "name"],
        set_=change,
        where=endpoints.c.version != new.excluded.version,
    )
    if not await tx.run(new, [row | {"sequence": 1}]):
        return None
    found = await endpoint(tx, row["name"])
    assert found is not None
    return int(found.sequence)


async def add_rollout(tx: Tx, row: dict[str, Any]) -> None:
    """Keep what answers from now on."""
    await tx.run(tx.insert(rollouts), [row])


async def lock(tx: Tx, name: str) -> None:
    """Let nobody else change what answers on an endpoint until this transaction ends."""
    query = tx.select(endpoints).where(endpoints.c.name == name)
    await tx.one(query.with_for_update())


async def rollout(tx: Tx, name: str, sequence: int) -> sa.Row[Any] | None:
    """Return what answered on an endpoint from this change of its traffic on."""
    query = tx.select(rollouts).where(rollouts.c.endpoint == name)
    return await tx.one(query.where(rollouts.c.sequence == sequence))


async def history(tx: Tx, name: str) -> Sequence[sa.Row[Any]]:
    """Return what answered on an endpoint, newest first."""
    query = tx.select(rollouts).where(rollouts.c.endpoint == name)
    return await tx.all(query.order_by(rollouts.c.sequence.desc()).limit(200))


async def rollouts_of(tx: Tx, version: str) -> Sequence[sa.Row[Any]]:
    """Return when and where a version answered, newest first."""
    query = tx.select(rollouts).where(rollouts.c.version == version)
    return await tx.all(query.order_by(rollouts.c.at.desc()).limit(200))


async def count_answers(tx: Tx, counts: dict[str, int]) -> None:
    """Add to the counters of some versions."""
    new = tx.insert(answers)
    new = new.on_conflict_do_update(
        index_elements=["workspace", "version"],
        set_={"predictions": answers.c.predictions + new.excluded.predictions},
    )
    rows = [{"version": version, "predictions": n} for version, n in sorted(counts.items())]
    await tx.run(new, rows)


async def answered(tx: Tx, version: str) -> int:
    """Return how many predictions of a version have left the inbox."""
    query = tx.select(answers.c.predictions).where(answers.c.version == version)
    return int(await tx.scalar(query) or 0)
