"""Strokes as a picture of braille characters: eight dots to a cell. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

Line = Sequence[tuple[float, float]]
"""The positions of one stroke, in px."""

_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of the dot in each column and row of a cell (Unicode block U+2800)."""


def picture(lines: Sequence[Line], wide: int = 36, tall: int = 18) -> str:
    """Draw the strokes as large as `wide` x `tall` cells allow, with their proportions."""
    points = [point for line in lines for point in line]
    if not points:
        return ""
    left, top = min(x for x, _ in points), min(y for _, y in points)
    across, down = max(x for x, _ in points) - left, max(y for _, y in points) - top
    # Dots are as far apart in both directions, so one scale keeps the proportions.
    scale = min((2 * wide - 1) / (across or 1e-9), (4 * tall - 1) / (down or 1e-9), 16.0)
    cells = [bytearray(round(across * scale) // 2 + 1) for _ in range(round(down * scale) // 4 + 1)]
    for line in lines:
        for x, y in _walk([((x - left) * scale, (y - top) * scale) for x, y in line]):
            cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    return "\n".join("".join(chr(0x2800 + cell) for cell in row) for row in cells)


def _walk(line: Line) -> Iterator[tuple[int, int]]:
    """Yield every dot that a stroke touches."""
    here = line[0]
    yield round(here[0]), round(here[1])
    for there in line[1:]:
        steps = int(max(abs(there[0] - here[0]), abs(there[1] - here[1]))) + 1
        for n in range(1, steps + 1):
            along = n / steps
            x = here[0] + (there[0] - here[0]) * along
            y = here[1] + (there[1] - here[1]) * along
            yield round(x), round(y)
        here = there
