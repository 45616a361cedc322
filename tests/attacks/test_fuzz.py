"""No request, however it is made, is answered with a failure of ours or with what is no answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import quote, urlencode

import httpx
import msgspec
import pytest
from msgspec import inspect

from tests.attacks.hostile import HEADERS, Writer
from tests.registry.versions import begun, registered
from tests.serving import graphs
from tests.serving.graphs import graph
from tests.serving.graphs import told as facts_of
from tests.stages import Connect, collect, imports
from volano.app import LINEAGES, ROUTES
from volano.core.context import Context
from volano.core.http.routes import Operation
from volano.core.jobs import Handlers, Worker
from volano.data import service as data
from volano.labeling import worker as labeling_worker
from volano.loop import service as loop
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.common import uuid7
from volano.schemas.data import NewSnapshot, RecordFilter
from volano.schemas.registry import NewRun
from volano.serving import predicting
from volano.serving import service as serving
from volano.serving import worker as serving_worker
from volano.serving.state import State
from volano.training import service as training

OPERATIONS = [operation for group in ROUTES for operation in group.operations]
TRIES = 25
"""Requests to each operation; all of them come from the seed."""


@asynccontextmanager
async def shelving(ctx: Context) -> AsyncIterator[None]:
    """Run a worker that moves rows and trains nothing meanwhile."""
    worker = Worker(ctx, Handlers(labeling_worker.handlers, serving_worker.handlers), drain_s=1)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


async def furnished(ctx: Context, boss: Who) -> dict[str, list[str]]:
    """Put something of every kind there; the names of all of it, by what asks for them."""
    people = [f"p{n}" for n in range(10)]
    stored = await collect(ctx, boss, imports(["circle", "square"], people))
    frozen = await data.freeze(ctx, boss, NewSnapshot(name="first"))
    run = await training.request(ctx, boss, NewRun(snapshot=frozen.id))
    content = graph()
    made = await registered(ctx, boss, {"model.onnx": content}, facts_of(content))
    await serving.activate(ctx, boss, "shapes", made.id)
    answer = await predicting.predict(ctx, boss, "shapes", graphs.request())
    await ctx.part(State).log.flush()
    ids = {
        "records": [stored[0].id],
        "predictions": [answer.predictions[0].id],
        "versions": [made.id],
        "version": [made.id],
        "runs": [run.id],
        "endpoints": ["shapes"],
        "snapshots": [frozen.id, "first"],
        "snapshot": [frozen.id],
        "members": [boss.member],
        "explain": [kind for one in LINEAGES for kind in one.kinds],
    }
    words = {
        "id": [str(uuid7()) for _ in range(50)],
        "shape": ["circle", "square"],
        "label": ["circle"],
        "labels": ["circle"],
        "kind": [kind for one in LINEAGES for kind in one.kinds],
        "split": ["train"],
        "contributor": people,
        "color": ["#00ff00"],
        "recipe": ["drawing"],
        "received_before": ["2030-01-01T00:00:00Z"],
        "name": ["model.onnx", "another"],
    }
    return words | ids


def request(operation: Operation, writer: Writer) -> httpx.Request:
    """Make one request to the operation, as the writer likes."""
    rng, path, query = writer.rng, operation.path, []
    noun = path.split("/")[3]
    for parameter in operation.parameters:
        kind, name = inspect.type_info(parameter.type), parameter.name
        if parameter.where == "path":
            first = path.split("/")[4]
            of = noun if first == f"{{{name}}}" else f"{first}s" if noun == "explain" else name
            path = path.replace(f"{{{name}}}", quote(writer.text(of), safe="")[:2000] or "-")
        elif parameter.where == "query" and (parameter.required or rng.random() < 0.4):
            value = writer.value(kind, noun=noun if name == "id" else name)
            query += [(parameter.wire, v) for v in (value if isinstance(value, list) else [value])]
    headers = dict(rng.sample(HEADERS, 1)) if rng.random() < 0.05 else {}
    content = b""
    if operation.body is not None:
        content = json.dumps(writer.value(inspect.type_info(operation.body.shape))).encode()
        headers.setdefault(b"content-type", b"application/json")
        if rng.random() < 0.02:
            content = content[: rng.randrange(len(content) + 1)]
    url = f"http://test{path}?{urlencode(query)[:20_000]}"
    return httpx.Request(operation.method, url, content=content, headers=headers)


def wrong(operation: Operation, answer: httpx.Response) -> str:
    """Say what is wrong with an answer; return an empty text when nothing is."""
    if answer.status_code >= 500:
        return "it is a failure of ours"
    kind, shape = answer.headers.get("content-type", ""), operation.result_shape
    if answer.status_code >= 400:
        document = answer.json() if kind == "application/problem+json" else {}
        return "" if document.get("code") else "it is no problem document"
    if shape is not None and kind == "application/json":
        try:
            msgspec.json.decode(answer.content, type=shape)
        except msgspec.ValidationError as error:
            return f"it does not fit its own type: {error}"
    return ""


@pytest.mark.parametrize("seed", [1])
async def test_no_request_breaks_the_server(
    server: Context, boss: Who, connect: Connect, seed: int
) -> None:
    client = await connect("admin")
    found = []
    async with shelving(server):
        writer = Writer(Random(seed), await furnished(server, boss))
        for operation in OPERATIONS:
            for _ in range(TRIES):
                asks = request(operation, writer)
                asks.headers.setdefault("authorization", client.headers["authorization"])
                answer = await client.send(asks)
                if problem := wrong(operation, answer):
                    found.append(
                        f"{problem}: {asks.method} {asks.url} {asks.content[:300]!r} "
                        f"{asks.headers} -> {answer.status_code} {answer.text[:300]}"
                    )
    assert found == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"labels": ["a"] * 40_000},
        {"contributors": ["a" * 60_000]},
        {"without_flags": ["a"] * 1500},
        {"received_before": "2030-01-01T00:00:00"},
    ],
)
async def test_a_filter_no_database_takes_is_refused(
    connect: Connect, wanted: dict[str, object]
) -> None:
    client = await connect("admin")
    answer = await client.post("/snapshots", json={"name": "x", "filter": wanted})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("header", "value"),
    [(b"origin", b"http://["), (b"origin", b"\xff"), (b"host", b"[abc")],
)
async def test_a_header_that_is_no_address_is_refused(
    connect: Connect, header: bytes, value: bytes
) -> None:
    client = await connect("admin")
    answer = await client.post("/snapshots", json={"name": "x"}, headers={header: value})
    assert answer.status_code == 403, answer.text


async def test_a_parameter_may_have_any_name(server: Context, boss: Who, connect: Connect) -> None:
    client = await connect("admin")
    answer = await client.post("/runs", json={"snapshot": "x", "params": {"self": 1}})
    assert answer.status_code == 422
    assert answer.json()["code"] == "bad-param"


async def test_a_name_that_looks_like_an_id_hides_no_snapshot(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["circle", "square"], [f"p{n}" for n in range(10)]))
    async with shelving(server):
        first = await data.freeze(server, boss, NewSnapshot(name="first"))
        other = NewSnapshot(name=first.id, filter=RecordFilter(labels=["circle"]))
        assert (await data.freeze(server, boss, other)).id != first.id
    assert (await data.frozen(server, boss, first.id)).hash == first.hash


async def test_a_filter_means_the_same_on_both_databases(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["circle"], ["anna", "Anna", *map(str, range(8))]))
    async with shelving(server):
        await data.freeze(server, boss, NewSnapshot(name="all"))
    of_anna = RecordFilter(contributors=["A*"])
    page = await data.page(server, boss, of_anna, after=None, limit=10)
    assert [record.contributor for record in page.items] == ["Anna"]


async def test_a_snapshot_asked_for_by_name_leads_to_its_runs(server: Context, boss: Who) -> None:
    await collect(server, boss, imports(["circle", "square"], [f"p{n}" for n in range(10)]))
    async with shelving(server):
        frozen = await data.freeze(server, boss, NewSnapshot(name="first"))
    run = await training.request(server, boss, NewRun(snapshot=frozen.id))
    told = await loop.explain(server, boss, "snapshot", "first")
    assert told.about.id == frozen.id
    assert [fact.id for fact in told.down] == [run.id]


async def test_a_run_whose_job_is_forgotten_is_ended_as_others_are(
    server: Context, boss: Who
) -> None:
    run = await begun(server, boss)
    assert await training.settle(server) == 1
    assert (await registry.run(server, boss, run.id)).state == "failed"
