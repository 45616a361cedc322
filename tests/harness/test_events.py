"""Events survive the pipe, and no loop can flood it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volano.harness.events import (
    BATCH,
    LINE_LIMIT,
    Lines,
    Outbox,
    PipeEvents,
    TokenBucket,
    decode,
    encode,
)
from volano.schemas.harness import (
    AnyEvent,
    ArtefactFile,
    EventTooLarge,
    EventUnreadable,
    Failed,
    Finished,
    Line,
    Phase,
    Point,
    Points,
    Reached,
    Warned,
)
from volano.schemas.registry import Failure, Progress

EVENTS: list[AnyEvent] = [
    Phase(at_s=0.0, name="train"),
    Points(at_s=0.2, points=[Point(step=1, at_s=0.1, values={"loss": 0.5})]),
    Reached(at_s=0.3, progress=Progress(done=1, total=2, note="halfway")),
    Warned(at_s=0.35, text="'star' is only in the test split"),
    Line(at_s=0.4, text="hello", stream="stderr"),
    Failed(at_s=0.5, failure=Failure(class_="user.code", message="boom", frame="m.py:3 train")),
    Finished(
        at_s=0.6,
        figures={"accuracy": 0.9},
        files=[ArtefactFile(name="model.onnx", bytes=3)],
        seconds={"train": 0.5},
        environment={"python": "3.11"},
        source="ab",
    ),
]


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_kind_of_event_comes_back_equal(event: AnyEvent):
    line = encode(event)
    assert line.count(b"\n") == 1
    assert decode(line) == event


def test_the_kinds_on_the_wire_are_these():
    kinds = [encode(event).split(b'"')[3].decode() for event in EVENTS]
    assert kinds == ["phase", "metric", "progress", "warning", "log", "failed", "finished"]


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_not_fatal(line: bytes):
    with pytest.raises(EventUnreadable):
        decode(line)


def test_deep_nesting_is_refused_not_fatal():
    with pytest.raises(EventUnreadable):
        decode(b'{"kind":"finished","figures":' + b"[" * 100_000)


def test_an_event_over_the_line_limit_is_refused():
    with pytest.raises(EventTooLarge):
        encode(Line(at_s=0.0, text="x" * LINE_LIMIT))


def test_the_event_after_a_torn_write_starts_on_a_fresh_line():
    read, write = os.pipe()
    events = PipeEvents(write)
    os.close(write)
    with pytest.raises(OSError, match="Bad file descriptor"):
        events(EVENTS[0])
    assert write == os.dup2(os.open(os.devnull, os.O_WRONLY), write)
    os.close(read)
    read, fresh = os.pipe()
    os.dup2(fresh, write)
    events(EVENTS[0])
    events(EVENTS[1])
    written = os.read(read, 1 << 16)
    for fd in (read, fresh, write):
        os.close(fd)
    assert b"\n" + encode(EVENTS[0]) + encode(EVENTS[1]) == written


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(min_value=1, max_value=30))
def test_lines_do_not_depend_on_how_the_stream_is_cut(chunks: list[bytes], limit: int):
    whole = Lines(limit)
    pieces = Lines(limit)
    stream = b"".join(chunks) + b"\n"
    expected = [line[:limit] for line in stream.split(b"\n") if line]
    assert list(whole.feed(stream)) == expected
    assert [line for chunk in [*chunks, b"\n"] for line in pieces.feed(chunk)] == expected


def test_a_line_without_end_takes_no_memory():
    lines = Lines(100)
    heads = [line for _ in range(1000) for line in lines.feed(b"x" * 1000)]
    assert heads == [b"x" * 100]
    assert len(lines._rest) == 0
    assert list(lines.feed(b"tail\nnext\n")) == [b"next"]


def test_a_calm_pace_allows_everything_and_a_hot_one_its_rate():
    clock = HandClock()
    bucket = TokenBucket(20.0, clock)
    calm = 0
    for _ in range(100):
        clock.now += 0.1
        calm += bucket.allows()
    assert calm == 100
    hot = 0
    for _ in range(10_000):
        clock.now += 0.001
        hot += bucket.allows()
    assert 200 <= hot <= 221


def test_a_pace_lets_as_many_through_at_once_as_in_a_second():
    clock = HandClock()
    bucket = TokenBucket(20.0, clock)
    assert sum(bucket.allows() for _ in range(100)) == 20
    clock.now += 0.25
    assert sum(bucket.allows() for _ in range(100)) == 5
    clock.now += 3600
    assert sum(bucket.allows() for _ in range(100)) == 20


def test_points_that_wait_go_out_once_there_are_as_many_as_a_batch_holds():
    clock, sent = HandClock(), list[AnyEvent]()
    outbox = Outbox(sent.append, clock)
    point = Point(step=0, at_s=0.0, values={"loss": 1.0})
    for _ in range(20):  # what may go out at once
        outbox.point(point)
    sent.clear()
    for _ in range(BATCH - 1):
        outbox.point(point)
    assert sent == []
    outbox.point(point)
    assert [len(event.points) for event in sent if isinstance(event, Points)] == [BATCH]


def test_a_chatty_loop_keeps_every_point_in_order_and_only_the_latest_progress():
    clock, sent = HandClock(), list[AnyEvent]()
    outbox = Outbox(sent.append, clock)
    for step in range(10_000):
        clock.now += 0.0001
        outbox.point(Point(step=step, at_s=clock.now, values={"loss": 1.0}))
        outbox.reached(Reached(at_s=clock.now, progress=Progress(done=step, total=10_000)))
    outbox.flush()
    batches = [event for event in sent if isinstance(event, Points)]
    told = [event.progress.done for event in sent if isinstance(event, Reached)]
    assert [point.step for batch in batches for point in batch.points] == list(range(10_000))
    assert len(batches) <= 20 + 20 + 10_000 // BATCH + 1
    assert len(told) <= 41
    assert sorted(told) == told
    assert told[-1] == 9999


def test_a_calm_loop_is_heard_at_once():
    clock, sent = HandClock(), list[AnyEvent]()
    outbox = Outbox(sent.append, clock)
    outbox.point(Point(step=0, at_s=0.0, values={"loss": 1.0}))
    assert len(sent) == 1


def test_points_with_many_metrics_stay_under_the_line_limit():
    clock, sent = HandClock(), list[AnyEvent]()
    outbox = Outbox(sent.append, clock)
    values = {f"metric_{index}": 1.23456789012345e-300 for index in range(500)}
    for step in range(1000):
        outbox.point(Point(step=step, at_s=0.0, values=values))
    outbox.flush()
    assert max(len(encode(event)) for event in sent) < LINE_LIMIT / 4


@given(st.text(alphabet=st.sampled_from('a\0\\u0"\n')))
def test_no_zero_comes_through_and_everything_else_does(text: str):
    event = Reached(at_s=0.0, progress=Progress(note=text))
    assert text.replace("\0", "\ufffd") == decode(encode(event)).progress.note
