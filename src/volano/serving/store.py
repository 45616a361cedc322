"""The tables of serving: endpoints and, only ever added to, what answered on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.blobs import blob_column, references
from volano.core.db import Instant, JsonValue, Tx, metadata
from volano.core.http.page import Keyset

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    # The number of its latest change, counted over all endpoints of all workspaces.
    sa.Column("change", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("policy", JsonValue, nullable=False, server_default="{}"),
    sa.Index("endpoints_change", "change"),
)

changes = sa.Table(  # one row: the number of the latest change of any endpoint
    "endpoint_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
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

inputs = sa.Table(  # of logged predictions, where they are too large for a row
    "prediction_inputs",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("prediction", sa.String(36), primary_key=True),
    *blob_column("blob"),
)

feedback = sa.Table(  # what turned out to be true; rows are only ever added
    "feedback",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("prediction", sa.String(36), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("truth", JsonValue, nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
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


async def latest_change(tx: Tx) -> int:
    """Return the number of the latest change of any endpoint."""
    return int(await tx.scalar(tx.select(changes.c.number)) or 0)


async def changed_since(tx: Tx, number: int) -> Sequence[sa.Row[Any]]:
    """Return the endpoints that changed after the change of that number."""
    query = tx.select(endpoints).where(endpoints.c.change > number)
    return await tx.all(query.order_by(endpoints.c.change))


async def _next_change(tx: Tx) -> int:
    """Return the number of a change that this transaction makes.

    The row stays locked until it ends: numbers become visible in their order, so that whoever has
    seen one has seen all before it.
    """
    await tx.run(tx.update(changes).values(number=changes.c.number + 1))
    return await latest_change(tx)


async def put(tx: Tx, row: dict[str, Any]) -> sa.Row[Any] | None:
    """Put a version on an endpoint's traffic (made if new) and return its row.

    Return None, and change nothing, if the version answers there already.
    """
    there = await lock(tx, row["name"])
    if there is not None and there.version == row["version"]:
        return None
    row = row | {"change": await _next_change(tx)}
    new = tx.insert(endpoints)
    change = {
        "model": new.excluded.model,
        "version": new.excluded.version,
        "sequence": endpoints.c.sequence + 1,
        "change": new.excluded.change,
    }
    new = new.on_conflict_do_update(
        index_elements=["workspace", "name"],
        set_=change,
        where=endpoints.c.version != new.excluded.version,
    )
    if not await tx.run(new, [row | {"sequence": 1}]):
        return None
    return await endpoint(tx, row["name"])


async def set_policy(tx: Tx, name: str, policy: dict[str, Any]) -> sa.Row[Any]:
    """Set what an endpoint that is there keeps of its predictions, and return its row."""
    change = tx.update(endpoints).where(endpoints.c.name == name)
    await tx.run(change.values(policy=policy, change=await _next_change(tx)))
    row = await endpoint(tx, name)
    assert row is not None
    return row


async def add_inputs(tx: Tx, blobs: dict[str, str]) -> None:
    """Keep in which blob the input of each of these predictions is."""
    await references.add(tx, *blobs.values())
    rows = [{"prediction": id, "blob": blob} for id, blob in blobs.items()]
    await tx.run(tx.insert(inputs), rows)


async def add_feedback(tx: Tx, row: dict[str, Any]) -> None:
    """Keep what turned out to be true of a prediction."""
    await tx.run(tx.insert(feedback), [row])


async def feedback_of(tx: Tx, prediction: str) -> Sequence[sa.Row[Any]]:
    """Return what turned out to be true of a prediction, oldest first."""
    query = tx.select(feedback).where(feedback.c.prediction == prediction)
    return await tx.all(query.order_by(feedback.c.id))


async def add_rollout(tx: Tx, row: dict[str, Any]) -> None:
    """Keep what answers from now on."""
    await tx.run(tx.insert(rollouts), [row])


async def lock(tx: Tx, name: str) -> sa.Row[Any] | None:
    """Return one endpoint's row, and let nobody else change it until this transaction ends."""
    query = tx.select(endpoints).where(endpoints.c.name == name)
    return await tx.one(query.with_for_update())


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
