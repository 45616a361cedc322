"""The composition root: the one place that knows every stage and builds the Context."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import structlog
import uvloop

from volano import __version__
from volano.accounts import api as accounts_api
from volano.accounts import service as accounts
from volano.accounts.authentication import KeyCache, authorise
from volano.accounts.secrets import Pepper, pepper
from volano.core import http, process, telemetry
from volano.core.blobs import open_blobs
from volano.core.bus import open_bus
from volano.core.compute import open_compute
from volano.core.context import Context
from volano.core.db import EVERYWHERE, Database
from volano.core.http import app as http_app
from volano.core.http import idempotency
from volano.core.http.server import About
from volano.core.jobs import Handlers, Ledger, Worker, ledger
from volano.core.metrics import Level, Metrics
from volano.core.segments import compact, inbox, merge
from volano.core.segments.parquet import Segments
from volano.core.settings import Settings
from volano.core.settings import read as read_settings
from volano.core.settings import table as settings_table
from volano.data import api as data_api
from volano.data import service as data
from volano.hosting import launcher
from volano.hosting.services import PostgresServer, S3Server
from volano.labeling import api as labeling_api
from volano.labeling import service as labeling
from volano.labeling import worker as labeling_worker
from volano.loop import api as loop_api
from volano.loop import upkeep
from volano.loop import worker as loop_worker
from volano.migrations.run import check as check_revision
from volano.migrations.run import migrate
from volano.registry import api as registry_api
from volano.registry import service as registry
from volano.schemas.common import utc_now
from volano.schemas.errors import VolanoError
from volano.schemas.loop import Diagnosis
from volano.serving import api as serving_api
from volano.serving import service as serving
from volano.serving import worker as serving_worker
from volano.serving.executor import InferenceExecutor
from volano.serving.log import STREAM, PredictionLog
from volano.serving.routing import Routing
from volano.training import api as training_api
from volano.training import service as training
from volano.training import worker as training_worker

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "Role", "Server", "Settings", "build_api", "examine", "following", "migrate", "open_context",
    "prepare", "read_settings", "real_services", "recover", "run_worker", "serve",
    "settings_table", "work",
]  # fmt: skip

log = structlog.get_logger("app")

Role = Literal["all", "api", "worker"]
"""What one `volano up` runs."""

_FORGET_EVERY_S = 3600.0
_SILENT = 5  # sweeps, and seconds, without a sign of life of a worker

WORKSPACE = "default"
"""The workspace that a new server begins with."""

ROUTES: list[http.Routes] = [
    *accounts_api.routes,
    *labeling_api.routes,
    *data_api.routes,
    *registry_api.routes,
    *training_api.routes,
    *serving_api.routes,
    *loop_api.routes,
]

STREAMS = (
    merge.Stream(data.STREAM, data.COMPACT),
    merge.Stream(STREAM, serving.COMPACT, key="id"),
)
"""Every stream of hot appends."""

HANDLERS = Handlers(
    merge.handlers(STREAMS),
    labeling_worker.handlers,
    training_worker.handlers,
    serving_worker.handlers,
    loop_worker.handlers,
)


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Everything that the verbs need, open; closed at the end in the order of dependence.

    Raises: DatabaseUnavailable, BadSetting, BadSecret.
    """
    async with AsyncExitStack() as stack:
        db = await Database.open(settings.db_url)
        stack.push_async_callback(db.close)
        blobs = open_blobs(
            settings.blobs_url, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key
        )
        folder = settings.home_path
        bus = open_bus(settings.bus_url, folder=folder / "bus", db_url=settings.db_url)
        stack.push_async_callback(bus.aclose)
        compute = await stack.enter_async_context(open_compute(settings.compute))
        metrics = Metrics(folder / "metrics")
        stack.callback(metrics.close)
        segments = Segments(blobs)
        records = data.open_state(db, segments, settings)
        stack.push_async_callback(records.inbox.close)
        predictions = PredictionLog(
            serving.open_inbox(db, settings), metrics, interval_s=settings.serving_log_ms / 1000
        )
        stack.push_async_callback(predictions.close)
        lanes = InferenceExecutor(metrics, deadline_s=settings.serving_deadline_ms / 1000)
        stack.callback(lanes.close)
        yield Context(
            settings=settings,
            db=db,
            blobs=blobs,
            bus=bus,
            jobs=Ledger(bus),
            compute=compute,
            metrics=metrics,
            authorise=authorise,
            parts={
                Pepper: pepper(settings),
                KeyCache: KeyCache(settings.key_cache_s),
                data.State: records,
                labeling.State: labeling.open_state(settings),
                Segments: segments,
                Routing: Routing(settings.serving_loaded),
                InferenceExecutor: lanes,
                PredictionLog: predictions,
            },
        )


