"""The composition root: the one place that knows every stage and builds the Context."""

from __future__ import annotations

import asyncio
import functools
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import structlog
import uvloop

from volano import __version__
from volano.accounts import api as accounts_api
from volano.accounts import authentication
from volano.accounts import service as accounts
from volano.core import http, process, telemetry
from volano.core.blobs import open_blobs
from volano.core.bus import open_bus
from volano.core.compute import open_compute
from volano.core.context import Context
from volano.core.db import Database
from volano.core.http import app as http_app
from volano.core.http import idempotency
from volano.core.http.server import About
from volano.core.jobs import Handlers, Ledger, Worker
from volano.core.metrics import Metrics
from volano.core.segments import compact, merge
from volano.core.segments.parquet import Segments
from volano.core.settings import Settings, of_kubernetes
from volano.core.settings import read as read_settings
from volano.core.settings import table as settings_table
from volano.data import api as data_api
from volano.data import lineage as data_lineage
from volano.data import service as data
from volano.data import worker as data_worker
from volano.evaluation import api as evaluation_api
from volano.hosting import launcher
from volano.hosting.services import PostgresServer, S3Server
from volano.labeling import api as labeling_api
from volano.labeling import service as labeling
from volano.labeling import worker as labeling_worker
from volano.loop import api as loop_api
from volano.loop import overview, upkeep
from volano.loop import service as loop
from volano.loop import worker as loop_worker
from volano.migrations.run import check as check_revision
from volano.migrations.run import migrate
from volano.registry import api as registry_api
from volano.registry import lineage as registry_lineage
from volano.schemas.errors import VolanoError
from volano.schemas.loop import Diagnosis
from volano.serving import api as serving_api
from volano.serving import following as serving_following
from volano.serving import lineage as serving_lineage
from volano.serving import logged as predictions
from volano.serving import service as serving
from volano.serving import state as serving_state
from volano.serving import worker as serving_worker
from volano.serving.log import STREAM
from volano.training import api as training_api
from volano.training import service as training
from volano.training import worker as training_worker

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "Role", "Server", "Settings", "build_api", "examine", "following", "has_services", "migrate",
    "open_context", "prepare", "read_settings", "real_services", "recover", "run_worker", "serve",
    "settings_table", "work",
]  # fmt: skip

log = structlog.get_logger("app")

Role = Literal["all", "api", "worker"]
"""What one `volano up` runs."""

_EXPIRED_EVERY_S = 3600.0
_AGAIN_S = 1.0

WORKSPACE = "default"
"""The workspace that a new server begins with."""

ROUTES: list[http.Routes] = [
    *accounts_api.routes,
    *labeling_api.routes,
    *data_api.routes,
    *registry_api.routes,
    *evaluation_api.routes,
    *training_api.routes,
    *serving_api.routes,
    *loop_api.routes,
]

STREAMS = (
    merge.Stream(data.STREAM, data.COMPACT),
    merge.Stream(STREAM, predictions.COMPACT, key="id"),
)
"""Every stream of hot appends."""

LINEAGES = (serving_lineage.LINEAGE, registry_lineage.LINEAGE, data_lineage.lineage())
"""What every stage tells of where its things come from."""

HANDLERS = Handlers(
    merge.handlers(STREAMS),
    labeling_worker.handlers,
    data_worker.handlers,
    training_worker.handlers,
    serving_worker.handlers,
    loop_worker.handlers,
)


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Context]:
    """Open everything that the verbs need; close it at the end in the order of dependence.

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
        stack.push_async_callback(records.close)
        predicting = serving.open_state(db, blobs, segments, metrics, settings)
        stack.push_async_callback(predicting.close)
        yield Context(
            settings=settings,
            db=db,
            blobs=blobs,
            bus=bus,
            jobs=Ledger(bus),
            compute=compute,
            metrics=metrics,
            authorise=authentication.authorise,
            parts={
                authentication.State: authentication.open_state(settings),
                data.State: records,
                labeling.State: labeling.open_state(settings),
                serving_state.State: predicting,
                loop.State: loop.State(LINEAGES),
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
    """Build the HTTP side of every stage on one Context."""
    text = "Collect, store, train, serve and explain, on one server of your own."
    about = About(
        version=__version__,
        text=text,
        roles=overview.roles,
        counts=overview.counts,
        levels=overview.levels,
    )
    return http_app.build(ctx, ROUTES, about=about, fallback=fallback)


@asynccontextmanager
async def following(ctx: Context) -> AsyncIterator[None]:
    """Keep this process's endpoints as the database says, while the block runs."""
    await serving_following.load_endpoints(ctx)
    measuring = functools.partial(process.measure, ctx.metrics, "api")
    rounds = _again_and_again(functools.partial(_follow, ctx)), _again_and_again(measuring)
    async with _beside(*rounds):
        yield


async def _follow(ctx: Context) -> None:
    """Look for changed endpoints at every ring and from time to time, until cancelled."""
    async with ctx.bus.subscribe(serving_following.CHANGED) as changes:
        while True:
            rung = ""
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with a ring.
            with suppress(TimeoutError):  # a doorbell may be lost: look all the same
                async with asyncio.timeout(ctx.settings.serving_poll_s):
                    _, rung = await anext(changes)
            await _try(serving_following.follow_changes(ctx, rung), "endpoints not followed")


