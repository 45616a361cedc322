"""The verbs of the registry: keep runs and what they logged, register versions, compare them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from volano.core.blobs import references
from volano.core.db import EVERYWHERE, Tx
from volano.registry import compare as comparing
from volano.registry import series, store, version_file
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.common import Page, new_id, utc_now
from volano.schemas.errors import Missing

if TYPE_CHECKING:
    from volano.core.context import Context

GRAPH = "model.onnx"

_PIECE = 1 << 20
"""Bytes of a part of a file that are in memory at once."""


async def add_run(tx: Tx, run: schemas.Run, job: str) -> None:
    """Keep a run in the caller's transaction, together with the job that executes it."""
    row = msgspec.to_builtins(run, builtin_types=(type(run.created_at),))
    await store.add_run(tx, row | {"job": job})


async def run(ctx: Context, who: Who, id: str) -> schemas.Run:
    """Return one run.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        return _run(await _run_row(tx, id))


async def runs(
    ctx: Context, who: Who, *, state: str | None, model: str | None, after: str, limit: int
) -> Page[schemas.Run]:
    """List runs, newest first.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.run_page(tx, state=state, model=model, after=after, limit=limit)
    return store.RUNS.page(rows, limit, _run)


async def job_of(tx: Tx, id: str) -> tuple[schemas.Run, str]:
    """Return a run and the id of the job that executes it.

    Raises: Missing.
    """
    row = await _run_row(tx, id)
    return _run(row), row.job


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is not over, with the state of its job (None: the job was deleted)."""

    workspace: str
    id: str
    job: str
    job_state: str | None


async def open_runs(ctx: Context) -> list[OpenRun]:
    """Return every run that is not over, of all workspaces, by one query."""
    async with ctx.db.read(EVERYWHERE) as tx:
        return [OpenRun(**row._mapping) for row in await store.open_runs(tx)]


async def begin_attempt(ctx: Context, workspace: str, id: str, attempt: int) -> schemas.Run | None:
    """Mark a run as running and return it.

    Return None where it is over or at a later attempt: a message came twice.
    """
    values = {
        "state": "running",
        "attempt": attempt,
        "started_at": utc_now(),
        "metrics": {},
        "progress": {},
        "warnings": [],
        "output": None,
    }
    async with ctx.db.begin(workspace) as tx:
        if not await store.begin_attempt(tx, id, attempt, values):
            return None
        return _run(await _run_row(tx, id))


async def record(ctx: Context, workspace: str, run: schemas.Run, told: series.Told) -> None:
    """Keep what a running attempt has told since the last call."""
    async with ctx.db.begin(workspace) as tx:
        if told.points:
            points = series.encode(told.points)
            await store.add_points(tx, run.id, run.attempt, told.number, points)
        row = await _run_row(tx, run.id)
        values = {
            "progress": msgspec.to_builtins(told.progress),
            "metrics": row.metrics | series.latest(told.points),
            "warnings": list(told.warnings),
            "output": told.output,
        }
        await store.update_run(tx, run.id, values, attempt=run.attempt)


async def end_run(
    tx: Tx,
    id: str,
    *,
    failure: schemas.Failure | None = None,
    metrics: dict[str, float] | None = None,
    version: str | None = None,
    log: str | None = None,
) -> bool:
    """Mark a run as over, in the caller's transaction; return False where it already was."""
    state: schemas.RunState = "finished"
    if failure is not None:
        state = "cancelled" if failure.class_ == "cancelled" else "failed"
    row = await _run_row(tx, id)
    values = {
        "state": state,
        "finished_at": utc_now(),
        "failure": None if failure is None else msgspec.to_builtins(failure),
        "metrics": row.metrics | (metrics or {}),
        "version": version,
        "log": log,
        "output": None,
    }
    if log is not None:
        await references.add(tx, log)
    return await store.update_run(tx, id, values)


async def run_series(ctx: Context, who: Who, id: str) -> list[schemas.Series]:
    """Return what the run's latest attempt logged, a series for each metric.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        row = await _run_row(tx, id)
        chunks = await store.points_of(tx, id, row.attempt)
    return series.by_metric(chunks)


async def run_log(ctx: Context, who: Who, id: str) -> bytes:
    """Return what the run printed; while it goes on, the latest of it.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        row = await _run_row(tx, id)
    return await ctx.blobs.get(who.workspace, row.log) if row.log else row.output or b""