class Server:
    """The ASGI app of one API process; opens its Context when the server starts."""

    def __init__(self, settings: Settings, *, fallback: ASGIApp | None = None) -> None:
        self.settings, self.fallback = settings, fallback
        self._api: http_app.Api | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._api is not None, "the server has not started"
            await self._api(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with open_context(self.settings) as ctx, following(ctx):
            self._api = build_api(ctx, fallback=self.fallback)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def build_api(ctx: Context, *, fallback: ASGIApp | None = None) -> http_app.Api:
    """The HTTP side of every stage on one Context."""
    text = "Collect, store, train, serve and explain, on one server of your own."
    about = About(version=__version__, text=text, roles=_roles, counts=_counts, levels=_levels)
    return http_app.build(ctx, ROUTES, about=about, fallback=fallback)


async def _roles(ctx: Context) -> list[str]:
    """What of this server runs, wherever it does."""
    async with ctx.db.read(EVERYWHERE) as tx:
        heard = await ledger.heard_s(tx)
    # Several signs of life may be late before it is a worker that is gone.
    silent = heard is None or heard > _SILENT * ctx.settings.jobs_sweep_s + _SILENT
    return ["api", "no worker heard" if silent else "worker"]


async def _counts(ctx: Context) -> dict[str, int]:
    """What the first page says that goes on here: nothing that tells who does it."""
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with ctx.db.read(EVERYWHERE) as tx:
        runs = await registry.run_states(tx)
        today = await inbox.received_since(tx, data.STREAM, round(midnight.timestamp() * 1000))
    endpoints = len(ctx.part(Routing).sequences())
    return {
        "drawing today" if today == 1 else "drawings today": today,
        "run waiting" if runs.get("queued") == 1 else "runs waiting": runs.get("queued", 0),
        "run going on" if runs.get("running") == 1 else "runs going on": runs.get("running", 0),
        "endpoint answering" if endpoints == 1 else "endpoints answering": endpoints,
    }


async def _levels(ctx: Context) -> list[Level]:
    """What an operator watches that is in the database and not in one process."""
    async with ctx.db.read(EVERYWHERE) as tx:
        jobs = await ledger.census(tx)
        streams = await inbox.row_counts(tx)
        runs = await registry.run_states(tx)
    text = "Jobs that wait, run, or failed for good"
    levels = [
        Level("volano_jobs", text, row.n, {"topic": row.topic, "state": row.state}) for row in jobs
    ]
    for name, (waiting, quarantined, every) in streams.items():
        of = {"stream": name}
        levels.append(Level("volano_inbox_rows", "Rows that wait for a segment", waiting, of))
        text = "Rows that cannot be read: `volano data quarantine ls`"
        levels.append(Level("volano_rows_quarantined", text, quarantined, of))
        text = "Rows that were kept: drawings (records), logged predictions"
        levels.append(Level("volano_rows_total", text, every, of, "counter"))
    return levels + [Level("volano_runs", "Runs", n, {"state": state}) for state, n in runs.items()]


@asynccontextmanager
async def following(ctx: Context) -> AsyncIterator[None]:
    """Keep this process's endpoints as the database says, while the block runs."""
    await serving.follow_changes(ctx)
    async with _all_beside(_follow(ctx), process.measure(ctx.metrics, "api")):
        yield


async def _follow(ctx: Context) -> None:
    async with ctx.bus.subscribe(serving.CHANGED) as changes:
        while True:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with a ring.
            with suppress(TimeoutError):  # a doorbell may be lost: look all the same
                async with asyncio.timeout(ctx.settings.serving_poll_s):
                    await anext(changes)
            await _unless_refused(serving.follow_changes(ctx), "endpoints not followed")


async def work(ctx: Context, stop: asyncio.Event) -> None:
    """Do the jobs of the ledger until `stop`; those that run then get some seconds to end."""
    # A little less than the processes have, so that what is given back is written down.
    worker = Worker(ctx, HANDLERS, drain_s=ctx.settings.http_drain_s * 0.8)
    measured = process.measure(ctx.metrics, "worker")
    rounds = (_sweep(ctx), _tidy(ctx), _forget(ctx), measured)
    async with _all_beside(*rounds), _beside(worker.run()) as working:
        await stop.wait()
        worker.stop()
        await working


async def _sweep(ctx: Context) -> None:
    """What no message asks for: rows that got old in an inbox, runs that nobody will end."""
    while True:
        await _unless_refused(training.settle(ctx), "runs not settled")
        for stream in STREAMS:
            asked = compact.request_due(ctx, stream.name, stream.compact)
            await _unless_refused(asked, "compaction not requested")
        await asyncio.sleep(ctx.settings.jobs_sweep_s)


async def _tidy(ctx: Context) -> None:
    """What is looked after more rarely: small segments."""
    while True:
        for stream in STREAMS:
            await _unless_refused(merge.request_due(ctx, stream), "merge not requested")
        await asyncio.sleep(ctx.settings.segment_merge_s)


async def _forget(ctx: Context) -> None:
    """What nobody asks for any more."""
    while True:
        deleted = idempotency.delete_expired(ctx.db)
        await _unless_refused(deleted, "old answers not deleted")
        await _unless_refused(upkeep.request_sweep(ctx), "sweep not requested")
        await asyncio.sleep(min(_FORGET_EVERY_S, ctx.settings.blob_grace_s))


async def _unless_refused(step: Awaitable[Any], event: str) -> None:
    """One step of a loop that outlives a database that is away for a while."""
    try:
        await step
    except VolanoError as error:
        log.warning(event, code=error.code)


@asynccontextmanager
async def _beside(endless: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    task = asyncio.ensure_future(endless)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _all_beside(*endless: Awaitable[None]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for one in endless:
            await stack.enter_async_context(_beside(one))
        yield


async def prepare(settings: Settings) -> str | None:
    """Bring the database up to date and make the first workspace; its admin's key if just made."""
    await migrate(settings.db_url)
    async with open_context(settings) as ctx:
        return await accounts.bootstrap(ctx, WORKSPACE)


async def recover(settings: Settings) -> str:
    """Another admin's key of the first workspace, for who owns the database.

    Raises: Missing.
    """
    async with open_context(settings) as ctx:
        key = await accounts.admin_key(ctx, WORKSPACE)
    assert key.secret is not None
    return key.secret


async def examine(settings: Settings, *, fix: bool) -> Diagnosis:
    """Look for damage in everything that the server of these settings stores.

    Raises: DatabaseOlder, DatabaseNewer, DatabaseDamaged, DatabaseUnavailable.
    """
    await check_revision(settings.db_url)
    async with open_context(settings) as ctx:
        return await upkeep.examine(ctx, fix=fix)


def serve(settings: Settings, role: Role, parent: int, ready: Callable[[int], None]) -> int:
    """Serve until SIGTERM, below the process `parent`; the exit code. `ready` is told the port."""
    launcher.die_with(parent)
    telemetry.configure(settings.log)
    # Answering goes first where both share the processor; alone on a machine nothing changes.
    worker = launcher.Program("worker", lambda up: run_worker(settings, up), gives_way=True)
    return launcher.serve(
        lambda: Server(settings),
        settings.host,
        settings.port,
        0 if role == "worker" else settings.processes,
        head_s=settings.http_head_s,
        drain_s=settings.http_drain_s,
        beside=[] if role == "api" else [worker],
        on_ready=ready,
    )


def run_worker(settings: Settings, ready: Callable[[], None]) -> None:
    """Do jobs until SIGTERM; runs in a process of its own."""
    uvloop.run(_run_worker(settings, ready))


async def _run_worker(settings: Settings, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_context(settings) as ctx:
        ready()
        await work(ctx, stop)


@contextmanager
def real_services(settings: Settings) -> Iterator[Settings]:
    """The settings on a real PostgreSQL and a real S3, which run below this process meanwhile."""
    folder = settings.home_path / "services"
    with PostgresServer(folder / "postgres") as postgres, S3Server(folder / "s3") as s3:
        yield replace(
            settings,
            db=postgres.url,
            blobs=s3.url,
            s3_access_key=s3.access_key,
            s3_secret_key=s3.secret_key,
        )
