"""Fencing: an old attempt writes nothing; and the whole ledger against a model."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.core.jobs.test_fair import LEDGER, claim, finish
from tests.core.jobs.test_ledger import expire, send, state, sweep
from volano.core.db import EVERYWHERE, Database
from volano.core.jobs import lease as leases
from volano.core.jobs.lease import Lease
from volano.core.jobs.ledger import clock, recount
from volano.core.jobs.retry import Decision
from volano.core.jobs.tables import jobs, queues
from volano.schemas.jobs import LeaseLost

WHY = {"signature": "s", "class": "user", "type": "E", "message": ""}


async def complete(db: Database, lease: Lease) -> None:
    await finish(db, lease)


async def fail(db: Database, lease: Lease) -> None:
    async with db.begin(lease.workspace) as tx:
        await leases.fail(tx, lease, Decision(False, 0), WHY)


async def bury(db: Database, lease: Lease) -> None:
    async with db.begin(lease.workspace) as tx:
        await leases.fail(tx, lease, Decision(False, None), WHY)


async def give_back(db: Database, lease: Lease) -> None:
    async with db.begin(lease.workspace) as tx:
        await leases.give_back(tx, lease)


async def end(db: Database, lease: Lease) -> None:
    async with db.begin(lease.workspace) as tx:
        await leases.cancel(tx, lease)


async def note(db: Database, lease: Lease) -> None:
    async with db.begin(lease.workspace) as tx:
        await leases.note(tx, lease, {"x": 1})


@pytest.mark.parametrize("verb", [complete, fail, bury, give_back, end, note])
async def test_an_old_attempt_writes_nothing(db: Database, verb: Any) -> None:
    job = await send(db)
    (zombie,) = await claim(db, by="w")
    await expire(db)
    await sweep(db)
    (heir,) = await claim(db, by="w")  # the same worker: the attempt alone tells them apart
    with pytest.raises(LeaseLost):
        await verb(db, zombie)
    assert await state(db, job) == "running"
    await finish(db, heir)
    with pytest.raises(LeaseLost):
        await verb(db, heir)
    assert await recount(db) == []


async def test_a_heartbeat_extends_only_the_worker_s_own_leases(db: Database) -> None:
    for _ in range(2):
        await send(db)
    (mine,), (other,) = await claim(db, by="a"), await claim(db, by="b")
    await expire(db)
    async with db.begin(EVERYWHERE) as tx:
        rows = await leases.beat(tx, "a", ["thing.made"], 60_000)
    assert [(r.id, r.attempt, bool(r.cancel_requested)) for r in rows] == [(mine.id, 1, False)]
    await sweep(db)
    assert (await state(db, mine.id), await state(db, other.id)) == ("running", "queued")


async def clock_ms(db: Database) -> int:
    async with db.read(EVERYWHERE) as tx:
        return round((await clock(tx)).timestamp() * 1000)


async def stored_ms(db: Database, lease: Lease, column: str) -> int:
    async with db.read(EVERYWHERE) as tx:
        kept = sa.type_coerce(jobs.c[column], sa.BigInteger)
        return int(await tx.scalar(sa.select(kept).where(jobs.c.id == lease.id)))


async def test_a_lease_is_as_long_as_was_asked_for_by_the_database_s_clock(db: Database) -> None:
    await send(db)
    before = await clock_ms(db)
    (lease,) = await claim(db)  # for 60 s
    assert before + 60_000 <= await stored_ms(db, lease, "lease_until")
    assert await stored_ms(db, lease, "lease_until") <= await clock_ms(db) + 60_000
    before = await clock_ms(db)
    async with db.begin(EVERYWHERE) as tx:
        await leases.beat(tx, "w", ["thing.made"], 7_000)
    assert before + 7_000 <= await stored_ms(db, lease, "lease_until")
    assert await stored_ms(db, lease, "lease_until") <= await clock_ms(db) + 7_000


async def test_a_failed_job_is_due_after_the_delay_in_milliseconds(db: Database) -> None:
    await send(db)
    (lease,) = await claim(db)
    before = await clock_ms(db)
    async with db.begin(lease.workspace) as tx:
        await leases.fail(tx, lease, Decision(False, 90_000), WHY)
    assert before + 90_000 <= await stored_ms(db, lease, "run_at")
    assert await stored_ms(db, lease, "run_at") <= await clock_ms(db) + 90_000


@pytest.mark.parametrize(("until_ms", "after"), [(30_000, "running"), (-1, "queued")])
async def test_only_a_lease_that_is_over_is_taken_away(
    db: Database, until_ms: int, after: str
) -> None:
    job = await send(db)
    await claim(db)
    now = await clock_ms(db)
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.update(jobs).values(lease_until=now + until_ms))
    await sweep(db)
    assert await state(db, job) == after
    assert await recount(db) == []


@pytest.mark.parametrize(("due_ms", "after"), [(30_000, "scheduled"), (0, "queued")])
async def test_a_delayed_job_is_queued_when_its_time_has_come(
    db: Database, due_ms: int, after: str
) -> None:
    async with db.begin("ws_a") as tx:
        job = await LEDGER.send(tx, "t", {}, run_at=await clock(tx) + timedelta(hours=1))
    now = await clock_ms(db)
    async with db.begin(EVERYWHERE) as tx:
        await tx.run(sa.update(jobs).values(run_at=now + due_ms))
    await sweep(db)
    assert await state(db, job) == after
    assert await recount(db) == []


class LedgerMachine(RuleBasedStateMachine):
    """Every verb in any order, in three workspaces; the model is a dict of states and attempts."""

    make_database: Callable[[], str]
    held = Bundle("held")
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model: dict[str, tuple[str, int]] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.asked: set[str] = set()
        self.lost: dict[str, int] = {}
        self.place: dict[str, str] = {}

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        self.db = self.run(Database.open(type(self).make_database()))

    def teardown(self) -> None:
        self.run(self.db.close())
        self.runner.close()

    @rule(
        target=sent,
        workspace=st.sampled_from("abc"),
        key=st.none() | st.sampled_from("xyz"),
        later=st.booleans(),
        priority=st.integers(0, 2),
    )
    def send(self, workspace: str, key: str | None, later: bool, priority: int) -> str:
        job: str = self.run(self._send(workspace, key, later, priority))
        known = self.keys.get((workspace, key)) if key else None
        assert known in (None, job)
        if known is None:
            self.model[job] = ("scheduled" if later else "queued", 0)
            self.place[job] = workspace
            if key:
                self.keys[workspace, key] = job
        return job

    async def _send(self, workspace: str, key: str | None, later: bool, priority: int) -> str:
        async with self.db.begin(workspace) as tx:
            run_at = await clock(tx) + timedelta(hours=1) if later else None
            return await LEDGER.send(tx, "t", {}, key=key, run_at=run_at, priority=priority)

    @rule(target=held, limit=st.integers(1, 3))
    def claim(self, limit: int) -> Any:
        got = self.run(claim(self.db, limit))
        queued = [job for job, (now, _) in self.model.items() if now == "queued"]
        assert bool(got) == bool(queued)
        for lease in got:
            assert self.model[lease.id] == ("queued", lease.attempt - 1)
            self.model[lease.id] = ("running", lease.attempt)
        return multiple(*got)

    @rule(lease=consumes(held), verb=st.sampled_from([complete, fail, bury, give_back, end]))
    def end(self, lease: Lease, verb: Any) -> None:
        after = {
            complete: "done",
            fail: "scheduled",
            bury: "dead",
            give_back: "queued",
            end: "cancelled",
        }
        if self.model[lease.id] != ("running", lease.attempt):
            with pytest.raises(LeaseLost):
                self.run(verb(self.db, lease))
            return
        self.run(verb(self.db, lease))
        self.model[lease.id] = (after[verb], lease.attempt)

    @rule(job=sent)
    def cancel(self, job: str) -> None:
        now, attempt = self.model[job]
        is_over = self.run(self._cancel(job))
        assert is_over == (now in ("queued", "scheduled", "cancelled"))
        if now in ("queued", "scheduled"):
            self.model[job] = ("cancelled", attempt)
        elif now == "running":
            self.asked.add(job)

    async def _cancel(self, job: str) -> bool:
        async with self.db.begin(self.place[job]) as tx:
            return await LEDGER.cancel(tx, job)

    @rule()
    def lose_all_workers(self) -> None:
        self.run(expire(self.db))
        self.run(sweep(self.db))
        for job, (now, attempt) in self.model.items():
            if now != "running":
                continue
            self.lost[job] = self.lost.get(job, 0) + 1
            after = "dead" if self.lost[job] >= 5 else "queued"
            self.model[job] = ("cancelled" if job in self.asked else after, attempt)
        self._wake_due()

    @rule()
    def pass_an_hour(self) -> None:
        self.run(self._make_due())
        self.run(sweep(self.db))
        self._wake_due(everything=True)

    async def _make_due(self) -> None:
        async with self.db.begin(EVERYWHERE) as tx:
            waiting = sa.update(jobs).where(jobs.c.state == "scheduled")
            await tx.run(waiting.values(run_at=0))

    def _wake_due(self, everything: bool = False) -> None:
        """Failed jobs are due at once, delayed ones only after the hour: attempt 0 tells."""
        for job, (now, attempt) in self.model.items():
            if now == "scheduled" and (everything or attempt):
                self.model[job] = ("queued", attempt)

    @invariant()
    def the_ledger_agrees(self) -> None:
        if not hasattr(self, "db"):
            return
        assert self.run(self._states()) == self.model
        assert self.run(recount(self.db)) == []
        assert all(row.pending >= 0 and row.running >= 0 for row in self.run(self._counters()))

    async def _states(self) -> dict[str, tuple[str, int]]:
        async with self.db.read(EVERYWHERE) as tx:
            rows = await tx.all(sa.select(jobs.c.id, jobs.c.state, jobs.c.attempt))
        return {row.id: (row.state, row.attempt) for row in rows}

    async def _counters(self) -> Any:
        async with self.db.read(EVERYWHERE) as tx:
            return await tx.all(sa.select(queues.c.pending, queues.c.running))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_ledger_behaves_like_its_model(
    kind: str, request: pytest.FixtureRequest, sqlite_template: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:

        def fresh_file() -> str:
            path = Path(folder) / f"{len(list(Path(folder).glob('*.db')))}.db"
            shutil.copyfile(sqlite_template, path)
            return f"sqlite:///{path}"

        def emptied() -> str:
            url: str = request.getfixturevalue("postgres_url")
            asyncio.run(_empty(url))
            return url

        class Machine(LedgerMachine):
            make_database = staticmethod(fresh_file if kind == "sqlite" else emptied)

        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=checks
            ),
        )


async def _empty(url: str) -> None:
    db = await Database.open(url)
    async with db.begin(EVERYWHERE) as tx:
        for table in (jobs, queues):
            await tx.run(sa.delete(table))
    await db.close()
