"""The tables of the registry: runs, the points of their metrics, versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from volano.core.blobs import blob_column, references
from volano.core.db import Instant, JsonValue, Tx, metadata
from volano.core.http.page import Keyset
from volano.core.jobs.tables import jobs
from volano.schemas.registry import File, RunState

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("recipe", sa.String(100), nullable=False),
    sa.Column("snapshot", sa.String(64), nullable=False),
    sa.Column("params", JsonValue, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("job", sa.String(64), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("progress", JsonValue, nullable=False),
    sa.Column("metrics", JsonValue, nullable=False),
    sa.Column("warnings", JsonValue, nullable=False, server_default="[]"),
    sa.Column("failure", JsonValue),
    sa.Column("output", sa.LargeBinary),  # what it has printed lately; none once it is over
    *blob_column("log", nullable=True),
    sa.Column("version", sa.String(64)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Index("runs_snapshot", "workspace", "snapshot"),
    sa.Index(
        "runs_open",
        "state",
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    ),
)

points = sa.Table(  # what a run logged, some seconds of it a row
    "run_points",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("run", sa.String(64), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("points", sa.LargeBinary, nullable=False),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("run", sa.String(64), nullable=False),
    sa.Column("snapshot", sa.String(64), nullable=False),
    sa.Column("source", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(80), nullable=False),
    sa.Column("params", JsonValue, nullable=False),
    sa.Column("metrics", JsonValue, nullable=False),
    sa.Column("warnings", JsonValue, nullable=False, server_default="[]"),
    sa.Column("environment", JsonValue, nullable=False),
    sa.Column("artefact", JsonValue, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.UniqueConstraint("workspace", "model", "number", name="versions_number"),
    sa.Index("versions_snapshot", "workspace", "snapshot"),
)

version_files = sa.Table(
    "version_files",
    metadata,
    sa.Column("workspace", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    *blob_column("blob"),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

RUNS = Keyset((runs.c.id,), descending=True)
VERSIONS = Keyset((versions.c.id,), descending=True)
"""Newest first: ids sort by time."""

OPEN: tuple[RunState, ...] = ("queued", "running")


async def add_run(tx: Tx, row: dict[str, Any]) -> None:
    """Keep a new run."""
    await tx.run(tx.insert(runs), [row])


async def run(tx: Tx, id: str) -> sa.Row[Any] | None:
    """Return one run's row."""
    return await tx.one(tx.select(runs).where(runs.c.id == id))


async def run_page(
    tx: Tx, *, state: str | None, model: str | None, after: str, limit: int
) -> Sequence[sa.Row[Any]]:
    """Return runs, newest first (their ids sort by time)."""
    query = tx.select(runs)
    if state is not None:
        query = query.where(runs.c.state == state)
    if model is not None:
        query = query.where(runs.c.model == model)
    return await tx.all(RUNS.slice(query, after, limit))


async def update_run(
    tx: Tx, id: str, values: dict[str, Any], *, attempt: int | None = None
) -> bool:
    """Change a run that is not over, and still at this attempt if given; return whether it was."""
    change = tx.update(runs).where(runs.c.id == id, runs.c.state.in_(OPEN))
    if attempt is not None:
        change = change.where(runs.c.attempt == attempt)
    return await tx.run(change.values(**values)) == 1


async def begin_attempt(tx: Tx, id: str, attempt: int, values: dict[str, Any]) -> bool:
    """Change a run that is not over and at no later attempt; return whether it was."""
    change = tx.update(runs).where(runs.c.id == id, runs.c.state.in_(OPEN))
    return await tx.run(change.where(runs.c.attempt < attempt).values(**values)) == 1


async def open_runs(tx: Tx) -> Sequence[sa.Row[Any]]:
    """Return the runs that are not over, each with the state of its job (None: deleted)."""
    same = jobs.c.workspace == runs.c.workspace, jobs.c.id == runs.c.job
    job_state = sa.select(jobs.c.state).where(*same).scalar_subquery().label("job_state")
    columns = (runs.c.workspace, runs.c.id, runs.c.job, job_state)
    return await tx.all(tx.select(*columns).where(runs.c.state.in_(OPEN)))


async def run_states(tx: Tx) -> dict[str, int]:
    """Count the runs in each state."""
    query = tx.select(runs.c.state, sa.func.count().label("n")).group_by(runs.c.state)
    return {row.state: row.n for row in await tx.all(query)}


async def runs_on(tx: Tx, snapshot: str) -> Sequence[sa.Row[Any]]:
    """Return the runs on a snapshot, newest first."""
    query = tx.select(runs).where(runs.c.snapshot == snapshot)
    return await tx.all(query.order_by(runs.c.id.desc()))


async def add_points(tx: Tx, run_id: str, attempt: int, number: int, encoded: bytes) -> None:
    """Keep some points of an attempt; `number` goes up by one."""
    row = {"run": run_id, "attempt": attempt, "number": number, "points": encoded}
    await tx.run(tx.upsert(points, keys=["workspace", "run", "attempt", "number"]), [row])


async def points_of(tx: Tx, run_id: str, attempt: int) -> list[bytes]:
    """Return the points of an attempt, in the order they were logged."""
    query = tx.select(points.c.points).where(points.c.run == run_id, points.c.attempt == attempt)
    return [row.points for row in await tx.all(query.order_by(points.c.number))]


async def add_version(tx: Tx, row: dict[str, Any], files: Sequence[File]) -> None:
    """Keep a version under the next number of its model, with its files."""
    highest = tx.select(sa.func.max(versions.c.number)).where(versions.c.model == row["model"])
    new = tx.upsert(versions, keys=["workspace", "model", "number"])
    # Whoever wants a number that another transaction took waits for it here, then goes on.
    while not await tx.run(new.values(row | {"number": int(await tx.scalar(highest) or 0) + 1})):
        pass
    await references.add(tx, *(file.blob for file in files))
    rows = [
        {"version": row["id"], "name": file.name, "blob": file.blob, "bytes": file.bytes}
        for file in files
    ]
    if rows:
        await tx.run(tx.insert(version_files), rows)


async def version(tx: Tx, id: str) -> sa.Row[Any] | None:
    """Return one version's row."""
    return await tx.one(tx.select(versions).where(versions.c.id == id))


async def version_page(
    tx: Tx, *, model: str | None, after: str, limit: int
) -> Sequence[sa.Row[Any]]:
    """Return versions, newest first."""
    query = tx.select(versions)
    if model is not None:
        query = query.where(versions.c.model == model)
    return await tx.all(VERSIONS.slice(query, after, limit))


async def files_of(tx: Tx, ids: Sequence[str]) -> dict[str, list[sa.Row[Any]]]:
    """Return the rows of the files of each of these versions, by name."""
    query = tx.select(version_files).where(version_files.c.version.in_(ids))
    found: dict[str, list[sa.Row[Any]]] = {id: [] for id in ids}
    for row in await tx.all(query.order_by(version_files.c.name)):
        found[row.version].append(row)
    return found
