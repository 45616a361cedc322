"""Image files as pixels: the one path from bytes to a network's input, in training and in serving.

Pillow reads every header first, and every format but JPEG and opaque WebP. OpenCV decodes JPEG
several times as fast, at half, a quarter or an eighth of its size where that is enough, and WebP in
a third of the memory. It never sees a PNG: it crashes on mutated ones. Colour profiles are kept in
the file and not applied, as in most loaders.

These functions call decoders written in C on bytes from anywhere: in a server they run in the
limited processes of `volano.core.compute.WorkerPool`, never in the one that answers requests.
"""

import ast
import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL import __version__ as pillow_version

from volano.data.formats import image_files, image_types
from volano.schemas.images import (
    ImageCorrupt,
    ImageTooLarge,
    ImageTooNarrow,
    TooManyPixels,
    UnsupportedImage,
)

Pixels = NDArray[np.uint8]
Fit = Literal["stretch", "letterbox"]
"""`stretch` fills the frame, `letterbox` keeps the proportions and pads."""

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 40_000_000
LONGEST_SIDE = 16_384
LARGEST_RATIO = 50
"""Of the longer side to the shorter one."""

PADDING = 114
"""Grey level beside a letterboxed picture: near the mean of photographs."""

_TO_PNG = {"I;16B": "I;16", "I;16L": "I;16", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
"""Modes of Pillow that PNG has under another name."""
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_WITHOUT_MEANING = frozenset({"I", "F", "LAB"})
"""Modes that do not say what is black and what is white: 32-bit numbers, and CIE Lab."""

READERS = (
    BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, PpmImagePlugin,
    TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip
"""Imported by name, so that Pillow does not load its other forty when it first meets one."""

_BAD_FILE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError,
    AttributeError, NotImplementedError, RuntimeError, AssertionError, struct.error,
)  # fmt: skip
"""What Pillow's readers raise on malformed files: not ours to foresee, only to refuse."""

_REDUCED = {1: 0, 2: 16, 4: 32, 8: 64}
"""Flags of OpenCV by how many times smaller a JPEG is decoded; of its names, each sets BGR too."""

_UNDECODED = "its pixels cannot be decoded"

# One thread: images are decoded side by side, and a thread for the resizing of one costs more than
# it saves.
cv2.setNumThreads(1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the header of an image says; width and height are those of the upright picture, px."""

    width: int
    height: int
    format: str
    """JPEG, PNG, WEBP, GIF, BMP, TIFF or PPM."""
    mode: str
    """Channels as Pillow names them: 1, L, LA, P, RGB, RGBA, CMYK, I;16 …"""
    bits: int
    """Of one channel."""
    frames: int
    """Pictures in the file; the first one is used."""
    oriented: bool
    """The camera was turned, and the file says so."""


def inspect(data: bytes) -> ImageFacts:
    """Return what the header says, after every limit has been checked; no pixel is decoded.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    with _opened(data) as (image, facts, _):
        assert image.size
        return facts


class Admitted(NamedTuple):
    """A file as it is stored, what its header said as it came, and its upright pixels."""

    payload: bytes
    facts: ImageFacts
    pixels: Pixels


def admit(data: bytes) -> Admitted:
    """Read a file whole and return it as it is stored.

    JPEG, PNG and WebP keep their compressed pixels bit for bit, without EXIF (but for the
    orientation), XMP, comments and further frames. The first frame of other formats, and of
    animated WebP, becomes a PNG.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    with _opened(data) as (image, facts, orientation):
        match facts.format:
            case "JPEG":
                stored = image_files.jpeg(data, orientation)
            case "PNG":
                stored = image_files.png(data, orientation)
            case "WEBP" if facts.frames == 1:
                stored = image_files.webp(data, orientation)
            case _:
                stored = _as_png(image, orientation)
    return Admitted(stored, facts, decode(stored))


def canonical(data: bytes) -> bytes:
    """Return a file as it is stored; see `admit`.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    return admit(data).payload


def decode(payload: bytes, *, least_px: int | None = None) -> Pixels:
    """Return the upright picture as RGB (height, width, 3), transparent parts over white.

    With `least_px` a JPEG may come at a half, a quarter or an eighth of its size, as long as both
    sides keep so many pixels.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    with _opened(payload) as opened:
        shorter = min(opened[1].width, opened[1].height)
        return _upright_pixels(payload, opened, shorter / least_px if least_px else 1.0)


def load(payload: bytes, height: int, width: int, channels: int, how: Fit) -> Pixels:
    """Decode and fit: the input of a network, (height, width, channels), channels 1 or 3.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    with _opened(payload) as opened:
        facts = opened[1]
        ratios = facts.height / height, facts.width / width
        spare = max(ratios) if how == "letterbox" else min(ratios)
        pixels = _upright_pixels(payload, opened, spare)
    return fit(pixels, height, width, channels, how)


def fit(pixels: Pixels, height: int, width: int, channels: int, how: Fit) -> Pixels:
    """Return RGB pixels (h, w, 3) as (height, width, channels), channels 1 (grey) or 3.

    Shrinking to a half or less averages areas; all else interpolates, which reads every pixel too
    and takes an eighth of the time. A letterboxed picture lies in the middle.
    """
    if channels == 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    rows, columns = pixels.shape[:2]
    inner_rows, inner_columns = height, width
    if how == "letterbox":
        scale = min(height / rows, width / columns)
        inner_rows, inner_columns = max(1, round(rows * scale)), max(1, round(columns * scale))
    if (inner_rows, inner_columns) != (rows, columns):
        halves = rows >= 2 * inner_rows or columns >= 2 * inner_columns
        method = cv2.INTER_AREA if halves else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, (inner_columns, inner_rows), interpolation=method)
    fitted = np.full((height, width, channels), PADDING, np.uint8)
    top, left = (height - inner_rows) // 2, (width - inner_columns) // 2
    fitted[top : top + inner_rows, left : left + inner_columns] = pixels.reshape(
        inner_rows, inner_columns, channels
    )
    return fitted


_Opened = tuple[ImageFile.ImageFile, ImageFacts, int]
"""An image whose header was read, its facts and its EXIF orientation, 1 to 8."""


@contextmanager
def _opened(data: bytes) -> Iterator[_Opened]:
    """Read the header and check every limit; failures inside the block become ImageCorrupt."""
    if len(data) > MOST_BYTES:
        raise ImageTooLarge(size=len(data), limit=MOST_BYTES)
    name = image_types.recognise(data)
    # Pillow warns of odd metadata and of sizes below its own limit, neither of which counts here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=[name]) as image:
                _check_size(*image.size)
                turned = _orientation(image, data)
                # Pillow turns a TIFF by itself.
                orientation = image_files.UPRIGHT if name == "TIFF" else turned
                facts = _facts(name, image, data, orientation, turned != image_files.UPRIGHT)
                yield image, facts, orientation
        except Image.DecompressionBombError as error:
            count = int(re.findall(r"\d+", str(error))[0])
            raise TooManyPixels(reason=f"it has {count:,}, more than {MOST_PIXELS:,}") from None
        except UnidentifiedImageError as error:
            raise ImageCorrupt(format=name, reason="its header is damaged") from error
        except cv2.error as error:
            if error.code == cv2.Error.STS_NO_MEM:
                raise MemoryError from error
            raise ImageCorrupt(format=name, reason=_UNDECODED) from error
        except _BAD_FILE as error:
            raise ImageCorrupt(format=name, reason=str(error) or type(error).__name__) from error


def _orientation(image: Image.Image, data: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; what cannot be read or means nothing counts as 1."""
    try:
        # Not the method of PNG images, which decodes the pixels to see what follows them.
        found = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
        if found is None and image.format == "PNG" and (late := image_files.png_exif(data)):
            exif = Image.Exif()
            exif.load(late)
            found = exif.get(ExifTags.Base.Orientation)
    except _BAD_FILE:
        return image_files.UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else image_files.UPRIGHT


def _facts(
    name: str, image: Image.Image, data: bytes, orientation: int, oriented: bool
) -> ImageFacts:
    width, height = image.size if orientation < 5 else image.size[::-1]
    is_deep = "16" in image.mode or (image.mode == "I" and name == "PPM")
    bits = 1 if image.mode == "1" else 16 if is_deep else 8
    return ImageFacts(
        width=width,
        height=height,
        format=name,
        mode=image.mode,
        bits=image_files.png_bits(data) if name == "PNG" else bits,
        frames=getattr(image, "n_frames", 1),
        oriented=oriented,
    )


def _check_size(width: int, height: int) -> None:
    longer, shorter = max(width, height), min(width, height)
    size = f"it is {width} x {height} px"
    if longer * shorter > MOST_PIXELS:
        raise TooManyPixels(reason=f"{size}, more than {MOST_PIXELS:,} in all")
    if longer > LONGEST_SIDE:
        raise TooManyPixels(reason=f"{size}, more than {LONGEST_SIDE} on one side")
    if longer > LARGEST_RATIO * shorter:
        raise ImageTooNarrow(width=width, height=height, limit=LARGEST_RATIO)


def _upright_pixels(payload: bytes, opened: _Opened, spare: float) -> Pixels:
    """Decode at 1, 1/2, 1/4 or 1/8 of the size: as small as the shrinking to come lets."""
    image, facts, orientation = opened
    is_jpeg = facts.format == "JPEG" and facts.mode in ("L", "RGB")
    if is_jpeg or (facts.format == "WEBP" and facts.mode == "RGB" and facts.frames == 1):
        scale = next((s for s in (8, 4, 2) if s <= spare), 1) if is_jpeg else 1
        flags = _REDUCED[scale] | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(payload, np.uint8), flags)
        if pixels is None:
            raise ImageCorrupt(format=facts.format, reason=_UNDECODED)
    elif facts.format == "PNG" and facts.frames > 1:
        # Pillow refuses one whose later frames are wrong, and these are not stored.
        return decode(image_files.png(payload, orientation))
    else:
        pixels = np.asarray(_as_rgb(image))
    return np.ascontiguousarray(_turned(pixels, orientation))


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return the first frame as RGB: 16 bits as their upper eight, transparency over white."""
    image = _readable(image)
    if image.mode.startswith("I;16"):
        deep = image if image.mode == "I;16" else image.convert("I")
        upper = (np.asarray(deep) >> 8).astype(np.uint8)
        return Image.fromarray(upper).convert("RGB")
    if not image.has_transparency_data:
        return _converted(image, "RGB")
    with_alpha = _converted(image, "RGBA")
    paper = Image.new("RGB", image.size, "white")
    paper.paste(with_alpha, mask=with_alpha)
    return paper


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in another mode; itself where it has that already, not a copy."""
    return image if image.mode == mode else image.convert(mode)


def _readable(image: Image.Image) -> Image.Image:
    """Load the first frame, where its values have a meaning as grey levels or colours."""
    is_deep_grey = image.mode == "I" and image.format == "PPM"  # 0 to 65,535
    if image.mode in _WITHOUT_MEANING and not is_deep_grey:
        advice = "save it with 8 or 16 bits a channel, as grey or RGB"
        raise UnsupportedImage(found=f"an image of mode {image.mode}", advice=advice)
    image.load()
    return image.convert("I;16") if image.mode == "I" else image


def _as_png(image: Image.Image, orientation: int) -> bytes:
    """Return the first frame as an upright PNG with all of its bits, and its colour profile."""
    image = _readable(image)
    method = _TRANSPOSED.get(orientation)
    upright = image.transpose(method) if method is not None else image.copy()
    if upright.mode not in _PNG_MODES:
        upright = upright.convert(_TO_PNG.get(upright.mode, "RGB"))
    profile = image.info.get("icc_profile") if upright.mode == image.mode else None
    packed = io.BytesIO()
    upright.save(packed, "PNG", icc_profile=profile)
    return packed.getvalue()


_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Return the picture upright; a view where that is enough."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def digest(source: str) -> str:
    """Hash what decides about pixels: this code but for its comments, and the decoders."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    # Not ast.dump, which each version of Python writes in another way.
    parts = (ast.unparse(tree), cv2.__version__, pillow_version)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _is_text(node: object) -> bool:
    """Tell whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


DIGEST = digest(Path(__file__).read_text("utf-8"))
"""Equal where the same bytes become the same pixels; a version keeps that of its training."""
