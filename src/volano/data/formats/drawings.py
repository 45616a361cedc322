"""Drawings between the wire and the stroke codec, and the checks on the way in."""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volano.data.formats import strokes
from volano.data.formats.strokes import Strokes
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

Columns = NDArray[np.float64]

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LATEST_MS = 1 << 53
_FIELDS = ("x", "y", "timestamp")


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
    starts = _starts(new, limits)
    points = [point for stroke in new.strokes for point in stroke.points]
    columns = np.array(
        ([p.x for p in points], [p.y for p in points], [p.timestamp for p in points])
    )
    flags: list[Flag] = []
    _check_place(columns, starts, new.canvas, limits.margin, flags)
    t0_ms, t = _times(columns, starts, flags)
    drawn = Strokes(
        xy=columns[:2].T,
        t=t,
        starts=np.array(starts, np.int32),
        width=new.canvas.width,
        height=new.canvas.height,
        pressure=_pressure(points, new.device, starts, flags),
        t0_ms=t0_ms,
        device=new.device,
        colors=tuple(stroke.color for stroke in new.strokes),
        widths=tuple(stroke.width for stroke in new.strokes),
    )
    duration_ms = _duration_ms(new, drawn.duration_ms, limits, flags)
    payload = strokes.encode(drawn)
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


def _starts(new: NewDrawing, limits: Limits) -> list[int]:
    """Where each stroke starts in the row of all points, and where the last one ends."""
    if not new.strokes:
        raise DrawingEmpty(what="the drawing", missing="strokes")
    if len(new.strokes) > limits.strokes:
        raise TooManyStrokes(strokes=len(new.strokes), limit=limits.strokes)
    counts = [len(stroke.points) for stroke in new.strokes]
    if 0 in counts:
        raise DrawingEmpty(what=f"stroke {counts.index(0)}", missing="points")
    starts = [0, *accumulate(counts)]
    if starts[-1] > limits.points:
        raise TooManyPoints(points=starts[-1], limit=limits.points)
    return starts


def _place(starts: list[int], index: int) -> dict[str, int]:
    """Which point of which stroke it is, both from 0, as facts of an error."""
    stroke = bisect_right(starts, index) - 1
    return {"stroke": stroke, "point": index - starts[stroke]}


def _check_place(
    columns: Columns, starts: list[int], canvas: Canvas, margin: float, flags: list[Flag]
) -> None:
    """How far the worst point is off the canvas, in canvas sizes, decides."""
    size = np.array(((canvas.width,), (canvas.height,)))
    off = abs(columns[:2] / size - 0.5)
    worst = float(off.max()) - 0.5
    if not worst <= margin:  # so that NaN, which max() hands on, comes here too
        _check_finite(columns, starts)
        index = int(off.max(axis=0).argmax())
        x, y = columns[:2, index].tolist()
        raise PointOffCanvas(
            **_place(starts, index), x=x, y=y, width=canvas.width, height=canvas.height
        )
    if worst > 0:
        flags.append("off-canvas")


def _times(columns: Columns, starts: list[int], flags: list[Flag]) -> tuple[int, NDArray[np.int64]]:
    """The first time, and the time of each point since then, never falling, in whole ms."""
    timestamps = columns[2]
    if not (timestamps.min() >= 0 and timestamps.max() <= _LATEST_MS):
        _check_finite(columns, starts)
        index = int(abs(timestamps - _LATEST_MS / 2).argmax())
        raise BadTimestamp(**_place(starts, index), timestamp=float(timestamps[index]))
    times = np.floor(timestamps + 0.5).astype(np.int64)
    raised = np.maximum.accumulate(times)
    if (raised != times).any():
        flags.append("time-normalised")
    t0_ms = int(raised[0])
    return t0_ms, raised - t0_ms


def _check_finite(columns: Columns, starts: list[int]) -> None:
    broken = np.argwhere(~np.isfinite(columns))
    if not len(broken):
        return
    field, index = (int(at) for at in broken[0])
    raise PointNotFinite(
        **_place(starts, index), field=_FIELDS[field], value=str(columns[field, index])
    )


def _pressure(
    points: list[Point], device: Device, starts: list[int], flags: list[Flag]
) -> strokes.Floats | None:
    """The pressure column; None without pressure and for a mouse, which reports a constant."""
    found = [point.pressure for point in points]
    absent = found.count(None)
    if absent == len(found) or device == "mouse":
        return None
    if absent:
        flags.append("pressure-partial")
    levels = [pressure or 0.0 for pressure in found]
    for index, level in enumerate(levels):
        if math.isnan(level):  # the wire shape bounds pressure, but NaN passes every bound
            raise PointNotFinite(**_place(starts, index), field="pressure", value="nan")
    return np.array(levels, np.float32)


def _duration_ms(new: NewDrawing, span_ms: int, limits: Limits, flags: list[Flag]) -> float:
    """What the client says, unless its own timestamps say more."""
    stated = span_ms if new.duration_ms is None else new.duration_ms
    if not max(stated, span_ms) <= limits.duration_ms:
        raise DrawingTooLong(duration_ms=max(stated, span_ms), limit=limits.duration_ms)
    if stated < span_ms - 1:  # both were rounded
        flags.append("duration-mismatch")
    return max(stated, span_ms)
