"""What every compute does, whatever it runs on."""

import asyncio
from pathlib import Path

import pytest

from volano.core.compute import Compute, FolderInUse, UnknownCompute, open_compute
from volano.schemas.harness import AnyEvent, Finished, Line, Phase, Points, Reached

WRITE = "(run.artefact / 'model.onnx').write_bytes(b'onnx')"


async def started(handle) -> None:
    """Return once the user's train is running."""
    async for event in handle.events():
        if isinstance(event, Reached):
            return


def test_an_unknown_url_is_refused():
    with pytest.raises(UnknownCompute, match="no compute 'ray'"):
        open_compute("ray://head")


async def test_a_run_tells_its_story_and_leaves_its_artefact(compute: Compute, new_spec):
    train = f"""
    for step in range(100):
        run.log(step, loss=1 / (step + 1))
    run.progress(1, 1, "done")
    print("hello")
    {WRITE}
    """
    spec = new_spec(train, "return {'rate': self.rate}", params={"rate": "0.5"})
    handle = await compute.start(spec)
    events: list[AnyEvent] = [event async for event in handle.events()]
    end = await handle.wait()
    assert end.failure is None
    assert end.code == 0
    assert end.finished in events
    assert end.finished is not None
    assert end.finished.figures == {"rate": 0.5}
    assert [file.name for file in end.finished.files] == ["model.onnx"]
    assert [e.name for e in events if isinstance(e, Phase)] == ["load", "train", "evaluate"]
    steps = [point.step for e in events if isinstance(e, Points) for point in e.points]
    assert steps == list(range(100))
    assert [e.text for e in events if isinstance(e, Line)] == ["hello"]
    assert end.stdout.read_text() == "hello\n"
    assert end.peak_rss_bytes > 1 << 20
    assert 0 < end.seconds < 60


async def test_waiting_needs_no_reader(compute: Compute, new_spec):
    train = f"""
    for step in range(200_000):
        run.log(step, loss=1.0)
    {WRITE}
    """
    end = await (await compute.start(new_spec(train))).wait()
    assert end.failure is None


@pytest.mark.parametrize(
    ("train", "class_", "code"),
    [
        ("raise ValueError('boom')", "user.code", 1),
        ("import not_there", "user.dependency", 1),
        ("run.log(0, loss=float('nan'))", "user.contract", 1),
        ("pass", "user.contract", 1),
        ("os._exit(0)", "user.code", 0),
        ("os._exit(9)", "user.code", 9),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "user.code", -11),
        ("os.kill(os.getpid(), signal.SIGKILL)", "user.resource", -9),
    ],
)
async def test_a_failure_has_its_class_and_code(compute: Compute, new_spec, train, class_, code):
    end = await (await compute.start(new_spec(train))).wait()
    assert end.failure is not None
    assert (class_, code) == (end.failure.class_, end.code)
    assert end.finished is None


async def test_the_users_line_is_in_the_failure_and_the_traceback_in_the_log(compute, new_spec):
    end = await (await compute.start(new_spec("raise ValueError('boom')"))).wait()
    assert end.failure.frame == "shapes.py:7 train"
    assert "raise ValueError('boom')" in end.stderr.read_text()


async def test_a_source_that_is_missing_is_the_users_failure(compute: Compute, new_spec):
    spec = new_spec("pass")
    Path(spec.order.source).unlink()
    end = await (await compute.start(spec)).wait()
    assert end.failure is not None
    assert (end.failure.class_, end.code) == ("user.contract", 1)


async def test_a_loop_without_end_hits_the_time_limit_with_its_line(compute: Compute, new_spec):
    end = await (await compute.start(new_spec("while True:\n    pass", seconds=0.5))).wait()
    assert end.failure is not None
    assert (end.failure.class_, end.code) == ("user.timeout", 1)
    assert end.failure.frame.startswith("shapes.py:")


async def test_code_that_ignores_every_signal_is_killed_after_the_grace(compute, new_spec):
    train = """
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass
    """
    async with asyncio.timeout(40):  # a limit in the wrong unit would let it run on
        end = await (await compute.start(new_spec(train, seconds=2, grace_s=1))).wait()
    assert end.failure is not None
    assert end.failure.class_ == "user.timeout"
    assert end.code == -9


