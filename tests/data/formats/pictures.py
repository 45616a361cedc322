"""Image files for tests: pictures of every kind, written by Pillow or by hand."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

PLACE = b"59.9139N 10.7522E"
"""What stands for the place in every metadata field; no canonical file may contain it."""


def picture(width: int = 80, height: int = 60, seed: int = 0) -> Image.Image:
    """A smooth coloured picture with an edge, so that every decoder of a lossy file agrees."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    smooth.paste((250, 20, 30), (width // 8, height // 8, width // 3, height // 2))
    return smooth


def file(image: Image.Image, format: str, **options: Any) -> bytes:
    """The image as a file."""
    packed = io.BytesIO()
    image.copy().save(packed, format, **options)  # Pillow keeps options of the last save in it
    return packed.getvalue()


def opened(data: bytes) -> Image.Image:
    """The file as Pillow reads it, pixels and all."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of an opaque image."""
    return np.asarray(image.convert("RGB"))


def with_place(orientation: int = 1) -> Image.Exif:
    """EXIF with a place, a maker, and how the camera was turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = PLACE.decode()
    exif[0x010E] = "Described at " + PLACE.decode()
    exif.get_ifd(0x8825)[0x001D] = PLACE.decode()
    exif.get_ifd(0x8825)[0x0002] = (59.0, 54.0, 50.0)
    return exif


def profile() -> bytes:
    """A colour profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def segment(marker: int, body: bytes) -> bytes:
    """One segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with these segments at its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def png_by_hand(
    width: int, height: int, bits: int, kind: int, rows: bytes, interlaced: bool = False
) -> bytes:
    """A PNG of filtered rows."""
    shape = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    body = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + body + chunk(b"IEND", b"")


def interlaced(image: Image.Image) -> bytes:
    """An RGB image as a PNG in the seven passes of Adam7, which Pillow does not write."""
    pixels = rgb(image)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = [
        b"\0" + row.tobytes()
        for top, left, down, right in (*passes, (1, 0, 2, 1))
        for row in pixels[top::down, left::right]
    ]
    return png_by_hand(*image.size, 8, 2, b"".join(rows), interlaced=True)


def bomb(side: int) -> bytes:
    """A PNG of one bit a pixel that is `side` px wide and high, and some kilobytes small."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (side + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def animated(format: str, frames: int = 3) -> bytes:
    """An animation whose frames differ."""
    first, *others = (picture(seed=number) for number in range(frames))
    return file(first, format, save_all=True, append_images=others, duration=100)


def of_every_kind() -> dict[str, bytes]:
    """Small files of every format and kind of pixels that is read, by name."""
    colour, turned = picture(), with_place(6)
    grey = colour.convert("L")
    alpha = colour.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(colour.size))
    palette = colour.quantize(40)
    see_through = palette.copy()
    see_through.info["transparency"] = 3
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    rows = b"".join(
        b"\0" + bytes(np.asarray(row, ">u2").tobytes())
        for row in np.asarray(colour).astype(np.uint16) * 257
    )
    return {
        "jpeg": file(colour, "JPEG", quality=92),
        "jpeg-grey": file(grey, "JPEG"),
        "jpeg-progressive": file(colour, "JPEG", progressive=True),
        "jpeg-444": file(colour, "JPEG", subsampling=0),
        "jpeg-rgb": file(colour, "JPEG", keep_rgb=True),
        "jpeg-restarts": file(colour, "JPEG", restart_marker_blocks=2),
        "jpeg-cmyk": file(colour.convert("CMYK"), "JPEG"),
        "jpeg-profile": file(colour, "JPEG", icc_profile=profile()),
        "jpeg-turned": file(colour, "JPEG", exif=turned, comment=PLACE),
        "mpo": file(colour, "MPO", save_all=True, append_images=[picture(seed=1)]),
        "png": file(colour, "PNG"),
        "png-grey": file(grey, "PNG"),
        "png-alpha": file(alpha, "PNG"),
        "png-grey-alpha": file(alpha.convert("LA"), "PNG"),
        "png-palette": file(palette, "PNG"),
        "png-palette-transparent": file(see_through, "PNG"),
        "png-key": file(colour, "PNG", transparency=(250, 20, 30)),
        "png-1-bit": file(colour.convert("1"), "PNG"),
        "png-16-grey": file(deep, "PNG"),
        "png-16-colour": png_by_hand(*colour.size, 16, 2, rows),
        "png-interlaced": interlaced(colour),
        "png-profile": file(colour, "PNG", icc_profile=profile()),
        "png-turned": file(colour, "PNG", exif=turned),
        "apng": animated("PNG"),
        "webp": file(colour, "WEBP", quality=90),
        "webp-lossless": file(colour, "WEBP", lossless=True),
        "webp-alpha": file(alpha, "WEBP", quality=90),
        "webp-lossless-alpha": file(alpha, "WEBP", lossless=True),
        "webp-profile": file(colour, "WEBP", icc_profile=profile()),
        "webp-turned": file(colour, "WEBP", exif=turned),
        "webp-animated": animated("WEBP"),
        "gif": file(palette, "GIF", comment=PLACE),
        "gif-transparent": file(see_through, "GIF", transparency=3),
        "gif-animated": animated("GIF"),
        "bmp": file(colour, "BMP"),
        "bmp-1-bit": file(colour.convert("1"), "BMP"),
        "tiff": file(colour, "TIFF"),
        "tiff-turned": file(colour, "TIFF", tiffinfo={0x0112: 6, 0x010E: PLACE.decode()}),
        "tiff-16-grey": file(deep, "TIFF"),
        "tiff-cmyk": file(colour.convert("CMYK"), "TIFF"),
        "tiff-pages": file(colour, "TIFF", save_all=True, append_images=[grey]),
        "tiff-packed": file(colour, "TIFF", compression="tiff_lzw"),
        "ppm": file(colour, "PPM"),
        "pgm": file(grey, "PPM"),
        "pgm-16": file(deep, "PPM"),
    }
