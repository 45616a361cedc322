"""Drawings between the wire and the stroke codec, and the checks on the way in."""

import math
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from volano.data.formats import strokes
from volano.data.formats.strokes import STEPS_PER_PX, Frame
from volano.data.formats.varints import Ints
from volano.spec.data import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    BadCanvas,
    BadDrawingId,
    BadTimestamp,
    Canvas,
    Device,
    DrawingEmpty,
    DrawingTooLarge,
    DrawingTooLong,
    Flag,
    NewDrawing,
    Point,
    PointNotFinite,
    PointOffCanvas,
    Stroke,
    TooManyPoints,
    TooManyStrokes,
)

Values = NDArray[np.float64]

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LATEST_MS = 1 << 53
_FIELDS = ("x", "y", "timestamp")
_STEPS = np.array([[STEPS_PER_PX], [STEPS_PER_PX], [1.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one drawing may be; the defaults hold ten minutes of any hand."""

    strokes: int = 500
    points: int = 20_000
    payload_bytes: int = 1 << 17
    duration_ms: int = 24 * 3600 * 1000
    least_side_px: float = 1
    most_side_px: float = 10_000
    margin: float = 1.0
    """How far off the canvas a point may lie, in canvas sizes: a captured pointer leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A drawing ready to be stored, and the facts that are stored beside it."""

    payload: bytes
    strokes: int
    points: int
    duration_ms: float
    flags: list[Flag]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a payload says about a drawing, in wire shapes."""

    canvas: Canvas
    device: Device
    strokes: list[Stroke]


_DEFAULT_LIMITS = Limits()


def encode(new: NewDrawing, limits: Limits = _DEFAULT_LIMITS) -> Encoded:
    """The payload of a drawing as it came over the wire, with its facts.

    Raises: BadDrawingId, BadCanvas, DrawingEmpty, TooManyStrokes, TooManyPoints, PointNotFinite,
    PointOffCanvas, BadTimestamp, DrawingTooLong, DrawingTooLarge.
    """
    check_id(new.id)
    _check_canvas(new.canvas, limits)
    counts = _counts(new, limits)
    points = list(chain.from_iterable([stroke.points for stroke in new.strokes]))
    flags: list[Flag] = []
    columns = _Columns(points, counts)
    if columns.check_place(new.canvas, limits.margin):
        flags.append("off-canvas")
    steps, t0_ms = columns.steps(flags)
    span_ms = int(steps[2, -1])
    frame = Frame(
        counts=counts,
        width=new.canvas.width,
        height=new.canvas.height,
        t0_ms=t0_ms,
        device=new.device,
        colors=tuple([stroke.color for stroke in new.strokes]),
        widths=tuple([stroke.width for stroke in new.strokes]),
        pressure=None if new.device == "mouse" else _pressure(points, counts, flags),
    )
    duration_ms = _duration_ms(new, span_ms, limits, flags)
    payload = strokes.pack(steps, frame)
    if len(payload) > limits.payload_bytes:
        raise DrawingTooLarge(size=len(payload), limit=limits.payload_bytes)
    return Encoded(
        payload=payload,
        strokes=len(new.strokes),
        points=len(points),
        duration_ms=duration_ms,
        flags=flags,
    )


def decode(payload: bytes) -> Content:
    """The drawing in a payload as clients see it.

    Positions are within 1/8 px, times within 1/2 ms, pressure within 1/510 of what was sent.
    Raises: CodecError.
    """
    drawn = strokes.decode(payload)
    columns: list[list[Any]] = [*drawn.xy.T.tolist(), (drawn.t + drawn.t0_ms).tolist()]
    columns.append([None] * len(drawn.t) if drawn.pressure is None else drawn.pressure.tolist())
    points = [Point(x=x, y=y, timestamp=t, pressure=p) for x, y, t, p in zip(*columns, strict=True)]
    spans = list(pairwise(drawn.starts.tolist()))
    colors = drawn.colors or (DEFAULT_COLOR,) * len(spans)
    widths = drawn.widths or (DEFAULT_WIDTH_PX,) * len(spans)
    return Content(
        canvas=Canvas(width=drawn.width, height=drawn.height),
        device=drawn.device,
        strokes=[
            Stroke(points=points[start:end], color=color, width=width)
            for (start, end), color, width in zip(spans, colors, widths, strict=True)
        ],
    )


def check_id(id: str) -> None:
    """Raises: BadDrawingId (not a UUID in lower case)."""
    if not _UUID.fullmatch(id):
        raise BadDrawingId(id=id[:64])


def _check_canvas(canvas: Canvas, limits: Limits) -> None:
    least, most = limits.least_side_px, limits.most_side_px
    if not (least <= canvas.width <= most and least <= canvas.height <= most):
        raise BadCanvas(width=canvas.width, height=canvas.height, least=least, most=most)


def _counts(new: NewDrawing, limits: Limits) -> list[int]:
    """How many points each stroke has."""
    if not new.strokes:
        raise DrawingEmpty(what="the drawing", missing="strokes")
    if len(new.strokes) > limits.strokes:
        raise TooManyStrokes(strokes=len(new.strokes), limit=limits.strokes)
    counts = [len(stroke.points) for stroke in new.strokes]
    if 0 in counts:
        raise DrawingEmpty(what=f"stroke {counts.index(0)}", missing="points")
    if sum(counts) > limits.points:
        raise TooManyPoints(points=sum(counts), limit=limits.points)
    return counts


def _place(counts: list[int], index: int) -> dict[str, int]:
    """Which point of which stroke it is, both from 0, as facts of an error."""
    starts = [0, *accumulate(counts)]
    stroke = bisect_right(starts, index) - 1
    return {"stroke": stroke, "point": index - starts[stroke]}


class _Columns:
    """x, y and timestamp of all points, (3, points), and the least and the most of each.

    Most calls of numpy cost the same for three columns as for one, so there are few of them.
    """

    __slots__ = ("counts", "least", "most", "values")

    def __init__(self, points: list[Point], counts: list[int]) -> None:
        flat = [p.x for p in points]
        flat += [p.y for p in points]
        flat += [p.timestamp for p in points]
        # `array` takes a list of floats in two thirds of the time that numpy takes.
        self.values: Values = np.frombuffer(array("d", flat)).reshape(3, len(points))
        self.least: list[float] = np.minimum.reduce(self.values, axis=1).tolist()
        self.most: list[float] = np.maximum.reduce(self.values, axis=1).tolist()
        self.counts = counts

    def check_place(self, canvas: Canvas, margin: float) -> bool:
        """Whether some point is off the canvas.

        Raises: PointNotFinite, PointOffCanvas (farther than `margin` canvas sizes).
        """
        sizes = (canvas.width, canvas.height)
        ends = zip((*self.least[:2], *self.most[:2]), sizes * 2, strict=True)
        off = [abs(end / size - 0.5) - 0.5 for end, size in ends]
        if not sum(off) < math.inf or max(off) > margin:  # not: so that NaN comes here too
            self._check_finite()
            self._refuse_place(canvas)
        return max(off) > 0

    def steps(self, flags: list[Flag]) -> tuple[Ints, int]:
        """The columns in the codec's units, time never falling and from 0, and the first time.

        Raises: PointNotFinite, BadTimestamp.
        """
        if not (self.least[2] >= 0 and self.most[2] <= _LATEST_MS):
            self._check_finite()
            self._refuse_time()
        steps = np.floor(self.values * _STEPS + 0.5).astype(np.int64)
        times = steps[2]
        if (times[1:] < times[:-1]).any():
            flags.append("time-normalised")
            np.maximum.accumulate(times, out=times)
        t0_ms = int(times[0])
        times -= t0_ms
        return steps, t0_ms

    def _check_finite(self) -> None:
        broken = np.argwhere(~np.isfinite(self.values))
        if not len(broken):
            return
        field, index = (int(at) for at in broken[0])
        raise PointNotFinite(
            **_place(self.counts, index), field=_FIELDS[field], value=str(self.values[field, index])
        )

    def _refuse_place(self, canvas: Canvas) -> NoReturn:
        size = np.array(((canvas.width,), (canvas.height,)))
        index = int(abs(self.values[:2] / size - 0.5).max(axis=0).argmax())
        x, y = self.values[:2, index].tolist()
        raise PointOffCanvas(
            **_place(self.counts, index), x=x, y=y, width=canvas.width, height=canvas.height
        )

    def _refuse_time(self) -> NoReturn:
        timestamps = self.values[2]
        index = int(abs(timestamps - _LATEST_MS / 2).argmax())
        raise BadTimestamp(**_place(self.counts, index), timestamp=float(timestamps[index]))


def _pressure(points: list[Point], counts: list[int], flags: list[Flag]) -> strokes.Floats | None:
    """The pressure column; None without pressure. A mouse reports a constant: do not ask it."""
    found = [point.pressure for point in points]
    absent = found.count(None)
    if absent == len(found):
        return None
    if absent:
        flags.append("pressure-partial")
    levels = np.array([pressure or 0.0 for pressure in found], np.float32)
    # The wire shape bounds pressure, but NaN passes every bound.
    if np.isnan(levels.max()):
        index = int(np.isnan(levels).argmax())
        raise PointNotFinite(**_place(counts, index), field="pressure", value="nan")
    return levels


def _duration_ms(new: NewDrawing, span_ms: int, limits: Limits, flags: list[Flag]) -> float:
    """What the client says, unless its own timestamps say more."""
    stated = span_ms if new.duration_ms is None else new.duration_ms
    if not max(stated, span_ms) <= limits.duration_ms:
        raise DrawingTooLong(duration_ms=max(stated, span_ms), limit=limits.duration_ms)
    if stated < span_ms - 1:  # both were rounded
        flags.append("duration-mismatch")
    return max(stated, span_ms)
