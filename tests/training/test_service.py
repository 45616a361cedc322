"""A run in a process of its own: what it leaves is registered once, and every end is told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from textwrap import dedent, indent
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
import structlog

from tests.stages import claim, collect, imports, until, work_until, working
from volano.core import telemetry
from volano.core.compute import LocalCompute, ProcessSpec
from volano.core.compute.handle import LocalHandle
from volano.core.context import Context
from volano.core.jobs import Worker
from volano.core.jobs.lease import give_back
from volano.core.jobs.ledger import RUN
from volano.core.jobs.tables import jobs
from volano.data import service as data
from volano.evaluation import service as evaluation
from volano.registry import service as registry
from volano.registry import version_file
from volano.schemas.accounts import Who
from volano.schemas.common import new_id, utc_now
from volano.schemas.data import NewSnapshot, RecordFilter, Snapshot, SplitRule
from volano.schemas.errors import Missing
from volano.schemas.harness import BadParam
from volano.schemas.jobs import LeaseLost
from volano.schemas.registry import NewRun, Run, RunOver, UnknownRecipe
from volano.serving import service as serving
from volano.training import service
from volano.training.worker import handlers

GOOD = """
    (run.artefact / "model.onnx").write_bytes(b"graph")
    (run.artefact / "version.json").write_text('{"classes": ["circle", "square"]}')
"""
FOR_EVER = """
    import time
    while True:
        run.progress(1, 2)
        time.sleep(0.01)
