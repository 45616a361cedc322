"""Jobs that end at the same time: one transaction for all, each with effects of its own."""

import asyncio
import contextlib
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.jobs.test_fair import LEDGER, claim
from tests.core.jobs.test_ledger import send, state
from volano.core.db import EVERYWHERE, Database, Tx
from volano.core.jobs.completion import Completions, Member
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import recount
from volano.core.jobs.tables import jobs
from volano.schemas.common import DatabaseContended, DatabaseUnavailable
from volano.schemas.jobs import LeaseLost


async def claimed(db: Database, count: int) -> list[Lease]:
    for n in range(count):
        await send(db, f"ws_{n % 3}")
    leases: list[Lease] = []
    while got := await claim(db, 5):
        leases += got
    return leases


async def write(db: Database, member: Member, effect: Any = None) -> None:
    """Complete a job as its task does, with a message of its own as the effect."""
    try:
        async with (await member.turn).nested(member.lease.workspace) as tx:
            await LEDGER.send(tx, "thing.listed", {"of": member.lease.id}, queue="listed")
            if effect is not None:
                await effect(tx)
        member.leave(kept=True)
        await member.committed
    finally:
        member.leave(kept=False)


async def listed(db: Database) -> set[str]:
    """The jobs whose effects are there."""
    async with db.read(EVERYWHERE) as tx:
        rows = await tx.all(sa.select(jobs.c.payload).where(jobs.c.topic == "thing.listed"))
    assert len(rows) == len({row.payload["of"] for row in rows})
    return {row.payload["of"] for row in rows}


async def in_state(db: Database, wanted: str) -> set[str]:
    async with db.read(EVERYWHERE) as tx:
        made = sa.select(jobs.c.id).where(jobs.c.topic == "thing.made", jobs.c.state == wanted)
        return {row.id for row in await tx.all(made)}


async def test_jobs_that_end_together_are_marked_done_by_one_statement(db: Database) -> None:
    leases = await claimed(db, 12)
    completions, ran = Completions(db), []

    def note(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
        ran.append(sql)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        members = [completions.join(lease) for lease in leases]
        for member in members:
            await member.turn
            member.leave(kept=True)
        await asyncio.gather(*(member.committed for member in members))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)

    assert await in_state(db, "done") == {lease.id for lease in leases}
    assert len(ran) == 2, "one for the jobs, one for the slots of all workspaces"
    assert await recount(db) == []


async def test_the_effects_of_every_job_are_kept_with_its_end(db: Database) -> None:
    leases = await claimed(db, 6)
    completions = Completions(db)
    await asyncio.gather(*(write(db, completions.join(lease)) for lease in leases))
    assert await listed(db) == {lease.id for lease in leases}
    assert await in_state(db, "done") == {lease.id for lease in leases}


async def test_a_job_whose_effects_fail_is_running_again_and_takes_no_other_with_it(
    db: Database,
) -> None:
    leases = await claimed(db, 6)
    completions = Completions(db)

    async def fail(tx: Tx) -> None:
        raise ZeroDivisionError

    async def violate(tx: Tx) -> None:
        (row,) = await tx.all(tx.select(jobs).where(jobs.c.topic == "thing.made").limit(1))
        await tx.run(tx.insert(jobs), [{k: v for k, v in row._mapping.items() if k != "workspace"}])

    effects = [None, fail, None, violate, None, None]
    outcomes = await asyncio.gather(
        *(
            write(db, completions.join(at), effect)
            for at, effect in zip(leases, effects, strict=True)
        ),
        return_exceptions=True,
    )

    kinds = [type(outcome) for outcome in outcomes if outcome is not None]
    assert kinds == [ZeroDivisionError, sa.exc.IntegrityError]
    kept = {lease.id for lease, outcome in zip(leases, outcomes, strict=True) if outcome is None}
    assert await in_state(db, "done") == kept
    assert await in_state(db, "running") == {lease.id for lease in leases} - kept
    assert await listed(db) == kept
    assert await recount(db) == []
    again = [lease for lease in leases if lease.id not in kept]
    await asyncio.gather(*(write(db, completions.join(lease)) for lease in again))
    assert await in_state(db, "running") == set()


