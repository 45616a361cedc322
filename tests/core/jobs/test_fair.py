"""Shares between workspaces: weights, idleness, caps, many claimers."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from volano.core.db import EVERYWHERE, Database, Tx
from volano.core.jobs import Ledger, fair, reaper
from volano.core.jobs import lease as leases
from volano.core.jobs.completion import Completions
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import recount
from volano.core.jobs.tables import jobs, queues

LEDGER = Ledger()


async def send(db: Database, workspace: str, n: int, **options: Any) -> None:
    async with db.begin(workspace) as tx:
        for _ in range(n):
            await LEDGER.send(tx, "thing.made", {}, **options)


async def share(db: Database, workspace: str, **options: Any) -> None:
    async with db.begin(workspace) as tx:
        await LEDGER.share(tx, **options)


async def claim(db: Database, limit: int = 1, by: str = "w") -> list[Lease]:
    async def body(tx: Tx) -> list[Lease]:
        rows = await fair.claim(tx, by, ["default"], limit, 60_000)
        return [Lease.of(row, by) for row in rows]

    return await db.run(EVERYWHERE, body)


async def finish(db: Database, lease: Lease) -> None:
    member = Completions(db).join(lease)
    await member.turn
    member.leave(kept=True)
    await member.committed


async def served(db: Database, n: int, limit: int = 1) -> list[str]:
    """The workspaces of the next n jobs, each done before the next claim."""
    order: list[str] = []
    while len(order) < n and (got := await claim(db, limit)):
        for lease in got:
            order.append(lease.workspace)
            await finish(db, lease)
    return order


async def test_a_small_workspace_does_not_wait_behind_a_large_backlog(db: Database) -> None:
    await send(db, "large", 300)
    await send(db, "small", 10)
    assert Counter(await served(db, 20)) == {"large": 10, "small": 10}
    assert await recount(db) == []


@pytest.mark.parametrize("limit", [1, 5])
async def test_weights_are_respected(db: Database, limit: int) -> None:
    await share(db, "three", weight=3.0)
    await send(db, "three", 200)
    await send(db, "one", 200)
    counts = Counter(await served(db, 120, limit))
    assert abs(counts["three"] - 90) <= 3 * limit


async def test_shares_are_of_cost_not_of_jobs(db: Database) -> None:
    await send(db, "dear", 100, cost=4.0)
    await send(db, "cheap", 100, cost=1.0)
    counts = Counter(await served(db, 50))
    assert abs(counts["cheap"] - 40) <= 2


async def test_an_idle_workspace_comes_back_without_credit(db: Database) -> None:
    await send(db, "idle", 1)
    await send(db, "busy", 100)
    await served(db, 61)
    await send(db, "idle", 100)
    assert abs(Counter(await served(db, 40))["idle"] - 20) <= 1


async def test_a_workspace_that_worked_alone_comes_back_without_debt(db: Database) -> None:
    await send(db, "alone", 100)
    await served(db, 100)
    await send(db, "new", 40)
    await send(db, "alone", 40)
    assert abs(Counter(await served(db, 40))["alone"] - 20) <= 1


async def test_one_dear_job_at_a_time_gets_no_more_than_an_equal_share_of_the_cost(
    db: Database,
) -> None:
    """It is idle before each: what it received beyond its share must not be forgotten then."""
    await send(db, "backlog", 150)
    await send(db, "dear", 1, cost=10.0)
    cost = Counter[str]()
    for _ in range(110):
        (lease,) = await claim(db)
        await finish(db, lease)
        cost[lease.workspace] += 10 if lease.workspace == "dear" else 1
        if lease.workspace == "dear":
            await send(db, "dear", 1, cost=10.0)
    assert abs(cost["dear"] - cost["backlog"]) <= 10


async def test_one_claim_for_many_slots_goes_to_many_workspaces(db: Database) -> None:
    await share(db, "three", weight=3.0)
    for workspace in ("three", "one", "late"):
        await send(db, workspace, 40)
    counts = Counter(lease.workspace for lease in await claim(db, 15))
    assert counts == {"three": 9, "one": 3, "late": 3}
    assert await recount(db) == []


async def test_one_claim_takes_all_where_nobody_else_waits(db: Database) -> None:
    await send(db, "ws", 40)
    await share(db, "capped", max_running=1)
    await send(db, "capped", 5)
    counts = Counter(lease.workspace for lease in await claim(db, 20))
    assert counts == {"ws": 19, "capped": 1}
    assert await recount(db) == []


async def test_priority_then_age_decide_within_a_workspace(db: Database) -> None:
    async with db.begin("ws") as tx:
        wanted = [await LEDGER.send(tx, "t", {}, priority=p) for p in (0, 5, 0, 5)]
    order = [lease.id for _ in range(4) for lease in await claim(db)]
    assert order == [wanted[1], wanted[3], wanted[0], wanted[2]]


async def test_a_cap_is_filled_and_not_passed(db: Database) -> None:
    await share(db, "ws", max_running=2)
    await send(db, "ws", 4)
    first, second = await claim(db, 5)
    assert await claim(db, 5) == []
    await finish(db, first)
    assert len(await claim(db, 5)) == 1
    await finish(db, second)
    assert await recount(db) == []


async def test_many_claimers_do_not_pass_a_cap(db: Database) -> None:
    await share(db, "ws", max_running=2)
    await send(db, "ws", 60)
    running, most = 0, 0

    async def work(by: str) -> None:
        nonlocal running, most
        async with asyncio.timeout(30):
            while await left(db):
                for lease in await claim(db, 5, by):
                    running += 1
                    most = max(most, running)
                    await asyncio.sleep(0.001)
                    running -= 1
                    await finish(db, lease)

    await asyncio.gather(*(work(f"w{n}") for n in range(6)))
    assert most in (1, 2)
    assert await recount(db) == []


async def left(db: Database) -> int:
    async with db.read(EVERYWHERE) as tx:
        return int(await tx.scalar(sa.select(sa.func.sum(queues.c.pending + queues.c.running))))


async def test_eight_claimers_never_share_a_job(db: Database) -> None:
    for workspace in ("a", "b", "c"):
        await send(db, workspace, 80)
    seen: list[str] = []

    async def work(by: str) -> None:
        async with asyncio.timeout(60):
            while await left(db):
                for lease in await claim(db, 3, by):
                    seen.append(lease.id)
                    await finish(db, lease)

    await asyncio.gather(*(work(f"w{n}") for n in range(8)))
    assert len(seen) == len(set(seen)) == 240
    assert await recount(db) == []


async def test_recount_finds_and_repairs_a_counter_that_is_wrong(db: Database) -> None:
    await send(db, "ws", 3)
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.update(queues).values(pending=7, running=1))
    assert await recount(db, repair=True) == [("ws", "default")]
    assert await recount(db) == []
    assert len(await served(db, 10)) == 3
    async with db.read(EVERYWHERE) as tx:
        assert await tx.all(sa.select(jobs.c.state).distinct()) == [("done",)]


async def test_no_statement_of_the_hot_path_reads_a_whole_table(sqlite_url: str) -> None:
    ran: dict[str, Any] = {}

    def note(connection: Any, cursor: Any, sql: str, values: Any, *rest: Any) -> None:
        ran[sql] = values[0] if isinstance(values, list) else values

    db = await Database.open(sqlite_url)
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        for workspace in ("ws", "other", "third"):
            await send(db, workspace, 2)
        lease, *others = await claim(db, 16)
        assert len(others) == 5
        async with db.begin(EVERYWHERE) as tx:
            await leases.beat(tx, "w", ["thing.made"], 1000)
        await finish(db, lease)
        await reaper.sweep(db, LEDGER, every_s=0)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
        await db.close()
    path = sa.make_url(sqlite_url).database or ""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        steps = {
            (step[3], sql)
            for sql, values in ran.items()
            for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
            if step[3].startswith(("SCAN jobs", "SCAN job_queues", "SCAN others"))
        }
    assert len(ran) > 10
    # A partial index may be read whole: it holds only the rows in question.
    assert {step for step in steps if " ix_job" not in step[0]} == set()
