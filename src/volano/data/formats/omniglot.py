"""Timed drawings from a zip archive laid out as Omniglot's strokes; light, so the CLI reads it too.

    strokes_background_small1/<Alphabet>/character<NN>/<number>_<drawer>.txt

The folders before the alphabet are of no account. Every member is START, then lines `x,y,t` (px on
a canvas of 105 x 105, y negative downwards, ms) with BREAK after each stroke.
Source: Lake et al., "Human-level concept learning", Science 2015.
"""

import hashlib
import math
import re
import stat
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from volano.schemas.drawings import ArchiveUnreadable, Canvas, NewDrawing, Point, Stroke

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

_BROKEN_ZIP = (zipfile.BadZipFile, NotImplementedError, OSError)
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a zip archive may cost before it counts as a bomb."""

    members: int = 100_000
    member_bytes: int = 1 << 20
    total_bytes: int = 1 << 30
    ratio: float = 200
    """Unpacked size over packed size of one member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One drawing of the archive."""

    locator: str
    """Path inside the archive."""
    shape: str
    """Alphabet and character, such as greek-character03."""
    drawer: str
    """Alphabet and drawer, such as greek-07: Omniglot numbers its drawers by alphabet."""
    drawing: NewDrawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """One member that became no drawing, and why."""

    locator: str
    reason: str
    foreign: bool = False
    """Another file than a drawing (a README, what a file manager keeps): nothing is missing."""


_DEFAULT_CAPS = Caps()


def read(archive: BinaryIO, source: str, caps: Caps = _DEFAULT_CAPS) -> Iterator[Found | Skipped]:
    """Yield every drawing of a zip archive, one at a time, in the order of the archive.

    Report everything else but folders as Skipped. `source` names the archive: with it each drawing
    has the same id every time it is read. Memory: the archive's directory and one member.

    Raises: ArchiveUnreadable (not a zip archive, above the caps as a whole, or no drawing in it).
    """
    with _open(archive) as opened:
        files = [file for file in opened.infolist() if not file.filename.endswith("/")]
        members = [(file, _layout(file)) for file in files]
        _check_caps(members, caps)
        if not any(name for _, name in members):
            raise ArchiveUnreadable(reason=f"none of its {len(files)} files is {_LAYOUT}")
        for member, name in members:
            if name:
                yield _read_member(opened, member, name, source, caps)
            else:
                yield Skipped(locator=member.filename, reason=f"not {_LAYOUT}", foreign=True)


def count(archive: BinaryIO) -> int:
    """Return how many members `read` takes for drawings, from the archive's directory alone.

    Raises: ArchiveUnreadable (not a zip archive).
    """
    with _open(archive) as opened:
        return sum(_layout(member) is not None for member in opened.infolist())


def drawing_id(source: str, locator: str) -> str:
    """Return the id of the drawing at `locator`: the same for ever, and no other's.

    Source: RFC 9562, section 5.8 (version 8), over a BLAKE2b digest.
    """
    digest = hashlib.blake2b(f"{source}\0{locator}".encode(), digest_size=16).digest()
    value = int.from_bytes(digest, "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


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


def _open(archive: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except _BROKEN_ZIP as error:
        raise ArchiveUnreadable(reason=str(error)) from None


def _layout(member: zipfile.ZipInfo) -> re.Match[str] | None:
    """Return the parts of a drawing's name, None for every other member."""
    hidden = any(part.startswith(".") and part.strip(".") for part in member.filename.split("/"))
    if hidden or member.filename.startswith("__MACOSX/"):
        return None
    return _MEMBER.fullmatch(member.filename)


def _check_caps(members: list[tuple[zipfile.ZipInfo, re.Match[str] | None]], caps: Caps) -> None:
    if len(members) > caps.members:
        raise ArchiveUnreadable(reason=f"{len(members)} members, more than {caps.members}")
    total = sum(member.file_size for member, name in members if name)
    if total > caps.total_bytes:
        raise ArchiveUnreadable(reason=f"unpacks to {total} bytes, more than {caps.total_bytes}")


def _read_member(
    opened: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    name: re.Match[str],
    source: str,
    caps: Caps,
) -> Found | Skipped:
    locator = member.filename
    if reason := _refusal(member, caps):
        return Skipped(locator=locator, reason=reason)
    try:
        with opened.open(member) as unpacked:
            strokes = parse(_text(unpacked.read(caps.member_bytes + 1), caps))
    except (ValueError, EOFError, zlib.error, *_BROKEN_ZIP) as error:
        return Skipped(locator=locator, reason=str(error) or type(error).__name__)
    alphabet = _name_of(name["alphabet"])
    shape = f"{alphabet}-{name['character']}"
    return Found(
        locator=locator,
        shape=shape,
        drawer=f"{alphabet}-{name['drawer']}",
        drawing=NewDrawing(
            id=drawing_id(source, locator),
            shape=shape,
            canvas=_CANVAS,
            strokes=strokes,
            device="import",
        ),
    )


def _refusal(member: zipfile.ZipInfo, caps: Caps) -> str:
    """Return why a member is not even opened; an empty text when it is."""
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the packer did not know of kinds
    if kind not in (0, stat.S_IFREG):
        return "not a regular file"
    if member.flag_bits & 1 or member.compress_type not in _PACKINGS:
        return "encrypted, or packed in an unusual way"
    if member.file_size > caps.member_bytes:
        return f"{member.file_size} bytes, more than {caps.member_bytes}"
    if member.file_size > caps.ratio * max(member.compress_size, 1):
        return f"packed more than {caps.ratio:g} times"
    return ""


def _text(content: bytes, caps: Caps) -> str:
    # The directory of an archive may lie about sizes.
    if len(content) > caps.member_bytes:
        raise ValueError(f"more than {caps.member_bytes} bytes")
    return content.decode("ascii")


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