async def register(
    tx: Tx,
    run: schemas.Run,
    told: schemas.VersionFile,
    files: Sequence[schemas.File],
    made: series.Made,
) -> str:
    """Register what a run made as the next version of its model, in the caller's transaction."""
    # The golden inputs may be pictures: they stay in the file, which a server reads to load it.
    told = msgspec.structs.replace(told, golden=[])
    row = {
        "id": new_id("ver"),
        "model": run.model,
        "run": run.id,
        "snapshot": run.snapshot,
        "source": made.source,
        "digest": comparing.digest(files),
        "params": run.params,
        "metrics": made.metrics,
        "warnings": list(made.warnings),
        "environment": made.environment,
        "artefact": msgspec.to_builtins(told),
        "created_at": utc_now(),
        "created_by": run.created_by,
    }
    await store.add_version(tx, row, files)
    return str(row["id"])


async def version(ctx: Context, who: Who, id: str) -> schemas.Version:
    """Return one version.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        return await _version(tx, id)


async def versions(
    ctx: Context, who: Who, *, model: str | None, after: str, limit: int
) -> Page[schemas.Version]:
    """List versions, newest first.

    Raises: CursorRefused.
    """
    async with ctx.db.read(who.workspace) as tx:
        rows = await store.version_page(tx, model=model, after=after, limit=limit)
        files = await store.files_of(tx, [row.id for row in rows])
    return store.VERSIONS.page(rows, limit, lambda row: _shown(row, files[row.id]))


async def compare(ctx: Context, who: Who, ids: Sequence[str]) -> schemas.Comparison:
    """Compare versions.

    Raises: Missing.
    """
    async with ctx.db.read(who.workspace) as tx:
        found = [await _version(tx, id) for id in ids]
    return comparing.side_by_side(found)


async def file_of(ctx: Context, who: Who, id: str, name: str) -> schemas.File:
    """Return what is known of one file of a version.

    Raises: Missing.
    """
    found = await version(ctx, who, id)
    for one in found.files:
        if one.name == name:
            return one
    raise Missing(noun=f"file of {id}", id=name)


async def file(ctx: Context, who: Who, id: str, name: str) -> bytes:
    """Return one file of a version, checked against its hash.

    Raises: Missing.
    """
    return await ctx.blobs.get(who.workspace, (await file_of(ctx, who, id, name)).blob)


async def stream(
    ctx: Context, who: Who, file: schemas.File, start: int, length: int
) -> AsyncGenerator[bytes]:
    """Yield bytes of a file in pieces; the whole of it is checked against its hash.

    Raises: BlobMissing before the first piece, BlobCorrupt instead of the last one.
    """
    if length == file.bytes:
        async for piece in ctx.blobs.stream(who.workspace, file.blob):
            yield piece
        return
    for at in range(start, start + length, _PIECE):
        size = min(_PIECE, start + length - at)
        yield await ctx.blobs.get_range(who.workspace, file.blob, at, size)


async def servable(ctx: Context, workspace: str, id: str) -> tuple[schemas.VersionFile, bytes]:
    """Return what a runtime needs of a version: what its `version.json` says, and its graph.

    Raises: Missing, ArtefactRefused.
    """
    async with ctx.db.read(workspace) as tx:
        found = await _version(tx, id)
    blobs = {file.name: file.blob for file in found.files}
    if missing := [name for name in (version_file.NAME, GRAPH) if name not in blobs]:
        raise schemas.ArtefactRefused(reason=f"{id} has no {missing[0]}")
    told = version_file.read(await ctx.blobs.get(workspace, blobs[version_file.NAME]))
    return told, await ctx.blobs.get(workspace, blobs[GRAPH])


async def run_states(tx: Tx) -> dict[str, int]:
    """Count the runs in each state, in every workspace that the transaction sees."""
    return await store.run_states(tx)


async def runs_on(ctx: Context, who: Who, snapshot: str) -> list[schemas.Run]:
    """Return the runs on a snapshot, newest first."""
    async with ctx.db.read(who.workspace) as tx:
        return [_run(row) for row in await store.runs_on(tx, snapshot)]


async def _run_row(tx: Tx, id: str) -> sa.Row[Any]:
    row = await store.run(tx, id)
    if row is None:
        raise Missing(noun="run", id=id)
    return row


def _run(row: sa.Row[Any]) -> schemas.Run:
    return msgspec.convert(row, schemas.Run, from_attributes=True)


async def _version(tx: Tx, id: str) -> schemas.Version:
    row = await store.version(tx, id)
    if row is None:
        raise Missing(noun="version", id=id)
    return _shown(row, (await store.files_of(tx, [id]))[id])


def _shown(row: sa.Row[Any], files: Sequence[sa.Row[Any]]) -> schemas.Version:
    told = version_file.from_row(row.artefact)
    facts = {str(column): value for column, value in row._mapping.items()} | {
        "files": [msgspec.convert(file, schemas.File, from_attributes=True) for file in files],
        "runner": told.runner,
        "signature": told.signature,
        "temperature": told.temperature,
        "parity": told.parity,
        "facts": told.facts,
    }
    return msgspec.convert(facts, schemas.Version)
