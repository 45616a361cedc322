"""What every server says about itself."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.core.http.things import Thing
from volano.core.context import Context
from volano.core.db import EVERYWHERE
from volano.core.http import PUBLIC, Routes, idempotency, server
from volano.core.http.app import build, operations_of
from volano.core.http.server import About
from volano.core.metrics import Level
from volano.schemas.common import DatabaseUnavailable, StorageFull
from volano.schemas.errors import Unavailable


class CacheAway(Unavailable):
    """The cache does not answer."""


async def broken(ctx: Context) -> None:
    raise CacheAway


async def counts(ctx: Context) -> Mapping[str, int]:
    return {"<records>": 12345}


async def roles(ctx: Context) -> Sequence[str]:
    return ("api", "worker")


async def levels(ctx: Context) -> Sequence[Level]:
    return [Level("volano_jobs", "Jobs", 3, {"topic": "things.made", "state": "queued"})]


ABOUT = About(version="1.2.3", roles=roles, counts=counts, levels=levels)


def connect(ctx: Context, about: About = ABOUT, **options: Any) -> httpx.AsyncClient:
    app = build(ctx, [], about=about, **options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_a_server_with_a_database_is_ready(ctx: Context) -> None:
    async with connect(ctx) as one:
        answer = await one.get("/healthz")

    assert answer.status_code == 200
    assert answer.json() == {"live": True, "ready": True, "checks": {"database": "ok"}}


async def test_a_failed_check_is_named_and_makes_it_503(ctx: Context) -> None:
    about = replace(ABOUT, checks={"cache": broken})
    async with connect(ctx, about) as one:
        answer, live, home = [await one.get(p) for p in ("/healthz", "/healthz/live", "/")]

    assert (answer.status_code, answer.json()["checks"]["cache"]) == (503, "cache-away")
    assert live.status_code == 204
    assert "cache: cache-away" in home.text


async def test_after_a_full_disk_a_server_is_ready_once_it_can_write(ctx: Context) -> None:
    async def allow(pages: int) -> None:
        async with ctx.db.begin(EVERYWHERE) as tx:
            await tx.scalar(sa.text(f"PRAGMA max_page_count={pages}"))

    async def ready(one: httpx.AsyncClient) -> tuple[int, str]:
        ctx.db.refused_at -= server.PROBE_S  # as if the second had passed
        answer = await one.get("/healthz")
        return answer.status_code, answer.json()["checks"]["database"]

    async with connect(ctx) as one:
        assert await ready(one) == (200, "ok")
        await allow(1)  # as many as there are
        with pytest.raises(StorageFull):
            await idempotency.write_probe(ctx.db)
        assert await ready(one) == (503, "storage-full")
        assert await ready(one) == (503, "storage-full")
        await allow(1_000_000)
        assert await ready(one) == (200, "ok")
        assert ctx.db.refused_write is None


async def test_health_does_not_write_at_every_question(ctx: Context) -> None:
    ctx.db.refused_write, ctx.db.refused_at = DatabaseUnavailable(reason="x"), time.monotonic()
    async with connect(ctx) as one:
        answers = [await one.get("/healthz") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert answers[0].json()["checks"]["database"] == "database-unavailable"
        ctx.db.refused_at -= server.PROBE_S
        assert (await one.get("/healthz")).status_code == 200


async def test_the_figures_are_there_for_prometheus(ctx: Context) -> None:
    async with connect(ctx) as one:
        await one.get("/nothing")
        answer = await one.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = 'volano_http_request_seconds_count{method="GET",route="",status="4xx"} 1'
    assert line in answer.text.splitlines()
    assert 'volano_jobs{topic="things.made",state="queued"} 3' in answer.text.splitlines()


async def test_the_figures_are_there_while_the_database_is_away(ctx: Context) -> None:
    async def away(ctx: Context) -> Sequence[Level]:
        raise DatabaseUnavailable(reason="away")

    async with connect(ctx, replace(ABOUT, levels=away)) as one:
        answer = await one.get("/metrics")

    assert answer.status_code == 200
    assert "volano_jobs" not in answer.text


async def test_many_who_ask_look_at_the_database_once(ctx: Context) -> None:
    looks = 0

    async def counted(ctx: Context) -> Sequence[Level]:
        nonlocal looks
        looks += 1
        return ()

    async with connect(ctx, replace(ABOUT, levels=counted)) as one:
        for _ in range(5):
            await one.get("/metrics")

    assert looks == 1


async def test_the_first_page_says_what_runs_here(ctx: Context) -> None:
    async with connect(ctx) as one:
        page = (await one.get("/")).text

    assert "Volano" in page
    assert "1.2.3" in page
    assert "api · worker" in page
    assert "Ready" in page
    assert "<b>12,345</b> &lt;records&gt;" in page


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/docs/docs.js", "/api/docs/style.css"])
async def test_the_pages_are_self_contained_and_strict(ctx: Context, path: str) -> None:
    async with connect(ctx) as one:
        answer = await one.get(path)

    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert re.findall(r"https?://|//[a-z]|style=|onclick=|innerHTML", answer.text) == []


async def test_a_page_may_be_linked_to_with_a_query(ctx: Context) -> None:
    async with connect(ctx) as one:
        page, operation = await one.get("/?from=mail"), await one.get("/healthz?from=mail")

    assert (page.status_code, operation.status_code) == (200, 422)


async def test_no_other_file_is_served(ctx: Context) -> None:
    async with connect(ctx) as one:
        statuses = {
            (await one.get(f"/api/docs/{name}")).status_code
            for name in ("home.html", "docs.html", "..%2fserver.py", "__init__.py")
        }

    assert statuses <= {404, 422}


async def test_what_is_not_of_the_api_goes_to_the_fallback(ctx: Context) -> None:
    async def bundle(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"bundle"})

    async with connect(ctx, fallback=bundle) as one:
        game, api = await one.get("/game"), await one.get("/api/game")

    assert (game.text, api.status_code) == ("bundle", 404)
    assert game.headers["x-content-type-options"] == "nosniff"


def test_all_operations_can_be_listed_for_a_test_to_walk(routes: Routes) -> None:
    @routes.get("/{id}", allow=PUBLIC)
    async def show(ctx: Context, who: None, id: str, *, limit: int = 5) -> Thing:
        raise AssertionError

    listed = {
        (o.method, o.path, o.allow, tuple(p.wire for p in o.parameters))
        for o in operations_of([routes], ABOUT)
    }

    assert ("GET", "/api/v1/things/{id}", "public", ("id", "limit")) in listed
    assert ("GET", "/healthz", "public", ()) in listed
