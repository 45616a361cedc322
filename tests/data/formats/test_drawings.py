"""Drawings on their way in: what is refused, what is flagged, what comes back."""

import math

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from volano.data.formats import drawings, strokes
from volano.data.formats.drawings import DrawingLimits, Encoded
from volano.schemas.drawings import (
    BadCanvas,
    BadDrawingId,
    BadTimestamp,
    Canvas,
    DrawingEmpty,
    DrawingTooLarge,
    DrawingTooLong,
    NewDrawing,
    PayloadMalformed,
    Point,
    PointNotFinite,
    PointOffCanvas,
    Stroke,
    TooManyPoints,
    TooManyStrokes,
)
from volano.schemas.errors import Invalid

ID = "0190a6c0-1234-7abc-8def-0123456789ab"


def line(*xyt: tuple[float, float, float], **style) -> Stroke:
    return Stroke(points=[Point(x=x, y=y, timestamp=t) for x, y, t in xyt], **style)


def new_drawing(*lines: Stroke, **changes) -> NewDrawing:
    facts = {
        "id": ID,
        "shape": "heart",
        "canvas": Canvas(width=100, height=100),
        "strokes": list(lines) or [line((10, 10, 5), (20, 20, 13)), line((30, 30, 100))],
        "device": "pen",
    }
    return NewDrawing(**(facts | changes))


def pressed(*pressures: float | None) -> NewDrawing:
    points = [Point(x=1, y=1, timestamp=i, pressure=p) for i, p in enumerate(pressures)]
    return new_drawing(Stroke(points=points))


@st.composite
def new_drawings(draw) -> NewDrawing:
    width, height = draw(st.tuples(st.integers(16, 2000), st.integers(16, 2000)))
    has_pressure = draw(st.booleans())
    point = st.builds(
        Point,
        x=st.floats(-width, 2 * width),
        y=st.floats(-height, 2 * height),
        timestamp=st.floats(0, 1e6) | st.integers(0, 10**6),
        pressure=st.floats(0, 1) if has_pressure else st.none(),
    )
    stroke = st.builds(
        Stroke,
        points=st.lists(point, min_size=1, max_size=6),
        color=st.sampled_from(["#000000", "#00ff80"]),
        width=st.sampled_from([4.0, 2.5, 256.0]),
    )
    return new_drawing(
        *draw(st.lists(stroke, min_size=1, max_size=4)),
        canvas=Canvas(width=width, height=height),
        device=draw(st.sampled_from(["mouse", "touch", "pen"])),
    )


@given(new_drawings())
def test_a_drawing_comes_back_as_it_was_sent(new):
    encoded = drawings.encode(new)
    content = drawings.decode(encoded.payload)
    assert content.canvas == new.canvas
    assert content.device == new.device
    assert [s.color for s in content.strokes] == [s.color for s in new.strokes]
    assert [s.width for s in content.strokes] == [s.width for s in new.strokes]
    latest = 0.0
    scale = 1000 if "timestamps-in-seconds" in encoded.flags else 1
    for sent, kept in zip(new.strokes, content.strokes, strict=True):
        for a, b in zip(sent.points, kept.points, strict=True):
            latest = max(latest, a.timestamp * scale)
            assert abs(a.x - b.x) <= 0.1251
            assert abs(a.y - b.y) <= 0.1251
            assert abs(latest - b.timestamp) <= 0.5
            if a.pressure is None or new.device == "mouse":
                assert b.pressure is None
            else:
                assert abs(a.pressure - b.pressure) <= 1 / 510 + 1e-6


@given(new_drawings())
def test_the_facts_are_those_of_the_payload(new):
    encoded = drawings.encode(new)
    header = strokes.validate(encoded.payload)
    assert (header.strokes, header.points) == (encoded.strokes, encoded.points)
    assert header.duration_ms == encoded.duration_ms


@given(new_drawings())
def test_what_was_read_back_can_be_sent_again(new):
    encoded = drawings.encode(new)
    content = drawings.decode(encoded.payload)
    again = msgspec.structs.replace(new, strokes=content.strokes)
    assert drawings.encode(again).payload == encoded.payload


