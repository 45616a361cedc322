"""Timed drawings from a zip archive laid out as Omniglot's strokes; light, so the CLI reads it too.

    strokes_background_small1/<Alphabet>/character<NN>/<number>_<drawer>.txt

Every member is START, then lines `x,y,t` (px on a canvas of 105 x 105, y negative downwards, ms)
with BREAK after each stroke. Source: Lake et al., "Human-level concept learning", Science 2015.
"""

import hashlib
import math
import re
import stat
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from volano.schemas.data import ArchiveUnreadable, Canvas, NewDrawing, Point, Stroke

_MEMBER = re.compile(
    r"(?:[^/]+/)?(?P<alphabet>[A-Za-z][^/]{0,60})/(?P<character>character\d{1,4})"
    r"/(?P<number>\d{1,8})_(?P<drawer>\d{1,4})\.txt"
)
_CANVAS = Canvas(width=105, height=105)
_WIDTH_PX = 3.0  # as in the images that Omniglot comes with


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
    """One member that is no drawing, and why."""

    locator: str
    reason: str


_DEFAULT_CAPS = Caps()


def read(archive: BinaryIO, source: str, caps: Caps = _DEFAULT_CAPS) -> Iterator[Found | Skipped]:
    """Every drawing of a zip archive, one at a time, in the order of the archive.

    Folders and what macOS leaves behind are passed over in silence; everything else that cannot
    be read is reported as Skipped. `source` names the archive: with it each drawing has the same
    id every time it is read. Memory: the archive's directory and one member.

    Raises: ArchiveUnreadable (not a zip archive, or above the caps as a whole).
    """
    with _open(archive) as opened:
        members = [m for m in opened.infolist() if not _is_litter(m)]
        _check_caps(members, caps)
        for member in members:
            yield _read_member(opened, member, source, caps)


def drawing_id(source: str, locator: str) -> str:
    """The id of the drawing at `locator`: the same for ever, and no other's.

    Source: RFC 9562, section 5.8 (version 8), over a BLAKE2b digest.
    """
    digest = hashlib.blake2b(f"{source}\0{locator}".encode(), digest_size=16).digest()
    value = int.from_bytes(digest, "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def parse(text: str) -> list[Stroke]:
    """The strokes of one member, y turned to point down.

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


def _is_litter(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rpartition("/")[2]
    return member.is_dir() or member.filename.startswith("__MACOSX/") or name.startswith(".")


def _check_caps(members: list[zipfile.ZipInfo], caps: Caps) -> None:
    if len(members) > caps.members:
        raise ArchiveUnreadable(reason=f"{len(members)} members, more than {caps.members}")
    total = sum(member.file_size for member in members)
    if total > caps.total_bytes:
        raise ArchiveUnreadable(reason=f"unpacks to {total} bytes, more than {caps.total_bytes}")


def _read_member(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, source: str, caps: Caps
) -> Found | Skipped:
    locator = member.filename
    name = _MEMBER.fullmatch(locator)
    reason = _refusal(member, caps) if name else "not <Alphabet>/characterNN/NNNN_DD.txt"
    if name is None or reason:
        return Skipped(locator=locator, reason=reason)
    try:
        with opened.open(member) as unpacked:
            strokes = parse(_text(unpacked.read(caps.member_bytes + 1), caps))
    except (ValueError, EOFError, zlib.error, *_BROKEN_ZIP) as error:
        return Skipped(locator=locator, reason=str(error) or type(error).__name__)
    alphabet = _slug(name["alphabet"])
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
    """Why a member is not even opened; empty when it is."""
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


def _slug(alphabet: str) -> str:
    """The alphabet as the start of a Name."""
    return re.sub(r"[^a-z0-9]+", "-", alphabet.lower()).strip("-") or "alphabet"