"""


@pytest.fixture
async def snapshot(server: Context, boss: Who) -> Snapshot:
    """Two shapes by six people, frozen."""
    await collect(server, boss, imports(["square", "circle"], PEOPLE, each=2))
    return await _frozen(server, boss, "first")


Start = Callable[..., Awaitable[Run]]


@pytest.fixture
def start(server: Context, boss: Who, snapshot: Snapshot) -> Start:
    """`await start(body)` queues a run of a model whose `train` has this body (or several).

    Its file lies where its process will start; the recipes that are installed are found by name.
    """

    async def start(*bodies: str, figures: str = "{'accuracy': 0.5}", **facts: Any) -> Run:
        given = Run(
            id=new_id("run"),
            kind="training",
            state="queued",
            model="tiny",
            recipe="model.py",
            snapshot=snapshot.id,
            params={},
            seed=3,
            seconds=60.0,
            created_at=utc_now(),
            created_by=boss.member,
        )
        run = msgspec.structs.replace(given, **facts)
        async with server.db.begin(boss.workspace) as tx:
            job = await server.jobs.send(tx, service.REQUESTED, {"run": run.id}, queue=RUN)
            await registry.add_run(tx, run, job)
        for attempt in ("1", "2"):
            folder = server.settings.home_path / "runs" / run.id / attempt
            folder.mkdir(parents=True)
            (folder / "model.py").write_text(_source(bodies, figures))
        return run

    return start


def _source(bodies: Iterable[str], figures: str) -> str:
    train = indent("\n".join(map(dedent, bodies)).strip(), " " * 8)
    return (
        "from volano.harness.model import Model\n\n\nclass Tiny(Model):\n"
        f"    def train(self, run):\n{train}\n\n    def evaluate(self, run):\n"
        f"        return {figures}\n"
    )


async def _ended(ctx: Context, who: Who, id: str) -> Run | None:
    run = await registry.run(ctx, who, id)
    return None if run.state in ("queued", "running") else run


async def _carried_out(ctx: Context, who: Who, run: Run) -> Run:
    found: Run = await work_until(ctx, lambda: _ended(ctx, who, run.id))
    return found


async def test_the_drawing_recipe_becomes_a_version(
    server: Context, boss: Who, snapshot: Snapshot
) -> None:
    params = {"seconds": 0.5, "width": 4, "epochs": 1}
    new = NewRun(snapshot=snapshot.name, model="shapes", params=params, seconds=100)
    run = await _carried_out(server, boss, await service.request(server, boss, new))
    assert run.state == "finished"
    assert run.failure is None
    assert run.params["width"] == 4
    version = await registry.version(server, boss, run.version or "")
    assert version.model == "shapes"
    assert version.number == 1
    assert version.run == run.id
    assert version.snapshot == snapshot.id
    assert {"model.onnx", "version.json", "evaluation.json"} <= {one.name for one in version.files}
    assert version.signature.classes == ["circle", "square"]
    told = await registry.file(server, boss, version.id, "version.json")
    assert version_file.read(told).golden
    assert 0 <= version.metrics["accuracy"] <= 1
    assert {"accuracy"} <= {one.metric for one in await registry.run_series(server, boss, run.id)}


async def test_what_a_run_logs_prints_and_measures_is_kept(
    server: Context, boss: Who, start: Start
) -> None:
    body = 'print("hello")\nfor step in range(3): run.log(step, loss=1 / (1 + step))'
    run = await _carried_out(server, boss, await start(body, GOOD))
    assert run.state == "finished"
    assert run.metrics == {"loss": 1 / 3, "accuracy": 0.5}
    assert b"hello" in await registry.run_log(server, boss, run.id)
    (loss,) = await registry.run_series(server, boss, run.id)
    assert loss.values == [1.0, 0.5, 1 / 3]


async def test_the_latest_that_a_run_printed_is_shown_while_it_goes_on(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start("for n in range(10): print('line', n, 'x' * 1990)\n" + dedent(FOR_EVER))

    async def printed() -> bytes:
        log = await registry.run_log(server, boss, run.id)
        return log if b"line 9" in log else b""

    async with working(server):
        shown = await until(printed)
        assert (await registry.run(server, boss, run.id)).state == "running"
        assert 16_000 < len(shown) <= 16_384
        assert b"line 0" not in shown
        await service.cancel(server, boss, run.id)
        await until(lambda: _ended(server, boss, run.id))
    assert b"line 0" in await registry.run_log(server, boss, run.id)


async def test_what_a_run_warns_of_is_told_with_it_and_with_its_version(
    server: Context, boss: Who, start: Start
) -> None:
    """Once each, and no more than can be read: user code may tell anything."""
    forged = """
    import json, os, sys
    for n in range(30):
        told = {"kind": "warning", "at_s": 0, "text": f"warning {n} " + "x" * 9000}
        os.write(int(sys.argv[2]), json.dumps(told).encode() + b"\\n")
    """
    body = "run.warn('few records')\nrun.warn('few records')"
    run = await _carried_out(server, boss, await start(body, forged, GOOD))
    assert run.warnings[0] == "few records"
    assert run.warnings[19].startswith("warning 18 ")
    assert [len(text) for text in run.warnings] == [11, *[500] * 19]
    assert (await registry.version(server, boss, run.version or "")).warnings == run.warnings


QUICK = {"seconds": 0.5, "width": 4, "epochs": 1}


async def _trained_on(ctx: Context, who: Who, snapshot: Snapshot) -> Run:
    new = NewRun(snapshot=snapshot.id, params=QUICK, seconds=100)
    return await _carried_out(ctx, who, await service.request(ctx, who, new))


async def _frozen(ctx: Context, who: Who, name: str, **facts: Any) -> Snapshot:
    async with working(ctx):
        return await data.freeze(ctx, who, NewSnapshot(name=name, **facts))


PEOPLE = ["ada", "bob", "eve", "kim", "max", "zoe"]


async def test_a_single_class_ends_the_run_and_a_second_one_is_the_remedy(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["circle"], PEOPLE, each=2))
    failed = await _trained_on(server, boss, await _frozen(server, boss, "one-class"))
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure.class_ == "user.data"
    assert "are of one class, 'circle'" in failed.failure.message
    assert failed.failure.remedy == (
        "Freeze a snapshot whose train split has records of at least two classes."
    )
    await collect(server, boss, imports(["square"], PEOPLE, each=2))
    again = await _trained_on(server, boss, await _frozen(server, boss, "two-classes"))
    assert again.failure is None
    assert again.state == "finished"
    assert again.warnings == []


async def test_one_persons_drawings_are_learned_once_they_are_divided_by_record(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], ["ada"], each=6))
    failed = await _trained_on(server, boss, await _frozen(server, boss, "by-person"))
    assert failed.failure is not None
    assert failed.failure.class_ == "user.data"
    assert failed.failure.message == "The split 'valid' of the snapshot has no records."
    assert failed.failure.remedy.startswith("Freeze again with `--split-by record`")
    divided = await _frozen(server, boss, "by-record", split=SplitRule(by="record"))
    assert (await _trained_on(server, boss, divided)).state == "finished"


async def test_a_class_that_was_never_seen_is_warned_of_from_the_run_to_the_endpoint(
    server: Context, boss: Who
) -> None:
    await collect(server, boss, imports(["square", "circle"], PEOPLE, each=2))
    await collect(server, boss, imports(["triangle"], ["max"], each=2))
    rule = SplitRule(test_contributors=["max"])
    run = await _trained_on(server, boss, await _frozen(server, boss, "first", split=rule))
    assert run.failure is None
    (warning,) = run.warnings
    assert warning.startswith("'triangle' is only in the test split")
    version = await registry.version(server, boss, run.version or "")
    assert version.warnings == [warning]
    assert version.signature.classes == ["circle", "square"]
    report = await evaluation.report(server, boss, version.id)
    assert report.warnings == [warning]
    assert report.accuracy <= 4 / 6
    endpoint = await serving.activate(server, boss, "shapes", version.id)
    assert endpoint.warnings == [warning]


async def test_every_line_about_a_run_carries_its_id(
    server: Context, boss: Who, start: Start
) -> None:
    with structlog.testing.capture_logs(processors=[telemetry.add_ids]) as lines:
        good = await _carried_out(server, boss, await start(GOOD))
        bad = await _carried_out(server, boss, await start("1 / 0"))

    events = {run.id: [x["event"] for x in lines if x.get("run") == run.id] for run in (good, bad)}
    assert events[good.id] == ["run.started", "run.finished", "job.ended"]
    assert events[bad.id] == ["run.started", "run.failed", "job.ended"]


async def test_a_run_reads_its_data_and_nothing_of_the_server(
    server: Context, boss: Who, start: Start, snapshot: Snapshot
) -> None:
    body = """
    import json, os
    frozen = json.loads((run.data / "snapshot.json").read_text())
    seen = sorted(name for name in os.environ if "SECRET" in name or "KEY" in name)
    print(frozen["hash"], sorted(path.name for path in run.data.iterdir()), seen)
    try:
        (run.data / "new").write_text("x")
    except OSError:
        print("read-only")
    """
    run = await _carried_out(server, boss, await start(body, GOOD))
    told = (await registry.run_log(server, boss, run.id)).decode()
    names = ["snapshot.json", "test.parquet", "train.parquet", "valid.parquet"]
    assert f"{snapshot.hash} {names} []" in told


async def test_nothing_of_a_run_is_left_on_the_machine(
    server: Context, boss: Who, start: Start
) -> None:
    run = await _carried_out(server, boss, await start(GOOD))
    left = server.settings.home_path / "runs" / run.id
    assert not (left / "1").exists()
    assert not (left / "data-1").exists()


@pytest.mark.parametrize(
    ("body", "class_", "words"),
    [
        ("raise KeyError('weights')", "user.code", "weights"),
        ("import no_such_library", "user.dependency", "no_such_library"),
        ("pass", "user.contract", "left nothing"),
        ("(run.artefact / 'notes').write_text('x')", "user.contract", "version.json"),
        ("(run.artefact / 'version.json').write_text('{}')", "user.contract", "version.json"),
        ("run.log(0, loss=float('nan'))", "user.contract", "nan"),
        ("import os; os.abort()", "user.code", "SIGABRT"),
        ("(run.artefact / 'link').symlink_to('/etc/passwd')", "user.contract", "regular"),
    ],
    ids=["bug", "import", "nothing", "no facts", "bad facts", "diverged", "crash", "link"],
)
async def test_a_failure_says_whose_turn_it_is(
    server: Context, boss: Who, start: Start, body: str, class_: str, words: str
) -> None:
    run = await _carried_out(server, boss, await start(body))
    assert run.failure is not None
    assert run.state == "failed"
    assert run.failure.class_ == class_
    assert run.version is None
    assert words in run.failure.message


async def test_names_that_user_code_makes_up_are_not_followed(
    server: Context, boss: Who, start: Start
) -> None:
    """User code can write to the pipe of events: what it tells there of files is not believed."""
    body = """
    import json, os, sys
    forged = {"kind": "finished", "at_s": 0, "figures": {}, "seconds": {}, "environment": {},
              "source": "x", "files": [{"name": "../../../volano.db", "bytes": 1}]}
    os.write(int(sys.argv[2]), json.dumps(forged).encode() + b"\\n")
    os._exit(0)
    """
    run = await _carried_out(server, boss, await start(GOOD, body))
    version = await registry.version(server, boss, run.version or "")
    assert [one.name for one in version.files] == ["model.onnx", "version.json"]


class Recording(LocalCompute):
    """Runs on this machine, and remembers what it was told to start."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[ProcessSpec] = []

    async def start(self, spec: ProcessSpec) -> LocalHandle:
        self.started.append(spec)
        return await super().start(spec)


