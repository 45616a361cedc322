"""A whole server in one process for the tests of stages: real database, blobs, bus and workers.

Everything comes twice: on SQLite and files, and on PostgreSQL and S3.
"""

import asyncio
import math
import random
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from volano import app
from volano.accounts import service as accounts
from volano.accounts.authentication import identify
from volano.core.blobs.tables import blobs, referring_columns
from volano.core.context import Context
from volano.core.db import EVERYWHERE
from volano.core.jobs import Job, fair
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import DEFAULT, RUN
from volano.core.settings import Settings
from volano.hosting.services import S3Server
from volano.labeling import service as labeling
from volano.migrations.tables import all_tables
from volano.schemas.accounts import NewInvite, NewKey, NewMember, NewSession, Role, Who
from volano.schemas.common import uuid7
from volano.schemas.datasets import Outcome
from volano.schemas.drawings import (
    Canvas,
    DrawingImport,
    ImportedDrawing,
    NewDrawing,
    Point,
    Stroke,
)
from volano.schemas.labeling import NewShape

CORNERS = {"circle": 24, "square": 4, "triangle": 3}
"""What the drawings of the tests show, as the corners of a regular polygon."""

QUICK: dict[str, Any] = {
    "allowed_hosts": "test",
    "jobs_sweep_s": 0.05,
    "jobs_beat_s": 0.2,
    "segment_age_s": 0.0,
    "segment_merge_s": 0.1,
    "serving_log_ms": 20,
    "run_threads": 1,
}
"""Settings with which nothing in the background waits long."""


@pytest.fixture
def settings(db_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """The settings of a server of this test's own, once on each kind of stores."""
    chosen = QUICK | {"home": str(tmp_path / "home"), "db": db_url}
    if db_url.startswith("postgresql"):
        server: S3Server = request.getfixturevalue("s3_server")
        bucket, _, query = server.url.partition("?")
        chosen["blobs"] = f"{bucket}/{uuid.uuid4().hex}?{query}"
        chosen |= {"s3_access_key": server.access_key, "s3_secret_key": server.secret_key}
    return Settings(**chosen)


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Context]:
    """One process of that server; no worker runs.

    At the end of the test every blob that a row names must be one that a sweep keeps.
    """
    async with app.open_context(settings) as ctx:
        yield ctx
        assert await unkept_blobs(ctx) == set()


@pytest.fixture
async def other_process(settings: Settings, server: Context) -> AsyncIterator[Context]:
    """Another process on the same stores."""
    async with app.open_context(settings) as ctx:
        yield ctx


async def unkept_blobs(ctx: Context) -> set[str]:
    """Return the stored blobs that a text or JSON of any table names and no foreign key keeps.

    That is how a stage looks that names its blobs in a column of its own kind: see
    docs/decisions/blob-references.md. No list is asked, so a new stage is seen like the old ones.
    """
    referring = referring_columns()
    columns = [
        column
        for table in all_tables().sorted_tables
        if "workspace" in table.c and table is not blobs
        for column in table.c
        if isinstance(column.type, sa.String | sa.JSON) and column.name != "workspace"
    ]
    text = [sa.cast(column, sa.Text) for column in columns]
    named = [
        sa.select(column.table.c.workspace, sa.literal(str(column)).label("place"), value)
        .select_from(column.table)
        .where(value.contains("b3_", autoescape=True))
        for column, value in zip(columns, text, strict=True)
    ]
    async with ctx.db.read(EVERYWHERE) as tx:
        rows = await tx.all(sa.union_all(*named))
    kept, seen = set(), set()
    for workspace, place, value in rows:
        found = {(workspace, id) for id in re.findall("b3_[0-9a-f]{64}", value)}
        (kept if place in map(str, referring) else seen).update(found)
    return {id for workspace, id in seen - kept if await ctx.blobs.exists(workspace, id)}


Hire = Callable[[Role], Awaitable[Who]]
Connect = Callable[[Role], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def keys(server: Context) -> dict[Role, str]:
    """A key for each role in the workspace `home`, made when asked for; the admin's is there."""
    secret = await accounts.bootstrap(server, "home")
    assert secret is not None
    return {"admin": secret}


@pytest.fixture
async def boss(server: Context, keys: dict[Role, str]) -> Who:
    """The admin of the workspace `home`."""
    return await identify(server, keys["admin"])


@pytest.fixture
async def outsider(server: Context) -> Who:
    """The admin of another workspace."""
    secret = await accounts.bootstrap(server, "elsewhere")
    assert secret is not None
    return await identify(server, secret)


@pytest.fixture
def credential(
    server: Context, boss: Who, keys: dict[Role, str]
) -> Callable[[Role], Awaitable[str]]:
    """`await credential("developer")` is a key (or a session) with this role in `home`."""

    async def credential(role: Role) -> str:
        if role not in keys:
            keys[role] = await _new_credential(server, boss, role)
        return keys[role]

    return credential


async def _new_credential(ctx: Context, boss: Who, role: Role) -> str:
    if role == "contributor":
        invite = await accounts.create_invite(ctx, boss, NewInvite())
        assert invite.code is not None
        return (await accounts.start_session(ctx, NewSession(invite=invite.code))).token
    member = await accounts.add_member(ctx, boss, NewMember(name=f"a {role}", role=role))
    key = await accounts.create_key(ctx, boss, NewKey(member=member.id))
    assert key.secret is not None
    return key.secret


@pytest.fixture
def hire(server: Context, credential: Callable[[Role], Awaitable[str]]) -> Hire:
    """`await hire("developer")` is somebody with this role in `home`."""

    async def hire(role: Role) -> Who:
        return await identify(server, await credential(role))

    return hire


@pytest.fixture
async def connect(
    server: Context, credential: Callable[[Role], Awaitable[str]]
) -> AsyncIterator[Connect]:
    """`await connect("developer")` is an HTTP client of the server with this role."""
    api, opened = app.build_api(server), []

    async def connect(role: Role) -> httpx.AsyncClient:
        opened.append(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(api),
                base_url="http://test/api/v1",
                headers={
                    "authorization": f"Bearer {await credential(role)}",
                    "content-type": "application/json",
                },
            )
        )
        return opened[-1]

    yield connect
    for one in opened:
        await one.aclose()


