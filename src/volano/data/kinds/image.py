"""Images: JPEG, PNG and WebP stored as they came but for metadata, others as PNG."""

from dataclasses import asdict

from volano.data.formats import image_quality, image_types, pixels, thumbnails
from volano.data.formats.image_quality import Light
from volano.data.kinds.kind import Kind, Preview, Reading, bytes_document
from volano.schemas.data import Quality
from volano.schemas.datasets import Facts


def read(data: bytes, media_type: str) -> Reading:
    """Read an image whole; its bytes say what it is, not its media type or name.

    Raises: UnsupportedImage, ImageTooLarge, TooManyPixels, ImageTooNarrow, ImageCorrupt.
    """
    payload, found, picture = pixels.admit(data)
    stored_as = image_types.MEDIA_TYPES[image_types.recognise(payload)]
    light = image_quality.measure(picture)
    return Reading(payload, {"media_type": stored_as, **asdict(found), **light._asdict()})


def preview(payload: bytes, size_px: int) -> Preview:
    """Make an upright picture that fits into a square; none is enlarged.

    Raises: BadImageSize.
    """
    return Preview(*thumbnails.thumbnail(payload, size_px))


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate an image by what was measured when it was read: no byte of it is decoded here."""
    light = Light(*(float(facts.get(name) or 0.0) for name in Light._fields))
    return image_quality.rate(int(facts["width"] or 0), int(facts["height"] or 0), light)


IMAGE = Kind(
    name="image",
    media_types=("image/*",),
    read=read,
    preview=preview,
    score=score,
    document=bytes_document,
    is_slow=True,
)
