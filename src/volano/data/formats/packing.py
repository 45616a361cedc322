"""Packing drawings: wire points become columns of numbers, and columns the bytes of the codec.

Many drawings at once, since a call of numpy costs more than the few hundred numbers of one.

A point arrives as an object with attributes. In MessagePack every number of it stands at a known
place, so numpy reads a column straight from the bytes: to ask 150 objects for their attributes
takes three times as long. A varint holds 7 bits a byte, lowest first, and is as short as can be.
"""

import itertools
import re
from collections.abc import Sequence
from typing import get_args

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volano.schemas.drawings import (
    DEFAULT_COLOR,
    DEFAULT_WIDTH_PX,
    Device,
    PayloadMalformed,
    PayloadTruncated,
    Point,
)

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
LONGEST_VARINT = 5
"""Bytes; a number in a column has at most 32 bits, which the caller checks."""
FIELDS = ("x", "y", "timestamp")

_COLOR = re.compile("#[0-9a-fA-F]{6}")
_NUMBER_BYTES = 9  # a mark and 64 bits
_MARK = b"\xcb"
_encode = msgspec.msgpack.Encoder().encode

Values = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


class _Layout:
    """Where the numbers of one point are, and the mark that stands before each."""

    def __init__(self, *, pressed: bool) -> None:
        self.names = (*FIELDS, "pressure") if pressed else FIELDS
        self.marks, at = [], 1
        for name in (*FIELDS, "pressure"):
            at += 1 + len(name)
            self.marks.append(at)
            at += _NUMBER_BYTES
        if not pressed:  # then nil stands there, one byte
            del self.marks[-1]
            at -= _NUMBER_BYTES - 1
        self.size = at
        self.type = np.dtype(
            {
                "names": self.names,
                "formats": [">f8"] * len(self.names),
                "offsets": [mark + 1 for mark in self.marks],
                "itemsize": at,
            }
        )

    def read(self, written: bytes, many: int) -> NDArray[np.void] | None:
        """Return the points in a list of `many`, (points,); None if that has another layout."""
        head = 1 if many < 16 else 3 if many < 65_536 else 5
        if len(written) != head + many * self.size:
            return None
        marks = _MARK * many
        if all(written[head + at :: self.size] == marks for at in self.marks):
            return np.frombuffer(written, self.type, many, head)
        return None


_PLAIN, _PRESSED = _Layout(pressed=False), _Layout(pressed=True)


def fill(columns: Values, points: Sequence[Point]) -> tuple[Values | None, bool]:
    """Write x, y and timestamp of `points` into `columns`, (3, points).

    Returns their pressure, (points,), None if no point has one, and whether some points lack it;
    those have 0.
    """
    many = len(points)
    written = _encode(points)
    found = _PLAIN.read(written, many)
    if found is None and (found := _PRESSED.read(written, many)) is None:
        return _fill_slowly(columns, points)
    for column, name in zip(columns, FIELDS, strict=True):
        column[:] = found[name]
    pressed = found["pressure"].astype(np.float64) if found.dtype is _PRESSED.type else None
    return pressed, False


def _fill_slowly(columns: Values, points: Sequence[Point]) -> tuple[Values | None, bool]:
    """Fill one by one: pressure comes and goes, or numbers are whole, as only we make them."""
    for column, name in zip(columns, FIELDS, strict=True):
        column[:] = [getattr(point, name) for point in points]
    levels = [point.pressure for point in points]
    absent = levels.count(None)
    if absent == len(levels):
        return None, False
    return np.array([level or 0.0 for level in levels], np.float64), absent > 0


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
    """Return the payloads of drawings whose points stand after each other in `columns`.

    Those are x and y in 1/4 px (at most LARGEST_STEP), t in ms by the client's clock, (3, points).

    Raises: PayloadMalformed (a value that the format cannot hold).
    """
    starts = [0, *itertools.accumulate([sum(frame.counts) for frame in frames])]
    points = starts.pop()
    t0s = columns[2].take(starts).tolist()
    ends = [*starts[1:], points]
    ends += [end + points for end in ends] + [end + 2 * points for end in ends]
    written = write_varints(_numbers(columns, starts).ravel(), ends)
    many = len(frames)
    return [
        b"".join((_head(frame, t0_ms), *written[number::many], frame.pressure))
        for number, (frame, t0_ms) in enumerate(zip(frames, t0s, strict=True))
    ]