@asynccontextmanager
async def working(ctx: Context) -> AsyncIterator[None]:
    """Run a worker meanwhile, and have it drain afterwards."""
    stop = asyncio.Event()
    task = asyncio.create_task(app.work(ctx, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(fact: Callable[[], Awaitable[Any]], seconds: float = 60.0) -> Any:
    """Return the fact's value once it is true."""
    async with asyncio.timeout(seconds):
        while not (value := await fact()):
            await asyncio.sleep(0.01)
    return value


async def work_until(ctx: Context, fact: Callable[[], Awaitable[Any]]) -> Any:
    """Return the fact's value once a worker has made it true."""
    async with working(ctx):
        return await until(fact)


async def claimed(
    ctx: Context, workspace: str, topic: str, payload: dict[str, Any], worker: str = "wrk_test"
) -> Job:
    """Send a job and claim it as a worker of the test."""
    async with ctx.db.begin(workspace) as tx:
        sent = await ctx.jobs.send(tx, topic, payload)
    return await claim(ctx, sent, worker)


async def claim(ctx: Context, job: str, worker: str = "wrk_test") -> Job:
    """Claim the job of this id, which must be the next one, as a worker of the test."""
    async with ctx.db.begin(EVERYWHERE) as tx:
        (taken,) = await fair.claim(tx, worker, [DEFAULT, RUN], 1, 60_000)
    assert job == taken.id
    return Job(Lease.of(taken, worker), taken.topic, taken.payload)


async def ask_for(ctx: Context, boss: Who, *shapes: str) -> None:
    """Make these shapes ones that can be drawn."""
    for shape in shapes:
        await labeling.add_shape(ctx, boss, NewShape(name=shape))


def drawing(shape: str = "square", *, seed: int = 0, **changes: Any) -> NewDrawing:
    """Draw a shaky polygon on a canvas of 200 px; equal seeds give equal strokes under new ids."""
    rng, corners = random.Random(seed), CORNERS.get(shape, 5)
    radius, turn = rng.uniform(40, 80), rng.uniform(-0.2, 0.2)
    points, now = [], 0.0
    for step in range(25):
        side, along = divmod(step * corners / 24, 1)
        ends = [(turn + (side + end) * 2 * math.pi / corners) for end in (0, 1)]
        x = radius * ((1 - along) * math.cos(ends[0]) + along * math.cos(ends[1]))
        y = radius * ((1 - along) * math.sin(ends[0]) + along * math.sin(ends[1]))
        now += rng.uniform(8, 40)
        points.append(
            Point(x=100 + x + rng.gauss(0, 1), y=100 + y + rng.gauss(0, 1), timestamp=round(now))
        )
    given = NewDrawing(
        id=str(uuid7()),
        shape=shape,
        canvas=Canvas(width=200, height=200),
        strokes=[Stroke(points=points)],
        device="mouse",
    )
    return msgspec.structs.replace(given, **changes)


def imports(
    shapes: list[str], contributors: list[str], each: int = 1, origin: str = "elsewhere"
) -> DrawingImport:
    """Make `each` drawings of every shape by every contributor."""
    return DrawingImport(
        origin=origin,
        drawings=[
            ImportedDrawing(contributor=name, drawing=drawing(shape, seed=seed))
            for seed, (name, shape, _) in enumerate(
                (n, s, k) for n in contributors for s in shapes for k in range(each)
            )
        ],
    )


async def collect(ctx: Context, boss: Who, given: DrawingImport) -> list[Outcome]:
    """Import drawings, asking for their shapes first where nobody has."""
    names = {one.drawing.shape for one in given.drawings}
    known = {shape.name for shape in (await labeling.shapes(ctx, boss, after="", limit=500)).items}
    await ask_for(ctx, boss, *sorted(names - known))
    outcomes = await labeling.import_drawings(ctx, boss, given)
    assert [one.detail for one in outcomes if not one.stored] == []
    return outcomes
