"""A request's drawing as the graph takes it: by the very steps that training takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volano.data.formats import line_segments, packing
from volano.data.formats.packing import STEPS_PER_PX, Frame, Values
from volano.data.formats.strokes import MAX_BYTES, Strokes
from volano.schemas.data import PayloadTooLarge, TooManyPoints
from volano.schemas.registry import Artefact
from volano.schemas.serving import DrawingInput, InputUnusable

Feed = dict[str, NDArray[np.float32] | NDArray[np.int32]]
Floats = NDArray[np.float32]

_FARTHEST_PX = 1e6
_LATEST_MS = 2**53
_STEPS = np.array([[STEPS_PER_PX], [STEPS_PER_PX], [1.0]])


class Drawn(NamedTuple):
    """One input: what the graph sees of it, and the payload that says the same to the log."""

    strokes: Strokes
    payload: bytes


def drawn(given: DrawingInput, most_points: int) -> Drawn:
    """The drawing as the stroke codec holds it: in quarter pixels, time in ms and never falling.

    Raises: InputUnusable, TooManyPoints (to cut it up would hold up everybody else's answers).
    """
    counts = [len(stroke.points) for stroke in given.strokes]
    if sum(counts) > most_points:
        raise TooManyPoints(points=sum(counts), limit=most_points)
    if 0 in counts:
        raise InputUnusable(reason=f"stroke {counts.index(0)} has no points")
    width, height = given.canvas.width, given.canvas.height
    if not (0 < width <= _FARTHEST_PX and 0 < height <= _FARTHEST_PX):
        raise InputUnusable(reason=f"nothing can be drawn on {width} x {height} px")
    columns = np.empty((3, sum(counts)))
    all_points = list(chain.from_iterable([stroke.points for stroke in given.strokes]))
    levels, _ = packing.fill(columns, all_points)
    _check(columns)
    steps = np.floor(columns * _STEPS + 0.5).astype(np.int64)
    np.maximum.accumulate(steps[2], out=steps[2])
    strokes = Strokes(
        xy=steps[:2].T.astype(np.float32) / np.float32(STEPS_PER_PX),
        t=steps[2] - steps[2, 0],
        starts=np.array([0, *accumulate(counts)], np.int32),
        width=width,
        height=height,
    )
    return Drawn(strokes, _payload(steps, _frame(given, counts, levels)))


def feed(inputs: Sequence[Drawn], artefact: Artefact) -> Feed:
    """`segments` (inputs, longest, 4) and `count` (inputs,) of some drawings."""
    tolerance, most = artefact.tolerance, artefact.max_segments
    return padded(
        [
            line_segments.segments(one.strokes, tolerance=tolerance, max_segments=most)
            for one in inputs
        ]
    )


def padded(cut: Sequence[Floats]) -> Feed:
    """Drawings of (n, 4) segments as one array, zeros behind the shorter ones."""
    count = np.array([len(one) for one in cut], np.int32)
    if len(cut) == 1:
        return {"segments": cut[0][None], "count": count}
    whole = np.zeros((len(cut), int(count.max()), 4), np.float32)
    for row, one in zip(whole, cut, strict=True):
        row[: len(one)] = one
    return {"segments": whole, "count": count}


def _check(columns: Values) -> None:
    left, top, first = np.minimum.reduce(columns, axis=1).tolist()
    right, bottom, last = np.maximum.reduce(columns, axis=1).tolist()
    # Not `>`: a comparison with NaN is false, so these refuse NaN and infinity too.
    if not all(-_FARTHEST_PX <= end <= _FARTHEST_PX for end in (left, top, right, bottom)):
        raise InputUnusable(reason="a coordinate is not a finite number of pixels")
    if not (first >= 0 and last <= _LATEST_MS):
        raise InputUnusable(reason="a timestamp is not a number of milliseconds from 0 to 2^53")


def _frame(given: DrawingInput, counts: list[int], levels: Values | None) -> Frame:
    colors = [stroke.color for stroke in given.strokes]
    widths = [stroke.width for stroke in given.strokes]
    return Frame(
        counts=counts,
        width=given.canvas.width,
        height=given.canvas.height,
        device="unknown",
        styles=packing.styles(colors, widths, len(counts)),
        pressure=b"" if levels is None else packing.pressures(levels, sum(counts)),
    )


def _payload(steps: NDArray[np.int64], frame: Frame) -> bytes:
    (payload,) = packing.pack(steps, [frame])
    if len(payload) > MAX_BYTES:
        raise PayloadTooLarge(size=len(payload), limit=MAX_BYTES)
    return payload