def _head(frame: Frame, t0_ms: int) -> bytearray:
    """Write everything that stands before the columns."""
    marks = PRESSURE * bool(frame.pressure) | STYLES * bool(frame.styles)
    head = bytearray((VERSION, marks, DEVICES.index(frame.device)))
    width = _steps(frame.width, STEPS_PER_PX, "width")
    height = _steps(frame.height, STEPS_PER_PX, "height")
    rest = itertools.chain(frame.counts, *frame.styles)
    for number in (width, height, t0_ms, len(frame.counts), *rest):
        append_varint(head, number)
    return head


def _numbers(columns: Ints, starts: Sequence[int]) -> Ints:
    """Return the differences to write, which begin anew with each drawing."""
    numbers = np.empty_like(columns)
    np.subtract(columns[:, 1:], columns[:, :-1], out=numbers[:, 1:])
    for start in starts:
        numbers[:2, start] = columns[:2, start]
        numbers[2, start] = 0
    moves = numbers[:2]
    np.bitwise_xor(moves << 1, moves >> 63, out=moves)
    return numbers


def pressures(levels: NDArray[np.floating], points: int) -> bytes:
    """Return the column of pressures, which are in [0, 1].

    Raises: PayloadMalformed (some are not, or there is not one a point).
    """
    if len(levels) != points or not (levels.min() >= 0 and levels.max() <= 1):
        raise PayloadMalformed(reason="pressure outside 0 to 1, or not one a point")
    # Checked first: what is above all float32 would be infinite in it.
    column = (levels.astype(np.float32) * 255 + 0.5).astype(np.uint8)
    column[1:] -= column[:-1].copy()
    return column.tobytes()


def styles(colors: Sequence[str], widths: Sequence[float], strokes: int) -> list[tuple[int, int]]:
    """Return colour and width of each stroke as numbers, or nothing when all are the default.

    Raises: PayloadMalformed.
    """
    if not len(colors) == len(widths) == strokes:
        raise PayloadMalformed(reason="not one style a stroke")
    if set(colors) == {DEFAULT_COLOR} and set(widths) == {DEFAULT_WIDTH_PX}:
        return []
    found = []
    for color, width in zip(colors, widths, strict=True):
        if not _COLOR.fullmatch(color):
            raise PayloadMalformed(reason=f"colour {color!r} is not #rrggbb")
        found.append((int(color[1:], 16), _steps(width, WIDTH_STEPS_PER_PX, "stroke width")))
    return found if any(style != DEFAULT_STYLE for style in found) else []


def _steps(value: float, per_px: int, what: str) -> int:
    """Return the length in steps: at least one, so that nothing vanishes by rounding."""
    if not 0 < value <= LARGEST_STEP / per_px:
        raise PayloadMalformed(reason=f"{what} {value}")
    return max(1, int(value * per_px + 0.5))


def append_varint(head: bytearray, number: int) -> None:
    """Write one number of any size behind `head`."""
    while number > 127:
        head.append(number & 127 | 128)
        number >>= 7
    head.append(number)


