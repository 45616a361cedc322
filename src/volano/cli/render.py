"""Values as text for people: tables, cards, trees, bars, sparklines, times. Pure."""

import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress, pairwise, zip_longest
from typing import Final, TypeVar

T = TypeVar("T")

Show = Callable[[T], object]
"""What a row shows in one column."""

Columns = Mapping[str, Show[T]]
"""Header -> what a row shows there."""

GAP: Final = "  "
_NARROWEST: Final = 8
_NOTHING: Final[tuple[object, ...]] = (None, "", [], ())
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_COLOUR: Final = re.compile("\x1b\\[[0-9]+m")
_CODES: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Inked(str):
    """Text with our own colours in it; in any other text control characters are shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours text, or leaves it as it is where colour is not wanted."""

    on: bool = False

    def __call__(self, style: str, text: str) -> str:
        return Inked(f"\x1b[{_CODES[style]}m{text}\x1b[0m") if self.on and text else text


@dataclass(frozen=True, slots=True)
class Look:
    """How text is laid out: in colour, how wide (None: as wide as it gets), times as seen from."""

    ink: Ink = Ink()
    width: int | None = None
    now: datetime | None = None
    """With it times read `3 min ago`, without it as ISO 8601."""


def table(rows: Iterable[T], columns: Columns[T], look: Look) -> str:
    """Draw rows under dim headers, numbers to the right; cut the longest texts to the width.

    On a terminal, leave out columns in which no row has anything; where a row is still too long
    for a line, draw each as a card.
    """
    values = [[show(row) for show in columns.values()] for row in rows]
    heads = list(columns)
    if look.width and values:
        used = [
            any(value not in _NOTHING for value in column) for column in zip(*values, strict=True)
        ]
        heads = list(compress(heads, used))
        values = [list(compress(row, used)) for row in values]
    cells = [[cell(value, look) for value in row] for row in values]
    widths = _widths([heads, *cells], look.width)
    if look.width and len(GAP.join(" " * wide for wide in widths)) > look.width:
        return "\n\n".join(card(dict(zip(heads, row, strict=True)), look) for row in values)
    right = [_numbers(column) for column in zip(*values, strict=True)]
    lines = [_line(heads, widths, right, look.ink, style="dim")]
    lines += [_line(row, widths, right, look.ink) for row in cells]
    return "\n".join(lines)


def card(facts: Mapping[str, object], look: Look) -> str:
    """Draw one thing as aligned `name  value` lines; leave out what is None."""
    given = {visible(name): value for name, value in facts.items() if value is not None}
    wide = max((width(name) for name in given), default=0)
    lines = []
    for name, value in given.items():
        first, *more = _folded(cell(value, look), look.width and look.width - wide - len(GAP))
        lines.append(look.ink("dim", pad(name, wide)) + GAP + first)
        lines += [" " * wide + GAP + line for line in more]
    return "\n".join(lines)


def _folded(text: str, most: int | None) -> list[str]:
    """Return a text as lines between words; what has our colours or no room is one line."""
    if not most or isinstance(text, Inked) or width(text) <= most:
        return [text]
    most = max(most, _NARROWEST)
    lines = textwrap.wrap(text, most, break_long_words=False, break_on_hyphens=False)
    return lines or [text]


def cell(value: object, look: Look) -> str:
    """Return one value as a table shows it."""
    match value:
        case Inked():
            return value
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return figure(value)
        case datetime():
            return since(value, look.now) if look.now else value.isoformat(timespec="seconds")
        case dict():
            return (
                ", ".join(f"{visible(str(k))}={_short(v, look)}" for k, v in value.items()) or "–"
            )
        case list() | tuple():
            return ", ".join(cell(v, look) for v in value) or "–"
    return visible(str(value))


def _short(value: object, look: Look) -> str:
    return f"{value:g}" if isinstance(value, float) else cell(value, look)


@dataclass(frozen=True, slots=True)
class Node:
    """One line of a tree with what hangs below it; the detail is shown where there is room."""

    text: str
    below: list["Node"] = field(default_factory=list)
    detail: str = ""


def tree(node: Node, look: Look) -> str:
    """Draw a tree with its branches."""
    return "\n".join([_leaf(node, "", look), *_branches(node.below, "", look)])


