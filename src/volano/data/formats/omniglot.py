"""Timed drawings from an archive or a folder laid out as Omniglot's strokes.

    strokes_background_small1/<Alphabet>/character<NN>/<number>_<drawer>.txt

The folders before the alphabet are of no account. Every member is START, then lines `x,y,t` (px on
a canvas of 105 x 105, y negative downwards, ms) with BREAK after each stroke.
Source: Lake et al., "Human-level concept learning", Science 2015.
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator

from volano.data.formats.items import Found, Item, Options, Skipped, drawing_id
from volano.data.formats.tree import Tree, beside, shown
from volano.schemas.drawings import Canvas, ImportedDrawing, NewDrawing, Point, Stroke
from volano.schemas.errors import VolanoError
from volano.schemas.imports import FileUnreadable, ImportUnreadable

_MEMBER = re.compile(
    r"(?:[^/]*/)*(?P<alphabet>[^/]{1,61})/(?P<character>character[0-9]{1,4})"
    r"/[0-9]{1,8}_(?P<drawer>[0-9]{1,4})\.txt"
)
_LAYOUT = "<Alphabet>/characterNN/NNNN_DD.txt"
_LONGEST = 59
"""Letters of an alphabet's slug: a contributor has at most 64, with the drawer's number."""
_CANVAS = Canvas(width=105, height=105)
_WIDTH_PX = 3.0  # as in the images that Omniglot comes with

_SPELT = {
    "alphabet-of-the-magi": "Alphabet_of_the_Magi",
    "anglo-saxon-futhorc": "Anglo-Saxon_Futhorc",
    "asomtavruli-georgian": "Asomtavruli_(Georgian)",
    "aurek-besh": "Aurek-Besh",
    "blackfoot-canadian-aboriginal-syllabics": "Blackfoot_(Canadian_Aboriginal_Syllabics)",
    "burmese-myanmar": "Burmese_(Myanmar)",
    "ge-ez": "Ge_ez",
    "inuktitut-canadian-aboriginal-syllabics": "Inuktitut_(Canadian_Aboriginal_Syllabics)",
    "japanese-hiragana": "Japanese_(hiragana)",
    "japanese-katakana": "Japanese_(katakana)",
    "malay-jawi-arabic": "Malay_(Jawi_-_Arabic)",
    "mkhedruli-georgian": "Mkhedruli_(Georgian)",
    "ojibwe-canadian-aboriginal-syllabics": "Ojibwe_(Canadian_Aboriginal_Syllabics)",
    "old-church-slavonic-cyrillic": "Old_Church_Slavonic_(Cyrillic)",
    "syriac-estrangelo": "Syriac_(Estrangelo)",
    "syriac-serto": "Syriac_(Serto)",
    "ulog": "ULOG",
}
"""The slugs of those of Omniglot's fifty alphabets that are not spelt Like_This."""

_MOST_BYTES = 1 << 20


def files_of(tree: Tree) -> list[str]:
    """Return the paths of the drawings of a tree."""
    return [file.path for file in tree.files if _MEMBER.fullmatch(file.path)]


def read(tree: Tree, options: Options) -> Iterator[Found]:
    """Yield every drawing of an archive or a folder, one at a time, in its order.

    With the origin of the options each drawing has the same id every time it is read.

    Raises: ImportUnreadable (no drawing in it).
    """
    members = [(file.path, _MEMBER.fullmatch(file.path)) for file in tree.files]
    if not any(name for _, name in members):
        reason = f"none of its {len(members)} files is {_LAYOUT}"
        raise ImportUnreadable(name=tree.name, reason=reason)
    for path, name in members:
        if name is None:
            yield beside(path, f"it is not called {_LAYOUT}")
        else:
            yield _read_member(tree, path, name, options.origin)


def parse(text: str) -> list[Stroke]:
    """Return the strokes of one member, y turned to point down.

    Raises: ValueError (not in this format; the message names the line).
    """
    lines = text.splitlines()
    if not lines or lines[0] != "START":
        raise ValueError("line 1 is not START")
    strokes: list[Stroke] = []
    points: list[Point] = []
    for number, line in enumerate(lines[1:], 2):
        if line != "BREAK":
            points.append(_point(line, number))
        elif points:
            strokes.append(Stroke(points=points, width=_WIDTH_PX))
            points = []
    if points:
        strokes.append(Stroke(points=points, width=_WIDTH_PX))
    if not strokes:
        raise ValueError("there are no points")
    return strokes


def _point(line: str, number: int) -> Point:
    try:
        x, y, t = map(float, line.split(","))
    except ValueError:
        raise ValueError(f"line {number} is not x,y,t") from None
    if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(t)):
        raise ValueError(f"line {number} is not finite")
    return Point(x=x, y=-y, timestamp=t)


def _read_member(tree: Tree, path: str, name: re.Match[str], source: str) -> Found:
    try:
        strokes = parse(tree.read(path, _MOST_BYTES).decode("ascii"))
    except ValueError as error:
        unreadable = FileUnreadable(name=shown(path), reason=str(error))
        return Skipped(locator=shown(path), error=unreadable)
    except VolanoError as refused:
        return Skipped(locator=shown(path), error=refused)
    alphabet = _name_of(name["alphabet"])
    shape, drawer = f"{alphabet}-{name['character']}", f"{alphabet}-{name['drawer']}"
    drawing = NewDrawing(
        id=drawing_id(source, path),
        shape=shape,
        canvas=_CANVAS,
        strokes=strokes,
        device="import",
    )
    return Item(
        locator=shown(path),
        kind="drawing",
        label=shape,
        contributor=drawer,
        drawing=ImportedDrawing(contributor=drawer, drawing=drawing),
    )


def _name_of(alphabet: str) -> str:
    """Return the alphabet as the start of a Name, which no other alphabet has.

    A slug alone would make one of `Kana_あ` and `Kana_い`: where it does not stand for exactly one
    spelling, a digest of the alphabet follows, behind a dot, which no slug has.
    """
    alphabet = unicodedata.normalize("NFC", alphabet)  # macOS writes accents apart
    slug = re.sub(r"[^a-z0-9]+", "-", alphabet.lower()).strip("-")
    spelt = _SPELT.get(slug) or "_".join(word.capitalize() for word in slug.split("-"))
    if alphabet == spelt and len(slug) <= _LONGEST:
        return slug
    digest = hashlib.blake2b(alphabet.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{slug[:40] or 'alphabet'}.{digest}"