def test_the_literal_wire_shape_is_read():
    wire = b"""{"id": "0190a6c0-1234-4abc-8def-0123456789ab", "shape": "circle",
      "canvas": {"width": 400, "height": 300},
      "strokes": [{"points": [{"x": 1, "y": 2, "pressure": 0.5, "timestamp": 1700000000000},
                              {"x": 1.5, "y": 2, "pressure": 1, "timestamp": 1700000000016.7}],
                   "color": "#FF8000", "width": 3}],
      "duration_ms": 20, "device": "touch"}"""
    encoded = drawings.encode(msgspec.json.decode(wire, type=NewDrawing))
    assert (encoded.strokes, encoded.points, encoded.duration_ms) == (1, 2, 20)
    assert encoded.flags == []
    stroke = drawings.decode(encoded.payload).strokes[0]
    assert [p.timestamp for p in stroke.points] == [1700000000000, 1700000000017]
    assert (stroke.color, stroke.width) == ("#ff8000", 3)


def test_times_from_the_epoch_and_from_the_start_differ_by_the_start_only():
    relative = strokes.decode(drawings.encode(new_drawing(line((1, 1, 0), (2, 2, 9)))).payload)
    start = 1_700_000_000_000
    absolute = strokes.decode(
        drawings.encode(new_drawing(line((1, 1, start), (2, 2, start + 9)))).payload
    )
    assert (relative.t0_ms, absolute.t0_ms) == (0, start)
    assert relative.t.tolist() == absolute.t.tolist() == [0, 9]


def test_time_that_runs_backwards_is_raised_and_flagged():
    encoded = drawings.encode(new_drawing(line((1, 1, 5), (2, 2, 3), (3, 3, 9))))
    assert encoded.flags == ["time-normalised"]
    assert strokes.decode(encoded.payload).t.tolist() == [0, 0, 4]


def test_a_pointer_that_left_the_canvas_is_flagged():
    encoded = drawings.encode(new_drawing(line((1, 1, 0), (101, 50, 3))))
    assert encoded.flags == ["off-canvas"]


def test_pressure_of_some_points_only_is_flagged():
    encoded = drawings.encode(pressed(0.5, None, 1))
    assert encoded.flags == ["pressure-partial"]
    assert [round(p * 255) for p in strokes.decode(encoded.payload).pressure] == [128, 0, 255]


def test_a_mouse_has_no_pressure_whatever_it_reports():
    encoded = drawings.encode(msgspec.structs.replace(pressed(0.5, 0.5), device="mouse"))
    assert strokes.decode(encoded.payload).pressure is None


def at(*times: float) -> NewDrawing:
    """A line whose points have these timestamps."""
    return new_drawing(line(*[(n % 90, n % 70, t) for n, t in enumerate(times)]))


def steps(count: int, each: float, start: float = 0.0) -> list[float]:
    return [start + each * n for n in range(count)]


SECONDS = ["timestamps-in-seconds"]


@pytest.mark.parametrize(
    ("times", "duration_ms"),
    [
        (steps(61, 1 / 60), 1000),
        (steps(11, 0.1), 1000),
        (steps(4, 0.5), 1500),
        (steps(201, 0.004, start=12.5), 800),
        (steps(61, 1 / 60, start=1_700_000_000.25), 1000),
        ([1_700_000_000, 1_700_000_000, 1_700_000_001, 1_700_000_001], 1000),
        ([1_700_000_000] * 5, 0),
        (steps(3_001, 0.02), 60_000),
    ],
)
def test_timestamps_in_seconds_are_flagged_and_taken_as_seconds(times, duration_ms):
    encoded = drawings.encode(at(*times))
    assert encoded.flags == SECONDS
    assert encoded.duration_ms == duration_ms
    assert abs(encoded.start_ms - times[0] * 1000) < 1
    kept = [p.timestamp for p in drawings.decode(encoded.payload).strokes[0].points]
    assert max(abs(a - b * 1000) for a, b in zip(kept, times, strict=True)) <= 0.5


@pytest.mark.parametrize(
    "times",
    [
        steps(61, 1000 / 60),
        steps(25, 1.0),
        steps(25, 0.9),
        steps(801, 0.125),
        steps(20, 0.0),
        [5.0],
        [5.0, 5.1],
        [1_700_000_000.0, 1_700_000_000.5],
        steps(60, 16.7, start=1_700_000_000.0),
        steps(60, 0.016, start=1_700_000_000_000.0),
        [0.0, 8.0, 17.0],
    ],
)
def test_timestamps_in_milliseconds_are_taken_as_they_are(times):
    encoded = drawings.encode(at(*times))
    assert "timestamps-in-seconds" not in encoded.flags
    assert encoded.duration_ms == int(times[-1] + 0.5) - int(times[0] + 0.5)


