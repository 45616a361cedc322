"""Stroke codec: what comes back, and what bytes from strangers can do."""

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from volano.data.formats import packing, strokes
from volano.data.formats.strokes import Strokes
from volano.schemas.drawings import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    CodecError,
    PayloadMalformed,
    PayloadTooLarge,
    PayloadTruncated,
    UnknownCodecVersion,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "strokes-v1.json").read_text())


def a_drawing(**changes) -> Strokes:
    facts = {
        "xy": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
        "t": np.array([0, 8, 300], np.int64),
        "starts": np.array([0, 2, 3], np.int32),
        "width": 100.0,
        "height": 50.0,
    }
    return Strokes(**(facts | changes))


@st.composite
def drawings(draw) -> Strokes:
    counts = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    points = sum(counts)
    coordinate = st.floats(-4_000_000, 4_000_000, width=32)
    waits = st.integers(0, 300) | st.integers(0, 2**32 - 1)
    t = draw(st.lists(waits, min_size=points - 1, max_size=points - 1))
    pressed = npst.arrays(np.float32, points, elements=st.floats(0, 1, width=32))
    styled = draw(st.booleans())
    color = st.integers(0, 0xFFFFFF).map("#{:06x}".format)
    return Strokes(
        xy=draw(npst.arrays(np.float32, (points, 2), elements=coordinate)),
        t=np.cumsum([0, *t], dtype=np.int64),
        starts=np.cumsum([0, *counts], dtype=np.int32),
        width=draw(st.floats(0.25, 10_000)),
        height=draw(st.floats(0.25, 10_000)),
        pressure=draw(st.none() | pressed),
        t0_ms=draw(st.integers(0, 2**53)),
        device=draw(st.sampled_from(["unknown", "mouse", "touch", "pen", "synthetic", "import"])),
        colors=tuple(draw(color) for _ in counts) if styled else (),
        widths=tuple(draw(st.floats(0.1, 256)) for _ in counts) if styled else (),
    )


@given(drawings())
def test_a_drawing_comes_back_within_an_eighth_of_a_pixel_and_on_time(drawing):
    back = strokes.decode(strokes.encode(drawing))
    # Above 2^19 px float32 itself is coarser than an eighth of a pixel.
    assert np.abs(drawing.xy - back.xy).max() <= max(0.125, np.spacing(np.abs(drawing.xy).max()))
    assert drawing.t.tolist() == back.t.tolist()
    assert drawing.starts.tolist() == back.starts.tolist()
    assert drawing.t0_ms == back.t0_ms
    assert drawing.device == back.device
    assert abs(drawing.width - back.width) <= 0.25
    assert abs(drawing.height - back.height) <= 0.25


@given(drawings())
def test_pressure_and_styles_come_back(drawing):
    back = strokes.decode(strokes.encode(drawing))
    if drawing.pressure is None:
        assert back.pressure is None
    else:
        assert np.abs(drawing.pressure - back.pressure).max() <= 0.5 / 255 + 1e-6
    n = len(drawing.starts) - 1
    assert (drawing.colors or (DEFAULT_COLOR,) * n) == (back.colors or (DEFAULT_COLOR,) * n)
    widths = zip(
        drawing.widths or (DEFAULT_WIDTH_PX,) * n,
        back.widths or (DEFAULT_WIDTH_PX,) * n,
        strict=True,
    )
    assert all(abs(sent - kept) <= 1 / 16 for sent, kept in widths)


@given(drawings())
def test_equal_drawings_have_equal_bytes(drawing):
    payload = strokes.encode(drawing)
    assert strokes.encode(strokes.decode(payload)) == payload


@given(drawings())
def test_the_header_says_what_the_drawing_says(drawing):
    payload = strokes.encode(drawing)
    header, back = strokes.validate(payload), strokes.decode(payload)
    assert header.points == len(drawing.xy)
    assert header.strokes == len(drawing.starts) - 1
    assert header.duration_ms == back.duration_ms == drawing.t[-1]
    assert header.has_pressure == (drawing.pressure is not None)
    assert (header.width, header.height, header.t0_ms) == (back.width, back.height, back.t0_ms)


@pytest.mark.parametrize("case", GOLDEN["drawings"], ids=lambda case: case["name"])
def test_golden_payloads_decode_to_golden_values(case):
    back = strokes.decode(bytes.fromhex(case["payload"]))
    assert case["xy"] == back.xy.tolist()
    assert case["t"] == back.t.tolist()
    assert case["starts"] == back.starts.tolist()
    assert case["t0_ms"] == back.t0_ms
    assert case["size"] == [back.width, back.height]
    assert case["device"] == back.device
    assert case["colors"] == list(back.colors)
    assert case["widths"] == list(back.widths)
    levels = None if back.pressure is None else np.rint(back.pressure * 255).astype(int).tolist()
    assert case["pressure_levels"] == levels
    assert case["payload"] == strokes.encode(back).hex()


