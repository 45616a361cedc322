"""The writing half of the stroke codec: drawings in the units of the format become payloads.

Many at once, since a call of numpy costs more than the few hundred numbers of one drawing.
"""

import itertools
import re
from collections.abc import Sequence
from typing import get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volano.data.formats import varints
from volano.data.formats.varints import Ints
from volano.schemas.data import DEFAULT_COLOR, DEFAULT_WIDTH_PX, Device, PayloadMalformed

VERSION = 1
STEPS_PER_PX = 4
WIDTH_STEPS_PER_PX = 16
PRESSURE, STYLES = 1, 2
DEVICES: tuple[Device, ...] = get_args(Device)
DEFAULT_STYLE = (int(DEFAULT_COLOR[1:], 16), int(DEFAULT_WIDTH_PX * WIDTH_STEPS_PER_PX))
LARGEST_STEP = 1 << 24
"""float32 holds every quarter pixel up to here exactly."""
LARGEST_TIME = 1 << 53
"""And a JavaScript number every millisecond up to here."""

_COLOR = re.compile("#[0-9a-fA-F]{6}")

Floats = NDArray[np.float32]


class Frame(Struct, frozen=True, kw_only=True, gc=False):
    """Everything of a drawing but its points; `counts` says how many each stroke has."""

    counts: Sequence[int]
    width: float
    height: float
    device: Device
    styles: list[tuple[int, int]]
    """Of each stroke; none if all have the default one."""
    pressure: bytes
    """Of each point, as a column; empty without any."""


def pack(columns: Ints, frames: Sequence[Frame]) -> list[bytes]:
    """The payloads of drawings whose points stand after each other in `columns`.

    Those are x and y in 1/4 px (at most LARGEST_STEP), t in ms by the client's clock, (3, points).

    Raises: PayloadMalformed (a value that the format cannot hold).
    """
    starts = [0, *itertools.accumulate([sum(frame.counts) for frame in frames])]
    points = starts.pop()
    t0s = columns[2].take(starts).tolist()
    ends = [*starts[1:], points]
    ends += [end + points for end in ends] + [end + 2 * points for end in ends]
    written = varints.pieces(_numbers(columns, starts).ravel(), ends)
    many = len(frames)
    return [
        b"".join((_head(frame, t0_ms), *written[number::many], frame.pressure))
        for number, (frame, t0_ms) in enumerate(zip(frames, t0s, strict=True))
    ]


def _head(frame: Frame, t0_ms: int) -> bytearray:
    """Everything before the columns."""
    marks = PRESSURE * bool(frame.pressure) | STYLES * bool(frame.styles)
    head = bytearray((VERSION, marks, DEVICES.index(frame.device)))
    width = _steps(frame.width, STEPS_PER_PX, "width")
    height = _steps(frame.height, STEPS_PER_PX, "height")
    rest = itertools.chain(frame.counts, *frame.styles)
    for number in (width, height, t0_ms, len(frame.counts), *rest):
        varints.append(head, number)
    return head


def _numbers(columns: Ints, starts: Sequence[int]) -> Ints:
    """The columns as the numbers to write: differences, which begin anew with each drawing."""
    numbers = np.empty_like(columns)
    np.subtract(columns[:, 1:], columns[:, :-1], out=numbers[:, 1:])
    for start in starts:
        numbers[:2, start] = columns[:2, start]
        numbers[2, start] = 0
    moves = numbers[:2]
    np.bitwise_xor(moves << 1, moves >> 63, out=moves)
    return numbers


def pressures(levels: Floats, points: int) -> bytes:
    """The column of pressures, which are in [0, 1].

    Raises: PayloadMalformed.
    """
    if len(levels) != points or not (levels.min() >= 0 and levels.max() <= 1):
        raise PayloadMalformed(reason="pressure outside 0 to 1, or not one a point")
    column = (levels * 255 + 0.5).astype(np.uint8)
    column[1:] -= column[:-1].copy()
    return column.tobytes()


def styles(colors: Sequence[str], widths: Sequence[float], strokes: int) -> list[tuple[int, int]]:
    """Colour and width of each stroke as numbers, or nothing when all are the default.

    Raises: PayloadMalformed.
    """
    if not len(colors) == len(widths) == strokes:
        raise PayloadMalformed(reason="not one style a stroke")
    if set(colors) == {DEFAULT_COLOR} and set(widths) == {DEFAULT_WIDTH_PX}:
        return []
    found = [
        (_color_number(color), _steps(width, WIDTH_STEPS_PER_PX, "stroke width"))
        for color, width in zip(colors, widths, strict=True)
    ]
    return found if any(style != DEFAULT_STYLE for style in found) else []


def _color_number(color: str) -> int:
    if not _COLOR.fullmatch(color):
        raise PayloadMalformed(reason=f"colour {color!r} is not #rrggbb")
    return int(color[1:], 16)


def _steps(value: float, per_px: int, what: str) -> int:
    """At least one step, so that nothing vanishes by rounding."""
    if not 0 < value <= LARGEST_STEP / per_px:
        raise PayloadMalformed(reason=f"{what} {value}")
    return max(1, int(value * per_px + 0.5))
