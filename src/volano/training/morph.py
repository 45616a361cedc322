"""Drawings between two hands: part of the way from one drawing to another of the same class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volano.training.augment import Counts, Floats, begins, unit

FARTHEST = 0.2
"""Largest distance, in shares of the larger side, between drawings that are of one build."""
AWAY = 0.4
"""How far a drawing may move away from the other, as a share of how far it may move to it."""

Numbers = NDArray[np.int64]


class Kin:
    """Which drawings are of the same class."""

    def __init__(self, truth: Numbers) -> None:
        self._truth = truth
        self._rows = np.argsort(truth, kind="stable")
        self._number = np.bincount(truth)
        self._first = self._number.cumsum() - self._number

    def some(self, rng: np.random.Generator, rows: Numbers) -> Numbers:
        """For each row one of its class, at times itself."""
        classes = self._truth[rows]
        number = (rng.random(len(rows)) * self._number[classes]).astype(np.int64)
        chosen: Numbers = self._rows[self._first[classes] + number]
        return chosen


def between(
    rng: np.random.Generator,
    one: tuple[Floats, Counts],
    other: tuple[Floats, Counts],
    most: float,
) -> Floats:
    """`one`'s drawings (B, N, 4) at unit scale, each moved by up to `most` of its way to `other`.

    Strokes go to strokes in the order in which they were drawn, from whichever end is nearer.
    Drawings of another number of strokes, or farther apart than FARTHEST, stay as they are.
    """
    drawings, strokes = _strokes(*one)
    others, their_strokes = _strokes(*other)
    shares = strokes.shares()
    ahead, back = (their_strokes.at(others, strokes.stroke, s) for s in (shares, 1 - shares))
    ends = drawings.reshape(ahead.shape)
    far_ahead, far_back = (((way - ends) ** 2).sum((2, 3)) * strokes.there for way in (ahead, back))
    nearer_back = strokes.sums(far_back - far_ahead) < 0
    way = np.where(nearer_back[..., None, None], back, ahead) - ends
    apart = (np.where(nearer_back, far_back, far_ahead).sum(axis=1) / one[1] / 2) ** 0.5
    alike = (strokes.count == their_strokes.count) & (apart < FARTHEST)
    share = rng.uniform(-AWAY * most, most, len(ends)) * alike
    moved = (ends + share[:, None, None, None] * way).reshape(drawings.shape)
    found: Floats = (moved * strokes.there[..., None]).astype(np.float32)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strokes:
    """Where the strokes of drawings lie among their segments."""

    there: NDArray[np.bool_]
    """(B, N) is false for padding."""
    stroke: Numbers
    """(B, N), the number of a segment's stroke."""
    first: Numbers
    """(B, N), the first segment of stroke n."""
    length: Numbers
    """(B, N), the segments of stroke n; zeros beyond the last stroke."""
    count: Numbers
    """(B,), strokes."""

    def shares(self) -> NDArray[np.float64]:
        """Where in its stroke each segment begins and ends (B, N, 2), 0 to 1."""
        first, length = (np.take_along_axis(t, self.stroke, 1) for t in (self.first, self.length))
        number = np.arange(self.stroke.shape[1]) - first
        return np.stack([number, number + 1], axis=2) / np.maximum(length, 1)[..., None]

    def at(self, drawings: Floats, stroke: Numbers, shares: NDArray[np.float64]) -> Floats:
        """Points (B, N, 2, 2) of these drawings at `shares` of the given strokes."""
        first, length = (
            np.take_along_axis(t, stroke, 1)[..., None] for t in (self.first, self.length)
        )
        place = np.clip(shares, 0, 1) * length
        segment = np.clip(place.astype(np.int64), 0, np.maximum(length - 1, 0))
        inside = (place - segment)[..., None]
        rows = np.arange(len(drawings))[:, None, None]
        lines = drawings[rows, first + segment]
        points: Floats = lines[..., :2] * (1 - inside) + lines[..., 2:] * inside
        return points

    def sums(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """For each segment (B, N) the sum of the values of its stroke."""
        total = np.zeros(values.shape)
        np.add.at(total, (np.arange(len(values))[:, None], self.stroke), values)
        return np.take_along_axis(total, self.stroke, 1)


def _strokes(segments: Floats, count: Counts) -> tuple[Floats, _Strokes]:
    """Drawings at unit scale, and their strokes."""
    there = np.arange(segments.shape[1]) < count[:, None]
    starts = begins(segments) & there
    stroke = np.maximum(starts.cumsum(axis=1) - 1, 0)
    first, length = np.zeros((2, *stroke.shape), np.int64)
    rows, columns = starts.nonzero()
    first[rows, stroke[rows, columns]] = columns
    np.add.at(length, (np.arange(len(stroke))[:, None], stroke), there)
    strokes = _Strokes(
        there=there, stroke=stroke, first=first, length=length, count=starts.sum(axis=1)
    )
    return unit(segments, there), strokes