@pytest.mark.parametrize("case", GOLDEN["refused"], ids=lambda case: case["name"])
def test_golden_faults_are_refused_with_their_code(case):
    with pytest.raises(CodecError) as refusal:
        strokes.decode(bytes.fromhex(case["payload"]))
    assert case["code"] == refusal.value.code


def outcome(read, payload):
    try:
        read(payload)
    except CodecError as error:
        return error.code
    return "sound"


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"\x01\x01\x01" + tail))
@example(b"\x01\x00\x00" + b"\xff" * 40)
def test_strange_bytes_are_refused_or_canonical(payload):
    verdict = outcome(strokes.decode, payload)
    assert outcome(strokes.validate, payload) == verdict
    if verdict == "sound":
        assert strokes.encode(strokes.decode(payload)) == payload


@given(drawings(), st.data())
def test_one_damaged_byte_is_refused_or_still_canonical(drawing, data):
    payload = bytearray(strokes.encode(drawing))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    damaged = bytes(payload)
    verdict = outcome(strokes.decode, damaged)
    assert outcome(strokes.validate, damaged) == verdict
    if verdict == "sound":
        assert strokes.encode(strokes.decode(damaged)) == damaged


def verdict_alone(payload):
    try:
        return strokes.validate(payload)
    except CodecError as error:
        return error


def told(found):
    return [(type(v), v.facts) if isinstance(v, CodecError) else v for v in found]


@st.composite
def payloads(draw) -> bytes:
    """Sound ones, ones with a damaged byte, and anything at all."""
    payload = bytearray(strokes.encode(draw(drawings())))
    kind = draw(st.sampled_from(["sound", "sound", "damaged", "cut", "longer", "strange"]))
    at = draw(st.integers(0, len(payload) - 1))
    if kind == "damaged":
        payload[at] = draw(st.integers(0, 255))
    elif kind == "cut":
        del payload[at:]
    elif kind == "longer":
        payload += draw(st.binary(max_size=9))
    elif kind == "strange":
        payload = bytearray(draw(st.binary(max_size=300)))
    return bytes(payload)


@given(st.lists(payloads(), max_size=6))
def test_many_payloads_are_judged_as_each_alone_is(batch):
    alone = [verdict_alone(payload) for payload in batch]
    assert told(alone) == told(strokes.validate_all(batch))


@given(st.lists(drawings().map(strokes.encode), min_size=2, max_size=4), st.data())
def test_bytes_that_move_to_the_neighbour_are_refused(batch, data):
    whole = b"".join(batch)
    cut = data.draw(st.integers(1, len(whole) - 1))
    halves = [whole[:cut], whole[cut:]]
    alone = [verdict_alone(payload) for payload in halves]
    assert told(alone) == told(strokes.validate_all(halves))


@given(payloads())
def test_a_payload_is_sound_exactly_if_it_can_be_decoded(payload):
    assert outcome(strokes.decode, payload) == outcome(strokes.validate, payload)


def far(*, step: int, points: int) -> bytes:
    """A payload whose x goes up by `step` quarter pixels at every point."""
    line = bytearray(b"\x01\x00\x00\x04\x04\x00\x01")
    packing.append_varint(line, points)
    for _ in range(points):
        packing.append_varint(line, step * 2)
    return bytes(line) + bytes(2 * points)


@pytest.mark.parametrize(
    ("step", "points", "expected"),
    [
        (2**20, 16, "sound"),
        (2**20, 17, "payload-malformed"),
        (2**24, 1, "sound"),
        (2**31, 1, "payload-malformed"),
        (2**35, 1, "payload-malformed"),
    ],
)
def test_a_coordinate_is_bounded_however_it_is_reached(step, points, expected):
    payload = far(step=step, points=points)
    assert [expected] * 2 == [outcome(read, payload) for read in (strokes.decode, strokes.validate)]


def test_a_long_walk_that_comes_back_is_sound():
    xy = np.array([[0, 0], [2**22, 0], [0, 0], [-(2**22), 0], [0, 0]], np.float32)
    payload = strokes.encode(a_drawing(xy=xy, t=np.arange(5), starts=np.array([0, 5], np.int32)))
    assert strokes.validate(payload).points == 5


