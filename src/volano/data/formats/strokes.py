"""Stroke codec version 1: a drawing as bytes, every point, time and pressure kept.

    version   1 byte, 1
    marks     1 byte: 1 pressure column follows, 2 stroke styles follow
    device    1 byte, position in `schemas.data.Device`
    numbers   varints: width, height (1/4 px), t0 (ms), strokes, points of each stroke,
              then for each stroke, if styled: colour (0xRRGGBB), width (1/16 px)
    columns   varints: x (1/4 px, zigzag of differences), y (the same), t (ms, differences, from 0)
              then, if pressed: one byte a point, difference modulo 256 of pressure x 255

A varint holds 7 bits a byte, lowest first, and must be as short as it can be, so equal drawings
have equal bytes. Differences run through the whole drawing, from 0, over stroke boundaries.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volano.data.formats import packing
from volano.data.formats.packing import (
    DEFAULT_STYLE,
    DEVICES,
    LARGEST_STEP,
    LARGEST_TIME,
    PRESSURE,
    STYLES,
    VERSION,
    WIDTH_STEPS_PER_PX,
    Frame,
    Ints,
)
from volano.data.formats.packing import STEPS_PER_PX as STEPS_PER_PX
from volano.schemas.drawings import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    CodecError,
    Device,
    PayloadMalformed,
    PayloadTooLarge,
    PayloadTruncated,
    UnknownCodecVersion,
)

MAX_BYTES = 1 << 20

_LARGEST_COLUMN_NUMBER = 1 << 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Strokes:
    """A drawing as columns; stroke `i` is the points `starts[i]:starts[i + 1]`."""

    xy: Floats
    """(points, 2) px from the top left corner."""
    t: Ints
    """(points,) ms since `t0_ms`, never falling, first 0."""
    starts: NDArray[np.int32]
    """(strokes + 1,) from 0 to the number of points, rising."""
    width: float
    height: float
    pressure: Floats | None = None
    """(points,) in [0, 1]; None where the device has none."""
    t0_ms: int = 0
    """What the client's clock showed at the first point."""
    device: Device = "unknown"
    colors: tuple[str, ...] = ()
    """One `#rrggbb` a stroke; empty when all are the default."""
    widths: tuple[float, ...] = ()
    """One width in px a stroke; empty when all are the default."""

    @property
    def duration_ms(self) -> int:
        return int(self.t[-1])


class Header(Struct, frozen=True, kw_only=True, gc=False):
    """The facts about a payload that is known to be sound."""

    width: float
    height: float
    device: Device
    strokes: int
    points: int
    t0_ms: int
    duration_ms: int
    has_pressure: bool


def encode(drawing: Strokes) -> bytes:
    """Return the payload of a drawing; positions move by at most 1/8 px, times not at all.

    Raises: CodecError (no points, or a value that the format cannot hold).
    """
    counts, pressure = _counts(drawing), drawing.pressure
    colors = drawing.colors or (DEFAULT_COLOR,) * len(counts)
    widths = drawing.widths or (DEFAULT_WIDTH_PX,) * len(counts)
    frame = Frame(
        counts=counts,
        width=drawing.width,
        height=drawing.height,
        device=drawing.device,
        styles=packing.styles(colors, widths, len(counts)),
        pressure=b"" if pressure is None else packing.pressures(pressure, sum(counts)),
    )
    (payload,) = packing.pack(_columns(drawing), [frame])
    if len(payload) > MAX_BYTES:
        raise PayloadTooLarge(size=len(payload), limit=MAX_BYTES)
    return payload


def decode(payload: bytes) -> Strokes:
    """Return the drawing in a payload.

    Raises: CodecError (anything but what `encode` makes; memory stays within 100 x the payload).
    """
    head = _Head(payload)
    xy, t = _unpack(head)
    return Strokes(
        xy=xy.T.astype(np.float32, order="C") * np.float32(1 / STEPS_PER_PX),
        t=t,
        starts=np.array((0, *itertools.accumulate(head.counts)), np.int32),
        width=head.width,
        height=head.height,
        pressure=_pressure(payload, head),
        t0_ms=head.t0_ms,
        device=head.device,
        colors=head.colors,
        widths=head.widths,
    )


