"""Background work is listed, looked into and tried again by who runs the workspace."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stages import Connect, until
from volano.core.bus import open_bus
from volano.core.context import Context
from volano.core.jobs import Handlers, Job, Worker
from volano.loop import upkeep
from volano.schemas.accounts import Who
from volano.schemas.jobs import JobInfo, JobMissing, NotDead, Requeue

handlers = Handlers()


@handlers.on("thing.made")
async def lose(ctx: Any, job: Job) -> None:
    raise KeyError("the thing")


@handlers.on("another.topic")
async def refuse(ctx: Any, job: Job) -> None:
    raise ValueError("no thing")


async def sent(ctx: Context, workspace: str, topic: str = "thing.made") -> str:
    async with ctx.db.begin(workspace) as tx:
        return await ctx.jobs.send(tx, topic, {"thing": 1}, max_attempts=1)


async def test_a_worker_that_cannot_listen_works_all_the_same(
    server: Context, boss: Who, tmp_path: Path
) -> None:
    deaf = replace(server, bus=open_bus("local:", folder=tmp_path / "bus"))
    (tmp_path / "bus").rmdir()
    (tmp_path / "bus").write_text("in the way")

    (job,) = await dead(deaf, boss, await sent(server, boss.workspace))

    assert job.failure["type"] == "KeyError"
    await deaf.bus.aclose()


async def dead(ctx: Context, who: Who, *ids: str) -> list[JobInfo]:
    """Wait until these jobs have failed for good, while a worker runs."""

    async def all_dead() -> list[JobInfo] | None:
        found = [await upkeep.job(ctx, who, id) for id in ids]
        return found if all(job.state == "dead" for job in found) else None

    worker = Worker(ctx, handlers)
    running = asyncio.create_task(worker.run())
    try:
        return await until(all_dead)
    finally:
        worker.stop()
        await running


async def test_a_dead_job_shows_why_and_can_be_tried_again(
    server: Context, boss: Who, connect: Connect
) -> None:
    id = await sent(server, boss.workspace)
    await dead(server, boss, id)
    http = await connect("admin")
    shown = (await http.get(f"/jobs/{id}")).json()
    assert shown["topic"] == "thing.made"
    assert shown["payload"] == {"thing": 1}
    assert shown["failure"]["type"] == "KeyError"
    assert "the thing" in shown["failure"]["message"]
    answer = await http.post("/jobs/requeue", json={"ids": [id]})
    assert answer.json() == {"jobs": 1}
    again = (await http.get(f"/jobs/{id}")).json()
    assert again["state"] == "queued"
    (failed,) = await dead(server, boss, id)
    assert failed.attempt == 2


async def test_jobs_are_listed_newest_first_by_state_and_topic_page_by_page(
    server: Context, boss: Who, connect: Connect
) -> None:
    old, new = await sent(server, boss.workspace), await sent(server, boss.workspace)
    await dead(server, boss, old, new)
    waiting = await sent(server, boss.workspace, "another.topic")
    http = await connect("admin")
    listed = (await http.get("/jobs", params={"limit": 2})).json()
    assert [job["id"] for job in listed["items"]] == [waiting, new]
    rest = (await http.get("/jobs", params={"limit": 2, "after": listed["next"]})).json()
    assert [job["id"] for job in rest["items"]] == [old]
    assert rest["next"] is None
    by_state = (await http.get("/jobs", params={"state": "dead"})).json()
    assert [job["id"] for job in by_state["items"]] == [new, old]
    by_topic = (await http.get("/jobs", params={"topic": "another.topic"})).json()
    assert [job["id"] for job in by_topic["items"]] == [waiting]
    refused = await http.get("/jobs", params={"after": "nonsense"})
    assert refused.json()["code"] == "cursor-refused"


async def test_a_job_that_is_not_dead_is_refused_and_none_is_requeued(
    server: Context, boss: Who
) -> None:
    failed = await sent(server, boss.workspace)
    await dead(server, boss, failed)
    waiting = await sent(server, boss.workspace)
    with pytest.raises(NotDead) as refused:
        await upkeep.requeue(server, boss, Requeue(ids=[failed, waiting]))
    assert refused.value.facts == {"id": waiting, "state": "queued"}
    assert (await upkeep.job(server, boss, failed)).state == "dead"
    with pytest.raises(JobMissing):
        await upkeep.requeue(server, boss, Requeue(ids=[failed, "job_unknown"]))


async def test_jobs_that_failed_alike_are_requeued_and_others_stay(
    server: Context, boss: Who
) -> None:
    one, alike = await sent(server, boss.workspace), await sent(server, boss.workspace)
    other = await sent(server, boss.workspace, "another.topic")
    failed = await dead(server, boss, one, alike, other)
    assert failed[0].signature is not None
    assert failed[0].signature == failed[1].signature != failed[2].signature
    requeued = await upkeep.requeue(server, boss, Requeue(signature=failed[0].signature))
    assert requeued.jobs == 2
    assert (await upkeep.job(server, boss, other)).state == "dead"


async def test_jobs_of_another_workspace_are_neither_shown_nor_requeued(
    server: Context, boss: Who, outsider: Who
) -> None:
    id = await sent(server, boss.workspace)
    await dead(server, boss, id)
    page = await upkeep.jobs(server, outsider, state=None, topic=None, after="", limit=10)
    assert id not in [job.id for job in page.items]
    with pytest.raises(JobMissing):
        await upkeep.job(server, outsider, id)
    with pytest.raises(JobMissing):
        await upkeep.requeue(server, outsider, Requeue(ids=[id]))
    assert (await upkeep.requeue(server, outsider, Requeue())).jobs == 0
    assert (await upkeep.job(server, boss, id)).state == "dead"


async def test_the_doctor_tells_dead_jobs_and_requeues_them_when_asked(
    server: Context, boss: Who
) -> None:
    id = await sent(server, boss.workspace)
    await dead(server, boss, id)
    told = await upkeep.examine(server)
    assert not told.healthy
    assert told.requeued == 0
    (letters,) = told.dead[boss.workspace]
    assert letters.jobs == 1
    mended = await upkeep.examine(server, requeue=True)
    assert mended.healthy
    assert mended.requeued == 1
    assert (await upkeep.job(server, boss, id)).state == "queued"
    assert (await upkeep.examine(server)).dead == {}
