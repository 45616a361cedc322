"""A drawing as line segments: what a recogniser takes, in training and in serving alike."""

import numpy as np
from numpy.typing import NDArray

from volano.data.formats.strokes import Strokes

TOLERANCE = 1 / 32
"""Longest segment, as a share of the larger side of the drawing's box."""
MAX_SEGMENTS = 96

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
Way = NDArray[np.complex128]
"""Points as x + iy: most calls of numpy cost the same for both sides as for one."""


def segments(
    drawing: Strokes, *, tolerance: float = TOLERANCE, max_segments: int = MAX_SEGMENTS
) -> Floats:
    """Return the drawing as (n, 4) segments x0, y0, x1, y1 in px, 1 <= n <= `max_segments`.

    Each stroke is cut into pieces of equal length, in the order in which it was drawn, so that how
    fast the hand or how dense the device was leaves no trace. A dot is a segment of no length.
    Pieces grow where a drawing has too much ink for the limit; where even its strokes are too
    many, the shortest are left out.
    """
    sides = drawing.xy.T.astype(np.float64, order="C")
    pen = sides[0] + 1j * sides[1]
    starts, ends = drawing.starts[:-1], drawing.starts[1:] - 1
    along = _along(pen, starts)
    first = along[starts]
    lengths = along[ends] - first
    box = np.maximum.reduce(sides, axis=1) - np.minimum.reduce(sides, axis=1)
    pieces = _pieces(lengths, tolerance * max(*box.tolist(), 1e-6), max_segments)
    cuts, begins = _cuts(first, lengths, pieces)
    corners = np.interp(cuts, along, pen)
    found = np.empty((len(begins), 2), np.complex128)
    found[:, 0], found[:, 1] = corners[begins], corners[begins + 1]
    return found.view(np.float64).astype(np.float32)


def _along(pen: Way, starts: NDArray[np.int32]) -> Numbers:
    """Return the way of the pen at each point; 1 px lies between strokes, so no cut is in two."""
    step = np.ones(len(pen))
    np.abs(pen[1:] - pen[:-1], out=step[1:])
    step[starts] = 1.0
    return np.add.accumulate(step)


def _pieces(lengths: Numbers, longest: float, limit: int) -> NDArray[np.int64]:
    """Return the pieces of each stroke: one at least, unless strokes are more than `limit`."""
    if len(lengths) >= limit:
        kept = np.zeros(len(lengths), np.int64)
        kept[np.argsort(-lengths, kind="stable")[:limit]] = 1
        return kept
    # ceil adds less than one piece a stroke, so the sum stays within the limit.
    longest = max(longest, float(lengths.sum()) / (limit - len(lengths)))
    return np.maximum(1, np.ceil(lengths / longest - 1e-3)).astype(np.int64)


def _cuts(
    first: Numbers, lengths: Numbers, pieces: NDArray[np.int64]
) -> tuple[Numbers, NDArray[np.intp]]:
    """Return where on the pen's way the cuts of each stroke are, and which begin a piece."""
    if not pieces.all():
        kept = pieces > 0
        first, lengths, pieces = first[kept], lengths[kept], pieces[kept]
    cuts = pieces + 1
    ends = np.add.accumulate(cuts)
    stroke = np.arange(len(cuts)).repeat(cuts)
    number = np.arange(len(stroke)) - (ends - cuts)[stroke]
    begins = np.ones(len(stroke), np.bool_)
    begins[ends - 1] = False
    return first[stroke] + (lengths / pieces)[stroke] * number, begins.nonzero()[0]
