"""A run on this machine sees nothing of the server, and never outlives the worker."""

import asyncio
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from volano.core.compute import Exit, LocalCompute, StartFailed

WRITE = "(run.artefact / 'model.onnx').write_bytes(b'onnx')"

CANARY = "vol_canary_8c1f0e"

WORKER = """
import asyncio, sys
from pathlib import Path
from volano.core.compute import ProcessSpec, open_compute
from volano.schemas.harness import Reached, RunOrder

async def main(folder, source):
    order = RunOrder(source=source, data=str(folder / "data"), artefact=str(folder / "artefact"))
    handle = await open_compute("local:").start(ProcessSpec(folder=folder, order=order))
    async for event in handle.events():
        if isinstance(event, Reached):
            print(handle.pid, event.progress.note, flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture
async def facts(new_spec) -> Callable[..., object]:
    """`await facts("os.getcwd()")` is what that expression is inside a run."""

    async def evaluated(expression: str, **spec: object) -> object:
        async with LocalCompute() as compute:
            built = new_spec(WRITE, f"return {{'it': {expression}}}", **spec)
            end: Exit = await (await compute.start(built)).wait()
        assert end.finished is not None, end.failure
        return end.finished.figures["it"]

    return evaluated


async def test_no_secret_of_this_process_is_in_the_childs_environment(new_spec):
    script = (
        "import asyncio, sys, os, pickle\n"
        "from volano.core.compute import LocalCompute\n"
        "async def main():\n"
        "    spec = pickle.load(open(sys.argv[1], 'rb'))\n"
        "    async with LocalCompute() as compute:\n"
        "        end = await (await compute.start(spec)).wait()\n"
        "    print(end.finished.figures['it'])\n"
        "asyncio.run(main())\n"
    )
    evaluate = "return {'it': open('/proc/self/environ').read() + json.dumps(dict(os.environ))}"
    spec = replace(new_spec(WRITE, evaluate), env=dict[str, str]())
    (spec.folder / "spec.pickle").write_bytes(pickle.dumps(spec))
    secrets = {
        "VOLANO_DB": f"postgresql://volano:{CANARY}@localhost/volano",
        "VOLANO_SECRET": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "PYTHONPATH": "/nonexistent",
    }
    told = subprocess.run(
        [sys.executable, "-c", script, str(spec.folder / "spec.pickle")],
        env={**os.environ, **secrets},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "VOLANO_DATA" in told
    assert CANARY not in told
    assert not any(name in told for name in secrets)


async def test_the_environment_is_this_and_no_more(facts):
    names = await facts("sorted(os.environ)", env={"CUDA_VISIBLE_DEVICES": ""})
    assert set(names) - {"LC_CTYPE"} == {
        "CUDA_VISIBLE_DEVICES", "GOMP_SPINCOUNT", "HOME", "LANG", "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY",
        "OPENBLAS_NUM_THREADS", "PATH", "PYTHONFAULTHANDLER", "PYTHONHASHSEED",
        "PYTHONUNBUFFERED", "TMPDIR", "VOLANO_ARTEFACT", "VOLANO_DATA",
    }  # fmt: skip


async def test_descriptors_of_this_process_are_closed_in_the_child(facts, tmp_path: Path):
    (tmp_path / "secret").write_text(CANARY)
    with (tmp_path / "secret").open() as file:
        os.set_inheritable(file.fileno(), True)
        links = "[os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]"
        opened = await facts(links)
    assert isinstance(opened, list)
    assert not any("secret" in link or "socket" in link for link in opened)
    assert sum("pipe" in link for link in opened) == 4


async def test_helpers_of_a_run_get_neither_of_its_pipes(facts):
    listing = "subprocess.run(['ls', '-l', '/proc/self/fd'], capture_output=True).stdout.decode()"
    told = await facts(f"[line[-1] for line in map(str.split, {listing}.splitlines()[1:])]")
    assert isinstance(told, list)
    # Its own stdout and stderr are pipes of subprocess.run, the former only captured.
    assert sum("pipe" in link for link in told) == 2


async def test_a_run_lives_in_its_own_folder_and_session(facts):
    told = await facts(
        "[os.getcwd(), os.environ['HOME'], __import__('tempfile').gettempdir(),"
        " os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid(), sys.path[0] == '']"
    )
    cwd, home, tmp, leads_session, leads_group, imports_from_cwd = told
    assert cwd == home
    assert tmp == f"{cwd}/tmp"
    assert (leads_session, leads_group, imports_from_cwd) == (True, True, False)


async def test_the_limits_of_the_kernel_are_set(facts):
    kinds = [resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE]
    told = await facts(
        f"[__import__('resource').getrlimit(kind)[0] for kind in {kinds}]",
        limits={"open_files": 200, "file": 1 << 20},
    )
    assert told == [0, 200, 1 << 20]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 200


async def test_when_memory_runs_out_the_run_goes_and_not_the_server(facts):
    assert await facts("open('/proc/self/oom_score_adj').read().strip()") == "1000"


async def test_the_staged_data_is_read_only(facts):
    modes = "[oct(os.stat(p).st_mode)[-3:] for p in (run.data, run.data / 'train.parquet')]"
    assert await facts(modes) == ["555", "444"]


async def test_when_it_has_ended_its_folders_can_be_removed(new_spec):
    spec = new_spec(f"os.makedirs('closed/deep'); os.chmod('closed', 0)\n{WRITE}")
    async with LocalCompute() as compute:
        await (await compute.start(spec)).wait()
    folders = [Path(spec.order.data), spec.folder / "closed", spec.folder / "closed" / "deep"]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o755] * 3


async def test_helpers_that_a_run_leaves_behind_are_ended(new_spec):
    train = f"""
    helper = subprocess.Popen(["sleep", "600"])
    (run.artefact / "pid").write_text(str(helper.pid))
    {WRITE}
    """
    spec = new_spec(train)
    async with LocalCompute() as compute:
        end = await (await compute.start(spec)).wait()
    assert end.failure is None
    await gone(int(Path(spec.order.artefact, "pid").read_text()))


async def test_a_process_that_lingers_after_its_result_is_ended_and_the_result_stands(new_spec):
    train = f"""
    import threading
    threading.Thread(target=time.sleep, args=(600,)).start()
    {WRITE}
    """
    async with LocalCompute() as compute:
        end = await (await compute.start(new_spec(train, grace_s=0.3))).wait()
    assert (end.failure, end.code) == (None, -9)


async def test_noise_on_the_event_pipe_is_skipped(new_spec):
    train = f"""
    for fd in range(3, 20):
        try:
            os.write(fd, b"noise\\n" + b"x" * 2_000_000 + b"\\n")
        except OSError:
            pass
    {WRITE}
    """
    async with LocalCompute() as compute:
        end = await (await compute.start(new_spec(train))).wait()
    assert end.failure is None


async def test_an_interpreter_that_is_missing_is_said_so(new_spec):
    async with LocalCompute() as compute:
        with pytest.raises(StartFailed, match="No such file"):
            await compute.start(replace(new_spec(WRITE), python="/no/such/python"))


async def test_an_order_that_cannot_be_read_is_our_failure(new_spec):
    async with LocalCompute() as compute:
        spec = new_spec(WRITE)
        unreadable = msgspec.structs.replace(spec.order, seed="many")
        spec = replace(spec, order=unreadable)
        end = await (await compute.start(spec)).wait()
    assert end.failure is not None
    assert (end.failure.class_, end.code) == ("system.storage", 3)


async def test_no_descriptor_is_left_over(new_spec):
    async with LocalCompute() as compute:
        await (await compute.start(new_spec(WRITE))).wait()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await (await compute.start(new_spec(WRITE))).wait()
        with pytest.raises(StartFailed):
            await compute.start(replace(new_spec(WRITE), python="/no/such/python"))
        assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.faults
@pytest.mark.parametrize(
    "hang", ["while True: pass", "time.sleep(600)", "__import__('re').match('(a*)*b', 'a' * 60)"]
)
async def test_no_process_of_a_run_survives_a_worker_that_is_killed(new_spec, hang: str):
    train = f"""
    same_group = subprocess.Popen(["sleep", "600"])
    run.progress(0, 1, str(same_group.pid))
    {hang}
    """
    spec = new_spec(train)
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(spec.folder), spec.order.source,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert worker.stdout is not None
    pids = [int(word) for word in (await worker.stdout.readline()).split()]
    assert len(pids) == 2
    worker.kill()
    await worker.wait()
    for pid in pids:
        await gone(pid)


async def test_it_works_on_the_servers_event_loop(new_spec, tmp_path: Path):
    uvloop = pytest.importorskip("uvloop")
    spec = new_spec(WRITE)

    async def one_run() -> Exit:
        async with LocalCompute() as compute:
            return await (await compute.start(spec)).wait()

    end = await asyncio.to_thread(uvloop.run, one_run())
    assert end.failure is None


async def gone(pid: int) -> None:
    """Return once no such process runs any more; a zombie runs no more."""
    status = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if status.read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} still runs")