def test_large_payloads_in_one_batch_cost_the_memory_of_one():
    n = 60_000
    big = a_drawing(
        xy=np.zeros((n, 2), np.float32), t=np.zeros(n, np.int64), starts=np.array([0, n], np.int32)
    )
    payload = strokes.encode(big)
    one, many = (
        _peak(lambda size=size: strokes.validate_all([payload] * size)) for size in (5, 50)
    )
    assert many < 1.5 * one


def _peak(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@given(drawings(), st.data())
def test_a_payload_cut_short_is_refused(drawing, data):
    payload = strokes.encode(drawing)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(CodecError):
        strokes.decode(payload[:cut])


@given(drawings(), st.binary(min_size=1, max_size=9))
def test_bytes_after_the_end_are_refused(drawing, tail):
    with pytest.raises(CodecError):
        strokes.decode(strokes.encode(drawing) + tail)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x01\x00\x00\x04\x04\x00" + b"\x80" * 2**15,
        b"\x01\x00\x00\x04\x04\x00\xff\xff\x0f" + b"\xff\x7f" * 2**14,
        b"\x01\x01\x00\x04\x04\x00\x01\xff\xff\x0f" + b"\x01" * 2**15,
    ],
    ids=["endless number", "many strokes", "more points than bytes"],
)
def test_a_hostile_payload_costs_memory_in_proportion(payload):
    tracemalloc.start()
    with pytest.raises(CodecError):
        strokes.decode(payload)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * len(payload)


def test_other_versions_are_named():
    with pytest.raises(UnknownCodecVersion) as refusal:
        strokes.decode(b"\x02\x00\x00\x04")
    assert refusal.value.facts == {"version": 2}


def test_nothing_at_all_is_truncated():
    with pytest.raises(PayloadTruncated):
        strokes.decode(b"")


def test_a_payload_above_a_mebibyte_is_not_looked_at():
    with pytest.raises(PayloadTooLarge):
        strokes.decode(bytes(strokes.MAX_BYTES + 1))


def test_a_drawing_above_a_mebibyte_is_not_encoded():
    n = 400_000
    many = a_drawing(
        xy=np.zeros((n, 2), np.float32), t=np.zeros(n, np.int64), starts=np.array([0, n], np.int32)
    )
    with pytest.raises(PayloadTooLarge):
        strokes.encode(many)


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": np.array([0, 3], np.int32)[:1]},
        {"starts": np.array([0, 0, 3], np.int32)},
        {"starts": np.array([1, 3], np.int32)},
        {"starts": np.array([0, 2], np.int32)},
        {"t": np.array([0, 8], np.int64)},
        {"t": np.array([1, 8, 9], np.int64)},
        {"t": np.array([0, 8, 7], np.int64)},
        {"t": np.array([0, 8, 2**33], np.int64)},
        {"t0_ms": -1},
        {"t0_ms": 2**53 + 1},
        {"xy": np.array([[1, 2], [3, math.nan], [5, 6]], np.float32)},
        {"xy": np.array([[1, 2], [3, math.inf], [5, 6]], np.float32)},
        {"xy": np.array([[1, 2], [3, 1e9], [5, 6]], np.float32)},
        {"width": 0},
        {"height": math.nan},
        {"pressure": np.array([0, 1.1, 0], np.float32)},
        {"pressure": np.array([0, math.nan, 0], np.float32)},
        {"pressure": np.array([0, 1], np.float32)},
        {"colors": ("#000000",)},
        {"colors": ("#000000", "red")},
        {"colors": ("#000000", "#00000g")},
        {"widths": (1.0, 0.0)},
    ],
)
def test_what_the_format_cannot_hold_is_not_encoded(changes):
    with pytest.raises(PayloadMalformed):
        strokes.encode(a_drawing(**changes))


def test_default_styles_take_no_room():
    plain = strokes.encode(a_drawing())
    styled = a_drawing(colors=("#000000",) * 2, widths=(4.0, 4.0))
    assert strokes.encode(styled) == plain


def test_a_hair_keeps_some_width():
    thin = a_drawing(widths=(0.001, 4.0))
    assert strokes.decode(strokes.encode(thin)).widths == (1 / 16, 4.0)


def test_halves_round_up_as_in_the_browser():
    halves = a_drawing(xy=np.array([[0.125, -0.125], [0.375, -0.375], [0, 0]], np.float32))
    back = strokes.decode(strokes.encode(halves))
    assert back.xy.tolist() == [[0.25, 0], [0.5, -0.25], [0, 0]]
