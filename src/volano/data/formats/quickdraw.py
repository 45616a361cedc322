"""Quick, Draw!: drawings as JSON lines, raw (with times) and simplified (without).

    {"word": "cat", "key_id": "5152802093400064", "countrycode": "US", "recognized": true,
     "drawing": [[[x, ...], [y, ...], [t, ...]], ...]}

Raw drawings are in px of whatever screen they were made on: they are moved to the corner of a
canvas as large as they are. Simplified ones fit 256 x 256 and say nothing of time, so all their
points have the time 0. Who drew is not told: every drawing counts as a contributor of its own.
Source: github.com/googlecreativelab/quickdraw-dataset.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from volano.data.formats.items import Found, Item, Options, Skipped, drawing_id, ending
from volano.data.formats.tree import Tree, beside, shown
from volano.schemas.drawings import Canvas, ImportedDrawing, NewDrawing, Point, Stroke
from volano.schemas.errors import VolanoError
from volano.schemas.imports import ImportUnreadable, LineMalformed

SOURCE: Final = "quickdraw"
"""Of all drawings: the same key is the same drawing, in whichever file it stands."""

_SIMPLIFIED: Final = Canvas(width=256, height=256)
_LEAST_SIDE: Final = 16.0
_MOST_SIDE: Final = 10_000.0
_LONGEST_LINE: Final = 8 << 20

Numbers = Annotated[list[float], Meta(min_length=1)]


class _Drawing(msgspec.Struct):
    word: str
    drawing: list[list[Numbers]]
    key_id: str | int = ""
    countrycode: str = ""
    recognized: bool | None = None


_decode = msgspec.json.Decoder(_Drawing).decode


def is_quickdraw(head: bytes) -> bool:
    """Return whether a file begins like one of these."""
    line = head.lstrip(b"\xef\xbb\xbf").lstrip()[:4000]
    return line.startswith(b"{") and b'"word"' in line and b'"drawing"' in line


def files_of(tree: Tree) -> list[str]:
    """Return the paths of the files of a tree that hold such drawings."""
    named = [f.path for f in tree.files if ending(f.path) in ("ndjson", "jsonl") and f.size]
    return [path for path in named if is_quickdraw(tree.head(path, 4096))]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield every drawing, line by line.

    Raises: ImportUnreadable.
    """
    paths = [options.main] if options.main else files_of(tree)
    if not paths:
        raise ImportUnreadable(name=tree.name, reason="there is no file of drawings in it")
    for path in paths:
        with tree.stream(path) as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                if line.strip():
                    yield _found(path, number, line)
    if not options.main:
        for file in tree.files:
            if file.path not in paths:
                yield beside(file.path, "it holds no such drawings")


def _found(path: str, number: int, line: bytes) -> Found:
    locator = f"{shown(path)}#{number}"
    try:
        one = _decode(line.removeprefix(b"\xef\xbb\xbf"))
        drawing = _drawing(one, locator)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        malformed = LineMalformed(line=number, name=shown(path), reason=str(error))
        return Skipped(locator=locator, error=malformed)
    except VolanoError as error:
        return Skipped(locator=locator, error=error)
    who = f"{SOURCE}.{one.key_id or drawing.id[:8]}"[:64]
    return Item(
        locator=locator,
        kind="drawing",
        label=drawing.shape,
        contributor=who,
        drawing=ImportedDrawing(contributor=who, drawing=drawing),
    )


def _drawing(one: _Drawing, locator: str) -> NewDrawing:
    """Return a line's drawing. Raises: ValueError (its columns do not fit each other)."""
    strokes = [stroke for stroke in one.drawing if stroke]
    if not strokes:
        raise ValueError("it has no strokes")
    for stroke in strokes:
        if len(stroke) not in (2, 3) or len({len(column) for column in stroke}) != 1:
            raise ValueError("a stroke is not as many x as y and t")
    timed = all(len(stroke) == 3 for stroke in strokes)
    key = str(one.key_id) or hashlib.blake2b(locator.encode(), digest_size=8).hexdigest()
    left, top, scale, canvas = _frame(strokes, timed)
    return NewDrawing(
        # The raw and the simplified form of one drawing are two drawings.
        id=drawing_id(SOURCE, key if timed else f"{key} simplified"),
        shape=shape_of(one.word),
        canvas=canvas,
        strokes=[_stroke(stroke, left, top, scale, timed) for stroke in strokes],
        device="import",
    )


def _stroke(columns: list[Numbers], left: float, top: float, scale: float, timed: bool) -> Stroke:
    xs, ys = columns[0], columns[1]
    times = columns[2] if timed else [0.0] * len(xs)
    return Stroke(
        points=[
            Point(x=(x - left) * scale, y=(y - top) * scale, timestamp=t)
            for x, y, t in zip(xs, ys, times, strict=True)
        ]
    )


def _frame(strokes: list[list[Numbers]], timed: bool) -> tuple[float, float, float, Canvas]:
    """Return the corner to move to 0, the scale, and the canvas of a drawing."""
    xs = [x for stroke in strokes for x in (min(stroke[0]), max(stroke[0]))]
    ys = [y for stroke in strokes for y in (min(stroke[1]), max(stroke[1]))]
    if not timed and min(xs + ys) >= 0 and max(xs + ys) <= _SIMPLIFIED.width:
        return 0.0, 0.0, 1.0, _SIMPLIFIED
    left, top = min(xs), min(ys)
    longest = max(max(xs) - left, max(ys) - top)
    scale = min(1.0, _MOST_SIDE / longest) if longest else 1.0
    width = max((max(xs) - left) * scale, _LEAST_SIDE)
    height = max((max(ys) - top) * scale, _LEAST_SIDE)
    return left, top, scale, Canvas(width=width, height=height)


def shape_of(word: str) -> str:
    """Return a word of Quick, Draw! as the name of a shape: `The Eiffel Tower`, `t-shirt`.

    Raises: ValueError (nothing is left of it).
    """
    name = re.sub(r"[^a-z0-9_.]+", "-", word.lower()).strip("-_.")
    if not name:
        raise ValueError(f"{word!r} is no name of a shape")
    return name[:100]
