"""Slow versions compute beside the event loop, in turn; what would come too late is refused."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.serving import graphs
from volano.core.metrics import Metrics
from volano.schemas.common import Overloaded
from volano.serving import runtime
from volano.serving.admission import Cost
from volano.serving.executor import INLINE_S, InferenceExecutor
from volano.serving.features import padded
from volano.serving.runtime import Floats, Loaded

FEED = padded([np.array(graphs.SEGMENTS, np.float32)])
SOON_S, LATE_S = 1e-6, 3600.0


@pytest.fixture(scope="module")
def slow() -> Loaded:
    data = graphs.graph(slow=True)
    loaded = runtime.load("ver_slow", data, graphs.artefact(data))
    assert loaded.cost.at_start_s >= INLINE_S
    return loaded


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def lanes(metrics: Metrics) -> AsyncIterator[InferenceExecutor]:
    made = InferenceExecutor(metrics, deadline_s=0.2, sessions=1)
    yield made
    made.close()


async def _all(
    lanes: InferenceExecutor, loaded: Loaded, calls: int, deadline_s: float
) -> list[bool]:
    """For each of so many calls at once, whether it was answered."""
    running = (lanes.run(loaded, FEED, deadline_s) for _ in range(calls))
    ends: list[Floats | BaseException] = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(end, np.ndarray | Overloaded) for end in ends), ends
    return [isinstance(end, np.ndarray) for end in ends]


async def test_the_event_loop_goes_on_while_a_slow_version_computes(
    lanes: InferenceExecutor, slow: Loaded
) -> None:
    call = asyncio.create_task(lanes.run(slow, FEED, LATE_S))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2
    np.testing.assert_array_equal(runtime.run(slow.session, FEED), call.result())


async def test_a_quick_version_answers_within_its_turn(lanes: InferenceExecutor) -> None:
    data = graphs.graph()
    quick = Loaded("ver_1", graphs.artefact(data), runtime._session(data), Cost(INLINE_S / 2))
    call = lanes.run(quick, FEED, SOON_S)
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    np.testing.assert_array_equal(runtime.run(quick.session, FEED), ended.value.value)


async def test_what_can_begin_at_once_is_never_too_late(
    lanes: InferenceExecutor, slow: Loaded
) -> None:
    lanes.admit(slow, SOON_S)
    assert await _all(lanes, slow, 1, SOON_S) == [True]


async def test_only_as_many_wait_as_can_be_answered_in_time(
    lanes: InferenceExecutor, metrics: Metrics, slow: Loaded
) -> None:
    answered = await _all(lanes, slow, 50, 10 * slow.cost.now_s)
    assert True in answered[:10]
    assert answered[20:] == [False] * 30
    assert f'refused_total{{by="queue"}} {answered.count(False)}' in metrics.exposition()
    assert "volano_predictions_queued 0" in metrics.exposition()


async def test_before_the_body_a_full_queue_refuses(lanes: InferenceExecutor, slow: Loaded) -> None:
    running = [asyncio.create_task(lanes.run(slow, FEED, LATE_S)) for _ in range(20)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        lanes.admit(slow, 5 * slow.cost.now_s)
    assert refused.value.facts["retry_after_s"] > 0
    lanes.admit(slow, LATE_S)
    await asyncio.gather(*running)
    lanes.admit(slow, 5 * slow.cost.now_s)


async def test_what_waited_too_long_after_all_is_not_begun(
    lanes: InferenceExecutor, slow: Loaded
) -> None:
    """Its cost was thought to be next to nothing, so all were let in."""
    cheap = Cost(INLINE_S)
    cheap.now_s = 1e-9
    mistaken = Loaded("ver_1", slow.artefact, slow.session, cheap)
    real_s = slow.cost.now_s
    answered = await _all(lanes, mistaken, 30, 3 * real_s)
    assert answered[0]
    assert False in answered


async def test_a_call_that_nobody_waits_for_gives_its_place_up(
    lanes: InferenceExecutor, metrics: Metrics, slow: Loaded
) -> None:
    running = [asyncio.create_task(lanes.run(slow, FEED, LATE_S)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert "volano_predictions_queued 0" in metrics.exposition()
    assert await _all(lanes, slow, 1, SOON_S) == [True]


async def test_a_loop_that_runs_behind_lets_fewer_in_and_then_all_again(metrics: Metrics) -> None:
    data = graphs.graph()
    quick = runtime.load("ver_1", data, graphs.artefact(data))
    quick = Loaded(quick.version, quick.artefact, quick.session, Cost(INLINE_S / 2))
    lanes = InferenceExecutor(metrics, deadline_s=0.01)
    refused = await _refused(lanes, quick, busy_s=0.03)
    assert refused > 20
    await asyncio.sleep(1)
    assert await _refused(lanes, quick, busy_s=0.0, rounds=3) == 0
    assert f'refused_total{{by="loop"}} {refused}' in metrics.exposition()
    lanes.close()


async def _refused(
    lanes: InferenceExecutor, loaded: Loaded, busy_s: float, rounds: int = 40
) -> int:
    """How many of 40 requests are refused while each keeps the loop busy for so long."""
    refused = 0
    for _ in range(rounds):
        try:
            lanes.admit(loaded, 0.01)
        except Overloaded:
            refused += 1
        time.sleep(busy_s)
        await asyncio.sleep(0.011)
    return refused
