"""What a picture says of itself in its first bytes: type, size, orientation. No decoding.

Enough for boxes that are given as shares of a picture and for a report without a server; what is
stored is measured again where it is decoded.
"""

import struct
from dataclasses import dataclass
from typing import Final

_STARTS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
_ORIENTATION: Final = 0x0112
_SIDEWAYS: Final = (5, 6, 7, 8)
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Markers of JPEG among those of frames (0xC0 to 0xCF) that are none."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height as the picture is looked at, after its orientation."""

    width: int
    height: int
    orientation: int = 1
    """As EXIF counts: 1 is upright, 5 to 8 lie on their side."""

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of the pixels as they lie in the file."""
        if self.orientation in _SIDEWAYS:
            return self.height, self.width
        return self.width, self.height


def media_type(head: bytes) -> str:
    """Return the media type of a picture by how it begins; empty where it is none of those."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _STARTS if head.startswith(start)), "")


def measure(head: bytes) -> Size | None:
    """Return the size of a picture; None where its beginning does not tell."""
    measures = {
        "image/jpeg": _jpeg,
        "image/png": _png,
        "image/gif": _gif,
        "image/bmp": _bmp,
        "image/webp": _webp,
        "image/tiff": _tiff,
    }
    try:
        size = measures[media_type(head)](head)
    except (struct.error, IndexError, KeyError, ValueError):
        return None
    return size if size and size.width > 0 and size.height > 0 else None


def upright(box: tuple[float, float, float, float], size: Size) -> list[float]:
    """Return a box, drawn on the pixels as they lie in the file, as it is on the upright one."""
    wide, high = size.stored
    x0, y0, x1, y1 = box
    turned = {
        2: (wide - x1, y0, wide - x0, y1),
        3: (wide - x1, high - y1, wide - x0, high - y0),
        4: (x0, high - y1, x1, high - y0),
        5: (y0, x0, y1, x1),
        6: (high - y1, x0, high - y0, x1),
        7: (high - y1, wide - x1, high - y0, wide - x0),
        8: (y0, wide - x1, y1, wide - x0),
    }
    return list(turned.get(size.orientation, box))


def _jpeg(head: bytes) -> Size | None:
    at, orientation = 2, 1
    while at + 4 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _exif(head[at + 10 : at + 2 + length]) or orientation
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return _oriented(width, height, orientation)
        at += 2 + length
    return None


def _png(head: bytes) -> Size:
    width, height = struct.unpack_from(">II", head, 16)
    at, orientation = 8, 1
    while at + 8 <= len(head):
        (length,) = struct.unpack_from(">I", head, at)
        name = head[at + 4 : at + 8]
        if name == b"eXIf":
            orientation = _exif(head[at + 8 : at + 8 + length]) or 1
        if name in (b"eXIf", b"IDAT"):
            break
        at += 12 + length
    return _oriented(width, height, orientation)


def _gif(head: bytes) -> Size:
    return Size(*struct.unpack_from("<HH", head, 6))


def _bmp(head: bytes) -> Size:
    width, height = struct.unpack_from("<ii", head, 18)
    return Size(width, abs(height))


def _webp(head: bytes) -> Size | None:
    form = head[12:16]
    if form == b"VP8X":
        width = 1 + int.from_bytes(head[24:27], "little")
        height = 1 + int.from_bytes(head[27:30], "little")
        return _oriented(width, height, _webp_orientation(head))
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return Size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return Size(width & 0x3FFF, height & 0x3FFF)
    return None


def _webp_orientation(head: bytes) -> int:
    at = 12
    while at + 8 <= len(head):
        (length,) = struct.unpack_from("<I", head, at + 4)
        if head[at : at + 4] == b"EXIF":
            return _exif(head[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")) or 1
        at += 8 + length + (length & 1)
    return 1


def _tiff(head: bytes) -> Size | None:
    tags = _tags(head)
    width, height = tags.get(256, 0), tags.get(257, 0)
    return _oriented(width, height, tags.get(_ORIENTATION, 1))


def _exif(block: bytes) -> int:
    """Return the orientation that an EXIF block states; 0 where it states none."""
    try:
        value = _tags(block).get(_ORIENTATION, 0)
    except struct.error:
        return 0
    return value if 1 <= value <= 8 else 0


def _tags(block: bytes) -> dict[int, int]:
    """Return the whole numbers of the first directory of a TIFF or EXIF block."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return {}
    (at,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, at)
    tags: dict[int, int] = {}
    for n in range(min(count, 512)):
        tag, kind = struct.unpack_from(order + "HH", block, at + 2 + 12 * n)
        form = {3: "H", 4: "I"}.get(kind)
        if form:
            (tags[tag],) = struct.unpack_from(order + form, block, at + 10 + 12 * n)
    return tags


def _oriented(width: int, height: int, orientation: int) -> Size:
    if orientation in _SIDEWAYS:
        return Size(height, width, orientation)
    return Size(width, height, orientation)