async def work(ctx: Context, stop: asyncio.Event) -> None:
    """Work on the jobs of the ledger until `stop`; those that run then get some seconds to end.

    Raises: what has ended the worker before, so that its process is replaced.
    """
    # A little less than the processes have, so that what is given back is written down.
    worker = Worker(ctx, HANDLERS, drain_s=ctx.settings.http_drain_s * 0.8)
    measuring = functools.partial(process.measure, ctx.metrics, "worker")
    rounds = request_compactions(ctx), request_merges(ctx), delete_expired(ctx)
    async with _beside(stop.wait(), *rounds, _again_and_again(measuring), worker.run()) as tasks:
        await asyncio.wait((tasks[0], tasks[-1]), return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await tasks[-1]


async def request_compactions(ctx: Context) -> None:
    """Send for the rows that got old in an inbox, and end the runs that nobody will end."""
    while True:
        await _try(training.settle(ctx), "runs not settled")
        for stream in STREAMS:
            due = compact.request_due(ctx, stream.name, stream.compact)
            await _try(due, "compaction not requested")
        await asyncio.sleep(ctx.settings.jobs_sweep_s)


async def request_merges(ctx: Context) -> None:
    """Send for the small segments of every stream."""
    while True:
        for stream in STREAMS:
            await _try(merge.request_due(ctx, stream), "merge not requested")
        await asyncio.sleep(ctx.settings.segment_merge_s)


async def delete_expired(ctx: Context) -> None:
    """Delete what nobody asks for any more: kept answers to requests, unneeded blobs."""
    while True:
        await _try(idempotency.delete_expired(ctx.db), "old answers not deleted")
        await _try(upkeep.request_sweep(ctx), "sweep not requested")
        await asyncio.sleep(min(_EXPIRED_EVERY_S, ctx.settings.blob_grace_s))


async def _again_and_again(endless: Callable[[], Awaitable[None]]) -> None:
    """Begin endless work anew a moment after it has failed."""
    while True:
        await _try(endless(), "background work began anew")
        await asyncio.sleep(_AGAIN_S)


async def _try(step: Awaitable[object], event: str) -> None:
    """Await one step of an endless loop; log what it fails with, so that the loop goes on."""
    try:
        await step
    except VolanoError as error:  # the database is away for a while
        log.warning(event, code=error.code)
    except OSError as error:  # a full disk, a folder that is shut: no traceback in each round
        log.warning(event, reason=str(error))
    except Exception as error:
        log.error(event, exc_info=error)


@asynccontextmanager
async def _beside(*endless: Awaitable[Any]) -> AsyncIterator[Sequence[asyncio.Future[Any]]]:
    """Run these as tasks until the block ends."""
    tasks = [asyncio.ensure_future(one) for one in endless]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def prepare(settings: Settings, *, new_secret: bool = False) -> str | None:
    """Bring the database up to date and make the first workspace.

    Return its admin's key if it was made just now.

    Raises: SecretDiffers (from that of the other servers of the database, unless `new_secret`).
    """
    await migrate(settings.db_url)
    async with open_context(settings) as ctx:
        await accounts.check_secret(ctx, new=new_secret)
        return await accounts.bootstrap(ctx, WORKSPACE)


async def recover(settings: Settings) -> str:
    """Make another admin's key of the first workspace, for whoever owns the database.

    Raises: Missing.
    """
    async with open_context(settings) as ctx:
        key = await accounts.admin_key(ctx, WORKSPACE)
    assert key.secret is not None
    return key.secret


async def examine(settings: Settings, *, fix: bool, requeue: bool) -> Diagnosis:
    """Look for damage in everything that the server of these settings stores.

    Raises: DatabaseOlder, DatabaseNewer, DatabaseDamaged, DatabaseUnavailable.
    """
    await check_revision(settings.db_url)
    # It hashes no key, and must not make the secret that is missing, which would hide that.
    async with open_context(replace(settings, secret=secrets.token_hex())) as ctx:
        return await upkeep.examine(ctx, fix=fix, requeue=requeue)


def serve(settings: Settings, role: Role, parent: int, ready: Callable[[int], None]) -> int:
    """Serve until SIGTERM, or the end of the process `parent`; return the exit code.

    `ready` is called with the port.
    """
    launcher.die_with(parent)
    launcher.close_memory()
    telemetry.configure(settings.log)
    for name in of_kubernetes():
        log.warning("variable ignored", reason=f"{name} is what Kubernetes sets for a Service")
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
    """Work on jobs until SIGTERM, in a process of its own."""
    uvloop.run(_run_worker(settings, ready))


async def _run_worker(settings: Settings, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_context(settings) as ctx:
        ready()
        await work(ctx, stop)


@contextmanager
def real_services(settings: Settings) -> Iterator[Settings]:
    """Run a real PostgreSQL and a real S3 below this process; yield settings that use them."""
    folder = settings.home_path / "services"
    with PostgresServer(folder / "postgres") as postgres, S3Server(folder / "s3") as s3:
        yield replace(
            settings,
            db=postgres.url,
            blobs=s3.url,
            s3_access_key=s3.access_key,
            s3_secret_key=s3.secret_key,
        )


def has_services(settings: Settings) -> bool:
    """Return whether the home keeps what `real_services` stores."""
    return (settings.home_path / "services" / "postgres" / "data").is_dir()
