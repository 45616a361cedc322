"""Stroke codec version 1: a drawing as bytes, every point, time and pressure kept.

    version   1 byte, 1
    marks     1 byte: 1 pressure column follows, 2 stroke styles follow
    device    1 byte, position in `spec.data.Device`
    numbers   varints: width, height (1/4 px), t0 (ms), strokes, points of each stroke,
              then for each stroke, if styled: colour (0xRRGGBB), width (1/16 px)
    columns   varints: x (1/4 px, zigzag of differences), y (the same), t (ms, differences, from 0)
              then, if pressed: one byte a point, difference modulo 256 of pressure x 255

A varint holds 7 bits a byte, lowest first, and must be as short as it can be, so equal drawings
have equal bytes. Differences run through the whole drawing, from 0, over stroke boundaries.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volano.data.formats import varints
from volano.data.formats.varints import Ints
from volano.spec.data import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    CodecError,
    Device,
    PayloadMalformed,
    PayloadTooLarge,
    PayloadTruncated,
    UnknownCodecVersion,
)

VERSION = 1
STEPS_PER_PX = 4
WIDTH_STEPS_PER_PX = 16
MAX_BYTES = 1 << 20

_PRESSURE, _STYLES = 1, 2
_DEVICES: tuple[Device, ...] = get_args(Device)
_COLOR = re.compile("#[0-9a-fA-F]{6}")
_DEFAULT_STYLE = (int(DEFAULT_COLOR[1:], 16), int(DEFAULT_WIDTH_PX * WIDTH_STEPS_PER_PX))
_LARGEST_STEP = 1 << 24  # float32 holds every quarter pixel up to here exactly
_LARGEST_COLUMN_NUMBER = 1 << 32
_LARGEST_TIME = 1 << 53  # and a JavaScript number every millisecond up to here

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


class Frame(Struct, frozen=True, kw_only=True, gc=False):
    """Everything of a drawing but its points; `counts` says how many each stroke has."""

    counts: list[int]
    width: float
    height: float
    t0_ms: int
    device: Device
    colors: tuple[str, ...]
    widths: tuple[float, ...]
    pressure: Floats | None


def encode(drawing: Strokes) -> bytes:
    """The payload of a drawing; positions move by at most 1/8 px, times not at all.

    Raises: CodecError (no points, or a value that the format cannot hold).
    """
    frame = Frame(
        counts=_counts(drawing),
        width=drawing.width,
        height=drawing.height,
        t0_ms=drawing.t0_ms,
        device=drawing.device,
        colors=drawing.colors,
        widths=drawing.widths,
        pressure=drawing.pressure,
    )
    return pack(_columns(drawing), frame)


def pack(columns: Ints, frame: Frame) -> bytes:
    """The payload of a drawing whose points are in the units of the format.

    `columns` is overwritten: x and y in 1/4 px, t in ms since the first point, (3, points).

    Raises: CodecError (a value that the format cannot hold).
    """
    points = columns.shape[1]
    body = varints.encode(_numbers(columns, frame.t0_ms))
    styles = _styles(frame)
    pressure = b"" if frame.pressure is None else _pressure_bytes(frame.pressure, points)
    marks = _PRESSURE * bool(pressure) | _STYLES * bool(styles)
    head = bytearray((VERSION, marks, _DEVICES.index(frame.device)))
    width = _steps(frame.width, STEPS_PER_PX, "width")
    height = _steps(frame.height, STEPS_PER_PX, "height")
    rest = itertools.chain(frame.counts, *styles)
    for number in (width, height, frame.t0_ms, len(frame.counts), *rest):
        varints.append(head, number)
    payload = b"".join((head, body, pressure))
    if len(payload) > MAX_BYTES:
        raise PayloadTooLarge(size=len(payload), limit=MAX_BYTES)
    return payload


def decode(payload: bytes) -> Strokes:
    """The drawing in a payload.

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
    """What a payload holds, once it is certain that `decode` will take it.

    Raises: CodecError.
    """
    (verdict,) = validate_all((payload,))
    if isinstance(verdict, CodecError):
        raise verdict
    return verdict


def validate_all(payloads: Sequence[bytes]) -> list[Header | CodecError]:
    """What `validate` returns or raises for each of these payloads, for less than one by one."""
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
    """How long each drawing took, or what is wrong with its columns."""
    bodies = [head.payload[head.at : head.end] for head in heads]
    # Large ones gain nothing by company, and memory stays that of one.
    few = 0 < sum(map(len, bodies)) <= MAX_BYTES
    sums = varints.sums(bodies, [head.points for head in heads]) if few else None
    # No coordinate is beyond the sum of all moves, and no number beyond the sum of its column.
    if sums and all(max(x, y) <= _LARGEST_STEP and t < _LARGEST_COLUMN_NUMBER for x, y, t in sums):
        return [t for _, _, t in sums]
    return [_duration(head) for head in heads]