def test_a_duration_stated_in_seconds_too_does_not_shorten_a_drawing():
    encoded = drawings.encode(msgspec.structs.replace(at(*steps(61, 1 / 60)), duration_ms=1.0))
    assert encoded.duration_ms == 1000
    assert encoded.flags == ["duration-mismatch", "timestamps-in-seconds"]


def test_an_id_in_upper_case_is_an_id():
    assert drawings.encode(new_drawing(id=ID.upper())) == drawings.encode(new_drawing(id=ID))


def test_the_stated_duration_counts_when_it_is_the_longer():
    encoded = drawings.encode(new_drawing(duration_ms=2000))
    assert (encoded.duration_ms, encoded.flags) == (2000, [])


def test_a_stated_duration_that_is_too_short_is_flagged():
    encoded = drawings.encode(new_drawing(duration_ms=10))
    assert (encoded.duration_ms, encoded.flags) == (95, ["duration-mismatch"])


PRESSURE = "pressure outside 0 to 1, or not one a point"
FAR = line((1, 1, 0), (2, 2, 1)), line((3, 3, 2), (1e6, 3, 3))

REFUSED = [
    (new_drawing(id="not-a-uuid"), BadDrawingId, {"id": "not-a-uuid"}),
    (new_drawing(id=ID + "\n"), BadDrawingId, {}),
    (new_drawing(id="x" * 10_000), BadDrawingId, {"id": "x" * 64}),
    (new_drawing(canvas=Canvas(width=0, height=5)), BadCanvas, {"width": 0, "least": 16}),
    (new_drawing(canvas=Canvas(width=5, height=math.nan)), BadCanvas, {"most": 10_000}),
    (new_drawing(canvas=Canvas(width=5, height=math.inf)), BadCanvas, {}),
    (new_drawing(strokes=[]), DrawingEmpty, {"missing": "strokes"}),
    (new_drawing(line((1, 1, 1)), line()), DrawingEmpty, {"what": "stroke 1"}),
    (new_drawing(*[line((1, 1, 1))] * 501), TooManyStrokes, {"strokes": 501, "limit": 500}),
    (new_drawing(line(*[(1, 1, 1)] * 20_001)), TooManyPoints, {"points": 20_001}),
    (new_drawing(*FAR), PointOffCanvas, {"stroke": 1, "point": 1, "x": 1e6}),
    (new_drawing(line((1, -101, 0))), PointOffCanvas, {"y": -101}),
    (new_drawing(line((1, 1, 0), (math.nan, 1, 1))), PointNotFinite, {"field": "x", "point": 1}),
    (new_drawing(line((1, math.inf, 0))), PointNotFinite, {"field": "y", "value": "inf"}),
    (new_drawing(line((1, 1, math.nan))), PointNotFinite, {"field": "timestamp"}),
    (pressed(0.5, math.nan), PointNotFinite, {"field": "pressure", "point": 1}),
    (pressed(0.5, 1e300), PayloadMalformed, {"reason": PRESSURE}),
    (pressed(0.5, None, 1e300), PayloadMalformed, {"reason": PRESSURE}),
    (pressed(0.5, 1.001), PayloadMalformed, {"reason": PRESSURE}),
    (pressed(0.5, -1e-9), PayloadMalformed, {"reason": PRESSURE}),
    (pressed(0.5, math.inf), PayloadMalformed, {"reason": PRESSURE}),
    (new_drawing(line((1, 1, -1))), BadTimestamp, {"timestamp": -1}),
    (new_drawing(line((1, 1, 1), (1, 1, 1e300))), BadTimestamp, {"point": 1}),
    (new_drawing(line((1, 1, 0), (1, 1, 1e8))), DrawingTooLong, {"duration_ms": 10**8}),
    (new_drawing(duration_ms=1e300), DrawingTooLong, {}),
    (new_drawing(duration_ms=math.nan), DrawingTooLong, {}),
    (new_drawing(line((1, 1, 1), width=math.nan)), Invalid, {}),
    (new_drawing(line((1, 1, 1), color="#00000\n")), Invalid, {}),
]