async def test_the_process_of_a_run_is_given_its_limits_in_their_units(
    server: Context, boss: Who, start: Start
) -> None:
    settings = replace(
        server.settings,
        jobs_beat_s=8.0,
        run_max_memory=3 << 30,
        run_max_artefact=5 << 20,
        run_threads=3,
    )
    async with Recording() as compute:
        run = await start(GOOD, seconds=77.0, seed=9)
        given = replace(server, settings=settings, compute=compute)
        await _carried_out(given, boss, run)
        (spec,) = compute.started
    assert spec.order.seconds == 77.0
    assert spec.order.seed == 9
    assert spec.order.limits.memory == 3 << 30
    assert spec.order.limits.file == 5 << 20
    assert spec.order.limits.threads == 3
    # Between two heartbeats, so that the worker still has its lease when the run is gone.
    assert spec.grace_s == 4.0


async def test_a_run_may_take_as_long_as_the_settings_allow_and_no_longer(
    server: Context, boss: Who, snapshot: Snapshot
) -> None:
    short = replace(server, settings=replace(server.settings, run_max_seconds=50.0))
    for asked, allowed in ((49.0, 49.0), (50.0, 50.0), (51.0, 50.0)):
        new = NewRun(snapshot=snapshot.id, seconds=asked)
        assert (await service.request(short, boss, new)).seconds == allowed


