"""Columns of whole numbers as varints: 7 bits a byte, lowest first, as short as can be."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from volano.schemas.data import PayloadMalformed, PayloadTruncated

LONGEST = 5
"""Bytes; a number in a column has at most 32 bits, which the caller checks."""

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def append(head: bytearray, number: int) -> None:
    """Write one number of any size behind `head`."""
    while number > 127:
        head.append(number & 127 | 128)
        number >>= 7
    head.append(number)


def encode(values: Ints) -> bytes:
    """The numbers (non-negative, below 2^32) after each other.

    Raises: PayloadMalformed (some number is not).
    """
    return pieces(values, [len(values)])[0]


def pieces(values: Ints, ends: Sequence[int]) -> list[bytes]:
    """What `encode` makes of each run of numbers; `ends` are the places behind them, rising.

    Raises: PayloadMalformed (some number is no such).
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
    """The bytes of numbers of up to `longest` bytes each, and where those end that end at `ends`.

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


def decode(body: Bytes) -> Ints:
    """The numbers in `body`.

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
    for index in range(1, LONGEST):
        values[first] += values[first + index] << 7 * index
        first = first[goes_on[first + index]]
        if not len(first):
            break
    keep = np.ones(len(body), np.bool_)
    keep[at + 1] = False
    if len(first):
        raise PayloadMalformed(reason="a number longer than 5 bytes")
    return values[keep]


def sums(bodies: Sequence[bytes], points: Sequence[int]) -> list[list[int]] | None:
    """Of each body, which has three columns of `points` numbers, the sum of each column.

    None if that is not what some body is, or if some last column does not start with 0: the exact
    fault is for `decode` to tell. Of all bodies together, since a call of numpy costs more than
    the few hundred numbers of one drawing.
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
    """What each byte adds to its number; None if a number is padded or longer than 5 bytes."""
    values = body.astype(np.int64)
    at = (body > 127).nonzero()[0]
    values[at] -= 128
    after = at + 1
    if not body[after].all():
        return None
    for _ in range(1, LONGEST):
        values[after] <<= 7
        after = after[body[after] > 127] + 1
        if not len(after):
            return values
    return None
