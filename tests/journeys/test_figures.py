"""What an operator sees: the figures of everything that goes on, and the first page."""

import httpx

from tests.stages import Connect, collect, imports, until, working
from volano.core.context import Context
from volano.schemas.accounts import Who


async def _read(client: httpx.AsyncClient, path: str) -> str:
    return (await client.get(f"http://test{path}")).text


async def test_jobs_rows_and_runs_are_figures(server: Context, boss: Who, connect: Connect) -> None:
    await collect(server, boss, imports(["circle", "square"], ["ada", "bob"], each=2))
    async with server.db.begin("home") as tx:
        await server.jobs.send(tx, "run.requested", {})

    lines = (await _read(await connect("reviewer"), "/metrics")).splitlines()

    assert 'volano_inbox_rows{stream="records"} 8' in lines
    assert 'volano_rows_total{stream="records"} 8' in lines
    assert 'volano_jobs{topic="run.requested",state="queued"} 1' in lines


async def test_the_first_page_says_whether_a_worker_is_there(
    server: Context, boss: Who, connect: Connect
) -> None:
    await collect(server, boss, imports(["circle"], ["ada"], each=1))
    client = await connect("reviewer")

    async def there() -> bool:
        return "api · worker" in await _read(client, "/")

    before = await _read(client, "/")
    async with working(server):
        await until(there)

    assert "api · no worker heard" in before
    for said in ("<b>1</b> drawing today", "<b>0</b> runs waiting", "<b>0</b> runs going on"):
        assert said in before