@pytest.mark.parametrize(("new", "error", "facts"), REFUSED)
def test_a_faulty_drawing_is_refused_with_the_facts(new, error, facts):
    with pytest.raises(error) as refusal:
        drawings.encode(new)
    assert facts.items() <= refusal.value.facts.items()
    assert "{" not in refusal.value.message + refusal.value.advice


DAY_MS = 24 * 3600 * 1000

ACCEPTED = [
    new_drawing(canvas=Canvas(width=16, height=10_000)),
    new_drawing(*[line((1, 1, 1))] * 500),
    new_drawing(line(*[(1, 1, 1)] * 20_000)),
    new_drawing(line((-100, 200, 0), (200, -100, 3))),
    new_drawing(line((1, 1, 2**53 - 9), (1, 1, 2**53))),
    new_drawing(line((1, 1, 0), (1, 1, DAY_MS))),
    new_drawing(duration_ms=float(DAY_MS)),
    pressed(0.0, 1.0),
]


@pytest.mark.parametrize("new", ACCEPTED)
def test_what_is_just_within_the_limits_is_taken(new):
    assert drawings.encode(new).points == sum(len(stroke.points) for stroke in new.strokes)


BEYOND = [
    (new_drawing(canvas=Canvas(width=15.9, height=100)), BadCanvas),
    (new_drawing(canvas=Canvas(width=100, height=10_000.1)), BadCanvas),
    (new_drawing(line((-100.1, 0, 0))), PointOffCanvas),
    (new_drawing(line((0, 200.1, 0))), PointOffCanvas),
    (new_drawing(line((1, 1, 2**53 + 2))), BadTimestamp),
    (new_drawing(line((1, 1, 0), (1, 1, DAY_MS + 1))), DrawingTooLong),
    (new_drawing(duration_ms=DAY_MS + 0.5), DrawingTooLong),
]


@pytest.mark.parametrize(("new", "error"), BEYOND)
def test_what_is_just_beyond_the_limits_is_refused(new, error):
    with pytest.raises(error):
        drawings.encode(new)


@pytest.mark.parametrize("spare", [-1, 0])
def test_a_payload_may_be_as_large_as_the_limit(spare):
    size = len(drawings.encode(new_drawing()).payload)
    (found,) = drawings.encode_all([new_drawing()], DrawingLimits(payload_bytes=size + spare))
    payload = drawings.encode(new_drawing()).payload
    (packed,) = drawings.admit_all([(ID, payload)], DrawingLimits(payload_bytes=size + spare))
    assert isinstance(found, Encoded) == isinstance(packed, Encoded) == (spare == 0)


def test_a_packed_drawing_may_have_as_many_strokes_and_points_as_the_limits_say():
    payload = drawings.encode(new_drawing()).payload  # two strokes, three points

    def admitted(**limits: int) -> bool:
        (found,) = drawings.admit_all([(ID, payload)], DrawingLimits(**limits))
        return isinstance(found, Encoded)

    assert admitted(strokes=2, points=3)
    assert not admitted(strokes=1, points=3)
    assert not admitted(strokes=2, points=2)


def told(new):
    try:
        return drawings.encode(new)
    except Invalid as refusal:
        return refusal.code, refusal.facts


@given(st.lists(new_drawings() | st.sampled_from(REFUSED).map(lambda case: case[0]), max_size=8))
def test_many_drawings_are_encoded_as_one_by_one(many):
    found = [
        one if isinstance(one, Encoded) else (one.code, one.facts)
        for one in drawings.encode_all(many)
    ]
    # As text, since NaN is not itself.
    assert [repr(one) for one in found] == [repr(told(new)) for new in many]


def test_a_payload_above_the_limit_is_refused():
    with pytest.raises(DrawingTooLarge) as refusal:
        drawings.encode(new_drawing(), DrawingLimits(payload_bytes=10))
    assert refusal.value.facts["limit"] == 10


anything = st.floats() | st.integers(-(2**60), 2**60).map(float)
points = st.builds(
    Point, x=anything, y=anything, timestamp=anything, pressure=st.none() | st.floats()
)


@given(
    st.lists(st.builds(Stroke, points=st.lists(points, max_size=4)), max_size=4),
    st.builds(Canvas, width=anything, height=anything),
    st.none() | anything,
)
def test_no_numbers_whatever_break_the_encoder(lines, canvas, duration_ms):
    try:
        drawings.encode(new_drawing(strokes=lines, canvas=canvas, duration_ms=duration_ms))
    except Invalid as refusal:
        event(refusal.code)