async def test_a_run_that_takes_too_long_is_ended(server: Context, boss: Who, start: Start) -> None:
    run = await _carried_out(server, boss, await start(FOR_EVER, seconds=0.5))
    assert run.failure is not None
    assert run.state == "failed"
    assert run.failure.class_ == "user.timeout"


async def test_a_run_that_takes_too_much_memory_is_ended(
    server: Context, boss: Who, start: Start
) -> None:
    small = replace(server, settings=replace(server.settings, run_max_memory=150 << 20))
    body = "import time\nheld = bytearray(300 << 20)\ntime.sleep(60)"
    run = await _carried_out(small, boss, await start(body))
    assert run.failure is not None
    assert run.failure.class_ == "user.resource"


async def test_a_snapshot_that_is_too_large_is_the_askers_turn(
    server: Context, boss: Who, start: Start
) -> None:
    small = replace(server, settings=replace(server.settings, run_max_data=100))
    run = await _carried_out(small, boss, await start(GOOD))
    assert run.failure is not None
    assert run.state == "failed"
    assert run.failure.class_ == "user.data"
    assert "VOLANO_RUN_MAX_DATA" not in run.failure.message


async def test_a_freeze_is_done_before_either_of_two_runs_that_go_on(
    server: Context, boss: Who, start: Start
) -> None:
    runs = [await start(FOR_EVER) for _ in range(2)]

    async def both_go_on() -> bool:
        progress = [(await registry.run(server, boss, run.id)).progress for run in runs]
        return [at.total for at in progress] == [2, 2]

    async with working(server):
        await until(both_go_on)
        await collect(server, boss, imports(["triangle"], PEOPLE))
        frozen = await _frozen(server, boss, "second")  # it waits for the compaction of these rows
        assert frozen.records == 2 * 6 * 2 + 6
        for run in runs:
            assert (await registry.run(server, boss, run.id)).state == "running"
            await service.cancel(server, boss, run.id)
            await until(lambda run=run: _ended(server, boss, run.id))


async def test_a_queued_run_is_cancelled_at_once(server: Context, boss: Who, start: Start) -> None:
    run = await start(GOOD)
    assert (await service.cancel(server, boss, run.id)).state == "cancelled"
    with pytest.raises(RunOver):
        await service.cancel(server, boss, run.id)
    assert await registry.open_runs(server) == []


