"""The verbs of training: start a run, carry it out in a process of its own, cancel it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from volano.core.compute import Exit, Handle, ProcessSpec
from volano.core.process import cores
from volano.data import service as data
from volano.harness import artefacts, events, source
from volano.registry import service as registry
from volano.registry.series import Made, scalars
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.blobs import BlobMissing
from volano.schemas.common import new_id, utc_now
from volano.schemas.errors import Invalid, Missing, TooMuch
from volano.schemas.harness import (
    ContractBroken,
    Finished,
    Limits,
    Point,
    Points,
    Reached,
    RunOrder,
)
from volano.schemas.jobs import JobMissing

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.core.jobs import Job

log = structlog.get_logger("training")

REQUESTED = "run.requested"

_GONE = {
    "cancelled": schemas.Failure(class_="cancelled", message="cancelled before it was over"),
    "dead": schemas.Failure(class_="system.worker_lost", message="given up after several workers"),
}
"""How a run ended whose job is in this state."""

_REPORT_S = 0.5  # how often what a run tells is written down


async def request(ctx: Context, who: Who, new: schemas.NewRun) -> schemas.Run:
    """Queue a training; the parameters are checked before anything is queued.

    Raises: UnknownRecipe, BadParam, Missing (no such snapshot), InvalidValues (too many seconds).
    """
    known = source.recipes()
    if new.recipe not in known:
        raise schemas.UnknownRecipe(recipe=new.recipe, known=", ".join(known))
    model = source.load(source.locate(new.recipe))(**new.params)
    snapshot = await data.frozen(ctx, who, new.snapshot)
    run = schemas.Run(
        id=new_id("run"),
        kind="training",
        state="queued",
        model=new.model or new.recipe,
        recipe=new.recipe,
        snapshot=snapshot.id,
        params=dict(model.params),
        seed=new.seed,
        seconds=min(new.seconds, ctx.settings.run_max_seconds),
        created_at=utc_now(),
        created_by=who.member,
    )
    async with ctx.db.begin(who.workspace) as tx:
        job = await ctx.jobs.send(tx, REQUESTED, {"run": run.id}, cost=run.seconds)
        await registry.add_run(tx, run, job)
    return run


async def cancel(ctx: Context, who: Who, id: str) -> schemas.Run:
    """Stop a run: at once while it is queued, at its next report while it runs.

    Raises: Missing, RunOver.
    """
    async with ctx.db.begin(who.workspace) as tx:
        run, job = await registry.job_of(tx, id)
        if run.state not in ("queued", "running"):
            raise schemas.RunOver(id=id, state=run.state)
        # The ledger's word, not the run's state: a worker may have begun it a moment ago.
        if await ctx.jobs.cancel(tx, job):
            await registry.end_run(tx, id, failure=_GONE["cancelled"])
    return await registry.run(ctx, who, id)


async def carry_out(ctx: Context, job: Job) -> None:
    """Train in a process of its own and register what came out, in the job's own transaction.

    Idempotent by the attempt: a run that is over is left alone, a lost lease commits nothing.
    """
    run = await registry.begin_attempt(ctx, job.workspace, job.payload["run"], job.attempt)
    if run is None:
        return
    log.info("run.started", run=run.id, attempt=job.attempt)
    folder = ctx.settings.home_path / "runs" / run.id / str(job.attempt)
    staged = folder.with_name(f"data-{job.attempt}")
    try:
        await asyncio.to_thread(staged.mkdir, parents=True)
        await data.stage(ctx, job.workspace, run.snapshot, staged)
        await _carry_out(ctx, job, run, folder, staged)
    except (Invalid, Missing, TooMuch) as error:
        # It would fail the same way again: the person who asked for the run can change it.
        lost = isinstance(error, BlobMissing)  # ours to keep, so not a fault of the user's data
        failure = schemas.Failure(
            class_="system.storage" if lost else "user.data", message=error.message
        )
        await _end_failed(ctx, job, run, failure)
    finally:
        await asyncio.to_thread(_remove, folder, staged)


async def settle(ctx: Context) -> int:
    """End the runs whose jobs will not be carried out any more (dead or cancelled); how many.

    Also removes from this machine what a killed worker left of runs that are over.
    """
    left = await asyncio.to_thread(_folders, ctx.settings.home_path / "runs")
    ended, still_open = 0, await registry.open_runs(ctx)
    for workspace, run, job in still_open:
        async with ctx.db.begin(workspace) as tx:
            state = await _state(ctx, tx, job)
            if state in _GONE:
                ended += await registry.end_run(tx, run, failure=_GONE[state])
    # Listed before the runs were read: the folder of a run that began since is not among them.
    names = {run for _, run, _ in still_open}
    await asyncio.to_thread(_remove, *(folder for folder in left if folder.name not in names))
    return ended


async def _state(ctx: Context, tx: Tx, job: str) -> str:
    try:
        return (await ctx.jobs.find(tx, job)).state
    except JobMissing:  # it ended weeks ago and was forgotten: one run must not stop all others
        return "dead"


async def _carry_out(ctx: Context, job: Job, run: schemas.Run, folder: Path, staged: Path) -> None:
    handle = await ctx.compute.start(_process(ctx, run, folder, staged))
    ended = await _watch(ctx, job, run, handle)
    output = await ctx.blobs.put(job.workspace, await asyncio.to_thread(_output, ended))
    if ended.finished is not None:
        await _end_finished(ctx, job, run, ended.finished, folder / "artefact", output)
    elif ended.failure is not None and not ended.failure.class_.startswith("system."):
        await _end_failed(ctx, job, run, ended.failure, output)
    else:
        # Not the user's doing: the ledger gives it to another worker, some times.
        raise schemas.RunInterrupted(id=run.id, reason=ended.failure and ended.failure.message)


def _process(ctx: Context, run: schemas.Run, folder: Path, staged: Path) -> ProcessSpec:
    settings = ctx.settings
    limits = Limits(
        memory=settings.run_max_memory,
        file=settings.run_max_artefact,
        threads=settings.run_threads or cores(),
    )
    order = RunOrder(
        source=run.recipe,
        params=run.params,
        seed=run.seed,
        seconds=run.seconds,
        data=str(staged),
        artefact=str(folder / "artefact"),
        limits=limits,
    )
    return ProcessSpec(folder=folder, order=order, grace_s=settings.jobs_beat_s / 2)


async def _watch(ctx: Context, job: Job, run: schemas.Run, handle: Handle) -> Exit:
    """Write down what the run tells until it has ended; stop it when its job is cancelled."""
    stop = asyncio.create_task(_stop_when_cancelled(job, handle))
    report = _Report(ctx, job.workspace, run)
    try:
        async for event in handle.events():
            match event:
                case Points(points=points):
                    await report.add(points)
                case Reached(progress=progress):
                    await report.reach(progress)
        return await handle.wait()
    finally:
        stop.cancel()
        handle.cancel()  # harmless once it has ended; a lost lease must not leave it running
        await handle.wait()
        await report.flush()


async def _stop_when_cancelled(job: Job, handle: Handle) -> None:
    await job.cancelling.wait()
    handle.cancel()


class _Report:
    """Gathers what a run tells and writes it down every half second."""

    def __init__(self, ctx: Context, workspace: str, run: schemas.Run) -> None:
        self.ctx, self.workspace, self.run = ctx, workspace, run
        self.points: list[Point] = []
        self.progress = schemas.Progress()
        self.number = 0
        self._written_at = 0.0

    async def add(self, points: list[Point]) -> None:
        """Take points of metrics."""
        self.points += points
        await self._flush_when_due()

    async def reach(self, progress: schemas.Progress) -> None:
        """Take how far the run is."""
        self.progress = progress
        await self._flush_when_due()

    async def _flush_when_due(self) -> None:
        if asyncio.get_running_loop().time() - self._written_at >= _REPORT_S:
            await self.flush()

    async def flush(self) -> None:
        """Write down what was gathered."""
        points, self.points = self.points, []
        self.number += 1
        await registry.record_points(
            self.ctx, self.run, self.workspace, self.number, points, self.progress
        )
        self._written_at = asyncio.get_running_loop().time()


async def _end_failed(
    ctx: Context, job: Job, run: schemas.Run, failure: schemas.Failure, output: str | None = None
) -> None:
    async with job.finish(ctx) as tx:
        await registry.end_run(tx, run.id, failure=failure, log=output)
    log.info("run.failed", run=run.id, **{"class": failure.class_})


async def _end_finished(
    ctx: Context, job: Job, run: schemas.Run, finished: Finished, folder: Path, output: str
) -> None:
    """Files first, then the one transaction that makes the version exist."""
    try:
        artefact, names = await asyncio.to_thread(_artefact, folder, ctx.settings.run_max_artefact)
    except (schemas.ArtefactRefused, ContractBroken) as error:
        failure = schemas.Failure(class_="user.contract", message=error.message)
        await _end_failed(ctx, job, run, failure, output)
        return
    files = [
        schemas.File(
            name=name,
            blob=await ctx.blobs.put_file(job.workspace, folder / name),
            bytes=(folder / name).stat().st_size,
        )
        for name in names
    ]
    figures = scalars(finished.figures)
    made = Made(source=finished.source, metrics=figures, environment=finished.environment)
    async with job.finish(ctx) as tx:
        version = await registry.register(tx, run, artefact, files, made)
        await registry.end_run(tx, run.id, metrics=figures, version=version, log=output)
    log.info("run.finished", run=run.id, version=version)


def _artefact(folder: Path, limit: int) -> tuple[schemas.Artefact, list[str]]:
    """What `version.json` says, and the names of all files.

    Looked at here again: what the run's process tells of its files may be made up by the user's
    code, and a link in the folder could name any file of this machine.

    Raises: ArtefactRefused, ContractBroken.
    """
    names = [file.name for file in artefacts.listed(folder, total_bytes=limit)]
    try:
        content = events.without_zeros((folder / "version.json").read_bytes())
        return msgspec.json.decode(content, type=schemas.Artefact), names
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise schemas.ArtefactRefused(reason=f"version.json: {error}") from None


def _output(ended: Exit) -> bytes:
    parts = []
    for path in (ended.stdout, ended.stderr):
        with suppress(FileNotFoundError):
            parts.append(path.read_bytes())
    return b"".join(parts)


def _folders(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.exists() else []


def _remove(*folders: Path) -> None:
    for folder in folders:
        # The staged data is read-only on purpose; its folders must be writable to be removed.
        with suppress(FileNotFoundError):  # two may remove it at once
            for path in (folder, *folder.rglob("*")):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