def write_varints(values: Ints, ends: Sequence[int]) -> list[bytes]:
    """Return each run of numbers as varints; `ends` are the places behind the runs, rising.

    Raises: PayloadMalformed (some number is negative, or 2^32 or more).
    """
    bits = int(values.view(np.uint64).max()).bit_length()  # a negative number is beyond all
    if bits > 32:
        raise PayloadMalformed(reason="time runs backwards, or stands still for seven weeks")
    if bits <= 7:
        body, at = values.astype(np.uint8).tobytes(), ends
    else:
        body, at = _spread(values, (bits + 6) // 7, ends)
    return [body[start:end] for start, end in itertools.pairwise((0, *at))]


def _spread(values: Ints, longest: int, ends: Sequence[int]) -> tuple[bytes, Sequence[int]]:
    """Return the bytes of numbers of up to `longest` each, and where those end that end at `ends`.

    Each number is laid out in a word: what is above 7 bits moves up by one, 7 bits at a time, and
    each byte that is followed is marked.
    """
    size = 1 << (longest - 1).bit_length()
    written = np.zeros((len(values), size), np.bool_)
    written[:, 0] = True
    words, at = values, list(ends)
    for index in range(1, longest):
        follows = values > (1 << 7 * index) - 1
        words = words + (words & -(1 << 8 * index - 1)) + follows * (128 << 8 * (index - 1))
        written[:, index] = follows
        more = follows.nonzero()[0].searchsorted(ends).tolist()
        at = [end + before for end, before in zip(at, more, strict=True)]
    body = words.astype(f"<u{size}").view(np.uint8)[written.ravel()]
    return body.tobytes(), at


def read_varints(body: Bytes) -> Ints:
    """Return the numbers in `body`.

    Raises: PayloadTruncated, PayloadMalformed (padded, or longer than 5 bytes).
    """
    values = body.astype(np.int64)
    goes_on = body >= 128
    at = goes_on.nonzero()[0]
    if not len(at):
        return values
    if goes_on[-1]:
        raise PayloadTruncated(part="columns")
    if not body[at + 1].all():
        raise PayloadMalformed(reason="a padded number")
    values[at] -= 128
    # Only the first byte of each long number is kept, and gathers the bytes after it. For byte 0
    # the look back wraps around to the last byte, which never goes on.
    first = at[~goes_on[at - 1]]
    for index in range(1, LONGEST_VARINT):
        values[first] += values[first + index] << 7 * index
        first = first[goes_on[first + index]]
        if not len(first):
            break
    keep = np.ones(len(body), np.bool_)
    keep[at + 1] = False
    if len(first):
        raise PayloadMalformed(reason="a number longer than 5 bytes")
    return values[keep]


def sum_columns(bodies: Sequence[bytes], points: Sequence[int]) -> list[list[int]] | None:
    """Return the sums of the three columns of each body, which have `points` numbers each.

    None if some body is something else, or some last column does not start with 0: the exact fault
    is for `read_varints` to tell.
    """
    body = np.frombuffer(b"".join(bodies), np.uint8)
    stops = (body < 128).nonzero()[0]
    lasts = np.array(points).repeat(3).cumsum() - 1
    if len(stops) != lasts[-1] + 1:
        return None
    starts = np.empty(len(lasts) + 1, np.int64)
    starts[0], starts[1:] = 0, stops[lasts] + 1
    size = 0
    for one, start in zip(bodies, starts[3::3].tolist(), strict=True):
        size += len(one)
        if start != size:
            return None
    values = _weighed(body) if len(stops) < len(body) else body
    if values is None or body[starts[2::3]].any():
        return None
    found: list[list[int]] = (
        np.add.reduceat(values, starts[:-1], dtype=np.int64).reshape(-1, 3).tolist()
    )
    return found


def _weighed(body: Bytes) -> Ints | None:
    """Return what each byte adds to its number; None if one is padded or longer than 5 bytes."""
    values = body.astype(np.int64)
    at = (body > 127).nonzero()[0]
    values[at] -= 128
    after = at + 1
    if not body[after].all():
        return None
    for _ in range(1, LONGEST_VARINT):
        values[after] <<= 7
        after = after[body[after] > 127] + 1
        if not len(after):
            return values
    return None
