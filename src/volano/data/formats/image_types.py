"""What kind of file some bytes are, told by how they begin; names and media types count nothing."""

from volano.schemas.images import UnsupportedImage

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-anymap",
}
"""Formats that are read, by Pillow's names."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_PPM = tuple(b"P%d%c" % (kind, space) for kind in range(1, 7) for space in b" \t\r\n#")

_PLAIN = "convert it with any image program"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"DDS ", "a DDS texture"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)
_CAMERA_BRANDS = {
    b"heic": "a HEIC photo", b"heix": "a HEIC photo", b"hevc": "a HEIC photo",
    b"heim": "a HEIC photo", b"heis": "a HEIC photo", b"mif1": "a HEIF photo",
    b"msf1": "a HEIF photo", b"avif": "an AVIF image", b"avis": "an AVIF image",
}  # fmt: skip
_IPHONE = (
    "convert it with any image program; iPhones take JPEG where Settings, Camera, Formats says "
    "Most Compatible"
)


def recognise(data: bytes) -> str:
    """Return the format of an image file, a key of MEDIA_TYPES.

    Raises: UnsupportedImage.
    """
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_PPM):
        return "PPM"
    raise _unsupported(data)


def _unsupported(data: bytes) -> UnsupportedImage:
    """Return an error that says what the bytes are, as far as that can be told."""
    if not data:
        return UnsupportedImage(found="an empty file", advice="this one has no bytes at all")
    if data[4:8] == b"ftyp":
        found = _CAMERA_BRANDS.get(data[8:12], "a video")
        return UnsupportedImage(found=found, advice=_IPHONE if "HEI" in found else _PLAIN)
    for beginning, found in _FOREIGN:
        if data.startswith(beginning):
            return UnsupportedImage(found=found, advice=_PLAIN)
    return UnsupportedImage(found=_text_kind(data[:1000]), advice=_PLAIN)


def _text_kind(head: bytes) -> str:
    lower = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in lower:
        return "an SVG drawing"
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if b"\0" not in head and lower.startswith((b"<?xml", b"{", b"[")):
        return "a text file"
    return "no known image"
