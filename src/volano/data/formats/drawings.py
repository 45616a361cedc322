"""Drawings between the wire and the stroke codec, and the checks on the way in."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from volano.data.formats import packing, strokes
from volano.data.formats.packing import LARGEST_TIME, STEPS_PER_PX, Frame, Ints, Values
from volano.schemas.drawings import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    BadCanvas,
    BadDrawingId,
    BadTimestamp,
    Canvas,
    CodecError,
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
from volano.schemas.errors import VolanoError

Ends = list[float]
"""Of x, y and timestamp."""

_UUID = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
_FLAGS: tuple[Flag, ...] = get_args(Flag)
_EPOCH_S = 1e9
_PASS = 2048
"""Points in one pass: few enough for the processor's cache, enough to hide the cost of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingLimits:
    """How much one drawing may be; the defaults hold ten minutes of any hand."""

    strokes: int = 500
    points: int = 20_000
    payload_bytes: int = 1 << 17
    duration_ms: int = 24 * 3600 * 1000
    least_side_px: float = 16
    most_side_px: float = 10_000
    margin: float = 1.0
    """How far off the canvas a point may lie, in canvas sizes: a captured pointer leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A drawing ready to be stored, and the facts that are stored beside it."""

    payload: bytes
    device: Device
    strokes: int
    points: int
    start_ms: float
    """What the client's clock showed at the first point."""
    duration_ms: float
    flags: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a payload says about a drawing, in wire shapes."""

    canvas: Canvas
    device: Device
    strokes: list[Stroke]


_DEFAULT_LIMITS = DrawingLimits()


def encode(new: NewDrawing, limits: DrawingLimits = _DEFAULT_LIMITS) -> Encoded:
    """Return the payload of a drawing as it came over the wire, with its facts.

    Raises: BadDrawingId, BadCanvas, DrawingEmpty, TooManyStrokes, TooManyPoints, PointNotFinite,
    PointOffCanvas, BadTimestamp, DrawingTooLong, DrawingTooLarge, PayloadMalformed (what the wire
    shape does not let through).
    """
    (found,) = encode_all([new], limits)
    if isinstance(found, VolanoError):
        raise found
    return found


def encode_all(
    many: Sequence[NewDrawing], limits: DrawingLimits = _DEFAULT_LIMITS
) -> list[Encoded | VolanoError]:
    """Return what `encode` returns or raises for each drawing, for less than one by one."""
    arriving: list[_Arriving | VolanoError] = []
    for new in many:
        try:
            arriving.append(_Arriving(new, limits))
        except VolanoError as error:
            arriving.append(error)
    sound = [one for one in arriving if isinstance(one, _Arriving)]
    found = chain.from_iterable(_encode(some, limits) for some in _passes(sound))
    return [next(found) if isinstance(one, _Arriving) else one for one in arriving]


def admit_all(
    many: Sequence[tuple[str, bytes]], limits: DrawingLimits = _DEFAULT_LIMITS
) -> list[Encoded | VolanoError]:
    """Return drawings that clients have encoded, by id and payload, or why each is refused."""
    small = [payload for _, payload in many if len(payload) <= limits.payload_bytes]
    headers = dict(zip(small, strokes.validate_all(small), strict=True)) if small else {}
    return [_admit(id, payload, headers.get(payload), limits) for id, payload in many]


def _admit(
    id: str, payload: bytes, header: strokes.Header | CodecError | None, limits: DrawingLimits
) -> Encoded | VolanoError:
    if not _UUID.fullmatch(id):
        return BadDrawingId(id=id[:64])
    if header is None:
        return DrawingTooLarge(size=len(payload), limit=limits.payload_bytes)
    if isinstance(header, CodecError):
        return header
    if header.strokes > limits.strokes:
        return TooManyStrokes(strokes=header.strokes, limit=limits.strokes)
    if header.points > limits.points:
        return TooManyPoints(points=header.points, limit=limits.points)
    return Encoded(
        payload=payload,
        device=header.device,
        strokes=header.strokes,
        points=header.points,
        start_ms=header.t0_ms,
        duration_ms=header.duration_ms,
        flags=[],
    )


def decode(payload: bytes) -> Content:
    """Return the drawing in a payload as clients see it.

    Positions are within 1/8 px, times within 1/2 ms, pressure within 1/510 of what was sent.
    Raises: CodecError.
    """
    drawn = strokes.decode(payload)
    columns: list[list[Any]] = [*drawn.xy.T.tolist(), (drawn.t + drawn.t0_ms).tolist()]
    columns.append([None] * len(drawn.t) if drawn.pressure is None else drawn.pressure.tolist())
    drawn_points = [
        Point(x=x, y=y, timestamp=t, pressure=p) for x, y, t, p in zip(*columns, strict=True)
    ]
    spans = list(pairwise(drawn.starts.tolist()))
    colors = drawn.colors or (DEFAULT_COLOR,) * len(spans)
    widths = drawn.widths or (DEFAULT_WIDTH_PX,) * len(spans)
    return Content(
        canvas=Canvas(width=drawn.width, height=drawn.height),
        device=drawn.device,
        strokes=[
            Stroke(points=drawn_points[start:end], color=color, width=width)
            for (start, end), color, width in zip(spans, colors, widths, strict=True)
        ],
    )


def _place(counts: list[int], index: int) -> dict[str, int]:
    """Return which point of which stroke it is, both from 0, as facts of an error."""
    starts = [0, *accumulate(counts)]
    stroke = bisect_right(starts, index) - 1
    return {"stroke": stroke, "point": index - starts[stroke]}


class _Arriving:
    """One drawing on its way in."""

    __slots__ = (
        "counts",
        "duration_ms",
        "flags",
        "new",
        "points",
        "pressure",
        "start_ms",
        "styles",
    )

    def __init__(self, new: NewDrawing, limits: DrawingLimits) -> None:
        if not _UUID.fullmatch(new.id):
            raise BadDrawingId(id=new.id[:64])
        canvas, least, most = new.canvas, limits.least_side_px, limits.most_side_px
        if not (least <= canvas.width <= most and least <= canvas.height <= most):
            raise BadCanvas(width=canvas.width, height=canvas.height, least=least, most=most)
        if not new.strokes:
            raise DrawingEmpty(what="the drawing", missing="strokes")
        if len(new.strokes) > limits.strokes:
            raise TooManyStrokes(strokes=len(new.strokes), limit=limits.strokes)
        self.counts = [len(stroke.points) for stroke in new.strokes]
        if 0 in self.counts:
            raise DrawingEmpty(what=f"stroke {self.counts.index(0)}", missing="points")
        if sum(self.counts) > limits.points:
            raise TooManyPoints(points=sum(self.counts), limit=limits.points)
        self.new = new
        self.points = list(chain.from_iterable([stroke.points for stroke in new.strokes]))
        colors = [stroke.color for stroke in new.strokes]
        self.styles = packing.styles(colors, [s.width for s in new.strokes], len(colors))
        self.pressure = b""
        self.flags: set[Flag] = set()
        self.start_ms = self.duration_ms = 0.0

    def check(self, values: Values, least: Ends, most: Ends, limits: DrawingLimits) -> None:
        """Refuse columns that are no drawing; `least` and `most` are of x, y and timestamp.

        Raises: PointNotFinite, PointOffCanvas, BadTimestamp, DrawingTooLong.
        """
        canvas = self.new.canvas
        ends = zip((*least[:2], *most[:2]), (canvas.width, canvas.height) * 2, strict=True)
        off = [abs(end / size - 0.5) - 0.5 for end, size in ends]
        if not sum(off) < math.inf or max(off) > limits.margin:  # not: so that NaN comes here too
            _check_finite(values, self.counts)
            _refuse_place(values, self.counts, canvas)
        if max(off) > 0:
            self.flags.add("off-canvas")
        if not (least[2] >= 0 and most[2] <= LARGEST_TIME):
            _check_finite(values, self.counts)
            _refuse_time(values[2], self.counts)
        start, last = float(values[2, 0]), most[2]
        if _are_seconds(start, last - start, len(self.points)):
            self.flags.add("timestamps-in-seconds")
            values[2] *= 1000
            start, last = start * 1000, last * 1000
        self.start_ms = start
        self._measure(int(last + 0.5) - int(start + 0.5), limits)

    def press(self, levels: Values | None, partial: bool) -> None:
        """Take the pressure column. A mouse reports a constant: do not ask it."""
        if levels is None or self.new.device == "mouse":
            return
        # The wire shape bounds pressure, but NaN passes every bound.
        if np.isnan(levels.max()):
            index = int(np.isnan(levels).argmax())
            raise PointNotFinite(**_place(self.counts, index), field="pressure", value="nan")
        self.pressure = packing.pressures(levels, len(self.points))
        if partial:
            self.flags.add("pressure-partial")

    def _measure(self, span_ms: int, limits: DrawingLimits) -> None:
        """Take the duration that the client states, unless its own timestamps say more."""
        stated = span_ms if self.new.duration_ms is None else self.new.duration_ms
        if not max(stated, span_ms) <= limits.duration_ms:
            raise DrawingTooLong(duration_ms=max(stated, span_ms), limit=limits.duration_ms)
        if stated < span_ms - 1:  # both were rounded
            self.flags.add("duration-mismatch")
        self.duration_ms = max(stated, span_ms)

    def frame(self) -> Frame:
        """Return what is written beside the points."""
        return Frame(
            counts=self.counts,
            width=self.new.canvas.width,
            height=self.new.canvas.height,
            device=self.new.device,
            styles=self.styles,
            pressure=self.pressure,
        )

    def encoded(self, payload: bytes, limits: DrawingLimits) -> Encoded | VolanoError:
        """Return what is stored of it."""
        if len(payload) > limits.payload_bytes:
            return DrawingTooLarge(size=len(payload), limit=limits.payload_bytes)
        return Encoded(
            payload=payload,
            device=self.new.device,
            strokes=len(self.counts),
            points=len(self.points),
            start_ms=self.start_ms,
            duration_ms=self.duration_ms,
            flags=[flag for flag in _FLAGS if flag in self.flags] if self.flags else [],
        )


def _passes(arriving: Sequence[_Arriving]) -> Iterator[list[_Arriving]]:
    """Yield the drawings in groups whose columns stay in the processor's cache."""
    some: list[_Arriving] = []
    points = 0
    for one in arriving:
        some.append(one)
        points += len(one.points)
        if points >= _PASS:
            yield some
            some, points = [], 0
    if some:
        yield some


