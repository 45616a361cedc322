"""JPEG, PNG and WebP files without what they tell about their makers; their pixels stay.

Kept is what decodes the picture, its colour profile, and how the camera was turned. Everything else
goes: EXIF with the place, XMP, comments, embedded thumbnails, further frames, bytes after the end.
"""

import re
import struct
import zlib
from collections.abc import Iterator

UPRIGHT = 1
"""The EXIF orientation of a picture that is shown as it is stored."""

MOST_SCANS = 500
"""Of a progressive JPEG; each one costs time for every pixel, however few bytes it has."""

_JPEG_KEPT = frozenset(
    [*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD]  # frames and tables; 0xDC and 0xDD: sizes of parts
)
_SCAN, _END, _JFIF, _ICC, _ADOBE, _EXIF = 0xDA, 0xD9, 0xE0, 0xE2, 0xEE, 0xE1
_BARE = frozenset([0x01, *range(0xD0, 0xD9)])
"""Markers without a length."""

# Bytes of 0xff that fill up before a marker stay where they are: a pattern that took them along
# would be quadratic in their number.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"]
)
_WEBP_KEPT = frozenset([b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"])
_HAS_EXIF, _HAS_XMP, _IS_ANIMATED = 0x08, 0x04, 0x02


class Malformed(ValueError):
    """The file is not built as its format says."""


def exif(orientation: int) -> bytes:
    """Return an EXIF block (TIFF) that says how the camera was turned and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg(data: bytes, orientation: int) -> bytes:
    """Return the first picture of a JPEG file, with this orientation.

    Raises: Malformed.
    """
    turned = exif(orientation) if orientation != UPRIGHT else b""
    kept = [b"\xff\xd8"]
    has_jfif, scans = False, 0
    for marker, body in _jpeg_segments(data):
        if marker == _JFIF and body.startswith(b"JFIF\0") and len(body) >= 12 and not has_jfif:
            # The thumbnail behind the density goes: it may show what was cut from the picture.
            kept.insert(1, _segment(_JFIF, body[:12] + b"\0\0"))
            has_jfif = True
        elif marker in _JPEG_KEPT or _is_colour(marker, body):
            kept.append(_segment(marker, body))
        elif marker == _SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise Malformed(f"it has more than {MOST_SCANS} scans")
            head = struct.unpack_from(">H", body)[0]
            kept.append(b"\xff\xda" + body)
            if len(body) <= head:
                raise Malformed("it ends before its picture")
    if not scans:
        raise Malformed("it has no picture")
    if turned:
        kept.insert(1 + has_jfif, _segment(_EXIF, b"Exif\0\0" + turned))
    return b"".join([*kept, b"\xff\xd9"])


def _is_colour(marker: int, body: bytes) -> bool:
    """Tell whether a segment says how the numbers of the picture become colours."""
    is_profile = marker == _ICC and body.startswith(b"ICC_PROFILE\0")
    return is_profile or (marker == _ADOBE and body.startswith(b"Adobe"))


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of each segment up to the end of the picture.

    The body of a scan has its length in front and its compressed data behind.
    """
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        if marker in _BARE:
            continue
        if at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            break
        if marker == _SCAN:
            end = _MARKER_IN_SCAN.search(data, at + length)
            if end is None:
                break
            yield marker, data[at : end.start()]
            at = end.start()
        else:
            yield marker, data[at + 2 : at + length]
            at += length
    raise Malformed("it ends in the middle")


def png(data: bytes, orientation: int) -> bytes:
    """Return a PNG file with its first picture, with this orientation.

    Raises: Malformed.
    """
    kept = [_PNG_HEAD]
    for name, chunk in _png_chunks(data):
        if name in _PNG_KEPT:
            kept.append(chunk)
        if name == b"IHDR" and orientation != UPRIGHT:
            kept.append(_png_chunk(b"eXIf", exif(orientation)))
    return b"".join(kept)


def png_exif(data: bytes) -> bytes | None:
    """Return the EXIF block of a PNG file, wherever it stands; None without one.

    Raises: Malformed.
    """
    return next((chunk[8:-4] for name, chunk in _png_chunks(data) if name == b"eXIf"), None)


def png_bits(data: bytes) -> int:
    """Return the bits a channel of a PNG file, 1 to 16."""
    return data[24]


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and bytes (length and checksum included) of each chunk, IEND the last."""
    at = len(_PNG_HEAD)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        yield name, data[at:end]
        if name == b"IEND":
            return
        at = end
    raise Malformed("it ends in the middle")


def webp(data: bytes, orientation: int) -> bytes:
    """Return a WebP file of one picture, with this orientation.

    Raises: Malformed (also where it is animated: its first frame is no file of its own).
    """
    chunks = {name: body for name, body in _webp_chunks(data) if name in _WEBP_KEPT}
    picture = next((name for name in (b"VP8 ", b"VP8L") if name in chunks), None)
    if picture is None:
        raise Malformed("it has no single picture")
    turned = exif(orientation) if orientation != UPRIGHT else b""
    kept = []
    if (extended := chunks.get(b"VP8X")) and (turned or chunks.keys() & {b"ALPH", b"ICCP"}):
        flags = extended[0] & ~(_HAS_EXIF | _HAS_XMP | _IS_ANIMATED)
        head = bytes([flags | (_HAS_EXIF if turned else 0)]) + extended[1:]
        kept = [(b"VP8X", head)]
        kept += [(name, chunks[name]) for name in (b"ICCP", b"ALPH") if name in chunks]
    kept.append((picture, chunks[picture]))
    if turned:
        kept.append((b"EXIF", turned))
    body = b"".join(
        struct.pack("<4sI", name, len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
        for name, chunk in kept
    )
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of each chunk that lies in the file whole."""
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            raise Malformed("it ends in the middle")
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
