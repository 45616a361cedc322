"""Limited processes: what one call does to its own costs the calls beside it nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from volano.core.compute import StartFailed, WorkerPool
from volano.core.compute.workers import CALLS
from volano.schemas.common import InputNotRead, Overloaded
from volano.schemas.images import ImageTooLarge

EVALUATE = "builtins:eval"
"""A function that does whatever a test asks of a process; what it returns must be bytes."""

PID = "__import__('os').getpid().to_bytes(4, 'big')"
CRASH = "__import__('ctypes').string_at(0)"
HANG = "__import__('time').sleep(60)"
SPIN = "__import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 10**9)"
GROW = "bytes(10**9)"
DIE = "__import__('os')._exit(3)"


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """Two processes that evaluate what they are sent."""
    opened = WorkerPool(EVALUATE, processes=2, memory=200 << 20, deadline_s=30.0)
    yield opened
    await opened.close()


async def pid_of(pool: WorkerPool) -> int:
    return int.from_bytes(await pool.call(PID), "big")


async def parent_of(pool: WorkerPool) -> int:
    found = await pool.call("__import__('os').getppid().to_bytes(4, 'big')")
    return int.from_bytes(found, "big")


async def refused(pool: WorkerPool, code: str) -> str:
    with pytest.raises(InputNotRead) as error:
        await pool.call(code)
    return str(error.value.facts["reason"])


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def has_landlock() -> bool:
    program = "from volano.harness.landlock import read_only; print(read_only([]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.strip() == b"True"


async def turns() -> None:
    """Let what was started get to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def gone(*pids: int) -> None:
    async with asyncio.timeout(30):
        while any(alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


async def test_a_call_returns_what_the_function_returns() -> None:
    pool = WorkerPool("zlib:compress", processes=1)
    small = await pool.call(b"abc" * 1000, 9)
    large = os.urandom(3 << 20)
    unchanged = await pool.call(large, 0)
    await pool.close()

    assert len(small) < 100
    assert large[:1000] in unchanged


async def test_processes_are_used_again(pool: WorkerPool) -> None:
    assert await pid_of(pool) == await pid_of(pool)


async def test_a_process_is_replaced_after_many_calls(pool: WorkerPool) -> None:
    first = await pid_of(pool)
    for _ in range(CALLS - 1):
        assert await pool.call("b''") == b""
    assert await pid_of(pool) != first


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CRASH, "it crashed the process that read it (SIGSEGV)"),
        (DIE, "the process that read it ended"),
        (GROW, "it takes more than 200 MiB of memory"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("'\\ud800'.encode()", "UnicodeEncodeError"),
    ],
)
async def test_what_breaks_a_process_costs_its_own_call_the_answer_only(
    code: str, reason: str, pool: WorkerPool
) -> None:
    beside = [pool.call("__import__('time').sleep(0.01) or b'well'") for _ in range(4)]

    told, *well = await asyncio.gather(refused(pool, code), *beside)

    assert told.startswith(reason)
    assert well == [b"well"] * 4
    assert await pool.call("b'after'") == b"after"


async def test_a_call_that_hangs_is_ended_at_its_deadline() -> None:
    pool = WorkerPool(EVALUATE, processes=1, deadline_s=1.5)
    await pool.start()
    before = await pid_of(pool)

    assert await refused(pool, HANG) == "it took more than 1.5 s"
    assert await pid_of(pool) != before
    await gone(before)
    await pool.close()


async def test_the_kernel_ends_a_call_that_computes_without_end() -> None:
    pool = WorkerPool(EVALUATE, processes=1, deadline_s=60.0)
    spin = f"__import__('resource').setrlimit(0, (1, 9)) or {SPIN}"

    assert await refused(pool, spin) == "it took too much processor time"
    await pool.close()


async def test_the_processor_time_of_one_call_does_not_count_for_the_next(
    pool: WorkerPool,
) -> None:
    left = "str(__import__('resource').getrlimit(__import__('resource').RLIMIT_CPU)[0]).encode()"
    burn = "b'' if [x for x in range(3 * 10**6)] else b''"
    first = int(await pool.call(left))
    for _ in range(10):
        await pool.call(burn)

    assert 31 <= first <= 33
    assert int(await pool.call(left)) >= first


async def test_a_killed_process_is_replaced(pool: WorkerPool) -> None:
    first = await pid_of(pool)
    os.kill(first, signal.SIGKILL)
    await gone(first)

    assert await pid_of(pool) != first


async def test_a_call_whose_process_is_killed_twice_is_refused(pool: WorkerPool) -> None:
    told = await refused(pool, f"__import__('os').kill(int.from_bytes({PID}, 'big'), 9)")
    assert told == "its processes were killed, most likely for want of memory"


async def test_a_call_whose_process_is_killed_once_is_made_again(pool: WorkerPool) -> None:
    first = await pid_of(pool)
    waiting = asyncio.create_task(pool.call(f"__import__('time').sleep(0.5) or {PID}"))
    await turns()
    os.kill(first, signal.SIGKILL)

    assert int.from_bytes(await waiting, "big") != first