def _duration(head: "_Head") -> int | CodecError:
    """The exact check, which also tells what is wrong."""
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
        self.has_pressure = bool(marks & _PRESSURE)
        self.width = self._side("width")
        self.height = self._side("height")
        self.t0_ms = self._number(_LARGEST_TIME, "start time")
        self.strokes = self._number(len(payload), "number of strokes")
        self.counts = [
            self._number(len(payload), "points of a stroke") for _ in range(self.strokes)
        ]
        self.points = sum(self.counts)
        if not self.points or 0 in self.counts:
            raise PayloadMalformed(reason="a drawing or a stroke without points")
        self.colors, self.widths = self._read_styles() if marks & _STYLES else ((), ())
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
        if marks > (_PRESSURE | _STYLES) or device >= len(_DEVICES):
            raise PayloadMalformed(reason=f"marks {marks}, device {device}")
        self.device = _DEVICES[device]
        return marks

    def _side(self, what: str) -> float:
        steps = self._number(_LARGEST_STEP, what)
        if not steps:
            raise PayloadMalformed(reason=f"a canvas of no {what}")
        return steps / STEPS_PER_PX

    def _read_styles(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        styles = [
            (self._number(0xFFFFFF, "colour"), self._number(_LARGEST_STEP, "stroke width"))
            for _ in range(self.strokes)
        ]
        if any(not width for _, width in styles):
            raise PayloadMalformed(reason="a stroke without width")
        if all(style == _DEFAULT_STYLE for style in styles):
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
    """x and y in steps (2, points), t in ms (points,)."""
    points = head.points
    values = varints.decode(np.frombuffer(head.payload, np.uint8, head.end - head.at, head.at))
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
    if largest * points > _LARGEST_STEP and abs(xy).max() > _LARGEST_STEP:
        raise PayloadMalformed(reason="a coordinate out of range")
    return xy, values[2 * points :].cumsum()


def _counts(drawing: Strokes) -> list[int]:
    """How many points each stroke has."""
    starts = drawing.starts.tolist()
    counts = [after - before for before, after in itertools.pairwise(starts)]
    if not counts or min(counts) < 1 or starts[0] != 0 or starts[-1] != len(drawing.xy):
        raise PayloadMalformed(reason="a drawing or a stroke without points")
    return counts


def _columns(drawing: Strokes) -> Ints:
    """x and y in steps, t in ms, (3, points)."""
    xy, t = drawing.xy, drawing.t
    if len(t) != len(xy):
        raise PayloadMalformed(reason="not one time a point")
    if not np.abs(xy).max() <= _LARGEST_STEP / STEPS_PER_PX:
        raise PayloadMalformed(reason="a coordinate out of range")
    # floor(v + 1/2), not rint: it is what Math.round does in the browser's twin.
    steps = np.floor(xy.T * np.float64(STEPS_PER_PX) + 0.5).astype(np.int64)
    return np.vstack((steps, t))


def _numbers(columns: Ints, t0_ms: int) -> Ints:
    """The columns after each other as the numbers to write, (3 x points,), in their place."""
    moves = columns[:2]
    if columns[2, 0] != 0 or not 0 <= t0_ms <= _LARGEST_TIME:
        raise PayloadMalformed(reason="time does not start at 0")
    if np.abs(moves).max() > _LARGEST_STEP:
        raise PayloadMalformed(reason="a coordinate out of range")
    columns[:, 1:] -= columns[:, :-1].copy()
    np.bitwise_xor(moves << 1, moves >> 63, out=moves)
    return columns.ravel()


def _pressure_bytes(pressure: Floats, points: int) -> bytes:
    if len(pressure) != points or not (pressure.min() >= 0 and pressure.max() <= 1):
        raise PayloadMalformed(reason="pressure outside 0 to 1, or not one a point")
    levels = (pressure * 255 + 0.5).astype(np.uint8)
    levels[1:] -= levels[:-1].copy()
    return levels.tobytes()


def _pressure(payload: bytes, head: _Head) -> Floats | None:
    if not head.has_pressure:
        return None
    changes = np.frombuffer(payload, np.uint8, offset=len(payload) - head.points)
    return changes.cumsum(dtype=np.uint8).astype(np.float32) / np.float32(255)


def _styles(frame: Frame) -> list[tuple[int, int]]:
    """Colour and width of each stroke as numbers, or nothing when all are the default."""
    strokes = len(frame.counts)
    colors = frame.colors or (DEFAULT_COLOR,) * strokes
    widths = frame.widths or (DEFAULT_WIDTH_PX,) * strokes
    if not len(colors) == len(widths) == strokes:
        raise PayloadMalformed(reason="not one style a stroke")
    if set(colors) == {DEFAULT_COLOR} and set(widths) == {DEFAULT_WIDTH_PX}:
        return []
    styles = [
        (_color_number(color), _steps(width, WIDTH_STEPS_PER_PX, "stroke width"))
        for color, width in zip(colors, widths, strict=True)
    ]
    return styles if any(style != _DEFAULT_STYLE for style in styles) else []


def _color_number(color: str) -> int:
    if not _COLOR.fullmatch(color):
        raise PayloadMalformed(reason=f"colour {color!r} is not #rrggbb")
    return int(color[1:], 16)


def _steps(value: float, per_px: int, what: str) -> int:
    """At least one step, so that nothing vanishes by rounding."""
    if not 0 < value <= _LARGEST_STEP / per_px:
        raise PayloadMalformed(reason=f"{what} {value}")
    return max(1, int(value * per_px + 0.5))