def validate(payload: bytes) -> Header:
    """Return what a payload holds, once it is certain that `decode` will take it.

    Raises: CodecError.
    """
    (verdict,) = validate_all((payload,))
    if isinstance(verdict, CodecError):
        raise verdict
    return verdict


def validate_all(payloads: Sequence[bytes]) -> list[Header | CodecError]:
    """Return what `validate` returns or raises for each payload, at less cost than one by one."""
    heads = [_head(payload) for payload in payloads]
    durations = iter(_durations([head for head in heads if isinstance(head, _Head)]))
    return [_header(head, next(durations)) if isinstance(head, _Head) else head for head in heads]


def _head(payload: bytes) -> "_Head | CodecError":
    try:
        return _Head(payload)
    except CodecError as error:
        return error


def _header(head: "_Head", duration_ms: int | CodecError) -> Header | CodecError:
    if isinstance(duration_ms, CodecError):
        return duration_ms
    return Header(
        width=head.width,
        height=head.height,
        device=head.device,
        strokes=head.strokes,
        points=head.points,
        t0_ms=head.t0_ms,
        duration_ms=duration_ms,
        has_pressure=head.has_pressure,
    )


def _durations(heads: "list[_Head]") -> list[int | CodecError]:
    """Return how long each drawing took, or what is wrong with its columns."""
    bodies = [head.payload[head.at : head.end] for head in heads]
    # Large ones gain nothing by company, and memory stays that of one.
    few = 0 < sum(map(len, bodies)) <= MAX_BYTES
    sums = packing.sum_columns(bodies, [head.points for head in heads]) if few else None
    # No coordinate is beyond the sum of all moves, and no number beyond the sum of its column.
    if sums and all(max(x, y) <= LARGEST_STEP and t < _LARGEST_COLUMN_NUMBER for x, y, t in sums):
        return [t for _, _, t in sums]
    return [_duration(head) for head in heads]


def _duration(head: "_Head") -> int | CodecError:
    """Check exactly, which also tells what is wrong."""
    try:
        return int(_unpack(head)[1][-1])
    except CodecError as error:
        return error