def _encode(arriving: Sequence[_Arriving], limits: DrawingLimits) -> list[Encoded | VolanoError]:
    """Encode these drawings in one pass over all their points."""
    starts = [0, *accumulate([len(one.points) for one in arriving])]
    values: Values = np.empty((3, starts[-1]))
    refused = _check(arriving, values, starts, limits)
    if refused:
        sound = [one for at, one in enumerate(arriving) if at not in refused]
        found = iter(_encode(sound, limits) if sound else ())
        return [refused.get(at) or next(found) for at in range(len(arriving))]
    steps = _steps(values, arriving, starts)
    payloads = packing.pack(steps, [one.frame() for one in arriving])
    return [one.encoded(data, limits) for one, data in zip(arriving, payloads, strict=True)]


def _check(
    arriving: Sequence[_Arriving], values: Values, starts: list[int], limits: DrawingLimits
) -> dict[int, VolanoError]:
    """Write all points into `values`; return which drawings are refused, and why."""
    spans = list(pairwise(starts))
    levels = [
        packing.fill(values[:, start:end], one.points)
        for one, (start, end) in zip(arriving, spans, strict=True)
    ]
    least = np.minimum.reduceat(values, starts[:-1], axis=1).T.tolist()
    most = np.maximum.reduceat(values, starts[:-1], axis=1).T.tolist()
    refused: dict[int, VolanoError] = {}
    for at, (one, (start, end)) in enumerate(zip(arriving, spans, strict=True)):
        try:
            one.check(values[:, start:end], least[at], most[at], limits)
            one.press(*levels[at])
        except VolanoError as error:
            refused[at] = error
    return refused