async def test_a_lost_lease_is_told_to_its_job_alone(db: Database) -> None:
    leases = await claimed(db, 4)
    async with db.begin(EVERYWHERE) as tx:
        taken = sa.update(jobs).where(jobs.c.id.in_([leases[0].id, leases[2].id]))
        await tx.run(taken.values(attempt=jobs.c.attempt + 1, worker="another"))
    completions = Completions(db)

    outcomes = await asyncio.gather(
        *(write(db, completions.join(lease)) for lease in leases), return_exceptions=True
    )

    lost = [outcome for outcome in outcomes if isinstance(outcome, LeaseLost)]
    assert [error.facts["id"] for error in lost] == [leases[0].id, leases[2].id]
    assert await in_state(db, "done") == {leases[1].id, leases[3].id}
    assert await listed(db) == {leases[1].id, leases[3].id}
    assert await recount(db) == []


async def test_a_job_that_is_cancelled_while_it_waits_is_left_out(db: Database) -> None:
    leases = await claimed(db, 5)
    completions, first_is_in, go_on = Completions(db), asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        first_is_in.set()
        await go_on.wait()

    tasks = [
        asyncio.create_task(
            write(db, completions.join(lease), hold if lease is min(leases) else None)
        )
        for lease in leases
    ]
    await first_is_in.wait()
    last = leases.index(max(leases))
    tasks[last].cancel()
    await asyncio.wait([tasks[last]])
    go_on.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert await in_state(db, "running") == {max(leases).id}
    assert await listed(db) == {lease.id for lease in leases} - {max(leases).id}
    assert await recount(db) == []


async def test_a_job_that_ends_meanwhile_is_in_the_next_group(db: Database) -> None:
    first, second = await claimed(db, 2)
    completions, is_in, go_on = Completions(db), asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        is_in.set()
        await go_on.wait()

    early = asyncio.create_task(write(db, completions.join(first), hold))
    await is_in.wait()
    late = asyncio.create_task(write(db, completions.join(second)))
    go_on.set()
    await asyncio.gather(early, late)
    await completions.drain()
    assert await listed(db) == {first.id, second.id}


async def test_a_database_that_is_away_is_told_to_every_job_of_the_group(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, patience_s=0.2)
    leases = await claimed(db, 3)
    completions = Completions(db)
    path = sa.make_url(sqlite_url).database or ""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(
            *(write(db, completions.join(lease)) for lease in leases), return_exceptions=True
        )
        other.execute("ROLLBACK")
    assert [type(outcome) for outcome in outcomes] == [DatabaseContended] * 3
    assert [await state(db, lease.id, lease.workspace) for lease in leases] == ["running"] * 3
    await asyncio.gather(*(write(db, completions.join(lease)) for lease in leases))
    assert await listed(db) == {lease.id for lease in leases}
    await db.close()


async def test_a_writer_that_stays_busy_is_told_to_every_job_of_the_group(sqlite_url: str) -> None:
    db = await Database.open(sqlite_url, patience_s=0.2)
    leases = await claimed(db, 3)
    completions = Completions(db)
    async with db.begin("ws_a"):
        outcomes = await asyncio.gather(
            *(write(db, completions.join(lease)) for lease in leases), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
    await asyncio.gather(*(write(db, completions.join(lease)) for lease in leases))
    assert await listed(db) == {lease.id for lease in leases}
    await db.close()


async def test_a_lease_is_its_worker_s_alone(db: Database) -> None:
    (lease,) = await claimed(db, 1)
    with pytest.raises(LeaseLost):
        await write(db, Completions(db).join(replace(lease, worker="another")))
    assert await in_state(db, "running") == {lease.id}
    assert await listed(db) == set()


@pytest.mark.parametrize("is_kept", [True, False])
async def test_another_process_sees_effects_and_end_together_or_neither(
    db: Database, db_url: str, is_kept: bool
) -> None:
    (lease,) = await claimed(db, 1)
    completions = Completions(db)
    member = completions.join(lease)
    async with (await member.turn).nested(lease.workspace) as tx:
        await LEDGER.send(tx, "thing.listed", {"of": lease.id})
    if is_kept:
        member.leave(kept=True)
        await member.committed
    other = await Database.open(db_url)
    assert await listed(other) == ({lease.id} if is_kept else set())
    assert await state(other, lease.id, lease.workspace) == ("done" if is_kept else "running")
    await other.close()
    member.leave(kept=False)
    await completions.drain()
