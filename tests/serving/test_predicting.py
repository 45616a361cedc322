"""Each answer is computed in time or refused at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serving import graphs
from tests.stages import until
from volano.core.metrics import Metrics
from volano.schemas.common import Overloaded
from volano.serving import loading
from volano.serving.adapters.drawing import padded
from volano.serving.predicting import (
    INLINE_S,
    Floats,
    InferenceExecutor,
    LoadShedder,
    eta_s,
)
from volano.serving.routing import CallCost, LoadedVersion

FEED = padded([np.array(graphs.SEGMENTS, np.float32)])
SOON_S, LATE_S = 1e-6, 3600.0


@pytest.fixture(scope="module")
def slow() -> LoadedVersion:
    loaded = graphs.loaded(graphs.graph(slow=True))
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
    running = (executor.run(loaded, FEED, 1, deadline_s) for _ in range(calls))
    ends: list[Floats | BaseException] = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(end, np.ndarray | Overloaded) for end in ends), ends
    return [isinstance(end, np.ndarray) for end in ends]


async def test_the_event_loop_goes_on_while_a_slow_version_computes(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    call = asyncio.create_task(executor.run(slow, FEED, 1, LATE_S))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    np.testing.assert_array_equal(loading.run(slow.session, FEED, "probabilities"), call.result())


async def test_a_quick_version_answers_within_its_turn(executor: InferenceExecutor) -> None:
    quick = graphs.loaded(graphs.graph(), INLINE_S / 2)
    call = executor.run(quick, FEED, 1, SOON_S)
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    np.testing.assert_array_equal(
        loading.run(quick.session, FEED, "probabilities"), ended.value.value
    )


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
    running = [asyncio.create_task(executor.run(slow, FEED, 1, LATE_S)) for _ in range(20)]
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
    mistaken = replace(slow, cost=cheap)
    real_s = slow.cost.now_s
    answered = await _all(executor, mistaken, 30, 3 * real_s)
    assert answered[0]
    assert False in answered


async def test_a_call_that_nobody_waits_for_gives_its_place_up(
    executor: InferenceExecutor, metrics: Metrics, slow: LoadedVersion
) -> None:
    running = [asyncio.create_task(executor.run(slow, FEED, 1, LATE_S)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert "volano_predictions_queued 0" in metrics.exposition()
    assert await _all(executor, slow, 1, SOON_S) == [True]


async def test_a_loop_that_runs_behind_lets_fewer_in_and_then_all_again(metrics: Metrics) -> None:
    quick = graphs.loaded(graphs.graph(), INLINE_S / 2)
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
    loaded = replace(slow, cost=CallCost(1.0))
    many = padded([np.array(graphs.SEGMENTS, np.float32)] * 32)
    clock, seconds = time.monotonic, 0.0
    for _ in range(100):
        began = clock()
        await executor.run(loaded, many, 32, LATE_S)
        seconds = max(seconds, clock() - began)
    assert loaded.cost.now_s <= 0.9**100 + seconds / 32


async def test_a_request_is_let_in_up_to_four_fifths_of_its_deadline(
    executor: InferenceExecutor, slow: LoadedVersion
) -> None:
    """One call of 1 s runs in the only thread, so that the next one ends after 2 s."""
    loaded = replace(slow, cost=CallCost(1.0))
    running = asyncio.create_task(executor.run(loaded, FEED, 1, LATE_S))
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