class _Head:
    """Everything before the columns, read byte by byte: few numbers, so a loop is fastest."""

    __slots__ = (
        "at", "colors", "counts", "device", "end", "has_pressure", "height", "payload", "points",
        "strokes", "t0_ms", "width", "widths",
    )  # fmt: skip

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        marks = self._opening()
        self.at = 3
        self.has_pressure = bool(marks & PRESSURE)
        self.width = self._side("width")
        self.height = self._side("height")
        self.t0_ms = self._number(LARGEST_TIME, "start time")
        self.strokes = self._number(len(payload), "number of strokes")
        self.counts = [
            self._number(len(payload), "points of a stroke") for _ in range(self.strokes)
        ]
        self.points = sum(self.counts)
        if not self.points or 0 in self.counts:
            raise PayloadMalformed(reason="a drawing or a stroke without points")
        self.colors, self.widths = self._read_styles() if marks & STYLES else ((), ())
        self.end = len(payload) - self.points * self.has_pressure  # of the varints
        if self.end - self.at < 3 * self.points:
            raise PayloadTruncated(part="columns")

    def _opening(self) -> int:
        payload = self.payload
        if len(payload) > MAX_BYTES:
            raise PayloadTooLarge(size=len(payload), limit=MAX_BYTES)
        if len(payload) < 3:
            raise PayloadTruncated(part="header")
        version, marks, device = payload[:3]
        if version != VERSION:
            raise UnknownCodecVersion(version=version)
        if marks > (PRESSURE | STYLES) or device >= len(DEVICES):
            raise PayloadMalformed(reason=f"marks {marks}, device {device}")
        self.device = DEVICES[device]
        return marks

    def _side(self, what: str) -> float:
        steps = self._number(LARGEST_STEP, what)
        if not steps:
            raise PayloadMalformed(reason=f"a canvas of no {what}")
        return steps / STEPS_PER_PX

    def _read_styles(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        styles = [
            (self._number(0xFFFFFF, "colour"), self._number(LARGEST_STEP, "stroke width"))
            for _ in range(self.strokes)
        ]
        if any(not width for _, width in styles):
            raise PayloadMalformed(reason="a stroke without width")
        if all(style == DEFAULT_STYLE for style in styles):
            raise PayloadMalformed(reason="default styles are left out")
        colors = tuple(f"#{color:06x}" for color, _ in styles)
        return colors, tuple(width / WIDTH_STEPS_PER_PX for _, width in styles)

    def _number(self, largest: int, what: str) -> int:
        value = shift = 0
        for byte in self.payload[self.at : self.at + 8]:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if value > largest or (not byte and shift > 7):
                    raise PayloadMalformed(reason=f"{what} out of range or padded")
                self.at += shift // 7
                return value
        if shift == 56:
            raise PayloadMalformed(reason=f"{what} is longer than 8 bytes")
        raise PayloadTruncated(part=what)


def _unpack(head: _Head) -> tuple[Ints, Ints]:
    """Return x and y in steps (2, points) and t in ms (points,)."""
    points = head.points
    body = np.frombuffer(head.payload, np.uint8, head.end - head.at, head.at)
    values = packing.read_varints(body)
    if len(values) != 3 * points:
        raise PayloadMalformed(reason=f"{len(values)} numbers for {points} points")
    if values[2 * points]:
        raise PayloadMalformed(reason="time does not start at 0")
    largest = int(values.max())
    if largest >= _LARGEST_COLUMN_NUMBER:
        raise PayloadMalformed(reason="a number above 32 bits")
    moves = values[: 2 * points].reshape(2, points)
    xy = ((moves >> 1) ^ -(moves & 1)).cumsum(axis=1)
    # A walk of short moves cannot get there: most drawings skip the exact check.
    if largest * points > LARGEST_STEP and abs(xy).max() > LARGEST_STEP:
        raise PayloadMalformed(reason="a coordinate out of range")
    return xy, values[2 * points :].cumsum()


def _counts(drawing: Strokes) -> list[int]:
    """Return how many points each stroke has."""
    starts = drawing.starts.tolist()
    counts = [after - before for before, after in itertools.pairwise(starts)]
    if not counts or min(counts) < 1 or starts[0] != 0 or starts[-1] != len(drawing.xy):
        raise PayloadMalformed(reason="a drawing or a stroke without points")
    return counts


def _columns(drawing: Strokes) -> Ints:
    """Return x and y in steps and t in ms by the client's clock, (3, points)."""
    xy, t = drawing.xy, drawing.t
    if len(t) != len(xy):
        raise PayloadMalformed(reason="not one time a point")
    if t[0] != 0 or not 0 <= drawing.t0_ms <= LARGEST_TIME:
        raise PayloadMalformed(reason="time does not start at 0")
    if not np.abs(xy).max() <= LARGEST_STEP / STEPS_PER_PX:
        raise PayloadMalformed(reason="a coordinate out of range")
    # floor(v + 1/2), not rint: it is what Math.round does in the browser's twin.
    steps = np.floor(xy.T * np.float64(STEPS_PER_PX) + 0.5).astype(np.int64)
    return np.vstack((steps, t + drawing.t0_ms))


def _pressure(payload: bytes, head: _Head) -> Floats | None:
    if not head.has_pressure:
        return None
    changes = np.frombuffer(payload, np.uint8, offset=len(payload) - head.points)
    return changes.cumsum(dtype=np.uint8).astype(np.float32) / np.float32(255)
