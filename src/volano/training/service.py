"""The verbs of training: start a run, carry it out in a process of its own, cancel it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from volano.core.compute import Exit, Handle, ProcessSpec
from volano.core.jobs.ledger import RUN
from volano.core.process import cores
from volano.data import service as data
from volano.harness import artefacts, events
from volano.harness.run import NOTE_LIMIT, WARNINGS_LIMIT
from volano.registry import service as registry
from volano.registry import version_file
from volano.registry.series import Made, Told, scalars
from volano.schemas import registry as schemas
from volano.schemas.accounts import Who
from volano.schemas.blobs import BlobMissing
from volano.schemas.common import new_id, utc_now
from volano.schemas.errors import Invalid, Missing, TooMuch, Unavailable, VolanoError
from volano.schemas.harness import (
    AnyEvent,
    ContractBroken,
    Limits,
    Line,
    Point,
    Points,
    Reached,
    RunOrder,
    Warned,
)
from volano.schemas.jobs import JobMissing
from volano.training import signatures

if TYPE_CHECKING:
    from volano.core.context import Context
    from volano.core.db import Tx
    from volano.core.jobs import Job

log = structlog.get_logger("training")

REQUESTED = "run.requested"

_LOST = schemas.Failure(class_="system.worker_lost", message="given up after several workers")
_GONE = {
    "cancelled": schemas.Failure(class_="cancelled", message="cancelled before it was over"),
    "dead": _LOST,
    None: _LOST,
}
"""How a run ended whose job is in this state; None: it ended weeks ago and was deleted."""

_REPORT_S = 0.5  # how often what a run tells is written down
_OUTPUT_SHOWN = 16_384  # characters of what a run has printed that are shown while it goes on


async def request(ctx: Context, who: Who, new: schemas.NewRun) -> schemas.Run:
    """Request a training; the parameters are checked before anything is queued.

    Raises: UnknownRecipe, BadParam, Missing (no such snapshot), InvalidValues (too many seconds).
    """
    params = signatures.checked_params(new.recipe, new.params)
    snapshot = await data.frozen(ctx, who, new.snapshot)
    run = schemas.Run(
        id=new_id("run"),
        kind="training",
        state="queued",
        model=new.model or new.recipe,
        recipe=new.recipe,
        snapshot=snapshot.id,
        params=params,
        seed=new.seed,
        seconds=min(new.seconds, ctx.settings.run_max_seconds),
        created_at=utc_now(),
        created_by=who.member,
    )
    async with ctx.db.begin(who.workspace) as tx:
        job = await ctx.jobs.send(tx, REQUESTED, {"run": run.id}, queue=RUN, cost=run.seconds)
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
    output = None
    try:
        await asyncio.to_thread(staged.mkdir, parents=True)
        await data.stage(ctx, job.workspace, run.snapshot, staged)
        handle = await ctx.compute.start(_process(ctx, run, folder, staged))
        report = _Report(ctx, job.workspace, run)
        ended = await _follow(job, handle, report)
        output = await ctx.blobs.put(job.workspace, await asyncio.to_thread(_output, ended))
        if ended.finished is not None:
            made = Made(
                source=ended.finished.source,
                metrics=scalars(ended.finished.figures),
                environment=ended.finished.environment,
                warnings=report.warnings,
            )
            await _end_finished(ctx, job, run, made, folder / "artefact", output)
        elif ended.failure is not None and not ended.failure.class_.startswith("system."):
            await _end_failed(ctx, job, run, ended.failure, output)
        else:
            # Not the user's doing: the ledger gives it to another worker, some times.
            raise schemas.RunInterrupted(id=run.id, reason=ended.failure and ended.failure.message)
    except (Invalid, Missing, TooMuch) as error:
        # It would fail the same way again: the person who asked for the run can change it.
        await _end_failed(ctx, job, run, _failure(error), output)
    finally:
        await asyncio.to_thread(_remove, folder, staged)


async def settle(ctx: Context) -> int:
    """End the runs whose jobs will not be carried out any more, and return how many.

    Open a transaction only where there is something to end. Remove from this machine what a killed
    worker left of runs that are over.
    """
    left: list[Path] = []
    try:
        left = await asyncio.to_thread(_folders, ctx.settings.home_path / "runs")
    except OSError as error:  # it is shut: the runs are ended all the same
        log.warning("folders of runs not listed", reason=str(error))
    ended, still_open = 0, await registry.open_runs(ctx)
    for run in still_open:
        if run.job_state in _GONE:
            async with ctx.db.begin(run.workspace) as tx:
                # Asked again: it may have been requeued since.
                if (state := await _job_state(ctx, tx, run.job)) in _GONE:
                    ended += await registry.end_run(tx, run.id, failure=_GONE[state])
    # Listed before the runs were read: the folder of a run that began since is not among them.
    names = {run.id for run in still_open}
    await asyncio.to_thread(_remove, *(folder for folder in left if folder.name not in names))
    return ended


async def _job_state(ctx: Context, tx: Tx, job: str) -> str | None:
    try:
        return (await ctx.jobs.find(tx, job)).state
    except JobMissing:
        return None


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


async def _follow(job: Job, handle: Handle, report: _Report) -> Exit:
    """Write down what a run tells until it has ended; stop it when its job is cancelled."""

    async def stop_when_cancelled() -> None:
        await job.cancelling.wait()
        handle.cancel()

    stopping = asyncio.create_task(stop_when_cancelled())
    over = asyncio.Event()
    writing = asyncio.create_task(report.write_until(over))
    try:
        async for event in handle.events():
            report.take(event)
        return await handle.wait()
    finally:
        stopping.cancel()
        handle.cancel()  # harmless once it has ended; a lost lease must not leave it running
        await handle.wait()
        over.set()
        await writing


class _Report:
    """Gathers what a run tells and writes it down every half second."""

    def __init__(self, ctx: Context, workspace: str, run: schemas.Run) -> None:
        self.ctx, self.workspace, self.run = ctx, workspace, run
        self.warnings: list[str] = []
        self._points: list[Point] = []
        self._progress = schemas.Progress()
        self._output = ""
        self._number = 0
        self._is_news = False

    def take(self, event: AnyEvent) -> None:
        """Take one event of the run; what it prints is kept in full by its log, not here."""
        self._is_news = True
        match event:
            case Points():
                self._points += event.points
            case Reached():
                self._progress = event.progress
            case Line():
                self._output = f"{self._output}{event.text}\n"[-_OUTPUT_SHOWN:]
            case Warned():
                if event.text not in self.warnings and len(self.warnings) < WARNINGS_LIMIT:
                    self.warnings.append(event.text[:NOTE_LIMIT])

    async def write_until(self, over: asyncio.Event) -> None:
        """Write down what was taken, again and again, for the last time once it is over.

        Raises: Unavailable (for the last time; before that it is tried again).
        """
        while not over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_REPORT_S):
                    await over.wait()
            try:
                await self._write()
            except Unavailable:
                if over.is_set():
                    raise
                self._is_news = True

    async def _write(self) -> None:
        if not self._is_news:
            return
        self._is_news = False
        self._number += 1
        told = Told(
            number=self._number,
            points=list(self._points),
            progress=self._progress,
            warnings=list(self.warnings),
            output=self._output.encode(errors="replace"),
        )
        await registry.record(self.ctx, self.workspace, self.run, told)
        del self._points[: len(told.points)]


def _failure(error: VolanoError) -> schemas.Failure:
    class_: schemas.FailureClass = "user.data"
    if isinstance(error, BlobMissing):  # ours to keep, so not a fault of the user's data
        class_ = "system.storage"
    elif isinstance(error, schemas.ArtefactRefused | ContractBroken):
        class_ = "user.contract"
    return schemas.Failure(class_=class_, message=error.message, remedy=error.advice)


async def _end_failed(
    ctx: Context, job: Job, run: schemas.Run, failure: schemas.Failure, output: str | None
) -> None:
    async with job.finish(ctx) as tx:
        await registry.end_run(tx, run.id, failure=failure, log=output)
    log.info("run.failed", run=run.id, **{"class": failure.class_})


async def _end_finished(
    ctx: Context, job: Job, run: schemas.Run, made: Made, folder: Path, output: str
) -> None:
    """Store the files, then make the version exist in one transaction.

    Raises: ArtefactRefused, ContractBroken.
    """
    told, names = await asyncio.to_thread(_version_file, folder, ctx.settings.run_max_artefact)
    files = [
        schemas.File(
            name=name,
            blob=await ctx.blobs.put_file(job.workspace, folder / name),
            bytes=(folder / name).stat().st_size,
        )
        for name in names
    ]
    async with job.finish(ctx) as tx:
        version = await registry.register(tx, run, told, files, made)
        await registry.end_run(tx, run.id, metrics=made.metrics, version=version, log=output)
    log.info("run.finished", run=run.id, version=version)


def _version_file(folder: Path, limit: int) -> tuple[schemas.VersionFile, list[str]]:
    """Read what `version.json` says, and the names of all files.

    Looked at here again: what the run's process tells of its files may be made up by the user's
    code, and a link in the folder could name any file of this machine.

    Raises: ArtefactRefused, ContractBroken.
    """
    names = [file.name for file in artefacts.listed(folder, total_bytes=limit)]
    try:
        content = (folder / version_file.NAME).read_bytes()
    except OSError as error:
        raise schemas.ArtefactRefused(reason=f"{version_file.NAME}: {error}") from None
    return version_file.read(events.without_zeros(content)), names


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
        with suppress(OSError):  # two may remove it at once; one that is shut keeps no other back
            for path in (folder, *folder.rglob("*")):
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