async def test_a_running_run_is_cancelled_at_its_next_report(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start(FOR_EVER)

    async def is_going() -> bool:
        return (await registry.run(server, boss, run.id)).progress.total == 2

    async with working(server):
        await until(is_going)
        await service.cancel(server, boss, run.id)
        ended = await until(lambda: _ended(server, boss, run.id))
    assert ended.state == "cancelled"
    assert ended.version is None
    assert not (server.settings.home_path / "runs" / run.id / "1").exists()


async def test_a_run_whose_job_died_is_ended(server: Context, boss: Who, start: Start) -> None:
    run = await start(GOOD)
    async with server.db.begin(boss.workspace) as tx:
        _, job = await registry.job_of(tx, run.id)
        await server.jobs.cancel(tx, job)
    assert await service.settle(server) == 1
    assert await service.settle(server) == 0
    assert (await registry.run(server, boss, run.id)).state == "cancelled"


async def test_a_folder_of_runs_that_cannot_be_read_keeps_no_run_from_its_end(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start(GOOD)
    async with server.db.begin(boss.workspace) as tx:
        _, job = await registry.job_of(tx, run.id)
        await server.jobs.cancel(tx, job)
    runs = server.settings.home_path / "runs"
    runs.rename(runs.with_name("aside"))
    runs.write_text("in the way")

    before = (await data.count(server, boss, RecordFilter())).records

    async def on_shelf() -> bool:
        return (await data.count(server, boss, RecordFilter())).records > before

    async with working(server):
        ended = await until(lambda: _ended(server, boss, run.id))
        assert ended.state == "cancelled"
        # The loop that has ended it goes on with the rest of its work.
        await collect(server, boss, imports(["square"], ["ada"]))
        await until(on_shelf)


async def test_a_run_whose_job_was_deleted_is_ended_beside_one_that_waits(
    server: Context, boss: Who, start: Start
) -> None:
    lost, waiting = await start(GOOD), await start(GOOD)
    async with server.db.begin(boss.workspace) as tx:
        _, job = await registry.job_of(tx, lost.id)
        await tx.run(tx.delete(jobs).where(jobs.c.id == job))
    assert await service.settle(server) == 1
    ended = await registry.run(server, boss, lost.id)
    assert ended.failure is not None
    assert ended.failure.class_ == "system.worker_lost"
    assert (await registry.run(server, boss, waiting.id)).state == "queued"


async def test_runs_that_only_wait_are_settled_by_one_query(
    server: Context, boss: Who, start: Start
) -> None:
    for _ in range(3):
        await start(GOOD)
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement.split()[0])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        assert await service.settle(server) == 0
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert asked == ["SELECT"]


async def test_a_worker_that_lost_its_lease_registers_nothing(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start(GOOD)
    async with server.db.begin(boss.workspace) as tx:
        _, job_id = await registry.job_of(tx, run.id)
    late = await claim(server, job_id, "wrk_late")
    async with server.db.begin(boss.workspace) as tx:
        await give_back(tx, late.lease)
    in_time = await claim(server, job_id, "wrk_in_time")
    with pytest.raises(LeaseLost):
        await service.carry_out(server, late)
    assert (await registry.run(server, boss, run.id)).version is None
    await service.carry_out(server, in_time)
    ended = await registry.run(server, boss, run.id)
    assert ended.state == "finished"
    assert ended.attempt == 2
    page = await registry.versions(server, boss, model=None, after="", limit=9)
    assert [ended.version] == [version.id for version in page.items]


async def test_a_message_about_a_run_that_is_over_does_nothing(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start(GOOD)
    async with server.db.begin(boss.workspace) as tx:
        _, job_id = await registry.job_of(tx, run.id)
        await registry.end_run(tx, run.id)
    await service.carry_out(server, await claim(server, job_id))
    assert (await registry.run(server, boss, run.id)).version is None


async def test_a_worker_that_stops_gives_its_run_to_the_next_one(
    server: Context, boss: Who, start: Start
) -> None:
    run = await start("import time\nif run.artefact.parts[-2] == '1': time.sleep(60)", GOOD)
    stopping = Worker(server, handlers, drain_s=0.0)
    task = asyncio.create_task(stopping.run())

    async def has_begun() -> bool:
        return (await registry.run(server, boss, run.id)).state == "running"

    await until(has_begun)
    stopping.stop()
    await task
    ended = await _carried_out(server, boss, run)
    assert ended.state == "finished"
    assert ended.attempt == 2


async def test_what_cannot_be_carried_out_is_not_queued(
    server: Context, boss: Who, snapshot: Snapshot
) -> None:
    asked: list[tuple[NewRun, type[Exception]]] = [
        (NewRun(snapshot=snapshot.id, recipe="none"), UnknownRecipe),
        (NewRun(snapshot=snapshot.id, params={"width": -1}), BadParam),
        (NewRun(snapshot=snapshot.id, params={"colour": 1}), BadParam),
        (NewRun(snapshot="snap_none"), Missing),
    ]
    for new, error in asked:
        with pytest.raises(error):
            await service.request(server, boss, new)
    assert await registry.open_runs(server) == []


async def test_a_run_of_another_workspace_cannot_be_cancelled(
    server: Context, outsider: Who, start: Start
) -> None:
    run = await start(GOOD)
    with pytest.raises(Missing):
        await service.cancel(server, outsider, run.id)
