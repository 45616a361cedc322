"""What every bus does, run on Unix sockets and on a real PostgreSQL."""

import asyncio
import gc
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from volano.core.bus import Bus, Subscription, open_bus
from volano.core.bus.doorbell import WAITING, Ring

Open = Callable[[], Bus]

SOON_S = 20.0
"""Far more than any ring takes; reaching it is a failure."""

ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from volano.core.bus import open_bus

async def main(url, folder, verb):
    bus = open_bus(url, folder=Path(folder))
    if verb == "publish":
        bus.publish("jobs", "from elsewhere")
    else:
        async with bus.subscribe("jobs") as rings:
            print("listening", flush=True)
            async for _, text in rings:
                print(text, flush=True)
                if text == "last":
                    break
    await bus.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["local", "postgres"])
def bus_url(request: pytest.FixtureRequest) -> str:
    """The URL of a bus of this test's own."""
    if request.param == "local":
        return "local:"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def another(bus_url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """`another()` is one more bus on the same wire, as another process has it."""
    opened: list[Bus] = []

    def open_one() -> Bus:
        opened.append(open_bus(bus_url, folder=tmp_path / "bus"))
        return opened[-1]

    yield open_one
    for bus in opened:
        await bus.aclose()


async def _next(rings: Subscription) -> Ring:
    return await asyncio.wait_for(anext(rings), SOON_S)


async def _elsewhere(bus_url: str, folder: Path, verb: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", ELSEWHERE, bus_url, str(folder / "bus"), verb, stdout=PIPE
    )


async def test_a_ring_reaches_who_subscribed_before_it(another: Open) -> None:
    publisher, listener = another(), another()
    async with listener.subscribe("jobs") as rings:
        publisher.publish("jobs", "run_1")
        assert await _next(rings) == ("jobs", "run_1")


async def test_a_ring_reaches_the_process_that_published_it(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as rings:
        bus.publish("jobs")
        assert await _next(rings) == ("jobs", "")


async def test_only_the_channels_that_were_asked_for_arrive_in_order(another: Open) -> None:
    publisher, listener = another(), another()
    async with listener.subscribe("jobs", "events") as rings:
        for channel in ("other", "events", "jobs", "job", "jobs"):
            publisher.publish(channel, f"on {channel}")
        publisher.publish("jobs", "last")
        expected = [("events", "on events"), ("jobs", "on jobs"), ("jobs", "last")]
        assert expected == [await _next(rings) for _ in range(3)]


async def test_any_text_arrives_as_it_was(another: Open) -> None:
    bus = another()
    texts = ["", "\0", "né\n'\"\\", "𝄞" * 900, "x" * 3900]
    async with bus.subscribe("a channel, with \0 and é") as rings:
        for text in texts:
            bus.publish("a channel, with \0 and é", text)
        assert texts == [(await _next(rings))[1] for _ in texts]


async def test_a_text_that_is_too_long_is_refused_at_once(another: Open) -> None:
    with pytest.raises(ValueError, match="at most 4000 bytes"):
        another().publish("jobs", "x" * 4000)


async def test_many_subscriptions_each_get_every_ring(another: Open) -> None:
    publisher, listeners = another(), [another() for _ in range(3)]
    subscriptions = [listener.subscribe("jobs") for listener in listeners for _ in range(10)]
    for rings in subscriptions:
        await rings.__aenter__()
    for n in range(5):
        publisher.publish("jobs", str(n))
    for rings in subscriptions:
        assert [(await _next(rings))[1] for _ in range(5)] == list("01234")


async def test_equal_rings_of_a_moment_ring_once(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as rings:
        for _ in range(1000):
            bus.publish("jobs", "same")
        bus.publish("jobs", "last")
        assert [(await _next(rings))[1] for _ in range(2)] == ["same", "last"]


async def test_a_flood_drops_the_oldest_and_keeps_the_newest(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as rings:
        for n in range(3 * WAITING):
            bus.publish("jobs", str(n))
        assert str(2 * WAITING) == (await _next(rings))[1]
        while (await _next(rings))[1] != str(3 * WAITING - 1):
            pass


async def test_a_slow_subscriber_keeps_the_newest_and_holds_up_nobody(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as slow, bus.subscribe("jobs") as quick:
        for wave in (range(WAITING), range(WAITING, WAITING + 10)):
            for n in wave:
                bus.publish("jobs", str(n))
            assert [str(n) for n in wave] == [(await _next(quick))[1] for _ in wave]
        assert (await _next(slow))[1] == "10"


async def test_closing_ends_the_iteration_after_what_is_here(another: Open) -> None:
    bus = another()
    rings = await bus.subscribe("jobs").__aenter__()
    async with bus.subscribe("jobs") as other:
        bus.publish("jobs", "here")
        await _next(other)
    rings.close()
    assert [ring async for ring in rings] == [("jobs", "here")]


async def test_closing_the_bus_ends_who_waits(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as rings:
        waiting = asyncio.create_task(_all(rings))
        await asyncio.sleep(0)
        await bus.aclose()
        await bus.aclose()  # twice is once
        assert await asyncio.wait_for(waiting, SOON_S) == []


async def _all(rings: Subscription) -> list[Ring]:
    return [ring async for ring in rings]


async def test_an_iterator_that_is_dropped_is_forgotten(another: Open) -> None:
    bus = another()
    async with bus.subscribe("jobs") as kept:
        dropped = await bus.subscribe("jobs").__aenter__()
        assert {kept, dropped} == set(bus._subscriptions)
        del dropped
        gc.collect()
        assert {kept} == set(bus._subscriptions)


async def test_a_ring_from_another_process_arrives(
    another: Open, bus_url: str, tmp_path: Path
) -> None:
    async with another().subscribe("jobs") as rings:
        publisher = await _elsewhere(bus_url, tmp_path, "publish")
        assert await _next(rings) == ("jobs", "from elsewhere")
        assert await publisher.wait() == 0


@pytest.mark.faults
async def test_the_death_of_a_listening_process_is_nobodys_trouble(
    another: Open, bus_url: str, tmp_path: Path
) -> None:
    publisher, survivor = another(), another()
    victim, other = [await _elsewhere(bus_url, tmp_path, "listen") for _ in range(2)]
    assert victim.stdout
    assert other.stdout
    assert b"listening\n" == await victim.stdout.readline() == await other.stdout.readline()
    async with survivor.subscribe("jobs") as rings:
        victim.kill()
        await victim.wait()
        publisher.publish("jobs", "last")
        assert await _next(rings) == ("jobs", "last")
    assert await other.stdout.readline() == b"last\n"
    assert await other.wait() == 0


@pytest.mark.faults
async def test_a_listening_process_that_hangs_holds_up_nobody(
    another: Open, bus_url: str, tmp_path: Path
) -> None:
    publisher, survivor = another(), another()
    stopped = await _elsewhere(bus_url, tmp_path, "listen")
    assert stopped.stdout
    await stopped.stdout.readline()
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        async with survivor.subscribe("jobs") as rings:
            for n in range(100):
                publisher.publish("jobs", str(n))
                assert str(n) == (await _next(rings))[1]
    finally:
        stopped.kill()
        await stopped.communicate()
