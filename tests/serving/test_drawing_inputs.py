"""A drawing of a request becomes what the graph takes, and a payload that says the same."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serving.graphs import asked
from volano.data.formats import line_segments
from volano.data.formats import strokes as codec
from volano.schemas.drawings import Canvas, Point, Stroke, TooManyPoints
from volano.schemas.registry import DrawingSpec
from volano.schemas.serving import InputUnusable, PredictInput
from volano.serving.adapters import drawing as drawings

SPEC = DrawingSpec()

coordinates = st.floats(-1e6, 1e6)
points = st.builds(
    Point,
    x=coordinates,
    y=coordinates,
    timestamp=st.floats(0, 4e9),
    pressure=st.none() | st.floats(0, 1),
)
inputs = st.builds(
    PredictInput,
    canvas=st.builds(Canvas, width=st.floats(0.5, 1e6), height=st.floats(0.5, 1e6)),
    strokes=st.lists(
        st.builds(Stroke, points=st.lists(points, min_size=1, max_size=8)), min_size=1, max_size=3
    ),
)


def _packed(given: list[drawings.Drawing]) -> list[bytes]:
    return [payload for some in drawings.passes(given) for payload in some]


@given(st.lists(inputs, min_size=1, max_size=4))
def test_the_graph_sees_what_the_log_keeps(given: list[PredictInput]) -> None:
    read = [drawings.read(one, 1000) for one in given]
    fed = drawings.DrawingInputs(SPEC).feed(read)
    for row, count, payload in zip(fed["segments"], fed["count"], _packed(read), strict=True):
        seen = line_segments.segments(codec.decode(payload))
        assert count == len(seen)
        np.testing.assert_array_equal(row[:count], seen)
        assert not row[count:].any()


def test_many_drawings_are_packed_some_at_a_time_as_each_alone() -> None:
    read = [drawings.read(asked(seed), 1000) for seed in range(300)]
    passes = list(drawings.passes(read))
    assert len(passes) > 3
    assert [p for some in passes for p in some] == [_packed([one])[0] for one in read]


def _line(many: int, last_ms: float = 1.0) -> PredictInput:
    ends = [Point(x=1, y=1, timestamp=0)] * (many - 1) + [Point(x=2, y=2, timestamp=last_ms)]
    return PredictInput(canvas=Canvas(width=100, height=100), strokes=[Stroke(points=ends)])


def test_as_many_points_as_are_allowed_are_read_and_one_more_is_refused() -> None:
    drawings.read(_line(20), 20)
    with pytest.raises(TooManyPoints) as refused:
        drawings.read(_line(21), 20)
    assert refused.value.facts == {"points": 21, "limit": 20}


def test_a_payload_of_as_many_points_as_can_be_is_one_that_can_be_read_again() -> None:
    """Each number as long as it can be: whatever the settings allow, the log keeps it."""
    far = [
        Point(x=(-1) ** n * 1e6, y=(-1) ** n * 1e6, timestamp=n * 60_000, pressure=n % 2)
        for n in range(drawings.MOST_POINTS)
    ]
    given = PredictInput(canvas=Canvas(width=9, height=9), strokes=[Stroke(points=far)])
    (payload,) = _packed([drawings.read(given, 10**9)])
    assert len(codec.decode(payload).t) == drawings.MOST_POINTS
    with pytest.raises(TooManyPoints):
        drawings.read(_line(drawings.MOST_POINTS + 1), 10**9)


def test_a_drawing_of_seven_weeks_can_be_kept_and_a_longer_one_is_refused() -> None:
    assert codec.decode(_packed([drawings.read(_line(2, 2**32 - 1), 9)])[0]).t[-1] == 2**32 - 1
    with pytest.raises(InputUnusable, match="seven weeks"):
        drawings.read(_line(2, 2**32), 9)


def test_the_ends_of_what_can_be_drawn_on_are_within_it() -> None:
    edge = msgspec.structs.replace(_line(2), canvas=Canvas(width=1e6, height=1e6))
    drawings.read(edge, 9)
    beyond = msgspec.structs.replace(
        _line(2), canvas=Canvas(width=np.nextafter(1e6, 2e6), height=1)
    )
    with pytest.raises(InputUnusable, match="nothing can be drawn"):
        drawings.read(beyond, 9)
