"""What answers is warm and checked, swaps without a failure, and everything said is kept."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
import structlog

from tests.registry.versions import registered
from tests.serving.graphs import CLASSES, asked, graph, request, seen, version, wrong
from tests.stages import claimed, until
from volano import app
from volano.core.blobs import Blobs
from volano.core.bus import open_bus
from volano.core.context import Context
from volano.core.segments.inbox import Row
from volano.registry import service as registry
from volano.schemas.accounts import Who
from volano.schemas.common import Overloaded, uuid7
from volano.schemas.drawings import Canvas, Point, Stroke
from volano.schemas.errors import Missing
from volano.schemas.registry import ArtefactRefused, Version
from volano.schemas.serving import (
    GoldenMismatch,
    InputUnusable,
    NoEarlierVersion,
    NotAnswering,
    NothingActive,
    PredictInput,
    PredictResponse,
)
from volano.serving import following, log, logged, predicting, service, store
from volano.serving.routing import Routing
from volano.serving.state import State

NAME = "shapes"


async def _ask(ctx: Context, who: Who, *inputs: PredictInput, name: str = NAME) -> PredictResponse:
    return await predicting.predict(ctx, who, name, request(*inputs))


async def _flushed(ctx: Context) -> None:
    await ctx.part(State).log.flush()


async def _compact(ctx: Context, who: Who) -> int:
    return await logged.compact_log(ctx, await claimed(ctx, who.workspace, logged.COMPACT, {}))


async def _has(ctx: Context, who: Who, version: str, name: str = NAME) -> bool:
    found = ctx.part(State).routing.active.get((who.workspace, name))
    return found is not None and found.loaded.version == version


async def test_an_activated_version_answers_at_once(server: Context, boss: Who) -> None:
    there = await version(server, boss, favourite=1)
    endpoint = await service.activate(server, boss, NAME, there.id)
    assert endpoint.name == NAME
    assert endpoint.model == "shapes"
    assert endpoint.version == there.id
    assert endpoint.sequence == 1
    answer = await _ask(server, boss, *(asked(n) for n in range(3)))
    assert answer.endpoint == NAME
    assert answer.version == there.id
    for one in answer.predictions:
        assert one.label == "square"
        assert one.confidence == max(one.scores.values())
        assert set(one.scores) == set(CLASSES)
        assert abs(sum(one.scores.values()) - 1) < 1e-5
    assert len({one.id for one in answer.predictions}) == 3


async def test_an_activation_is_a_line(server: Context, boss: Who) -> None:
    there = await version(server, boss, favourite=1)

    with structlog.testing.capture_logs() as lines:
        await service.activate(server, boss, NAME, there.id)

    assert [(NAME, there.id)] == [
        (x["endpoint"], x["version"]) for x in lines if x["event"] == "endpoint.activated"
    ]


async def test_several_inputs_are_answered_as_each_alone(server: Context, boss: Who) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    inputs = [asked(n) for n in range(5)]
    together = [one.scores for one in (await _ask(server, boss, *inputs)).predictions]
    for given, scores in zip(inputs, together, strict=True):
        alone = (await _ask(server, boss, given)).predictions[0].scores
        assert np.allclose(list(alone.values()), list(scores.values()), atol=1e-2)


async def test_an_endpoint_on_which_no_version_was_put_is_missing(
    server: Context, boss: Who, outsider: Who
) -> None:
    for verb in (_ask(server, boss), predicting.admit(server, boss, NAME)):
        with pytest.raises(Missing):
            await verb
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    with pytest.raises(Missing):
        await _ask(server, outsider)


def _one_point(x: float = 1.0, timestamp: float = 0.0, width: float = 100.0) -> PredictInput:
    return PredictInput(
        canvas=Canvas(width=width, height=100.0),
        strokes=[Stroke(points=[Point(x=x, y=1.0, timestamp=timestamp)])],
    )


@pytest.mark.parametrize(
    "given",
    [
        PredictInput(canvas=Canvas(width=9.0, height=9.0), strokes=[Stroke(points=[])]),
        *(_one_point(x=x) for x in (float("nan"), float("inf"), 1e9)),
        *(_one_point(timestamp=t) for t in (float("nan"), -1.0, 1e17)),
        *(_one_point(width=w) for w in (float("nan"), 0.0, 1e9)),
    ],
)
async def test_an_input_that_is_no_drawing_is_refused(
    server: Context, boss: Who, given: PredictInput
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    await _ask(server, boss, _one_point())
    with pytest.raises(InputUnusable):
        await _ask(server, boss, given)


async def test_a_version_that_answers_otherwise_than_when_trained_is_not_let_on(
    server: Context, boss: Who
) -> None:
    good, data = await version(server, boss), graph(2)
    await service.activate(server, boss, NAME, good.id)
    bad = await registered(server, boss, {"model.onnx": data}, wrong(data))
    with pytest.raises(GoldenMismatch):
        await service.activate(server, boss, NAME, bad.id)
    assert good.id == (await _ask(server, boss)).version
    assert (await service.endpoint(server, boss, NAME)).sequence == 1


async def test_a_version_that_cannot_be_checked_is_not_let_on(server: Context, boss: Who) -> None:
    unchecked = await registered(server, boss, {"model.onnx": graph()})
    with pytest.raises(ArtefactRefused):
        await service.activate(server, boss, NAME, unchecked.id)


async def test_a_version_of_another_workspace_is_missing(
    server: Context, boss: Who, outsider: Who
) -> None:
    there = await version(server, boss)
    with pytest.raises(Missing):
        await service.activate(server, outsider, NAME, there.id)


async def test_rolling_back_puts_the_version_before_back_on(server: Context, boss: Who) -> None:
    first, second = [await version(server, boss, n) for n in range(2)]
    for there in (first, second):
        await service.activate(server, boss, NAME, there.id)
    back = await service.roll_back(server, boss, NAME, second.id)
    assert back.version == first.id
    assert back.sequence == 3
    assert (await _ask(server, boss)).version == first.id
    assert [one.version for one in back.history] == [first.id, second.id, first.id]
    assert [one.sequence for one in back.history] == [3, 2, 1]
    assert [one.returns_to for one in back.history] == [None, 1, None]
    assert second.id in back.history[0].reason
    assert {boss.member} == {one.by for one in back.history}


async def test_each_rollback_goes_one_version_further_back(server: Context, boss: Who) -> None:
    a, b, c = [(await version(server, boss, n)).id for n in range(3)]
    for there in (a, b, c):
        await service.activate(server, boss, NAME, there)

    assert (await service.roll_back(server, boss, NAME, c)).version == b
    assert (await service.roll_back(server, boss, NAME, b)).version == a
    with pytest.raises(NoEarlierVersion):
        await service.roll_back(server, boss, NAME, a)
    assert (await _ask(server, boss)).version == a


async def test_what_is_activated_after_a_rollback_lies_above_what_was_rolled_back_to(
    server: Context, boss: Who
) -> None:
    a, b, c = [(await version(server, boss, n)).id for n in range(3)]
    for there in (a, b):
        await service.activate(server, boss, NAME, there)
    await service.roll_back(server, boss, NAME, b)
    await service.activate(server, boss, NAME, c)

    assert (await service.roll_back(server, boss, NAME, c)).version == a
    with pytest.raises(NoEarlierVersion):
        await service.roll_back(server, boss, NAME, a)


async def test_a_rollback_that_is_sent_twice_happens_once(server: Context, boss: Who) -> None:
    a, b, c = [(await version(server, boss, n)).id for n in range(3)]
    for there in (a, b, c):
        await service.activate(server, boss, NAME, there)

    again = [await service.roll_back(server, boss, NAME, c) for _ in range(2)]

    assert [one.version for one in again] == [b, b]
    assert [one.sequence for one in again] == [4, 4]


async def test_only_the_version_that_answers_can_be_rolled_back(server: Context, boss: Who) -> None:
    a, b, c = [(await version(server, boss, n)).id for n in range(3)]
    await service.activate(server, boss, NAME, a)
    await service.activate(server, boss, NAME, b)

    for other in (a, c):
        with pytest.raises(NotAnswering) as refused:
            await service.roll_back(server, boss, NAME, other)
        assert refused.value.facts == {"endpoint": NAME, "version": other, "active": b}

    # What was rolled back and has been replaced since is not what the last change undid.
    await service.roll_back(server, boss, NAME, b)
    await service.activate(server, boss, NAME, c)
    with pytest.raises(NotAnswering):
        await service.roll_back(server, boss, NAME, b)


async def test_of_two_rollbacks_at_once_one_counts(server: Context, boss: Who) -> None:
    a, b, c = [(await version(server, boss, n)).id for n in range(3)]
    for there in (a, b, c):
        await service.activate(server, boss, NAME, there)

    both = await asyncio.gather(*(service.roll_back(server, boss, NAME, c) for _ in range(2)))

    assert [one.version for one in both] == [b, b]
    assert (await service.endpoint(server, boss, NAME)).sequence == 4


async def test_activating_what_is_active_changes_nothing(server: Context, boss: Who) -> None:
    there = await version(server, boss)

    again = [await service.activate(server, boss, NAME, there.id) for _ in range(2)]

    assert [one.sequence for one in again] == [1, 1]
    assert len(again[1].history) == 1
    with pytest.raises(NoEarlierVersion):
        await service.roll_back(server, boss, NAME, there.id)


async def test_no_request_fails_while_versions_are_swapped(server: Context, boss: Who) -> None:
    versions = [await version(server, boss, n) for n in range(2)]
    await service.activate(server, boss, NAME, versions[0].id)
    answers: Counter[str] = Counter()
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            answers[(await _ask(server, boss)).version] += 1
            await asyncio.sleep(0)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(1, 7):
        await service.activate(server, boss, NAME, versions[number % 2].id)
    done.set()
    await asyncio.gather(*asking)
    assert {one.id for one in versions} == set(answers)
    assert versions[0].id == (await _ask(server, boss)).version


async def test_under_twice_the_load_everybody_is_answered_or_told_when_to_come_again(
    server: Context, boss: Who
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss, slow=True)).id)
    active, executor = (
        server.part(State).routing.active.get((boss.workspace, NAME)),
        server.part(State).executor,
    )
    assert active is not None
    burst = 20 * executor.sessions
    in_time_s = burst / 2 * active.loaded.cost.now_s / executor.sessions
    given = request()
    ends = await asyncio.gather(
        *(
            predicting.predict(server, boss, NAME, given, deadline_ms=round(in_time_s * 1000))
            for _ in range(burst)
        ),
        return_exceptions=True,
    )
    refused = [end for end in ends if isinstance(end, Overloaded)]
    answered = [end for end in ends if isinstance(end, PredictResponse)]
    assert burst == len(refused) + len(answered)
    assert refused
    assert len(answered) >= executor.sessions
    assert all(one.facts["retry_after_s"] > 0 for one in refused)
    await _flushed(server)
    for one in answered:
        await logged.prediction(server, boss, one.predictions[0].id)


async def test_another_process_follows_by_the_doorbell(
    server: Context, other_process: Context, boss: Who
) -> None:
    slow = replace(other_process, settings=replace(other_process.settings, serving_poll_s=3600.0))
    first, second = [await version(server, boss, n) for n in range(2)]
    await service.activate(server, boss, NAME, first.id)
    async with app.following(slow):
        assert await _has(slow, boss, first.id)

        async def swapped() -> bool:
            # The bell may ring before the other process listens: ring it as often as it takes.
            await service.activate(server, boss, NAME, first.id)
            await service.activate(server, boss, NAME, second.id)
            return await _has(slow, boss, second.id)

        await until(swapped)
    assert second.id == (await _ask(slow, boss)).version


async def test_another_process_follows_without_the_doorbell(
    server: Context, other_process: Context, boss: Who, tmp_path: Path
) -> None:
    """The two listen to different bells: what one rings, the other does not hear."""
    another = open_bus("local:", folder=tmp_path / "another bus")
    unheard = replace(server, bus=another)
    quick = replace(other_process, settings=replace(other_process.settings, serving_poll_s=0.01))
    first, second = [await version(server, boss, n) for n in range(2)]
    await service.activate(unheard, boss, NAME, first.id)
    async with app.following(quick):
        assert await _has(quick, boss, first.id)
        await service.activate(unheard, boss, NAME, second.id)
        await until(lambda: _has(quick, boss, second.id))
    await another.aclose()


async def test_an_endpoint_that_a_doorbell_names_is_loaded_before_anybody_asks(
    server: Context, other_process: Context, boss: Who, outsider: Who
) -> None:
    await following.load_endpoints(other_process)
    for who in (boss, outsider):
        await service.activate(server, who, NAME, (await version(server, who)).id)
    await following.follow_changes(other_process)
    assert other_process.part(State).routing.addresses() == set()
    await following.follow_changes(other_process, f"{boss.workspace}/{NAME}")
    assert other_process.part(State).routing.addresses() == {(boss.workspace, NAME)}


async def test_what_answers_is_loaded_when_a_process_starts_as_far_as_there_is_room(
    server: Context, other_process: Context, boss: Who
) -> None:
    small = replace(
        other_process,
        parts={
            **other_process.parts,
            State: replace(other_process.part(State), routing=Routing(2)),
        },
    )
    there = await version(server, boss)
    for name in ("a", "b", "c"):
        await service.activate(server, boss, name, there.id)
    await following.load_endpoints(small)
    assert len(small.part(State).routing) == 2


async def test_a_process_with_little_room_follows_what_it_has_loaded(
    server: Context, other_process: Context, boss: Who
) -> None:
    """Its room is taken by the endpoint that comes last in every order."""
    small = replace(
        other_process,
        settings=replace(other_process.settings, serving_loaded=1),
        parts={
            **other_process.parts,
            State: replace(other_process.part(State), routing=Routing(1)),
        },
    )
    old, new = [await version(server, boss, n) for n in range(2)]
    for name in ("a", "z"):
        await service.activate(server, boss, name, old.id)
    await predicting.admit(small, boss, "z")
    await service.activate(server, boss, "z", new.id)
    await following.follow_changes(small)
    assert new.id == (await _ask(small, boss, name="z")).version
    await predicting.admit(small, boss, "a")
    assert old.id == (await _ask(small, boss, name="a")).version


async def test_an_endpoint_that_cannot_be_followed_stops_nobody_elses(
    server: Context, other_process: Context, boss: Who, outsider: Who
) -> None:
    lost = await version(server, boss)
    await service.activate(server, boss, NAME, lost.id)
    await service.activate(server, boss, "other", (await version(server, boss, 1)).id)
    await service.activate(server, outsider, NAME, (await version(server, outsider, 2)).id)
    await _lose(server, boss, lost)
    await following.load_endpoints(other_process)
    assert other_process.part(State).routing.active.get((boss.workspace, NAME)) is None
    for who, name in ((boss, "other"), (outsider, NAME)):
        assert other_process.part(State).routing.active.get((who.workspace, name)) is not None


async def _lose(ctx: Context, who: Who, version: Version) -> None:
    """Take the graph of a version away, as a disk might."""
    graph = next(file for file in version.files if file.name == "model.onnx")
    await ctx.blobs.delete(who.workspace, graph.blob)


async def test_what_cannot_be_followed_is_left_alone_for_a_while(
    server: Context, other_process: Context, boss: Who
) -> None:
    lost = await version(server, boss)
    await service.activate(server, boss, NAME, lost.id)
    await _lose(server, boss, lost)
    with structlog.testing.capture_logs() as lines:
        await following.load_endpoints(other_process)
        for _ in range(5):
            await following.follow_changes(other_process)
    assert [line["event"] for line in lines] == ["endpoint.not_followed"]
    with pytest.raises(NothingActive):
        await _ask(other_process, boss)
    await service.activate(server, boss, NAME, (await version(server, boss, 1)).id)
    await following.follow_changes(other_process)
    assert (await _ask(other_process, boss)).predictions[0].label == "square"


class Gate:
    """A blob store in which one blob is not read before the gate is open."""

    def __init__(self, blobs: Blobs, closed: str) -> None:
        self._blobs, self._closed = blobs, closed
        self.open, self.reached = asyncio.Event(), asyncio.Event()
        self.reads = 0

    async def get(self, workspace: str, blob: str) -> bytes:
        if blob == self._closed:
            self.reads += 1
            self.reached.set()
            await self.open.wait()
        return await self._blobs.get(workspace, blob)


async def test_a_version_that_loads_slowly_holds_up_no_other_and_is_loaded_once(
    server: Context, other_process: Context, boss: Who, outsider: Who
) -> None:
    slow = await version(server, boss)
    await service.activate(server, boss, NAME, slow.id)
    await service.activate(server, outsider, NAME, (await version(server, outsider, 1)).id)
    gate = Gate(other_process.blobs, slow.files[0].blob)
    gated = replace(other_process, blobs=cast(Blobs, gate))
    waiting = [asyncio.create_task(_ask(gated, boss)) for _ in range(3)]
    await gate.reached.wait()
    assert (await _ask(gated, outsider)).predictions[0].label == "square"
    assert not any(task.done() for task in waiting)
    gate.open.set()
    assert [(await task).version for task in waiting] == [slow.id] * 3
    assert gate.reads == 1


async def test_a_prediction_is_found_before_and_after_it_moved(server: Context, boss: Who) -> None:
    there = await version(server, boss)
    await service.activate(server, boss, NAME, there.id)
    given = [asked(n) for n in range(3)]
    made = (await _ask(server, boss, *given)).predictions
    await _flushed(server)
    waiting = [await logged.prediction(server, boss, one.id) for one in made]
    assert await _compact(server, boss) == 3
    moved = [await logged.prediction(server, boss, one.id) for one in made]
    assert waiting == moved
    assert [seen(one) for one in given] == [seen(one.input) for one in moved]
    for one, shown in zip(made, moved, strict=True):
        assert shown.endpoint == NAME
        assert shown.version == there.id
        assert shown.label == one.label
        assert shown.scores == one.scores


async def test_predictions_are_committed_without_being_asked(server: Context, boss: Who) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    (made,) = (await _ask(server, boss)).predictions

    async def is_logged() -> bool:
        try:
            return bool(await logged.prediction(server, boss, made.id))
        except Missing:
            return False

    await until(is_logged)


@pytest.mark.parametrize("id", ["none", "00000000-0000-7000-8000-000000000000"])
async def test_a_prediction_that_is_not_there_is_missing(
    server: Context, boss: Who, id: str
) -> None:
    with pytest.raises(Missing):
        await logged.prediction(server, boss, id)


async def test_a_prediction_of_another_workspace_is_missing(
    server: Context, boss: Who, outsider: Who
) -> None:
    await service.activate(server, boss, NAME, (await version(server, boss)).id)
    (made,) = (await _ask(server, boss)).predictions
    await _flushed(server)
    with pytest.raises(Missing):
        await logged.prediction(server, outsider, made.id)


async def test_what_waits_at_the_end_of_a_process_is_committed(
    settings: Any, server: Context, boss: Who, outsider: Who
) -> None:
    """Of every workspace, also while the log is just being written."""
    made: list[tuple[Who, str]] = []
    async with app.open_context(settings) as ending:
        for who in (boss, outsider):
            await service.activate(ending, who, NAME, (await version(ending, who)).id)
        for _ in range(3):
            for who in (boss, outsider):
                made.append((who, (await _ask(ending, who)).predictions[0].id))
            await asyncio.sleep(ending.settings.serving_log_ms / 1000)
    for who, id in made:
        assert id == (await logged.prediction(server, who, id)).id


async def test_the_latest_predictions_of_a_version_come_newest_first(
    server: Context, boss: Who
) -> None:
    """In the inbox, in several segments, and in several row groups of one."""
    there, other = await version(server, boss, 0), await version(server, boss, 1)
    rows: list[Row] = []
    inbox = server.part(State).log.inbox
    for moved in (1500, 5, 3):
        batch = [_row(there.id if n % 2 else other.id) for n in range(2 * moved)]
        await inbox.append(boss.workspace, batch, now_ms=len(rows) + 1)
        rows += batch
        if moved > 3:
            await _compact(server, boss)
    mine = [row.key for row in rows if row.subject == there.id][::-1]
    found = await logged.latest_of(server, boss, there.id, limit=20)
    assert mine[:20] == found.ids
    assert found.total == 1508
    few = await logged.latest_of(server, boss, there.id, limit=2)
    assert mine[:2] == few.ids
    assert few.total == 1508


def _row(version: str) -> Row:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    facts = log.LoggedFacts(NAME, version, at, "square", 1.0, {"square": 1.0})
    return Row(str(uuid7()), bytes(32), msgspec.msgpack.encode(facts), b"\x80", version)


async def test_where_and_when_a_version_answered_is_told(server: Context, boss: Who) -> None:
    there = await version(server, boss)
    other = await version(server, boss)
    for name, one in (("a", there), ("b", there), ("a", other), ("a", there)):
        await service.activate(server, boss, name, one.id)
    found = await service.rollouts_of(server, boss, there.id)
    assert Counter(endpoint for endpoint, _ in found) == Counter({"a": 2, "b": 1})


async def test_endpoints_come_by_name_in_pages(server: Context, boss: Who, outsider: Who) -> None:
    there = await version(server, boss)
    for name in ("b", "a", "c"):
        await service.activate(server, boss, name, there.id)
    first = await service.endpoints(server, boss, after="", limit=2)
    rest = await service.endpoints(server, boss, after=first.next or "", limit=2)
    names = [[one.name for one in page.items] for page in (first, rest)]
    assert names == [["a", "b"], ["c"]]
    assert rest.next is None
    assert (await service.endpoints(server, outsider, after="", limit=9)).items == []


async def test_two_activations_at_once_are_two_rollouts(
    server: Context, other_process: Context, boss: Who
) -> None:
    versions = [await version(server, boss, n) for n in range(2)]
    contexts = (server, other_process)
    await asyncio.gather(
        *(service.activate(c, boss, NAME, v.id) for c, v in zip(contexts, versions, strict=True))
    )
    endpoint = await service.endpoint(server, boss, NAME)
    assert [one.sequence for one in endpoint.history] == [2, 1]
    for ctx in contexts:
        await following.follow_changes(ctx)
        assert endpoint.version == (await _ask(ctx, boss)).version
    assert endpoint.version == (await registry.version(server, boss, endpoint.version)).id


async def test_counters_of_answers_add_up(server: Context, boss: Who) -> None:
    there = await version(server, boss)
    await service.activate(server, boss, NAME, there.id)
    for _ in range(2):
        await _ask(server, boss, *(asked(n) for n in range(4)))
        await _flushed(server)
        await _compact(server, boss)
    async with server.db.read(boss.workspace) as tx:
        assert await store.answered(tx, there.id) == 8
