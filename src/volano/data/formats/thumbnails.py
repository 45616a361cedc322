"""Small pictures of images, to look at."""

import io

from PIL import Image

from volano.data.formats import pixels
from volano.schemas.drawings import BadImageSize

LEAST_PX, MOST_PX = 16, 1024
JPEG, PNG = "image/jpeg", "image/png"

_EXACT = 64 * 64
"""Pixels up to which a thumbnail is a PNG: JPEG would blur what little there is."""
_QUALITY = 85


def thumbnail(payload: bytes, size_px: int) -> tuple[str, bytes]:
    """Return the media type and the bytes of a picture of at most `size_px` (16 to 1024) a side.

    Nothing is enlarged. Raises: BadImageSize, and what pixels.decode refuses.
    """
    if not LEAST_PX <= size_px <= MOST_PX:
        raise BadImageSize(size_px=size_px, least=LEAST_PX, most=MOST_PX)
    facts = pixels.inspect(payload)
    scale = min(1.0, size_px / max(facts.width, facts.height))
    width, height = max(1, round(facts.width * scale)), max(1, round(facts.height * scale))
    picture = Image.fromarray(pixels.load(payload, height, width, 3, "stretch"))
    packed = io.BytesIO()
    if width * height <= _EXACT:
        picture.save(packed, "PNG")
        return PNG, packed.getvalue()
    picture.save(packed, "JPEG", quality=_QUALITY)
    return JPEG, packed.getvalue()
