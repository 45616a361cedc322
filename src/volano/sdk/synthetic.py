"""Drawings nobody drew, yet with a hand's habits: for trying things out, never for measuring.

Every drawer has a hand of its own: where it starts, how it leans, how much it shakes, how fast it
goes. Source: Flash and Hogan, "The coordination of arm movements", J. Neuroscience 5 (1985): a hand
starts and stops smoothly between corners.
"""

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from volano.schemas.drawings import Canvas, ImportedDrawing, NewDrawing, Point, Stroke
from volano.schemas.errors import Invalid

Place = tuple[float, float]

SIDE_PX = 400
_CORNER = math.radians(40)  # a sharper turn makes the hand stop
_EPOCH_MS = 1_700_000_000_000


class UnknownOutline(Invalid):
    """Nobody here can draw {shape!r}."""

    remedy = "Ask for one of: {known}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """How one drawer draws."""

    name: str
    lean: float
    """Rotation in radians."""
    size: float
    """Share of the canvas."""
    shake_px: float
    px_per_ms: float
    wait_ms: float
    """Usual time between two points."""


def drawings(
    shapes: Sequence[str], per_shape: int, seed: int, drawers: int = 10
) -> Iterator[ImportedDrawing]:
    """Yield `per_shape` drawings of each of some `SHAPES`, by `drawers` hands in turn.

    The same seed gives the same drawings; the contributor says whose hand it is.
    Raises: UnknownOutline.
    """
    for shape in shapes:
        if shape not in OUTLINES:
            raise UnknownOutline(shape=shape, known=", ".join(OUTLINES))
    hands = [_hand(f"synthetic-{index:02}", Random(f"{seed} {index}")) for index in range(drawers)]
    for number in range(per_shape):
        for shape in shapes:
            hand = hands[number % drawers]
            drawing = _drawing(shape, hand, Random(f"{seed} {shape} {number}"))
            yield ImportedDrawing(contributor=hand.name, drawing=drawing)


def _line(rng: Random) -> list[Place]:
    del rng
    return [(-1, 0), (1, 0)]


def _circle(rng: Random) -> list[Place]:
    start, way, over = rng.uniform(0, math.tau), rng.choice((-1, 1)), rng.uniform(-0.15, 0.2)
    angles = [start + way * (math.tau + over) * i / 48 for i in range(49)]
    squeeze = rng.uniform(0.85, 1.15)
    return [(math.cos(a), squeeze * math.sin(a)) for a in angles]


def _heart(rng: Random) -> list[Place]:
    way, depth = rng.choice((-1, 1)), rng.uniform(11, 14)
    turns = [way * math.tau * i / 60 for i in range(61)]
    return [
        (
            math.sin(t) ** 3,
            -(depth * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
            / 16,
        )
        for t in turns
    ]


def _polygon(corners: int) -> Callable[[Random], list[Place]]:
    def outline(rng: Random) -> list[Place]:
        way, first = rng.choice((-1, 1)), rng.randrange(corners)
        up = math.pi / corners - math.pi / 2 if corners % 2 == 0 else -math.pi / 2
        angles = [up + way * math.tau * (first + i) / corners for i in range(corners)]
        loose = [
            (math.cos(a) + rng.gauss(0, 0.06), math.sin(a) + rng.gauss(0, 0.06)) for a in angles
        ]
        x, y = loose[0]
        return [*loose, (x + rng.gauss(0, 0.04), y + rng.gauss(0, 0.04))]

    return outline


OUTLINES: dict[str, Callable[[Random], list[Place]]] = {
    "line": _line,
    "circle": _circle,
    "heart": _heart,
    "square": _polygon(4),
    "triangle": _polygon(3),
}
"""How a shape looks: corners and curve points, about from -1 to 1."""

SHAPES = tuple(OUTLINES)


def _hand(name: str, rng: Random) -> Hand:
    return Hand(
        name=name,
        lean=rng.gauss(0, 0.08),
        size=rng.uniform(0.5, 0.8),
        shake_px=rng.uniform(0.3, 1.0),
        px_per_ms=rng.uniform(0.25, 0.7),
        wait_ms=rng.uniform(8, 17),
    )


def _drawing(shape: str, hand: Hand, rng: Random) -> NewDrawing:
    corners = _placed(OUTLINES[shape](rng), hand, rng, spin=shape == "line")
    walk = [place for part in _parts(corners) for place in _walked(part, hand, rng)]
    points = _timed(_shaken(walk, hand, rng), hand, rng)
    return NewDrawing(
        id=str(_uuid7(rng)),
        shape=shape,
        canvas=Canvas(width=SIDE_PX, height=SIDE_PX),
        strokes=[Stroke(points=points)],
        duration_ms=points[-1].timestamp - points[0].timestamp,
        device="synthetic",
    )


def _placed(outline: list[Place], hand: Hand, rng: Random, *, spin: bool) -> list[Place]:
    """Return the outline on the canvas, px: a line at any angle, all else nearly upright."""
    angle = rng.uniform(0, math.tau) if spin else hand.lean + rng.gauss(0, 0.06)
    reach = SIDE_PX / 2 * hand.size * rng.uniform(0.85, 1.1)
    across, down = (SIDE_PX / 2 + rng.gauss(0, SIDE_PX / 40) for _ in range(2))
    cos, sin = reach * math.cos(angle), reach * math.sin(angle)
    return [(across + cos * x - sin * y, down + sin * x + cos * y) for x, y in outline]


def _parts(corners: list[Place]) -> Iterator[list[Place]]:
    """Cut the outline where the hand stops."""
    part = corners[:2]
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        turn = _heading(here, after) - _heading(before, here)
        if abs(math.remainder(turn, math.tau)) > _CORNER:
            yield part
            part = [here]
        part.append(after)
    yield part


def _walked(part: list[Place], hand: Hand, rng: Random) -> Iterator[Place]:
    """Return places along one part at equal times: slow at its ends, fast between."""
    lengths = [math.dist(a, b) for a, b in pairwise(part)]
    steps = max(5, round(sum(lengths) / (hand.px_per_ms * hand.wait_ms) * rng.uniform(0.8, 1.3)))
    for step in range(steps):
        u = step / (steps - 1)
        left = sum(lengths) * u**3 * (10 - 15 * u + 6 * u * u)  # minimum jerk
        at = 0
        while at < len(lengths) - 1 and left > lengths[at]:
            left -= lengths[at]
            at += 1
        share = left / lengths[at]
        (x, y), (next_x, next_y) = part[at], part[at + 1]
        yield x + share * (next_x - x), y + share * (next_y - y)


def _shaken(walk: list[Place], hand: Hand, rng: Random) -> list[Place]:
    """Add a slow wobble of a few pixels, and the quick tremor of the hand."""
    shaken, drift_x, drift_y = [], 0.0, 0.0
    for x, y in walk:
        drift_x = 0.9 * drift_x + rng.gauss(0, hand.shake_px)
        drift_y = 0.9 * drift_y + rng.gauss(0, hand.shake_px)
        shaken.append((x + drift_x, y + drift_y))
    return shaken


def _timed(walk: list[Place], hand: Hand, rng: Random) -> list[Point]:
    points, now = [], float(_EPOCH_MS)
    for x, y in walk:
        points.append(Point(x=round(x, 2), y=round(y, 2), timestamp=round(now)))
        late = rng.uniform(1, 4) if rng.random() < 0.08 else 1.0
        now += max(1.0, rng.gauss(1, 0.25) * hand.wait_ms * late)
    return points


def _heading(start: Place, end: Place) -> float:
    return math.atan2(end[1] - start[1], end[0] - start[0])


def _uuid7(rng: Random) -> uuid.UUID:
    value = rng.getrandbits(128)
    value = value & ~(0xFFFF_FFFF_FFFF << 80) | _EPOCH_MS << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
