"""Pictures: PNG, JPEG, WebP and what else Pillow reads."""

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from volano.data.kinds.kind import Kind, Preview, Reading, bytes_document, rate
from volano.schemas.data import Quality
from volano.schemas.datasets import ContentUnreadable, Facts

_SMALL = 8  # px a side, below which there is little to see


def read(data: bytes, media_type: str) -> Reading:
    """Read the head of a picture; its bytes stay as they are.

    Raises: ContentUnreadable.
    """
    try:
        with Image.open(io.BytesIO(data)) as picture:
            facts = {"width": picture.width, "height": picture.height, "format": picture.format}
            kind = Image.MIME.get(picture.format or "", media_type)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise ContentUnreadable(kind="image", reason=str(error)) from None
    return Reading(data, {"media_type": kind, **facts})


def preview(payload: bytes, size_px: int) -> Preview:
    """Return a picture that fits into a square."""
    with Image.open(io.BytesIO(payload)) as picture:
        shown = ImageOps.exif_transpose(picture).convert("RGB")
    shown.thumbnail((size_px, size_px))
    made = io.BytesIO()
    shown.save(made, "PNG")
    return Preview("image/png", made.getvalue())


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate a picture by its size."""
    least = min(int(facts.get("width") or 0), int(facts.get("height") or 0))
    return rate(("size", min(1.0, least / _SMALL), f"{least} px on its shorter side"))


IMAGE = Kind(
    name="image",
    media_types=("image/*",),
    read=read,
    preview=preview,
    score=score,
    document=bytes_document,
)
