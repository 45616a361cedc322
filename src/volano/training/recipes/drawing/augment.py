"""Augmentation: drawings as other hands might have drawn them, new ones in each epoch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Counts = NDArray[np.integer]

GRID = 3
"""Points a side of the grid that bends a drawing."""
STROKES = 12
"""Strokes that move on their own; any further ones move together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How much drawings are varied; lengths are shares of the drawing's larger side."""

    rotation: float = 0.25
    """Largest turn, radians."""
    scale: float = 0.2
    """Largest logarithm of the factor of either side."""
    shear: float = 0.2
    """Largest move to the side, for each unit of height."""
    bend: float = 0.035
    """Standard deviation of a smooth field over the drawing."""
    stroke_shift: float = 0.03
    """Standard deviation of where each stroke is put."""
    stroke_form: float = 0.1
    """Standard deviation of each number of the matrix that turns and stretches a stroke."""
    jitter: float = 0.004
    """Standard deviation of each end of each segment."""
    reversal: float = 0.3
    """Share of the strokes that are drawn from their other end."""
    stroke_order: float = 0.6
    """Standard deviation of a stroke's place in the order of strokes."""
    gaps: float = 0.03
    """Mean share of segments left out."""

    def times(self, strength: float) -> "Variation":
        """Return the same variation, so many times as strong."""
        return Variation(**{name: getattr(self, name) * strength for name in self.__slots__})


def augment(
    rng: np.random.Generator, segments: Floats, count: Counts, variation: Variation
) -> tuple[Floats, Counts]:
    """Return new drawings (B, N, 4) and their counts, at unit scale around the origin.

    `segments` (B, N, 4) in px, of which drawing b has the first `count[b]`. Place and scale are
    not varied here: the graph takes them out again.
    """
    mask = np.arange(segments.shape[1]) < count[:, None]
    segments = _with_other_strokes(rng, segments, mask, variation)
    points = _at_unit_scale(segments.reshape(len(segments), -1, 2), np.repeat(mask, 2, axis=1))
    points = points + _stroke_moves(rng, points, _membership(segments, mask), variation)
    points = points + _bends(rng, points, variation.bend)
    points = points @ _matrices(rng, len(points), variation)
    points += rng.normal(0, variation.jitter, points.shape)
    return _with_gaps(rng, points.reshape(segments.shape).astype(np.float32), mask, variation.gaps)


def _with_other_strokes(
    rng: np.random.Generator, segments: Floats, mask: NDArray[np.bool_], variation: Variation
) -> Floats:
    """Draw the same lines with strokes from their other end and in another order."""
    begins = _begins(segments) | ~mask
    here = np.broadcast_to(np.arange(segments.shape[1]), begins.shape)
    first = np.maximum.accumulate(np.where(begins, here, 0), axis=1)
    ends = np.pad(begins[:, 1:], ((0, 0), (0, 1)), constant_values=True)
    last = np.where(ends, here, here[0, -1])[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    # A chance at each segment; that of its first one decides for a stroke.
    back = np.take_along_axis(rng.random(here.shape) < variation.reversal, first, axis=1)
    place = begins.cumsum(axis=1) + np.take_along_axis(
        rng.normal(0, variation.stroke_order, here.shape), first, axis=1
    )
    source = np.where(back, first + last - here, here)
    order = np.argsort(np.where(mask, place, np.inf), axis=1, kind="stable")
    source = np.take_along_axis(source, order, axis=1)
    back = np.take_along_axis(back, order, axis=1)
    lines = np.take_along_axis(segments, source[..., None], axis=1)
    redrawn: Floats = np.where(back[..., None], lines[..., [2, 3, 0, 1]], lines)
    return redrawn


def _begins(segments: Floats) -> NDArray[np.bool_]:
    """Return which segments (B, N) start a stroke: not where the one before ended."""
    jumps = (segments[:, 1:, :2] != segments[:, :-1, 2:]).any(axis=2)
    return np.pad(jumps, ((0, 0), (1, 0)), constant_values=True)


def _at_unit_scale(points: Floats, mask: NDArray[np.bool_]) -> Floats:
    outside = ~mask[..., None]
    low = np.where(outside, np.inf, points).min(axis=1, keepdims=True)
    high = np.where(outside, -np.inf, points).max(axis=1, keepdims=True)
    side = np.maximum((high - low).max(axis=2, keepdims=True), 1e-3)
    unit: Floats = (points - (low + high) / 2) / side
    return unit


def _membership(segments: Floats, mask: NDArray[np.bool_]) -> Floats:
    """Return which end of a segment is of which stroke, 1 or 0: (B, 2 N, STROKES)."""
    stroke = np.minimum(_begins(segments).cumsum(axis=1) - 1, STROKES - 1)
    member = (stroke[..., None] == np.arange(STROKES)) & mask[..., None]
    return np.repeat(member, 2, axis=1).astype(np.float32)


def _stroke_moves(
    rng: np.random.Generator, points: Floats, member: Floats, variation: Variation
) -> Floats:
    """Return how far each point moves with its stroke, which is put a little differently."""
    shift = rng.normal(0, variation.stroke_shift, (len(points), STROKES, 2)).astype(np.float32)
    matrix = rng.normal(0, variation.stroke_form, (len(points), STROKES, 4)).astype(np.float32)
    number = np.maximum(member.sum(axis=1), 1)[..., None]
    from_middle = points - member @ (member.transpose(0, 2, 1) @ points / number)
    each = (member @ matrix).reshape(*points.shape, 2)
    moved: Floats = member @ shift + (from_middle[..., None, :] @ each)[..., 0, :]
    return moved


def _bends(rng: np.random.Generator, points: Floats, bend: float) -> Floats:
    """Return how far each point moves: random at the points of a grid, linear between them."""
    shifts = rng.normal(0, bend, (len(points), GRID * GRID, 2)).astype(np.float32)
    place = np.clip(points + 0.5, 0, 1) * (GRID - 1)
    near = np.maximum(0, 1 - abs(place[..., None] - np.arange(GRID, dtype=np.float32)))
    shares = near[..., 0, :, None] * near[..., 1, None, :]
    moved: Floats = shares.reshape(*points.shape[:2], -1) @ shifts
    return moved


def _matrices(rng: np.random.Generator, drawings: int, variation: Variation) -> Floats:
    """Return a (2, 2) matrix a drawing, for rows of points: shear, then stretch, then turn."""
    turn = rng.uniform(-variation.rotation, variation.rotation, drawings)
    stretch = np.exp(rng.uniform(-variation.scale, variation.scale, (drawings, 2)))
    shear = np.tile(np.eye(2), (drawings, 1, 1))
    shear[:, 1, 0] = rng.uniform(-variation.shear, variation.shear, drawings)
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2)
    matrices: Floats = (shear * stretch[:, None] @ rotation).astype(np.float32)
    return matrices


def _with_gaps(
    rng: np.random.Generator, segments: Floats, mask: NDArray[np.bool_], gaps: float
) -> tuple[Floats, Counts]:
    """Remove a few segments; some drawings lose many, some none, and one segment always stays."""
    share = 2 * gaps * rng.random((len(segments), 1))
    kept = mask & (rng.random(mask.shape) >= share)
    kept[:, 0] = True
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(segments, order[..., None], axis=1), kept.sum(axis=1)