def _steps(values: Values, arriving: Sequence[_Arriving], starts: list[int]) -> Ints:
    """Return the columns in the codec's units, time never falling; overwrite `values`."""
    values[:2] *= STEPS_PER_PX
    values += 0.5
    steps = np.floor(values, out=values).astype(np.int64)
    falls = steps[2, 1:] < steps[2, :-1]
    for start in starts[1:-1]:
        falls[start - 1] = False
    if falls.any():
        for one, (start, end) in zip(arriving, pairwise(starts), strict=True):
            if falls[start : end - 1].any():
                one.flags.add("time-normalised")
                np.maximum.accumulate(steps[2, start:end], out=steps[2, start:end])
    return steps


def _are_seconds(start: float, span: float, points: int) -> bool:
    """Tell whether timestamps make sense as seconds, and none as the milliseconds they should be.

    No pointer reports ten points a millisecond (a fast mouse reports eight), and no hand draws one
    a millisecond in less than 20. A clock of seconds starts in 1970 or with the page.
    """
    waits = points - 1
    if _EPOCH_S <= start <= 4 * _EPOCH_S:  # 2001 to 2096; in milliseconds a page open for weeks
        return waits > 1 and span < waits
    too_fast = span < waits / 10 or span < min(waits, 20)
    return waits > 1 and start < _EPOCH_S and span >= waits / 1000 and too_fast


def _check_finite(values: Values, counts: list[int]) -> None:
    broken = np.argwhere(~np.isfinite(values))
    if not len(broken):
        return
    field, index = (int(at) for at in broken[0])
    raise PointNotFinite(
        **_place(counts, index), field=packing.FIELDS[field], value=str(values[field, index])
    )


def _refuse_place(values: Values, counts: list[int], canvas: Canvas) -> NoReturn:
    size = np.array(((canvas.width,), (canvas.height,)))
    index = int(abs(values[:2] / size - 0.5).max(axis=0).argmax())
    x, y = values[:2, index].tolist()
    raise PointOffCanvas(
        **_place(counts, index), x=x, y=y, width=canvas.width, height=canvas.height
    )


def _refuse_time(timestamps: NDArray[np.float64], counts: list[int]) -> NoReturn:
    index = int(abs(timestamps - LARGEST_TIME / 2).argmax())
    raise BadTimestamp(**_place(counts, index), timestamp=float(timestamps[index]))
