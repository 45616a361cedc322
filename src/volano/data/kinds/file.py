"""Files of any media type, stored as they are: sound, video, what only a user's code reads."""

from volano.data.kinds.kind import Kind, Preview, Reading, bytes_document, rate
from volano.schemas.data import Quality
from volano.schemas.datasets import Facts, NoPreview

LARGEST = 2**30
ANY_BYTES = "application/octet-stream"


def read(data: bytes, media_type: str) -> Reading:
    """Return a file as it is."""
    return Reading(data, {"media_type": media_type or ANY_BYTES})


def preview(payload: bytes, size_px: int) -> Preview:
    """Refuse: nothing is known about the bytes.

    Raises: NoPreview.
    """
    raise NoPreview(kind=FILE.name)


def score(payload: bytes, facts: Facts) -> Quality:
    """Rate a file: nothing can be said against it."""
    return rate()


FILE = Kind(
    name="file",
    media_types=("*",),
    read=read,
    preview=preview,
    score=score,
    document=bytes_document,
    largest=LARGEST,
    is_opaque=True,
)