async def test_processes_outlive_a_polite_end_that_is_sent_to_all(pool: WorkerPool) -> None:
    first = await pid_of(pool)
    for pid in (first, await parent_of(pool)):
        os.kill(pid, signal.SIGTERM)

    assert await pid_of(pool) == first


async def test_a_pool_whose_fork_server_died_starts_another(pool: WorkerPool) -> None:
    worker = await pid_of(pool)
    parent = int.from_bytes(await pool.call("__import__('os').getppid().to_bytes(4, 'big')"), "big")
    os.kill(parent, signal.SIGKILL)
    await gone(parent)

    assert await pid_of(pool) != worker
    await gone(worker)


async def test_a_cancelled_call_frees_its_process(pool: WorkerPool) -> None:
    await pool.start()
    hanging = [asyncio.create_task(pool.call(HANG)) for _ in range(2)]
    await turns()
    for task in hanging:
        task.cancel()
    ended = await asyncio.gather(*hanging, return_exceptions=True)

    assert [type(one) for one in ended] == [asyncio.CancelledError] * 2
    assert await pool.call("b'free'") == b"free"


async def test_more_calls_than_may_wait_are_refused() -> None:
    pool = WorkerPool(EVALUATE, processes=1, waiting=2)
    pause = "__import__('time').sleep(0.2) or b'done'"
    calls = [pool.call(pause) for _ in range(4)]

    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert answers[:3] == [b"done"] * 3
    assert isinstance(answers[3], Overloaded)
    assert await pool.call("b'again'") == b"again"
    await pool.close()


async def test_no_more_calls_run_at_once_than_there_are_processes(pool: WorkerPool) -> None:
    pause = f"__import__('time').sleep(0.02) or {PID}"
    pids = await asyncio.gather(*(pool.call(pause) for _ in range(12)))
    assert len(set(pids)) == 2


async def test_an_error_of_the_house_comes_back_as_its_class(pool: WorkerPool) -> None:
    raising = (
        "(_ for _ in ()).throw(__import__('volano.schemas.images', fromlist=['x'])"
        ".ImageTooLarge(size=3, limit=2))"
    )
    with pytest.raises(ImageTooLarge) as error:
        await pool.call(raising)

    assert error.value.facts == {"size": 3, "limit": 2}
    assert error.value.advice == "Save it smaller, or as JPEG."


async def test_a_process_writes_no_file(pool: WorkerPool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"there before")
    told = await refused(pool, f"open({str(path)!r}, 'r+b', buffering=0).write(b'x')")

    assert told.startswith(("PermissionError: [Errno 13]", "OSError: [Errno 27]"))
    assert path.read_bytes() == b"there before"


async def test_a_process_opens_no_file_of_the_server(
    pool: WorkerPool, tmp_path: Path, absent: Callable[[str], NoReturn]
) -> None:
    if not has_landlock():
        absent("no Landlock in this kernel")
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    for code in (
        f"open({str(path)!r}, 'rb').read()",
        f"open({str(path)!r}, 'wb')",
        f"__import__('os').unlink({str(path)!r})",
        f"__import__('os').listdir({str(tmp_path)!r})",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
    ):
        assert (await refused(pool, code)).startswith("PermissionError: [Errno 13]")
    assert path.read_bytes() == b"secret"
    assert await pool.call("__import__('wave').__name__.encode()") == b"wave"


async def test_a_process_has_nothing_of_the_server(pool: WorkerPool) -> None:
    closed = (
        "(lambda poll: [poll.register(file, 0) for file in range(16)]"
        " and bytes(file for file, event in poll.poll(0) if event & 32))"
        "(__import__('select').poll())"
    )
    with open("/dev/null"):
        open_files = set(range(16)) - set(await pool.call(closed))
    variables = await pool.call("' '.join(__import__('os').environ).encode()")

    assert len(open_files) == 5  # the three standard ones, nowhere and the pool
    assert set(variables.decode().split()) - {"LC_CTYPE"} == {
        "PATH",
        "LANG",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
    }  # Python itself sets LC_CTYPE where the locale is C


async def test_processes_end_with_the_pool(pool: WorkerPool) -> None:
    pids = {await pid_of(pool)}
    hanging = asyncio.create_task(pool.call(HANG))
    await turns()

    await pool.close()

    await gone(*pids)
    with pytest.raises(StartFailed, match="the server is stopping"):
        await hanging
    await pool.close()


async def test_processes_end_when_the_server_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio\n"
        "from volano.core.compute import WorkerPool\n"
        "async def main():\n"
        f"    pool = WorkerPool({EVALUATE!r}, processes=1)\n"
        f"    print(int.from_bytes(await pool.call({PID!r}), 'big'), flush=True)\n"
        f"    await pool.call({HANG!r})\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    worker = int(await process.stdout.readline())
    process.kill()
    await process.wait()

    await gone(worker)


async def test_a_function_that_is_not_there_fails_the_start() -> None:
    pool = WorkerPool("volano.nowhere:nothing", processes=1)
    with pytest.raises(StartFailed, match=r"volano\.nowhere:nothing did not load"):
        await pool.call(b"")
    await pool.close()
