"""A thread is waited for, whoever has lost patience."""

import asyncio
import threading

import pytest

from volano.core.threads import to_its_end


async def test_a_cancellation_waits_for_the_thread() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait()
        ended.set()

    task = asyncio.create_task(to_its_end(work))
    await asyncio.to_thread(begun.wait)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_results_and_errors_come_through() -> None:
    assert await to_its_end(max, 1, 3) == 3
    with pytest.raises(ZeroDivisionError):
        await to_its_end(divmod, 1, 0)
