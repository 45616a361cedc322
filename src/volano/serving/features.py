"""A request's drawing as the graph takes it: by the very steps that training takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from volano.data.formats import segments
from volano.data.formats.strokes import STEPS_PER_PX, Strokes
from volano.spec.data import TooManyPoints
from volano.spec.registry import Artefact
from volano.spec.serving import DrawingInput, InputUnusable

Feed = dict[str, NDArray[np.float32] | NDArray[np.int32]]
Floats = NDArray[np.float32]


def feed(inputs: Sequence[DrawingInput], artefact: Artefact) -> Feed:
    """`segments` (inputs, longest, 4) and `count` (inputs,) of some drawings.

    Raises: InputUnusable (a stroke without points, a number that is not finite).
    """
    return padded([_segments(one, artefact) for one in inputs])


def check_size(given: DrawingInput, limit: int) -> None:
    """Raises: TooManyPoints (cutting them up would hold up everybody else's answers)."""
    points = sum(len(stroke.points) for stroke in given.strokes)
    if points > limit:
        raise TooManyPoints(points=points, limit=limit)


def padded(cut: Sequence[Floats]) -> Feed:
    """Drawings of (n, 4) segments as one array, zeros behind the shorter ones."""
    count = np.array([len(one) for one in cut], np.int32)
    whole = np.zeros((len(cut), int(count.max()), 4), np.float32)
    for row, one in zip(whole, cut, strict=True):
        row[: len(one)] = one
    return {"segments": whole, "count": count}


def _segments(given: DrawingInput, artefact: Artefact) -> Floats:
    return segments.segments(
        _strokes(given), tolerance=artefact.tolerance, max_segments=artefact.max_segments
    )


def _strokes(given: DrawingInput) -> Strokes:
    """The columns that the stroke codec would give back: positions in quarter pixels."""
    counts = [len(stroke.points) for stroke in given.strokes]
    if 0 in counts:
        raise InputUnusable(reason=f"stroke {counts.index(0)} has no points")
    points = [point for stroke in given.strokes for point in stroke.points]
    xy = np.array(([p.x for p in points], [p.y for p in points])).T
    # Not `>`: a comparison with NaN is false, so this refuses NaN and infinity too.
    if not np.abs(xy).max() <= _FARTHEST_PX:
        raise InputUnusable(reason="a coordinate is not a finite number of pixels")
    return Strokes(
        xy=(np.floor(xy * STEPS_PER_PX + 0.5) / STEPS_PER_PX).astype(np.float32),
        t=np.zeros(len(xy), np.int64),
        starts=np.array([0, *accumulate(counts)], np.int32),
        width=given.canvas.width,
        height=given.canvas.height,
    )


_FARTHEST_PX = 1e6
