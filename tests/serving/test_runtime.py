"""Which version answers where, and that each answer is computed in time or refused at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.versions import version_file
from tests.serving import graphs
from tests.stages import until
from volano.core.metrics import Metrics
from volano.schemas.common import Overloaded
from volano.serving import loading, runtime
from volano.serving.drawings import padded
from volano.serving.runtime import (
    FIRST_PAUSE_S,
    INLINE_S,
    LONGEST_PAUSE_S,
    ActiveVersion,
    Address,
    CallCost,
    Floats,
    InferenceExecutor,
    LoadedVersion,
    LoadShedder,
    Routing,
    eta_s,
)

FEED = padded([np.array(graphs.SEGMENTS, np.float32)])
SOON_S, LATE_S = 1e-6, 3600.0


@pytest.fixture(scope="module")
def slow() -> LoadedVersion:
    data = graphs.graph(slow=True)
    loaded = loading.load("ver_slow", data, graphs.told(data))
    assert loaded.cost.at_start_s >= INLINE_S
    return loaded


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def executor(metrics: Metrics) -> AsyncIterator[InferenceExecutor]:
    made = InferenceExecutor(metrics, deadline_s=0.2, sessions=1)
    yield made
    made.close()


async def _all(
    executor: InferenceExecutor, loaded: LoadedVersion, calls: int, deadline_s: float
) -> list[bool]:
    """Return for each of so many calls at once whether it was answered."""
    running = (executor.run(loaded, FEED, deadline_s) for _ in range(calls))
    ends: list[Floats | BaseException] = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(end, np.ndarray | Overloaded) for end in ends), ends
    return [isinstance(end, np.ndarray) for end in ends]


async def test_the_event_loop_goes_on_while_a_slow_version_computes(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    call = asyncio.create_task(executor.run(slow, FEED, LATE_S))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    np.testing.assert_array_equal(runtime.run(slow.session, FEED), call.result())


async def test_a_quick_version_answers_within_its_turn(executor: InferenceExecutor) -> None:
    data = graphs.graph()
    quick = LoadedVersion(
        "ver_1", graphs.told(data), loading.open_session(data), CallCost(INLINE_S / 2)
    )
    call = executor.run(quick, FEED, SOON_S)
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    np.testing.assert_array_equal(runtime.run(quick.session, FEED), ended.value.value)


async def test_what_can_begin_at_once_is_never_too_late(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    executor.admit(slow, SOON_S)
    assert await _all(executor, slow, 1, SOON_S) == [True]


async def test_only_as_many_wait_as_can_be_answered_in_time(
    executor: InferenceExecutor, metrics: Metrics, slow: LoadedVersion
) -> None:
    answered = await _all(executor, slow, 50, 10 * slow.cost.now_s)
    assert True in answered[:10]
    assert answered[20:] == [False] * 30
    assert f'refused_total{{by="queue"}} {answered.count(False)}' in metrics.exposition()
    assert "volano_predictions_queued 0" in metrics.exposition()


async def test_before_the_body_a_full_queue_refuses(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    running = [asyncio.create_task(executor.run(slow, FEED, LATE_S)) for _ in range(20)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        executor.admit(slow, 5 * slow.cost.now_s)
    assert refused.value.facts["retry_after_s"] > 0
    executor.admit(slow, LATE_S)
    await asyncio.gather(*running)
    executor.admit(slow, 5 * slow.cost.now_s)


async def test_what_waited_too_long_after_all_is_not_begun(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    """Its cost was thought to be next to nothing, so all were let in."""
    cheap = CallCost(INLINE_S)
    cheap.now_s = 1e-9
    mistaken = LoadedVersion("ver_1", slow.told, slow.session, cheap)
    real_s = slow.cost.now_s
    answered = await _all(executor, mistaken, 30, 3 * real_s)
    assert answered[0]
    assert False in answered


async def test_a_call_that_nobody_waits_for_gives_its_place_up(
    executor: InferenceExecutor, metrics: Metrics, slow: LoadedVersion
) -> None:
    running = [asyncio.create_task(executor.run(slow, FEED, LATE_S)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert "volano_predictions_queued 0" in metrics.exposition()
    assert await _all(executor, slow, 1, SOON_S) == [True]


async def test_a_loop_that_runs_behind_lets_fewer_in_and_then_all_again(metrics: Metrics) -> None:
    data = graphs.graph()
    quick = loading.load("ver_1", data, graphs.told(data))
    quick = LoadedVersion(quick.version, quick.told, quick.session, CallCost(INLINE_S / 2))
    executor = InferenceExecutor(metrics, deadline_s=0.01)
    refused = await _refused(executor, quick, busy_s=0.03, requests=40)
    assert refused > 20
    assert f'refused_total{{by="loop"}} {refused}' in metrics.exposition()

    async def all_let_in() -> bool:
        return await _refused(executor, quick, busy_s=0.0, requests=10) == 0

    await until(all_let_in)
    executor.close()


async def test_the_cost_of_a_call_is_shared_by_its_inputs(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    """The average comes down to what one of 32 inputs takes, not to what the call does."""
    loaded = LoadedVersion(slow.version, slow.told, slow.session, CallCost(1.0))
    many = padded([np.array(graphs.SEGMENTS, np.float32)] * 32)
    clock, seconds = time.monotonic, 0.0
    for _ in range(100):
        began = clock()
        await executor.run(loaded, many, LATE_S)
        seconds = max(seconds, clock() - began)
    assert loaded.cost.now_s <= 0.9**100 + seconds / 32


async def test_a_request_is_let_in_up_to_four_fifths_of_its_deadline(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    """One call of 1 s runs in the only thread, so that the next one ends after 2 s."""
    loaded = LoadedVersion(slow.version, slow.told, slow.session, CallCost(1.0))
    running = asyncio.create_task(executor.run(loaded, FEED, LATE_S))
    await asyncio.sleep(0)
    executor.admit(loaded, 2.5)
    with pytest.raises(Overloaded) as refused:
        executor.admit(loaded, 2.49)
    assert refused.value.facts["retry_after_s"] == 2.0
    await running


async def _refused(
    executor: InferenceExecutor, loaded: LoadedVersion, busy_s: float, requests: int
) -> int:
    """Count the requests that are refused while each keeps the loop busy for so long."""
    refused = 0
    for _ in range(requests):
        try:
            executor.admit(loaded, 0.01)
        except Overloaded:
            refused += 1
        time.sleep(busy_s)
        await asyncio.sleep(0.011)
    return refused


def _active(sequence: int, version: str = "ver_1") -> ActiveVersion:
    loaded = LoadedVersion(version, version_file("a"), None, CallCost(0.0))
    return ActiveVersion(sequence, loaded)


def _at(name: str) -> Address:
    return ("ws_a", name)


@given(st.permutations(range(1, 7)))
def test_changes_may_arrive_in_any_order(order: list[int]) -> None:
    routing = Routing(4)
    taken = [routing.put(_at("a"), _active(sequence)) for sequence in order]
    found = routing.find(_at("a"))
    assert found is not None
    assert found.sequence == 6
    assert taken == [all(n < s for n in order[:at]) for at, s in enumerate(order)]


def test_the_least_recently_used_goes_first() -> None:
    routing = Routing(2)
    for name in ("a", "b"):
        routing.put(_at(name), _active(1))
    routing.find(_at("a"))
    routing.put(_at("c"), _active(1))
    assert routing.addresses() == {_at("a"), _at("c")}
    assert len(routing) == 2
    assert routing.find(_at("b")) is None


def test_a_version_that_answers_elsewhere_in_the_workspace_is_found() -> None:
    routing = Routing(2)
    routing.put(_at("a"), _active(1, "ver_7"))
    assert routing.loaded("ws_a", "ver_7") is not None
    assert routing.loaded("ws_b", "ver_7") is None
    assert routing.loaded("ws_a", "ver_8") is None


def test_what_failed_is_tried_again_after_pauses_that_grow() -> None:
    routing, now, tries = Routing(2), 0.0, []
    for _ in range(12):
        assert routing.failed(_at("a"), 7, now) == (not tries)
        while not routing.may_try(_at("a"), 7, now):
            now += 0.25
        tries.append(now)
    pauses = [after - before for before, after in pairwise([0.0, *tries])]
    assert pauses == sorted(pauses)
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_failure_holds_back_nothing_but_its_own_change() -> None:
    routing = Routing(2)
    assert routing.failed(_at("a"), 7, 0.0)
    assert routing.may_try(_at("a"), 8, 0.0)
    assert routing.may_try(_at("b"), 7, 0.0)
    assert routing.failed(_at("a"), 8, 0.0)
    routing.put(_at("a"), _active(8))
    assert routing.may_try(_at("a"), 8, 0.0)


def test_what_failed_is_looked_at_again_until_it_answers() -> None:
    routing = Routing(2)
    routing.failed(_at("a"), 7, 0.0)
    assert routing.addresses() == {_at("a")}
    assert not routing.wants(_at("a"), 7, FIRST_PAUSE_S / 2)
    assert routing.wants(_at("a"), 7, FIRST_PAUSE_S)
    routing.put(_at("a"), _active(7))
    assert not routing.wants(_at("a"), 7, FIRST_PAUSE_S)


def test_a_change_is_wanted_where_it_is_newer_and_a_new_endpoint_while_there_is_room() -> None:
    routing = Routing(1)
    assert routing.wants(_at("a"), 1, 0.0)
    routing.put(_at("a"), _active(3))
    assert routing.wants(_at("a"), 4, 0.0)
    assert not routing.wants(_at("a"), 3, 0.0)
    assert not routing.wants(_at("b"), 9, 0.0)


def test_the_failures_that_are_remembered_are_bounded() -> None:
    routing = Routing(2)
    for number in range(5000):
        routing.failed(_at(f"endpoint {number}"), 1, 0.0)
    assert len(routing.addresses()) == 1000
    assert _at("endpoint 4999") in routing.addresses()


positive = st.floats(1e-4, 10)


@given(positive, positive, st.integers(1, 64))
def test_the_sessions_share_the_work(work: float, cost: float, sessions: int) -> None:
    alone = eta_s(work, cost, 1)
    assert alone == work + cost
    assert eta_s(work, cost, sessions) == pytest.approx(alone / sessions)


@given(positive, positive)
def test_a_cost_nears_what_is_seen_and_keeps_its_start(start: float, seen: float) -> None:
    cost = CallCost(start)
    for _ in range(200):
        cost.measured(seen)
    assert cost.now_s == pytest.approx(seen, rel=1e-3, abs=1e-6)
    assert start == cost.at_start_s


def _let_in(shedder: LoadShedder, late_s: float, seconds: float) -> float:
    """Return the share of requests let in at the end of so long with such lateness."""
    for _ in range(round(seconds / 0.01)):
        shedder.beat(late_s, 0.01)
    return sum(shedder.lets_in() for _ in range(1000)) / 1000


def test_a_loop_on_time_lets_everybody_in() -> None:
    assert _let_in(LoadShedder(0.04), 0.03, 60) == 1


def test_a_hiccup_refuses_nobody() -> None:
    shedder = LoadShedder(0.04)
    shedder.beat(0.1, 0.11)
    assert _let_in(shedder, 0.0, 0.01) == 1


def test_a_late_loop_refuses_most_and_then_recovers_within_a_second() -> None:
    shedder = LoadShedder(0.04)
    assert _let_in(shedder, 0.2, 2) == pytest.approx(0.05, abs=0.01)
    assert _let_in(shedder, 0.0, 1) == 1


@given(st.floats(1.2, 5))
def test_under_steady_overload_it_settles_near_the_target(overload: float) -> None:
    """A loop whose lateness grows with the work that is let in beyond what it can do."""
    shedder, late_s = LoadShedder(0.04), 0.0
    shares = []
    for _ in range(3000):
        late_s = max(0.0, late_s + 0.01 * (min(1.0, shedder.share) * overload - 1.0))
        shedder.beat(late_s, 0.01)
        shares.append(min(1.0, shedder.share))
    settled = sum(shares[-1000:]) / 1000
    assert settled == pytest.approx(1 / overload, rel=0.1)