async def test_a_cancelled_run_stops_at_its_next_report(compute: Compute, new_spec):
    train = """
    for step in range(10**9):
        run.progress(step, 10**9)
        time.sleep(0.001)
    """
    handle = await compute.start(new_spec(train))
    await started(handle)
    handle.cancel()
    handle.cancel()
    end = await handle.wait()
    assert end.failure is not None
    assert (end.failure.class_, end.code) == ("cancelled", 130)
    assert end.failure.frame.startswith("shapes.py:")


async def test_a_cancelled_run_that_does_not_listen_is_killed(compute: Compute, new_spec):
    train = "run.progress(0, 1)\nwhile True:\n    pass"
    handle = await compute.start(new_spec(train, grace_s=0.3))
    await started(handle)
    handle.cancel()
    end = await handle.wait()
    assert end.failure is not None
    assert (end.failure.class_, end.code) == ("cancelled", -9)


async def test_cancelling_what_has_ended_changes_nothing(compute: Compute, new_spec):
    handle = await compute.start(new_spec(WRITE))
    first = await handle.wait()
    handle.cancel()
    assert await handle.wait() == first
    assert first.failure is None


async def test_closing_ends_what_still_runs(url: str, new_spec):
    async with open_compute(url) as opened:
        handle = await opened.start(new_spec("while True:\n    pass", grace_s=0.2))
    end = await handle.wait()
    assert end.failure is not None
    assert end.failure.class_ == "cancelled"


async def test_a_waiter_that_gives_up_does_not_stop_the_run(compute: Compute, new_spec):
    handle = await compute.start(new_spec(WRITE))
    waiter = asyncio.create_task(handle.wait())
    await asyncio.sleep(0)
    waiter.cancel()
    assert (await handle.wait()).failure is None


async def test_memory_over_the_limit_ends_the_run(compute: Compute, new_spec):
    train = """
    blocks = []
    while True:
        blocks.append(bytearray(b"x" * (1 << 20)))
        time.sleep(0.005)
    """
    spec = new_spec(train, limits={"memory": 120 << 20})
    end = await (await compute.start(spec)).wait()
    assert end.failure is not None
    assert end.failure.class_ == "user.resource"
    assert str(120 << 20) in end.failure.message
    assert end.peak_rss_bytes > 120 << 20


async def test_memory_of_helpers_counts(compute: Compute, new_spec):
    train = """
    hog = "import time; b = bytearray(b'x' * (100 << 20)); time.sleep(600)"
    helpers = [subprocess.Popen([sys.executable, "-c", hog]) for _ in range(2)]
    time.sleep(600)
    """
    end = await (await compute.start(new_spec(train, limits={"memory": 150 << 20}))).wait()
    assert end.failure is not None
    assert end.failure.class_ == "user.resource"


async def test_a_file_over_the_limit_is_a_lack_of_resources(compute: Compute, new_spec):
    train = "(run.artefact / 'big').write_bytes(b'x' * (2 << 20))"
    end = await (await compute.start(new_spec(train, limits={"file": 1 << 20}))).wait()
    assert end.failure is not None
    assert end.failure.class_ == "user.resource"


async def test_a_huge_log_is_cut_in_the_middle(compute: Compute, new_spec):
    train = f"""
    print("first")
    for _ in range(2000):
        print("x" * 1000)
    print("last")
    {WRITE}
    """
    handle = await compute.start(new_spec(train, limits={"log": 10_000}))
    lines = [event async for event in handle.events() if isinstance(event, Line)]
    end = await handle.wait()
    log = end.stdout.read_text()
    assert log.startswith("first\n")
    assert log.endswith("last\n")
    assert "bytes cut" in log
    assert len(log) < 10_100
    assert len(lines) < 500


async def test_runs_have_folders_of_their_own(compute: Compute, new_spec):
    spec = new_spec(WRITE)
    await (await compute.start(spec)).wait()
    with pytest.raises(FolderInUse):
        await compute.start(spec)


async def test_runs_go_side_by_side(compute: Compute, new_spec):
    handles = [await compute.start(new_spec(WRITE)) for _ in range(3)]
    ends = await asyncio.gather(*(handle.wait() for handle in handles))
    assert [end.failure for end in ends] == [None] * 3
    assert all(isinstance(end.finished, Finished) for end in ends)


async def test_equal_runs_tell_equal_figures(compute: Compute, new_spec):
    evaluate = "import random; return {'r': random.random(), 'order': list({'a', 'b', 'c', 'd'})}"
    ends = [await (await compute.start(new_spec(WRITE, evaluate))).wait() for _ in range(2)]
    assert ends[0].finished is not None
    assert ends[1].finished is not None
    assert ends[1].finished.figures == ends[0].finished.figures
