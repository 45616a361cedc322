"""What a sender sees: messages, keys, delays, cancelling, schedules."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.core.jobs.test_fair import LEDGER, claim, finish, served
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import lease as leases
from volano.core.jobs import reaper
from volano.core.jobs.ledger import census, clock, heard_s, recount
from volano.core.jobs.retry import Decision
from volano.core.jobs.tables import duties, jobs, schedules
from volano.schemas.errors import Broken
from volano.schemas.jobs import BadCron, JobMissing

WS = "ws_a"


async def sweep(db: Database) -> None:
    await reaper.sweep(db, LEDGER, every_s=0)


async def state(db: Database, job_id: str, workspace: str = WS) -> str:
    async with db.read(workspace) as tx:
        return (await LEDGER.find(tx, job_id)).state


async def send(db: Database, workspace: str = WS, **options: object) -> str:
    async with db.begin(workspace) as tx:
        return await LEDGER.send(tx, "thing.made", {"n": 1}, **options)  # type: ignore[arg-type] # of send


async def test_a_message_goes_with_its_transaction(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.begin(WS) as tx:
            await LEDGER.send(tx, "thing.made", {})
            raise ZeroDivisionError
    assert await claim(db) == []
    assert await recount(db) == []


async def test_a_key_is_taken_once_per_workspace(db: Database) -> None:
    first = await send(db, key="k")
    assert await send(db, key="k") == first
    assert await send(db, "ws_b", key="k") != first
    assert len(await served(db, 10)) == 2
    assert await send(db, key="k") == first
    assert await served(db, 10) == []
    assert await recount(db) == []


async def test_a_message_needs_a_workspace(db: Database) -> None:
    with pytest.raises(Broken):
        async with db.begin(EVERYWHERE) as tx:
            await LEDGER.send(tx, "thing.made", {})


async def test_a_delayed_message_waits_for_its_time(db: Database) -> None:
    async with db.begin(WS) as tx:
        soon = await clock(tx) + timedelta(hours=1)
    job = await send(db, run_at=soon)
    await sweep(db)
    assert (await state(db, job), await claim(db)) == ("scheduled", [])
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.update(jobs).values(run_at=soon - timedelta(hours=2)))
    await sweep(db)
    assert [lease.id for lease in await claim(db)] == [job]
    assert await recount(db) == []


async def test_a_key_that_is_sent_unless_open_is_free_again_once_its_job_has_ended(
    db: Database,
) -> None:
    async def sent() -> str:
        async with db.begin(WS) as tx:
            return await LEDGER.send_unless_open(tx, "think", {}, key="alone")

    queued = [await sent() for _ in range(3)]
    (lease,) = await claim(db)
    running = await sent()
    assert {lease.id} == {*queued, running}
    await finish(db, lease)
    second = await sent()
    assert second != lease.id
    async with db.begin(WS) as tx:
        await LEDGER.cancel(tx, second)
    assert await sent() != second
    assert await recount(db) == []


async def dies(db: Database, job: str, *, after_s: float, ago_s: float) -> None:
    """Let the job fail for good: so long after it was first sent, and so long ago."""
    (lease,) = await claim(db)
    assert lease.id == job
    async with db.begin(WS) as tx:
        why = {"signature": "s", "class": "user", "type": "E", "message": ""}
        await leases.fail(tx, lease, Decision(False, None), why)
        died = round((await clock(tx)).timestamp() * 1000 - ago_s * 1000)
        times = {"finished_at": died, "created_at": died - round(after_s * 1000)}
        await tx.run(tx.update(jobs).where(jobs.c.id == job).values(**times))


@pytest.mark.parametrize(
    ("failing_s", "pause_s"),
    [(0, 60), (59, 60), (600, 600), (3599, 3599), (7200, 3600)],
)
async def test_a_job_that_failed_for_good_is_tried_again_itself_after_a_growing_pause(
    db: Database, failing_s: float, pause_s: float
) -> None:
    async def sent() -> str:
        async with db.begin(WS) as tx:
            return await LEDGER.send_unless_open(tx, "think", {}, key="alone")

    job = await sent()
    await dies(db, job, after_s=failing_s, ago_s=pause_s - 5)
    assert await sent() == job
    assert await state(db, job) == "dead"
    async with db.begin(WS) as tx:
        earlier = sa.type_coerce(jobs.c.finished_at, sa.BigInteger) - 6000
        begun = sa.type_coerce(jobs.c.created_at, sa.BigInteger) - 6000
        await tx.run(tx.update(jobs).values(finished_at=earlier, created_at=begun))
    assert await sent() == job
    assert await state(db, job) == "queued"
    (lease,) = await claim(db)
    assert lease.attempt == 2
    async with db.read(WS) as tx:
        assert await tx.scalar(tx.select(sa.func.count(jobs.c.id))) == 1
    await finish(db, lease)
    assert await recount(db) == []


async def test_a_queued_and_a_scheduled_job_are_cancelled_at_once(db: Database) -> None:
    async with db.begin(WS) as tx:
        later = await clock(tx) + timedelta(hours=1)
    for job in (await send(db), await send(db, run_at=later)):
        async with db.begin(WS) as tx:
            assert await LEDGER.cancel(tx, job)
        assert await state(db, job) == "cancelled"
    assert await claim(db) == []
    assert await recount(db) == []


async def test_an_ended_job_is_not_cancelled(db: Database) -> None:
    job = await send(db)
    await served(db, 1)
    async with db.begin(WS) as tx:
        assert not await LEDGER.cancel(tx, job)
    assert await state(db, job) == "done"


async def test_a_job_of_another_workspace_is_missing(db: Database) -> None:
    job = await send(db)
    for verb in (LEDGER.cancel, LEDGER.find):
        with pytest.raises(JobMissing):
            async with db.begin("ws_b") as tx:
                await verb(tx, job)


async def test_an_expired_lease_gives_the_job_to_another(db: Database) -> None:
    job = await send(db)
    await claim(db, by="zombie")
    await expire(db)
    await sweep(db)
    (lease,) = await claim(db, by="heir")
    assert (lease.id, lease.attempt) == (job, 2)
    await finish(db, lease)
    assert await recount(db) == []


async def test_a_job_that_lost_five_workers_is_dead(db: Database) -> None:
    job = await send(db)
    for _ in range(5):
        assert len(await claim(db)) == 1
        await expire(db)
        await sweep(db)
    assert await claim(db) == []
    async with db.read(WS) as tx:
        (letters,) = await LEDGER.dead(tx)
        assert (await LEDGER.find(tx, job)).system_failures == 5
    assert (letters.signature, letters.jobs) == ("worker-lost", 1)
    assert await recount(db) == []


async def test_a_lost_job_that_was_to_end_is_cancelled(db: Database) -> None:
    job = await send(db)
    await claim(db)
    async with db.begin(WS) as tx:
        await LEDGER.cancel(tx, job)
    await expire(db)
    await sweep(db)
    assert await state(db, job) == "cancelled"
    assert await recount(db) == []


async def expire(db: Database) -> None:
    async with db.begin(EVERYWHERE) as tx:
        running = sa.update(jobs).where(jobs.c.lease_until.is_not(None))
        await tx.run(running.values(lease_until=0))


async def test_a_sweep_is_one_workers_duty_at_a_time(db: Database) -> None:
    await sweep(db)
    await send(db)
    await claim(db)
    await expire(db)
    await reaper.sweep(db, LEDGER, every_s=3600)
    assert await claim(db) == []
    await sweep(db)
    assert len(await claim(db)) == 1


@pytest.mark.parametrize(("ago_s", "is_done"), [(29, False), (31, True)])
async def test_a_duty_is_done_again_after_so_many_seconds(
    db: Database, ago_s: int, is_done: bool
) -> None:
    await sweep(db)
    async with db.begin(EVERYWHERE) as tx:
        ago = sa.type_coerce(duties.c.done_at, sa.BigInteger) - ago_s * 1000
        await tx.run(sa.update(duties).values(done_at=ago))
    await send(db)
    await claim(db)
    await expire(db)
    await reaper.sweep(db, LEDGER, every_s=30)
    assert len(await claim(db)) == is_done


async def test_a_schedule_sends_once_for_each_time(db: Database) -> None:
    async with db.begin(WS) as tx:
        await LEDGER.schedule(tx, "nightly", "0 3 * * *", "thing.judged", {"all": True})
    await sweep(db)
    assert await claim(db) == []
    for day in (1, 2):
        async with db.begin(EVERYWHERE) as tx:
            earlier = await clock(tx) - timedelta(days=3 - day)
            await tx.run(sa.update(schedules).values(next_at=earlier))
        await sweep(db)
        await sweep(db)
        (lease,) = await claim(db)
        await finish(db, lease)
    async with db.begin(WS) as tx:
        sent = await tx.all(tx.select(jobs.c.topic, jobs.c.payload))
        assert sent == [("thing.judged", {"all": True})] * 2
        assert await LEDGER.unschedule(tx, "nightly")
        assert not await LEDGER.unschedule(tx, "nightly")


async def test_a_schedule_can_be_changed_and_must_be_a_cron_line(db: Database) -> None:
    async with db.begin(WS) as tx:
        for cron in ("0 3 * * *", "0 4 * * *"):
            await LEDGER.schedule(tx, "nightly", cron, "thing.judged", {})
        assert await tx.all(tx.select(schedules.c.cron)) == [("0 4 * * *",)]
    with pytest.raises(BadCron):
        async with db.begin(WS) as tx:
            await LEDGER.schedule(tx, "nightly", "often", "thing.judged", {})


async def test_jobs_that_ended_long_ago_are_forgotten(db: Database) -> None:
    old = await send(db, key="k")
    await served(db, 1)
    await send(db)
    async with db.begin(EVERYWHERE) as tx:
        ended = sa.update(jobs).where(jobs.c.id == old)
        await tx.run(ended.values(finished_at=jobs.c.created_at - 8 * 86_400_000))
    await sweep(db)
    async with db.read(WS) as tx:
        assert await tx.all(tx.select(jobs.c.state)) == [("queued",)]


async def test_the_census_counts_what_is_not_over_by_topic_and_state(db: Database) -> None:
    await send(db)
    await send(db, "ws_b")
    async with db.begin(WS) as tx:
        await LEDGER.send(tx, "later", {}, run_at=await clock(tx) + timedelta(hours=1))
    (taken,) = await claim(db)
    await send(db)
    await finish(db, taken)

    async with db.read(EVERYWHERE) as tx:
        counted = {(row.topic, row.state): row.n for row in await census(tx)}

    assert counted == {("thing.made", "queued"): 2, ("later", "scheduled"): 1}


async def test_a_sign_of_life_of_a_worker_is_heard(db: Database) -> None:
    async with db.read(EVERYWHERE) as tx:
        assert await heard_s(tx) is None
    await sweep(db)
    async with db.read(EVERYWHERE) as tx:
        assert 0 <= (await heard_s(tx) or 0) < 60
    async with db.begin(EVERYWHERE) as tx:
        ago = sa.type_coerce(duties.c.done_at, sa.BigInteger) - 3_600_000
        await tx.run(sa.update(duties).values(done_at=ago))
    async with db.read(EVERYWHERE) as tx:
        assert 3600 <= (await heard_s(tx) or 0) < 3660