def _branches(nodes: Sequence[Node], indent: str, look: Look) -> Iterable[str]:
    for n, node in enumerate(nodes, 1):
        last = n == len(nodes)
        yield _leaf(node, indent + ("└─ " if last else "├─ "), look)
        yield from _branches(node.below, indent + ("   " if last else "│  "), look)


def _leaf(node: Node, branch: str, look: Look) -> str:
    line = look.ink("dim", branch) + node.text
    if not node.detail:
        return line
    longer = line + GAP + node.detail
    return line if look.width and width(_COLOUR.sub("", longer)) > look.width else longer


def sparkline(values: Sequence[float], wide: int = 30) -> str:
    """Draw a row of at most `wide` blocks as high as the values, the latest to the right.

    More values than that are averaged in equal runs, so that the whole course stays visible; a run
    without a finite number is a cross.
    """
    n = min(wide, len(values))
    edges = [i * len(values) // n for i in range(n + 1)] if n else []
    means = [_mean(values[a:b]) for a, b in pairwise(edges)]
    finite = [mean for mean in means if not math.isnan(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    # Halved, since the difference of two large floats may be infinite.
    height = (high / 2 - low / 2) or 1.0
    top = len(_SPARKS) - 1
    return "".join(
        "×" if math.isnan(mean) else _SPARKS[round((mean / 2 - low / 2) / height * top)]
        for mean in means
    )


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(value / len(finite) for value in finite) if finite else math.nan


def bar(fraction: float, wide: int = 20) -> str:
    """Draw a bar `fraction` of `wide` cells long, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * wide * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def figure(number: float) -> str:
    """Return a number to four places, without an exponent where people read it."""
    if not math.isfinite(number):
        return str(number)
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.4f}" if 0.0001 <= abs(number) < 10 else f"{number:.4g}"


def span(seconds: float) -> str:
    """Return a stretch of time in words: `45 s`, `3 min 20 s`, `2 h 5 min`, `4 d`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if not minutes:
        return f"{whole} s"
    if not hours:
        return f"{minutes} min {whole} s" if whole else f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes_left} min" if minutes_left else f"{hours} h"
    return f"{hours // 24} d"


def since(then: datetime, now: datetime) -> str:
    """Return a moment as seen from another: `just now`, `3 min ago`, `in 2 d`."""
    seconds = (now - then).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    largest = span(abs(seconds)).split(" ")
    text = " ".join(largest[:2])
    return f"{text} ago" if seconds > 0 else f"in {text}"


def size(count: float) -> str:
    """Return a number of bytes in words: `433 B`, `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if unit == "B" and count < 999.5:
            return f"{count:.0f} B"
        if unit != "B" and count < 999.95:  # what is rounded up to 1000 belongs to the next unit
            return f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: `1 drawing`, `2,720 drawings`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def width(text: str) -> int:
    """Count the cells of a text in a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def pad(text: str, wide: int, *, right: bool = False) -> str:
    """Return the text in a field of `wide` cells."""
    space = " " * (wide - width(text))
    return space + text if right else text + space


def cut(text: str, wide: int) -> str:
    """Return the text in at most `wide` cells, with an ellipsis where something is missing."""
    if width(text) <= wide:
        return text
    kept = text[: wide - 1]
    while width(kept) > wide - 1:
        kept = kept[:-1]
    return kept + "…"


def visible(text: str) -> str:
    """Return the text on one line, with control characters shown instead of obeyed."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _numbers(column: Sequence[object]) -> bool:
    given = [value for value in column if value is not None]
    return bool(given) and all(isinstance(value, int | float) for value in given)


def _line(
    cells: Sequence[str], widths: Sequence[int], right: Sequence[bool], ink: Ink, style: str = ""
) -> str:
    fields = [
        pad(cut(text, wide), wide, right=bool(to_right))
        for text, wide, to_right in zip_longest(cells, widths, right)
    ]
    line = GAP.join(fields).rstrip()
    return ink(style, line) if style else line


def _widths(rows: Sequence[Sequence[str]], most: int | None) -> list[int]:
    widths = [max(width(text) for text in column) for column in zip(*rows, strict=True)]
    # The first column is what people copy into the next command: it is never cut.
    while most and sum(widths) + len(GAP) * (len(widths) - 1) > most and len(widths) > 1:
        widest = max(range(1, len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths
