"""How good a drawing looks before anybody has seen it, in parts that explain themselves.

Nothing here refuses a drawing: a low score sends it to people. Measured on the 2,720 drawings of
Omniglot's first small set (people with mice, about 2010): 99.1 % score 0.5 or more, 97.3 % score
0.9 or more. Of 600 scripted lines, circles and polygons of 20 to 119 points, 0.5 or more have:

    a perfect shape on a fixed clock                               0.0 %
    a perfect shape on a clock that varies by a third              0.0 %
    a shape with 1.5 px of noise on a clock that varies by a third  27 %
    the same, with exponential waits                                27 %

Noise is found out from about 40 points on; fewer look like honest, hasty drawings. The bounds
come from mice: learn them again per device before a score decides anything alone.
"""

import math

import numpy as np
from numpy.typing import NDArray

from volano.data.formats.strokes import Strokes
from volano.schemas.data import Quality, QualityPart

Floats = NDArray[np.floating]

SCORER_VERSION = "1"

_STEADY_CLOCKS = ("touch", "pen")  # digitisers report at a fixed rate; mice and scripts differ
_LEAST_MOVES = 8


def score(drawing: Strokes) -> Quality:
    """Score a drawing by the product of parts, each in [0, 1] with its reason."""
    waits, moves = _within_strokes(drawing)
    lengths = np.hypot(*moves)
    parts = [_structure(drawing), _size(drawing, float(lengths.sum()))]
    if len(waits) >= _LEAST_MOVES and lengths.any():
        parts += [_pace(lengths, waits), _stride(lengths), _tremor(moves, lengths)]
        parts.append(_clock(waits, drawing))
    return Quality(
        score=math.prod(part.value for part in parts),
        parts=parts,
        scorer_version=SCORER_VERSION,
    )


def _within_strokes(drawing: Strokes) -> tuple[Floats, Floats]:
    """Return waits (n,) in ms and moves (2, n) in px, without the jumps between strokes."""
    waits = (drawing.t[1:] - drawing.t[:-1]).astype(np.float32)
    moves = (drawing.xy[1:] - drawing.xy[:-1]).T
    jumps = drawing.starts[1:-1] - 1
    if not len(jumps):
        return waits, moves
    drawn = np.ones(len(waits), np.bool_)
    drawn[jumps] = False
    return waits[drawn], moves[:, drawn]


def _structure(drawing: Strokes) -> QualityPart:
    points, strokes = len(drawing.xy), len(drawing.starts) - 1
    value = _rise(points, 2, 8) * _rise(-strokes, -100, -50) * _rise(drawing.duration_ms, 100, 400)
    lines = "1 stroke" if strokes == 1 else f"{strokes} strokes"
    reason = f"{points} points in {lines} over {drawing.duration_ms} ms"
    return QualityPart(name="structure", value=value, reason=reason)


def _size(drawing: Strokes, ink_px: float) -> QualityPart:
    """Judge the size: people fill the canvas and stay on it, with 4.8 diagonals of ink at most."""
    left, top = drawing.xy.min(axis=0).tolist()
    right, bottom = drawing.xy.max(axis=0).tolist()
    width, height = drawing.width, drawing.height
    extent = max((right - left) / width, (bottom - top) / height)
    off = max(-left / width, right / width - 1, -top / height, bottom / height - 1)
    diagonals = ink_px / max(math.hypot(right - left, bottom - top), 1.0)
    value = _rise(extent, 0.02, 0.1) * _rise(-off, -0.5, -0.15) * _rise(-diagonals, -40, -15)
    reason = f"spans {extent:.0%} of the canvas with {diagonals:.1f} diagonals of ink"
    return QualityPart(name="size", value=value, reason=reason)


def _pace(lengths: Floats, waits: Floats) -> QualityPart:
    """Judge the pace: hands slow down at corners; 99 % of people vary it by 42 % or more."""
    varies = _variation(lengths / np.maximum(waits, 1))
    return QualityPart(
        name="pace", value=_rise(varies, 0.1, 0.35), reason=f"speed varies by {varies:.0%}"
    )


def _stride(lengths: Floats) -> QualityPart:
    """Judge the steps: a formula's are even; 99 % of people vary theirs by 13 % or more."""
    varies = _variation(lengths)
    return QualityPart(
        name="stride", value=_rise(varies, 0.02, 0.13), reason=f"steps vary by {varies:.0%}"
    )


def _clock(waits: Floats, drawing: Strokes) -> QualityPart:
    """Judge the clock, weak evidence: a fixed one halves the score, unless the device has it."""
    varies = _variation(waits)
    normal = drawing.device in _STEADY_CLOCKS
    value = 1.0 if normal else 0.5 + _rise(varies, 0, 0.03) / 2
    return QualityPart(name="clock", value=value, reason=f"waits vary by {varies:.0%}")


def _tremor(moves: Floats, lengths: Floats) -> QualityPart:
    """Judge how much each move differs from the last: 0.28 to 0.99 of its length for people.

    Formulas give less and added noise gives more.
    """
    changes = np.hypot(*(moves[:, 1:] - moves[:, :-1]))
    rough = float(changes.sum() / lengths.sum())
    value = _rise(rough, 0.03, 0.2) * _rise(-rough, -1.15, -0.95)
    return QualityPart(
        name="tremor", value=value, reason=f"moves differ by {rough:.0%} of their length"
    )


def _variation(values: Floats) -> float:
    """Return the standard deviation over the mean."""
    n, total, squares = len(values), float(values.sum()), float(values @ values)
    return math.sqrt(max(n * squares - total * total, 0)) / total if total else 0.0


def _rise(value: float, none: float, full: float) -> float:
    """Return 0 up to `none`, 1 from `full` on, and what lies straight between."""
    return min(max((value - none) / (full - none), 0.0), 1.0)
