"""A drawing as line segments: what a recogniser takes, in training and in serving alike."""

import numpy as np
from numpy.typing import NDArray

from volano.data.formats.strokes import Strokes

TOLERANCE = 1 / 32
"""Longest segment, as a share of the larger side of the drawing's box."""
MAX_SEGMENTS = 96

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]


def segments(
    drawing: Strokes, *, tolerance: float = TOLERANCE, max_segments: int = MAX_SEGMENTS
) -> Floats:
    """The drawing as (n, 4) segments x0, y0, x1, y1 in px, 1 <= n <= `max_segments`.

    Each stroke is cut into pieces of equal length, in the order in which it was drawn, so that how
    fast the hand or how dense the device was leaves no trace. A dot is a segment of no length.
    Pieces grow where a drawing has too much ink for the limit; where even its strokes are too
    many, the shortest are left out.
    """
    xy = drawing.xy.astype(np.float64)
    starts, ends = drawing.starts[:-1], drawing.starts[1:] - 1
    along = _along(xy, starts)
    lengths = along[ends] - along[starts]
    longest = tolerance * max(float(np.ptp(xy, axis=0).max()), 1e-6)
    pieces = _pieces(lengths, longest, max_segments)
    begin, end = _cuts(along[starts], lengths, pieces)
    corners = [np.interp(at, along, side) for at in (begin, end) for side in xy.T]
    return np.stack(corners, axis=1).astype(np.float32)


def _along(xy: Numbers, starts: NDArray[np.int32]) -> Numbers:
    """Way of the pen at each point; 1 px lies between strokes, so that no cut is in two of them."""
    step = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    step[starts] = 1.0
    along: Numbers = np.cumsum(step)
    return along


def _pieces(lengths: Numbers, longest: float, limit: int) -> NDArray[np.int64]:
    """Pieces of each stroke: at least one, unless there are more strokes than `limit`."""
    if len(lengths) >= limit:
        kept = np.zeros(len(lengths), np.int64)
        kept[np.argsort(-lengths, kind="stable")[:limit]] = 1
        return kept
    # ceil adds less than one piece a stroke, so the sum stays within the limit.
    longest = max(longest, float(lengths.sum()) / (limit - len(lengths)))
    return np.maximum(1, np.ceil(lengths / longest - 1e-3)).astype(np.int64)


def _cuts(first: Numbers, lengths: Numbers, pieces: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Where on the pen's way each piece begins and ends."""
    stroke = np.repeat(np.arange(len(pieces)), pieces)
    number = np.arange(len(stroke)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    unit = lengths[stroke] / pieces[stroke]
    return first[stroke] + unit * number, first[stroke] + unit * (number + 1)
